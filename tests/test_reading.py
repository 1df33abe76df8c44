"""Files as other programs write them: what they look like survives, and hostile ones are one sentence."""

from __future__ import annotations

import io
import struct
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.errors import BadFile, BadMesh, MienError
from mien.io.colors import from_linear, to_linear
from mien.io.glb import Document
from mien.io.gltf import write_glb
from mien.io.materials import bring_materials, read_materials
from mien.io.mesh import Mesh, read_mesh, write_mesh, write_obj, write_ply

SQUARE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\n"
FACES = "f 1 2 3\nf 1 3 4\n"
CORNERS = [[0, 1, 2], [0, 2, 3]]


def file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def picture(color: tuple[int, int, int] = (200, 10, 10)) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (4, 4), color).save(content, "PNG")
    return content.getvalue()


# ---- OBJ


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_an_obj_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    text = (SQUARE + "usemtl Stirn für Jörg\n" + FACES).replace("\n", "\r\n")
    mesh = read_mesh(file(tmp_path, "a.OBJ", text.encode(encoding)))
    assert mesh.faces.tolist() == CORNERS and len(mesh.vertices) == 4
    assert mesh.names() == ("Stirn für Jörg",)


def test_a_far_mesh_is_centered_in_double_and_written_back_where_it_was(tmp_path: Path) -> None:
    shift = np.array([523412.0, 4612345.0, 312.0])
    near = np.random.default_rng(0).normal(size=(4, 3)).round(6) * 0.1
    text = "".join("v {:.9f} {:.9f} {:.9f}\n".format(*row) for row in (near + shift).tolist()) + FACES
    mesh = read_mesh(file(tmp_path, "a.obj", text))
    assert mesh.offset is not None and np.abs(mesh.vertices).max() < 2
    np.testing.assert_allclose(mesh.placed, near + shift, atol=1e-7, rtol=0)
    np.testing.assert_allclose(np.diff(mesh.vertices, axis=0), np.diff(near, axis=0), atol=1e-6)
    for suffix in ("obj", "ply"):
        write_mesh(tmp_path / f"b.{suffix}", mesh.vertices + np.float32(0.5), mesh)
        again = read_mesh(tmp_path / f"b.{suffix}")
        np.testing.assert_allclose(again.placed, near + shift + 0.5, atol=1e-6, rtol=0)
    assert read_mesh(file(tmp_path, "c.obj", SQUARE + FACES)).offset is None


def test_colors_of_some_vertices_and_weights_before_them(tmp_path: Path) -> None:
    text = "v 0 0 0 1 0 0\nv 1 0 0\nv 1 1 0 1.0 0 1 0\nv 0 1 0 0 0 1\n" + FACES
    mesh = read_mesh(file(tmp_path, "a.obj", text))
    np.testing.assert_array_equal(mesh.colors, [[1, 0, 0], [1, 1, 1], [0, 1, 0], [0, 0, 1]])
    assert len(mesh.notes) == 1 and "1 of 4 vertices have no color" in mesh.notes[0]


def test_all_libraries_and_names_with_number_signs(tmp_path: Path) -> None:
    marks = "usemtl skin#1\nf 1 2 3\nusemtl skin #2\nf 1 3 4\n"
    file(tmp_path, "a.mtl", "newmtl skin#1\nKd 0 1 0\n")
    file(tmp_path, "my b.mtl", "newmtl skin #2\nKd 1 0 0 # red\nnewmtl skin#1\nKd 0 0 0\n")
    for head in ("mtllib a.mtl my b.mtl\n", "mtllib a.mtl\nmtllib my b.mtl\n"):
        mesh = read_mesh(file(tmp_path, "a.obj", head + SQUARE + marks))
        assert mesh.material_files == ("a.mtl", "my b.mtl")
        found, notes = read_materials(mesh)
        assert found["skin#1"].color == (0, 1, 0) and found["skin #2"].color == (1, 0, 0) and not notes
    write_obj(tmp_path / "b.obj", layout=mesh)
    assert read_mesh(tmp_path / "b.obj").material_files == mesh.material_files
    commented = read_mesh(file(tmp_path, "c.obj", head + SQUARE + marks.replace("skin#1", "skin#1 # left")))
    assert read_materials(commented)[0]["skin#1 # left"].color == (0, 1, 0)


