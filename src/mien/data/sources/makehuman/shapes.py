"""MakeHuman's 52 face units as the shapes that people perform: sides apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.data.expressions import SHAPES
from mien.data.sources.makehuman.release import MakeHuman

TONGUE = "tongueOut"
_ARKIT_SIDE = {"_L": "Left", "_R": "Right"}
SEAM_MM = 12.0
"""Across the midline, a shape of both sides is shared between them over this width."""
#: Unit -> the share of it that an activation of one takes. Measured on one template, these units are smaller
#: or larger than the shapes that ICT-FaceKit took from scans of people: they are brought towards those, by
#: eye. The pucker goes further (ICT's is 1.23 times the unit): so much a network for photographs reads.
#: Smiles are as large, but of one piece: beyond this share the corners of the mouth crease.
STRENGTHS = {
    "browInnerUp": 1.6, "browOuterUp": 1.6, "cheekPuff": 1.2, "cheekSquint": 0.85, "mouthFunnel": 1.3,
    "mouthLeft": 1.25, "mouthPress": 0.7, "mouthPucker": 1.75, "mouthRight": 1.25, "mouthRollLower": 1.4,
    "mouthShrugLower": 1.6, "mouthSmile": 0.75, "mouthStretch": 1.25, "mouthUpperUp": 1.4, "noseSneer": 1.6,
}  # fmt: skip


def performed_shapes(head: MakeHuman) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The 53 performed shapes and the tongue.

    The units move both inner brows, and both cheeks, at once: here each side is a shape, and both together
    are the unit.

    Args:
        head: The release.

    Returns:
        names: The 54 names, those of ``SHAPES`` first.
        displacement: (54, N, 3) float64, millimeters.
    """
    shapes = []
    for name in (*SHAPES, TONGUE):
        stem, side = (name[:-2], name[-2:]) if name.endswith(("_L", "_R")) else (name, "")
        if side and stem in head.units:
            shape = _side(head, side)[:, None] * head.units[stem]
        else:
            shape = head.units[stem + _ARKIT_SIDE.get(side, "")]
        shapes.append(STRENGTHS.get(stem, 1.0) * shape)
    return (*SHAPES, TONGUE), np.stack(shapes)


def _side(head: MakeHuman, side: str) -> NDArray[np.float64]:
    """(N,) 0..1 the share of one side, half at the midline."""
    toward = head.base[:, 0] * (1 if side == "_L" else -1) / SEAM_MM
    return np.clip(0.5 + toward, 0, 1) ** 2 * (3 - 2 * np.clip(0.5 + toward, 0, 1))
