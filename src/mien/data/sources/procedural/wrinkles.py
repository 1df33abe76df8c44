"""Lines that skin folds into: where each runs, and which muscles fold it.

The lines are those of the clinical wrinkle charts (forehead, glabella, bunny, crow's feet, lower lid,
nasolabial, marionette, mentolabial, lip lines, dimples); the muscle of each is that of FACS. Places are rows
and columns of the procedural grid, written for the subject's left and mirrored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.expressions import SINGLE_SHAPES
from mien.data.sources.procedural.texture_canvas import Canvas, where

Array = NDArray[np.float64]
RIDGE = 0.35  # brightness of the folded skin beside a line, relative to the line's darkness


@dataclass(frozen=True)
class Line:
    """One fold.

    Args:
        path: (row, column) points; columns are the subject's left.
        width: Millimeters from its middle to where it has faded to a third.
        muscles: Shape (without side) -> how deep full activation folds it.
        rest: How deep old age folds it without any muscle.
        paired: Whether it exists on both sides, each with its own muscles.
    """

    path: tuple[tuple[float, float], ...]
    width: float
    muscles: Mapping[str, float]
    rest: float = 0.0
    paired: bool = True


def _forehead() -> list[Line]:
    lines = []
    for row, depth in ((4.0, 0.7), (6.8, 1.0), (9.4, 1.0), (12.0, 0.75)):
        lines.append(
            Line(
                ((row + 0.5, 0), (row, 4), (row + 0.3, 9.5)),
                0.9,
                {"browInnerUp": depth, "browOuterUp": 0.3},
                0.45 * depth,
            )
        )
        outer = {"browOuterUp": depth, "browInnerUp": 0.2}
        lines.append(Line(((row + 0.2, 7), (row + 0.4, 12), (row + 1.5, 18)), 0.9, outer, 0.4 * depth))
    return lines


_CROW = {"eyeSquint": 0.75, "cheekSquint": 1.0, "mouthSmile": 0.28}
_PUCKER = {"mouthPucker": 0.7, "mouthFunnel": 0.35, "mouthRollUpper": 0.4}
_PUCKER_BELOW = {"mouthPucker": 0.6, "mouthFunnel": 0.3, "mouthRollLower": 0.4}
_NASOLABIAL = {
    "mouthSmile": 1.0, "mouthUpperUp": 0.7, "noseSneer": 0.5, "mouthStretch": 0.3, "cheekSquint": 0.2,
    "mouthDimple": 0.2,
}  # fmt: skip
LINES: tuple[Line, ...] = (
    *_forehead(),
    # Glabella: two upright lines and one across the root of the nose.
    Line(((12.5, 2.4), (15.0, 1.9), (18.6, 1.5)), 0.9, {"browDown": 1.3, "noseSneer": 0.3}, 0.5),
    Line(((20.2, -3.2), (20.8, 0), (20.2, 3.2)), 0.9, {"noseSneer": 0.9, "browDown": 0.5}, 0.3, paired=False),
    # Bunny lines.
    Line(((21.5, 2.4), (24.5, 3.2), (27.5, 5.2)), 0.7, {"noseSneer": 1.0}, 0.1),
    Line(((24.5, 2.4), (28.0, 3.4), (31.0, 5.2)), 0.7, {"noseSneer": 0.9}, 0.05),
    # Crow's feet.
    Line(((23.6, 19.3), (21.6, 21.4), (19.4, 23.2)), 0.7, _CROW, 0.5),
    Line(((24.5, 19.4), (24.0, 21.8), (23.6, 24.3)), 0.7, _CROW, 0.6),
    Line(((25.4, 19.2), (26.8, 21.4), (28.4, 23.8)), 0.7, _CROW, 0.55),
    Line(((26.2, 18.6), (29.0, 20.6), (32.0, 22.2)), 0.7, {"eyeSquint": 0.4, "cheekSquint": 0.8}, 0.3),
    # Lower lid, and the furrow between lid and cheek.
    Line(((26.2, 7.5), (27.8, 11.0), (27.6, 14.5), (26.2, 18.0)), 0.8,
         {"eyeSquint": 0.9, "cheekSquint": 0.8, "mouthSmile": 0.2}, 0.45),
    Line(((27.6, 7.5), (30.6, 10.5), (31.2, 14.5), (29.4, 18.5)), 1.3,
         {"cheekSquint": 0.7, "mouthSmile": 0.25}, 0.65),
    # Nasolabial fold, and the cheek's fold beside it.
    Line(((37.5, 5.8), (41.5, 7.2), (46.5, 10.2), (51.5, 13.6), (55.5, 15.2)), 1.4, _NASOLABIAL, 0.75),
    Line(((50.0, 17.0), (54.5, 18.4), (59.0, 18.0)), 1.5,
         {"mouthSmile": 0.55, "mouthStretch": 0.4, "mouthDimple": 0.4}, 0.1),
    # Marionette and mentolabial lines, dimples.
    Line(((56.0, 12.6), (59.5, 13.2), (64.0, 12.4)), 1.1, {"mouthFrown": 1.0, "mouthStretch": 0.3}, 0.6),
    Line(((65.2, -7.5), (63.6, -3.5), (63.3, 0), (63.6, 3.5), (65.2, 7.5)), 1.5,
         {"mouthShrugLower": 1.0, "mouthPress": 0.3, "mouthPucker": 0.3}, 0.4, paired=False),
    Line(((53.6, 14.4), (55.2, 14.9), (56.8, 14.4)), 1.3, {"mouthDimple": 1.4, "mouthSmile": 0.3}, 0.05),
    # Upright lines about the lips.
    *(Line(((45.5, 0.85 * c), (49.2, c)), 0.6, _PUCKER, 0.35) for c in (1.8, 4.2, 6.6, 9.0)),
    *(Line(((60.8, c), (63.6, 0.9 * c)), 0.6, _PUCKER_BELOW, 0.2) for c in (2.4, 5.2, 8.0)),
)  # fmt: skip
"""All lines, in one order that the fields of :class:`Wrinkles` share."""


class Wrinkles:
    """The lines laid on one canvas.

    Args:
        canvas: What they are painted on.
    """

    def __init__(self, canvas: Canvas) -> None:
        self.names = [(line, side) for line in LINES for side in (("L", "R") if line.paired else ("",))]
        #: (K, P) float32, darkness of each line at full depth; negative where folded skin shines.
        self.fields = np.zeros((len(self.names), len(canvas.places)), np.float32)
        heights = _Heights(canvas.places)
        for field, (line, side) in zip(self.fields, self.names, strict=True):
            _draw(field, heights, line, -1.0 if side == "R" else 1.0)

    def depths(self, levels: Mapping[str, float], lines: float, old: float, habit: NDArray) -> Array:
        """(K,) how deep each line is.

        Args:
            levels: Shape -> activation.
            lines: How readily this person's skin folds.
            old: 0 young to 1 old; folds that stay at rest.
            habit: (K,) this person's own factor of each line.
        """
        level = levels.get
        depths = np.zeros(len(self.names))
        for number, (line, side) in enumerate(self.names):
            depth = line.rest * old**1.3
            for shape, gain in line.muscles.items():
                if shape in SINGLE_SHAPES:
                    sides: tuple[str, ...] = (shape,)
                else:
                    sides = (f"{shape}_{side}",) if side else (f"{shape}_L", f"{shape}_R")
                active = sum(max(level(name, 0.0), 0.0) for name in sides) / len(sides)
                depth += gain * lines * active
            depths[number] = depth
        return depths * habit


class _Heights:
    """Places in the order of their heights: few of them are compared with a box, of hundreds of thousands."""

    def __init__(self, places: Array) -> None:
        self.places = places
        self.order = np.argsort(places[:, 1], kind="stable")
        self.heights = places[self.order, 1]

    def within(self, low: NDArray, high: NDArray) -> NDArray[np.int64]:
        """(n,) numbers of the places inside of a box with corners (3,), ascending."""
        first = np.searchsorted(self.heights, low[1], side="right")
        last = np.searchsorted(self.heights, high[1], side="left")
        level = np.sort(self.order[first:last])
        part = self.places[level]
        return level[((part > low) & (part < high)).all(axis=1)]


def _draw(field: NDArray[np.float32], heights: _Heights, line: Line, sign: float) -> None:
    """Writes the darkness across one line (P,): a valley, and folded skin that catches light beside it."""
    points = _smooth_path(np.array(line.path), 24)
    points[:, 1] *= sign
    path = where(points[:, 0], points[:, 1])
    reach = 5.0 * line.width
    near = heights.within(path.min(0) - reach, path.max(0) + reach)
    if not len(near):
        return
    distance, along = _to_path(heights.places[near], path)
    taper = np.sin(np.pi * np.clip(0.06 + 0.88 * along, 0, 1)) ** 0.6
    valley = np.exp(-((distance / line.width) ** 2))
    ridge = np.exp(-(((distance - 2.2 * line.width) / line.width) ** 2))
    field[near] = taper * (valley - RIDGE * ridge)


def _smooth_path(points: NDArray, count: int) -> Array:
    """(count, 2) places on a smooth curve through points."""
    from scipy.interpolate import PchipInterpolator

    steps = np.linspace(0, 1, len(points))
    return PchipInterpolator(steps, points)(np.linspace(0, 1, count))


def _to_path(points: NDArray, path: NDArray) -> tuple[Array, Array]:
    """(n,) distance of points to a polyline, and how far along it (0..1) the nearest place is."""
    start, step = path[:-1], np.diff(path, axis=0)
    length = np.maximum((step**2).sum(1), 1e-12)
    offset = points[:, None] - start
    t = np.clip((offset * step).sum(-1) / length, 0, 1)
    distance = np.linalg.norm(offset - t[..., None] * step, axis=-1)
    best = distance.argmin(axis=1)
    rows = np.arange(len(points))
    return distance[rows, best], (best + t[rows, best]) / len(step)