def test_pictures_whose_names_are_spelled_otherwise(tmp_path: Path) -> None:
    import unicodedata

    file(tmp_path, unicodedata.normalize("NFD", "Häut.PNG"), picture())
    file(tmp_path, "look.mtl", "newmtl skin\nmap_Kd haut.png\n".replace("a", "ä", 1).replace("mäp", "map")
         .replace("haut", "häut").encode("cp1252"))  # fmt: skip
    mesh = read_mesh(file(tmp_path, "a.obj", "mtllib look.mtl\n" + SQUARE + "usemtl skin\n" + FACES))
    found, notes = read_materials(mesh)
    assert found["skin"].picture is not None and not notes


def test_maps_that_only_a_library_keeps_are_named(tmp_path: Path) -> None:
    file(tmp_path, "look.mtl", "newmtl skin\nKd 1 1 1\nmap_Bump b.png\nmap_Ks s.png\n")
    mesh = read_mesh(file(tmp_path, "a.obj", "mtllib look.mtl\n" + SQUARE + "usemtl skin\n" + FACES))
    assert read_materials(mesh)[1] == [
        "look.mtl: the pictures of map_bump, map_ks are left out of GLB and USD files."
    ]


def test_a_last_line_without_end_and_an_unused_vertex(tmp_path: Path) -> None:
    mesh = read_mesh(file(tmp_path, "a.obj", SQUARE + "v 9 9 9\n" + FACES.rstrip()))
    assert len(mesh.vertices) == 5 and "belong to no face" in mesh.notes[0]


def test_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    text = "# a\r\n\r\n  v 0 0 0\nv 1 \\\n0 0\nv 1 1 0\nf 1 2 \\\n 3\nf 1 2 x\n"
    with pytest.raises(BadMesh, match=r"line 9 .*'x'"):
        read_mesh(file(tmp_path, "a.obj", text))
    with pytest.raises(BadMesh, match=r"line 2 .*'1,5'.*decimal point"):
        read_mesh(file(tmp_path, "b.obj", "v 0 0 0\nv 1,5 0 0\nv 0 1 0\nf 1 2 3\n"))


# ---- colors, texture coordinates and pictures from file to file


def painted() -> Mesh:
    """A square of two triangles with colors, a texture seam and a picture."""
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]], np.float32)
    return Mesh(
        np.array([[0, 0, 0], [90, 0, 0], [90, 90, 0], [0, 90, 9]], np.float32), np.array(CORNERS, np.int32),
        uv=uv, uv_faces=np.array([[0, 1, 2], [4, 2, 3]], np.int32),
        colors=np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.2, 0.4, 0.6]], np.float32),
    )  # fmt: skip


@pytest.mark.parametrize("suffix", ["obj", "ply"])
@pytest.mark.parametrize("seam", [False, True])
def test_colors_and_uv_come_back(tmp_path: Path, suffix: str, seam: bool) -> None:
    mesh = painted()
    if not seam:
        mesh = replace(mesh, uv_faces=mesh.faces)
    write_mesh(tmp_path / f"a.{suffix}", layout=mesh)
    again = read_mesh(tmp_path / f"a.{suffix}")
    np.testing.assert_allclose(again.colors, mesh.colors, atol=0.002)
    np.testing.assert_array_equal(again.uv[again.uv_faces], mesh.uv[mesh.uv_faces])
    np.testing.assert_array_equal(again.faces, mesh.faces)


def test_uv_of_mixed_polygons_in_ply(tmp_path: Path) -> None:
    text = SQUARE + "v 2 0 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nvt .5 .5\nf 1/1 2/2 3/3 4/4\nf 2/5 5/1 3/2\n"
    mesh = read_mesh(file(tmp_path, "a.obj", text))
    write_ply(tmp_path / "a.ply", layout=mesh)
    again = read_mesh(tmp_path / "a.ply")
    assert again.polygons is not None and again.polygons.sizes.tolist() == [4, 3]
    np.testing.assert_array_equal(
        again.uv[again.polygons.uv_corners],
        mesh.uv[mesh.polygons.uv_corners],  # type: ignore[union-attr]
    )
    many = (
        "".join(f"v {np.cos(k)} {np.sin(k)} 0\n" for k in range(300))
        + "f "
        + " ".join(map(str, range(1, 301)))
    )
    write_ply(tmp_path / "b.ply", layout=read_mesh(file(tmp_path, "b.obj", many + "\n")))
    assert read_mesh(tmp_path / "b.ply").polygons.sizes.tolist() == [300]  # type: ignore[union-attr]


