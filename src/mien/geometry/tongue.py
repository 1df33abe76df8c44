"""A tongue that comes out of the mouth.

The way is that of MakeHuman's face unit ``tongueOut`` (CC0), fitted on its mean head along the tongue, from
root (s = 0) to tip (s = 1), in widths of the mouth: forward, and down at the tip, and narrower; neither skin
nor teeth move. It leads over the lower lip of a jaw that is 0.6 open, as the artist meant it: behind closed
lips a tongue has no way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.geometry.openings import Opening
from mien.geometry.surface import Surface

JAW_BELOW_TONGUE = 0.6
"""How far the jaw is open, of ``jawOpen``, below a tongue that is all the way out."""
_FORWARD = (0.181, 0.461, -0.046)  # widths of the mouth at s^0, s^1, s^2; 1.4 mm off the artist's unit (rms)
_DOWN = (-0.008, 0.043, -0.116)  # 0.4 mm
_NARROWER = -0.139  # of the distance from the middle
_OUT = 0.24  # widths of the mouth that the tip comes out before where the lips touch
_AT_LIPS = 0.11  # widths of the mouth behind the lower lip: from there on a tongue lies above it
_CLEAR_MM = 1.0  # that lips keep from a tongue that can pass


def put_out(
    cloud: NDArray, mouth: Opening, lips: tuple[NDArray, NDArray] | None = None, jaw: NDArray | float = 0.0
) -> NDArray[np.float64]:
    """Displacements of a tongue that comes out.

    Args:
        cloud: (n, 3) float, millimeters, +Y up, +Z out of the face. The tongue at rest.
        mouth: Of the face at rest.
        lips: (u, 3) and (l, 3) float, millimeters: the upper and the lower lip over the open jaw, between
            which it passes; None keeps the artist's height.
        jaw: (n, 3) float, millimeters. What the open jaw does to the tongue.

    Returns:
        (n, 3) float64, millimeters, to be added to what the jaw does.
    """
    cloud = np.asarray(cloud, np.float64)
    low, high = cloud[:, 2].min(), cloud[:, 2].max()
    along = (cloud[:, 2] - low) / max(high - low, 1e-9)
    powers = np.stack([np.ones_like(along), along, along**2], axis=1)
    reach = mouth.center[2] - high + _OUT * mouth.width
    moved = np.empty_like(cloud)
    moved[:, 0] = _NARROWER * (cloud[:, 0] - mouth.center[0])
    moved[:, 1] = mouth.width * (powers @ _DOWN)
    moved[:, 2] = reach * (powers @ _FORWARD) / sum(_FORWARD)
    if lips is not None:
        moved[:, 1] += along**2 * _lift(cloud + jaw + moved, along, mouth, lips)
    return moved


def _lift(out: NDArray, along: NDArray, mouth: Opening, lips: tuple[NDArray, NDArray]) -> float:
    """How much higher the tip has to come so that a tongue (n, 3) that is out passes between the lips."""
    upper, lower = (lip[np.argsort(lip[:, 0], kind="stable")] for lip in lips)
    if not len(upper) or not len(lower):
        return 0.0
    high, low = (np.interp(out[:, 0], lip[:, 0], lip[:, 1]) for lip in (upper, lower))
    before = out[:, 2] - np.interp(out[:, 0], lower[:, 0], lower[:, 2])
    passing = before >= min(-_AT_LIPS * mouth.width, float(before.max()))
    share = np.maximum(along[passing] ** 2, 1e-9)
    least = float(((low[passing] + _CLEAR_MM - out[passing, 1]) / share).max())
    most = float(((high[passing] - _CLEAR_MM - out[passing, 1]) / share).min())
    # It stays where it is if it passes there; is there no room, both lips are cut alike.
    return min(max(0.0, least), most) if least <= most else (least + most) / 2


def depth_in_tongue(points: NDArray, vertices: NDArray, faces: NDArray) -> float:
    """How deep points lie inside of a tongue at the most, 0 outside.

    Args:
        points: (n, 3) float, millimeters.
        vertices: (m, 3) float, millimeters.
        faces: (f, 3) int. The tongue's triangles, wound alike.

    Returns:
        Millimeters.
    """
    if not len(points) or not len(faces):
        return 0.0
    corners = np.asarray(vertices, np.float64)[faces]
    corners = corners - corners.mean(axis=(0, 1))
    if np.einsum("fc,fc->", np.cross(corners[:, 0], corners[:, 1]), corners[:, 2]) < 0:  # inside out
        faces = faces[:, ::-1]
    near = Surface(np.asarray(vertices, np.float64), np.asarray(faces)).located(points, np.zeros_like(points))
    inside = ((near.points - points) * near.normals).sum(axis=1)
    return float(inside.max(initial=0.0))


def lips_of(registered: NDArray, mouth: Opening) -> tuple[NDArray, NDArray]:
    """The upper and the lower lip (u, 3), (l, 3) of a template (V, 3) in some pose, millimeters."""
    rows: Sequence[NDArray] = (mouth.upper, mouth.lower)
    upper, lower = (np.asarray(registered, np.float64)[row] for row in rows)
    return upper, lower
