"""Colors for procedural faces, so that eyes, lips, brows and teeth read in a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.topology import Topology

# Region -> red, green, blue in 0..1, painted in this order over the skin.
COLORS = {
    "lips": (0.70, 0.46, 0.41),
    "mouth_interior": (0.42, 0.21, 0.20),
    "eyebrows": (0.45, 0.35, 0.28),
    "eyeballs": (0.93, 0.92, 0.90),
    "iris": (0.34, 0.41, 0.43),
    "pupil": (0.06, 0.06, 0.06),
    "teeth": (0.93, 0.91, 0.86),
}
SKIN = (0.80, 0.68, 0.60)


def paint(topology: Topology, skin: tuple[float, float, float] = SKIN) -> NDArray[np.float32]:
    """(V, 3) float, 0..1. A color per vertex of the procedural topology, or of a decimated one.

    Args:
        topology: Any topology; regions that it does not have are left the color of skin.
        skin: Red, green and blue of the skin.
    """
    colors = np.tile(np.array(skin, np.float32), (topology.vertex_count, 1))
    for region, color in COLORS.items():
        if region in topology.regions:
            colors[topology.regions[region]] = color
    return colors
