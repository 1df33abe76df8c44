"""Faces of a known topology: a mesh file becomes (V, 3) millimeters, or one sentence says why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadMesh, WrongTopology
from mien.geometry.alignment import FrameDecision, detect_frame, procrustes
from mien.io.mesh import Mesh, read_mesh
from mien.topology import Polygons, Topology


def read_face(
    path: str | Path, topology: Topology, *, align: bool = False
) -> tuple[NDArray[np.float32], FrameDecision]:
    """Reads a face of a known topology and brings it to millimeters, +Y up, +Z out of the face.

    Only the unit and quarter turns are corrected: the pose of the head is part of the data. ``align``
    also moves the face rigidly onto the template.

    Args:
        path: A mesh file.
        topology: The topology that the face must have.
        align: Whether to align rigidly with the template.

    Returns:
        (V, 3) float32 vertices in millimeters, and the decision; print its ``sentence``.
    """
    return face_of_mesh(read_mesh(path), topology, align=align)


def face_of_mesh(
    mesh: Mesh, topology: Topology, *, align: bool = False
) -> tuple[NDArray[np.float32], FrameDecision]:
    """(V, 3) float32, millimeters, and the decision: :func:`read_face` of a mesh that is read already."""
    name = mesh.name if mesh.path is None else mesh.path.name
    check_topology(mesh, topology, name)
    decision = detect_frame(mesh.vertices, topology.template, name=name)
    vertices = decision.apply(mesh.vertices)
    if align:
        vertices = procrustes(vertices, topology.template).apply(vertices).astype(np.float32)
    return vertices, decision


def check_topology(mesh: Mesh, topology: Topology, name: str) -> None:
    """Raises unless a mesh has the vertices and faces of a topology, however polygons were cut.

    Args:
        mesh: The mesh as read.
        topology: What it must have.
        name: What to call the mesh in messages.
    """
    register = (
        "bring it into correspondence first (mien.open_face in Python, mien register on the command line), "
        "or use a model of its topology"
    )
    if len(mesh.vertices) != topology.vertex_count:
        raise WrongTopology(
            f"{name!r} does not have the topology {topology.name!r} of {topology.vertex_count} vertices "
            f"and {topology.face_count} triangles",
            received=f"{len(mesh.vertices)} vertices and {len(mesh.faces)} triangles",
            remedy=register,
        )
    if len(mesh.faces) < topology.face_count:
        raise BadMesh(
            f"{name!r} has the {topology.vertex_count} vertices of {topology.name!r} but not all its "
            f"{topology.face_count} triangles",
            received=f"{len(mesh.faces)} triangles",
            remedy="the file may be cut off: copy or export it again",
        )
    if not _same_faces(mesh, topology):
        raise WrongTopology(
            f"{name!r} has as many vertices as {topology.name!r} but other faces, so its vertices are in "
            "another order",
            received=f"{len(mesh.faces)} triangles",
            remedy=f"export it with the original vertex order, or {register}",
        )


def _same_faces(mesh: Mesh, topology: Topology) -> bool:
    """Whether the polygons of one side are those of the other, or were only cut into triangles otherwise."""
    if len(mesh.faces) != topology.face_count:
        return False
    count = topology.vertex_count
    fine_mesh, fine_topology = _edges(mesh.faces, None, count), _edges(topology.faces, None, count)
    coarse_mesh = _edges(mesh.faces, mesh.polygons, count)
    coarse_topology = _edges(topology.faces, topology.polygons, count)
    return bool(np.isin(coarse_topology, fine_mesh).all() or np.isin(coarse_mesh, fine_topology).all())


def _edges(faces: NDArray, polygons: Polygons | None, count: int) -> NDArray[np.int64]:
    """Each edge once, as one number."""
    if polygons is None:
        first, second = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    else:
        first = polygons.corners
        following = np.arange(1, len(first) + 1)
        ends = np.cumsum(polygons.sizes)
        following[ends - 1] = ends - polygons.sizes
        second = first[following]
    low, high = np.minimum(first, second), np.maximum(first, second)
    return np.unique(low.astype(np.int64) * count + high)
