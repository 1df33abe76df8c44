"""Where surfaces of the procedural face touch: lids on eyeballs, lid on lid, lip on lip. They never cross."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.data.sources.procedural.mesh import (
    EYE_ROW,
    HALF,
    MOUTH_ROW,
    FaceMesh,
    face_mesh,
    skin_rows_and_columns,
)
from mien.data.sources.procedural.parts import EYE_RADIUS, LID_THICKNESS

Array = NDArray[np.float64]

LID_GAP = 0.2  # mm between the lashes of closed lids
PUPIL_RISE = 1.1  # mm from the middle of the open slit up to the pupil


def seat_eye(warped: Array, index: int) -> Array:
    """(3,) center of the left (0) or right (1) eyeball, at the depth where lids lie on it.

    Args:
        warped: (S + 2, 3) float, millimeters. Skin, then a guess of both centers, of which x is kept.
        index: Which eye.
    """
    loop = warped[face_mesh().lids["LR"[index]][0]]
    center = warped[-2 + index].copy()
    near = loop[np.abs(loop[:, 0] - center[0]) < 8.5]
    # The upper lid covers the iris by a millimeter or two, the lower one only touches it.
    center[1] = (near[:, 1].min() + near[:, 1].max()) / 2 + PUPIL_RISE
    across = ((near - center)[:, :2] ** 2).sum(axis=1)
    sphere = np.sqrt(np.maximum((EYE_RADIUS + LID_THICKNESS) ** 2 - across, 16.0))
    center[2] = np.mean(near[:, 2] - sphere)
    return center


def lay_lids(skin: Array, centers: Array) -> Array:
    """Lays lid margins on the eyeballs, eased into the skin around; nothing may lie inside an eye.

    Args:
        skin: (S, 3) float, millimeters. Vertices of the skin.
        centers: (2, 3) float, millimeters. Of the left and the right eyeball.

    Returns:
        (S, 3) float64, millimeters.
    """
    skin = skin.copy()
    row, column, _ = skin_rows_and_columns(face_mesh())
    for center, sign in zip(centers, (1, -1), strict=True):
        middle = np.clip((6.0 - np.abs(sign * column - 12)) / 3.0, 0, 1)
        rows = np.clip(1 - (np.abs(row - EYE_ROW) - 1) / 3.0, 0, 1)
        ray = skin - center
        distance = np.linalg.norm(ray, axis=1, keepdims=True)
        reach = EYE_RADIUS + LID_THICKNESS
        skin += (middle * rows)[:, None] * (reach - distance) * ray / distance
        # What is still inside leaves on the shortest way, its surroundings with it. Straight forward would
        # carry an outer corner that lies beside the eye's widest part to before the eye, where it stays.
        ray = skin - center
        distance = np.linalg.norm(ray, axis=1)
        outwards = _spread(np.maximum(reach - 0.3 - distance, 0.0))
        skin += (outwards / distance)[:, None] * ray
    return skin


def _spread(push: Array, steps: int = 12) -> Array:
    """(S,) pushes, with slopes about them where there were steps."""
    mesh = face_mesh()
    if not push.any():
        return push
    result = push.copy()
    for grid in (mesh.upper, mesh.lower):
        height = push[grid]
        edge = np.zeros((len(height) + 2, height.shape[1] + 2))
        for _ in range(steps):
            edge[1:-1, 1:-1] = height
            edge[0], edge[-1], edge[:, 0], edge[:, -1] = edge[1], edge[-2], edge[:, 1], edge[:, -2]
            around = (edge[:-2, 1:-1] + edge[2:, 1:-1] + edge[1:-1, :-2] + edge[1:-1, 2:]) / 4
            height = np.maximum(height, 0.97 * (around + height) / 2)
        result[grid] = np.maximum(result[grid], height)
    return result


def close_lids(skin: Array, centers: Array, activations: dict[str, float]) -> Array:
    """Rolls the lids over the eyeballs; margins meet at most, they never cross.

    Args:
        skin: (S, 3) float, millimeters. Vertices of the skin.
        centers: (2, 3) float, millimeters. Of the left and the right eyeball.
        activations: Action -> how strongly it is performed, 0 to 1.

    Returns:
        (S, 3) float64, millimeters.
    """
    level, mesh = activations.get, face_mesh()
    result = skin.copy()
    for index, side in enumerate("LR"):
        look = level(f"eyeLookDown_{side}", 0.0) - 0.6 * level(f"eyeLookUp_{side}", 0.0)
        squint, blink = level(f"eyeSquint_{side}", 0.0), level(f"eyeBlink_{side}", 0.0)
        upper = (
            blink + 0.5 * look + 0.16 * squint - 0.30 * level(f"eyeWide_{side}", 0.0) * (1 - min(blink, 1))
        )
        lower = 0.34 * squint + 0.22 * level(f"cheekSquint_{side}", 0.0) - 0.12 * look
        lower += 0.10 * level(f"mouthSmile_{side}", 0.0)
        _close_one(mesh, skin, result, centers[index], 1 if side == "L" else -1, upper, lower)
    return result


def _close_one(
    mesh: FaceMesh, skin: Array, result: Array, center: Array, sign: int, upper: float, lower: float
) -> None:
    """Turns the lid rows of one eye about its center; writes into ``result``."""
    columns = HALF + sign * np.arange(7, 18)
    top, bottom = mesh.upper[EYE_ROW, columns], mesh.lower[EYE_ROW, columns]
    high, low = _elevation(skin[top], center), _elevation(skin[bottom], center)
    aperture = np.maximum(high - low, 0)
    raise_lower = np.clip(lower + 0.12 * np.clip(upper, 0, 1), -0.3, 0.6) * aperture
    drop_upper = np.minimum(np.clip(upper, -0.4, 1.0) * aperture, aperture - raise_lower)
    meeting = _lid_meeting(skin, center, (top, bottom), (-drop_upper, raise_lower), aperture - raise_lower)
    for step in range(5):
        fade = (1 - step / 5.0) ** 1.2
        for grid, row, turn in (
            (mesh.upper, EYE_ROW - step, -drop_upper),
            (mesh.lower, EYE_ROW + step, raise_lower),
        ):
            vertices = grid[row, columns]
            result[vertices] = _roll(skin[vertices], center, fade * turn)
        result[mesh.upper[EYE_ROW - step, columns]] += fade * meeting


def _lid_meeting(
    skin: Array, center: Array, margins: tuple[NDArray, NDArray], turns: tuple[Array, Array], room: Array
) -> Array:
    """(11, 3) mm that bring the upper margin onto the lower one as the lid closes, and never below it."""
    top, bottom = (_roll(skin[margin], center, turn) for margin, turn in zip(margins, turns, strict=True))
    closed = np.clip(-turns[0] / np.maximum(room, 1e-6), 0, 1)[:, None] ** 2
    meeting = closed * (bottom + [0, LID_GAP, 0] - top)
    below = bottom[:, 1] + LID_GAP - (top + meeting)[:, 1]
    return meeting + np.maximum(below, 0)[:, None] * [0, 1, 0]


def _elevation(points: Array, center: Array) -> Array:
    offset = points - center
    return np.arctan2(offset[:, 1], offset[:, 2])


def _roll(points: Array, center: Array, angle: Array) -> Array:
    """Points turned about the eye's left-right axis, held outside the eyeball's lid sphere."""
    offset = points - center
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = np.stack(
        [
            offset[:, 0],
            cosine * offset[:, 1] + sine * offset[:, 2],
            cosine * offset[:, 2] - sine * offset[:, 1],
        ],
        1,
    )
    distance = np.linalg.norm(turned, axis=1, keepdims=True)
    turned *= np.maximum(distance, EYE_RADIUS + LID_THICKNESS - 0.1) / distance
    return center + turned


def seal_lips(skin: Array, gap: float = 0.2) -> Array:
    """Pushes lips apart where they would cross; the rows beside yield with them.

    Args:
        skin: (S, 3) float, millimeters. Vertices of the skin.
        gap: Millimeters that stay between the lips.

    Returns:
        (S, 3) float64, millimeters.
    """
    mesh = face_mesh()
    columns = HALF + np.arange(-11, 12)
    top, bottom = mesh.upper[MOUTH_ROW, columns], mesh.lower[MOUTH_ROW, columns]
    crossing = np.maximum(gap - (skin[top, 1] - skin[bottom, 1]), 0)
    result = skin.copy()
    for step in range(7):
        fade = 0.5 * (1 - step / 7.0)
        result[mesh.upper[MOUTH_ROW - step, columns], 1] += fade * crossing
        result[mesh.lower[MOUTH_ROW + step, columns], 1] -= fade * crossing
    return result
