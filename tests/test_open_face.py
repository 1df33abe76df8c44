"""open_face: any head in, results back on the file as it came, with everything said and nothing printed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import Studio, run
from heads import Z_UP, Workshop
from meshes import read_pc2
from remembered import laying_once

import mien
from mien.apply import OpenedFace, Signal, write_clip
from mien.apply.heads import landmark_positions
from mien.data.arkit import meets_of
from mien.errors import BadFile, BadMesh, BadSetting, Unsupported
from mien.geometry.registration import main_piece
from mien.io.glb import Document
from mien.io.gltf import read_glb_targets
from mien.io.landmarks import write_landmarks
from mien.io.materials import Material
from mien.models.base import FaceModel

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def model(workshop: Workshop) -> FaceModel:
    return mien.load_model(str(workshop.model))


@pytest.fixture(scope="module")
def opened(workshop: Workshop, model: FaceModel) -> OpenedFace:
    """The stranger's head, of another topology, in meters and Z up."""
    with laying_once():
        return mien.open_face(workshop.root / "head.obj", model)


@pytest.fixture(scope="module")
def small(studio: Studio) -> FaceModel:
    """A model of 120 vertices."""
    return mien.load_model(str(studio.model))


# ---- another topology


def test_three_lines_of_python_write_what_the_command_writes(
    workshop: Workshop, model: FaceModel, opened: OpenedFace, capsys: Capture, tmp_path: Path
) -> None:
    capsys.readouterr()
    assert opened.write_rig(tmp_path / "python.glb", mien.rig(model, opened.vertices)) == ()
    assert capsys.readouterr() == ("", ""), "nothing is printed"
    command = tmp_path / "command.glb"
    assert run(capsys, "rig", workshop.model, workshop.root / "head.obj", "-o", command).code == 0
    assert command.read_bytes() == (tmp_path / "python.glb").read_bytes()


def test_a_head_of_another_topology_says_what_was_decided(opened: OpenedFace, model: FaceModel) -> None:
    assert opened.registered and opened.registration is not None and opened.turns_eyes
    assert opened.vertices.shape == model.topology.template.shape
    assert opened.decision.unit == "meters" and opened.registration.quality.mean_mm < 0.2
    note, pieces = opened.notes
    assert "in meters; turned to +Y up" in note and "mm from the surface" in note
    assert "2 x eye (eyes; by name)" in pieces and "--piece NAME=KIND" in pieces


def test_what_does_not_move_stays_bit_by_bit(opened: OpenedFace, tmp_path: Path) -> None:
    opened.write(tmp_path / "same.obj", opened.vertices)
    mesh = mien.read_mesh(tmp_path / "same.obj")
    np.testing.assert_array_equal(mesh.vertices, opened.mesh.vertices)
    np.testing.assert_array_equal(mesh.uv_faces, opened.mesh.uv_faces)
    assert mesh.names() == ("skin", "eyes")
    upright = opened.mesh.vertices.astype(np.float64) @ Z_UP * 1000
    np.testing.assert_allclose(opened.in_millimeters(opened.vertices), upright, rtol=3e-7, atol=1e-5)
    smaller = opened.vertices * np.float32(0.99)
    opened.write_frames(tmp_path / "clip", np.stack([opened.vertices, smaller]))
    frames = [mien.read_mesh(path).vertices for path in sorted((tmp_path / "clip").glob("*.obj"))]
    np.testing.assert_array_equal(frames[0], opened.mesh.vertices)
    np.testing.assert_array_equal(frames[1], opened.carried(smaller))


