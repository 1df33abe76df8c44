"""Whether what was carried to a mesh may be written: it does what the model does, no vertex flies off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.geometry.differential import face_normals
from mien.geometry.openings import edge_lengths

_SMALL_MM = 2.0  # movements below this are judged as if they were so large
_ORDINARY = 0.998  # of edges: at the corners of lips and lids single ones may stretch without bound


@dataclass(frozen=True, eq=False)
class Shape:
    """A surface whose movements are measured.

    Args:
        points: (V, 3) float, millimeters. At rest.
        faces: (F, 3) int.
    """

    points: NDArray[np.float64]
    faces: NDArray

    def reach(self, change: NDArray) -> NDArray[np.float64]:
        """(B,) the longest way of a vertex of displacements (B, V, 3), millimeters."""
        return np.linalg.norm(change, axis=2).max(axis=1, initial=0.0)

    def stretch(self, change: NDArray) -> NDArray[np.float64]:
        """(B,) how many times longer nearly all edges are at most under displacements (B, V, 3)."""
        edges = edge_lengths(self.faces, self.points).tocoo()
        one = edges.row < edges.col
        a, b, rest = edges.row[one], edges.col[one], np.maximum(edges.data[one], 0.2)
        if not len(a):
            return np.ones(len(change))
        now = [np.linalg.norm(self.points[a] + item[a] - self.points[b] - item[b], axis=1) for item in change]
        return np.array([np.quantile(item / rest, _ORDINARY) for item in now])

    def flipped(self, change: NDArray) -> NDArray[np.float64]:
        """(B,) the share of triangles that turn over under displacements (B, V, 3)."""
        if not len(self.faces):
            return np.zeros(len(change))
        rest = face_normals(self.points, self.faces)
        return np.array(
            [((face_normals(self.points + item, self.faces) * rest).sum(axis=1) < 0).mean() for item in change]
        )
