"""Distances between meshes, which the metrics are made of: ``avd(x, y) = (1/V) sum_v ||x_v - y_v||``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.geometry.alignment import procrustes

Meshes = NDArray[np.floating]
Values = NDArray[np.float64]


def distances(x: Meshes, y: Meshes) -> NDArray[np.float32]:
    """Distance of each vertex of one mesh to the same vertex of the other.

    Args:
        x: (..., V, 3) float, millimeters.
        y: (..., V, 3) float, millimeters.

    Returns:
        (..., V) float, millimeters.
    """
    return np.linalg.norm(np.asarray(x, np.float32) - np.asarray(y, np.float32), axis=-1)


def avd(x: Meshes, y: Meshes) -> Values:
    """Average vertex distance.

    Args:
        x: (..., V, 3) float, millimeters.
        y: (..., V, 3) float, millimeters.

    Returns:
        (...) float, millimeters.
    """
    return distances(x, y).mean(axis=-1, dtype=np.float64)


def avd_table(x: Meshes, y: Meshes, *, rows: int = 8) -> Values:
    """Average vertex distance of each mesh to each other one, a few rows at a time.

    Args:
        x: (n, V, 3) float, millimeters.
        y: (m, V, 3) float, millimeters.
        rows: How many of the former are compared at once.

    Returns:
        (n, m) float, millimeters.
    """
    x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
    table = np.empty((len(x), len(y)))
    for start in range(0, len(x), rows):
        for column in range(0, len(y), 64):
            part = x[start : start + rows, None] - y[None, column : column + 64]
            squared = np.einsum("nmvc,nmvc->nmv", part, part)
            table[start : start + rows, column : column + 64] = np.sqrt(squared).mean(
                axis=-1, dtype=np.float64
            )
    return table


def rigidly_aligned(meshes: Meshes, target: Meshes) -> Meshes:
    """Each mesh moved rigidly (no scale, no mirror) onto its target.

    Args:
        meshes: (k, V, 3) float, millimeters.
        target: (V, 3) or (k, V, 3) float, millimeters.

    Returns:
        (k, V, 3) float, millimeters.
    """
    return procrustes(meshes, target).apply(meshes)
