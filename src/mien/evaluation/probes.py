"""A linear reader of labels: what is plainly present in codes and meshes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadSetting


def read_labels(codes: NDArray, labels: NDArray, folds: NDArray, *, components: int = 64) -> NDArray:
    """Reads labels from codes with a ridge classifier that never saw the fold it is asked about.

    Ridge regression onto one-hot labels has a closed form: no training run, nothing to tune, the same
    answer everywhere. It finds what is linearly present; a stronger reader could find more.

    Args:
        codes: (n, ...) float. Codes, without unit, or meshes in millimeters. Flattened; more than
            ``components`` numbers are reduced by PCA of the training folds first.
        labels: (n,) int. What to read.
        folds: (n,) int. Scans with equal numbers are held out together: expressions for reading the person,
            persons for reading the expression (see :func:`folds_of`).
        components: Most numbers a scan may keep.

    Returns:
        (n,) int. The label that was read from each scan while it was held out.
    """
    kinds, target = np.unique(labels, return_inverse=True)
    if len(kinds) < 2 or len(np.unique(folds)) < 2:
        raise BadSetting("reading a label needs two labels and two folds", received=f"{len(kinds)} labels")
    codes = np.asarray(codes, np.float64).reshape(len(codes), -1)
    read = np.empty(len(codes), kinds.dtype)
    for fold in np.unique(folds):
        held = folds == fold
        train, test = _standardized(codes[~held], codes[held], components)
        onehot = np.eye(len(kinds))[target[~held]]
        center = onehot.mean(axis=0)
        # One unit of penalty a coordinate against variances of 1: mild, and the same for every model.
        gram = train.T @ train + np.eye(train.shape[1])
        guess = test @ np.linalg.solve(gram, train.T @ (onehot - center)) + center
        read[held] = kinds[guess.argmax(axis=1)]
    return read


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
    """A fold for each row such that no group is in two folds.

    To read the person, hold out expressions for everybody at once: were they drawn for each person, the
    training folds would show an expression by everybody but the person asked for, and a code without any
    identity would score below chance.

    Args:
        groups: (n,) int. Rows that must be held out together.
        count: Folds; fewer if there are fewer groups.
        seed: Which groups share a fold.

    Returns:
        (n,) int.
    """
    names, index = np.unique(groups, return_inverse=True)
    order = np.random.default_rng([seed, 578]).permutation(len(names))
    return order[index] % min(count, len(names))
