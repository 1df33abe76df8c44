"""Heads that no model has seen: other topologies, units, axes, further pieces, holes; with known truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.cli import command
from mien.data.sources.procedural.build import build_procedural
from mien.data.sources.procedural.person import ProceduralPerson
from mien.data.sources.procedural.topology import procedural_topology
from mien.geometry.registration import main_piece
from mien.io.mesh import read_mesh, write_obj
from mien.io.record import Mark, Mesh
from mien.topology import Topology

Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


@dataclass(frozen=True)
class Remesh:
    """Another mesh of the same surface.

    Args:
        corners: (N, 3) int. Each new vertex lies in this triangle of the old mesh,
        weights: (N, 3) float, here.
        faces: (F, 3) int. Triangles of the new vertices.
    """

    corners: NDArray
    weights: NDArray
    faces: NDArray

    def of(self, vertices: NDArray) -> NDArray[np.float64]:
        """(..., N, 3) the new vertices of old (..., V, 3): the known truth."""
        return np.einsum(
            "nk,...nkc->...nc", self.weights, np.asarray(vertices, np.float64)[..., self.corners, :]
        )


def remeshed(topology: Topology, seed: int = 0) -> Remesh:
    """Every triangle is split at a random inner point or at an edge, every vertex renumbered."""
    rng = np.random.default_rng(seed)
    faces, count = topology.faces.astype(np.int64), topology.vertex_count
    split = rng.random(len(faces)) < 0.5
    inner = rng.dirichlet((6, 6, 6), int(split.sum()))
    added = count + np.arange(len(inner))
    a, b, c = faces[split].T
    fans = [np.stack(item, axis=1) for item in ((a, b, added), (b, c, added), (c, a, added))]
    old = np.repeat(np.arange(count)[:, None], 3, axis=1)
    corners = np.concatenate([old, faces[split]])
    weights = np.concatenate([np.tile([1.0, 0, 0], (count, 1)), inner])
    order = rng.permutation(len(corners))
    rank = np.argsort(order)
    return Remesh(corners[order], weights[order], rank[np.concatenate([faces[~split], *fans])])


def ball(center: NDArray, radius: float) -> tuple[NDArray, NDArray]:
    """A sphere."""
    from meshes import icosphere

    vertices, faces = icosphere(2, radius)
    return vertices + center, faces


def block(center: NDArray, size: tuple[float, float, float]) -> tuple[NDArray, NDArray]:
    """A closed box of some vertices: a row of teeth."""
    grid = np.stack(np.meshgrid(*[np.linspace(-0.5, 0.5, 4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    shell = grid[(np.abs(grid).max(axis=1) > 0.49)]
    from scipy.spatial import ConvexHull

    hull = ConvexHull(shell + 1e-3 * np.random.default_rng(0).normal(size=shell.shape) * shell)
    inward = np.linalg.det(shell[hull.simplices]) < 0
    faces = np.where(inward[:, None], hull.simplices[:, ::-1], hull.simplices)
    used, index = np.unique(faces, return_inverse=True)
    return shell[used] * size + center, index.reshape(-1, 3)


def joined(*meshes: tuple[NDArray, NDArray]) -> tuple[NDArray, NDArray]:
    """Several meshes as pieces of one."""
    starts = np.cumsum([0] + [len(vertices) for vertices, _ in meshes])
    return (
        np.concatenate([vertices for vertices, _ in meshes]),
        np.concatenate([faces + start for (_, faces), start in zip(meshes, starts, strict=False)]),
    )


@lru_cache
def somebody() -> tuple[ProceduralPerson, Remesh]:
    """A person who is in no data set, and another mesh of the skin."""
    kept, skin = main_piece(procedural_topology())
    remesh = remeshed(skin, seed=2)
    person = ProceduralPerson.draw(np.random.default_rng(11))
    return person, replace(remesh, corners=kept[remesh.corners])


@dataclass(frozen=True)
class Workshop:
    """A model of procedural faces, and a stranger's head on disk.

    Args:
        root: The folder.
        model: A run of ``morphable``.
        person: Whose head it is.
        mesh: The head with eyeballs, in meters and Z-up, as ``head.obj`` holds it.
        rows: How many of its vertices are skin.
    """

    root: Path
    model: Path
    person: ProceduralPerson
    mesh: Mesh
    rows: int

    @classmethod
    def at(cls, root: Path) -> Workshop:
        """What :func:`make_workshop` made."""
        person, skin = somebody()
        return cls(root, root / "model", person, read_mesh(root / "head.obj"), len(skin.corners))

    def posed(self, **shapes: float) -> np.ndarray:
        """(N, 3) the head performing, in its own unit and axes."""
        there = somebody()[1].of(self.person.perform(shapes))
        eyes = self.mesh.vertices[self.rows :]
        return np.concatenate([there @ Z_UP.T * 0.001, eyes]).astype(np.float32)


def make_workshop(root: Path) -> None:
    """Builds faces, a model of them, and somebody's head that is none of them."""
    build_procedural(root / "data", subjects=10, vertices=900)
    assert command(["train", "morphable", "--data", str(root / "data"), "--out", str(root / "model")]) == 0
    person, skin = somebody()
    pieces = [(skin.of(person.neutral), skin.faces), *(ball(eye, 11.5) for eye in person.eyes)]
    vertices, faces = joined(*pieces)
    own = (vertices @ Z_UP.T * 0.001).astype(np.float32)
    marks = (Mark(0, "usemtl", "skin"), Mark(len(skin.faces), "usemtl", "eyes"))
    uv = own[:, :2] * 4
    mesh = Mesh(own, faces.astype(np.int32), uv=uv, uv_faces=faces.astype(np.int32), marks=marks, name="head")
    write_obj(root / "head.obj", own, mesh)
