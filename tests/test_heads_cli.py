"""Heads of topologies that no model has seen, by the command line: in with any mesh, out with the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import run, tree
from heads import Z_UP, Workshop, ball
from meshes import read_pc2

from mien.data.notation import Marks
from mien.errors import BadSetting, UnknownName
from mien.find.windows import LIKELY
from mien.geometry.procrustes import procrustes
from mien.io.gltf import Morphs, read_glb_targets, write_glb
from mien.io.landmarks import read_landmarks
from mien.io.mesh import read_mesh, write_obj, write_ply

Capture = pytest.CaptureFixture[str]
pytestmark = pytest.mark.usefixtures("laid_once")


def test_rig(workshop: Workshop, capsys: Capture, tmp_path: Path) -> None:
    out, names = tmp_path / "rig.glb", tmp_path / "names.csv"
    told = run(
        capsys, "rig", workshop.model, workshop.root / "head.obj", "--names", "arkit", "--save-names", names,
        "-o", out,
    )  # fmt: skip
    assert told.code == 0 and "in meters; turned to +Y up" in told.err and "lacks" in told.err
    assert "jawOpen,mouth_stretch,1,both,all" in names.read_text()
    made, mesh = read_glb_targets(out), workshop.mesh
    upright = mesh.vertices.astype(np.float64) @ Z_UP * 1000
    np.testing.assert_allclose(made.base, upright, rtol=3e-7, atol=1e-5)
    np.testing.assert_array_equal(made.faces, mesh.faces)
    assert read_mesh(out).names() == ("skin", "eyes")
    change = dict(zip(made.names, made.targets - made.base, strict=True))
    np.testing.assert_allclose(change["eyeBlinkLeft"][workshop.rows :], 0, atol=1e-4)  # eyeballs rest
    truth = (workshop.posed(jawOpen=1.0) - mesh.vertices) @ Z_UP * 1000
    jaw, moved = change["jawOpen"][: workshop.rows], truth[: workshop.rows]
    assert np.corrcoef(jaw.ravel(), moved.ravel())[0, 1] > 0.9
    assert np.abs(change["eyeBlinkLeft"]).max() > 4 and np.abs(change["eyeBlinkRight"]).max() > 4
    left = made.base[:, 0] > 12
    assert np.abs(change["eyeBlinkRight"][left]).max() < 0.5
    eyes_turn_by_name(made, workshop.rows)
    assert "lids do not follow" in told.err and "eyeLook" not in told.err.split("lacks:")[1].split(".")[0]


def eyes_turn_by_name(made: Morphs, rows: int) -> None:
    """Each eyeLook target turns its own eyeball about its center, the right way; the skin stays."""
    front = np.array([0.0, 0.0, 11.5])
    for name, eye, way in (
        ("eyeLookOutLeft", 0, (1, 0)), ("eyeLookInLeft", 0, (-1, 0)), ("eyeLookUpLeft", 0, (0, 1)),
        ("eyeLookOutRight", 1, (-1, 0)), ("eyeLookInRight", 1, (1, 0)), ("eyeLookDownRight", 1, (0, -1)),
    ):  # fmt: skip
        target = made.targets[made.names.index(name)]
        half = (len(target) - rows) // 2
        spans = [slice(rows + k * half, rows + (k + 1) * half) for k in (0, 1)]
        spans.sort(key=lambda span: -made.base[span, 0].mean())  # the person's left eye is at +X
        mine, other = spans[eye], spans[1 - eye]
        np.testing.assert_allclose(np.delete(target, np.r_[mine], 0), np.delete(made.base, np.r_[mine], 0))
        assert other != mine
        center = made.base[mine].mean(axis=0)
        ahead = int(np.linalg.norm(made.base[mine] - center - front, axis=1).argmin())
        moved = (target - made.base)[mine][ahead][:2]
        assert moved @ way > 3 and abs(moved @ way[::-1]) < 0.3 * abs(moved @ way), (name, moved)
        radii = np.linalg.norm(target[mine] - center, axis=1) / np.linalg.norm(
            made.base[mine] - center, axis=1
        )
        np.testing.assert_allclose(radii, 1, atol=1e-3)


def test_a_glb_comes_back_as_itself_with_targets(workshop: Workshop, capsys: Capture, tmp_path: Path) -> None:
    source, out = tmp_path / "head.glb", tmp_path / "rigged" / "head.glb"  # of one name, so found once
    out.parent.mkdir()
    upright = workshop.mesh.vertices @ Z_UP * 1000
    write_glb(source, upright, workshop.mesh, name="my head")
    assert run(capsys, "rig", workshop.model, source, "-o", out).code == 0
    np.testing.assert_array_equal(read_mesh(out).vertices, read_mesh(source).vertices)
    assert len(read_glb_targets(out).names) == 19
    again = run(capsys, "rig", workshop.model, out, "-o", tmp_path / "again.glb")
    assert (
        again.code == 2 and "already has 19 morph targets" in again.err and "--existing replace" in again.err
    )
    wrong = run(capsys, "rig", workshop.model, out, "--existing", "replaced", "-o", tmp_path / "again.glb")
    assert wrong.code == 2 and "did you mean 'replace'" in wrong.err
    args = ("rig", workshop.model, out, "--existing", "replace", "-o", tmp_path / "again.vrm")
    assert run(capsys, *args).code == 0
    assert read_glb_targets(tmp_path / "again.vrm").names == read_glb_targets(out).names


def test_transfer_and_clip_keep_order_and_unit(workshop: Workshop, capsys: Capture, tmp_path: Path) -> None:
    head, smiling = workshop.root / "head.obj", tmp_path / "smiling.obj"
    there = workshop.posed(mouthSmile_L=1.0, mouthSmile_R=1.0)
    write_obj(smiling, there, workshop.mesh)
    out = tmp_path / "again.obj"
    told = run(
        capsys, "transfer", workshop.model, "--expression", smiling, "--expression-neutral", head,
        "--onto", head, "-o", out,
    )  # fmt: skip
    assert told.code == 0
    mesh = read_mesh(out)
    np.testing.assert_array_equal(mesh.faces, workshop.mesh.faces)
    np.testing.assert_array_equal(mesh.uv_faces, workshop.mesh.uv_faces)
    skin = slice(0, workshop.rows)
    left = np.linalg.norm(mesh.vertices - there, axis=1)[skin].mean()
    assert left < 0.75 * np.linalg.norm(workshop.mesh.vertices - there, axis=1)[skin].mean()
    clip = tmp_path / "clip.pc2"
    assert run(capsys, "animate", workshop.model, head, "-e", "smile", "--fps", "6", "-o", clip).code == 0
    np.testing.assert_allclose(read_pc2(clip)[0], workshop.mesh.vertices, atol=1e-8)


def test_register_reports_and_its_landmarks_come_back(
    workshop: Workshop, capsys: Capture, tmp_path: Path
) -> None:
    out = tmp_path / "on.obj"
    told = run(capsys, "register", workshop.root / "head.obj", "--onto", workshop.model, "-o", out, "--json")
    assert told.code == 0
    report = told.json
    assert report["unit"] == "meters" and report["mean_mm"] < 0.2
    (eyes,) = report["pieces"]  # both are in one material
    assert eyes["kind"] == "eye" and eyes["pieces"] == 2 and eyes["behavior"].startswith("rests")
    assert eyes["name"] == "eyes" and eyes["told_by"] == "name"
    assert tree(tmp_path) == ["on.json", "on.obj", "on.png", "on_landmarks.csv"]
    names, points = read_landmarks(tmp_path / "on_landmarks.csv", any_unit=True)
    assert "ibug_30" in names and np.ptp(points, axis=0).max() < 0.4  # in meters
    again = run(
        capsys, "register", workshop.root / "head.obj", "--onto", workshop.model, "-o", tmp_path / "b.obj",
        "--landmarks", tmp_path / "on_landmarks.csv", "--json",
    )  # fmt: skip
    assert again.json["landmark_mm"] < 1.0
    first, second = read_mesh(out).vertices, read_mesh(tmp_path / "b.obj").vertices
    apart = np.linalg.norm(procrustes(second, first, scale=True).apply(second) - first, axis=1)
    # It is placed a little otherwise, and the rim of the mask may slide: not the face within.
    assert apart.mean() < 1.5 and np.quantile(apart, 0.95) < 4


def test_what_is_no_face_is_refused_and_leaves_nothing(
    workshop: Workshop, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.find.face.ALL_TURNS", LIKELY)  # a ball looks the same from the other twenty
    vertices, faces = ball(np.zeros(3), 100.0)
    write_ply(tmp_path / "ball.ply", vertices, faces)
    told = run(capsys, "rig", workshop.model, tmp_path / "ball.ply", "-o", tmp_path / "rig.glb")
    assert "no face can be found on 'ball'" in told.sentence and "landmarks" in told.sentence
    assert tree(tmp_path) == ["ball.ply"]


def test_landmarks_belong_to_the_mesh_that_they_name(tmp_path: Path) -> None:
    first, second = tmp_path / "a.obj", tmp_path / "b.obj"
    marks = Marks.of(["a.csv"], first, second)
    assert (marks[first], marks[second]) == (Path("a.csv"), None)
    marks = Marks.of(["b.obj=b.csv", f"{first}=a.csv"], first, None, second)
    assert marks == {first: Path("a.csv"), second: Path("b.csv")}
    with pytest.raises(UnknownName, match=r"c\.obj"):
        Marks.of(["c.obj=c.csv"], first, second)
    with pytest.raises(UnknownName):
        Marks.of(["c.csv"])


def test_pieces_belong_to_the_mesh_that_they_name(tmp_path: Path) -> None:
    first, second = tmp_path / "a.obj", tmp_path / "b.obj"
    given = ["Rims=glasses", "b.obj=Jaw=lower teeth", f"{second}=a=b=hat", "b.obj=skin"]
    marks = Marks.of([], first, None, second, pieces=given)
    assert marks.pieces == {
        first: {"Rims": "glasses", "b.obj": "skin"}, second: {"Jaw": "lower teeth", "a=b": "hat"},
    }  # fmt: skip
    assert Marks.of([], first, pieces=["c.obj=x=hat"]).pieces == {first: {"c.obj=x": "hat"}}
    with pytest.raises(BadSetting, match="needs the mesh"):
        Marks.of([], None, pieces=["x=hat"])


def test_every_command_that_takes_a_head_takes_its_landmarks(capsys: Capture) -> None:
    for name in ("register", "rig", "animate", "transfer", "neutralize", "reconstruct", "interpolate", "view",
                 "share", "generate"):  # fmt: skip
        assert "--landmarks" in run(capsys, name, "--help").out, name