def test_correctives_go_around_eyeballs_and_are_driven(
    workshop: Workshop, model: FaceModel, opened: OpenedFace, tmp_path: Path
) -> None:
    made, _, _ = mien.apply.rig_by_names(model, opened, "arkit")
    clip = np.zeros((3, len(made.names)), np.float32)
    blink, jaw, smile = (made.names.index(name) for name in ("eyeBlinkLeft", "jawOpen", "mouthSmileLeft"))
    clip[1, blink], clip[2, blink], clip[2, jaw], clip[2, smile] = 0.5, 1.0, 0.8, 0.5
    opened.write_rig(tmp_path / "rig.glb", made, clip=clip, correctives=True)
    found = read_glb_targets(tmp_path / "rig.glb")
    table = json.loads((tmp_path / "rig_correctives.json").read_text())["correctives"]
    assert list(found.names) == [*made.names, *(item["target"] for item in table)]
    assert {"eyeBlinkLeft50", "jawOpen_mouthSmileLeft"} <= set(found.names)
    assert table[0] == {"target": "eyeBlinkLeft50", "drivers": ["eyeBlinkLeft"], "rule": "linear between",
                        "points": [[0, 0], [0.5, 1], [1, 0]]}  # fmt: skip
    change = dict(zip(found.names, found.targets - found.base, strict=True))
    rows, eye = slice(0, workshop.rows), workshop.person.eyes[0]
    depth = [
        np.linalg.norm(posed[rows] - eye, axis=1).min() - np.linalg.norm(found.base[rows] - eye, axis=1).min()
        for posed in (found.base + 0.5 * change["eyeBlinkLeft"],
                      found.base + 0.5 * change["eyeBlinkLeft"] + change["eyeBlinkLeft50"])
    ]  # fmt: skip
    assert depth[0] < -0.2 and depth[1] > -0.05, depth
    assert found.animation is not None
    columns = [found.names.index(name) for name in ("eyeBlinkLeft50", "jawOpen_mouthSmileLeft")]
    np.testing.assert_allclose(found.animation[0][:, columns], [[0, 0], [1, 0], [0, 0.4]], atol=1e-6)


def test_lids_meet_in_clips_of_meshes_as_in_rigs(
    workshop: Workshop, model: FaceModel, opened: OpenedFace, tmp_path: Path
) -> None:
    names, weights = ("eye_closed",), np.zeros((3, len(model.expressions)), np.float32)
    weights[1:, model.expressions.index("eye_closed")] = 0.5, 1.0
    made = mien.rig(model, opened.vertices, names)
    closed, parted = opened.carried(made.targets, meets=meets_of(names))[0], opened.carried(made.targets)[0]
    assert np.linalg.norm(closed - parted, axis=1).max() > 3e-4  # meters
    write_clip(tmp_path / "clip.pc2", model, opened, Signal(weights))
    write_clip(tmp_path / "frames", model, opened, Signal(weights))
    frames = read_pc2(tmp_path / "clip.pc2")
    np.testing.assert_allclose(frames[2], closed, atol=1e-6)
    last = sorted((tmp_path / "frames").glob("*.obj"))[-1]
    np.testing.assert_allclose(mien.read_mesh(last).vertices, closed, atol=1e-6)


def test_another_pose_of_the_same_mesh_is_followed_vertex_by_vertex(
    workshop: Workshop, model: FaceModel, opened: OpenedFace, tmp_path: Path
) -> None:
    there = workshop.posed(mouthSmile_L=1.0, mouthSmile_R=1.0)
    smiling = opened.posed(replace(workshop.mesh, vertices=there, path=None), model)
    assert smiling.registration is opened.registration and smiling.notes == ()
    # The smile, carried from the template back to the mesh, is the smile of the mesh.
    skin, truth = slice(0, workshop.rows), there - workshop.mesh.vertices
    again = smiling.carried(smiling.vertices) - workshop.mesh.vertices
    lost = np.linalg.norm(again - truth, axis=1)[skin].mean() / np.linalg.norm(truth, axis=1)[skin].mean()
    # The inside of the mouth goes with its bones. 0.33 to 0.41 by the last bits of what the networks see.
    assert lost < 0.45, "without following it would be 1"
    smiling.write(tmp_path / "smile.obj", smiling.vertices)
    np.testing.assert_array_equal(mien.read_mesh(tmp_path / "smile.obj").faces, workshop.mesh.faces)


