"""Whether what was carried to a mesh may be used: it does what the model does, and no vertex flies off."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadMesh
from mien.geometry.differential import face_normals
from mien.geometry.nearest_landmark import nearest_landmark
from mien.geometry.openings import edge_lengths
from mien.topology import Topology

_SMALL_MM = 2.0  # movements below this are judged as if they were so large
_ORDINARY = 0.998  # of edges: at the corners of lips and lids single ones may stretch without bound
_SHORTEST_MM = 0.2  # shorter edges count as so long
_LOOKED_AT = 64  # of many movements, the largest: edges and triangles of these are judged

# Artists' heads, embedded people and ICT's, meshed anew, with 52 targets each: no vertex moved farther than
# the model's farthest, edges stretched up to 1.05 times more than the model's own, and up to 0.5 % of the
# triangles turned over where none of the model's did. A fin that nothing held moved 17 times as far.
_FARTHEST, _MOST_STRETCH, _MOST_FLIPPED = 1.3, 1.6, 0.02


@dataclass(frozen=True, eq=False)
class MovedSurface:
    """A surface whose movements are measured.

    Args:
        points: (V, 3) float, millimeters. At rest.
        faces: (F, 3) int.
    """

    points: NDArray[np.float64]
    faces: NDArray

    @cached_property
    def _edges(self) -> tuple[NDArray, NDArray, NDArray]:
        edges = edge_lengths(self.faces, self.points).tocoo()
        one = edges.row < edges.col
        return edges.row[one], edges.col[one], np.maximum(edges.data[one], _SHORTEST_MM)

    def stretch(self, change: NDArray) -> float:
        """How many times longer nearly all edges are at most under displacements (V, 3)."""
        a, b, rest = self._edges
        if not len(a):
            return 1.0
        now = np.linalg.norm(self.points[a] + change[a] - self.points[b] - change[b], axis=1)
        return float(max(np.quantile(now / rest, _ORDINARY), 1.0))

    def flipped(self, change: NDArray) -> float:
        """The share of triangles that turn over under displacements (V, 3)."""
        if not len(self.faces):
            return 0.0
        rest, now = (face_normals(points, self.faces) for points in (self.points, self.points + change))
        return float(((now * rest).sum(axis=1) < 0).mean())


def check_carried(
    mesh: MovedSurface, carried: NDArray, model: MovedSurface, change: NDArray, topology: Topology
) -> None:
    """Refuses movements of a mesh that the model does not make.

    Args:
        mesh: The mesh in the template's frame, as far as it follows the skin.
        carried: (B, N, 3) float, millimeters. Its movements.
        model: The registered template.
        change: (B, V, 3) float, millimeters. Its movements.
        topology: The template's.
    """
    if not np.isfinite(carried).all():
        raise _refused("some vertices have no position", "not a number")
    own = np.linalg.norm(change, axis=2).max(axis=1, initial=0.0)
    ways = np.linalg.norm(carried, axis=2)
    far = ways.max(axis=1, initial=0.0) / np.maximum(own, _SMALL_MM)
    if len(far) and far.max() > _FARTHEST:
        row = int(far.argmax())
        vertex = int(ways[row].argmax())
        raise _refused(
            f"vertices near {nearest_landmark(mesh.points[vertex], model.points, topology)} fly off",
            f"{ways[row, vertex]:.0f} mm where the model moves {own[row]:.0f} mm",
        )
    for row in np.argsort(-own)[:_LOOKED_AT]:
        stretch, usual = mesh.stretch(carried[row]), model.stretch(change[row])
        if stretch > _MOST_STRETCH * usual:
            raise _refused("its edges stretch", f"{stretch:.1f}-fold where the model's do {usual:.1f}-fold")
        flipped, usual = mesh.flipped(carried[row]), model.flipped(change[row])
        if flipped > usual + _MOST_FLIPPED:
            raise _refused("its triangles turn over", f"{flipped:.0%} where {usual:.0%} of the model's do")


def _refused(cause: str, received: str) -> BadMesh:
    return BadMesh(
        f"the mesh cannot follow the model: {cause}", received=received,
        remedy="give landmarks of eyes and mouth, name its pieces (--piece NAME=KIND), or mend it there",
    )  # fmt: skip
