"""What is wrong with a mesh that can be used all the same: doubled and strewn triangles, fins, slips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.csgraph import connected_components

from mien.geometry.differential import adjacency

# On twenty artists' heads the nearest neighbor of a vertex is at most 19 mm away, and at most 3.2 times as
# far as that neighbor's own nearest.
_FAR_MM, _TIMES = 30.0, 8.0
_FIN = 0.05  # of the sheet that it stands on: what is larger is a sheet itself, like the pocket of a mouth
_LEANS = (
    0.5  # of the vertices of a small sheet that touches others by vertices alone: one is a fin from here on
)


@dataclass(frozen=True, eq=False)
class Defects:
    """Of a mesh; vertices far off and doubled triangles of its skin.

    Args:
        far: (N,) bool. Vertices that lie far from all their neighbors, while these lie near to each other.
        doubled: (F,) bool. Triangles with the corners of an earlier one.
        standing: (F,) bool. Triangles of fins and what else is no surface, see :func:`standing_faces`.
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
            skin: (N,) bool. Where doubled triangles count, and vertices far off.
        """
        nowhere, doubled = np.zeros(len(points), bool), np.zeros(len(faces), bool)
        rows, first, _ = _distinct(faces)
        if not len(rows):
            return Defects(nowhere, doubled, doubled, nowhere, 0)
        of_skin = skin[faces[rows]].all(axis=1)
        doubled[rows[of_skin]] = True
        doubled[rows[first]] = False
        standing, fins = standing_faces(faces), nowhere.copy()
        fins[faces[standing]] = True
        fins[faces[rows[~standing[rows]]]] = False
        once = faces[rows[first[of_skin[first]]]]
        return Defects(_far(points, once), doubled, standing, fins, int((_edges(once)[1] > 2).sum()))

    def sound(self, faces: NDArray) -> NDArray[np.bool_]:
        """(F,) the triangles of the mesh, (F, 3) int, to compute with."""
        used = ~self.doubled & ~self.standing
        return used & ~self.far[faces].any(axis=1) if len(faces) else used

    def around(self, faces: NDArray, count: int) -> csr_matrix:
        """(N, N) float, sparse: by rows the neighbors that hold a vertex; fins hold none but each other.

        Args:
            faces: (F, 3) int. The mesh's triangles, seams closed.
            count: N.
        """
        sound = adjacency(faces[~self.standing], count).astype(np.float64)
        hanging = adjacency(faces[self.standing], count).astype(np.float64)
        fins = diags(self.fins.astype(np.float64))
        return (sound + fins @ hanging).tocsr()

    def sentences(self, points: NDArray, faces: NDArray, registered: NDArray) -> tuple[str, ...]:
        """What a user should know of them.

        Args:
            points: (N, 3) float, millimeters. The mesh in the template's frame.
            faces: (F, 3) int. Its triangles as its file numbers them.
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
            said.append(f"{self.crowded} edges have more than two triangles")
        if self.standing.any():
            corners = ", ".join(map(str, faces[int(np.argmax(self.standing))]))
            said.append(
                f"{int(self.standing.sum())} triangles stand on the surface or lie across it, the first at "
                f"vertices {corners}: nothing is computed with them"
            )
        if self.fins.any():
            said.append(f"{int(self.fins.sum())} vertices of fins go with their neighbors")
        return tuple(said)


def standing_faces(faces: NDArray) -> NDArray[np.bool_]:
    """Triangles that are no part of the surfaces of a mesh, as slips of modeling and repairing leave them.

    A sheet is what hangs together by edges of two triangles. One that is small beside a sheet that it touches
    stands on it like a fin where an edge has more than two triangles; where it touches others by vertices
    alone, it is strewn if these are half of its own or more. A single triangle at a rim whose tip touches the
    surface elsewhere bridges it.

    Args:
        faces: (F, 3) int, seams closed.

    Returns:
        (F,) bool; also the triangles that repeat such ones.
    """
    found = np.zeros(len(faces), bool)
    rows, first, again = _distinct(faces)
    if not len(rows):
        return found
    corners = faces[rows[first]].astype(np.int64)
    number, shared = _edges(corners)
    sheet = _sheets(number, shared)
    stands = (_on_edges(number, shared, sheet) | _at_vertices(corners, sheet))[sheet]
    if stands.any():
        rest = np.flatnonzero(~stands)
        stands[rest] = _bridges(corners[rest], *_edges(corners[rest]))
    else:
        stands = _bridges(corners, number, shared)
    found[rows] = stands[again]
    return found


