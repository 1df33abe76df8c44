"""What lies behind the procedural skin: lid edges, the mouth's pocket, eyeballs and teeth.

None of it is stored in a template. It follows from the skin's slits, the eyes' centers and the jaw, for every
person and pose anew, so linings cannot come apart from the lids and lips they line.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.data.sources.procedural.mesh import (
    BALL_RINGS,
    BALL_SEGMENTS,
    EYE_RINGS,
    MOUTH_RINGS,
    TOOTH_COLUMNS,
    TOOTH_ROWS,
)

EYE_RADIUS = 12.0  # mm; adult eyeballs measure 24 mm across in nearly everybody
LID_THICKNESS = 1.3
# Angles from the gaze at the rings of an eyeball, and how far each lies inside the sphere: a carved iris, as
# sculptors do it, so that the gaze reads without color.
BALL_ANGLES = np.radians([8.5, 10.5, 22.0, 28.5, 30.5, 50.0, 72.0, 100.0])
BALL_DEPTHS = np.array([2.4, 1.1, 1.0, 0.7, 0.0, 0.0, 0.0, 0.0])
PUPIL_DEPTH = 2.6
# Rings of the mouth's pocket: rise above (or fall below) the lips' line, depth behind it, relative breadth.
# The last one all but closes the pocket, so nobody looks through a face.
POCKET = ((1.8, 2.6, 0.995), (5.0, 4.4, 0.96), (12.0, 14.0, 0.86), (13.0, 34.0, 0.7), (0.6, 46.0, 0.03))


def eyeball(center: NDArray, up: float = 0.0, left: float = 0.0) -> NDArray[np.float64]:
    """An eyeball.

    Args:
        center: (3,) float, millimeters.
        up: Radians that it looks up.
        left: Radians that it looks to its left.

    Returns:
        (1 + rings * segments, 3) float64, millimeters.
    """
    azimuth = 2 * np.pi * np.arange(BALL_SEGMENTS) / BALL_SEGMENTS
    angle, radius = BALL_ANGLES[:, None], (EYE_RADIUS - BALL_DEPTHS)[:, None]
    ring = np.sin(angle) * radius
    points = np.stack(
        [
            ring * np.cos(azimuth),
            ring * np.sin(azimuth),
            np.broadcast_to(np.cos(angle) * radius, (BALL_RINGS, BALL_SEGMENTS)),
        ],
        -1,
    ).reshape(-1, 3)
    points = np.concatenate([[[0, 0, EYE_RADIUS - PUPIL_DEPTH]], points])
    cu, su, cl, sl = np.cos(up), np.sin(up), np.cos(left), np.sin(left)
    pitch = np.array([[1, 0, 0], [0, cu, su], [0, -su, cu]])
    yaw = np.array([[cl, 0, sl], [0, 1, 0], [-sl, 0, cl]])
    return points @ (yaw @ pitch).T + center


def lid_lining(loop: NDArray, center: NDArray) -> NDArray[np.float64]:
    """The lid's edge, from the lashes to the eyeball and back beneath the lid.

    Args:
        loop: (24, 3) float, millimeters. The lid loop.
        center: (3,) float, millimeters. Of the eyeball.

    Returns:
        (EYE_RINGS, 24, 3) float64, millimeters.
    """
    half = loop.shape[0] // 2
    ray = loop - center
    distance = np.linalg.norm(ray, axis=1, keepdims=True)
    direction = ray / distance
    inner = np.maximum(distance - 1.6, EYE_RADIUS + 0.05)
    beneath = np.where(np.arange(len(loop)) < half, 1.0, -1.0)[:, None] * [[0.0, 0.28, 0.0]]
    beneath[[0, half]] = 0
    back = direction + beneath
    back /= np.linalg.norm(back, axis=1, keepdims=True)
    rings = [center + direction * inner, center + back * (EYE_RADIUS + 0.05)]
    assert len(rings) == EYE_RINGS
    return np.stack(rings)


def lip_pocket(loop: NDArray) -> NDArray[np.float64]:
    """Offsets from the lip loop to the rings of the mouth's pocket, at rest.

    Args:
        loop: (48, 3) float, millimeters. The lip loop.

    Returns:
        (MOUTH_RINGS, 48, 3) float64, millimeters.
    """
    count = len(loop)
    half = count // 2
    arc = np.sin(np.pi * (np.arange(count) % half) / half) ** 0.6
    side = np.where(np.arange(count) < half, 1.0, -1.0)
    middle = loop.mean(axis=0)
    rings = []
    for rise, back, narrow in POCKET:
        ring = loop.copy()
        ring[:, 0] = middle[0] + (loop[:, 0] - middle[0]) * narrow
        ring[:, 1] = middle[1] + (loop[:, 1] - middle[1]) * min(1.0, 3 * narrow) + side * arc * rise
        # Lips curve round the teeth more tightly than the pocket behind them.
        ring[:, 2] -= back * (0.45 + 0.55 * arc)
        rings.append(ring - loop)
    rings[-1][:, 2] = middle[2] - POCKET[-1][1] - loop[:, 2]
    assert len(rings) == MOUTH_RINGS
    return np.stack(rings)


def dental_arches(lip_line: NDArray, breadth: float) -> dict[str, NDArray[np.float64]]:
    """Two rows of teeth behind the lips: ``upper``/``lower`` -> (rows, columns, 3) mm.

    Args:
        lip_line: (3,) mm. Where the lips meet at the midline.
        breadth: Mouth breadth, mm; the arch grows with it.
    """
    # Crown breadths from the midline: incisors, canine, premolars, molar; two columns a tooth: body and gap.
    crowns = np.array([8.6, 6.6, 7.6, 7.0, 6.8, 10.0, 9.6])
    arches = {}
    for name, shrink, sign in (("upper", 1.0, 1.0), ("lower", 0.88, -1.0)):
        scale = shrink * breadth / 52.0
        edges = np.concatenate([[0.0], np.cumsum(crowns * scale)])
        half = np.empty(2 * len(crowns) + 1)
        half[0::2], half[1::2] = edges, (edges[1:] + edges[:-1]) / 2
        arc = np.concatenate([-half[:0:-1], half])
        assert len(arc) == TOOTH_COLUMNS
        gap = (np.abs(np.arange(TOOTH_COLUMNS) - TOOTH_COLUMNS // 2) % 2 == 0).astype(float)
        radius = 21.0 * scale
        angle = np.clip(arc / radius, -1.45, 1.45)
        rest = arc - angle * radius
        x = radius * np.sin(angle) + rest * np.cos(1.45)
        z = lip_line[2] - (6.2 if sign > 0 else 8.6) - 1.35 * radius * (1 - np.cos(angle)) - np.abs(rest)
        rows = []
        for height, back, notch in zip(
            (0.0, 2.5, 6.5, 11.0), (0.7, 0.1, 0.0, 0.8), (0.7, 0.45, 0.4, 0.2), strict=True
        ):
            y = lip_line[1] - (1.6 if sign > 0 else 1.2) + sign * (height + 0.5 * gap * (height == 0))
            rows.append(np.stack([x, np.full_like(x, y), z - back - notch * gap], -1))
        block = np.stack(rows)
        arches[name] = block[::-1] if sign > 0 else block
        assert block.shape[0] == TOOTH_ROWS
    return arches
