"""Eyeballs: pieces of a mesh that are round, lids that slide over them, and where they look."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

_ROUND = 0.12  # deviation from a sphere, over its radius, up to which a piece is an eyeball


@dataclass(frozen=True, eq=False)
class Ball:
    """An eyeball as an obstacle: nearly round, with a cornea that stands out.

    Args:
        center: (3,) float, millimeters.
        radius: Millimeters.
        cloud: (n, 3) float, its vertices from the center.
    """

    center: NDArray[np.float64]
    radius: float
    cloud: NDArray[np.float64]

    @cached_property
    def _directions(self) -> tuple[cKDTree, NDArray[np.float64]]:
        length = np.linalg.norm(self.cloud, axis=1)
        kept = length > 0.9 * self.radius  # not what lies inside, like the back of an iris
        return cKDTree(self.cloud[kept] / length[kept, None]), length[kept]

    def reach(self, offset: NDArray) -> NDArray[np.float64]:
        """(...,) how far the ball reaches from its center toward (..., 3) offsets, millimeters."""
        tree, length = self._directions
        flat = offset.reshape(-1, 3) / np.maximum(np.linalg.norm(offset, axis=-1).reshape(-1, 1), 1e-9)
        return length[tree.query(flat, k=min(3, len(length)))[1]].max(axis=-1).reshape(offset.shape[:-1])

    def slid_over(self, points: NDArray, change: NDArray, edges: NDArray) -> NDArray[np.float64]:
        """Displacements of lids that slide over the ball where they would cut through it.

        A triangle dips below its corners: on a ball of radius r by e^2 / 6 r, with edges e (equilateral).

        Args:
            points: (n, 3) float, millimeters. Skin around the eye at rest.
            change: (B, n, 3) float, millimeters.
            edges: (n,) float, millimeters. The longest edge at each vertex.

        Returns:
            (B, n, 3) float, millimeters.
        """
        rest, offset = points - self.center, points + change - self.center
        gap = np.linalg.norm(rest, axis=1) - self.reach(rest)
        room = np.minimum(gap, np.maximum(0.03 * self.radius, edges**2 / (5 * self.radius)))
        # Lids lie as close to the ball as they did, a hair outside it at least; what was inside stays inside.
        limit = np.where(gap > 0, self.reach(offset) + room, 0.0)
        stretch = np.maximum(0.0, limit / np.maximum(np.linalg.norm(offset, axis=-1), 1e-9) - 1)
        return change + offset * np.where(np.any(change != 0, axis=-1), stretch, 0.0)[..., None]


def turned(points: NDArray, center: NDArray, degrees: NDArray) -> NDArray[np.float64]:
    """Displacements of an eyeball that looks elsewhere.

    Args:
        points: (n, 3) float, millimeters.
        center: (3,) float, millimeters. What it turns about.
        degrees: (B, 2) float, to the person's left (from +Z toward +X), and up.

    Returns:
        (B, n, 3) float, millimeters.
    """
    left, up = np.radians(np.asarray(degrees, np.float64)).T
    zero, one = np.zeros_like(left), np.ones_like(left)
    pitch = np.array([[one, zero, zero], [zero, np.cos(up), np.sin(up)], [zero, -np.sin(up), np.cos(up)]])
    yaw = np.array(
        [[np.cos(left), zero, np.sin(left)], [zero, one, zero], [-np.sin(left), zero, np.cos(left)]]
    )
    rotation = np.einsum("ijb,jkb->bik", yaw, pitch)
    offset = points - center
    return np.einsum("bik,nk->bni", rotation - np.eye(3), offset)


def sphere_center(cloud: NDArray) -> NDArray[np.float64]:
    """(3,) the center of the sphere of least squares through points (n, 3)."""
    middle = cloud.mean(axis=0)
    offset = cloud - middle
    matrix = np.hstack([2 * offset, np.ones((len(offset), 1))])
    solution, *_ = np.linalg.lstsq(matrix, (offset**2).sum(axis=1), rcond=None)
    return middle + solution[:3]


def sphere_radius(cloud: NDArray, center: NDArray) -> float:
    """The distance that points (n, 3) mostly have from a center (3,)."""
    return float(np.median(np.linalg.norm(cloud - center, axis=1)))


def round_piece(cloud: NDArray) -> tuple[NDArray[np.float64], float] | None:
    """The center and radius of a piece that is a ball; None where it is none.

    A shell like a lid or a film of tears surrounds its center too little.

    Args:
        cloud: (n, 3) float, millimeters. Its vertices.

    Returns:
        (3,) float64, millimeters, and the radius in millimeters.
    """
    if len(cloud) < 12:
        return None
    center = sphere_center(cloud)
    length = np.linalg.norm(cloud - center, axis=1)
    radius = sphere_radius(cloud, center)
    extent = np.ptp(cloud - center, axis=0) / max(length.mean(), 1e-9)
    is_round = np.abs(length - radius).mean() < _ROUND * radius and extent.min() > 0.9
    return (center, radius) if is_round else None