def test_a_glb_of_another_topology_keeps_nodes_and_materials(
    workshop: Workshop, model: FaceModel, opened: OpenedFace, tmp_path: Path
) -> None:
    source, out = tmp_path / "head.glb", tmp_path / "rig.glb"
    looks = {"skin": Material((0.5, 0.25, 1.0)), "eyes": Material((1.0, 1.0, 1.0), 0.5)}
    mien.write_glb(
        source, workshop.mesh.vertices @ Z_UP * 1000, workshop.mesh, name="her head", materials=looks
    )
    assert opened.registration is not None
    names, points = opened.registration.landmarks()
    marks = dict(zip(names, points @ Z_UP, strict=True))  # where the face is need not be looked for again
    face = mien.open_face(mien.read_mesh(source), model, marks)  # in memory, and yet all of its file
    assert face.registered and face.write_rig(out, mien.rig(model, face.vertices)) == ()
    before, after = Document(source).json, Document(out).json
    assert after["nodes"] == before["nodes"] and after["nodes"][0]["name"] == "her head"
    assert after["materials"] == before["materials"]
    np.testing.assert_array_equal(mien.read_mesh(out).vertices, mien.read_mesh(source).vertices)
    assert read_glb_targets(out).names == model.expressions


def test_a_scan_of_points_with_landmarks(
    workshop: Workshop, model: FaceModel, opened: OpenedFace, tmp_path: Path
) -> None:
    assert opened.registration is not None
    names, points = opened.registration.landmarks()
    marks = dict(zip(names, points, strict=True))
    skin = workshop.mesh.vertices[: workshop.rows]
    scan = mien.Mesh(skin, np.zeros((0, 3), np.int32), name="scan")
    face = mien.open_face(scan, model, landmarks={name: marks[name].tolist() for name in names[::4]})
    assert face.registration is not None and face.registration.quality.mean_mm < 0.5
    found = face.registration.landmarks()[1]
    off = np.linalg.norm(1000 * (found - points), axis=1)
    on_skin = np.isin(names, main_piece(model.topology)[1].landmarks.names)  # pupils go with their eyeballs
    given = on_skin & (np.arange(len(names)) % 4 == 0)
    assert off[given].max() < 1.5 and off.mean() < 2.5, "millimeters from where the mesh's triangles put them"
    moved = opened.vertices + np.float32(1.0)
    assert face.carried(moved).shape == skin.shape
    with pytest.raises(BadMesh, match="faces"):
        face.write_rig(tmp_path / "rig.usda", mien.rig(model, face.vertices))
    face.write_rig(tmp_path / "rig.glb", mien.rig(model, face.vertices))
    assert len(read_glb_targets(tmp_path / "rig.glb").base) == workshop.rows
    # A file of the same landmarks says the same.
    write_landmarks(tmp_path / "marks.csv", tuple(marks), points * 1000)
    read = landmark_positions(tmp_path / "marks.csv")
    np.testing.assert_allclose(list(read.values()), 1000 * points, atol=1e-2)


# ---- the model's own topology


def test_the_models_own_topology_is_taken_as_it_is(small: FaceModel, tmp_path: Path) -> None:
    person = small.topology.template * np.float32(1.03)
    mien.write_obj(tmp_path / "head.obj", person @ Z_UP.T / 10, small.topology)
    mesh = mien.read_mesh(tmp_path / "head.obj")
    face = mien.open_face(tmp_path / "head.obj", small)
    np.testing.assert_allclose(face.vertices, person, atol=1e-4)
    assert face.registration is None and not face.turns_eyes
    assert (
        len(face.notes) == 1 and "head.obj: in centimeters" in face.notes[0] and "+Z was up" in face.notes[0]
    )
    moved = face.vertices.copy()
    moved[7] += (10, 20, 30)
    face.write(tmp_path / "moved.obj", moved)
    change = mien.read_mesh(tmp_path / "moved.obj").vertices - mesh.vertices
    np.testing.assert_array_equal(np.delete(change, 7, axis=0), 0)
    np.testing.assert_allclose(change[7], (1, -3, 2), atol=1e-5)


def test_a_mesh_in_memory_is_a_head_as_good_as_a_file(small: FaceModel, tmp_path: Path) -> None:
    mien.write_obj(tmp_path / "head.obj", small.topology.template, small.topology)
    mesh = mien.read_mesh(tmp_path / "head.obj")
    from_file = mien.open_face(tmp_path / "head.obj", small)
    in_memory = mien.open_face(replace(mesh, path=None), small)
    assert from_file.notes == in_memory.notes == (), "nothing was changed, nothing is to be said"
    for name, face in (("file", from_file), ("memory", in_memory)):
        face.write_rig(tmp_path / f"{name}.glb", mien.rig(small, face.vertices))
    assert (tmp_path / "file.glb").read_bytes() == (tmp_path / "memory.glb").read_bytes()


