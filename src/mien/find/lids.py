"""Whether the eyes of a face that was seen are closed."""

from __future__ import annotations

import numpy as np

from mien.find.search import Seen

#: Numbers of the network's points: the middle of the upper and the lower lid, the two corners.
_RIGHT, _LEFT = (159, 145, 33, 133), (386, 374, 362, 263)
_CLOSED = 0.11  # of an eye's width between its lids
# Artists' heads: at rest 0.20 to 0.33, with lids half closed 0.17 to 0.26, with closed ones 0.02 to 0.06.


def eyes_are_closed(seen: Seen | None) -> bool:
    """Whether both eyes are; not where no face was seen, or not its lids."""
    if seen is None:
        return False
    points = seen.points
    heights = [
        float(np.linalg.norm(points[upper] - points[lower]) / np.linalg.norm(points[inner] - points[outer]))
        for upper, lower, inner, outer in (_RIGHT, _LEFT)
    ]
    return max(heights) < _CLOSED  # a point that is not known makes this False
