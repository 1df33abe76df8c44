"""Facial muscles on one person: which way each ARKit-like shape moves that person's skin.

Linear muscles follow K. Waters, A Muscle Model for Animating Three-Dimensional Facial Expression, SIGGRAPH
1987: skin is drawn towards a bony origin, most at the insertion, fading along and across the fibers;
contracting flesh bulges midway. The ring muscles draw lips together and push them out. Origins and insertions
are places of the grid, so they sit where that person's brow, cheek and mouth corners are, and pull in that
face's directions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.data.sources.procedural.mesh import (
    EYE_ROW,
    MOUTH_CORNER,
    MOUTH_ROW,
    face_mesh,
    skin_rows_and_columns,
)

Field = NDArray[np.float64]


def _smooth(x: NDArray) -> NDArray:
    """0 below 0, 1 above 1, an S between."""
    t = np.clip(x, 0.0, 1.0)
    return t * t * (3 - 2 * t)


class Anatomy:
    """Masks of the grid that are the same for everyone: upper and lower lip, jaw, lids."""

    def __init__(self) -> None:
        mesh = face_mesh()
        self.row, self.column, self.side = skin_rows_and_columns(mesh)
        away = np.abs(self.column)
        self.beyond = np.clip(away - MOUTH_CORNER + 1, 0, None)
        rows = self.row - MOUTH_ROW + np.where(self.row == MOUTH_ROW, self.side, 0.0)
        self.below = 1 / (1 + np.exp(-np.clip(3 * rows / (1 + self.beyond), -40, 40)))
        self.above = 1 - self.below
        self.jaw = self._jaw(rows, away)
        self.lips = np.exp(-((rows / 6.5) ** 2) - (np.maximum(away - 9, 0) / 5.0) ** 2)
        self.free = self._free(away)

    @staticmethod
    def _jaw(rows: NDArray, away: NDArray) -> NDArray[np.float64]:
        """Share of the jaw's motion: none on the upper lip, all on the lower, a part at the corners."""
        corner = 0.40
        lower = corner + (1 - corner) * np.sin(np.pi / 2 * np.clip((MOUTH_CORNER - away) / 10.0, 0, 1))
        upper = corner * (1 - _smooth((MOUTH_CORNER - away) / 8.0))
        down = lower + (1 - lower) * _smooth(rows / 10.0)
        up = upper * (1 - _smooth(-rows / 13.0))
        return np.where(rows > 0, down, np.where(rows < 0, up, np.maximum(lower, upper)))

    def _free(self, away: NDArray) -> NDArray[np.float64]:
        """How freely skin follows muscles: lid margins and canthi move with the lids alone."""
        above = _smooth((EYE_ROW - self.row) / 6.0)
        below = _smooth((self.row - EYE_ROW) / 7.0)
        beside = _smooth(np.maximum(away - 18, 6 - away) / 5.0)
        return np.maximum.reduce([above, below, beside])


