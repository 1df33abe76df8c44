"""The inside of a mesh's mouth: above it rests with the skull, below it turns with the jaw.

A template says nothing about what a mesh has behind its lips. Next to them it goes with the lip that it
belongs to, deeper with the bone; in between, along the mesh, one passes into the other. Skin that comes
toward it pushes it back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import SuperLU

from mien.geometry.cover import Cover
from mien.geometry.following import Follow, jaw_region, with_jaw
from mien.geometry.openings import Opening, edge_lengths
from mien.geometry.sparse_solver import factored

_REACH = 1.3  # widths of the mouth around its middle within which its inside lies
_ISLAND = 0.25  # of the inside's size: what it encloses and is smaller belongs to it
_DEEP_MM = 17.0  # over so long a way behind a lip what is there comes to go with the bone
_LOOSE = 1e-9  # holds what nothing else does


@dataclass(frozen=True, eq=False)
class _Side:
    """How the inside goes with one of the lips.

    Args:
        lip: (k,) vertices of the mesh. The lip around the inside.
        coupling: (m, k) sparse.
        factor: Of the inside's system.
    """

    lip: NDArray[np.int64]
    coupling: csr_matrix
    factor: SuperLU

    def taken(self, change: NDArray) -> NDArray[np.float64]:
        """(B, m, 3) what the inside takes of changes (B, k, 3) of the lip: less the deeper it lies."""
        columns = change.transpose(1, 0, 2).reshape(len(self.lip), -1)
        return self.factor.solve(self.coupling @ columns).reshape(-1, *change.shape[::2]).transpose(1, 0, 2)


@dataclass(frozen=True, eq=False)
class MouthInside:
    """The inside of a mesh's mouth.

    Args:
        members: (m,) vertices of the mesh.
        share: (m,) float. How much each goes with the jaw, 0 to 1.
        sides: How it goes with the upper and with the lower lip.
        jaw: How what lies below turns with the jaw.
        cover: The skin in front of it.
    """

    members: NDArray[np.int64]
    share: NDArray[np.float64]
    sides: tuple[_Side, _Side]
    jaw: Follow
    cover: Cover

    def moved(
        self, carried: NDArray, points: NDArray, registered: NDArray, change: NDArray
    ) -> NDArray[np.float64]:
        """(B, m, 3) movements of the inside, millimeters.

        Args:
            carried: (B, M, 3) float, millimeters. Those of the mesh around it.
            points: (M, 3) float, millimeters. The mesh.
            registered: (V, 3) float, millimeters. The template on the mesh.
            change: (B, V, 3) float, millimeters. Its movements.
        """
        upper, lower = self.sides
        above = upper.taken(carried[:, upper.lip])
        beside = carried[:, lower.lip] - self.jaw(points[lower.lip], registered, change)
        below = self.jaw(points[self.members], registered, change) + lower.taken(beside)
        return self.cover.pushed(above + self.share[:, None] * (below - above), carried)


def find_mouth_inside(
    points: NDArray, faces: NDArray, hidden: NDArray, at_lips: NDArray, side: NDArray, registered: NDArray,
    mouth: Opening,
) -> MouthInside | None:  # fmt: skip
    """The inside of the mouth of a mesh; None where nothing lies behind both lips.

    Args:
        points: (M, 3) float, millimeters, in the template's frame.
        faces: (F, 3) int. The triangles of its skin.
        hidden: (M,) bool. Skin that the template says nothing about.
        at_lips: (M,) bool. What lies nearest to the line of the template's inner lips.
        side: (M,) float. Above zero on the upper lip, below on the lower, 0 in the corners, which are both.
        registered: (V, 3) float, millimeters. The template on the mesh.
        mouth: Where its mouth is.
    """
    lengths = edge_lengths(faces, points)
    near = np.linalg.norm(points - mouth.center, axis=1) < _REACH * mouth.width
    members = _behind_lips(lengths, hidden & near, at_lips)
    around = np.asarray((lengths @ members.astype(float)) > 0).ravel() & ~members
    lips = [np.flatnonzero(around & (sign * side >= 0)) for sign in (1, -1)]
    if not all(map(len, lips)):
        return None
    rows = np.flatnonzero(members)
    within, couplings = _pulls(lengths, rows, lips)
    total = [_sums(pull) for pull in couplings]
    near = _sums(lengths[rows]) / np.maximum(np.diff(lengths[rows].indptr), 1) / _DEEP_MM**2
    sides = [
        _Side(lip, pull, factored((diags(_sums(within) + own + near) - within).tocsr()))
        for lip, pull, own in zip(lips, couplings, total, strict=True)
    ]
    between = factored((diags(_sums(within) + sum(total) + _LOOSE) - within).tocsr())
    share = np.clip((1 - between.solve(total[0] - total[1])) / 2, 0, 1)
    jaw = with_jaw(jaw_region(registered, mouth), np.ones(1))
    cover = Cover.of(points, faces[~(members | hidden)[faces].any(axis=1)], rows, np.union1d(*lips))
    return MouthInside(rows, share * share * (3 - 2 * share), (sides[0], sides[1]), jaw, cover)


def _pulls(
    lengths: csr_matrix, rows: NDArray, lips: list[NDArray[np.int64]]
) -> tuple[csr_matrix, list[csr_matrix]]:
    """How much each vertex of the inside holds to each other, and to each of both lips: (m, m), (m, k)."""
    graph = lengths[rows]
    graph.data = 1 / graph.data
    return graph[:, rows].tocsr(), [graph[:, lip].tocsr() for lip in lips]


def _sums(matrix: csr_matrix) -> NDArray[np.float64]:
    return np.asarray(matrix.sum(axis=1)).ravel()


def _behind_lips(lengths: csr_matrix, hidden: NDArray, at_lips: NDArray) -> NDArray[np.bool_]:
    """(M,) what of hidden skin hangs together with the lips, and what it encloses."""
    inside = _touching(lengths, hidden, at_lips)
    beside = np.asarray((lengths @ inside.astype(float)) > 0).ravel() & ~inside
    rest = np.flatnonzero(~inside)
    label = connected_components(lengths[rest][:, rest], directed=False)[1]
    islands = np.isin(label, label[beside[rest]]) & (np.bincount(label)[label] < _ISLAND * inside.sum())
    inside[rest[islands]] = True
    return inside


def _touching(lengths: csr_matrix, chosen: NDArray, touched: NDArray) -> NDArray[np.bool_]:
    """(M,) those components of chosen vertices that hold some touched ones."""
    rows = np.flatnonzero(chosen)
    label = connected_components(lengths[rows][:, rows], directed=False)[1]
    result = np.zeros(len(chosen), bool)
    result[rows[np.isin(label, label[touched[rows]])]] = True
    return result
