"""The ICT source: damaged and foreign releases always; the real release where it is at hand."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from meshes import NEEDS_ICT, ict_release_path

from mien.data.dataset import FaceDataset
from mien.data.expressions import SHAPES
from mien.data.inspect import inspect_dataset
from mien.data.sources import ict_release
from mien.data.sources.ict import build_ict
from mien.errors import BadFile, BadSetting, DataMissing, UnknownName

RELEASE = ict_release_path()
real = pytest.mark.skipif(RELEASE is None, reason=NEEDS_ICT)


def tiny_release() -> dict[str, bytes]:
    """All 154 files of the layout, with the first vertices of the real thing's form."""
    rng = np.random.default_rng(0)

    def mesh(offset: float) -> bytes:
        vertices = rng.normal(0, 5, (8, 3)) + offset
        lines = ["# tiny", *(f"v {x:.4f} {y:.4f} {z:.4f}" for x, y, z in vertices)]
        return "\n".join(
            [*lines, "vt 0 0", "vt 1 0", "vt 1 1", "f 1/1 2/2 3/3 4/1", "f 5/1 6/2 7/3", ""]
        ).encode()

    names = (ict_release.NEUTRAL, *ict_release.MODES, *SHAPES)
    return {f"FaceXModel/{name}.obj": mesh(0.01 * number) for number, name in enumerate(names)}