def test_vertex_colors_are_linear_in_glb_and_on_white(tmp_path: Path) -> None:
    mesh = painted()
    write_glb(tmp_path / "a.glb", mesh.vertices, mesh)
    document = Document(tmp_path / "a.glb")
    primitive = document.json["meshes"][0]["primitives"][0]
    stored = document.accessor(primitive["attributes"]["COLOR_0"])
    np.testing.assert_allclose(stored[3], [0.0331, 0.1329, 0.3185], atol=1e-4)  # sRGB 0.2, 0.4, 0.6
    assert document.json["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"] == [1, 1, 1, 1]
    np.testing.assert_allclose(from_linear(to_linear(mesh.colors)), mesh.colors, atol=1e-6)
    plain = replace(mesh, colors=None)
    write_glb(tmp_path / "b.glb", mesh.vertices, plain)
    assert "COLOR_0" not in Document(tmp_path / "b.glb").json["meshes"][0]["primitives"][0]["attributes"]


def test_vertex_colors_in_usd(tmp_path: Path) -> None:
    pytest.importorskip("pxr")
    from pxr import Usd, UsdGeom

    from mien.io.usd import write_usd

    mesh = painted()
    write_usd(tmp_path / "a.usda", mesh.vertices, mesh, mesh.vertices[None] + 1, ["smile"])
    stage = Usd.Stage.Open(str(tmp_path / "a.usda"))
    shown = UsdGeom.Mesh(stage.GetPrimAtPath("/face/mesh")).GetDisplayColorPrimvar()
    np.testing.assert_allclose(shown.Get(), to_linear(mesh.colors), atol=1e-6)
    assert shown.GetInterpolation() == "vertex"


def wedge_ply(folder: Path) -> Path:
    """A PLY whose faces' corners have texture coordinates in a picture, which lies beside."""
    file(folder, "skin.png", picture())
    head = "ply\nformat ascii 1.0\ncomment TextureFile skin.png\nelement vertex 4\nproperty float x\n"
    head += "property float y\nproperty float z\nelement face 2\nproperty list uchar int vertex_indices\n"
    head += "property list uchar float texcoord\nend_header\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n"
    return file(folder, "head.ply", head + "3 0 1 2 6 0 0 1 0 1 1\n3 0 2 3 0\n")


def test_a_ply_picture_goes_to_glb_obj_and_ply(tmp_path: Path) -> None:
    mesh = read_mesh(wedge_ply(tmp_path / "in"))
    assert mesh.pictures == ("skin.png",)
    np.testing.assert_array_equal(mesh.uv[mesh.uv_faces], [[[0, 0], [1, 0], [1, 1]], [[0, 0]] * 3])
    looks, notes = read_materials(mesh)
    assert not notes
    write_glb(tmp_path / "a.glb", mesh.vertices, mesh, materials=looks)
    assert read_materials(read_mesh(tmp_path / "a.glb"))[0]["skin"].picture.data == picture()
    for suffix in ("obj", "ply"):
        path = tmp_path / "out" / f"rest.{suffix}"
        layout, notes = bring_materials(mesh, path)
        write_mesh(path, layout=layout)
        found = read_materials(read_mesh(path))[0]
        assert not notes and found["skin"].picture.data == picture()
    (tmp_path / "in" / "skin.png").unlink()
    assert "'skin.png' is not there" in read_materials(mesh)[1][0]


def test_pictures_of_a_glb_go_to_obj_and_what_ply_cannot_hold_is_said(tmp_path: Path) -> None:
    mesh = painted()
    marks = "mtllib look.mtl\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n" + SQUARE
    marks += "usemtl a\nf 1/1 2/2 3/3\nusemtl b\nf 1/1 3/3 4/4\n"
    file(tmp_path / "in", "look.mtl", "newmtl a\nmap_Kd a.png\nnewmtl b\nKd .5 .25 1\nd .5\n")
    file(tmp_path / "in", "a.png", picture())
    mesh = read_mesh(file(tmp_path / "in", "head.obj", marks))
    write_glb(tmp_path / "head.glb", mesh.vertices, mesh, materials=read_materials(mesh)[0])
    mesh = read_mesh(tmp_path / "head.glb")
    layout, notes = bring_materials(mesh, tmp_path / "out" / "rest.obj")
    write_obj(tmp_path / "out" / "rest.obj", layout=layout)
    found = read_materials(read_mesh(tmp_path / "out" / "rest.obj"))[0]
    assert not notes and found["a"].picture.data == picture()
    assert found["b"].color == (0.5, 0.25, 1) and found["b"].opacity == 0.5
    layout, notes = bring_materials(mesh, tmp_path / "out" / "rest.ply")
    assert layout.pictures and "PLY has no materials" in " ".join(notes)


