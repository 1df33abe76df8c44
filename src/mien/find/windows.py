"""Where to look for a face first: the likely turns of a mesh, and windows from its whole to its top."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mien.find.looking import Subject, camera_of
from mien.geometry.alignment import quarter_turns
from mien.render.rays import Camera

LIKELY = 4
"""How many turns are looked at before all 24 are."""
# Up and out of the face in a file's axes: most programs, Blender, and both seen from behind.
_FIRST = (
    ((0, 1, 0), (0, 0, 1)), ((0, 0, 1), (0, -1, 0)), ((0, 1, 0), (0, 0, -1)), ((0, 0, 1), (0, 1, 0)),
    ((0, 1, 0), (1, 0, 0)), ((0, 1, 0), (-1, 0, 0)), ((0, 0, 1), (1, 0, 0)), ((0, 0, 1), (-1, 0, 0)),
)  # fmt: skip
_SHARES = (0.62, 0.4, 0.27, 0.18, 0.125)  # of the height, from the top: a bust to a body with raised arms
_FEW = 2  # of the shares, for what is too stout to be a body
STOUT = 0.5
"""Of the height: the root of width times depth. Heads have more, bodies less, even with arms out."""
_MARGIN = 1.2
_TOP = 0.8  # of a window is searched for the column to look at
_BELOW = 0.42  # of a window the camera looks below the top


def turns(count: int) -> list[NDArray[np.float64]]:
    """The first of the 24 quarter turns, each (3, 3), the likely ones first."""

    def rank(turn: NDArray) -> int:
        axes = tuple(np.round(turn[1]).astype(int)), tuple(np.round(turn[2]).astype(int))
        return _FIRST.index(axes) if axes in _FIRST else len(_FIRST)

    return sorted(quarter_turns(), key=rank)[:count]


def windows(subject: Subject, turn: NDArray, *, thorough: bool = True) -> Iterator[Camera]:
    """Cameras that look along one turn: at the whole mesh, then closer and closer at its top.

    Args:
        subject: What is looked at.
        turn: (3, 3) float. From the subject's axes to the picture's.
        thorough: Come close even to what is too stout to be a body with its head at the top.
    """
    points = subject.vertices.astype(np.float64) @ turn.T
    low, high = points.min(axis=0), points.max(axis=0)
    width, height, depth = high - low
    middle = (low + high) / 2
    # One ray a pixel: a first sight needs no smooth edges, and there are many pictures.
    yield camera_of(turn, middle @ turn, _MARGIN * max(width, height), rays=1)
    stout = np.sqrt(width * depth) > STOUT * height
    shares = _SHARES[: _FEW if stout and not thorough else None]
    for share in shares if height > 0 else ():  # a flat mesh is seen edge on
        span = share * height
        top = points[points[:, 1] > high[1] - _TOP * span, 0]
        across = (top.min() + top.max()) / 2
        yield camera_of(turn, np.array([across, high[1] - _BELOW * span, middle[2]]) @ turn, span, rays=1)
