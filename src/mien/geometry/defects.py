"""What is wrong with a mesh that can be used all the same: doubled triangles, fins, vertices far off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# On twenty artists' heads the nearest neighbor of a vertex is at most 19 mm away, and at most 3.2 times as far as
# that neighbor's own nearest.
_FAR_MM, _TIMES = 30.0, 8.0


@dataclass(frozen=True, eq=False)
class Defects:
    """Of the skin of a mesh.

    Args:
        far: (N,) bool. Vertices that lie far from all their neighbors, while these lie near to each other.
        doubled: (F,) bool. Triangles with the corners of an earlier one.
        crowded: How many edges have more than two triangles, the doubled ones aside.
    """

    far: NDArray[np.bool_]
    doubled: NDArray[np.bool_]
    crowded: int

    @staticmethod
    def of(points: NDArray, faces: NDArray, skin: NDArray) -> Defects:
        """Looks for them.

        Args:
            points: (N, 3) float, millimeters.
            faces: (F, 3) int, seams closed; none for a point scan, which has no defects.
            skin: (N,) bool. Where to look.
        """
        mine = skin[faces].all(axis=1) if len(faces) else np.zeros(0, bool)
        doubled = np.zeros(len(faces), bool)
        rows = np.flatnonzero(mine)
        if not len(rows):
            return Defects(np.zeros(len(points), bool), doubled, 0)
        _, first = np.unique(np.sort(faces[rows], axis=1), axis=0, return_index=True)
        doubled[rows] = True
        doubled[rows[first]] = False
        kept = faces[mine & ~doubled]
        edges = np.sort(kept[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
        _, shared = np.unique(edges, axis=0, return_counts=True)
        return Defects(_far(points, edges), doubled, int((shared > 2).sum()))

    def sound(self, faces: NDArray) -> NDArray[np.bool_]:
        """(F,) the triangles of the mesh, (F, 3) int, to compute with."""
        return ~self.doubled & ~self.far[faces].any(axis=1) if len(faces) else ~self.doubled

    def sentences(self, points: NDArray, registered: NDArray) -> tuple[str, ...]:
        """What a user should know of them.

        Args:
            points: (N, 3) float, millimeters. The mesh in the template's frame.
            registered: (V, 3) float, millimeters. The template on it.
        """
        said = []
        if self.far.any():
            row = int(np.argmax(self.far))
            gap = float(np.linalg.norm(registered - points[row], axis=1).min())
            others = int(self.far.sum()) - 1
            lie = f" and {others} more lie" if others else " lies"
            said.append(f"vertex {row}, {gap:.0f} mm from the face,{lie} far off all neighbors, which hold it")
        if self.doubled.any():
            said.append(f"{int(self.doubled.sum())} triangles are there twice: they count once")
        if self.crowded:
            said.append(f"{self.crowded} edges have more than two triangles")
        return tuple(said)


def _far(points: NDArray, edges: NDArray) -> NDArray[np.bool_]:
    """(N,) of edges (E, 2) between vertices."""
    edges = edges[edges[:, 0] != edges[:, 1]]
    a, b = np.concatenate([edges, edges[:, ::-1]]).T
    length = np.linalg.norm(points[a] - points[b], axis=1)
    nearest = np.full(len(points), np.inf)
    np.minimum.at(nearest, a, length)
    usual = np.zeros(len(points))
    np.maximum.at(usual, a, nearest[b])
    return np.isfinite(nearest) & (nearest > _FAR_MM) & (nearest > _TIMES * usual)
