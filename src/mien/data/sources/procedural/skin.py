"""What skin shows of a person at rest: tone, spots, lips, lashes, brows, beard, and eyes and teeth."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from mien.data.sources.procedural.complexion import Complexion, srgb_of_lab
from mien.data.sources.procedural.texture_canvas import Canvas, where
from mien.data.sources.procedural.wrinkles import Wrinkles

Array = NDArray[np.float64]

# Where the middle of a brow runs: x and y on the template, millimeters.
BROW = ((10.5, 17.6), (16.0, 19.2), (25.0, 21.4), (33.0, 22.4), (41.0, 21.4), (49.0, 18.6))
SCLERA, VESSELS = np.array([91.0, 0.5, 2.5]), np.array([-9.0, 9.0, 3.0])
TOOTH, LINING, MOUTH = np.array([91.0, 0.5, 7.0]), np.array([-4.0, 9.0, -1.0]), np.array([31.0, 24.0, 12.0])


class Painter:
    """Paints people on one canvas; what all share is built once.

    Args:
        canvas: Where the paint goes.
    """

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self.wrinkles = Wrinkles(canvas)

    def near(self, row: float, column: float, width: float, height: float) -> Array:
        """(P,) 1 at a place and its mirror, fading over millimeters sideways, in depth, and up and down."""
        offset = (self.folded - where(np.array(row), np.array(column))) / [width, height, 1.5 * width]
        return np.exp(-(offset**2).sum(axis=1))

    @cached_property
    def folded(self) -> Array:
        """(P, 3) millimeters of every skin texel, the right side laid onto the left."""
        places = self.canvas.places.copy()
        places[:, 0] = np.abs(places[:, 0])
        return places

    @cached_property
    def tree(self) -> Any:
        """Finds the skin texels near a place."""
        from scipy.spatial import cKDTree

        return cKDTree(self.canvas.places)

    @cached_property
    def cheeks(self) -> Array:
        """(P,) where cheeks flush."""
        return self.near(36.0, 14.0, 19.0, 16.0)

    @cached_property
    def forehead(self) -> Array:
        """(P,) where foreheads flush."""
        return self.near(9.0, 0.0, 34.0, 22.0)

    @cached_property
    def lips(self) -> Array:
        """(P,) 1 on the red of the lips."""
        row, away = self.canvas.row, self.canvas.away
        half = 5.0 * (1 - np.clip(away / 12.2, 0, 1) ** 5) ** 0.7
        return _step((half - np.abs(row - 55.0)) / 0.7 + 0.5) * (away < 12.2)

    @cached_property
    def around_eyes(self) -> Array:
        """(P,) the thin skin about the eyes."""
        return self.near(25.5, 12.0, 17.0, 10.0)


class Skin:
    """The paint of one person at rest, laid on in order.

    Args:
        painter: What all people share.
        who: Whose skin.
    """

    def __init__(self, painter: Painter, who: Complexion) -> None:
        self.painter, self.who, self.canvas = painter, who, painter.canvas
        rng = np.random.default_rng([who.seed, 1])
        #: (P, 3) L*, a*, b* of every skin texel.
        self.lab = np.tile(np.array(who.skin), (len(self.canvas.row), 1))
        #: (P,) dimples of a raised chin.
        self.chin = np.clip(self._noise(rng, 1.0), -1.5, 2.5) * painter.near(68.5, 0.0, 15.0, 9.0)
        self._tone()
        self._mottle(rng)
        self._spots(rng)
        self._mouth(rng)
        self._beard(rng)
        self._eyes()
        self._brows(rng)
        #: (R * R, 3) sRGB with eyes, teeth and linings; skin is filled in by whoever shows it.
        self.picture = self._parts(rng)

    def _noise(self, rng: Generator, step: float) -> Array:
        """(P,) smooth noise of unit deviation; its blobs measure about ``step`` rows of 2.6 mm."""
        from scipy.ndimage import map_coordinates

        field = rng.standard_normal((int(76 / step) + 4, int(57 / step) + 4))
        at = np.stack([self.canvas.row, self.canvas.column + 28]) / step + 1
        values = map_coordinates(field, at, order=3 if step > 0.5 else 1, mode="reflect")
        return values / max(float(values.std()), 1e-9)

    def _tone(self) -> None:
        """Regional color: red cheeks and nose, yellow forehead, shade about the eyes and in the grooves."""
        who, near, lab = self.who, self.painter.near, self.lab
        ruddy = self.painter.cheeks + 0.9 * near(38, 0, 11, 8) + 0.5 * near(69, 0, 12, 8)
        lab[:, 1] += who.ruddy * ruddy
        lab[:, 0] -= 0.55 * who.ruddy * ruddy
        lab[:, 2] += 1.6 * self.painter.forehead - 0.8 * ruddy
        lab[:, 0] += 1.2 * self.painter.forehead
        thin = 0.55 * self.painter.around_eyes + 0.7 * near(29.0, 10.0, 11.0, 4.5)
        lab += (who.shade * thin)[:, None] * [-1.0, 0.25, -0.45]
        lab[:, 0] -= 9.0 * near(42.6, 2.6, 3.0, 2.2) + 3.0 * near(40.0, 5.6, 2.2, 5.0)  # nostrils, wings
        lab[:, 0] -= 1.5 * near(47.0, 0.0, 2.4, 5.0)  # philtrum
        lab[:, 0] -= 2.5 * (_step((self.canvas.away - 22.0) / 7.0) + _step((self.canvas.row - 70.0) / 6.0))

    def _mottle(self, rng: Generator) -> None:
        """Uneven pigment, from blotches to pores."""
        for step, light, red in ((7.0, 0.7, 0.6), (2.5, 0.6, 0.5), (0.8, 0.5, 0.3), (0.3, 0.7, 0.2)):
            strength = 1.0 + 0.8 * self.who.old
            self.lab[:, 0] += light * strength * self._noise(rng, step)
            self.lab[:, 1] += red * strength * self._noise(rng, step)

    def _spots(self, rng: Generator) -> None:
        """Freckles across nose and cheeks, moles anywhere, age spots on old skin."""
        who = self.who
        count = int(260 * who.freckles)
        places = rng.standard_normal((count, 2)) * [6.0, 11.0] + [33.0, 0.0]
        self._dots(places, rng.uniform(0.5, 1.1, count), rng.uniform(0.25, 0.8, count), [-11.0, 4.0, 7.5])
        places = rng.uniform([3.0, -25.0], [72.0, 25.0], (who.moles, 2))
        self._dots(
            places, rng.uniform(0.7, 1.6, who.moles), np.ones(who.moles), [-18 - 16 * who.light, 4.0, 3.0]
        )
        count = int(rng.poisson(9 * who.old**2))
        places = rng.uniform([2.0, -26.0], [40.0, 26.0], (count, 2))
        self._dots(places, rng.uniform(1.5, 3.5, count), rng.uniform(0.3, 0.8, count), [-7.0, 2.5, 4.0])

    def _dots(self, places: NDArray, radius: NDArray, strength: NDArray, color: list[float]) -> None:
        """Round spots at (n, 2) rows and columns, radii in millimeters; none on lips and lids."""
        clear = (np.abs(places[:, 0] - 55) > 7) | (np.abs(places[:, 1]) > 14)
        clear &= (np.abs(places[:, 0] - 24) > 4) | (np.abs(np.abs(places[:, 1]) - 12) > 8)
        centers = where(places[:, 0], places[:, 1])
        for number in np.flatnonzero(clear):
            near = self.painter.tree.query_ball_point(centers[number], 2.2 * radius[number])
            distance = np.linalg.norm(self.canvas.places[near] - centers[number], axis=1) / radius[number]
            self.lab[near] += (strength[number] * np.exp(-(distance**4)))[:, None] * color

    def _mouth(self, rng: Generator) -> None:
        """Red of the lips with their fine upright lines, the line between them, the rim above."""
        row, column, lips = self.canvas.row, self.canvas.column, self.painter.lips
        stripes = np.interp(column * 3.0 + 0.4 * np.sin(row), np.arange(-40, 40), rng.standard_normal(80))
        color = np.array(self.who.lips)
        self.lab += lips[:, None] * color
        self.lab[:, 0] += lips * (1.1 * stripes + 1.5 * np.exp(-(((row - 58.0) / 1.6) ** 2)))
        self.lab[:, 0] -= (
            12.0 * np.exp(-(((row - 55.0) / 0.55) ** 2)) * _step((12.8 - self.canvas.away) / 1.5)
        )
        self.lab[:, 0] -= 4.0 * self.painter.near(55.0, 12.3, 2.6, 2.2)
        self.lab[:, 0] += 1.6 * np.exp(-(((row - 48.9) / 0.7) ** 2)) * (self.canvas.away < 8)

    def _beard(self, rng: Generator) -> None:
        """The shadow of a shaved beard: blue-gray, with stubble."""
        if self.who.beard <= 0:
            return
        row, away = self.canvas.row, self.canvas.away
        jaw = _step((row - 51.0 - 0.2 * np.maximum(away - 12, 0)) / 8.0)
        jaw += _step((away - 20.0) / 5.0) * _step((row - 24.0) / 24.0)
        upper = _step((row - 45.0) / 2.0) * (row < 52) * _step((13.5 - away) / 4.0)
        where_grown = np.clip(np.maximum(jaw, upper), 0, 1) * (1 - self.painter.lips)
        where_grown *= 1 - 0.6 * self.painter.near(63.0, 7.0, 7.0, 3.0)
        stubble = np.clip(1.0 + 0.45 * self._noise(rng, 0.25) + 0.15 * self._noise(rng, 2.5), 0, 2)
        depth = self.who.beard * (0.5 + 0.5 * self.who.light) * where_grown * stubble
        self.lab += depth[:, None] * [-9.0, -1.8, -4.5]

    def _eyes(self) -> None:
        """Lashes along the lid margins, the crease above, the pink of the inner corner."""
        row, away = self.canvas.row, self.canvas.away
        along = _step((away - 6.3) / 1.2) * _step((18.9 - away) / 1.0)
        outward = np.clip((away - 6.0) / 12.0, 0, 1)
        upper = np.exp(-(((row - 23.8) / 0.75) ** 2)) * (row <= 24) * (0.7 + 0.5 * outward)
        lower = np.exp(-(((row - 24.1) / 0.5) ** 2)) * (row > 24) * (0.2 + 0.35 * outward)
        makeup = 1.25 if self.who.sex == "female" else 0.85
        lashes = np.clip(makeup * (upper + lower) * along, 0, 0.92)[:, None]
        self.lab = (1 - lashes) * self.lab + lashes * np.array([13.0, 2.0, 2.0])
        crease = np.exp(-(((row - 20.2) / 0.6) ** 2)) * _step((away - 7.0) / 2.0) * _step((18.0 - away) / 2.0)
        self.lab += (crease * (0.6 + 0.4 * self.who.light))[:, None] * [-7.0, 2.0, 0.5]
        self.lab += self.painter.near(24.0, 6.2, 1.6, 1.4)[:, None] * [-2.0, 8.0, 2.0]

    def _brows(self, rng: Generator) -> None:
        """Hairs along an arched band, thick by the nose and thin at the temple."""
        who, places = self.who, self.canvas.places
        lift, arch, thick, length, density = who.brow
        points = np.array(BROW)
        x, y = np.abs(places[:, 0]), places[:, 1]
        share = np.clip((x - points[0, 0]) / (length * (points[-1, 0] - points[0, 0])), -0.3, 1.3)
        middle = (
            np.interp(x, points[:, 0], points[:, 1])
            + lift
            + arch * np.sin(np.pi * np.clip(share, 0, 1) ** 1.4)
        )
        half = thick * np.interp(share, [0.0, 0.15, 0.55, 1.0], [0.85, 1.2, 1.0, 0.4])
        band = np.exp(-(np.abs((y - middle) / half) ** 2.6))
        band *= _step((share + 0.03) / 0.08) * _step((1.02 - share) / 0.10) * (places[:, 2] > -40)
        band *= np.abs(self.canvas.row - 15.0) < 8
        # Hairs: noise drawn out along their direction, upright by the nose and lying down further out.
        tilt = np.interp(share, [0, 0.25, 1], [1.3, 0.55, -0.1])
        across = (y - middle) - tilt * (x - 8.0)
        hairs = _value_noise(rng, across / 0.5, (x + tilt * y) / 5.0, np.sign(places[:, 0]))
        cover = np.clip(band * density * (0.82 + 0.28 * hairs), 0, 0.94)[:, None]
        self.lab = (1 - cover) * self.lab + cover * (0.85 * np.array(who.hair) + 0.15 * self.lab)

    def _parts(self, rng: Generator) -> NDArray[np.float32]:
        """Eyeballs, teeth and linings."""
        canvas, who = self.canvas, self.who
        lab = np.tile(np.array(who.skin), (canvas.resolution**2, 1))
        for name, color in (("lids", np.array(who.skin) + LINING), ("mouth", MOUTH)):
            if name in canvas.linings:
                lab[canvas.linings[name]] = color
        gap = np.exp(-((((canvas.tooth * 16.0 + 0.5) % 1.0 - 0.5) / 0.07) ** 2))
        lab[canvas.teeth] = TOOTH + [-5.0 * who.old, 0.0, 5.0 * who.old] - gap[:, None] * [16.0, -2.0, -3.0]
        for disc, polar in zip(canvas.balls, canvas.polar, strict=True):
            radius, angle = polar.T
            color = SCLERA + (0.25 + 0.6 * _step((radius - 0.62) / 0.3))[:, None] * VESSELS
            fibers = np.interp(angle % (2 * np.pi) * 10, np.arange(64), rng.standard_normal(64))
            iris = np.array(who.iris) + (1.5 * fibers + 9.0 * (0.36 - radius))[:, None] * [2.2, 0.2, 1.0]
            iris += np.exp(-(((radius - 0.545) / 0.06) ** 2))[:, None] * [-14.0, 0.0, 0.0]  # limbus
            color = np.where(radius[:, None] < 0.56, iris, color)
            lab[disc] = np.where(radius[:, None] < 0.2, [4.0, 0.0, 0.0], color)
        return srgb_of_lab(lab)


def _value_noise(rng: Generator, x: NDArray, y: NDArray, side: NDArray) -> Array:
    """(P,) noise of unit deviation at coordinates; each side of the face has its own."""
    from scipy.ndimage import map_coordinates

    field = rng.standard_normal((2, 256, 32))
    at = np.stack([(side > 0).astype(float), np.mod(x, 255), np.mod(y, 31)])
    return map_coordinates(field, at, order=1, mode="nearest") / 0.7


def _step(x: NDArray) -> Array:
    """0 below 0, 1 above 1, an S between."""
    t = np.clip(x, 0.0, 1.0)
    return t * t * (3 - 2 * t)
