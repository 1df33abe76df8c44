"""Textbook shapes: what a named expression does to a face with nothing personal in it, agreed on by sources.

Every source (a release, a set of face units, muscles) has shapes of its own, and no two artists agree fully.
A further artist's shape is guessed best by what the sources have in common: with unit shapes u_i, weights w_i
by how well a source agrees with the others, and rho the mean agreement of different sources::

    m = sum_i w_i u_i        shape = c s m,   c = rho / ||m||^2,   s = exp(sum_i w_i log ||p_i||)

which is the best linear guess of another unit shape whose agreement with each of them is rho, at the
geometric mean of their sizes. Where the sources contradict each other on one part of the face, they are
believed less::

    m_v <- m_v max(0, 1 - V_v / M_v)

with M the smoothed squared length of m about vertex v and V the smoothed variance of the u_i, of the mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from scipy.spatial import cKDTree

from mien.errors import BadSetting

Shapes = Mapping[str, NDArray[np.float64]]
"""Name -> (V, 3) displacements, millimeters, on one template."""

LONELY = 0.7
"""Agreement that is assumed of a source that stands alone: what two artists' shapes have in common."""
SEVERITY = 2.0
"""Power of a source's agreement with the others in its weight."""
UNSURE = 0.6
"""Below this agreement, sources are not compared place by place: neither is known to be right."""
REACH_MM, SMOOTH_MM = 10.0, 5.0
_STILL = 1e-6


@dataclass(frozen=True)
class Agreed:
    """One expression that sources agreed on.

    Args:
        displacement: (V, 3) float64, millimeters.
        agreement: Mean cosine of different sources' shapes; :data:`LONELY` for one source.
        weights: Source -> share.
        sizes: Source -> its size over the agreed one.
    """

    displacement: NDArray[np.float64]
    agreement: float
    weights: Mapping[str, float]
    sizes: Mapping[str, float]


def agree(
    sources: Mapping[str, Shapes], template: NDArray, names: Sequence[str] | None = None
) -> dict[str, Agreed]:
    """What sources have in common, expression by expression.

    Args:
        sources: Source -> name -> (V, 3) float, millimeters: its shapes.
        template: (V, 3) float, millimeters. What all shapes displace.
        names: Which expressions; None for all that any source has.

    Returns:
        Name -> agreed shape; names that no source moves are left out.
    """
    if not sources:
        raise BadSetting("no source of shapes is at hand", remedy="name one: ict, makehuman or procedural")
    every = list(names or dict.fromkeys(name for shapes in sources.values() for name in shapes))
    smoothing = _smoothing(np.asarray(template, np.float64))
    found = {}
    for name in every:
        known = {
            source: np.asarray(shapes[name], np.float64)
            for source, shapes in sources.items()
            if name in shapes and np.linalg.norm(shapes[name]) > _STILL
        }
        if known:
            found[name] = _agreed(known, smoothing)
    return found


def _agreed(known: Mapping[str, NDArray[np.float64]], smoothing: csr_matrix) -> Agreed:
    sizes = np.array([np.linalg.norm(shape) for shape in known.values()])
    units = np.stack([shape / size for shape, size in zip(known.values(), sizes)])
    cosines = np.maximum(np.einsum("ivc,jvc->ij", units, units), 0)
    weights, agreement = _weights(cosines)
    mean = np.tensordot(weights, units, axes=1)
    gain = agreement / max(float((mean**2).sum()), _STILL)
    size = float(np.exp(weights @ np.log(sizes)))
    if len(units) > 1 and agreement >= UNSURE:
        mean = mean * _belief(units, weights, mean, smoothing)[:, None]
    shape = gain * size * mean
    length = max(float(np.linalg.norm(shape)), _STILL)
    return Agreed(
        shape, agreement, dict(zip(known, weights.tolist())), dict(zip(known, (sizes / length).tolist()))
    )


def _weights(cosines: NDArray) -> tuple[NDArray[np.float64], float]:
    """(n,) shares of sources and the mean agreement of different ones, by their cosines (n, n)."""
    count = len(cosines)
    if count == 1:
        return np.ones(1), LONELY
    each = (cosines.sum(axis=1) - 1) / (count - 1)
    weights = each**SEVERITY + 1e-9
    weights /= weights.sum()
    pairs = np.outer(weights, weights) * (1 - np.eye(count))
    return weights, float((pairs * cosines).sum() / pairs.sum())


def _belief(units: NDArray, weights: NDArray, mean: NDArray, smoothing: csr_matrix) -> NDArray[np.float64]:
    """(V,) 0..1: how much of the mean's motion about each vertex is more than the sources' disagreement."""
    apart = np.tensordot(weights, ((units - mean) ** 2).sum(axis=2), axes=1)
    others = max(1 / float((weights**2).sum()) - 1, 0.3)  # how many further opinions the weights amount to
    signal = smoothing @ (mean**2).sum(axis=1)
    return np.clip(1 - (smoothing @ apart) / others / np.maximum(signal, 1e-15), 0, 1)


def _smoothing(template: NDArray) -> csr_matrix:
    """(V, V) Gaussian means over vertices within a centimeter."""
    tree = cKDTree(template)
    near = tree.sparse_distance_matrix(tree, REACH_MM, output_type="coo_matrix")
    weight = csr_matrix((np.exp(-((near.data / SMOOTH_MM) ** 2)), (near.row, near.col)), near.shape)
    return (diags(1 / np.asarray(weight.sum(axis=1)).ravel()) @ weight).tocsr()
