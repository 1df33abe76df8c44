"""Vertex colors: what files write is sRGB, what glTF and USD compute with is linear light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# IEC 61966-2-1: the straight part of the curve and the power behind it.
_STRAIGHT, _SLOPE, _OFFSET, _POWER = 0.04045, 12.92, 0.055, 2.4


def in_unit_range(colors: NDArray, largest: float | None = None) -> NDArray[np.float32]:
    """(V, 3) float32 in 0..1.

    Args:
        colors: (V, 3) any type, as a file has them.
        largest: The value of full brightness; None takes 255 where a value is above 1, else 1.
    """
    values = np.nan_to_num(np.asarray(colors, np.float64))
    if largest is None:
        largest = 255.0 if values.max(initial=0.0) > 1 else 1.0
    return np.clip(values / largest, 0, 1).astype(np.float32)


def to_linear(colors: NDArray) -> NDArray[np.float32]:
    """(..., 3) linear light of sRGB colors, both 0..1.

    Args:
        colors: (..., 3) float, sRGB, 0..1.
    """
    values = np.asarray(colors, np.float64)
    curved = ((values + _OFFSET) / (1 + _OFFSET)) ** _POWER
    return np.where(values <= _STRAIGHT, values / _SLOPE, curved).astype(np.float32)


def from_linear(colors: NDArray) -> NDArray[np.float32]:
    """(..., 3) sRGB of linear light, both 0..1.

    Args:
        colors: (..., 3) float, linear, 0..1.
    """
    values = np.clip(np.asarray(colors, np.float64), 0, 1)
    curved = (1 + _OFFSET) * values ** (1 / _POWER) - _OFFSET
    return np.where(values <= _STRAIGHT / _SLOPE, values * _SLOPE, curved).astype(np.float32)
