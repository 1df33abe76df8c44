"""Many views of one face made one: where its points are, and how far the views disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.find.looking import Sighting
from mien.geometry.placement import Placement
from mien.geometry.procrustes import procrustes

_STEEPEST = 0.15  # cosine: a surface seen at a flatter angle takes a point anywhere along itself
_FAR_MM = 25.0  # a view this far off counts no worse: it is wrong, not inexact
_NEAR_MM = 5.0  # of the medoid: views that are averaged
_SOFT_MM = 6.0  # residual at which a point counts half when a face is placed
_ROUNDS = 4
_FEWEST = 12  # points that a placement needs
_FEWEST_OF_PART = 6


PARTS = {
    "the right eye": (
        33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246, 226, 31, 228, 229, 230,
        231, 232, 233, 244, 247, 30, 29, 27, 28, 56, 190,
    ),
    "the left eye": (
        263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466, 446, 261, 448, 449,
        450, 451, 452, 453, 464, 467, 260, 259, 257, 258, 286, 414,
    ),
    "the nose": (1, 2, 4, 5, 6, 19, 45, 48, 64, 94, 98, 115, 195, 197, 275, 278, 294, 327, 344),
    "the mouth": (
        61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146, 57, 287,
        164, 18,
    ),
}  # fmt: skip
"""Points of the network on and around each part of a face."""
_PRESENT = 3  # views that see a surface at a point, where there is one


@dataclass(frozen=True, eq=False)
class Fused:
    """One face from several views.

    Args:
        points: (478, 3) float, the subject's unit; NaN where no view has a point.
        spread: (478,) float, millimeters. Median distance of the views from the point.
        near: (478,) int. Views that agree on it.
        present: (478,) int. Views that see a surface there, from its outside.
        views: How many there are.
    """

    points: NDArray[np.float64]
    spread: NDArray[np.float64]
    near: NDArray[np.int64]
    present: NDArray[np.int64]
    views: int

    def share(self, part: str, known: NDArray) -> float:
        """The share of a part's points at which there is a surface; 1 where too few are known.

        Where a head is cut or has a hole, points fall beside the mesh or on its inside.

        Args:
            part: One of :data:`PARTS`.
            known: (K,) int. The points that the template has, too.
        """
        numbers = np.intersect1d(PARTS[part], known)
        return float((self.present[numbers] >= _PRESENT).mean()) if len(numbers) >= _FEWEST_OF_PART else 1.0


def fuse(sightings: Sequence[Sighting], millimeters: float) -> Fused:
    """The medoid of each point over the views, then the mean of the views near it.

    Args:
        sightings: One or more.
        millimeters: What the subject's unit is for this face.
    """
    seen = np.stack([np.where((view.facing > _STEEPEST)[:, None], view.points, np.nan) for view in sightings])
    trust = np.stack([np.clip(view.facing, 0, 1) for view in sightings])
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1) * millimeters
    cost = np.where(np.isfinite(apart), np.minimum(apart, _FAR_MM), _FAR_MM).mean(axis=1)
    medoid = seen[cost.argmin(axis=0), np.arange(seen.shape[1])]
    distance = np.linalg.norm(seen - medoid, axis=-1) * millimeters
    near = np.isfinite(distance) & (distance < _NEAR_MM)
    weight = np.where(near, trust, 0)
    total = weight.sum(axis=0)
    mean = (np.nan_to_num(seen) * weight[..., None]).sum(axis=0) / np.maximum(total, 1e-9)[:, None]
    points = np.where((total > 0)[:, None], mean, np.nan)
    spread = np.median(np.where(np.isfinite(distance), distance, _FAR_MM), axis=0)
    return Fused(points, spread, near.sum(axis=0), np.isfinite(distance).sum(axis=0), len(sightings))


def place(points: NDArray, template_points: NDArray) -> tuple[Placement, float] | None:
    """The similarity that brings points onto the template's, bad ones counting little; and what is left.

    Args:
        points: (K, 3) float, any unit; NaN where unknown.
        template_points: (K, 3) float, millimeters.

    Returns:
        The placement and the median rest in millimeters, or None with too few points.
    """
    known = np.isfinite(points).all(axis=1)
    if known.sum() < _FEWEST:
        return None
    source, target = points[known], template_points[known]
    weights = np.ones(len(source))
    for _ in range(_ROUNDS):
        found = procrustes(source, target, scale=True, weights=weights)
        rest = np.linalg.norm(found.apply(source) - target, axis=1)
        weights = 1 / (1 + (rest / _SOFT_MM) ** 2)
    return Placement.of(found), float(np.median(rest))
