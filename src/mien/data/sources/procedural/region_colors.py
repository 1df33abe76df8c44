"""Colors for procedural faces, so that eyes, lips, brows and teeth read in a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.topology import Topology

# Region -> sRGB, painted in this order over the skin.
COLORS = {
    "lips": (182, 122, 109),
    "mouth_interior": (112, 58, 54),
    "eyebrows": (122, 96, 78),
    "eyeballs": (240, 237, 232),
    "iris": (86, 106, 112),
    "pupil": (20, 20, 20),
    "teeth": (238, 233, 220),
    "tongue": (176, 96, 92),
}
SKIN = (206, 171, 148)


def region_colors(topology: Topology, skin: tuple[int, int, int] = SKIN) -> NDArray[np.uint8]:
    """(V, 3) uint8, sRGB. A color per vertex of the procedural topology, or of a decimated one.

    Args:
        topology: Any topology; regions that it does not have are left the color of skin.
        skin: Color of the skin.
    """
    colors = np.tile(np.array(skin, np.uint8), (topology.vertex_count, 1))
    for region, color in COLORS.items():
        if region in topology.regions:
            colors[topology.regions[region]] = color
    return colors
