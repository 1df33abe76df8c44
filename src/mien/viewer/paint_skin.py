"""Colors of a head that brought none: those of the template where it lies on the head, and of its pieces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mien.geometry.differential import vertex_normals
from mien.geometry.registration import Registration
from mien.render.clay import CLAY

_NEAR_MM, _FAR_MM = 6.0, 14.0  # template colors hold up to here, and have faded to clay there
_NEAREST, _SAME_MM, _LEAST_ALIKE = 12, 0.01, 0.01
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
    made = _skin(registration, np.asarray(colors, np.float64)[registration.kept])
    pieces, eyes = np.full(carrier.points.shape, np.nan), np.zeros(len(carrier.points), bool)
    for part in carrier.parts:
        if part.kind == "eye":
            pieces[part.members] = _eyeball(carrier.points[part.members] - part.center)
            eyes[part.members] = True
        elif part.kind in _PIECES:
            pieces[part.members] = _PIECES[part.kind]
    own = carrier.unwelded(pieces)
    return np.where(np.isnan(own), made, own).astype(np.float32), carrier.unwelded(eyes)


def _skin(registration: Registration, colors: NDArray) -> NDArray[np.float64]:
    """(N, 3) colors of close places of the template that face the same way: what lies under skin is none."""
    carrier, topology = registration.carrier, registration.carrier.topology
    points = carrier.unwelded(carrier.points)
    ways = vertex_normals(points, registration.mesh_faces)
    count = min(_NEAREST, len(carrier.registered))
    distance, nearest = cKDTree(carrier.registered).query(points, k=count)
    alike = np.einsum("nkc,nc->nk", vertex_normals(carrier.registered, topology.faces)[nearest], ways)
    weight = (np.clip(alike, _LEAST_ALIKE, 1) / np.maximum(distance, _SAME_MM)) ** 2
    weight /= weight.sum(axis=1, keepdims=True)
    share = np.clip((_FAR_MM - distance[:, :1]) / (_FAR_MM - _NEAR_MM), 0, 1)
    found: NDArray[np.float64] = np.einsum("nk,nkc->nc", weight, colors[nearest])
    return share * found + (1 - share) * np.array(CLAY, np.float64)


def _eyeball(offset: NDArray) -> NDArray[np.float64]:
    """(n, 3) colors by the angle between offsets (n, 3) from its center and the way out of the face."""
    length = np.maximum(np.linalg.norm(offset, axis=1), 1e-9)
    angle = np.degrees(np.arccos(np.clip(offset[:, 2] / length, -1, 1)))
    ring = np.searchsorted([end for end, _ in _IRIS], angle)
    return np.array([color for _, color in _IRIS], np.float64)[ring]
