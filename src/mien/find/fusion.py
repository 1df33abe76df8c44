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


@dataclass(frozen=True, eq=False)
class Fused:
    """One face from several views.

    Args:
        points: (478, 3) float, the subject's unit; NaN where no view has a point.
        spread: (478,) float, millimeters. Median distance of the views from the point.
        near: (478,) int. Views that agree on it.
        views: How many there are.
    """

    points: NDArray[np.float64]
    spread: NDArray[np.float64]
    near: NDArray[np.int64]
    views: int


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
    return Fused(points, spread, near.sum(axis=0), len(sightings))


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
