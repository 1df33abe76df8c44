"""Skin textures for procedural people: who somebody is, and what a performance does to skin.

A :class:`Painter` holds a canvas and what all people share; a :class:`PaintedPerson` is one person's skin,
brows, lips, spots and eyes, whose :meth:`~PaintedPerson.wearing` folds and flushes that skin as muscles do.
Textures are albedo with the faint baked shade of folds, as scanned texture maps have; a pure function of
complexion and activations, and smooth in the activations.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.data.sources.procedural.complexion import Complexion, srgb_of_lab
from mien.data.sources.procedural.skin import Painter, Skin

__all__ = ["Complexion", "PaintedPerson", "Painter", "painted"]

FOLD = np.array([-15.0, 3.0, 0.6])  # L*, a*, b* at the bottom of a fold of depth one
#: Shape -> how much it flushes cheeks, and forehead.
FLUSH = {
    "mouthSmile": (0.30, 0.0), "cheekPuff": (0.9, 0.15), "cheekSquint": (0.25, 0.0), "mouthPress": (0.3, 0.2),
    "browDown": (0.25, 0.8), "noseSneer": (0.3, 0.4), "mouthStretch": (0.2, 0.1), "mouthFrown": (0.2, 0.1),
}  # fmt: skip
FLUSHED = np.array([-1.8, 7.5, 0.8])
#: Shape -> how much blood it presses out of the lips.
BLANCH = {"mouthPress": 0.6, "mouthRollUpper": 0.7, "mouthRollLower": 0.7, "mouthStretch": 0.35}
BLANCHED = np.array([6.0, -5.0, 1.0])


def painted(painter: Painter, seed: Sequence[int], sex: str | None = None) -> PaintedPerson:
    """A person drawn by a seed, painted.

    Args:
        painter: What all people share.
        seed: Numbers that the coloring follows from, e.g. those of the data set and of the subject.
        sex: ``female`` or ``male``; None draws it.
    """
    rng = np.random.default_rng([*seed, zlib.crc32(b"texture")])
    drawn = "female" if rng.random() < 0.5 else "male"
    return PaintedPerson(painter, Complexion.draw(rng, sex or drawn))


class PaintedPerson:
    """One person's paint.

    Args:
        painter: What all people share.
        who: The person's coloring.
    """

    def __init__(self, painter: Painter, who: Complexion) -> None:
        self.painter, self.who = painter, who
        rng = np.random.default_rng([who.seed, 2])
        self.habit = np.exp(0.25 * rng.standard_normal(len(painter.wrinkles.names)))
        self.skin = Skin(painter, who)

    def wearing(self, activations: Mapping[str, float]) -> NDArray[np.uint8]:
        """(size, size, 3) uint8 sRGB: this person's texture while shapes are active.

        Args:
            activations: Shape -> activation, named as :data:`mien.data.expressions.SHAPES`; none is at rest.
        """
        painter, who = self.painter, self.who
        depths = painter.wrinkles.depths(activations, who.lines, who.old, self.habit)
        folds = np.tanh(depths.astype(np.float32) @ painter.wrinkles.fields)
        lab = self.skin.lab + folds[:, None] * FOLD * (0.5 + 0.5 * who.light)
        cheeks, forehead, pale = self._blood(activations)
        flush = cheeks * painter.cheeks + forehead * painter.forehead
        lab += flush[:, None] * FLUSHED * (0.35 + 0.65 * who.light)
        lab += (pale * painter.lips)[:, None] * BLANCHED
        lab[:, 0] -= 3.5 * activations.get("mouthShrugLower", 0.0) * self.skin.chin
        picture = self.skin.picture.copy()
        picture[painter.canvas.skin] = srgb_of_lab(lab)
        return painter.canvas.finish(picture)

    @staticmethod
    def _blood(activations: Mapping[str, float]) -> tuple[float, float, float]:
        """How much blood comes to the cheeks and the forehead, and leaves the lips; each below 1."""

        def level(name: str) -> float:
            sides = (name,) if name in activations else (f"{name}_L", f"{name}_R")
            return sum(max(activations.get(side, 0.0), 0.0) for side in sides) / len(sides)

        cheeks, forehead = (sum(gain[k] * level(name) for name, gain in FLUSH.items()) for k in (0, 1))
        pale = sum(gain * level(name) for name, gain in BLANCH.items())
        return float(np.tanh(cheeks)), float(np.tanh(forehead)), float(np.tanh(pale))
