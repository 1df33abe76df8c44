"""What people's faces have in common when they make an expression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.errors import MissingNeutral
from mien.progress import track

BLOCK = 256


def displaced_rows(data: FaceDataset) -> NDArray[np.int64]:
    """Rows that carry an expression label, are not neutral, and whose person has a neutral scan.

    Returns:
        (n,) int64 rows of the view.

    Raises:
        MissingNeutral: There is no such row.
    """
    rows = np.flatnonzero(data.has_neutral & ~data.is_neutral & data.row_labeled("expression"))
    if not len(rows):
        raise MissingNeutral(
            "displacements need labeled expressive scans of people who also have a neutral scan",
            received=f"{len(data)} scans, {int(data.is_neutral.sum())} neutral",
            remedy="label neutral scans by all-zero weights",
        )
    return rows


def mean_displacements(data: FaceDataset) -> NDArray[np.float32]:
    """Mean displacement from the own neutral at full weight of each named expression.

    Least squares of x - own neutral on the weights; for scans at full weight that is the mean of each class.
    An expression that no scan shows gets zeros.

    Args:
        data: A labeled data set.

    Returns:
        (E, V, 3) float32, millimeters.
    """
    rows, weights = displaced_rows(data), data.row_weights.astype(np.float64)
    gram = np.zeros((weights.shape[1],) * 2)
    cross = np.zeros((weights.shape[1], data.topology.vertex_count * 3))
    for start in track(range(0, len(rows), BLOCK), "mean expressions"):
        part = rows[start : start + BLOCK]
        shown = weights[part]
        gram += shown.T @ shown
        cross += shown.T @ (data[part] - data.neutral_of(part)).reshape(len(part), -1)
    scale = max(float(np.diag(gram).max()), 1e-12)
    solution = np.linalg.solve(gram + 1e-9 * scale * np.eye(len(gram)), cross)
    return solution.reshape(len(gram), -1, 3).astype(np.float32)


def full_displacements(weights: NDArray, offsets: NDArray) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """One person's displacements at full weight, by least squares.

    Args:
        weights: (n, E) float. What the person's scans show.
        offsets: (n, D) float, millimeters. The scans' displacements from the neutral.

    Returns:
        (E, D) float32, millimeters, zero where an expression was not shown; (E,) bool, which were.
    """
    known = weights.max(axis=0) > 0
    solution = np.zeros((weights.shape[1], offsets.shape[1]), np.float32)
    solution[known] = np.linalg.lstsq(weights[:, known], offsets, rcond=1e-4)[0]
    return solution, known
