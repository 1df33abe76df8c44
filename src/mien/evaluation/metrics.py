"""Metrics as pure functions of arrays, under the names of the specification.

Distances are millimeters. ``avd(x, y) = (1/V) sum_v ||x_v - y_v||``. Standard deviations divide by the
count. The variants of identity consistency measure different things and must never share a column:
``id_std_pooled`` and ``id_std_mesh`` are the spread of the size of the error, not the error (a predictor
that is wrong by exactly 1 mm everywhere scores 0), so ``id_mad`` is the headline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.geometry.alignment import procrustes
from mien.geometry.differential import uniform_laplacian

Meshes = NDArray[np.floating]


@dataclass(frozen=True)
class Statistics:
    """Mean, standard deviation (divided by the count) and median of ``count`` numbers."""

    mean: float
    std: float
    median: float
    count: int

    @staticmethod
    def of(values: NDArray) -> Statistics:
        """Statistics of all numbers of an array, accumulated in double precision."""
        flat = np.ravel(values)
        if not flat.size:
            return Statistics(float("nan"), float("nan"), float("nan"), 0)
        return Statistics(
            float(flat.mean(dtype=np.float64)),
            float(flat.std(dtype=np.float64)),
            float(np.median(flat)),
            flat.size,
        )


def distances(x: Meshes, y: Meshes) -> NDArray[np.float32]:
    """(..., V) distance of each vertex of meshes (..., V, 3)."""
    return np.linalg.norm(np.asarray(x, np.float32) - np.asarray(y, np.float32), axis=-1)


def avd(x: Meshes, y: Meshes) -> NDArray[np.float64]:
    """(...) average vertex distance of meshes (..., V, 3)."""
    return distances(x, y).mean(axis=-1, dtype=np.float64)


# 1. Reconstruction ------------------------------------------------------------------------------------


def rec_avd_mesh(truth: Meshes, predicted: Meshes) -> Statistics:
    """Over meshes: statistics of avd of (N, V, 3)."""
    return Statistics.of(avd(truth, predicted))


def rec_avd_pooled(truth: Meshes, predicted: Meshes) -> Statistics:
    """Over all vertices of all meshes: the mean agrees with the former, spread and median do not."""
    return Statistics.of(distances(truth, predicted))


def detail_distances(difference: Meshes, faces: NDArray) -> NDArray[np.float64]:
    """(..., V) length of the uniform Laplacian of differences (..., V, 3)."""
    operator = uniform_laplacian(faces, difference.shape[-2]).astype(np.float32)
    columns = np.moveaxis(np.asarray(difference, np.float32), -2, 0)
    result = (operator @ columns.reshape(len(columns), -1)).reshape(columns.shape)
    return np.linalg.norm(np.moveaxis(result, 0, -2), axis=-1)


def rec_detail(truth: Meshes, predicted: Meshes, faces: NDArray) -> Statistics:
    """Loss of fine shape that avd hides: over meshes, mean over v of ||(U x)_v - (U x_hat)_v||."""
    difference = np.asarray(truth, np.float32) - np.asarray(predicted, np.float32)
    return Statistics.of(detail_distances(difference, faces).mean(axis=-1))


# 2. Neutralization ------------------------------------------------------------------------------------


def neu_avd(neutral: Meshes, predicted: Meshes) -> Statistics:
    """Over test meshes: avd of the true neutral and the predicted neutral, both (N, V, 3)."""
    return Statistics.of(avd(neutral, predicted))


def rigidly_aligned(meshes: Meshes, target: Meshes) -> Meshes:
    """Each of (k, V, 3) moved rigidly (no scale, no mirror) onto its target (V, 3) or (k, V, 3)."""
    return procrustes(meshes, target).apply(meshes)


def neu_avd_aligned(neutral: Meshes, predicted: Meshes) -> Statistics:
    """The same after each prediction has been moved rigidly onto its truth."""
    return neu_avd(neutral, rigidly_aligned(predicted, neutral))


# 3. Consistency: one person (or expression), k predictions (k, V, 3) -> one number ---------------------


def id_std_vertex(meshes: Meshes) -> float:
    """All rigidly aligned to the first; mean over v of sqrt(sum over x, y, z of the variance over i)."""
    aligned = rigidly_aligned(meshes, meshes[0]).astype(np.float64)
    return float(np.sqrt(aligned.var(axis=0).sum(axis=-1)).mean())


def id_std_pooled(meshes: Meshes) -> float:
    """Standard deviation over all (i, v) of d_iv, the distance to the person's mean prediction."""
    return float(_deviations(meshes).std(dtype=np.float64))


