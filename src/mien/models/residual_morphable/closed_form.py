"""What the residual morphable model computes without training, on scans as coefficients of their main axes.

N scans of P people, E expressions, C coefficients. Everything is in millimeters of vertices, as the axes are
orthonormal; nothing here holds a mesh.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.displacement import full_displacements
from mien.data.ridge import leading_axes, leave_one_out
from mien.errors import BadSetting

Array = NDArray[np.float64]

ROUNDS, SETTLED = 100, 1e-6  # of people and expressions by turns, and the relative change that ends it
FOLDS = 5
PENALTIES = (0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Square millimeters a scan that are tried where people's rests are read."""
ANSWERS = 60
"""Joint axes of all of a person's expressions in which they are foretold."""
SIZES = (4, 6, 8, 10, 14, 20)
LENGTHS = (0.0, 1.0, 1.5, 2.5, 4.0)
"""Length scales of the radial kernels that are tried, in deviations; 0 stands for plain inner products."""
RIDGE, SHRINKAGE = 0.1, 0.01  # shares of mean variance and of mean signal


@dataclass(frozen=True, eq=False)
class People:
    """Who the training people are at rest, and what expressions do to them on average.

    Args:
        rests: (P, C) float, millimeters.
        means: (E, C) float, millimeters. Mean displacement of each expression at full weight.
        person: (N,) int. Whose each scan is, in the order of ``rests``; -1 without a label of identity.
    """

    rests: Array
    means: Array
    person: NDArray[np.int64]

    @staticmethod
    def of(
        scans: Array, subject: NDArray, weights: NDArray, named: NDArray[np.bool_], known: NDArray[np.bool_]
    ) -> People:
        """Least squares of scan = rest of the person + weights of means over the labeled scans, by turns.

        A neutral scan is one of weight zero and no more than the others: the rest is what all of a person's
        scans agree on. Who has no named scan is the median of the scans.

        Args:
            scans: (N, C) float, millimeters.
            subject: (N,) int.
            weights: (N, E) float.
            named: (N,) bool. Whose expression is labeled.
            known: (N,) bool. Whose identity is labeled.
        """
        numbers = np.unique(subject[known])
        person = np.where(known, np.searchsorted(numbers, subject), -1)
        rests = np.stack([np.median(scans[person == k], axis=0) for k in range(len(numbers))])
        rows = np.flatnonzero(named & known)
        shown, who, both = scans[rows], person[rows], weights[rows].astype(np.float64)
        counts = np.bincount(who, minlength=len(rests))
        found = np.flatnonzero(counts)
        gram = both.T @ both
        # A trace: an expression that nobody shows has the displacement zero.
        gram += 1e-9 * max(float(np.trace(gram)), 1e-12) * np.eye(len(gram))
        sums = np.zeros((len(rests), len(rows)))
        sums[who, np.arange(len(rows))] = 1 / counts[who]
        rests[found] = (sums @ shown)[found]
        still = both.max(axis=1, initial=0) <= 0  # start at neutral scans where there are any
        for k in np.unique(who[still]):
            rests[k] = shown[still & (who == k)].mean(axis=0)
        means = np.linalg.solve(gram, both.T @ (shown - rests[who]))
        for _ in range(ROUNDS):
            rests[found] = (sums @ (shown - both @ means))[found]
            before, means = means, np.linalg.solve(gram, both.T @ (shown - rests[who]))
            if np.abs(means - before).max(initial=0) <= SETTLED * np.abs(means).max(initial=1e-12):
                break
        return People(rests, means, person)


def rest_reader(scans: Array, people: People) -> Array:
    """Ridge regression of a person's rest on one scan; the penalty foretells left-out people best.

    Args:
        scans: (N, C) float, millimeters, less their mean.
        people: Whose.

    Returns:
        (C, C) float: scan @ result is the rest less the mean rest.
    """
    rows = np.flatnonzero(people.person >= 0)
    shown, who = scans[rows], people.person[rows]
    wanted = (people.rests - people.rests.mean(axis=0))[who]
    fold = who % min(FOLDS, len(people.rests))
    errors = np.zeros(len(PENALTIES))
    for left in np.unique(fold):
        out = fold == left
        for k, penalty in enumerate(PENALTIES):
            errors[k] += ((shown[out] @ _ridge(shown[~out], wanted[~out], penalty) - wanted[out]) ** 2).sum()
    return _ridge(shown, wanted, PENALTIES[int(errors.argmin())])


def rest_fit(identity: Array, means: Array, ridge: float) -> Array:
    """The additive model's rest: the identity part of the joint fit of both sets of axes to one scan.

    Args:
        identity: (A, C) float, millimeters. Identity axes, one deviation each.
        means: (E, C) float, millimeters. Mean displacements of the expressions.
        ridge: Weight of the squared codes, square millimeters.

    Returns:
        (C, C) float: scan @ result is the rest less the mean rest.
    """
    axes = np.concatenate([identity, means])
    codes = np.linalg.solve(axes @ axes.T + ridge * np.eye(len(axes)), axes)
    return codes[: len(identity)].T @ identity