# ---- PLY


def ply(body: str, vertices: int = 4, kind: str = "float", more: str = "", faces: str = "") -> str:
    lines = ["ply", "format ascii 1.0", "comment end_header is below", f"element vertex {vertices}"]
    lines += [f"property {kind} {axis}" for axis in "xyz"] + ([more] if more else [])
    lines += [faces] if faces else ["element face 2", "property list uchar int vertex_indices"]
    return "\n".join([*lines, "end_header", body])


POINTS = ["0 0 0", "1 0 0", "1 1 0", "0 1 0"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_ply_line_ends_and_marks(tmp_path: Path, end: str) -> None:
    text = ply("\n".join([*POINTS, "3 0 1 2", "3 0 2 3"])).replace("\n", end)
    mesh = read_mesh(file(tmp_path, "a.ply", b"\xef\xbb\xbf" + text.encode()))
    assert mesh.faces.tolist() == CORNERS


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [("uchar", "1", 1 / 255), ("float", "1", 1.0), ("float", "128", 128 / 255), ("ushort", "65535", 1.0)],
)
def test_ply_colors_by_their_type(tmp_path: Path, kind: str, value: str, expected: float) -> None:
    more = "\n".join(f"property {kind} {name}" for name in ("red", "green", "blue"))
    rows = [f"{point} {value} 0 0" for point in POINTS]
    mesh = read_mesh(file(tmp_path, "a.ply", ply("\n".join([*rows, "3 0 1 2", "3 0 2 3"]), more=more)))
    np.testing.assert_allclose(mesh.colors, [[expected, 0, 0]] * 4, rtol=1e-6)


def test_ply_strips_become_triangles_of_one_side(tmp_path: Path) -> None:
    grid = "\n".join(f"{x} {y} 0" for x in range(3) for y in (1, 0))
    strip = "element tristrips 1\nproperty list int int vertex_indices"
    text = ply(grid + "\n12 0 1 2 3 4 5 -1 1 0 3 3 2", vertices=6, faces=strip)
    mesh = read_mesh(file(tmp_path, "a.ply", text))
    assert mesh.faces.tolist() == [[0, 1, 2], [2, 1, 3], [2, 3, 4], [4, 3, 5], [1, 0, 3]]
    edges = mesh.vertices[mesh.faces[:4]]
    assert (np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])[:, 2] > 0).all()


def test_several_ply_pictures_by_number(tmp_path: Path) -> None:
    text = wedge_ply(tmp_path).read_text().replace("skin.png", "skin.png\ncomment TextureFile eye.png")
    text = text.replace("float texcoord", "float texcoord\nproperty int texnumber")
    text = text.replace("1 1\n", "1 1 1\n").replace("3 0\n", "3 0 0\n")
    file(tmp_path, "eye.png", picture((0, 0, 9)))
    mesh = read_mesh(file(tmp_path, "b.ply", text))
    assert mesh.names() == ("eye.png", "skin.png") and mesh.parts().tolist() == [0, 1]
    found = read_materials(mesh)[0]
    assert found["eye.png"].picture.data == picture((0, 0, 9))


# ---- STL and VRML