def test_a_glb_of_the_models_topology_keeps_its_nodes_unless_its_vertices_were_moved(
    small: FaceModel, tmp_path: Path
) -> None:
    template = small.topology.template
    mien.write_glb(tmp_path / "head.glb", template, small.topology, name="her head")
    face = mien.open_face(tmp_path / "head.glb", small)
    face.write_rig(tmp_path / "rig.glb", mien.rig(small, face.vertices))
    assert Document(tmp_path / "rig.glb").json["nodes"][0]["name"] == "her head"
    mesh = mien.read_mesh(tmp_path / "head.glb")
    np.testing.assert_array_equal(mien.read_mesh(tmp_path / "rig.glb").vertices, mesh.vertices)
    larger = mien.open_face(replace(mesh, vertices=mesh.vertices * np.float32(1.02)), small)
    larger.write(tmp_path / "larger.glb", larger.vertices)
    np.testing.assert_allclose(
        mien.read_mesh(tmp_path / "larger.glb").vertices, 1.02 * mesh.vertices, atol=1e-7
    )


def test_a_texture_that_a_usd_cannot_take_is_noted(small: FaceModel, tmp_path: Path) -> None:
    pytest.importorskip("pxr")
    mien.write_obj(tmp_path / "head.obj", small.topology.template, small.topology)
    face = mien.open_face(tmp_path / "head.obj", small)
    made = mien.rig(small, face.vertices)
    (note,) = face.write_rig(tmp_path / "rig.usda", made, texture=tmp_path / "skin.png")
    assert "texture is left out" in note and face.write_rig(tmp_path / "rig.usda", made) == ()


# ---- what is no head


def test_what_is_wrong_is_said_in_one_sentence(small: FaceModel, tmp_path: Path) -> None:
    template, faces = small.topology.template, small.topology.faces
    mesh = mien.Mesh(template, faces)
    hole = replace(mesh, vertices=np.where(np.arange(len(template))[:, None] == 3, np.nan, template))
    wrong = (
        (small, mesh, None, BadSetting, "a mesh file or a Mesh, and then the model"),
        (template, small, None, BadSetting, "received ndarray"),
        (tmp_path / "nowhere.obj", small, None, BadFile, "does not exist"),
        (tmp_path / "head.doc", small, None, BadFile, "not of a known mesh kind"),
        (hole, small, None, BadMesh, "not finite"),
        (replace(mesh, vertices=template * np.float32(40)), small, None, BadMesh, "no face in millimeters"),
        (mesh, small, {"nose": (1, 2)}, BadSetting, "landmark 'nose' is no position"),
        (mesh, small, {"nose": (1, 2, float("nan"))}, BadSetting, "three finite numbers"),
        (mesh, small, {"nose": (1, 2, 3)}, BadMesh, "three or more"),
        (replace(mesh, faces=faces[:-9]), small, None, BadMesh, "not all its"),
        (replace(mesh, faces=faces + 1), small, None, BadMesh, "does not have.*count vertices from 0"),
        (replace(mesh, vertices=template[:, :2]), small, None, BadMesh, r"\(N, 3\) and faces"),
    )  # fmt: skip
    for source, model, landmarks, kind, sentence in wrong:
        with pytest.raises(kind, match=sentence) as raised:
            mien.open_face(source, model, landmarks)
        assert str(raised.value).endswith(".") and "\n" not in str(raised.value)
    face = mien.open_face(mesh, small)
    with pytest.raises(BadSetting, match="as GLB or USD"):
        face.write_rig(tmp_path / "rig.max", mien.rig(small, face.vertices))
    with pytest.raises(BadFile, match="cannot write the mesh kind"):
        face.write(tmp_path / "face.stl", face.vertices)
    assert not list(tmp_path.iterdir())


def test_a_texture_of_the_model_needs_its_coordinates(opened: OpenedFace) -> None:
    with pytest.raises(Unsupported, match="this mesh has others"):
        opened.in_model_uv()


def test_the_low_level_reader_names_open_face(small: FaceModel, workshop: Workshop) -> None:
    with pytest.raises(mien.MienError, match=r"mien\.open_face"):
        mien.read_face(workshop.root / "head.obj", small.topology)
