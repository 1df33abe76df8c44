"""Whether the mouth of a face stands open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.geometry.openings import Opening, visible_openings
from mien.topology import Topology

_PARTED, _OPEN = 0.09, 0.12  # of the mouth's width between the lips
# Twenty artists' heads at rest: 0.01 to 0.03. With 15, 30 and 60 % of their opened mouths: 0.06, 0.11 to 0.13
# and 0.17 to 0.22. A procedural head at rest, whose lips the template does not meet well: 0.08.


@dataclass(frozen=True)
class MouthGap:
    """How far a mouth is open.

    Args:
        share: Height of the gap between the lips over the width of the mouth.
        millimeters: The same in millimeters.
    """

    share: float
    millimeters: float

    @property
    def is_parted(self) -> bool:
        """Whether the lips do not meet."""
        return self.share > _PARTED

    @property
    def is_open(self) -> bool:
        """Whether this is no rest pose."""
        return self.share > _OPEN


def mouth_gap(vertices: NDArray, topology: Topology) -> MouthGap:
    """Measures the inner lips of a registered template; none where it has no mouth that could be told.

    Args:
        vertices: (V, 3) float, millimeters.
        topology: The template's; what it is open itself counts nothing.
    """
    mouth = next((item for item in visible_openings(topology) if item.kind == "mouth"), None)
    if mouth is None:
        return MouthGap(0.0, 0.0)
    gap, own = (_height(mouth, np.asarray(points, np.float64)) for points in (vertices, topology.template))
    width = max(mouth.on(vertices).width, 1e-6)
    return MouthGap(max(0.0, gap - own) / width, gap)


def _height(mouth: Opening, points: NDArray) -> float:
    """Between the middles of both lips, millimeters."""
    middle = points[list(mouth.corners), 0].mean()
    ends = []
    for side in (mouth.upper, mouth.lower):
        near = np.argsort(np.abs(points[side, 0] - middle))[: max(1, len(side) // 3)]
        ends.append(points[side[near]].mean(axis=0))
    return float(np.linalg.norm(ends[0] - ends[1]))
