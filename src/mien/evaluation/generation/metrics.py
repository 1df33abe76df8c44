"""The metrics of generated faces, one pure function of arrays each; the number in a table comes from it.

Distances are millimeters, rates percent. A function gives one value a pair, face, family of faces or person;
rows state mean, spread and interval of these values.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.evaluation.distances import Meshes, Values, avd
from mien.geometry.closest import surface_distances

OWN_FALSE_ACCEPTS = 0.10
"""Share of a model's own random pairs that ``decoupling_own`` lets pass."""


def diversity(first: Meshes, second: Meshes) -> Values:
    """Distance of the two faces of each pair: random ones, or ones that share a code.

    Never read alone: factors are easily decoupled when diversity is low.

    Args:
        first: (n, V, 3) float, millimeters.
        second: (n, V, 3) float, millimeters.

    Returns:
        (n,) float, millimeters.
    """
    return avd(first, second)


def specificity(samples: Meshes, nearest: Meshes) -> Values:
    """Distance of each sample to the training mesh nearest to it.

    Args:
        samples: (n, V, 3) float, millimeters.
        nearest: (n, V, 3) float, millimeters. See :class:`mien.evaluation.generation.nearest.NearestMeshes`.

    Returns:
        (n,) float, millimeters.
    """
    return avd(samples, nearest)


def embedding_distance(a: NDArray, b: NDArray) -> Values:
    """Euclidean distance of embeddings.

    Args:
        a: (..., D) float. Unit vectors.
        b: (..., D) float. Unit vectors.

    Returns:
        (...) float, without unit, 0 to 2.
    """
    return np.linalg.norm(np.asarray(a, np.float64) - b, axis=-1)


def decoupling(families: NDArray, threshold: float) -> Values:
    """Faces with a code in common that a similarity network takes for the same person (or expression).

    Args:
        families: (n, 1 + m, D) float. Embeddings: each family's first face, then those that share its code.
        threshold: Faces nearer than this count as the same.

    Returns:
        (n,) float, percent of each family.
    """
    return 100.0 * (embedding_distance(families[:, :1], families[:, 1:]) < threshold).mean(axis=1)


def decoupling_random(families: NDArray, threshold: float) -> Values:
    """The same of faces that share nothing: the first faces of the other families.

    Args:
        families: (n, 1 + m, D) float. Embeddings.
        threshold: Faces nearer than this count as the same.

    Returns:
        (n,) float, percent.
    """
    near = _between_families(families) < threshold
    return 100.0 * (near.sum(axis=1) - 1) / max(len(families) - 1, 1)


def decoupling_lift(families: NDArray, threshold: float) -> Values:
    """What is left of the decoupling without what random pairs score.

    Args:
        families: (n, 1 + m, D) float. Embeddings.
        threshold: Faces nearer than this count as the same.

    Returns:
        (n,) float, percentage points.
    """
    return decoupling(families, threshold) - decoupling_random(families, threshold)


def decoupling_own(families: NDArray) -> Values:
    """The decoupling at the threshold that lets a tenth of the model's own random pairs pass.

    Args:
        families: (n, 1 + m, D) float. Embeddings.

    Returns:
        (n,) float, percent.
    """
    pairs = _between_families(families)[np.triu_indices(len(families), 1)]
    return decoupling(families, float(np.quantile(pairs, OWN_FALSE_ACCEPTS)) if len(pairs) else 0.0)


def _between_families(families: NDArray) -> Values:
    """(n, n) distances between the first faces of all families."""
    return embedding_distance(families[:, None, 0], families[None, :, 0])


def id_kept(people: NDArray, threshold: float) -> Values:
    """Expressions of a person that a similarity network takes for the person at rest.

    Args:
        people: (P, 1 + E, D) float. Embeddings: at rest, then every expression.
        threshold: Faces nearer than this count as the same.

    Returns:
        (P,) float, percent.
    """
    return 100.0 * (embedding_distance(people[:, :1], people[:, 1:]) < threshold).mean(axis=1)


def named_as_asked(named: NDArray, asked: NDArray) -> Values:
    """Faces that a classifier names as they were asked for.

    Args:
        named: (n, k) int. What the classifier says of k faces of each group.
        asked: (n, k), (n, 1) or (k,) int. What they were to show.

    Returns:
        (n,) float, percent of each group.
    """
    return 100.0 * (np.asarray(named) == asked).mean(axis=1)


def intensity_rho(shown: NDArray) -> float:
    """Rank correlation of what a face shows with the order in which it was asked; ties share their rank.

    An expression that collapsed to one face has no defined correlation and counts as 0.

    Args:
        shown: (n,) float. Displacements in millimeters, or log odds, at ascending intensities.
    """
    kinds, inverse, counts = np.unique(shown, return_inverse=True, return_counts=True)
    if len(kinds) < 2:
        return 0.0
    ranks = (np.cumsum(counts) - (counts + 1) / 2)[inverse]
    return float(np.corrcoef(ranks, np.arange(len(shown)))[0, 1])


def disp_ratio(beyond: float, full: float) -> float:
    """Displacement beyond full strength over that at full strength (millimeters); nan if nothing moves."""
    return beyond / full if full > 1e-6 else float("nan")


def style_spread(faces: Meshes, restyled: Meshes) -> Values:
    """Distance of faces that differ in the style of their expression only.

    Args:
        faces: (P, V, 3) float, millimeters.
        restyled: (P, V, 3) float, millimeters.

    Returns:
        (P,) float, millimeters.
    """
    return avd(faces, restyled)


def sparse_rmse(fitted: Meshes, truth: Meshes, faces: NDArray[np.integer]) -> float:
    """Root of the mean squared distance of the fitted vertices to the true surface, of one face.

    Args:
        fitted: (V, 3) float, millimeters.
        truth: (V, 3) float, millimeters.
        faces: (F, 3) int. Triangles of the truth.
    """
    return float(np.sqrt((surface_distances(fitted, truth, faces) ** 2).mean()))


def sparse_residual(fitted: NDArray, given: NDArray) -> Values:
    """Mean distance of the fitted landmarks to the given ones.

    Args:
        fitted: (n, L, 3) float, millimeters.
        given: (n, L, 3) float, millimeters.

    Returns:
        (n,) float, millimeters.
    """
    return np.linalg.norm(fitted - given, axis=-1).mean(axis=1)


def sparse_gain(without: NDArray, with_prior: NDArray) -> Values:
    """How much worse a fit is without the prior.

    Args:
        without: (n,) float, millimeters. ``sparse_rmse`` at weight 0.
        with_prior: (n,) float, millimeters. ``sparse_rmse`` at the largest weight.

    Returns:
        (n,) float, without unit.
    """
    return np.asarray(without) / np.asarray(with_prior)


def silhouette(codes: NDArray, labels: NDArray) -> Values:
    """1 where groups are tight and far apart, 0 where they mix, negative where they cross.

    Equation (Rousseeuw, 1987), with a the mean distance of a row to its own group and b to the nearest other
    one::

        s = (b - a) / max(a, b)

    Args:
        codes: (n, ...) float. In the space that is asked about; Euclidean distances.
        labels: (n,) int. Groups; rows alone in theirs count 0.

    Returns:
        (n,) float, without unit; nan with fewer than two groups, or nobody in a group.
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
