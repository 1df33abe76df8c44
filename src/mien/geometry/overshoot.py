"""Vertices that a smooth continuation would fling about, held by their neighbors instead.

A fin that stands on a face, a card of hair that touches it at one end: what bends least goes on in a straight
line there, and a nose that wrinkles by 7 mm moved the tip of a fin by 116 mm.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from mien.geometry.sparse_solver import factored

Solve = Callable[[NDArray], NDArray[np.float64]]
_WAVES_MM = (25.0, 50.0, 100.0)  # of the movements that this is tried with
_PROBES = 8  # of each wavelength


def flung(solve: Solve, template: NDArray) -> NDArray[np.float64]:
    """(M,) how many times farther than anything on the template vertices move when it moves in smooth waves.

    Args:
        solve: From (V, n) values on the template to (M, n) on the mesh; linear.
        template: (V, 3) float, millimeters. Where it lies.
    """
    rng = np.random.default_rng(0)
    values = []
    for length in _WAVES_MM:
        ways = rng.normal(size=(_PROBES, 3))
        ways *= 2 * np.pi / length / np.linalg.norm(ways, axis=1, keepdims=True)
        values.append(np.cos(template @ ways.T + rng.uniform(0, 2 * np.pi, _PROBES)))
    return np.abs(solve(np.hstack(values))).max(axis=1)


def held(solve: Solve, loose: NDArray, around: csr_matrix) -> Solve:
    """The same map, but loose vertices take means of those around them, and so never more than these.

    Args:
        solve: From (V, n) to (M, n) values.
        loose: (M,) bool.
        around: (M, M) sparse. Which vertices are neighbors.
    """
    mean = _means(loose, around)

    def calm(values: NDArray) -> NDArray[np.float64]:
        return mean(solve(values))

    return calm


def holding(loose: NDArray, around: csr_matrix) -> Solve:
    """A map of displacements (B, M, 3) in which loose vertices take means of those around them.

    Args:
        loose: (M,) bool.
        around: (M, M) sparse. Which vertices are neighbors.
    """
    if not loose.any():
        return np.asarray
    mean = _means(loose, around)

    def hold(carried: NDArray) -> NDArray[np.float64]:
        columns = carried.transpose(1, 0, 2).reshape(len(loose), -1)
        return mean(columns).reshape(len(loose), len(carried), 3).transpose(1, 0, 2)

    return hold


def _means(loose: NDArray, graph: csr_matrix) -> Solve:
    """A map of (M, n) values in which loose vertices take means of those around them."""
    rows = np.flatnonzero(loose)
    degree = np.asarray(graph.sum(axis=1)).ravel()
    # What has no neighbors at all rests. Fins hang on what does not hang on them: not symmetric, but no row
    # has more beside its diagonal than on it.
    system = (diags(degree + 1e-9) - graph).tocsr()[rows]
    factor, beside = factored(system[:, rows].tocsr()), csr_matrix(-system[:, np.flatnonzero(~loose)])

    def mean(values: NDArray) -> NDArray[np.float64]:
        result = np.array(values)
        result[rows] = factor.solve(beside @ result[~loose])
        return result

    return mean
