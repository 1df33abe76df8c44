"""Diversity of faces, generated or real, and the shape of paths between two faces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.evaluation.generation.draws import short
from mien.evaluation.metrics import Meshes, Statistics, avd
from mien.progress import track

AT_ONCE = 64


def diversity(first: Meshes, second: Meshes) -> Statistics:
    """Mean avd of pairs (n, V, 3) and (n, V, 3).

    ``div_all``: pairs of random faces; ``div_id``: same identity code; ``div_exp``: same expression code.
    Never read alone: decoupling is easy at low diversity.
    """
    return Statistics.of(avd(first, second))


def diversity_of(relatives: Iterable[Mapping[str, Meshes]]) -> dict[str, NDArray[np.float64]]:
    """Distances of all pairs that share a code, a part at a time: memory holds one part.

    Args:
        relatives: Parts of random faces with their relatives, see :meth:`RandomFaces.relatives`. Random pairs
            are neighbors within a part (the last with the first), so each random face stands in two of them.

    Returns:
        ``div_all``, ``div_id``, ``div_exp`` and one for each further factor: (n,) avd, millimeters.
    """
    found: dict[str, list[NDArray]] = {}
    for part in relatives:
        faces = part["random"]
        if len(faces) > 1:
            found.setdefault("div_all", []).append(avd(faces, np.roll(faces, 1, axis=0)))
        for factor, others in part.items():
            if factor != "random":
                found.setdefault(f"div_{short(factor)}", []).append(avd(faces, others))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def diversity_by_labels(
    meshes: Meshes | FaceDataset, labels: Mapping[str, NDArray], *, pairs: int = 10_000, seed: int = 0
) -> dict[str, NDArray[np.float64]]:
    """``div_all``, ``div_id``, ``div_exp`` and so on of real faces: what a generator should come near to.

    Args:
        meshes: N meshes (V, 3), millimeters, in memory or on disk.
        labels: Factor -> (N,) int; -2 where unknown. Neutral is an expression.
        pairs: How many pairs of each kind.
        seed: Of the pairs.

    Returns:
        (pairs,) avd, millimeters; empty where no two faces share a label.
    """
    generator = np.random.default_rng([seed, 580])
    group = {"div_all": np.zeros(len(next(iter(labels.values()))), int)}
    group |= {f"div_{short(factor)}": key for factor, key in labels.items()}
    drawn = {name: _pairs_within(np.asarray(key), pairs, generator) for name, key in group.items()}
    result = {}
    for name, (first, second) in drawn.items():
        parts = [
            avd(meshes[first[k : k + AT_ONCE]], meshes[second[k : k + AT_ONCE]])
            for k in track(range(0, len(first), AT_ONCE), f"pairs of real faces, {name}")
        ]
        result[name] = np.concatenate([np.zeros(0), *parts])
    return result


def _pairs_within(key: NDArray, pairs: int, generator: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Random pairs of different rows with equal keys: a random row, and another one of its group."""
    kinds, group, counts = np.unique(key, return_inverse=True, return_counts=True)
    usable = np.flatnonzero((kinds[group] != -2) & (counts[group] > 1))
    if not len(usable):
        return usable, usable
    first = usable[generator.integers(len(usable), size=pairs)]
    order = np.argsort(group, kind="stable")
    place = np.empty(len(key), int)
    starts = np.cumsum(counts) - counts
    place[order] = np.arange(len(key)) - starts[group[order]]
    size = counts[group[first]]
    step = 1 + generator.integers(size - 1)
    return first, order[starts[group[first]] + (place[first] + step) % size]