def _ridge(shown: Array, wanted: Array, penalty: float) -> Array:
    system = shown.T @ shown + penalty * len(shown) * np.eye(shown.shape[1])
    return np.linalg.solve(system, shown.T @ wanted)


def strength_reader(apart: Array, weights: NDArray, means: Array) -> Array:
    """Generalized least squares of named weights: what people add to an expression counts as noise.

    Args:
        apart: (N, C) float, millimeters. Labeled scans less their people's rests.
        weights: (N, E) float. Their labels.
        means: (E, C) float, millimeters.

    Returns:
        (C, E) float: apart @ result is the weights.
    """
    left = apart - weights @ means
    noise = left.T @ left / max(len(left), 1)
    noise += (RIDGE * np.trace(noise) / len(noise) + 1e-9) * np.eye(len(noise))
    weighed = np.linalg.solve(noise, means.T)
    signal = means @ weighed
    signal += (SHRINKAGE * np.trace(signal) / len(signal) + 1e-12) * np.eye(len(signal))
    return weighed @ np.linalg.inv(signal)


def personal_displacements(scans: Array, people: People, weights: NDArray, rows: NDArray) -> Array:
    """What each person adds to the mean displacement of each expression, at full weight.

    Args:
        scans: (N, C) float, millimeters.
        people: Whose.
        weights: (N, E) float.
        rows: (n,) int. Scans with both labels.

    Returns:
        (P, E, C) float, millimeters; zero, which is the mean, where a person does not show an expression.
    """
    result = np.zeros((len(people.rests), *people.means.shape))
    for k in np.unique(people.person[rows]):
        own = rows[people.person[rows] == k]
        found, shown = full_displacements(weights[own], scans[own] - people.rests[k])
        result[k, shown] = found[shown] - people.means[shown]
    return result


@dataclass(frozen=True, eq=False)
class Foretold:
    """What a face foretells of its own expressions: kernel ridge regression on its leading identity codes.

    Args:
        size: How many codes are read.
        length: Of the kernel, in deviations; 0 for plain inner products.
        duals: (P, T) float. Weight of each training person.
        answers: (T, E, C) float, millimeters. Joint axes of all expressions.
    """

    size: int
    length: float
    duals: Array
    answers: Array

    @staticmethod
    def of(codes: Array, personal: Array) -> Foretold:
        """Size, kernel and penalties by the error on left-out people; all zero where the mean is best.

        Args:
            codes: (P, A) float. Identity codes of the training people, in deviations.
            personal: (P, E, C) float, millimeters.
        """
        flat = personal.reshape(len(personal), -1)
        center = flat.mean(axis=0)
        axes = leading_axes(flat - center, ANSWERS)
        wanted = (flat - center) @ axes.T
        best, choice = np.inf, (1, 0.0, np.zeros(wanted.shape))
        for length in LENGTHS:
            for size in sorted({min(size, codes.shape[1]) for size in SIZES}):
                products = kernel(codes[:, :size], codes[:, :size], length)
                duals, error = leave_one_out(products, wanted)
                if error < best:
                    best, choice = error, (size, length, duals)
        return Foretold(*choice, axes.reshape(-1, *personal.shape[1:]))


def kernel(first: Array, second: Array, length: float) -> Array:
    """Products of identity codes.

    Args:
        first: (n, K) float, in deviations.
        second: (P, K) float.
        length: 0 for inner products, else of 100 exp(-|a - b|^2 / (2 K length^2)).

    Returns:
        (n, P) float.
    """
    products = first @ second.T
    if not length:
        return products
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2 * products
    return 100 * np.exp(-np.maximum(squares, 0) / (2 * length**2 * first.shape[1]))


def manner_axes(personal: Array, size: int) -> Array:
    """In which ways people make all of their expressions differently: principal axes over people.

    Args:
        personal: (P, E, C) float, millimeters.
        size: S, how many at the most.

    Returns:
        (S, E, C) float, millimeters, one deviation each; zeros beyond what the people span.
    """
    flat = personal.reshape(len(personal), -1)
    flat = flat - flat.mean(axis=0)
    axes = leading_axes(flat, size) if len(flat) > 1 and size else np.zeros((0, flat.shape[1]))
    result = np.zeros((size, flat.shape[1]))
    result[: len(axes)] = axes * (flat @ axes.T).std(axis=0)[:, None]
    return result.reshape(size, *personal.shape[1:])


def expression_code(means: Array, size: int) -> tuple[Array, Array]:
    """How named weights and expression codes go into each other.

    Args:
        means: (E, C) float, millimeters.
        size: K, numbers of the code at the most.

    Returns:
        (E, K) float, the code of each expression at full weight: its mean displacement along the main axes of
        all of them, in deviations; and (K, E) back, exact for E <= K independent expressions.
    """
    left, values, _ = np.linalg.svd(means, full_matrices=False)
    kept = np.flatnonzero(values > 1e-6 * max(float(values.max(initial=0)), 1e-12))[:size]
    if not len(kept):
        raise BadSetting(
            "the named expressions move nothing", received=f"{len(means)} expressions",
            remedy="use scans whose labels belong to them",
        )  # fmt: skip
    code = left[:, kept] * np.sqrt(len(means))
    return code, np.linalg.pinv(code)
