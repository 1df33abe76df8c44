"""Tucker's decomposition of a tensor of people by expressions, with holes, as a bilinear model of codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROUNDS, SETTLED = 200, 1e-7  # of alternating least squares, and the relative change that ends it
#: Directions in which the rows of a mode vary less than this share of the largest deviation carry nothing.
FLAT = 1e-3


@dataclass(frozen=True)
class BilinearModel:
    """cell = center + core x_1 (1, a) x_2 (1, b), with codes in units of their standard deviations.

    Args:
        center: (C,) float, in the tensor's unit.
        core: (1 + A, 1 + B, C) float, in the tensor's unit.
        shown: (P, B) float: b of every column; nan where no cell of it is known.
    """

    center: NDArray[np.float64]
    core: NDArray[np.float64]
    shown: NDArray[np.float64]


def bilinear_model(tensor: NDArray, known: NDArray[np.bool_], ranks: tuple[int, int]) -> BilinearModel:
    """Fits a bilinear model to the known cells of a tensor.

    The rows of both Tucker modes are written as mean + L a, with L L^T their covariance: a is standardized,
    and the factor that the two modes could trade with each other is fixed.

    Args:
        tensor: (S, P, C) float, any unit.
        known: (S, P) bool. Which cells count.
        ranks: At most so many columns of the modes.
    """
    center = _filled(tensor, known).mean(axis=(0, 1))
    people, columns, core = incomplete_tucker(tensor - center, known, ranks)
    to_person, _ = _standardized(people)
    to_column, shown = _standardized(columns)
    shown[~np.any(known, axis=0)] = np.nan
    return BilinearModel(center, np.einsum("klc,ka,lb->abc", core, to_person, to_column), shown)


def _filled(tensor: NDArray, known: NDArray[np.bool_]) -> NDArray:
    """The tensor with missing cells at person + expression - mean, the two-way means solved together."""
    weight = known[:, :, None].astype(float)
    scans = np.maximum(weight.sum(0, keepdims=True), 1)
    people, shown = np.zeros((len(tensor), 1, tensor.shape[2])), np.zeros((1, *tensor.shape[1:]))
    for _ in range(ROUNDS):
        people = (weight * (tensor - shown)).sum(1, keepdims=True) / weight.sum(1, keepdims=True)
        before = shown
        shown = (weight * (tensor - people)).sum(0, keepdims=True) / scans
        if np.abs(shown - before).max() <= SETTLED * np.abs(tensor).max():
            break
    return np.where(weight > 0, tensor, people + shown)


def incomplete_tucker(
    tensor: NDArray, known: NDArray[np.bool_], ranks: tuple[int, int]
) -> tuple[NDArray, NDArray, NDArray]:
    """Tucker decomposition of the first two modes by alternating least squares over the known cells.

    Each round solves one mode after the other by an SVD with the rest held, then gives the missing cells the
    model's values: the squared error of the known ones never rises.

    Args:
        tensor: (S, P, C) float, any unit.
        known: (S, P) bool. Which cells count.
        ranks: At most so many columns of the modes.

    Returns:
        Modes (S, K) and (P, L) with orthonormal columns, and the core (K, L, C).
    """
    filled = _filled(tensor, known)
    first = _leading(filled.reshape(len(filled), -1), ranks[0])
    second = _leading(np.moveaxis(filled, 1, 0).reshape(filled.shape[1], -1), ranks[1])
    scale = max(float(np.abs(filled).max()), 1e-12)
    for _ in range(ROUNDS):
        by_second = np.einsum("spc,pl->slc", filled, second)
        first = _leading(by_second.reshape(len(filled), -1), ranks[0])
        by_first = np.einsum("spc,sk->pkc", filled, first)
        second = _leading(by_first.reshape(filled.shape[1], -1), ranks[1])
        core = np.einsum("pkc,pl->klc", by_first, second)
        model = np.einsum("klc,sk,pl->spc", core, first, second, optimize=True)
        before, filled = filled, np.where(known[:, :, None], filled, model)
        if np.abs(filled - before).max() <= SETTLED * scale:
            break
    return first, second, core


def _leading(matrix: NDArray, rank: int) -> NDArray:
    """(n, K) leading left singular vectors of a matrix (n, m), no more than it spans."""
    values, vectors = np.linalg.eigh(matrix @ matrix.T)
    values, vectors = values[::-1], vectors[:, ::-1]
    return vectors[:, : max(1, min(rank, int((values > 1e-12 * max(values[0], 1e-300)).sum())))]


def _standardized(mode: NDArray) -> tuple[NDArray, NDArray]:
    """[u_mean, L], (K, 1 + A), which makes rows u of a mode (n, K) from (1, a); and a of each row, (n, A)."""
    mean = mode.mean(axis=0)
    _, values, axes = np.linalg.svd(mode - mean, full_matrices=False)
    kept = values > FLAT * max(values[0], 1e-300)
    axes = axes[kept] * np.sign(axes[kept][np.arange(kept.sum()), np.abs(axes[kept]).argmax(axis=1)])[:, None]
    deviation = values[kept] / np.sqrt(len(mode))
    to_row = np.column_stack([mean, axes.T * deviation])
    return to_row, (mode - mean) @ axes.T / deviation
