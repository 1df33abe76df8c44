"""Morph targets added to a foreign GLB: valid, in the right place, and nothing else changed."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_gltf import validate

from mien.apply import check_existing_targets
from mien.errors import BadMesh, MienError
from mien.io.glb import Document, read_glb_targets
from mien.io.glb_targets import add_glb_targets, move_glb
from mien.io.gltf import write_glb
from mien.io.mesh import read_mesh, write_obj
from mien.io.record import Mark, Mesh


def bounds(points: np.ndarray) -> dict[str, list[float]]:
    return {"min": points.min(axis=0).tolist(), "max": points.max(axis=0).tolist()}


def foreign(path: Path) -> None:
    """A GLB as an engine exports it: two nodes, one turned and scaled; seams, normals, materials, extras."""
    corner = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0.2]], "<f4")
    normals = np.tile(np.array([0, 0, 1], "<f4"), (4, 1))
    triangles = np.array([0, 1, 2, 1, 3, 2], "<u2")
    eye = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0]], "<f4")
    chunks = [corner.tobytes(), normals.tobytes(), triangles.tobytes(), eye.tobytes()]
    starts = np.cumsum([0] + [len(chunk) for chunk in chunks])
    views = [
        {
            "buffer": 0,
            "byteOffset": int(start),
            "byteLength": len(chunk),
            "target": 34963 if k == 2 else 34962,
        }
        for k, (start, chunk) in enumerate(zip(starts, chunks, strict=False))
    ]
    accessors = [
        {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3", **bounds(corner)},
        {"bufferView": 1, "componentType": 5126, "count": 4, "type": "VEC3"},
        {"bufferView": 2, "componentType": 5123, "count": 6, "type": "SCALAR"},
        {"bufferView": 3, "componentType": 5126, "count": 3, "type": "VEC3", **bounds(eye)},
    ]  # fmt: skip
    document = {
        "asset": {"version": "2.0", "copyright": "me"}, "scene": 0, "scenes": [{"nodes": [0, 1]}],
        "nodes": [
            {"name": "head", "mesh": 0, "scale": [2, 2, 2], "rotation": [0, 0.7071068, 0, 0.7071068]},
            {"name": "eye", "mesh": 1, "translation": [0, 3, 0]},
        ],
        "meshes": [
            {"name": "skin", "extras": {"owner": 7},
             "primitives": [{"attributes": {"POSITION": 0, "NORMAL": 1}, "indices": 2, "material": 1}]},
            {"name": "eye", "primitives": [{"attributes": {"POSITION": 3}, "material": 0}]},
        ],
        "materials": [{"name": "glass"}, {"name": "flesh", "pbrMetallicRoughness": {"roughnessFactor": 0.3}}],
        "accessors": accessors, "bufferViews": views, "buffers": [{"byteLength": int(starts[-1])}],
    }  # fmt: skip
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = b"".join(chunks)
    head = struct.pack("<4sIIII", b"glTF", 2, 28 + len(text) + len(body), len(text), 0x4E4F534A)
    path.write_bytes(head + text + struct.pack("<II", len(body), 0x004E4942) + body)


def test_targets_are_added_and_all_else_is_kept(tmp_path: Path) -> None:
    source, out = tmp_path / "head.glb", tmp_path / "rig.glb"
    foreign(source)
    mesh = read_mesh(source)
    assert len(mesh.vertices) == 7 and mesh.names() == ("flesh", "glass")
    lift = mesh.vertices + np.float32([(0.1, 0.5, -0.3)] * 7)
    clip = np.array([[0, 0], [1, 0.5]])
    add_glb_targets(source, out, mesh, np.stack([lift, mesh.vertices]), ["up", "still"], clip=clip, fps=24)
    before, after = Document(source).json, Document(out).json
    for key in ("asset", "scene", "scenes", "nodes", "materials"):
        assert after[key] == before[key]
    assert after["accessors"][:4] == before["accessors"]
    assert after["meshes"][0]["extras"] == {"owner": 7, "targetNames": ["up", "still"]}
    assert after["meshes"][0]["weights"] == after["meshes"][1]["weights"] == [0.0, 0.0]
    assert len(after["animations"][0]["channels"]) == 2
    # The node is doubled and turned by 90 degrees about +Y, so that its +Z is the scene's +X.
    skin = after["meshes"][0]["primitives"][0]["targets"][0]
    np.testing.assert_allclose(Document(out).accessor(skin["POSITION"]), [(0.15, 0.25, 0.05)] * 4, atol=1e-6)
    np.testing.assert_array_equal(read_mesh(out).vertices, mesh.vertices)
    with pytest.raises(BadMesh, match="already has"):
        add_glb_targets(out, tmp_path / "again.glb", mesh, lift[None], ["up"])
    add_glb_targets(out, tmp_path / "more.glb", mesh, lift[None], ["more"])
    assert Document(tmp_path / "more.glb").json["meshes"][0]["extras"]["targetNames"] == [
        "up",
        "still",
        "more",
    ]
    validate(out)  # last: it may skip


def test_vertices_are_moved_and_all_else_is_kept(tmp_path: Path) -> None:
    source, out = tmp_path / "head.glb", tmp_path / "moved.glb"
    foreign(source)
    mesh = read_mesh(source)
    there = mesh.vertices * (1, 1, 1.5) + (0, 0, 0.1)
    move_glb(source, out, mesh, there)
    np.testing.assert_allclose(read_mesh(out).vertices, there, atol=1e-6)
    assert Document(out).json["materials"] == Document(source).json["materials"]
    validate(out)


def test_materials_of_an_obj_become_materials_of_a_glb_and_return(tmp_path: Path) -> None:
    vertices = np.float32([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (2, 0, 0), (2, 1, 0)]) * 80
    faces = np.int32([(0, 1, 2), (0, 2, 3), (1, 4, 5), (1, 5, 2)])
    mesh = Mesh(vertices, faces, marks=(Mark(0, "usemtl", "skin"), Mark(2, "usemtl", "teeth")))
    write_obj(tmp_path / "head.obj", vertices, mesh)
    layout = read_mesh(tmp_path / "head.obj")
    target = vertices + np.float32([0, 0, 5])
    write_glb(tmp_path / "rig.glb", vertices, layout, target[None], ["out"])
    validate(tmp_path / "rig.glb")
    document = Document(tmp_path / "rig.glb").json
    assert [item["name"] for item in document["materials"]] == ["skin", "teeth"]
    first, second = document["meshes"][0]["primitives"]
    assert first["attributes"] == second["attributes"] and first["targets"] == second["targets"]
    back = read_mesh(tmp_path / "rig.glb")
    np.testing.assert_array_equal(back.faces, faces)
    assert back.names() == ("skin", "teeth") and back.polygons_in("teeth").tolist() == [
        False,
        False,
        True,
        True,
    ]
    again = read_glb_targets(tmp_path / "rig.glb")
    np.testing.assert_array_equal(again.faces, faces)
    np.testing.assert_allclose(again.targets[0], target, atol=1e-4)


def test_a_point_scan_becomes_points_with_targets(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32) * 80
    scan = Mesh(points, np.zeros((0, 3), np.int32))
    write_glb(tmp_path / "scan.glb", points, scan, points[None] + [0, 1, 0], ["up"])
    primitive = Document(tmp_path / "scan.glb").json["meshes"][0]["primitives"][0]
    assert primitive["mode"] == 0 and "indices" not in primitive and "NORMAL" not in primitive["attributes"]
    found = read_glb_targets(tmp_path / "scan.glb")
    np.testing.assert_allclose(found.base, points, atol=1e-4)
    np.testing.assert_allclose(found.targets[0] - found.base, np.tile([0, 1, 0], (60, 1)), atol=1e-4)
    assert found.names == ("up",) and not len(found.faces)
    validate(tmp_path / "scan.glb")


@pytest.mark.parametrize("head", ["head.obj", "head.glb"])
def test_names_are_looked_at_before_the_long_work(tmp_path: Path, head: str) -> None:
    """The head is not even opened."""
    model: Any = SimpleNamespace(expressions=("smile",))
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "wrong.csv").write_text("target,name,weight\njawOpen,frown,1\n")
    for names, words in (
        ("folder.csv", "folder.csv"), ("wrong.csv", "frown"), ("nowhere.csv", "nowhere"), ("maya", "maya"),
    ):  # fmt: skip
        given = names if names == "maya" else str(tmp_path / names)
        with pytest.raises(MienError, match=words):
            check_existing_targets(tmp_path / head, tmp_path / "rig.glb", model, given, "refuse")
