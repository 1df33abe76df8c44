"""Mesh files: order and content kept exactly, and every damage said in one sentence."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meshes import flat_grid, ict_folder, quad_topology

from mien.errors import BadFile, BadMesh, MienError, WrongTopology
from mien.io.atomic import atomic_file
from mien.io.mesh import Mesh, read_mesh, write_mesh, write_obj, write_obj_sequence, write_ply

FAST = settings(max_examples=40, deadline=None)


def obj(tmp_path: Path, text: str | bytes, name: str = "face.obj") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


# A quad, a triangle and a pentagon over nine points, written in the dialects that OBJ files come in.
POINTS = "v 0 0 0\nv 1 0 0\nv 2 0 0\nv 0 1 0\nv 1 1 0\nv 2 1 0\nv 0 2 0\nv 1 2 0.5\nv 2 2 0\n"
DIALECTS = {
    "plain": POINTS + "f 1 2 5 4\nf 2 3 5\nf 4 5 9 8 7\n",
    "crlf": (POINTS + "f 1 2 5 4\nf 2 3 5\nf 4 5 9 8 7\n").replace("\n", "\r\n"),
    "continued": POINTS + "f 1 2 \\\n5 4\nf 2 3 5\nf 4 5 \\\n9 8 \\\n7\n",
    "negative": POINTS + "f -9 -8 -5 -6\nf -8 -7 -5\nf -6 -5 -1 -2 -3\n",
    "normals": POINTS + "vn 0 0 1\nf 1//1 2//1 5//1 4//1\nf 2//1 3//1 5//1\nf 4//1 5//1 9//1 8//1 7//1\n",
    "mixed": "# made by hand\n\n" + POINTS + "vt 0 0\nf 1 2/1 5 4/1  # quad\nf 2 3 5\n  f 4 5 9 8 7",
    "interleaved": POINTS[:24] + POINTS[24:] + "f 1 2 5 4\n" + "f 2 3 5\nv 7 7 7\nf -7 -6 -2 -3 -4\n",
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_obj_dialects_give_the_same_polygons(tmp_path: Path, dialect: str) -> None:
    mesh = read_mesh(obj(tmp_path, DIALECTS[dialect]))
    assert mesh.polygons is not None
    assert mesh.polygons.sizes.tolist() == [4, 3, 5]
    assert mesh.polygons.corners.tolist() == [0, 1, 4, 3, 1, 2, 4, 3, 4, 8, 7, 6]
    np.testing.assert_array_equal(mesh.vertices[7], [1, 2, 0.5])
    assert mesh.faces.tolist()[0:2] == [[0, 1, 4], [0, 4, 3]]
    assert len(mesh.faces) == 2 + 1 + 3


def test_obj_keeps_groups_materials_colors_and_uv(tmp_path: Path) -> None:
    text = (
        "mtllib skin.mtl\nv 0 0 0 255 0 0\nv 1 0 0 0 255 0\nv 0 1 0 0 0 255\nv 1 1 0 255 255 255\n"
        "vt 0 0\nvt 1 0 0\nvt 0 1\nvt 1 1\ng lip upper\nusemtl skin\nf 1/1 2/2 3/3\nusemtl eye\ng iris\n"
        "f 3/3 2/2 4/4\n"
    )
    mesh = read_mesh(obj(tmp_path, text))
    assert mesh.material_files == ("skin.mtl",)
    assert mesh.names("usemtl") == ("skin", "eye")
    assert mesh.names("g") == ("lip upper", "iris")
    assert mesh.polygons_in("eye").tolist() == [False, True]
    np.testing.assert_array_equal(mesh.colors, np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]))
    write_obj(tmp_path / "again.obj", layout=mesh)
    again = read_mesh(tmp_path / "again.obj")
    assert [vars(mark) for mark in again.marks] == [vars(mark) for mark in mesh.marks]
    assert again.material_files == ("skin.mtl",)
    np.testing.assert_array_equal(again.uv[again.uv_faces], mesh.uv[mesh.uv_faces])


@st.composite
def polygon_meshes(draw: st.DrawFn) -> tuple[np.ndarray, list[list[int]], list[list[int]] | None, int]:
    count = draw(st.integers(3, 12))
    floats = st.floats(-1e6, 1e6, width=32)
    vertices = np.array(
        draw(st.lists(st.tuples(floats, floats, floats), min_size=count, max_size=count)), np.float32
    )
    polygon = st.lists(st.integers(0, count - 1), min_size=3, max_size=6)
    polygons = draw(st.lists(polygon, min_size=1, max_size=8))
    uv_count = draw(st.integers(0, 4))
    uv = None if not uv_count else [[draw(st.integers(0, uv_count - 1)) for _ in face] for face in polygons]
    return vertices, polygons, uv, uv_count


@FAST
@given(polygon_meshes(), st.booleans())
def test_any_polygons_come_back_from_text_and_from_our_writer(item: tuple, negative: bool) -> None:
    vertices, polygons, uv, uv_count = item
    lines = ["v {!r} {!r} {!r}".format(*row.tolist()) for row in vertices]
    lines += [f"vt {k / 7} {k}" for k in range(uv_count)]
    shift = -len(vertices) if negative else 1
    for number, face in enumerate(polygons):
        words = [str(corner + shift) for corner in face]
        if uv is not None:
            words = [f"{word}/{t + 1}" for word, t in zip(words, uv[number])]
        lines.append("f " + " ".join(words))
    with tempfile.TemporaryDirectory() as folder:
        first = read_mesh(obj(Path(folder), "\n".join(lines) + "\n"))
        write_obj(Path(folder) / "again.obj", layout=first)
        second = read_mesh(Path(folder) / "again.obj")
        write_ply(Path(folder) / "again.ply", layout=first)
        third = read_mesh(Path(folder) / "again.ply")
    np.testing.assert_array_equal(first.vertices, vertices)
    for mesh in (first, second, third):
        np.testing.assert_array_equal(mesh.vertices, vertices)
        corners = mesh.faces.ravel() if mesh.polygons is None else mesh.polygons.corners
        assert corners.tolist() == [corner for face in polygons for corner in face]
    if uv is not None:
        for mesh in (first, second):
            corners = mesh.uv_faces.ravel() if mesh.polygons is None else mesh.polygons.uv_corners
            assert corners.tolist() == [corner for face in uv for corner in face]


def whole_files(folder: Path) -> dict[str, bytes]:
    """One small mesh in each format that Mien reads."""
    from mien.io.gltf import write_glb

    sheet = quad_topology()
    write_obj(folder / "a.obj", layout=sheet)
    write_ply(folder / "a.ply", layout=sheet)
    write_glb(folder / "a.glb", sheet.template, sheet)
    corners = sheet.template[sheet.faces]
    record = np.zeros(len(corners), np.dtype([("n", "<f4", 3), ("c", "<f4", (3, 3)), ("a", "<u2")]))
    record["c"] = corners
    (folder / "a.stl").write_bytes(
        b"solid but binary".ljust(80) + np.uint32(len(corners)).tobytes() + record.tobytes()
    )
    facets = "".join(
        "facet normal 0 0 1\nouter loop\n"
        + "".join("vertex {:.9g} {:.9g} {:.9g}\n".format(*p) for p in t)
        + "endloop\nendfacet\n"
        for t in corners.tolist()
    )
    (folder / "b.stl").write_text(f"solid a\n{facets}endsolid")
    points = ", ".join("{:.9g} {:.9g} {:.9g}".format(*row) for row in sheet.template.tolist())
    index = " ".join("{}, {}, {}, -1,".format(*face) for face in sheet.faces.tolist())
    (folder / "a.wrl").write_text(
        '#VRML V2.0 utf8\nShape { appearance Appearance { texture ImageTexture { url "a[.png" } }\n'
        f"geometry IndexedFaceSet {{ coord Coordinate {{ point [ {points} ] }} coordIndex [ {index} ] }} }}"
    )
    ascii_ply = (
        f"ply\nformat ascii 1.0\nelement vertex {len(sheet.template)}\nproperty double x\nproperty float y\n"
    )
    ascii_ply += f"property float z\nproperty uchar red\nelement face {len(sheet.faces)}\n"
    ascii_ply += "property list uchar int vertex_index\nend_header\n"
    ascii_ply += "".join("{:.9g} {:.9g} {:.9g} 7\n".format(*row) for row in sheet.template.tolist())
    ascii_ply += "\n".join("3 {} {} {}".format(*face) for face in sheet.faces.tolist())
    (folder / "b.ply").write_text(ascii_ply + " \n")
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return whole_files(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("name", ["a.obj", "a.ply", "b.ply", "a.stl", "b.stl", "a.glb", "a.wrl"])
def test_all_formats_read_the_same_surface(files: dict[str, bytes], tmp_path: Path, name: str) -> None:
    mesh, sheet = read_mesh(obj(tmp_path, files[name], name)), quad_topology()
    scale = 1000 if name.endswith("glb") else 1
    np.testing.assert_allclose(mesh.vertices[mesh.faces] * scale, sheet.template[sheet.faces], atol=1e-4)
    if not name.endswith("stl"):  # STL has no vertex order to keep
        np.testing.assert_array_equal(mesh.faces, sheet.faces)
    else:
        assert len(mesh.vertices) == sheet.vertex_count


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_file_cut_anywhere_is_refused(files: dict[str, bytes], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(files)))
    content = files[name].rstrip(b" \n") if name in ("b.ply", "a.wrl") else files[name]
    # ASCII PLY says how many numbers follow, not how many digits the last one has.
    end = content.rfind(b" ") if name == "b.ply" else len(content) - 1
    length = data.draw(st.integers(0, end))
    with tempfile.TemporaryDirectory() as folder, pytest.raises(MienError):
        read_mesh(obj(Path(folder), content[:length], name))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_flipped_byte_never_gives_a_traceback(files: dict[str, bytes], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(files)))
    content = bytearray(files[name])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        try:
            mesh = read_mesh(obj(Path(folder), bytes(content), name))
        except MienError as error:
            assert "\n" not in str(error).strip()
        else:
            assert np.isfinite(mesh.vertices).all()
            assert 0 <= mesh.faces.min() <= mesh.faces.max() < len(mesh.vertices)


def test_foreign_obj_cut_within_its_last_faces_is_refused(tmp_path: Path) -> None:
    path = obj(tmp_path, POINTS + "f 1 2 5 4\nf 2 3 5")
    with pytest.raises(BadFile, match="cut off"):
        read_mesh(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("# nothing\n", "no vertices"),
        (POINTS, "no faces"),
        (POINTS + "f 1 2 17\n", "line 10 .* vertex 17 of 9"),
        (POINTS + "f 1 2 0\n", "line 10 .* vertex 0 of 9"),
        (POINTS + "f -1 -2 -10\n", "line 10 .* vertex -10 of 9"),
        (POINTS + "f 1/1 2/1 3/1\n", "texture coordinate 1 of 0"),
        (POINTS + "f 1 2\n", "line 10 .* fewer than three"),
        (POINTS + "f 1 2 x\n", "line 10 .* not a number.*'x'"),
        (POINTS + "f 1 2 /3\n", "line 10 .* not a number"),
        (POINTS + "f 1 2 99999999999999999999\n", "line 10"),
        ("v 0 0\n" + POINTS + "f 1 2 3\n", "line 1 "),
        ("v 0 0 nan\n" + POINTS + "f 1 2 3\n", "1 NaN or infinite vertices.*vertex 0"),
        ("v 0 0 1e300\n" + POINTS + "f 1 2 3\n", "infinite"),
        ("v 0 0 abc\n" + POINTS + "f 1 2 3\n", "line 1 .*'abc'"),
        ("\x00\x01\x02 random", "no vertices"),
    ],
)
def test_damaged_obj_is_explained(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(MienError, match=said):
        read_mesh(obj(tmp_path, text))


def test_missing_file_and_unknown_kind(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="does not exist"):
        read_mesh(tmp_path / "nobody.obj")
    with pytest.raises(
        BadFile, match=r"'\.max'.*\.obj, \.ply, \.stl, \.glb, \.wrl, .*\.gltf, \.vrm, \.fbx, \.blend"
    ):
        read_mesh(obj(tmp_path, "x", "face.max"))
    with pytest.raises(BadFile, match="does not exist"):
        read_mesh(tmp_path.parent / (tmp_path.name + ".obj"))


def test_sequence_names_and_wrong_counts(tmp_path: Path) -> None:
    sheet = quad_topology()
    frames = np.stack([sheet.template + step for step in range(3)])
    paths = write_obj_sequence(tmp_path / "clip", frames, sheet, stem="smile")
    assert [path.name for path in paths] == ["smile_0000.obj", "smile_0001.obj", "smile_0002.obj"]
    mesh = read_mesh(paths[2])
    np.testing.assert_array_equal(mesh.vertices, frames[2].astype(np.float32))
    assert mesh.polygons is not None and mesh.polygons.sizes.max() == 4
    with pytest.raises(WrongTopology, match="30 vertices.*29 vertices"):
        write_obj(tmp_path / "bad.obj", sheet.template[1:], sheet)
    with pytest.raises(BadMesh, match="finite"):
        write_obj(tmp_path / "bad.obj", sheet.template * np.nan, sheet)
    with pytest.raises(BadFile, match="cannot write"):
        write_mesh(tmp_path / "bad.dae", sheet.template, sheet)
    assert not (tmp_path / "bad.obj").exists()


def test_ply_colors_and_mixed_polygons(tmp_path: Path) -> None:
    mesh = read_mesh(obj(tmp_path, DIALECTS["plain"]))
    colors = np.linspace(0, 1, 27).reshape(9, 3)
    write_ply(tmp_path / "a.ply", layout=mesh, colors=colors)
    again = read_mesh(tmp_path / "a.ply")
    assert isinstance(again, Mesh) and again.polygons is not None
    assert again.polygons.sizes.tolist() == [4, 3, 5]
    np.testing.assert_allclose(again.colors, colors, atol=0.003)


def test_failing_writer_leaves_the_old_file(tmp_path: Path) -> None:
    path = obj(tmp_path, "old")
    with pytest.raises(RuntimeError), atomic_file(path) as file:
        file.write(b"half of the new")
        raise RuntimeError
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["face.obj"]


def test_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    """The limit on file size stands for a full disk: the write itself fails, in the operating system."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from meshes import flat_grid\nfrom mien.errors import MienError\n"
        "from mien.io.mesh import write_obj\n"
        "v, f = flat_grid(40, 40)\n"
        "try:\n    write_obj(sys.argv[1], v, f)\n"
        "except MienError as error:\n    print(error); sys.exit(2)\n"
    )
    target = tmp_path / "sub" / "face.obj"
    limit = (4096, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    done = subprocess.run(
        [sys.executable, "-B", "-c", program, str(target), str(Path(__file__).parent)],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "cannot write" in done.stdout and "File too large" in done.stdout
    assert list(target.parent.iterdir()) == []


def test_unwritable_folder_is_one_sentence(tmp_path: Path) -> None:
    vertices, faces = flat_grid()
    with pytest.raises(BadFile, match="cannot write"):
        write_obj(obj(tmp_path, "a file", "file.txt") / "face.obj", vertices, faces)


def test_ict_obj_comes_back_whole(tmp_path: Path) -> None:
    mesh = read_mesh(ict_folder() / "generic_neutral_mesh.obj")
    assert mesh.vertices.shape == (26719, 3) and mesh.polygon_count == 26384 and mesh.uv.shape == (28911, 2)
    assert mesh.names()[:2] == ("M_Face", "M_BackHead")
    write_obj(tmp_path / "again.obj", layout=mesh)
    again = read_mesh(tmp_path / "again.obj")
    np.testing.assert_array_equal(again.vertices, mesh.vertices)
    np.testing.assert_array_equal(again.polygons.corners, mesh.polygons.corners)
    np.testing.assert_array_equal(again.polygons.uv_corners, mesh.polygons.uv_corners)


@pytest.mark.parametrize("text", [False, True])
def test_a_point_scan_is_written_and_read_again(tmp_path: Path, text: bool) -> None:
    points = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
    write_ply(tmp_path / "scan.ply", points, Mesh(points, np.zeros((0, 3), np.int32)))
    if text:
        rows = "\n".join(" ".join(f"{value:.9g}" for value in row) for row in points)
        (tmp_path / "scan.ply").write_text(
            "ply\nformat ascii 1.0\nelement vertex 30\nproperty float x\nproperty float y\nproperty float z\n"
            f"element face 0\nproperty list uchar int vertex_indices\nend_header\n{rows}\n"
        )
    found = read_mesh(tmp_path / "scan.ply", points=True)
    np.testing.assert_array_equal(found.vertices, points)
    assert found.faces.shape == (0, 3)
    with pytest.raises(BadMesh, match="no faces"):
        read_mesh(tmp_path / "scan.ply")
