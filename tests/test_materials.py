"""Materials of a user's OBJ or GLB: colors and pictures come through to OBJ, GLB and USD."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.apply import OpenedFace
from mien.geometry.alignment import FrameDecision
from mien.io.glb import Document
from mien.io.gltf import write_glb
from mien.io.materials import Material, beside, read_materials, read_mtl
from mien.io.mesh import read_mesh
from mien.topology import Topology

OBJ = """mtllib my look.mtl
v 0 0 0
v 1 0 0
v 1 1 0
v 0 1 0
vt 0 0
vt 1 0
vt 1 1
vt 0 1
usemtl face skin
f 1/1 2/2 3/3
usemtl lashes
f 1/1 3/3 4/4
"""
MTL = """# exported
newmtl face skin
Kd 0.5 0.25 1 # a tint
map_Kd -s 1 1 1 -clamp on maps\\skin tone.png
newmtl lashes
Kd 0.1 0.1 0.1
d 0.4
map_Kd /home/her/art/lash.jpg
newmtl unused
map_Kd ../secret.png
Kd nonsense
"""


def picture(color: tuple[int, int, int], kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), color).save(file, kind)
    return file.getvalue()


@pytest.fixture
def head(tmp_path: Path) -> Path:
    """An OBJ with its library, pictures in a folder of their own and beside, and a secret outside."""
    folder = tmp_path / "art"
    (folder / "maps").mkdir(parents=True)
    (folder / "head.obj").write_text(OBJ)
    (folder / "my look.mtl").write_text(MTL)
    (folder / "maps" / "skin tone.png").write_bytes(picture((200, 10, 10)))
    (folder / "lash.jpg").write_bytes(picture((0, 0, 0), "JPEG"))
    (tmp_path / "secret.png").write_bytes(picture((1, 2, 3)))
    return folder / "head.obj"


def test_library_is_read_and_pictures_stay_inside(head: Path) -> None:
    found, notes = read_materials(read_mesh(head))
    skin, lashes, unused = (found[name] for name in ("face skin", "lashes", "unused"))
    assert skin.color == (0.5, 0.25, 1.0) and skin.opacity == 1
    assert skin.picture is not None and skin.picture.data == picture((200, 10, 10))
    # An absolute name of another machine is found beside the library by its last part.
    assert lashes.picture is not None and lashes.picture.kind == "image/jpeg" and lashes.opacity == 0.4
    assert unused == Material() and len(notes) == 1 and "'../secret.png' is not there" in notes[0]
    for name in (
        "../secret.png",
        "..\\secret.png",
        "/etc/passwd",
        "C:\\secret.png",
        "maps/../../secret.png",
        "",
    ):
        assert beside(head.parent, name) is None, name


def test_what_is_missing_is_said_once(head: Path) -> None:
    (head.parent / "maps" / "skin tone.png").write_bytes(b"GIF89a")
    (head.parent / "lash.jpg").unlink()
    notes = read_mtl(head.parent / "my look.mtl")[1]
    assert [("neither PNG nor JPEG" in note, "not there" in note) for note in notes] == [
        (True, False), (False, True), (False, True)
    ]  # fmt: skip
    (head.parent / "my look.mtl").unlink()
    assert read_materials(read_mesh(head)) == (
        {},
        ["head: its materials are left out, as 'my look.mtl' is not beside it."],
    )


def test_glb_has_them_and_gives_them_back(head: Path, tmp_path: Path) -> None:
    mesh = read_mesh(head)
    materials = read_materials(mesh)[0]
    write_glb(tmp_path / "head.glb", mesh.vertices, mesh, materials=materials)
    document = Document(tmp_path / "head.glb").json
    skin, lashes = document["materials"]
    assert (skin["name"], lashes["name"]) == ("face skin", "lashes")
    assert (
        skin["pbrMetallicRoughness"]["baseColorFactor"] == [0.5, 0.25, 1.0, 1.0] and "alphaMode" not in skin
    )
    assert lashes["pbrMetallicRoughness"]["baseColorFactor"] == [0.1, 0.1, 0.1, 0.4]
    assert lashes["alphaMode"] == "BLEND" and len(document["images"]) == 2
    again, notes = read_materials(read_mesh(tmp_path / "head.glb"))
    assert not notes and set(again) == {"face skin", "lashes"}
    for name in again:
        assert again[name].color == materials[name].color and again[name].opacity == materials[name].opacity
        theirs, ours = again[name].picture, materials[name].picture
        assert theirs is not None and ours is not None and theirs.data == ours.data


def test_obj_takes_its_library_along(head: Path, tmp_path: Path) -> None:
    mesh = read_mesh(head)
    topology = Topology("square", mesh.faces, mesh.vertices)
    decision = FrameDecision("millimeters", 1.0, np.eye(3), "")
    face, out = OpenedFace(mesh.vertices, mesh, topology, decision), tmp_path / "out"
    (out / "maps").mkdir(parents=True)
    (out / "lash.jpg").write_bytes(b"mine")
    assert face.write(out / "new.obj", mesh.vertices + 1) == ()
    text = (out / "new.obj").read_text()
    assert "mtllib my look.mtl" in text and "usemtl face skin" in text
    assert (out / "my look.mtl").read_text() == MTL
    assert (out / "maps" / "skin tone.png").read_bytes() == picture((200, 10, 10))
    assert (out / "lash.jpg").read_bytes() == b"mine" and not list(out.glob("**/secret*"))
    missing = face.write(out / "new.glb", mesh.vertices)
    assert len(missing) == 1 and "'../secret.png' is not there" in missing[0]
    known = face.with_materials()
    assert known.notes == missing and known.write(out / "new.glb", mesh.vertices) == ()


def test_usd_has_them(head: Path, tmp_path: Path) -> None:
    pytest.importorskip("pxr")
    from pxr import Usd, UsdShade

    from mien.io.usd import write_usd

    mesh = read_mesh(head)
    materials = read_materials(mesh)[0]
    write_usd(
        tmp_path / "head.usda", mesh.vertices, mesh, mesh.vertices[None] + 1, ["smile"], materials=materials
    )
    stage = Usd.Stage.Open(str(tmp_path / "head.usda"))
    skin = UsdShade.Shader(stage.GetPrimAtPath("/face/materials/face_skin/picture"))
    asset = skin.GetInput("file").Get()
    assert Path(asset.resolvedPath).read_bytes() == picture((200, 10, 10))
    assert not Path(asset.path).is_absolute()
    np.testing.assert_allclose(skin.GetInput("scale").Get(), (0.5, 0.25, 1, 1))
    surface = UsdShade.Shader(stage.GetPrimAtPath("/face/materials/lashes/surface"))
    assert surface.GetInput("opacity").Get() == pytest.approx(0.4)
    color = surface.GetInput("diffuseColor").GetConnectedSource()[0].GetPath()
    assert color == "/face/materials/lashes/picture"
