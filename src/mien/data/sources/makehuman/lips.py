"""Lips that meet at rest: what modeling targets leave open between them is closed."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mien.data.sources.makehuman.release import MakeHuman
from mien.data.sources.makehuman.template import makehuman_topology, outline

MIDDLE = ((471, 474, 7227), (481, 523, 7236))
"""Vertices of the base mesh on the rims of the upper and the lower lip, above one another."""
PARTED_MM = 0.6
"""The jaw closes until the middle of the lips stands no further apart."""
CORNERS = (60, 64)
REACH_MM, ALONG_MM = 7.0, 1.5
"""Skin goes with a rim within this distance; with how much of the rim, as a deviation."""
ROUNDS = 2  # what moves with a rim bends its line a little


def lips_met(head: MakeHuman, face: NDArray) -> NDArray[np.float64]:
    """A face whose lips meet from corner to corner.

    The jaw closes first. Toward the corners lips stand up to two millimeters apart in many mixtures of
    targets, and teeth show there: each rim then goes half of the way, and the skin around goes with it.

    Args:
        head: The release.
        face: (N, 3) float, millimeters. A person at rest.

    Returns:
        (N, 3) float64, millimeters.
    """
    closed = _jaw_closed(head, face)
    for _ in range(ROUNDS):
        closed[:, 1] += _toward_each_other(head, closed)
    return closed


def _jaw_closed(head: MakeHuman, face: NDArray) -> NDArray[np.float64]:
    places = {int(vertex): place for place, vertex in enumerate(head.rows)}
    upper, lower = ([places[vertex] for vertex in row] for row in MIDDLE)
    jaw = head.units["jawOpen"]
    apart = float((face[upper, 1] - face[lower, 1]).mean()) - PARTED_MM
    opens = float((jaw[upper, 1] - jaw[lower, 1]).mean())
    return np.asarray(face - max(apart, 0.0) / opens * jaw, np.float64)


@lru_cache(maxsize=2)
def lip_rims(head: MakeHuman) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The inner rims of the lips.

    Args:
        head: The release.

    Returns:
        upper: (n,) int64 vertices of the upper lip's rim, with the corners.
        lower: (m,) int64 vertices of the lower lip's, with the corners.
    """
    topology = makehuman_topology(head)
    ring = outline(topology, range(60, 68))
    marks = dict(zip(topology.landmarks.names, topology.landmarks.corners[:, 0].tolist(), strict=True))
    first, second = (int(np.flatnonzero(ring == marks[f"ibug_{number}"])[0]) for number in CORNERS)
    ring, second = np.roll(ring, -first), (second - first) % len(ring)
    one, two = ring[: second + 1], np.append(ring[second:], ring[0])
    height = head.mean[:, 1]
    return (one, two) if height[one].mean() > height[two].mean() else (two, one)


def height_above(face: NDArray, own: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.float64]:
    """How far one rim stands above the other.

    Args:
        face: (N, 3) float, millimeters.
        own: (n,) int vertices of a rim.
        other: (m,) int vertices of the other rim.

    Returns:
        (n,) float64, millimeters, negative below it.
    """
    order = np.argsort(face[other, 0])
    there = np.interp(face[own, 0], face[other][order, 0], face[other][order, 1])
    return np.asarray(face[own, 1] - there)


def _toward_each_other(head: MakeHuman, face: NDArray) -> NDArray[np.float64]:
    """(N,) float64, millimeters upward: half of the gap for each rim, less for skin further from it."""
    upper, lower = lip_rims(head)
    near, moves = [], []
    for own, other, up in ((upper, lower, -1.0), (lower, upper, 1.0)):
        half = 0.5 * up * np.maximum(-up * height_above(face, own, other), 0)
        away = np.linalg.norm(face[:, None] - face[own], axis=2)
        nearest = away.min(axis=1, keepdims=True)
        share = np.exp(-(((away - nearest) / ALONG_MM) ** 2) / 2)
        spread = share @ half / share.sum(axis=1)
        spread[own] = half
        near.append(nearest[:, 0])
        moves.append(spread)
    fade = np.clip(1 - np.minimum(*near) / REACH_MM, 0, 1)
    return np.where(head.piece["skin"], fade**2 * (3 - 2 * fade) * np.where(near[0] < near[1], *moves), 0.0)
