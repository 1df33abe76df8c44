"""How well codes and embeddings group by who and by what."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST = 2000


def silhouettes(codes: NDArray, labels: NDArray) -> NDArray[np.float64]:
    """(n,) silhouettes: 1 where groups are tight and far apart, 0 where they mix, negative where they cross.

    Equations (Rousseeuw, 1987), with a the mean distance of a row to its own group and b to the nearest other
    one::

        s = (b - a) / max(a, b)

    Args:
        codes: (n, D) float, in the space that is judged; Euclidean distances.
        labels: (n,) int. Groups; rows alone in theirs count 0.

    Returns:
        nan with fewer than two groups, or nobody in a group.
    """
    codes = np.asarray(codes, np.float64).reshape(len(codes), -1)
    kinds, group, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(kinds) < 2 or len(kinds) == len(codes):
        return np.full(len(codes), np.nan)
    codes = codes - codes.mean(axis=0)
    length = (codes**2).sum(axis=1)
    apart = np.sqrt(np.maximum(length[:, None] + length - 2 * codes @ codes.T, 0))
    np.fill_diagonal(apart, 0)
    sums = apart @ np.eye(len(kinds))[group]
    rows = np.arange(len(codes))
    own = sums[rows, group] / np.maximum(counts[group] - 1, 1)
    means = sums / counts
    means[rows, group] = np.inf
    nearest = means.min(axis=1)
    scores = (nearest - own) / np.maximum(np.maximum(nearest, own), 1e-300)
    return np.where(counts[group] > 1, scores, 0)


def some_rows(count: int, *, most: int = MOST, seed: int = 0) -> NDArray[np.int64]:
    """All rows, or ``most`` random ones: distances of all pairs must fit in memory."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng([seed, 584]).permutation(count)[:most])