def test_stl_in_any_case(tmp_path: Path) -> None:
    text = "SOLID a\nFACET NORMAL 0 0 1\nOUTER LOOP\nVERTEX 0 0 0\nVERTEX 1 0 0\nVERTEX 0 1 0\n"
    text += "ENDLOOP\nENDFACET\n"
    mesh = read_mesh(file(tmp_path, "A.STL", text + "ENDSOLID a"))
    np.testing.assert_array_equal(mesh.vertices[mesh.faces[0]], [[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    body = b"\0" * 80 + struct.pack("<I", 1) + struct.pack("<12fH", 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 7)
    mesh = read_mesh(file(tmp_path, "b.Stl", body))
    assert len(mesh.faces) == 1 and "attributes" in mesh.notes[0]


SET = "IndexedFaceSet {{ {0} coord Coordinate {{ point [ 0 0 0, 1 0 0, 0 1 0 ] }} coordIndex [ 0 1 2 -1 ] }}"


def wrl(folder: Path, body: str, version: str = "V2.0 utf8") -> Mesh:
    return read_mesh(file(folder, "a.wrl", f"#VRML {version}\n{body}\n"))


def test_vrml_transforms_and_orders(tmp_path: Path) -> None:
    body = (
        "Transform { translation 10 0 0 rotation 0 0 1 1.5707963267948966 scale 2 2 2\n"
        "children [ # a [ comment\n"
        f"Shape {{ geometry {SET.format('')} }} ] }}"
    )
    mesh = wrl(tmp_path, body)
    np.testing.assert_allclose(mesh.vertices, [[10, 0, 0], [10, 2, 0], [8, 0, 0]], atol=1e-6)
    assert wrl(tmp_path, f"Shape {{ geometry {SET.format('ccw FALSE')} }}").faces.tolist() == [[0, 2, 1]]
    mirror = f"Transform {{ scale -1 1 1 children Shape {{ geometry {SET.format('')} }} }}"
    assert wrl(tmp_path, mirror).faces.tolist() == [[0, 2, 1]]
    both = f"Transform {{ scale -1 1 1 children Shape {{ geometry {SET.format('ccw FALSE')} }} }}"
    assert wrl(tmp_path, both).faces.tolist() == [[0, 1, 2]]
    hidden = f"Switch {{ whichChoice 1 choice [ Shape {{ geometry {SET.format('')} }} Group {{ }} ] }}"
    with pytest.raises(BadMesh, match="no indexed face set"):
        wrl(tmp_path, hidden)


def test_vrml_uses_a_node_twice(tmp_path: Path) -> None:
    body = f"DEF A Shape {{ geometry {SET.format('')} }} Transform {{ translation 5 0 0 children [ USE A ] }}"
    mesh = wrl(tmp_path, body)
    assert mesh.faces.tolist() == [[0, 1, 2], [3, 4, 5]]
    np.testing.assert_array_equal(mesh.vertices[3:], mesh.vertices[:3] + [5, 0, 0])
    shared = SET.format("").replace("Coordinate", "DEF C Coordinate")
    again = "IndexedFaceSet { coord USE C coordIndex [ 2 1 0 ] }"
    mesh = wrl(tmp_path, f"Shape {{ geometry {shared} }} Shape {{ geometry {again} }}")
    assert len(mesh.vertices) == 3 and mesh.faces.tolist() == [[0, 1, 2], [2, 1, 0]]


def test_vrml_colors_picture_and_uv(tmp_path: Path) -> None:
    file(tmp_path, "skin.png", picture())
    extra = "texCoord TextureCoordinate { point [ 0 0 1 0 0 1 ] } color Color { color [ 1 0 0 0 1 0 0 0 1 ] }"
    look = 'appearance Appearance { texture ImageTexture { url [ "skin.png" "other.png" ] } }'
    mesh = wrl(tmp_path, f"Shape {{ {look} geometry {SET.format(extra)} }}")
    np.testing.assert_array_equal(mesh.colors, np.eye(3))
    np.testing.assert_array_equal(mesh.uv[mesh.uv_faces], [[[0, 0], [1, 0], [0, 1]]])
    assert read_materials(mesh)[0]["skin"].picture.data == picture()


def test_vrml_materials_color_their_vertices_and_colors_of_faces_are_named(tmp_path: Path) -> None:
    look = "appearance Appearance { material Material { diffuseColor 1 0.5 0 } }"
    shared = SET.format("").replace("Coordinate", "DEF C Coordinate")
    body = f"Shape {{ {look} geometry {shared} }} Shape {{ geometry {SET.format('')} }}"
    mesh = wrl(tmp_path, body)
    np.testing.assert_array_equal(mesh.colors, [[1, 0.5, 0]] * 3 + [[1, 1, 1]] * 3)
    old = "Coordinate3 { point [ 0 0 0, 1 0 0, 0 1 0 ] } IndexedFaceSet { coordIndex [ 0, 1, 2, -1 ] }"
    red = f"Separator {{ Material {{ diffuseColor [ 1 0 0 ] }} {old} }} {old}"
    mesh = wrl(tmp_path, red, "V1.0 ascii")
    np.testing.assert_array_equal(mesh.colors, [[1, 0, 0]] * 3 + [[1, 1, 1]] * 3)
    assert mesh.notes == ()
    each = wrl(tmp_path, f"Material {{ diffuseColor [ 1 0 0, 0 1 0 ] }} {old}", "V1.0 ascii")
    faces = "colorPerVertex FALSE color Color { color [ 1 0 0 ] }"
    for mesh in (each, wrl(tmp_path, f"Shape {{ {look} geometry {SET.format(faces)} }}")):
        assert mesh.colors is None and "colors of its faces are left out" in mesh.notes[0]


def test_colors_of_zbrush_are_read_from_its_comments(tmp_path: Path) -> None:
    points = "v 0 0 0\nv 1 0 0\nv 0 1 0\n"
    painted = "#MRGB ffff0000ff00ff00\n#MRGB 000000ff\n"
    mesh = read_mesh(file(tmp_path, "a.obj", points + "#Vertex colors\n" + painted + "f 1 2 3\n"))
    np.testing.assert_array_equal(mesh.colors, np.eye(3))
    cut = read_mesh(file(tmp_path, "b.obj", points + painted[:23] + "\nf 1 2 3\n"))
    assert cut.colors is None and "#MRGB comments are left out" in cut.notes[0]
    bare = read_mesh(file(tmp_path, "c.obj", points + "#MRGB " + "ffffffff" * 3 + "\nf 1 2 3\n"))
    assert bare.colors is None and bare.notes == ()  # nothing was painted


def test_vrml_1_sets_what_follows(tmp_path: Path) -> None:
    body = (
        "Separator { Translation { translation 1 0 0 } ShapeHints { vertexOrdering CLOCKWISE }\n"
        "Coordinate3 { point [ 0 0 0, 1 0 0, 0 1 0 ] } IndexedFaceSet { coordIndex [ 0, 1, 2, -1 ] } }\n"
        "Coordinate3 { point [ 0 0 0, 1 0 0, 0 1 0 ] } IndexedFaceSet { coordIndex [ 0, 1, 2, -1 ] }"
    )
    mesh = wrl(tmp_path, body, "V1.0 ascii")
    np.testing.assert_array_equal(mesh.vertices[:, 0], [1, 2, 1, 0, 1, 0])
    assert mesh.faces.tolist() == [[0, 2, 1], [3, 4, 5]]


# ---- hostile files: one sentence, at once, in little memory

NESTED = "Group { children [ " * 5000
BOMB = "DEF A0 Shape { geometry " + SET.format("") + " }\n" + "".join(
    f"DEF A{k} Group {{ children [ {f'USE A{k - 1} ' * 10}] }}\n" for k in range(1, 12)
)  # fmt: skip
HOSTILE = {
    "counts.ply": "ply\nformat ascii 1.0\nelement vertex 10000000000\nend_header\n",
    "rows.ply": ply("0 0 0", vertices=10**10),
    "binary.ply": ply("", vertices=10**10).replace("ascii", "binary_little_endian"),
    "list.ply": ply("1 0 0 0\n" * 4).replace("property float x", "property list uchar float x"),
    "nan.ply": ply("\n".join([*POINTS, "nan 0 1 2", "3 0 2 3"])),
    "long.ply": ply("\n".join([*POINTS, "4000000000 0 1 2", "3 0 2 3"])),
    "far.wrl": "#VRML V2.0\n" + f"Shape {{ geometry {SET.format('')} }}".replace("1 2 -1", "1 9" + "9" * 30),
    "loose.wrl": "#VRML V2.0\nCoordinate { point [0 0 0 1 0 0 0 1 0] } coordIndex [0 1 2 -1]",
    "nested.wrl": "#VRML V2.0\n" + NESTED,
    "bomb.wrl": "#VRML V2.0\n" + BOMB,
    "self.wrl": "#VRML V2.0\nDEF A Group { children [ USE A ] }",
    "open.wrl": '#VRML V2.0\nGroup { children [ "' + "a" * 100_000,
    "groups.obj": SQUARE + "".join(f"usemtl m{k}\nf 1 2 3\n" for k in range(20_000)),
    "word.obj": SQUARE + "f 1 2 " + "9" * 200_000 + "\n",
    "number.obj": "v 0 0 " + "x" * 200_000 + "\n" + FACES,
    "half.obj": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_one_short_sentence(tmp_path: Path, name: str) -> None:
    path = file(tmp_path, name, HOSTILE[name])
    began = time.process_time()
    with pytest.raises(MienError) as caught:
        read_mesh(path)
    assert time.process_time() - began < 1
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_compressed_vrml_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="compressed.*gunzip"):
        read_mesh(file(tmp_path, "a.wrl", b"\x1f\x8b\x08 more"))


def test_a_mesh_without_a_file_brings_nothing(tmp_path: Path) -> None:
    for name in ("a.obj", "a.ply", "a.stl"):
        assert bring_materials(painted(), tmp_path / name)[1] == []
    assert not list(tmp_path.iterdir())
