"""Mean, spread and median of many numbers, and how sure a mean is when the people are drawn anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Statistics:
    """Mean, standard deviation (divided by the count) and median of ``count`` numbers."""

    mean: float
    std: float
    median: float
    count: int

    @staticmethod
    def of(values: NDArray) -> Statistics:
        """Statistics of all numbers of an array, accumulated in double precision.

        Args:
            values: (...) float, in any unit; without nan.
        """
        flat = np.ravel(values)
        if not flat.size:
            return Statistics(float("nan"), float("nan"), float("nan"), 0)
        return Statistics(
            float(flat.mean(dtype=np.float64)),
            float(flat.std(dtype=np.float64)),
            float(np.median(flat)),
            flat.size,
        )


def bootstrap(
    values: NDArray, person: NDArray, *, resamples: int = 2000, seed: int = 0, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of a mean when the **people** are drawn anew, not the meshes: scans of one person agree.

    Args:
        values: (n,) float, in any unit; e.g. the average vertex distance of each mesh.
        person: (n,) int. Whose mesh it is.
        resamples: How many draws of people.
        seed: Of the draws.
        confidence: Share of the draws inside the interval.

    Returns:
        Lower and upper end, in the unit of the values; nan with fewer than two people.
    """
    people, index = np.unique(person, return_inverse=True)
    if len(people) < 2:
        return float("nan"), float("nan")
    total, count = np.bincount(index, values), np.bincount(index)
    drawn = np.random.default_rng([seed, 579]).integers(len(people), size=(resamples, len(people)))
    means = total[drawn].sum(axis=1) / count[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
