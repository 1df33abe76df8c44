"""How pieces that are not skin move when the face does: with the head, with the jaw, or not at all."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mien.geometry.openings import Opening
from mien.geometry.procrustes import procrustes

Follow = Callable[[NDArray, NDArray, NDArray], NDArray[np.float64]]
"""(points of the piece, registered template, changes (B, V, 3)) -> changes of the piece (B, n, 3)."""

_STILL_MM, _MOVING_MM = 0.8, 2.0  # a bone that moves less than the first shows no movement at all
_STEPS = 12  # of the robust fit of the head's movement
_SKIN_SLIDES_MM = 0.5  # what moves against the rest of the head by more says less about the head


def still(points: NDArray, registered: NDArray, change: NDArray) -> NDArray[np.float64]:
    """Rests in the skull, or at its place in the world.

    Args:
        points: (n, 3) float, millimeters. The piece.
        registered: (V, 3) float, millimeters. The template.
        change: (B, V, 3) float, millimeters. Its movements.

    Returns:
        (B, n, 3) float64, zeros.
    """
    return np.zeros((len(change), len(points), 3))


def with_jaw(jaw: NDArray, share: NDArray) -> Follow:
    """Turns with the jaw.

    Args:
        jaw: (m,) int. Vertices of the template that move like the jaw, see :func:`jaw_region`.
        share: (n,) float. How much of its turn each vertex of the piece takes, 0 to 1.
    """

    def follow(points: NDArray, registered: NDArray, change: NDArray) -> NDArray[np.float64]:
        if not share.any() or len(jaw) < 4:
            return still(points, registered, change)
        chin = registered[jaw]
        # A chin that only wrinkles has moved no bone.
        sure = _sure(np.linalg.norm(change[:, jaw].mean(axis=1), axis=1))
        motion = procrustes(chin, chin + change[:, jaw])
        moved = motion.apply(np.broadcast_to(points, (len(change), *points.shape)))
        return sure[:, None, None] * share[:, None] * (moved - points)

    return follow


def with_head(points: NDArray, registered: NDArray, change: NDArray) -> NDArray[np.float64]:
    """Moves rigidly with the head: as most of the face does, whatever brows, cheeks and jaw do against it.

    Args:
        points: (n, 3) float, millimeters. The piece.
        registered: (V, 3) float, millimeters. The template.
        change: (B, V, 3) float, millimeters. Its movements.

    Returns:
        (B, n, 3) float64, millimeters.
    """
    weights = np.ones(change.shape[:2])
    for _ in range(_STEPS):
        motion = procrustes(registered, registered + change, weights=weights)
        whole = motion.apply(np.broadcast_to(registered, change.shape))
        apart = np.linalg.norm(whole - registered - change, axis=2)
        weights = 1 / (1 + (apart / _SKIN_SLIDES_MM) ** 2) ** 2
    sure = _sure(np.linalg.norm(whole - registered, axis=2).mean(axis=1))
    moved = motion.apply(np.broadcast_to(points, (len(change), *points.shape)))
    return sure[:, None, None] * (moved - points)


def _sure(size: NDArray) -> NDArray[np.float64]:
    """How sure it is that a bone moved, of the size of the movement in millimeters."""
    return np.clip((size - _STILL_MM) / (_MOVING_MM - _STILL_MM), 0, 1)


def jaw_region(vertices: NDArray, mouth: Opening) -> NDArray[np.int64]:
    """Vertices of the chin and the front of the lower jaw: what moves like the bone below it.

    Args:
        vertices: (V, 3) float, millimeters.
        mouth: Of this face.

    Returns:
        (n,) int64 indices.
    """
    offset = (vertices - mouth.center) / mouth.width
    low = (offset[:, 1] < -0.45) & (offset[:, 1] > -1.3) & (np.abs(offset[:, 0]) < 0.9)
    return np.flatnonzero(low & (offset[:, 2] > -1.2))
