"""The metrics of motion, one pure function of arrays each; the number in a table comes from it.

Errors are millimeters, scores 0 to 1. A function gives one value a frame, clip or expression.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.evaluation.distances import Meshes, Values, avd


def frame_avd(truth: Meshes, made: Meshes) -> Values:
    """Error of each frame.

    Args:
        truth: (T, V, 3) float, millimeters.
        made: (T, V, 3) float, millimeters.

    Returns:
        (T,) float, millimeters.
    """
    return avd(truth, made)


def frame_l1(truth: Meshes, made: Meshes) -> Values:
    """Mean absolute error of the coordinates of each frame.

    Args:
        truth: (T, V, 3) float, millimeters.
        made: (T, V, 3) float, millimeters.

    Returns:
        (T,) float, millimeters.
    """
    return np.abs(made - truth).mean(axis=(1, 2))


def temporal_l1(truth: Meshes, made: Meshes) -> float:
    """Mean absolute error of the changes of coordinates from frame to frame, millimeters.

    Args:
        truth: (T, V, 3) float, millimeters.
        made: (T, V, 3) float, millimeters.
    """
    return float(np.abs(np.diff(made - truth, axis=0)).mean())


def confusion(labels: NDArray, named: NDArray, count: int) -> NDArray[np.int64]:
    """How often clips of the row's expression were taken for the column's.

    Args:
        labels: (n,) int. What the clips show.
        named: (n,) int. What the classifier says.
        count: E, how many expressions there are.

    Returns:
        (E, E) int.
    """
    table = np.zeros((count, count), np.int64)
    np.add.at(table, (labels, named), 1)
    return table


def seq_precision(table: NDArray) -> Values:
    """Share of the clips taken for an expression that show it.

    Args:
        table: (E, E) int. See :func:`confusion`.

    Returns:
        (E,) float, 0..1; 0 where nothing was found.
    """
    return np.diag(table) / np.maximum(table.sum(axis=0), 1)


def seq_recall(table: NDArray) -> Values:
    """Share of the clips of an expression that are taken for it.

    Args:
        table: (E, E) int. See :func:`confusion`.

    Returns:
        (E,) float, 0..1.
    """
    return np.diag(table) / np.maximum(table.sum(axis=1), 1)


def seq_f1(table: NDArray) -> Values:
    """Harmonic mean of precision and recall.

    Args:
        table: (E, E) int. See :func:`confusion`.

    Returns:
        (E,) float, 0..1.
    """
    precision, recall = seq_precision(table), seq_recall(table)
    return 2 * precision * recall / np.maximum(precision + recall, 1e-12)


def seq_accuracy(labels: NDArray, named: NDArray) -> Values:
    """Whether each clip is taken for what it shows.

    Args:
        labels: (n,) int.
        named: (n,) int.

    Returns:
        (n,) float: 1 or 0.
    """
    return (np.asarray(labels) == named).astype(np.float64)