class Muscles:
    """The displacement field of every action on one neutral face.

    Args:
        skin: (S, 3) float, millimeters. The neutral skin.
        normals: (S, 3) float. Its unit normals.
        scale: Size of this face relative to the template; gains grow with it.
    """

    def __init__(self, skin: NDArray, normals: NDArray, scale: float, anatomy: Anatomy) -> None:
        self.skin, self.normals, self.scale, self.anatomy = skin, normals, scale, anatomy
        self.mesh = face_mesh()

    def at(self, row: int, column: int, below: bool = False) -> NDArray[np.float64]:
        """(3,) where a place of the grid lies on this face."""
        return self.skin[self.mesh.at(row, column, below)]

    def linear(
        self, origin: NDArray, insertion: NDArray, spread: float, over: float, gain: float,
        bulge: float = 0.0, mask: NDArray | None = None,
    ) -> Field:  # fmt: skip
        """A linear muscle.

        Args:
            origin: (3,) where it is fixed to bone.
            insertion: (3,) where it pulls the skin most.
            spread: Half breadth of the moved skin at the insertion, millimeters.
            over: How far beyond the insertion skin is dragged along, millimeters.
            gain: Motion at the insertion, millimeters.
            bulge: Motion along the normal midway, millimeters.
            mask: (S,) factor, e.g. one lip only.

        Returns:
            (S, 3) displacements, millimeters.
        """
        fiber = insertion - origin
        length = np.linalg.norm(fiber)
        offset = self.skin - origin
        along = offset @ fiber / length**2
        across = np.linalg.norm(offset - along[:, None] * fiber, axis=1)
        rise = np.sin(np.pi / 2 * np.clip(along, 0, 1))
        fall = np.cos(np.pi / 2 * np.clip((along - 1) * length / (over * self.scale), 0, 1)) ** 2
        cone = spread * self.scale * (0.55 + 0.45 * np.clip(along, 0, 1))
        lateral = np.cos(np.pi / 2 * np.clip(across / cone, 0, 1)) ** 2
        mask = np.ones(len(offset)) if mask is None else mask
        toward = -offset / np.maximum(np.linalg.norm(offset, axis=1, keepdims=True), 1e-9)
        field = (self.scale * gain * rise * fall * lateral * mask)[:, None] * toward
        middle = np.sin(np.pi * np.clip(along, 0, 1)) ** 2 * lateral * mask
        return field + (self.scale * bulge * middle)[:, None] * self.normals

    def near(self, center: NDArray, width: float, height: float) -> NDArray[np.float64]:
        """A smooth bump around a place.

        Args:
            center: (3,) float, millimeters. The place.
            width: Millimeters sideways and in depth over which it fades.
            height: Millimeters up and down over which it fades.

        Returns:
            (S,) float, 1 at the place.
        """
        offset = (self.skin - center) / (self.scale * np.array([width, height, 1.4 * width]))
        return np.exp(-(offset**2).sum(axis=1))

    def swell(self, center: NDArray, width: float, height: float, amount: float) -> Field:
        """Skin pushed out (or drawn in) along its normals around a place.

        Args:
            center: (3,) float, millimeters. The place.
            width: Millimeters sideways and in depth over which it fades.
            height: Millimeters up and down over which it fades.
            amount: Millimeters at the place.

        Returns:
            (S, 3) displacements, millimeters.
        """
        return (self.scale * amount * self.near(center, width, height))[:, None] * self.normals

    def shift(
        self, center: NDArray, width: float, height: float, motion: tuple[float, float, float],
        mask: NDArray | float = 1.0,
    ) -> Field:  # fmt: skip
        """Skin carried along around a place.

        Args:
            center: (3,) float, millimeters. The place.
            width: Millimeters sideways and in depth over which it fades.
            height: Millimeters up and down over which it fades.
            motion: Right to left, up, and forward at the place, millimeters.
            mask: (S,) factor, e.g. one lip only.

        Returns:
            (S, 3) displacements, millimeters.
        """
        return (self.near(center, width, height) * mask)[:, None] * (self.scale * np.array(motion))

    def sphincter(self, gain: float, protrude: float) -> Field:
        """The ring muscle of the mouth: draws its ellipse together sideways and pushes the lips out.

        Args:
            gain: Motion of the mouth's corners, millimeters.
            protrude: Motion forward, millimeters.

        Returns:
            (S, 3) displacements, millimeters.
        """
        center = (self.at(MOUTH_ROW, 0) + self.at(MOUTH_ROW, 0, True)) / 2
        half = np.linalg.norm(self.at(MOUTH_ROW, MOUTH_CORNER) - self.at(MOUTH_ROW, -MOUTH_CORNER)) / 2
        offset = self.skin - center
        ring = np.sqrt((offset[:, 0] / half) ** 2 + (offset[:, 1] / (0.85 * half)) ** 2)
        pull = np.where(
            ring < 1, np.sin(np.pi / 2 * np.clip(ring, 0, 1)), np.exp(-(((ring - 1) / 0.55) ** 2))
        )
        field = np.zeros_like(self.skin)
        field[:, 0] = -self.scale * gain * pull * np.clip(offset[:, 0] / half, -1, 1)
        field[:, 2] = self.scale * protrude * np.exp(-((ring / 0.85) ** 2))
        return field

    def fields(self) -> dict[str, Field]:
        """Action -> (S, 3) mm of motion at full activation; jaw, lids and gaze act elsewhere."""
        fields = self._middle()
        for side, sign in (("L", 1), ("R", -1)):
            fields |= {f"{name}_{side}": field for name, field in self._brow_and_cheek(sign).items()}
            fields |= {f"{name}_{side}": field for name, field in self._mouth(sign).items()}
        return {name: field * self.anatomy.free[:, None] for name, field in fields.items()}

    def _brow_and_cheek(self, s: int) -> dict[str, Field]:
        at, linear, row = self.at, self.linear, self.anatomy.row
        brow = at(16, 8 * s)
        forehead = _smooth((row - 3) / 4) * _smooth((14 - row) / 3) * np.sin(2 * np.pi * row / 4.5)
        wrinkle = self.normals * (0.4 * self.scale * forehead)[:, None]
        sink = np.array([0.0, 0.0, -6.0])
        return {
            "browDown": linear(at(20, 1 * s) + sink, brow, 17, 16, 5.5)
            + self.shift(at(16, 5 * s), 10, 9, (-1.0 * s, -4.2, 0.6))
            + self.shift(at(16, 14 * s), 11, 8, (-0.6 * s, -3.0, 0.4))
            + self.swell(at(16, 4 * s), 4, 8, 1.5) + self.swell(at(16, 2 * s), 2.6, 8, -1.0),
            "browInnerUp": linear(at(3, 6 * s), at(16, 6 * s), 22, 15, 7.0)
            + wrinkle * self.near(at(9, 4 * s), 20, 40)[:, None],
            "browOuterUp": linear(at(3, 15 * s), at(16, 14 * s), 24, 14, 7.5)
            + wrinkle * self.near(at(9, 14 * s), 16, 40)[:, None],
            "cheekSquint": linear(at(27, 18 * s), at(37, 14 * s), 22, 14, 4.5, 1.5)
            + self.swell(at(33, 14 * s), 14, 8, 2.2),
            "noseSneer": linear(at(22, 4 * s), at(41, 5 * s), 12, 14, 5.2, 1.0)
            + linear(at(28, 9 * s), at(50, 6 * s), 12, 10, 3.2, mask=self.anatomy.above)
            + self.swell(at(32, 6 * s), 6, 7, 1.8) + self.swell(at(43, 8 * s), 3.5, 8, -1.4)
            + self.shift(at(16, 5 * s), 10, 9, (-0.6 * s, -2.0, 0.3)),
            "cheekPuff": self.swell(at(53, 16 * s), 21, 23, 10.5) + self.swell(at(50, 6 * s), 12, 8, 3.0)
            + self.swell(at(61, 6 * s), 12, 8, 3.0) + self.shift(at(55, 12 * s), 9, 9, (-1.5 * s, 0.0, 1.5)),
            "eyeSquint": self.swell(at(30, 13 * s), 12, 4, 1.0)
            + self.shift(at(31, 14 * s), 13, 8, (0, 1.8, 0.4))
            + self.shift(at(16, 13 * s), 13, 7, (0.0, -1.6, 0.3)) + self.swell(at(24, 21 * s), 3.5, 6, -0.8),
            "eyeWide": self.shift(at(18, 12 * s), 15, 7, (0.0, 1.4, 0.0)),
        }  # fmt: skip

    def _mouth(self, s: int) -> dict[str, Field]:
        at, linear, anatomy = self.at, self.linear, self.anatomy
        corner, above, below = at(MOUTH_ROW, MOUTH_CORNER * s), anatomy.above, anatomy.below
        half = _smooth(0.5 + s * self.skin[:, 0] / 14.0)
        return {
            "mouthSmile": linear(at(31, 22 * s), corner, 25, 24, 12.0, 1.5)
            + linear(at(28, 16 * s), at(48, 8 * s), 15, 12, 3.2, mask=above)
            + linear(at(30, 15 * s), at(42, 14 * s), 18, 12, 3.5, 2.5)
            + self.swell(at(41, 14 * s), 11, 10, 2.6) + self.swell(at(47, 8 * s), 3.5, 9, -1.3),
            "mouthDimple": linear(at(56, 22 * s), corner, 17, 18, 6.5)
            + self.swell(at(55, 14 * s), 5, 9, -2.6) + self.swell(at(54, 17 * s), 6, 11, 1.6),
            "mouthFrown": linear(at(71, 14 * s), corner, 16, 17, 9.0)
            + self.swell(at(61, 13 * s), 4, 8, -1.4) + self.swell(at(50, 9 * s), 4, 8, -0.8),
            "mouthStretch": linear(at(64, 24 * s), corner, 24, 22, 10.0)
            + linear(at(73, 18 * s), at(61, 9 * s), 18, 12, 4.0, mask=below),
            "mouthUpperUp": linear(at(29, 9 * s), at(51, 5 * s), 20, 12, 6.0, mask=above)
            + self.swell(at(43, 9 * s), 6, 8, 1.2) + self.swell(at(46, 8 * s), 3.0, 7, -1.2),
            "mouthLowerDown": linear(at(73, 9 * s), at(57, 5 * s), 20, 12, 6.5, mask=below),
            "mouthPress": self._thin(1.5, 0.55) * half[:, None] + self.swell(at(55, 14 * s), 5, 8, -1.0),
        }  # fmt: skip

    def _thin(self, back: float, share: float) -> Field:
        """Both vermilion borders drawn towards the line where the lips meet, and back."""
        field = np.zeros_like(self.skin)
        for border, sign in ((50, 1), (60, -1)):
            depth = np.clip(1 - sign * (MOUTH_ROW - self.anatomy.row) / 8.0, 0, 1)
            on = ((self.anatomy.below if sign < 0 else self.anatomy.above) > 0.5) * (self.anatomy.beyond <= 1)
            border_y = self.at(border, 0)[1] - self.at(MOUTH_ROW, 0, sign < 0)[1]
            rows = np.clip(sign * (MOUTH_ROW - self.anatomy.row) / 5.0, 0, 1)
            fade = np.cos(np.pi / 2 * np.clip(np.abs(self.anatomy.column) / MOUTH_CORNER, 0, 1)) ** 0.7
            bell = np.where(np.abs(MOUTH_ROW - self.anatomy.row) <= 5, rows, depth)
            field[:, 1] += -share * border_y * bell * on * fade
            field[:, 2] -= self.scale * back * np.where(rows < 1, 1.0, depth) * on * fade
        return field

    def _roll(self, sign: int) -> Field:
        """One lip turned in over the teeth: +1 the upper, -1 the lower."""
        anatomy = self.anatomy
        on = (anatomy.above if sign > 0 else anatomy.below) * (anatomy.beyond <= 1)
        rows = sign * (MOUTH_ROW - anatomy.row)
        fade = np.cos(np.pi / 2 * np.clip(np.abs(anatomy.column) / MOUTH_CORNER, 0, 1)) ** 0.7
        red = _smooth(1 - (rows - 2) / 7.0)
        field = np.zeros_like(self.skin)
        field[:, 1] = -sign * 4.2 * np.exp(-(((rows - 5) / 3.2) ** 2))
        field[:, 2] = -6.0 * red
        return self.scale * field * (on * fade)[:, None]

    def _middle(self) -> dict[str, Field]:
        at, anatomy = self.at, self.anatomy
        lips = (at(MOUTH_ROW, 0) + at(MOUTH_ROW, 0, True)) / 2
        open_in = self.sphincter(3.5, 0.0)
        cheeks = self.swell(at(52, 17), 15, 20, -2.6) + self.swell(at(52, -17), 15, 20, -2.6)
        chin = self.shift(at(68, 0), 15, 11, (0, 5.2, -0.6))
        around = self.near(lips, 30, 17)
        return {
            "jawOpen": open_in + cheeks,
            "mouthPucker": self.sphincter(10.0, 7.0) + self._lip_part(1.2),
            "mouthFunnel": self.sphincter(7.0, 6.5) + self._lip_part(4.8),
            "mouthLeft": around[:, None] * (self.scale * np.array([11.5, 0.6, -0.5])),
            "mouthRight": around[:, None] * (self.scale * np.array([-11.5, 0.6, -0.5])),
            "mouthRollUpper": self._roll(1),
            "mouthRollLower": self._roll(-1),
            "mouthShrugLower": chin + self.shift(at(59, 0), 20, 8, (0, 5.6, 2.6), anatomy.below)
            + self.swell(at(64, 0), 16, 5, -0.6),
            "mouthShrugUpper": self.shift(at(52, 0), 20, 8, (0, 3.2, 1.4), anatomy.above),
        }  # fmt: skip

    def _lip_part(self, amount: float) -> Field:
        """Lips drawn apart from each other, most at the midline, their rims turned out."""
        anatomy = self.anatomy
        upper = self.shift(self.at(52, 0), 17, 9, (0, 0.8 * amount, 0.2 * amount), anatomy.above)
        return upper + self.shift(self.at(58, 0), 17, 9, (0, -amount, 0.2 * amount), anatomy.below)
