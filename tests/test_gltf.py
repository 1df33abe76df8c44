"""GLB rigs: valid by the Khronos validator, named, and equal to the arrays they were made of."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from meshes import icosphere, mask, quad_topology

from mien.errors import BadFile, BadMesh, DataMissing, MienError, WrongTopology
from mien.io.gltf import read_glb_targets, write_glb
from mien.io.mesh import read_mesh
from mien.topology import Topology

SCRIPT = Path(__file__).parent / "validate_glb.mjs"


@cache
def validator() -> subprocess.Popen[str]:
    """The Khronos validator, started once: it ends with this process, when no more paths can come."""
    pipe = subprocess.PIPE
    return subprocess.Popen(["node", str(SCRIPT)], stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def issues(path: Path) -> list[tuple[int, str, str]]:
    """(severity, code, message) of what the Khronos validator finds; skips where it is not installed."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    process = validator()
    assert process.stdin and process.stdout and process.stderr
    with contextlib.suppress(BrokenPipeError):
        print(path.resolve(), file=process.stdin, flush=True)
    if not (answer := process.stdout.readline()):
        assert process.wait() == 3, process.stderr.read()
        pytest.skip("run .ci/run, or npm install gltf-validator and set MIEN_GLTF_VALIDATOR to that folder")
    return [(item["severity"], item["code"], item["message"]) for item in json.loads(answer)["messages"]]


def validate(path: Path, source: Path | None = None) -> None:
    """Asserts no error and no warning of the Khronos validator, but for warnings that a source has, too."""
    found = [item for item in issues(path) if item[0] < 2]
    if found and source is not None:
        known = {code for severity, code, _ in issues(source) if severity == 1}
        found = [item for item in found if item[0] == 0 or item[1] not in known]
    assert not found


def rig_of(topology: Topology, count: int = 3) -> tuple[np.ndarray, np.ndarray, list[str]]:
    generator = np.random.default_rng(0)
    base = topology.template + generator.normal(size=topology.template.shape).astype(np.float32)
    targets = base + 5 * generator.normal(size=(count, *base.shape)).astype(np.float32)
    return base, targets, [f"muscle_{k}" for k in range(count)]


def picture() -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 150, 120)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("normals", [True, False])
@pytest.mark.parametrize("kind", ["plain", "uv", "texture", "clip", "static"])
def test_khronos_validator_finds_nothing(tmp_path: Path, kind: str, normals: bool) -> None:
    topology = mask() if kind == "plain" else quad_topology()
    base, targets, names = rig_of(topology)
    options = {}
    if kind == "texture":
        options["texture"] = picture()
    if kind == "clip":
        options |= {"clip": np.random.default_rng(1).random((12, 3)), "fps": 24.0}
    if kind == "static":
        targets, names = None, []
    write_glb(tmp_path / "rig.glb", base, topology, targets, names, normals=normals, **options)
    validate(tmp_path / "rig.glb")


def test_validator_sees_a_planted_mistake(tmp_path: Path) -> None:
    """A test of the test: a wrong bound must be reported."""
    base, targets, names = rig_of(quad_topology())
    write_glb(tmp_path / "rig.glb", base, quad_topology(), targets, names)
    content = (tmp_path / "rig.glb").read_bytes()
    (tmp_path / "rig.glb").write_bytes(content.replace(b'"max":[0', b'"max":[9', 1))
    with pytest.raises(AssertionError):
        validate(tmp_path / "rig.glb")


