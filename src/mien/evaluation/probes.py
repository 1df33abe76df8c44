"""Recognition, leakage, and uncertainty: what a simple reader can get out of codes and meshes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadSetting
from mien.evaluation.metrics import Meshes, avd_table


def rank1_mesh(gallery: Meshes, gallery_person: NDArray, probes: Meshes, probe_person: NDArray) -> NDArray:
    """Whether the gallery mesh nearest by avd shows the probe's person.

    Args:
        gallery: (n, V, 3) float, millimeters, one predicted neutral a person.
        gallery_person: (n,) int.
        probes: (m, V, 3) float, millimeters, predicted neutrals of all other scans.
        probe_person: (m,) int.

    Returns:
        (m,) bool; its mean is the rank-1 rate and chance is 1/n.
    """
    nearest = avd_table(probes, gallery).argmin(axis=1)
    return np.asarray(gallery_person)[nearest] == probe_person


def rank1_code(gallery: NDArray, gallery_person: NDArray, probes: NDArray, probe_person: NDArray) -> NDArray:
    """The same with the cosine of identity codes (n, D) and (m, D)."""
    nearest = (_unit(probes) @ _unit(gallery).T).argmax(axis=1)
    return np.asarray(gallery_person)[nearest] == probe_person


def _unit(codes: NDArray) -> NDArray:
    codes = np.asarray(codes, np.float64).reshape(len(codes), -1)
    return codes / np.maximum(np.linalg.norm(codes, axis=1, keepdims=True), 1e-12)


@dataclass(frozen=True)
class Leakage:
    """How often a linear reader names a label from a code, beside chance.

    Args:
        accuracy: Share of held-out scans named correctly, 0..1.
        chance: Share that always naming the commonest label gets.
        correct: (n,) bool, each scan when it was held out.
    """

    accuracy: float
    chance: float
    correct: NDArray[np.bool_]


def leakage(codes: NDArray, labels: NDArray, folds: NDArray, *, components: int = 64) -> Leakage:
    """Reads ``labels`` from ``codes`` with a ridge classifier that never saw the fold it is judged on.

    Ridge regression onto one-hot labels has a closed form: no training run, nothing to tune, the same
    answer everywhere. It finds what is linearly present; a stronger reader could find more.

    Args:
        codes: (n, ...) float. Flattened; more than ``components`` numbers are reduced by PCA of the
            training folds first.
        labels: (n,) int. What to read.
        folds: (n,) int. Scans with equal numbers are held out together: expressions for reading the person,
            persons for reading the expression (see :func:`folds_of`).
        components: Most numbers a scan may keep.
    """
    kinds, target = np.unique(labels, return_inverse=True)
    if len(kinds) < 2 or len(np.unique(folds)) < 2:
        raise BadSetting("reading a label needs two labels and two folds", received=f"{len(kinds)} labels")
    codes = np.asarray(codes, np.float64).reshape(len(codes), -1)
    correct = np.zeros(len(codes), bool)
    for fold in np.unique(folds):
        held = folds == fold
        train, test = _standardized(codes[~held], codes[held], components)
        onehot = np.eye(len(kinds))[target[~held]]
        center = onehot.mean(axis=0)
        # One unit of penalty a coordinate against variances of 1: mild, and the same for every model.
        gram = train.T @ train + np.eye(train.shape[1])
        guess = test @ np.linalg.solve(gram, train.T @ (onehot - center)) + center
        correct[held] = guess.argmax(axis=1) == target[held]
    return Leakage(float(correct.mean()), float(np.bincount(target).max() / len(target)), correct)


def _standardized(train: NDArray, test: NDArray, components: int) -> tuple[NDArray, NDArray]:
    """Both centered on the training rows, reduced to at most ``components`` axes of unit variance."""
    center = train.mean(axis=0)
    train, test = train - center, test - center
    if train.shape[1] > components:
        values, vectors = np.linalg.eigh(train @ train.T)
        keep = np.argsort(values)[::-1][:components]
        keep = keep[values[keep] > 1e-9 * max(values.max(), 1e-300)]
        axes = train.T @ vectors[:, keep] / np.sqrt(values[keep])
        train, test = train @ axes, test @ axes
    spread = train.std(axis=0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    return train / spread, test / spread


def folds_of(groups: NDArray, *, count: int = 5, seed: int = 0) -> NDArray[np.int64]:
    """(n,) fold of each row such that no group is in two folds.

    To read the person, hold out expressions for everybody at once: were they drawn for each person, the
    training folds would show an expression by everybody but the person asked for, and a code without any
    identity would score below chance.

    Args:
        groups: (n,) int. Rows that must be held out together.
        count: Folds; fewer if there are fewer groups.
        seed: Which groups share a fold.
    """
    names, index = np.unique(groups, return_inverse=True)
    order = np.random.default_rng([seed, 578]).permutation(len(names))
    return order[index] % min(count, len(names))


def bootstrap(
    values: NDArray, person: NDArray, *, resamples: int = 2000, seed: int = 0, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of a mean when the **people** are drawn anew, not the meshes: scans of one person agree.

    Args:
        values: (n,) float, e.g. avd of each mesh.
        person: (n,) int.
        resamples: How many draws of people.
        seed: Of the draws.
        confidence: Share of the draws inside the interval.
    """
    people, index = np.unique(person, return_inverse=True)
    if len(people) < 2:
        return float("nan"), float("nan")
    total, count = np.bincount(index, values), np.bincount(index)
    drawn = np.random.default_rng([seed, 579]).integers(len(people), size=(resamples, len(people)))
    means = total[drawn].sum(axis=1) / count[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
