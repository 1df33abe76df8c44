"""Diversity and specificity of random faces, and the shape of paths between two faces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.evaluate.metrics import Meshes, Statistics, avd, avd_table


def diversity(first: Meshes, second: Meshes) -> Statistics:
    """Mean avd of pairs (n, V, 3) and (n, V, 3).

    ``div_all``: pairs of random faces; ``div_id``: same identity code; ``div_exp``: same expression code.
    Never read alone: decoupling is easy at low diversity.
    """
    return Statistics.of(avd(first, second))


def diversity_by_labels(
    meshes: Meshes, person: NDArray, label: NDArray, *, pairs: int = 1000, seed: int = 0
) -> dict[str, Statistics]:
    """``div_all``, ``div_id``, ``div_exp`` of real faces: the values a generator should come near to."""
    generator = np.random.default_rng([seed, 580])
    group = {"div_all": np.zeros(len(meshes), int), "div_id": person, "div_exp": label}
    result = {}
    for name, key in group.items():
        first, second = _pairs_within(np.asarray(key), pairs, generator)
        parts = [avd(meshes[first[k : k + 64]], meshes[second[k : k + 64]]) for k in range(0, len(first), 64)]
        result[name] = Statistics.of(np.concatenate([np.zeros(0), *parts]))
    return result


def _pairs_within(key: NDArray, pairs: int, generator: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Random pairs of different rows with equal keys."""
    first = generator.integers(len(key), size=pairs)
    second = np.full(pairs, -1)
    for index, row in enumerate(first):
        others = np.flatnonzero(key == key[row])
        others = others[others != row]
        if len(others):
            second[index] = generator.choice(others)
    return first[second >= 0], second[second >= 0]


def specificity(samples: Meshes, training: Meshes) -> Statistics:
    """Over samples: avd to the nearest training mesh. Control: the same for held-out real meshes."""
    return Statistics.of(avd_table(samples, training).min(axis=1))


def path_length_ratio(path: Meshes) -> float:
    """Sum of the steps of a path (K + 1, V, 3) over the distance of its ends; 1 is straight."""
    ends = float(avd(path[0], path[-1]))
    return float(avd(path[1:], path[:-1]).sum() / ends) if ends > 0 else float("nan")


def path_step_cv(path: Meshes) -> float:
    """Standard deviation over mean of the steps of a path (K + 1, V, 3); 0 is even."""
    steps = avd(path[1:], path[:-1])
    return float(steps.std() / steps.mean()) if steps.mean() > 0 else float("nan")
