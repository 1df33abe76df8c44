"""Regions of a face by what moves there: they follow from a template's own shapes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.data.expressions import SHAPES


def moved_regions(
    mean: NDArray, shapes: NDArray, bridge: NDArray, wing: NDArray
) -> dict[str, NDArray[np.bool_]]:
    """Regions by what moves there.

    Args:
        mean: (V, 3) float, millimeters.
        shapes: (A, V, 3) float, millimeters. Displacements of the shapes, in the order of ``SHAPES``.
        bridge: (3,) float, millimeters. The top of the nose, ``ibug_27``.
        wing: (3,) float, millimeters. The right wing of the nose, ``ibug_31``.

    Returns:
        ``mouth``, ``eyes``, ``brows``, ``nose`` and the little moved ``rigid`` -> (V,) bool.
    """
    length = np.linalg.norm(shapes, axis=2)

    def reach(*stems: str) -> NDArray[np.float32]:
        rows = [index for index, name in enumerate(SHAPES) if name.startswith(stems)]
        return length[rows].max(axis=0)

    eyes = reach("eyeBlink", "eyeWide", "eyeLookUp", "eyeLookDown") > 0.6
    mouth = reach("mouthFunnel", "mouthPucker", "mouthRoll", "mouthShrug") > 4.5
    usual = np.sqrt((length**2).mean(axis=0))
    nose = (np.abs(mean[:, 0]) < 1.5 * abs(wing[0])) & (mean[:, 1] < bridge[1]) & (mean[:, 1] > wing[1] - 4)
    return {
        "mouth": mouth,
        "eyes": eyes,
        "brows": (reach("brow") > 3.5) & ~eyes,
        "nose": nose & ~mouth & ~eyes & (mean[:, 2] > wing[2] - 15),
        "rigid": (usual < np.percentile(usual, 30)) & ~eyes & ~mouth,
    }
