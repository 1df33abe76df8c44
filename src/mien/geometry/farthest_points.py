"""Farthest-point sampling: vertices at even distances over a mesh."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadSetting


def farthest_points(points: NDArray, count: int) -> NDArray[np.int64]:
    """Farthest-point sampling: each chosen point lies as far as possible from those chosen before it.

    Starts at the point nearest to the centroid, so the result depends on the points alone.

    Args:
        points: (n, 3) float.
        count: How many to choose, 1 to n.

    Returns:
        (count,) indices in ascending order.

    Raises:
        BadSetting: More points are asked for than there are, or none.
    """
    if not 1 <= count <= len(points):
        raise BadSetting(
            "the number of points to choose is out of range", received=count,
            remedy=f"ask for 1 to {len(points)}",
        )  # fmt: skip
    points = np.asarray(points, np.float64)
    chosen = [int(np.square(points - points.mean(0)).sum(1).argmin())]
    distance = np.full(len(points), np.inf)
    while len(chosen) < count:
        distance = np.minimum(distance, np.square(points - points[chosen[-1]]).sum(1))
        distance[chosen] = -1.0  # never twice, even where points coincide
        chosen.append(int(distance.argmax()))
    return np.sort(np.array(chosen))
