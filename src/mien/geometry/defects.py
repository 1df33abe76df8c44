"""What is wrong with a mesh that can be used all the same: doubled triangles, fins, vertices far off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

# On twenty artists' heads the nearest neighbor of a vertex is at most 19 mm away, and at most 3.2 times as
# far as that neighbor's own nearest.
_FAR_MM, _TIMES = 30.0, 8.0
_FIN = 0.05  # of the sheet that it stands on: what is larger is a sheet itself, like the pocket of a mouth


@dataclass(frozen=True, eq=False)
class Defects:
    """Of the skin of a mesh.

    Args:
        far: (N,) bool. Vertices that lie far from all their neighbors, while these lie near to each other.
        doubled: (F,) bool. Triangles with the corners of an earlier one.
        standing: (F,) bool. Triangles of fins: small sheets on edges that have two triangles without them.
        fins: (N,) bool. Vertices of fins alone.
        crowded: How many edges have more than two triangles, the doubled ones aside.
    """

    far: NDArray[np.bool_]
    doubled: NDArray[np.bool_]
    standing: NDArray[np.bool_]
    fins: NDArray[np.bool_]
    crowded: int

    @property
    def held(self) -> NDArray[np.bool_]:
        """(N,) vertices whose neighbors say where they go."""
        return self.far | self.fins

    @staticmethod
    def of(points: NDArray, faces: NDArray, skin: NDArray) -> Defects:
        """Looks for them.

        Args:
            points: (N, 3) float, millimeters.
            faces: (F, 3) int, seams closed; none for a point scan, which has no defects.
            skin: (N,) bool. Where to look.
        """
        nowhere, doubled = np.zeros(len(points), bool), np.zeros(len(faces), bool)
        proper = (faces != np.roll(faces, 1, axis=1)).all(axis=1)  # seams closed, others have no area
        rows = np.flatnonzero(skin[faces].all(axis=1) & proper)
        if not len(rows):
            return Defects(nowhere, doubled, doubled, nowhere, 0)
        _, first = np.unique(np.sort(faces[rows], axis=1), axis=0, return_index=True)
        doubled[np.delete(rows, first)] = True
        kept = rows[np.sort(first)]
        edges = np.sort(faces[kept][:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
        of_fin, crowded = _fins(edges)
        standing, fins = np.zeros(len(faces), bool), nowhere.copy()
        standing[kept[of_fin]] = True
        fins[faces[standing]] = True
        fins[faces[kept[~of_fin]]] = False
        return Defects(_far(points, edges), doubled, standing, fins, crowded)

    def sound(self, faces: NDArray) -> NDArray[np.bool_]:
        """(F,) the triangles of the mesh, (F, 3) int, to compute with."""
        used = ~self.doubled & ~self.standing
        return used & ~self.far[faces].any(axis=1) if len(faces) else used

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
            said.append(
                f"vertex {row}, {gap:.0f} mm from the face,{lie} far off all neighbors, which hold it"
            )
        if self.doubled.any():
            said.append(f"{int(self.doubled.sum())} triangles are there twice: they count once")
        if self.crowded:
            held = (
                f": {int(self.fins.sum())} vertices of fins go with their neighbors"
                if self.fins.any()
                else ""
            )
            said.append(f"{self.crowded} edges have more than two triangles{held}")
        return tuple(said)


def _fins(edges: NDArray) -> tuple[NDArray[np.bool_], int]:
    """(F,) which triangles are of fins, of their edges, (3 F, 2); and how many edges are crowded."""
    count = len(edges) // 3
    _, number, shared = np.unique(edges, axis=0, return_inverse=True, return_counts=True)
    crowded = shared > 2
    if not crowded.any():
        return np.zeros(count, bool), 0
    order = np.argsort(number.ravel(), kind="stable")
    owner, pairs = order // 3, np.flatnonzero(shared == 2)
    first = (np.cumsum(shared) - shared)[pairs]
    graph = coo_matrix((np.ones(len(pairs)), (owner[first], owner[first + 1])), (count, count))
    _, sheet = connected_components(graph, directed=False)
    size = np.bincount(sheet)
    at = crowded[number.ravel()]  # the corners that lie along a crowded edge
    largest = np.zeros(len(shared), np.int64)
    np.maximum.at(largest, number.ravel()[at], size[sheet[np.flatnonzero(at) // 3]])
    beside = np.zeros(len(size), np.int64)
    np.maximum.at(beside, sheet[np.flatnonzero(at) // 3], largest[number.ravel()[at]])
    return size[sheet] < _FIN * beside[sheet], int(crowded.sum())


def _far(points: NDArray, edges: NDArray) -> NDArray[np.bool_]:
    """(N,) of edges (E, 2) between vertices."""
    a, b = np.concatenate([edges, edges[:, ::-1]]).T
    length = np.linalg.norm(points[a] - points[b], axis=1)
    nearest = np.full(len(points), np.inf)
    np.minimum.at(nearest, a, length)
    usual = np.zeros(len(points))
    np.maximum.at(usual, a, nearest[b])
    return np.isfinite(nearest) & (nearest > _FAR_MM) & (nearest > _TIMES * usual)
