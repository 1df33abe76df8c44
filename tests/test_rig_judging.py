"""Rigs against an artist's: known answers of the measures, rigs read from any file, bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from commands import run

from mien.data.head_rigs import SKIN, UPPER_TEETH, HeadRig, read_head_rig
from mien.data.rig_names import named_shapes, scheme_key
from mien.errors import BadFile, BadMesh, BadSetting, DataMissing, UnknownName, WrongTopology
from mien.evaluation.rigs import judge_rig, measures
from mien.io.gltf import write_glb
from mien.io.mesh import write_obj
from mien.topology import Topology


def sheet(side: int = 13, spacing: float = 10.0) -> tuple[np.ndarray, np.ndarray]:
    """A square sheet of skin in millimeters, 120 across."""
    step = np.arange(side) * spacing
    x, y = np.meshgrid(step, step)
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(side * side)], axis=1)
    corner = np.arange(side * side).reshape(side, side)
    a, b, c, d = corner[:-1, :-1], corner[:-1, 1:], corner[1:, 1:], corner[1:, :-1]
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return vertices, faces.astype(np.int32)


def head(name: str = "made", **shapes: np.ndarray) -> HeadRig:
    """A sheet with shapes (N, 3)."""
    vertices, faces = sheet()
    moved = np.stack(list(shapes.values())).astype(np.float32)
    return HeadRig(name, vertices, faces, tuple(shapes), moved, np.full(len(vertices), SKIN, np.uint8))


def bump(at: tuple[float, float], height: float, reach: float = 25.0) -> np.ndarray:
    """A bump out of the sheet."""
    vertices, _ = sheet()
    distance = np.linalg.norm(vertices[:, :2] - at, axis=1)
    return np.maximum(0, 1 - distance / reach)[:, None] * np.array([0, 0, height])


def test_measures_of_known_shapes() -> None:
    artist, vertices = bump((30, 30), 10.0), sheet()[0]
    assert measures.relative_error(artist, artist) == 0
    assert measures.relative_error(0 * artist, artist) == 1
    assert measures.relative_error(-artist, artist) == pytest.approx(2)
    assert measures.cosine(0.3 * artist, artist) == pytest.approx(1)
    assert measures.cosine(artist[:, [2, 0, 1]], artist) == pytest.approx(0)
    assert measures.size_ratio(0.3 * artist, artist) == pytest.approx(0.3)
    still = measures.should_rest(artist, vertices)
    far = bump((110, 110), 10.0, 15.0)
    assert measures.leak(artist, still) == 0
    assert measures.leak(far, still) == pytest.approx(1)
    assert measures.leak(artist + far, still) == pytest.approx((far**2).sum() / ((artist + far) ** 2).sum())
    edges = measures.measured_edges(vertices, sheet()[1])
    spike = np.zeros_like(vertices)
    spike[84, 2] = 30.0
    assert measures.edge_stretch(spike, vertices, edges) == pytest.approx(np.hypot(10, 30) / 10)


def test_lids_that_an_artist_closes_are_found_and_a_gap_is_measured() -> None:
    vertices = sheet()[0]
    blink = np.zeros_like(vertices)
    upper = np.flatnonzero(np.isclose(vertices[:, 1], 70) & (np.abs(vertices[:, 0] - 60) <= 20))
    blink[upper, 1] = -10.0  # onto the row below, which stays
    pairs = measures.lid_pairs(blink, vertices)
    assert set(pairs.upper) == set(upper) and (vertices[pairs.lower, 1] == 60).all()
    assert pairs.opening(blink, vertices) == pytest.approx(0)
    assert pairs.opening(0.8 * blink, vertices) == pytest.approx(2)


def test_a_rig_at_half_size_and_one_that_leaks() -> None:
    artist = head("artist", jawOpen=bump((30, 30), 20.0), browInnerUp=bump((60, 90), 6.0))
    half = head("half", **{n: 0.5 * artist.shape(n) for n in artist.names})
    leaking = head("leaking", **{n: artist.shape(n) + bump((110, 10), 10.0, 15) for n in artist.names})
    report = judge_rig(half, artist, beside={"leaking": leaking})
    assert report.mean("half", "error") == pytest.approx(0.5, abs=1e-6)
    assert report.mean("half", "cosine") == pytest.approx(1, abs=1e-6)
    assert report.mean("half", "leak") == 0 and report.mean("leaking", "leak") > 0.05
    assert report.mean("doing nothing", "error") == 1 and report.mean("the artist", "error") == 0
    assert "| half |" in report.to_markdown()
    assert json.loads(report.to_json())["sums"]["half"]["size"] == pytest.approx(0.5)
    assert len(report.to_csv().splitlines()) > 40


def test_vertices_in_another_order_are_the_same_head_and_others_are_not() -> None:
    artist = head("artist", jawOpen=bump((30, 30), 20.0))
    order = np.random.default_rng(0).permutation(len(artist.vertices))
    place = np.argsort(order).astype(np.int32)
    mixed = HeadRig(
        "mixed", artist.vertices[order], place[artist.faces], ("jawOpen",), artist.displacements[:, order],
        artist.piece,
    )  # fmt: skip
    assert judge_rig(mixed, artist).mean("mixed", "error") == pytest.approx(0, abs=1e-6)
    moved = HeadRig(
        "moved", artist.vertices + 3, artist.faces, ("jawOpen",), artist.displacements, artist.piece
    )
    with pytest.raises(WrongTopology, match="not of the same head"):
        judge_rig(moved, artist)


def test_teeth_that_move_are_told() -> None:
    artist = head("artist", browInnerUp=bump((60, 90), 6.0))
    piece = artist.piece.copy()
    piece[:5] = UPPER_TEETH
    artist = HeadRig("artist", artist.vertices, artist.faces, artist.names, artist.displacements, piece)
    wrong = artist.displacements.copy()
    wrong[0, 2] = (0, 0, 0.7)
    made = HeadRig("made", artist.vertices, artist.faces, artist.names, wrong, piece)
    assert judge_rig(made, artist).mean("made", "upper_teeth") == pytest.approx(0.7)
    assert judge_rig(artist, artist).mean("artist", "upper_teeth") == 0


@pytest.mark.parametrize(
    ("written", "key"),
    [("eyeBlink_L", "eyeblinkleft"), ("Head.eyeBlinkLeft", "eyeblinkleft"), ("jaw_open", "jawopen")],
)
def test_names_are_compared_without_prefix_and_case(written: str, key: str) -> None:
    assert scheme_key(written) == key


def test_schemes_are_told_by_what_they_know(tmp_path: Path) -> None:
    assert named_shapes(["Mesh.jawOpen", "eyeBlink_R"]) == {
        "eyeBlinkRight": {"eyeBlink_R": 1.0}, "jawOpen": {"Mesh.jawOpen": 1.0},
    }  # fmt: skip
    valid = named_shapes(["MouthOpen_h", "LbrowUp_h", "RbrowUp_h"])
    assert valid == {"jawOpen": {"MouthOpen_h": 1.0}, "browInnerUp": {"LbrowUp_h": 1.0, "RbrowUp_h": 1.0}}
    with pytest.raises(BadSetting, match="known scheme"):
        named_shapes(["Key 1", "Key 2"])
    table = tmp_path / "names.csv"
    table.write_text("arkit,shape,weight\njawOpen,Key 1,0.5\n")
    assert named_shapes(["Key 1", "Key 2"], table) == {"jawOpen": {"Key 1": 0.5}}
    table.write_text("arkit,shape\njawOpn,Key 1\n")
    with pytest.raises(UnknownName, match="jawOpen"):
        named_shapes(["Key 1"], table)


def glb(path: Path, shapes: dict[str, np.ndarray], scale: float = 1.0) -> Path:
    """A GLB of the sheet, 120 mm tall or as much larger as said."""
    vertices, faces = sheet()
    base = (scale * vertices).astype(np.float32)
    topology = Topology("sheet", faces, base)
    targets = np.stack([base + scale * shape for shape in shapes.values()]) if shapes else None
    write_glb(path, base, topology, targets, tuple(shapes))
    return path


def test_a_glb_in_any_unit_is_read_in_millimeters(tmp_path: Path) -> None:
    shapes = {"jawOpen": bump((60, 20), 20.0, 60), "browInnerUp": bump((60, 100), 6.0, 60)}
    plain, large = glb(tmp_path / "a.glb", shapes), glb(tmp_path / "b.glb", shapes, 100.0)
    found = [read_head_rig(path) for path in (plain, large)]
    for rig in found:
        assert rig.names == ("jawOpen", "browInnerUp")
        np.testing.assert_allclose(rig.vertices, sheet()[0], atol=1e-3)
        np.testing.assert_allclose(rig.shape("jawOpen"), shapes["jawOpen"], atol=1e-3)
    assert judge_rig(found[1], found[0]).mean("b", "error") == pytest.approx(0, abs=1e-4)


def test_a_folder_of_meshes_is_a_rig(tmp_path: Path) -> None:
    vertices, faces = sheet()
    topology = Topology("sheet", faces, vertices.astype(np.float32))
    shape = bump((60, 60), 20.0, 60)
    write_obj(tmp_path / "neutral.obj", vertices.astype(np.float32), topology)
    with pytest.raises(DataMissing, match="neutral"):
        read_head_rig(tmp_path)
    write_obj(tmp_path / "jawOpen.obj", (vertices + shape).astype(np.float32), topology)
    found = read_head_rig(tmp_path)
    assert found.names == ("jawOpen",)
    np.testing.assert_allclose(found.shape("jawOpen"), shape, atol=1e-3)


def test_what_is_no_rig_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no morph targets"):
        read_head_rig(glb(tmp_path / "plain.glb", {}))
    with pytest.raises(BadMesh, match="moves anything"):
        read_head_rig(glb(tmp_path / "still.glb", {"jawOpen": np.zeros_like(sheet()[0])}))
    with pytest.raises(DataMissing):
        read_head_rig(tmp_path / "none.glb")
    np.savez(tmp_path / "bad.npz", vertices=np.zeros((3, 3)))
    with pytest.raises(BadFile, match="array 'faces'"):
        read_head_rig(tmp_path / "bad.npz")


def test_the_command_judges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shapes = {"jawOpen": bump((60, 20), 20.0, 60), "browInnerUp": bump((60, 100), 6.0, 60)}
    artist = glb(tmp_path / "artist.glb", shapes)
    made = glb(tmp_path / "made.glb", {name: 0.5 * shape for name, shape in shapes.items()})
    told = run(capsys, "evaluate-rig", made, artist, "--out", tmp_path / "tables", "--json")
    assert json.loads(told.out)["sums"]["made"]["error"] == pytest.approx(0.5, abs=1e-3)
    assert {path.name for path in (tmp_path / "tables").iterdir()} == {
        "rig.md",
        "rig.png",
        "rig.csv",
        "rig.json",
    }
