"""Colors of a head that brought none: those of the template where it lies on the head, and of its pieces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mien.geometry.registration import Registration
from mien.render.clay import CLAY

_NEAR_MM, _FAR_MM = 6.0, 14.0  # template colors hold up to here, and have faded to clay there
_PIECES = {
    "teeth": (233, 225, 210), "upper teeth": (233, 225, 210), "lower teeth": (233, 225, 210),
    "gums": (176, 98, 92), "tongue": (190, 106, 100), "brows": (84, 62, 50), "lashes": (52, 40, 34),
    "hair": (84, 62, 50),
}  # fmt: skip
_IRIS = ((11.0, (18, 16, 15)), (24.0, (112, 88, 60)), (28.0, (58, 46, 38)), (181.0, (232, 226, 219)))
"""Degrees from the axis of an eyeball up to which it is pupil, iris, the ring around it, and white."""


def painted_head(
    registration: Registration, colors: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Skin, lips, eyes and teeth of a registered mesh.

    Args:
        registration: Of the template on the mesh.
        colors: (V, 3) float, sRGB 0..255, of the template.

    Returns:
        (N, 3) float32 sRGB 0..255 at the vertices of the mesh, and (N,) which are eyeballs.
    """
    carrier = registration.carrier
    distance, nearest = cKDTree(carrier.registered).query(carrier.points, k=3)
    weight = 1 / np.maximum(distance, 1e-3)
    weight /= weight.sum(axis=1, keepdims=True)
    found = np.einsum("mk,mkc->mc", weight, np.asarray(colors, np.float64)[registration.kept][nearest])
    share = np.clip((_FAR_MM - distance[:, :1]) / (_FAR_MM - _NEAR_MM), 0, 1)
    made = share * found + (1 - share) * np.array(CLAY, np.float64)
    eyes = np.zeros(len(made), bool)
    for part in carrier.parts:
        if part.kind == "eye":
            made[part.members] = _eyeball(carrier.points[part.members] - part.center)
            eyes[part.members] = True
        elif part.kind in _PIECES:
            made[part.members] = _PIECES[part.kind]
    return carrier.unwelded(made).astype(np.float32), carrier.unwelded(eyes)


def _eyeball(offset: NDArray) -> NDArray[np.float64]:
    """(n, 3) colors by the angle between offsets (n, 3) from its center and the way out of the face."""
    length = np.maximum(np.linalg.norm(offset, axis=1), 1e-9)
    angle = np.degrees(np.arccos(np.clip(offset[:, 2] / length, -1, 1)))
    ring = np.searchsorted([end for end, _ in _IRIS], angle)
    return np.array([color for _, color in _IRIS], np.float64)[ring]
