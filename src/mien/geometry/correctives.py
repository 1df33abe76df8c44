"""What lines and sums of movements miss: lids on their way over an eyeball, motion on a jaw that turned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.geometry.contact import Eye
from mien.geometry.procrustes import procrustes

_WITH_JAW = 0.7  # of the jaw's largest motion: what moves so far turns with the bone


def lids_halfway(
    eyes: Sequence[Eye], blink: NDArray, edges: NDArray, side: NDArray, halfway: float
) -> NDArray[np.float64]:
    """What has to be added part of the way through a blink so that lids slide over the eyeball.

    Args:
        eyes: Of the mesh.
        blink: (M, 3) float, millimeters. The whole movement.
        edges: (M,) float, millimeters. The longest edge at each vertex.
        side: (2,) bool. Which eyes close: the person's left, the right.
        halfway: The part of the way, 0 to 1.

    Returns:
        (M, 3) float64, millimeters; zeros without eyeballs.
    """
    more = np.zeros_like(blink)
    for eye in eyes:
        if eye.ball is None or not side[eye.side]:
            continue
        members, part = eye.lids.members, halfway * blink[eye.lids.members]
        points = eye.lids.rest @ eye.lids.facing.axes + eye.lids.facing.center
        more[members] = eye.ball.slid_over(points, part[None], edges[members])[0] - part
    return more


def turned_with_jaw(points: NDArray, jaw: NDArray, other: NDArray) -> NDArray[np.float64]:
    """What has to be added to a movement so that it goes with skin that a dropped jaw has turned.

    The jaw is one rigid turn, found where it moves most; other skin takes as much of the angle as it takes of
    the motion.

    Args:
        points: (M, 3) float, millimeters.
        jaw: (M, 3) float, millimeters. Displacements that drop the jaw.
        other: (M, 3) float, millimeters. The movement.

    Returns:
        (M, 3) float64, millimeters.
    """
    length = np.linalg.norm(jaw, axis=1)
    bone = np.flatnonzero(length > _WITH_JAW * length.max(initial=0))
    if len(bone) < 4:
        return np.zeros_like(other)
    motion = procrustes(points[bone], points[bone] + jaw[bone])
    axis, angle = _axis_and_angle(motion.rotation)
    whole = np.linalg.norm(motion.apply(points) - points, axis=1)
    share = np.clip(length / np.maximum(whole, 1e-9), 0, 1)[:, None] * angle
    along = (other @ axis)[:, None] * axis
    return (np.cos(share) - 1) * (other - along) + np.sin(share) * np.cross(axis, other)


def _axis_and_angle(rotation: NDArray) -> tuple[NDArray[np.float64], float]:
    """The unit axis and the angle in radians of a rotation (3, 3)."""
    twice = rotation - rotation.T
    vector = np.array([twice[2, 1], twice[0, 2], twice[1, 0]]) / 2
    sine = float(np.linalg.norm(vector))
    return vector / max(sine, 1e-12), float(np.arctan2(sine, (np.trace(rotation) - 1) / 2))