@pytest.mark.parametrize("make", [mask, quad_topology])
def test_rereading_gives_the_rig_to_float32(tmp_path: Path, make: Callable[[], Topology]) -> None:
    topology = make()
    base, targets, names = rig_of(topology)
    clip = np.random.default_rng(1).random((7, 3)).astype(np.float32)
    vertex_map = write_glb(tmp_path / "rig.glb", base, topology, targets, names, clip=clip, fps=24)
    rig = read_glb_targets(tmp_path / "rig.glb")
    assert rig.names == tuple(names)
    np.testing.assert_array_equal(rig.vertex_map, vertex_map)
    np.testing.assert_array_equal(rig.vertex_map[: len(base)], np.arange(len(base)))
    np.testing.assert_array_equal(rig.faces, topology.faces)
    ulp = np.spacing(np.abs(base).max())
    np.testing.assert_allclose(rig.base, base, atol=2 * ulp)
    np.testing.assert_allclose(rig.targets, targets, atol=4 * ulp)
    weights = np.array([0.3, 0.0, 0.9])
    mixed = base + np.einsum("e,evc->vc", weights, targets - base)
    again = rig.base + np.einsum("e,evc->vc", weights, rig.targets - rig.base)
    np.testing.assert_allclose(again, mixed, atol=8 * ulp)
    assert rig.animation is not None and rig.animation[1] == 24
    np.testing.assert_array_equal(rig.animation[0], clip)


def test_seams_are_split_and_texture_coordinates_kept(tmp_path: Path) -> None:
    sheet = quad_topology()
    vertex_map = write_glb(tmp_path / "a.glb", sheet.template, sheet)
    assert len(vertex_map) == sheet.vertex_count + 5  # the seam's five vertices twice
    mesh = read_mesh(tmp_path / "a.glb")
    assert len(mesh.vertices) == sheet.vertex_count
    np.testing.assert_array_equal(mesh.faces, sheet.faces)
    np.testing.assert_allclose(mesh.uv[mesh.uv_faces], sheet.uv[sheet.uv_faces], atol=1e-6)


def test_names_and_units_are_where_programs_look(tmp_path: Path) -> None:
    vertices, faces = icosphere(1, radius=80.0)
    write_glb(tmp_path / "a.glb", vertices, faces, vertices[None] * 1.1, ["jawOpen"], name="anna")
    content = (tmp_path / "a.glb").read_bytes()
    size = struct.unpack_from("<I", content, 12)[0]
    document = json.loads(content[20 : 20 + size])
    assert document["meshes"][0]["extras"]["targetNames"] == ["jawOpen"]
    assert document["meshes"][0]["weights"] == [0.0]
    assert document["nodes"][0]["name"] == "anna"
    assert document["accessors"][0]["max"] == pytest.approx([0.08] * 3)
    morph = document["meshes"][0]["primitives"][0]["targets"][0]
    assert set(morph) == {"POSITION", "NORMAL"}
    # Growing a sphere turns no normal.
    normal = document["accessors"][morph["NORMAL"]]
    view = document["bufferViews"][normal["bufferView"]]
    start = 28 + size + view["byteOffset"]
    change = np.frombuffer(content[start : start + view["byteLength"]], "<f4")
    assert np.abs(change).max() < 1e-6


