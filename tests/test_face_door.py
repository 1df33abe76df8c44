"""read_face: a file becomes millimeters on a topology, or one sentence why not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from meshes import mask, quad_topology

from mien.errors import BadFile, BadMesh, WrongTopology
from mien.io.face import read_face
from mien.io.gltf import write_glb
from mien.io.mesh import write_obj, write_ply
from mien.topology import Topology


def big_sheet() -> Topology:
    """The sheet of quads at the size of a face."""
    sheet = quad_topology(14, 16)
    template = sheet.template * 12
    return replace(sheet, template=template - template.mean(axis=0))


@pytest.mark.parametrize("kind", ["obj", "ply", "glb"])
def test_the_same_face_through_every_format(tmp_path: Path, kind: str) -> None:
    topology = mask()
    face = topology.template * np.float32(1.07)
    path = tmp_path / f"face.{kind}"
    {"obj": write_obj, "ply": write_ply, "glb": write_glb}[kind](path, face, topology)
    vertices, decision = read_face(path, topology)
    assert vertices.dtype == np.float32
    np.testing.assert_allclose(vertices, face, atol=2e-5)
    assert decision.unit == ("meters" if kind == "glb" else "millimeters")
    if kind == "obj":
        np.testing.assert_array_equal(vertices, face)


def test_meters_and_a_face_on_its_back(tmp_path: Path) -> None:
    topology = mask()
    lying = topology.template[:, [0, 2, 1]] * (1, 1, -1) * 0.001
    write_obj(tmp_path / "face.obj", lying, topology)
    vertices, decision = read_face(tmp_path / "face.obj", topology)
    np.testing.assert_allclose(vertices, topology.template, atol=1e-4)
    assert decision.scale_to_mm == 1000
    assert "meters" in decision.sentence and "was up" in decision.sentence


def test_pose_is_kept_unless_alignment_is_asked_for(tmp_path: Path) -> None:
    topology = mask()
    angle = np.radians(12)
    pose = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    moved = topology.template @ pose.T + (0, 80, 0)
    write_obj(tmp_path / "face.obj", moved, topology)
    vertices, decision = read_face(tmp_path / "face.obj", topology)
    np.testing.assert_allclose(vertices, moved, atol=1e-4)
    assert "12 degrees" in decision.sentence and "80 mm" in decision.sentence
    aligned, _ = read_face(tmp_path / "face.obj", topology, align=True)
    np.testing.assert_allclose(aligned, topology.template, atol=1e-3)


def test_polygons_may_be_cut_into_triangles_in_any_way(tmp_path: Path) -> None:
    topology = big_sheet()
    other_diagonal = topology.polygons.corners.reshape(-1, 4)[:, [1, 2, 3, 0]]
    triangles = other_diagonal[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3)
    write_obj(tmp_path / "triangles.obj", topology.template, triangles)
    vertices, _ = read_face(tmp_path / "triangles.obj", topology)
    np.testing.assert_array_equal(vertices, topology.template)
    write_obj(tmp_path / "quads.obj", topology.template, topology)
    bare = replace(topology, polygons=None)
    np.testing.assert_array_equal(read_face(tmp_path / "quads.obj", bare)[0], topology.template)


def test_other_topologies_are_refused_with_both_counts(tmp_path: Path) -> None:
    topology, other = mask(), big_sheet()
    write_obj(tmp_path / "other.obj", other.template, other)
    with pytest.raises(
        WrongTopology, match=f"{topology.vertex_count} vertices.*{other.vertex_count} vertices"
    ):
        read_face(tmp_path / "other.obj", topology)
    order = np.random.default_rng(0).permutation(topology.vertex_count)
    write_obj(tmp_path / "shuffled.obj", topology.template[np.argsort(order)], order[topology.faces])
    with pytest.raises(WrongTopology, match="another order"):
        read_face(tmp_path / "shuffled.obj", topology)


def test_damage_is_refused(tmp_path: Path) -> None:
    topology = mask()
    path = tmp_path / "face.obj"
    write_obj(path, topology.template, topology)
    whole = path.read_text()
    path.write_text(
        whole[: whole.rfind("f ")].replace("# mien:", "#")
    )  # a foreign file, cut between two lines
    with pytest.raises(BadMesh, match="not all its .* triangles"):
        read_face(path, topology)
    path.write_text(whole.replace("v ", "v nan ", 1))
    with pytest.raises(BadMesh, match="NaN"):
        read_face(path, topology)
    path.write_text("")
    with pytest.raises(BadFile, match="empty"):
        read_face(path, topology)
    write_obj(path, topology.template * 15, topology)  # a face three meters tall
    with pytest.raises(BadMesh, match="no face in millimeters"):
        read_face(path, topology)
