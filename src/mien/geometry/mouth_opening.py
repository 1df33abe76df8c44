"""Skin that stands in an open mouth: between the lips nothing of it lies near."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BETWEEN = (0.3, 0.4, 0.5, 0.6, 0.7)  # of the way from the upper lip to the lower one: what is looked at
_OPEN = 0.5  # of the largest height: near the corners cheeks and lips themselves are near
_NEAR_MM = 6.0  # before or behind the lips; the walls of a mouth lie deeper
_PARTED_MM = 3.0  # lips that part less open no mouth
_EDGE = 1e-9


def covered_share(posed: NDArray, faces: NDArray, upper: NDArray, lower: NDArray) -> float:
    """How much of an open mouth skin covers, 0 to 1; 0 for one that is shut.

    Lines from the upper lip to the lower one span the opening. Seen along +Z, it is covered where skin is met
    within 6 mm of these lines.

    Args:
        posed: (N, 3) float, millimeters, +Y up, +Z out of the face. A head with an open mouth.
        faces: (F, 3) int. Triangles of its skin.
        upper: (n,) int. Vertices of the upper lip.
        lower: (n,) int. The vertex of the lower lip that lies on each at rest.
    """
    posed = np.asarray(posed, np.float64)
    height = posed[upper, 1] - posed[lower, 1]
    if height.max(initial=0.0) < _PARTED_MM:
        return 0.0
    wide = height > _OPEN * height.max()
    a, b = posed[upper[wide]], posed[lower[wide]]
    places = np.concatenate([a + share * (b - a) for share in _BETWEEN])
    corners = posed[faces]
    low, high = places.min(axis=0) - _NEAR_MM, places.max(axis=0) + _NEAR_MM
    near = (corners.max(axis=1) > low).all(axis=1) & (corners.min(axis=1) < high).all(axis=1)
    return float(_met(places, corners[near]).mean())


def _met(places: NDArray, corners: NDArray) -> NDArray[np.bool_]:
    """(n,) whether some of the triangles (F, 3, 3) lie near before or behind places (n, 3)."""
    first, ab, ac = corners[:, 0], corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    faces = np.abs(area) > _EDGE
    first, ab, ac, area = first[faces], ab[faces], ac[faces], area[faces]
    away = places[:, None, :] - first
    u = (away[..., 0] * ac[:, 1] - away[..., 1] * ac[:, 0]) / area
    v = (away[..., 1] * ab[:, 0] - away[..., 0] * ab[:, 1]) / area
    depth = away[..., 2] - u * ab[:, 2] - v * ac[:, 2]
    return ((u >= 0) & (v >= 0) & (u + v <= 1) & (np.abs(depth) < _NEAR_MM)).any(axis=1)