def test_foreign_glb_with_nodes_strides_and_two_meshes(tmp_path: Path) -> None:
    """A file as other programs write it: interleaved data, a turned and scaled parent, bytes as indices."""
    rows = np.array([[0, 0, 0, 9], [1, 0, 0, 9], [0, 1, 0, 9]], "<f4")
    binary = rows.tobytes() + np.array([0, 1, 2, 0], "u1").tobytes()
    document = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}],
        "nodes": [{"rotation": [0, 0, 0.70710678, 0.70710678], "scale": [2, 2, 2], "children": [1, 2]},
                  {"mesh": 0}, {"mesh": 0, "translation": [0, 0, 5]}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [{"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
                      {"bufferView": 1, "componentType": 5121, "count": 3, "type": "SCALAR"}],
        "bufferViews": [{"buffer": 0, "byteLength": 48, "byteStride": 16},
                        {"buffer": 0, "byteOffset": 48, "byteLength": 3}],
        "buffers": [{"byteLength": len(binary)}],
    }  # fmt: skip
    path = tmp_path / "foreign.glb"
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4sIIII", b"glTF", 2, 28 + len(text) + len(binary), len(text), 0x4E4F534A)
    path.write_bytes(head + text + struct.pack("<II", len(binary), 0x004E4942) + binary)
    mesh = read_mesh(path)
    assert mesh.faces.tolist() == [[0, 1, 2], [3, 4, 5]]
    expected = np.array([[0, 0, 0], [0, 2, 0], [-2, 0, 0]])
    np.testing.assert_allclose(mesh.vertices, np.concatenate([expected, expected + (0, 0, 10)]), atol=1e-6)
    document["extensionsRequired"] = ["KHR_gaussian_splatting"]
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4sIIII", b"glTF", 2, 28 + len(text) + len(binary), len(text), 0x4E4F534A)
    path.write_bytes(head + text + struct.pack("<II", len(binary), 0x004E4942) + binary)
    with pytest.raises(BadFile, match="KHR_gaussian_splatting"):
        read_mesh(path)


def test_matrices_of_nodes_stand_by_columns(tmp_path: Path) -> None:
    """A quarter turn about Z and a shift, as glTF writes a matrix, against the same as three properties."""
    vertices, faces = icosphere(1, radius=80.0)
    vertices = vertices * (1, 2, 3)
    write_glb(tmp_path / "plain.glb", vertices, faces)
    content = (tmp_path / "plain.glb").read_bytes()
    size = struct.unpack_from("<I", content, 12)[0]
    document, binary = json.loads(content[20 : 20 + size]), content[20 + size :]
    read = []
    turned = {"rotation": [0, 0, 0.5**0.5, 0.5**0.5], "translation": [0.1, 0.2, 0.3]}
    for node in ({"matrix": [0, 1, 0, 0, -1, 0, 0, 0, 0, 0, 1, 0, 0.1, 0.2, 0.3, 1]}, turned):
        document["nodes"] = [node | {"mesh": 0}]
        text = json.dumps(document).encode()
        text += b" " * (-len(text) % 4)
        path = tmp_path / f"{len(read)}.glb"
        path.write_bytes(
            struct.pack("<4sIIII", b"glTF", 2, 20 + len(text) + len(binary), len(text), 0x4E4F534A)
            + text + binary
        )  # fmt: skip
        read.append(read_mesh(path).vertices)
    expected = np.column_stack([-vertices[:, 1], vertices[:, 0], vertices[:, 2]]) / 1000 + (0.1, 0.2, 0.3)
    for found in read:
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_wrong_rigs_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    sheet = quad_topology()
    base, targets, names = rig_of(sheet)
    path = tmp_path / "rig.glb"
    with pytest.raises(BadMesh, match="3 targets need as many different names"):
        write_glb(path, base, sheet, targets, names[:2])
    with pytest.raises(BadMesh, match="different names"):
        write_glb(path, base, sheet, targets, ["a", "a", "b"])
    with pytest.raises(WrongTopology, match="30 vertices.*29"):
        write_glb(path, base[1:], sheet)
    with pytest.raises(WrongTopology, match="targets need shape"):
        write_glb(path, base, sheet, targets[:, 1:], names)
    with pytest.raises(BadMesh, match="finite"):
        write_glb(path, base, sheet, targets * np.inf, names)
    with pytest.raises(BadMesh, match="shape"):
        write_glb(path, base, sheet, targets, names, clip=np.zeros((4, 2)))
    with pytest.raises(BadMesh, match="texture coordinates"):
        write_glb(path, base, sheet.faces, texture=picture())
    with pytest.raises(BadFile, match="neither PNG nor JPEG"):
        write_glb(path, base, sheet, texture=b"GIF89a")
    with pytest.raises(DataMissing):
        write_glb(path, base, sheet, texture=tmp_path / "nobody.png")
    with pytest.raises(MienError, match="does not exist"):
        read_glb_targets(path)
    assert os.listdir(tmp_path) == []
