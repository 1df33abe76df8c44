"""The studio without a browser: what it shows, loads and exports, against known answers."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures import EXPRESSIONS
from heads import remeshed
from viewers import faces_of, obj_bytes, painted_files, small_model, small_studio, world

from mien import apply
from mien.apply import OpenedFace
from mien.errors import MienError
from mien.geometry.named_pieces import NamedPieces
from mien.geometry.placement import Placement
from mien.geometry.registration import Quality, Registration
from mien.io.glb import Document
from mien.io.gltf import read_glb_targets, write_glb
from mien.io.mesh import read_mesh
from mien.io.record import assemble
from mien.viewer import uploads
from mien.viewer.appearance import appearance_of, slits
from mien.viewer.axes import identity_axes
from mien.viewer.studio import Studio
from mien.viewer.wire import unpack

SMILE = world().expression_axes[0]
HEAD = (world().neutrals[3] + 0.4 * np.sin(np.arange(360)).reshape(120, 3)).astype(np.float32)
LAUGH = (world().neutrals[5] + SMILE).astype(np.float32)


def shown(studio: Studio, action: str = "refresh", /, **arguments: object) -> np.ndarray:
    return faces_of(studio, studio.act(action, arguments))[0]


def test_sliders_move_the_face_by_the_planted_field() -> None:
    studio = small_studio()
    rest = shown(studio)
    assert np.allclose(rest, world().neutrals.mean(axis=0), atol=0.02)
    smiling = shown(studio, "set_weight", name="smile", value=0.5)
    assert np.allclose(smiling - rest, 0.5 * SMILE, atol=0.02)
    twice = shown(studio, "set_intensity", value=2)
    assert np.allclose(twice - rest, SMILE, atol=0.04)
    assert np.allclose(shown(studio, "set_intensity", value=0), rest, atol=1e-3)
    assert np.allclose(shown(studio, "undo"), twice) and np.allclose(shown(studio, "undo"), smiling)
    assert np.allclose(shown(studio, "reset"), rest)


def test_identity_sliders_are_the_principal_axes_in_standard_deviations() -> None:
    axes = identity_axes(small_model())
    assert len(axes) == 4 and (np.diff(axes.millimeters) <= 0).all() and len(set(axes.names)) == 4
    studio = small_studio()
    rest = shown(studio)
    for axis in range(4):
        moved = shown(studio, "set_identity", axis=axis, value=2.0) - rest
        assert np.linalg.norm(moved, axis=1).mean() == pytest.approx(2 * axes.millimeters[axis], rel=0.02)
        studio.act("undo", {})
    fields = np.stack([shown(studio, "set_identity", axis=k, value=1.0) for k in range(2)])
    alone = fields[1] - fields[0]  # the second on top of the first
    assert abs((alone * (fields[0] - rest)).sum()) < 0.02 * (alone**2).sum()


def test_a_loaded_head_is_shown_exactly_and_wears_what_transfer_makes(tmp_path: Path) -> None:
    studio = small_studio()
    head = faces_of(studio, studio.load("my_head.obj", obj_bytes(HEAD, tmp_path)))[0]
    assert np.abs(head - HEAD).max() < 1e-3
    assert "millimeters" in studio.history.state.somebody.note
    laugh = studio.add_head("laugh", LAUGH, "")
    studio.act("pick", {"key": "loaded-1"})
    worn = shown(studio, "set_performer", key=laugh.key)
    expected = apply.transfer(small_model(), LAUGH, HEAD, keep_detail=True)
    assert np.allclose(worn, expected, atol=2e-3)
    assert np.allclose(worn - HEAD, SMILE, atol=0.5)
    plain = shown(studio, "set_detail", value=False)
    assert np.allclose(plain, apply.transfer(small_model(), LAUGH, HEAD), atol=2e-3)
    studio.act("pick", {"key": laugh.key})
    studio.act("set_performer", {"key": None})
    assert np.allclose(
        shown(studio, "set_own", value=False), apply.neutralize(small_model(), LAUGH), atol=2e-3
    )


def test_heat_is_the_distance_in_millimeters(tmp_path: Path) -> None:
    studio = small_studio()
    studio.load("head.obj", obj_bytes(HEAD, tmp_path))
    answer = studio.act("set_heat", {"kind": "scan"})
    head, numbers = unpack(answer)
    sizes = dict(head["panes"][0]["arrays"])
    heat = numbers[sum(sizes.values()) - sizes["heat"] :]
    expected = np.linalg.norm(apply.reconstruct(small_model(), HEAD) - HEAD, axis=1)
    assert np.allclose(heat, expected, atol=2e-3) and heat.mean() > 0.1
    assert head["panes"][0]["mean"] == pytest.approx(expected.mean(), abs=1e-3)


def test_models_stand_side_by_side_and_a_refusal_stays_in_its_pane() -> None:
    studio = small_studio("morphable", "deformation_transfer")
    studio.act("pick", {"key": "training-0"})
    both = faces_of(studio, studio.act("set_weight", {"name": "smile", "value": 1}))
    assert len(both) == 2 and np.linalg.norm(both[0] - both[1], axis=1).mean() < 0.6
    about, numbers = unpack(studio.act("set_heat", {"kind": "models"}))
    heat = numbers[-len(HEAD) :]
    assert np.allclose(heat, np.linalg.norm(both[1] - both[0], axis=1), atol=1e-3)
    assert about["panes"][0]["mean"] == 0 and about["panes"][1]["mean"] == pytest.approx(
        heat.mean(), abs=1e-3
    )
    laugh = studio.add_head("laugh", LAUGH, "")
    studio.act("pick", {"key": "training-0"})
    head, _ = unpack(studio.act("set_performer", {"key": laugh.key}))
    assert head["panes"][0]["problem"] == "" and "rest" in head["panes"][1]["problem"]
    rest = studio.add_head("rest", world().neutrals[5].astype(np.float32), "")
    studio.act("pick", {"key": "training-0"})
    studio.act("set_rest", {"key": laugh.key, "rest": rest.key})
    worn = faces_of(studio, studio.act("set_performer", {"key": laugh.key}))
    assert len(worn) == 2 and np.allclose(worn[0], worn[1], atol=1.5)
    assert len(faces_of(studio, studio.act("set_shown", {"models": [1]}))) == 1
    with pytest.raises(MienError, match="numbered"):
        studio.act("set_shown", {"models": [2]})


def test_a_clip_rises_to_the_pose_and_falls_back() -> None:
    studio = small_studio()
    rest = shown(studio)
    posed = shown(studio, "set_pose", pose={"smile": 0.8, "jaw_open": 0.5})
    studio.act("add_move", {"at": 0.2})
    studio.act("set_pose", {"pose": {}})
    head, numbers = unpack(studio.clip())
    frames = numbers.reshape(head["frames"], -1, 3)
    assert head["frames"] == 91 and np.allclose(frames[[0, -1]], rest, atol=1e-3)
    assert np.allclose(frames[18], posed, atol=1e-3)  # onset 0.2 s, apex 0.6 s


def test_a_recording_plays_on_the_time_line() -> None:
    studio = small_studio()
    rest = shown(studio)
    lines = ["smile,tongue"] + [f"{min(k, 30) / 30:.3f},1" for k in range(61)]
    head, _ = unpack(studio.load("take one.csv", "\n".join(lines).encode()))
    take = head["state"]["take"]
    assert take["name"] == "take one" and "tongue" in take["notes"][1] and head["state"]["duration"] == 2.0
    head, numbers = unpack(studio.clip())
    frames = numbers.reshape(head["frames"], -1, 3)
    assert head["frames"] == 61 and np.allclose(frames[0], rest, atol=1e-3)
    assert np.allclose(frames[15] - rest, 0.5 * SMILE, atol=0.02), "half a smile after half a second"
    studio.act("set_pose", {"pose": {"jaw_open": 1.0}})
    studio.act("add_move", {"at": 0.0})
    assert np.allclose(studio.history.state.curves()[12, :2], [0.4, 1.0], atol=1e-3), "moves come on top"
    studio.act("remove_take", {})
    assert studio.history.state.curves()[:, 0].max() == 0
    assert unpack(studio.act("undo", {}))[0]["state"]["take"]["frames"] == 61
    for bad in (b"", b"smile\nnan", b"nothing,known\n1,2\n3,4", b"\xff\xfe"):
        with pytest.raises(MienError):
            studio.load("bad.csv", bad)


def test_exports_are_files_that_say_the_same(tmp_path: Path) -> None:
    studio = small_studio()
    studio.add_head("Zoë / head", HEAD, "")
    studio.act("set_weight", {"name": "smile", "value": 1})
    face = studio.export("obj")
    (tmp_path / "a.obj").write_bytes(face.data)
    assert face.name == "head_smile.obj"
    assert np.allclose(read_mesh(tmp_path / "a.obj").vertices, shown(studio), atol=1e-3)
    with pytest.raises(MienError, match="time line is empty"):
        studio.export("clip")
    studio.act("add_move", {"at": 0.0})
    (tmp_path / "a.glb").write_bytes(studio.export("clip").data)
    morphs = read_glb_targets(tmp_path / "a.glb")
    assert morphs.names == EXPRESSIONS and np.abs(morphs.base - HEAD).max() < 1e-3
    assert np.allclose(morphs.targets[0] - morphs.base, SMILE, atol=0.5)
    assert morphs.animation is not None and morphs.animation[0][12].tolist() == [1, 0, 0, 0, 0]
    with pytest.raises(MienError, match="unknown export"):
        studio.export("exe")


BAD = {
    "nan.obj": b"v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
    "cut.glb": b"glTF\x02\x00\x00\x00\xff\xff\x00\x00",
    "empty.obj": b"",
    "noise.ply": bytes(range(256)) * 40,
    "picture.png": b"\x89PNG\r\n",
    "../../etc/passwd": b"root",
    "lie.stl": b"solid" + b"\0" * 75 + b"\xff\xff\xff\x7f",
    "bomb.ply": b"ply\nformat ascii 1.0\nelement vertex 999999999999\nproperty float x\nend_header\n1\n",
    "other.obj": b"v 0 0 0\nv 100 0 0\nv 0 100 0\nf 1 2 3\n",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_and_change_nothing(name: str) -> None:
    studio = small_studio()
    before = studio.history.state
    with pytest.raises(MienError) as caught:
        studio.load(name, BAD[name])
    assert "/tmp" not in str(caught.value), "a path of the server is nobody's business"
    assert studio.history.state is before and not studio.history.can_undo


def test_a_mesh_that_would_take_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_VERTICES", 100)
    with pytest.raises(MienError, match="decimate it to 100"):
        small_studio().load("dense.obj", obj_bytes(HEAD, tmp_path))


def test_too_large_and_mirrored_files_are_refused(tmp_path: Path) -> None:
    data = obj_bytes(HEAD, tmp_path)
    with pytest.raises(MienError, match="too large"):
        small_studio(limit=1000).load("head.obj", data)
    with pytest.raises(MienError):
        small_studio().load("mirrored.obj", obj_bytes(HEAD * [-1, 1, 1], tmp_path))
    meters = faces_of(small_studio(), small_studio().load("m.obj", obj_bytes(HEAD / 1000, tmp_path)))[0]
    assert np.allclose(meters, HEAD, atol=0.01), "meters are noticed"


def test_other_models_have_no_identity_sliders_and_say_why() -> None:
    head, _ = unpack(small_studio("deformation_transfer").describe())
    assert head["axes"] == [] and "identity" in head["axes_reason"]
    assert head["can"]["random"] is False and head["models"][0]["anchored"]


def test_looks_of_a_mask_with_slits() -> None:
    from fixtures import sheet

    from mien.topology import Topology

    points, faces = sheet(30, 40, (140, 180))
    template = np.column_stack([points, 60 * (1 - (points[:, 0] / 90) ** 2)]).astype(np.float32)
    holes = [(-35, 35, 14, 7), (35, 35, 14, 7), (0, -40, 25, 6)]
    inside = np.any([
        (np.abs(points[:, 0] - x) < w) & (np.abs(points[:, 1] - y) < h) for x, y, w, h in holes
    ], axis=0)  # fmt: skip
    open_faces = faces[~inside[faces].any(axis=1)]
    used, flat = np.unique(open_faces, return_inverse=True)
    topology = Topology("mask", flat.reshape(-1, 3), template[used])
    eyes, mouth = slits(topology)
    assert len(eyes) == 2 and len(mouth) == 1
    arrays, layout = appearance_of(topology)
    assert layout["colors"] == 3 * len(used) and 0 < arrays[3].min() and arrays[3].max() <= 1
    lips = arrays[2][mouth[0]].mean(axis=0) - arrays[2][0]
    assert lips[0] < -5 and lips[1] < -20, "lips are redder than skin"
    assert slits(world().data.topology) == ([], []), "faces with teeth of their own get no others"


def test_models_of_other_topologies_are_not_compared() -> None:
    from mien.viewer import Engine

    small = small_model()
    other = small.__class__(
        small.topology.__class__("other", small.topology.faces, small.topology.template + 1), EXPRESSIONS
    )
    with pytest.raises(MienError, match="one topology"):
        Studio([Engine("a", small), Engine("b", other)])
    assert torch.is_tensor(other.mean_face)


def foreign_head(document: Document | None = None) -> OpenedFace:
    """HEAD as a mesh of its own: twice the triangles, another order, in meters, in the place of the model."""
    topology = world().data.topology
    remesh = remeshed(topology)
    vertices = (remesh.of(HEAD) / 1000).astype(np.float32)
    mesh = assemble(vertices, np.full(len(remesh.faces), 3), remesh.faces.ravel(), name="game head")
    placement = Placement(np.eye(3), 1000.0, np.zeros(3))
    quality = Quality(0.0, 0.0, 1.0, 0, topology.face_count, None, np.zeros(topology.vertex_count))
    skin, pieces = np.ones(len(vertices), bool), NamedPieces.of(vertices, mesh.faces)
    found = Registration(topology, HEAD, placement, vertices, mesh.faces, skin, pieces, quality)
    head = apply.Head(mesh, found)
    return OpenedFace(HEAD, mesh, topology, head.decision, head=head, document=document)


def test_a_head_of_its_own_topology_is_shown_and_saved_as_its_own_mesh(tmp_path: Path) -> None:
    studio, face = small_studio(), foreign_head()
    mesh = face.mesh
    studio.add_head("game head", face.vertices, face.decision.sentence, face)
    answer = studio.act("refresh", {})
    head, _ = unpack(answer)
    assert head["panes"][0]["appearance"] == "loaded-1" and head["state"]["people"][-1]["foreign"]
    rest = faces_of(studio, answer)[0]
    assert np.abs(rest - 1000 * mesh.vertices).max() < 1e-2, "in millimeters, where the model's faces are"
    layout = unpack(studio.appearance("loaded-1"))[0]["layout"]
    assert layout["faces"] == mesh.faces.size and layout["template"] == mesh.vertices.size
    moved = shown(studio, "set_weight", name="smile", value=1.0) - rest
    truth = remeshed(world().data.topology).of(SMILE)
    assert np.linalg.norm(moved - truth, axis=1).mean() < 0.25 * np.linalg.norm(truth, axis=1).mean()
    assert len(shown(studio, "set_mesh", value=False)) == len(HEAD)
    studio.act("undo", {})
    assert len(shown(studio, "set_heat", kind="rest")) == len(HEAD), "heat lies on the model's mesh"
    studio.act("set_heat", {"kind": "none"})
    studio.act("set_pose", {"pose": {}})
    (tmp_path / "back.obj").write_bytes(studio.export("obj").data)
    back = read_mesh(tmp_path / "back.obj")
    assert np.array_equal(back.faces, mesh.faces) and np.abs(back.vertices - mesh.vertices).max() < 1e-6
    (tmp_path / "rig.glb").write_bytes(studio.export("rig").data)
    morphs = read_glb_targets(tmp_path / "rig.glb")
    assert morphs.base.shape == mesh.vertices.shape and np.abs(morphs.base - rest).max() < 1e-2
    with pytest.raises(MienError, match="mesh of its own"):
        studio.appearance("average")


def test_a_glb_leaves_with_all_it_brought_though_its_upload_is_gone(tmp_path: Path) -> None:
    studio, plain = small_studio(), foreign_head().mesh
    write_glb(tmp_path / "head.glb", 1000 * plain.vertices, plain, name="her head")
    face = foreign_head(Document(tmp_path / "head.glb"))
    (tmp_path / "head.glb").unlink()
    studio.add_head("game head", face.vertices, face.decision.sentence, face)
    for kind in ("glb", "rig"):
        (tmp_path / f"{kind}.glb").write_bytes(studio.export(kind).data)
        assert Document(tmp_path / f"{kind}.glb").json["nodes"][0]["name"] == "her head"


def test_pictures_that_come_with_a_head_are_worn(tmp_path: Path) -> None:
    studio, topology = small_studio(), world().data.topology
    half, count = topology.face_count // 2, topology.vertex_count
    files = painted_files(HEAD, tmp_path)
    picture = files["skin.png"]
    studio.load("look.mtl", files["look.mtl"])
    studio.load("../skin.png", picture)
    head, _ = unpack(studio.load("painted.obj", files["painted.obj"]))
    assert (
        head["panes"][0]["appearance"] == "loaded-1"
        and "not there" not in head["state"]["people"][-1]["note"]
    )
    described, numbers = unpack(studio.appearance("loaded-1"))
    skin, beard = described["layout"]["parts"]
    assert (skin["triangles"], beard["triangles"]) == (half, topology.face_count - half)
    assert base64.b64decode(skin["picture"].split(",")[1]) == picture and not beard["picture"]
    tints = numbers[-5 * count : -2 * count].reshape(-1, 3)
    only = np.setdiff1d(topology.faces[half:], topology.faces[:half])
    seen = [255 * 0.2 ** (1 / 2.2), 255 * 0.1 ** (1 / 2.2), 0]
    np.testing.assert_allclose(tints[only] - seen, 0, atol=1e-3)
    heated, _ = unpack(studio.act("set_heat", {"kind": "rest"}))
    assert "appearance" not in heated["panes"][0]
    (tmp_path / "face.glb").write_bytes(studio.export("glb").data)
    materials = Document(tmp_path / "face.glb").json["materials"]
    assert "baseColorTexture" in materials[0]["pbrMetallicRoughness"]
    with pytest.raises(MienError, match="too large"):
        small_studio(limit=10).load("skin.png", picture)