def _bridges(corners: NDArray, number: NDArray, shared: NDArray) -> NDArray[np.bool_]:
    """(F,) triangles of one neighbor along an edge whose opposite vertex belongs to others, too."""
    inner = shared[number] > 1
    used = np.bincount(corners.ravel())
    opposite = corners[np.arange(len(corners)), (inner.argmax(axis=1) + 2) % 3]
    return (inner.sum(axis=1) == 1) & (used[opposite] > 1)


def _sheets(number: NDArray, shared: NDArray) -> NDArray[np.int64]:
    """(F,) the sheet of each triangle."""
    joined = np.where(shared[number] == 2, number, -1).ravel()
    order = np.argsort(joined, kind="stable")
    same = np.flatnonzero((joined[order][1:] == joined[order][:-1]) & (joined[order][1:] >= 0))
    pair = order[same] // 3, order[same + 1] // 3
    graph = coo_matrix((np.ones(len(same)), pair), (len(number), len(number)))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _on_edges(number: NDArray, shared: NDArray, sheet: NDArray) -> NDArray[np.bool_]:
    """(S,) sheets that are small beside one along an edge of more than two triangles."""
    size = np.bincount(sheet)
    rows, sides = np.nonzero(shared[number] > 2)
    largest = np.zeros(len(shared), np.int64)
    np.maximum.at(largest, number[rows, sides], size[sheet[rows]])
    beside = np.zeros(len(size), np.int64)
    np.maximum.at(beside, sheet[rows], largest[number[rows, sides]])
    return size < _FIN * beside


def _at_vertices(corners: NDArray, sheet: NDArray) -> NDArray[np.bool_]:
    """(S,) small sheets at least half of whose vertices are those of much larger ones."""
    size = np.bincount(sheet)
    largest = np.zeros(int(corners.max()) + 1, np.int64)
    np.maximum.at(largest, corners.ravel(), np.repeat(size[sheet], 3))
    rows = np.flatnonzero(size[sheet] < _FIN * size.max())
    own, vertex = np.divmod(
        np.unique(np.repeat(sheet[rows], 3) * len(largest) + corners[rows].ravel()), len(largest)
    )
    leans = np.bincount(own, size[own] < _FIN * largest[vertex], minlength=len(size))
    return (leans > 0) & (leans >= _LEANS * np.bincount(own, minlength=len(size)))


def _distinct(faces: NDArray) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows of the triangles that have three corners, seams closed; the first of each set of corners among
    these rows, in order; and of each row the place of its set.
    """
    rows = np.flatnonzero((faces != np.roll(faces, 1, axis=1)).all(axis=1))
    a, b, c = np.sort(faces[rows], axis=1).astype(np.int64).T
    count = int(c.max(initial=0)) + 1  # its cube fits: meshes have two million vertices at most
    _, first, again = np.unique((a * count + b) * count + c, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rows, first[order], rank[again]


def _edges(corners: NDArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(F, 3) the number of the edge behind each corner, and (E,) how many triangles have each edge."""
    after = np.roll(corners, -1, axis=1)
    low, high = np.minimum(corners, after), np.maximum(corners, after)
    keys = low.astype(np.int64) * (int(corners.max(initial=0)) + 1) + high
    _, number, shared = np.unique(keys, return_inverse=True, return_counts=True)
    return number.reshape(-1, 3), shared


def _far(points: NDArray, faces: NDArray) -> NDArray[np.bool_]:
    """(N,) vertices far from all their neighbors, in triangles (F, 3)."""
    after = np.roll(faces, -1, axis=1)
    a, b = np.concatenate([faces.ravel(), after.ravel()]), np.concatenate([after.ravel(), faces.ravel()])
    length = np.linalg.norm(points[a] - points[b], axis=1)
    nearest = np.full(len(points), np.inf)
    np.minimum.at(nearest, a, length)
    usual = np.zeros(len(points))
    np.maximum.at(usual, a, nearest[b])
    return np.isfinite(nearest) & (nearest > _FAR_MM) & (nearest > _TIMES * usual)
