"""Closed-form readers for few people and many coordinates: leading axes, and ridge by leave-one-out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PENALTIES = 10.0 ** np.arange(-2.5, 4.1, 0.5)
_MEAN_MARGIN = 1.02  # a column is left at its mean unless the best penalty is better by 2 %


def leading_axes(centered: NDArray, most: int) -> Array:
    """Principal axes of a few rows.

    Args:
        centered: (n, D) float, in any unit. Rows less their mean.
        most: How many axes at the most.

    Returns:
        (K, D) float64, orthonormal, the largest variance first; fewer than n.
    """
    values, vectors = np.linalg.eigh(centered @ centered.T)
    keep = np.argsort(values)[::-1][: min(most, len(centered) - 1)]
    keep = keep[values[keep] > 1e-9 * max(values.max(), 1e-300)]
    return (centered.T @ vectors[:, keep] / np.sqrt(values[keep])).T


def leave_one_out(products: NDArray, wanted: NDArray) -> tuple[Array, float]:
    """Kernel ridge regression; each column takes the penalty, or the mean, that foretells left-out rows best.

    Args:
        products: (n, n) float. Inner products of the rows that are read, in any unit.
        wanted: (n, K) float, in any unit, of mean zero. What is to be foretold.

    Returns:
        (n, K) float64 dual weights, zero where the mean is the best guess, and the summed squared error of
        left-out rows.
    """
    values, vectors = np.linalg.eigh(products)
    turned = vectors.T @ wanted
    best, weights = (wanted**2).sum(axis=0) * _MEAN_MARGIN, np.zeros(np.shape(wanted))
    for penalty in PENALTIES:
        inverse = 1 / (np.maximum(values, 0) + penalty)
        found = vectors @ (inverse[:, None] * turned)
        error = ((found / ((vectors**2) @ inverse)[:, None]) ** 2).sum(axis=0)
        better = error < best
        best, weights[:, better] = np.where(better, error, best), found[:, better]
    return weights, float(best.sum())
