"""Skin in front of what lies close behind it: the inside of a mouth, gums and lower teeth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

_THICK_MM = 1.0  # skin is so thick at least: what lies behind it comes no nearer
_LIPS_MM = 8.0  # so near to the lips what is behind one of them may be nearer to the other
_COVERED_MM = 12.0  # what lies deeper behind the skin is not met by it
_BEHIND = 0.3  # of its distance from a triangle is at least along the normal of that
_FRONT = 0.5  # what looks out of the face by its normal's third coordinate


@dataclass(frozen=True, eq=False)
class Cover:
    """The skin in front of some vertices of a mesh.

    Args:
        rows: (c,) int. Which of the vertices lie close behind it.
        corners: (c, 3) vertices of the mesh. The triangle of the skin that is nearest to each.
        outward: (c, 3) float. Unit normals of these triangles.
        depth: (c,) float, millimeters. How far behind them each lies at rest.
    """

    rows: NDArray[np.int64]
    corners: NDArray[np.int64]
    outward: NDArray[np.float64]
    depth: NDArray[np.float64]

    @staticmethod
    def of(points: NDArray, skin: NDArray, members: NDArray, lips: NDArray) -> Cover:
        """The cover of members of a mesh.

        Args:
            points: (M, 3) float, millimeters. The mesh.
            skin: (F, 3) int. Triangles of the skin that is seen.
            members: (m,) vertices behind it.
            lips: (k,) vertices. What lies near to them has no cover.
        """
        if not len(skin):  # nothing covers them
            return Cover(np.zeros(0, np.int64), np.zeros((0, 3), np.int64), np.zeros((0, 3)), np.zeros(0))
        corners = points[skin]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        far, nearest = cKDTree(corners.mean(axis=1)).query(points[members])
        depth = ((corners[nearest].mean(axis=1) - points[members]) * normal[nearest]).sum(axis=1)
        apart = cKDTree(points[lips]).query(points[members])[0] > _LIPS_MM
        rows = np.flatnonzero(apart & (depth > _BEHIND * far) & (far < _COVERED_MM))
        return Cover(rows, skin[nearest[rows]], normal[nearest[rows]], depth[rows])

    def pushed(self, moves: NDArray, carried: NDArray) -> NDArray[np.float64]:
        """Movements that stay behind the skin, vertex by vertex.

        Args:
            moves: (B, m, 3) float, millimeters. Movements of the members; changed in place.
            carried: (B, M, 3) float, millimeters. Those of the mesh.

        Returns:
            (B, m, 3) the same array.
        """
        moves[:, self.rows] -= self._lack(moves, carried)[..., None] * self.outward
        return moves

    def drawn_back(self, moves: NDArray, carried: NDArray) -> NDArray[np.float64]:
        """Movements of a rigid piece that stays behind the skin of the front of the face as a whole.

        Args:
            moves: (B, m, 3) float, millimeters. Movements of the members.
            carried: (B, M, 3) float, millimeters. Those of the mesh.

        Returns:
            (B, m, 3) float64, millimeters.
        """
        lack = self._lack(moves, carried) * (self.outward[:, 2] > _FRONT)
        if not lack.size:
            return moves
        most = lack.argmax(axis=1)
        return moves - (lack.max(axis=1)[:, None] * self.outward[most])[:, None]

    def _lack(self, moves: NDArray, carried: NDArray) -> NDArray[np.float64]:
        """(B, c) millimeters that are missing to the least depth."""
        away = carried[:, self.corners].mean(axis=2) - moves[:, self.rows]
        depth = self.depth + (away * self.outward).sum(axis=2)
        return np.maximum(np.minimum(self.depth, _THICK_MM) - depth, 0)
