"""Where on a face something is, in a word that people know."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.landmark_names import landmark_words
from mien.topology import Topology


def nearest_landmark(point: NDArray, vertices: NDArray, topology: Topology) -> str:
    """The name of the landmark nearest to a place, or its coordinates where a template has none.

    Landmarks that have a name which people know stand before those that have a number or an abbreviation.

    Args:
        point: (3,) float, millimeters.
        vertices: (V, 3) float, millimeters. The template.
        topology: Its topology.
    """
    if not len(topology.landmarks):
        return " ".join(f"{value:.0f}" for value in point)
    apart = np.linalg.norm(topology.landmarks.positions(np.asarray(vertices, np.float64)) - point, axis=1)
    words = [landmark_words(name) for name in topology.landmarks.names]
    plain = [row for row, name in enumerate(topology.landmarks.names) if words[row] != name]
    rows = plain or list(range(len(words)))
    return words[min(rows, key=apart.__getitem__)]
