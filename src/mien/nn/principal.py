"""Principal axes of many faces, streamed: the faces are never in memory at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadSetting
from mien.progress import track

Read = Callable[[NDArray[np.int64]], NDArray[np.float32]]

BLOCK = 256
#: Directions carried beyond those asked for, and sweeps over the data: Halko, Martinsson and Tropp (2011)
#: show that both drive the error of subspace iteration down geometrically.
SPARE_DIRECTIONS = 16
SWEEPS = 6


@dataclass(frozen=True)
class PrincipalAxes:
    """The axes of largest variance.

    Args:
        mean: (D,) float32. What the rows are measured from.
        axes: (K, D) float32. Orthonormal, by falling variance; the largest entry of each is positive.
        std: (K,) float32. Standard deviation along each axis.
    """

    mean: NDArray[np.float32]
    axes: NDArray[np.float32]
    std: NDArray[np.float32]


def principal_axes(
    read: Read, rows: NDArray[np.int64], size: int, *, centered: bool = True, label: str = "axes"
) -> PrincipalAxes:
    """Principal component analysis by randomized subspace iteration, exact when the data's rank is small.

    Args:
        read: Row numbers (n,) to faces (n, ...) float; trailing dimensions are flattened to D.
        rows: (N,) int. The rows to analyze, read a block at a time.
        size: K, how many axes to keep; fewer are kept when the data has fewer.
        centered: Measure from the mean of the rows; otherwise from zero.
        label: What the progress bar says.
    """
    if size < 1:
        raise BadSetting("the number of principal axes must be at least 1", received=size)
    if not len(rows):
        raise BadSetting("principal axes need at least one row", received=0)
    count, mean = len(rows), _mean(read, rows, centered)
    dimension = len(mean)
    generator = np.random.default_rng(0)  # a fixed start: the same data give the same axes
    width = min(size + SPARE_DIRECTIONS, dimension, count)
    basis = np.linalg.qr(generator.normal(size=(dimension, width)))[0].astype(np.float32)
    for _ in track(range(SWEEPS), label):
        product = np.zeros(basis.shape)
        for block in _blocks(read, rows):
            offset = block - mean
            product += offset.T @ (offset @ basis)
        basis = np.linalg.qr(product)[0].astype(np.float32)
    small = np.zeros((width, width))
    for block in _blocks(read, rows):
        projected = ((block - mean) @ basis).astype(np.float64)
        small += projected.T @ projected
    variance, vectors = np.linalg.eigh(small)
    axes, variance = (basis.astype(np.float64) @ vectors).T[::-1], variance[::-1]
    # Float32 rows leave about 1e-7 of the largest deviation as noise: axes below it mean nothing.
    kept = min(size, max(1, int((variance > 1e-12 * max(variance[0], 1e-12)).sum())))
    axes = axes[:kept] * np.sign(axes[np.arange(kept), np.abs(axes[:kept]).argmax(axis=1)])[:, None]
    std = np.sqrt(np.maximum(variance[:kept], 0) / max(count - centered, 1))
    return PrincipalAxes(mean, axes.astype(np.float32), std.astype(np.float32))


def _blocks(read: Read, rows: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(rows), BLOCK):
        part = rows[start : start + BLOCK]
        yield read(part).reshape(len(part), -1)


def _mean(read: Read, rows: NDArray[np.int64], centered: bool) -> NDArray[np.float32]:
    total = sum(block.sum(axis=0, dtype=np.float64) for block in _blocks(read, rows))
    return np.asarray(total / len(rows) if centered else 0 * total, np.float32)
