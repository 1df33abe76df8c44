"""How far a recording is from its first frame, and to which side: labels of frames from their shapes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

REST_LEVEL = 0.01
"""Frames of a lower level count as neutral (the preparation released with Gu, Pears and Sun, FG 2023)."""

_SIDED = 0.25  # a frame is on a side when it goes there a quarter as far as the recording goes sideways


def displacement_level(frames: NDArray) -> NDArray[np.float64]:
    """(T,) mean vertex displacement from the first frame, divided by the recording's largest.

    0 is the first frame, 1 the apex. Levels up to :data:`REST_LEVEL` are set to 0.

    Args:
        frames: (T, V, 3) float, any unit.
    """
    moved = np.linalg.norm(np.asarray(frames, np.float64) - frames[0], axis=2).mean(axis=1)
    level = moved / max(float(moved.max()), 1e-12)
    return np.where(level <= REST_LEVEL, 0.0, level)


def outlying(frames: NDArray, deviations: float = 3.0) -> NDArray[np.bool_]:
    """(T,) bool: frames whose mean vertex displacement from the first one is far above that of the others.

    Source: the preparation of CoMA released with Gu, Pears and Sun, FG 2023, which leaves such frames out.

    Args:
        frames: (T, V, 3) float, any unit.
        deviations: How many standard deviations above the mean of the recording is far.
    """
    moved = np.linalg.norm(np.asarray(frames, np.float64) - frames[0], axis=2).mean(axis=1)
    return moved - moved.mean() > deviations * moved.std()


def sideways(frames: NDArray) -> NDArray[np.float64]:
    """(T,) mean movement along X, in the frames' unit; positive is toward the person's left.

    Each vertex counts by how far it moves, so the still parts of the head do not dilute the mouth.

    Args:
        frames: (T, V, 3) float, +Y up and +Z out of the face.
    """
    offset = np.asarray(frames, np.float64) - frames[0]
    amount = np.linalg.norm(offset, axis=2)
    return (amount * offset[..., 0]).sum(axis=1) / np.maximum(amount.sum(axis=1), 1e-12)


def moving_sides(frames: NDArray) -> list[str]:
    """``left``, ``right`` or, for frames that go to neither side, an empty string.

    Args:
        frames: (T, V, 3) float, +Y up and +Z out of the face.
    """
    shift = sideways(frames)
    least = _SIDED * max(float(np.abs(shift).max()), 1e-12)
    return ["" if abs(value) < least else "left" if value > 0 else "right" for value in shift]


def phase_weights(count: int, onset: int, apex_start: int, apex_end: int, offset: int) -> NDArray[np.float64]:
    """(T,) a motion label: 0, a linear ramp to 1, 1 during the apex, a linear ramp to 0.

    Source: Potamias, Zheng, Ploumpis, Bouritsas, Ververas and Zafeiriou, ECCV 2020, section 5.1.

    Args:
        count: T, number of frames.
        onset: Last neutral frame before the expression.
        apex_start: First frame of the apex.
        apex_end: Last frame of the apex.
        offset: First neutral frame after the expression.
    """
    return np.interp(np.arange(count), [onset, apex_start, apex_end, offset], [0.0, 1.0, 1.0, 0.0])