def id_std_mesh(meshes: Meshes) -> float:
    """Standard deviation over i of avd(A_i, mean A)."""
    return float(_deviations(meshes).mean(axis=1, dtype=np.float64).std())


def id_std_avd(meshes: Meshes) -> float:
    """sqrt(mean over i of avd(A_i, mean A)^2)."""
    return float(np.sqrt((_deviations(meshes).mean(axis=1, dtype=np.float64) ** 2).mean()))


def id_mad(meshes: Meshes) -> float:
    """Mean over all (i, v) of d_iv: the headline."""
    return float(_deviations(meshes).mean(dtype=np.float64))


def _deviations(meshes: Meshes) -> NDArray[np.float32]:
    """(k, V) distances d_iv to the mean of the predictions."""
    return distances(meshes, np.asarray(meshes).mean(axis=0, dtype=np.float64))


exp_std_vertex, exp_std_pooled, exp_mad = id_std_vertex, id_std_pooled, id_mad
"""The same over persons at fixed expression, on expression-only meshes."""

CONSISTENCY: Mapping[str, Callable[[Meshes], float]] = {
    "id_mad": id_mad,
    "id_std_pooled": id_std_pooled,
    "id_std_vertex": id_std_vertex,
    "id_std_mesh": id_std_mesh,
    "id_std_avd": id_std_avd,
}


def over_groups(measure: Callable[[Meshes], float], groups: Sequence[Meshes]) -> Statistics:
    """Statistics over persons (or expressions) of a measure of each one's predictions."""
    return Statistics.of(np.array([measure(group) for group in groups if len(group) > 1]))


def id_between_avd(means: Meshes) -> float:
    """Mean avd over pairs of different persons' mean predictions (S, V, 3): the scale for ``id_mad``."""
    table = avd_table(means, means)
    return float(table[np.triu_indices(len(table), 1)].mean()) if len(table) > 1 else float("nan")


def id_ratio(mad: float, between: float) -> float:
    """``id_mad / id_between_avd``: free of units, comparable across data; nan if all persons coincide."""
    return mad / between if between > 0 else float("nan")


# 4. Transfer ------------------------------------------------------------------------------------------


def transfer_avd(truth: Meshes, predicted: Meshes) -> Statistics:
    """Over draws: avd of person c's own scan of s and the prediction of it from another person's s."""
    return Statistics.of(avd(truth, predicted))


# Distances between all pairs --------------------------------------------------------------------------


def avd_table(x: Meshes, y: Meshes, *, rows: int = 8) -> NDArray[np.float64]:
    """(n, m) average vertex distance of each of (n, V, 3) to each of (m, V, 3), a few rows at a time."""
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


MOST_ROWS = 2000


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


def some_rows(count: int, *, most: int = MOST_ROWS, seed: int = 0) -> NDArray[np.int64]:
    """All rows, or ``most`` random ones: distances of all pairs must fit in memory."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng([seed, 584]).permutation(count)[:most])


def path_length_ratio(path: Meshes) -> float:
    """Sum of the steps of a path (K + 1, V, 3) over the distance of its ends; 1 is straight."""
    ends = float(avd(path[0], path[-1]))
    return float(avd(path[1:], path[:-1]).sum() / ends) if ends > 0 else float("nan")


def path_step_cv(path: Meshes) -> float:
    """Standard deviation over mean of the steps of a path (K + 1, V, 3); 0 is even."""
    steps = avd(path[1:], path[:-1])
    return float(steps.std() / steps.mean()) if steps.mean() > 0 else float("nan")