def write_archive(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:xz", preset=0) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    monkeypatch.setattr(ict_release, "VERTEX_COUNT", 8)
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    return tiny_release()


def test_three_layouts_read_alike(tmp_path: Path, tiny: dict[str, bytes]) -> None:
    archive = write_archive(tmp_path / "a.tar.xz", tiny | {"FaceXModel/extra.obj": b"not read"})
    for name, content in tiny.items():
        path = tmp_path / "checkout" / "ICT-FaceKit" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    expected = ict_release._parsed(archive)
    for source in (tmp_path / "checkout", tmp_path / "checkout" / "ICT-FaceKit"):
        found = ict_release._parsed(source)
        assert expected.keys() == found.keys()
        for key, value in expected.items():
            np.testing.assert_array_equal(value, found[key])
    assert expected["modes"].shape == (100, 8, 3) and expected["shapes"].shape == (53, 8, 3)


def test_cache_is_used_and_repaired(tmp_path: Path, tiny: dict[str, bytes]) -> None:
    archive = write_archive(tmp_path / "a.tar.xz", tiny)
    expected = ict_release._parsed(archive)
    (cached,) = (tmp_path / "cache" / "sources").glob("ict-*.npz")
    cached.write_bytes(cached.read_bytes()[:200])
    np.testing.assert_array_equal(ict_release._parsed(archive)["shapes"], expected["shapes"])


def test_bad_releases(tmp_path: Path, tiny: dict[str, bytes]) -> None:
    gone = write_archive(tmp_path / "gone.tar.xz", {k: v for k, v in tiny.items() if "jawOpen" not in k})
    with pytest.raises(DataMissing, match="1 of the 154 files.*without FaceXModel/jawOpen.obj"):
        ict_release.load_ict(gone)
    short = tiny | {"FaceXModel/jawOpen.obj": tiny["FaceXModel/jawOpen.obj"].replace(b"\nv ", b"\nw ", 1)}
    with pytest.raises(BadFile, match="jawOpen.obj is not one of the release's 8 vertices; received 7"):
        ict_release.load_ict(write_archive(tmp_path / "short.tar.xz", short))
    evil = write_archive(tmp_path / "evil.tar.xz", tiny | {"FaceXModel/../../evil.obj": b"v"})
    with pytest.raises(BadFile, match="outside its own folder"):
        ict_release.load_ict(evil)
    whole = (tmp_path / "gone.tar.xz").read_bytes()
    (tmp_path / "cut.tar.xz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadFile, match="truncated or damaged"):
        ict_release.load_ict(tmp_path / "cut.tar.xz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataMissing, match="does not hold the ICT-FaceKit Light model"):
        ict_release.load_ict(tmp_path / "empty")
    assert not (tmp_path / "cache").exists()


def test_mistakes_leave_nothing_behind(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UnknownName, match="did you mean 'facescape20'"):
        build_ict(RELEASE, out, subjects=3, expressions="facescape-20")
    with pytest.raises(UnknownName, match="did you mean 'narrow'"):
        build_ict(RELEASE, out, subjects=3, region="narow")
    with pytest.raises(BadSetting, match="at least one subject"):
        build_ict(RELEASE, out, subjects=0)
    with pytest.raises(DataMissing, match="no such archive"):
        build_ict(tmp_path / "absent.tar.xz", out, subjects=3)
    assert list(tmp_path.iterdir()) == []


def test_mirror_is_found_or_refused() -> None:
    half = np.random.default_rng(0).uniform(1, 50, (20, 3))
    both = np.concatenate([half, half * [-1, 1, 1]])
    mirror = ict_release.mirror_of(both)
    assert mirror is not None and (mirror == np.concatenate([np.arange(20, 40), np.arange(20)])).all()
    assert ict_release.mirror_of(both + [0.4, 0, 0]) is None


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> FaceDataset:
    out = tmp_path_factory.mktemp("ict") / "faces"
    return build_ict(RELEASE, out, subjects=12, vertices=1800)


@real
def test_real_faces_have_human_size_and_interaction(faces: FaceDataset) -> None:
    facts = inspect_dataset(faces)
    assert facts["people"] == 12 and facts["meshes"] == 240 and facts["vertices"] == 1800
    assert 58 < facts["eye_distance_mm"]["mean"] < 69
    assert 0.05 < facts["interaction_fraction"] < 0.30
    assert facts["people_with_neutral"] == 12 and 0.3 < facts["rigid_residual_mm"] < 2
    assert len(list((Path(str(faces.folder)) / "examples").glob("*_neutral.obj"))) >= 1


@real
def test_real_lids_close_and_mouths_open(faces: FaceDataset) -> None:
    points = faces.topology.landmarks.positions(faces[:]).reshape(12, 20, 68, 3)
    names = ["", *faces.expressions]
    eyes = np.linalg.norm(points[:, :, [37, 38, 43, 44]] - points[:, :, [41, 40, 47, 46]], axis=-1).mean(
        axis=-1
    )
    # The landmarks above and below are not each other's contact points, so some distance stays along the lid.
    left = eyes[:, names.index("eye_closed")] / eyes[:, 0]
    assert np.median(left) < 0.3 and left.max() < 0.6
    mouth = np.linalg.norm(points[:, :, 62] - points[:, :, 66], axis=-1)
    assert (mouth[:, names.index("mouth_stretch")] > 8).all() and (mouth[:, 0] < 5).all()


@real
def test_a_person_depends_on_seed_and_number_only(faces: FaceDataset, tmp_path: Path) -> None:
    again = build_ict(RELEASE, tmp_path / "two", subjects=2, vertices=1800)
    np.testing.assert_array_equal(again[:], faces[:40])
    other = build_ict(RELEASE, tmp_path / "other", subjects=1, vertices=1800, seed=1)
    assert np.abs(other[0] - faces[0]).mean() > 1


@real
def test_real_clips(tmp_path: Path) -> None:
    data = build_ict(
        RELEASE, tmp_path / "clips", subjects=1, expressions="emotion6", vertices=600, sequences=True
    )
    assert data.fps == 30 and data.is_neutral[0]
    lengths = np.bincount(data.row_clip[1:])
    assert len(lengths) == 6 and lengths.min() >= 42 and lengths.max() <= 72 and len(set(lengths)) > 2
    clip = np.flatnonzero(data.row_clip == 5)
    assert (data.row_frame[clip] == np.arange(lengths[5])).all()
    weights = data.row_weights[clip][:, 5]
    assert weights[0] == weights[-1] == 0 and 0.55 < weights.max() <= 1
    moved = np.linalg.norm(data[clip] - data[clip[:1]], axis=2).mean(axis=1)
    assert np.corrcoef(moved, weights)[0, 1] > 0.9


@real
@pytest.mark.parametrize(("region", "count"), [("face", 9409), ("head", 11248)])
def test_real_regions(region: str, count: int) -> None:
    model = ict_release.load_ict(RELEASE, region)
    topology = model.topology
    assert topology.vertex_count == count and model.shapes.shape == (53, count, 3)
    assert len(topology.landmarks) == 68 and topology.mirror is not None
    assert {"mouth", "eyes", "brows", "nose", "rigid"} == set(topology.regions)
    assert topology.polygons is not None and topology.polygons.sizes.max() == 4
    assert len(ict_release.contact_rings(topology)) == 320
