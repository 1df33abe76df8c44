"""What a procedural person's skin looks like: tone, age, brows, lips, freckles, moles, beard, eyes.

Skin is drawn by its individual typology angle (ITA), by which dermatology sorts skin from very light to dark
(Chardon et al., Int. J. Cosmetic Science 13, 1991; ranges after Del Bino and Bernerd, Brit. J. Dermatology
169, 2013). Redness and yellowness lie in the ranges of the spectrophotometer survey of Xiao et
al. (Skin Research and Technology 23, 2017). Colors are CIE L*a*b* under D65.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

#: ITA in degrees: above 55 very light, 41 light, 28 intermediate, 10 tan, -30 brown, below dark.
ITA_RANGE = (-48.0, 62.0)
YELLOWNESS, YELLOWNESS_SPREAD = 16.5, 1.4  # b*; both ends of the scale have about three less
REDNESS, REDNESS_SPREAD = 10.5, 1.3  # a*
AGES = (18.0, 78.0)

# Hair and iris as L*, a*, b*.
HAIR = {
    "black": (14.0, 1.5, 1.5), "dark brown": (21.0, 4.5, 6.0), "brown": (31.0, 7.0, 12.0),
    "red": (38.0, 15.0, 22.0), "blond": (50.0, 6.5, 20.0), "gray": (56.0, 0.5, 3.0),
}  # fmt: skip
IRIS = {
    "dark brown": (17.0, 8.0, 10.0), "brown": (29.0, 11.0, 18.0), "hazel": (40.0, 4.0, 21.0),
    "green": (46.0, -5.0, 13.0), "gray": (53.0, -2.0, -2.0), "blue": (50.0, -5.0, -14.0),
}  # fmt: skip
_LIGHT_HAIR = {"dark brown": 0.3, "brown": 0.35, "blond": 0.22, "red": 0.06, "black": 0.07}
_LIGHT_IRIS = {"brown": 0.2, "hazel": 0.2, "green": 0.15, "gray": 0.15, "blue": 0.3}


@dataclass(frozen=True)
class Complexion:
    """A person's coloring; a pure function of a random generator.

    Args:
        sex: ``female`` or ``male``.
        age: Years.
        ita: Individual typology angle, degrees.
        skin: L*, a*, b* of the cheek.
        hair: L*, a*, b* of the brows.
        iris: L*, a*, b*.
        lips: L*, a*, b* that lips differ from skin by.
        brow: Height above the usual place, arch, thickness (mm), length (share), density (0..1).
        freckles: 0 none to 1 many.
        moles: How many.
        beard: Shadow of a shaved beard, 0..1.
        ruddy: How much redder cheeks and nose are than the rest, a*.
        shade: How much darker the surroundings of the eyes are, L*.
        lines: How readily skin folds, 0.3 young to 1.3 old.
        seed: Draws all that is scattered: pores, freckles, hairs.
    """

    sex: str
    age: float
    ita: float
    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    iris: tuple[float, float, float]
    lips: tuple[float, float, float]
    brow: tuple[float, float, float, float, float]
    freckles: float
    moles: int
    beard: float
    ruddy: float
    shade: float
    lines: float
    seed: int

    @property
    def light(self) -> float:
        """0 dark skin to 1 very light skin."""
        return float(np.clip((self.ita - ITA_RANGE[0]) / (ITA_RANGE[1] - ITA_RANGE[0]), 0, 1))

    @property
    def old(self) -> float:
        """0 at 25 years to 1 at 75."""
        return float(np.clip((self.age - 25.0) / 50.0, 0, 1))

    @staticmethod
    def draw(rng: Generator, sex: str) -> Complexion:
        """Draws a person's coloring."""
        ita, age = rng.uniform(*ITA_RANGE), rng.uniform(*AGES)
        light = (ita - ITA_RANGE[0]) / (ITA_RANGE[1] - ITA_RANGE[0])
        old = np.clip((age - 25.0) / 50.0, 0, 1)
        skin = _skin(rng, ita)
        hair, iris = _hair_and_iris(rng, light, age)
        female = sex == "female"
        dark_lips = 1 - light
        lips = (
            -9.0 + 3.0 * dark_lips + rng.normal(0, 2.0) - 1.5 * female,
            10.0 - 3.5 * dark_lips + rng.normal(0, 2.0) + 3.0 * female - 3.0 * old,
            -3.0 + rng.normal(0, 1.5),
        )
        brow = (
            rng.normal(0.5 if female else -0.4, 0.9), rng.normal(1.2 if female else 0.4, 0.9),
            max(2.0, rng.normal(2.7 if female else 3.7, 0.5)), rng.uniform(0.88, 1.08),
            float(np.clip(rng.normal(0.85 if female else 0.95, 0.15) - 0.2 * old, 0.4, 1.15)),
        )  # fmt: skip
        freckled = light > 0.55 and rng.random() < 0.35
        return Complexion(
            sex, float(age), float(ita), skin, hair, iris, lips, brow,
            float(freckled * rng.uniform(0.3, 1.0)), int(rng.poisson(2.2)),
            0.0 if female else float(np.clip(rng.normal(0.5, 0.35), 0, 1)),
            float(rng.uniform(1.0, 5.0) * (0.5 + 0.5 * light)), float(rng.uniform(1.5, 5.0) + 2.0 * old),
            float(0.35 + 0.85 * old + rng.normal(0, 0.1)), int(rng.integers(2**31)),
        )  # fmt: skip


def _skin(rng: Generator, ita: float) -> tuple[float, float, float]:
    """L*, a*, b*: ITA = arctan((L* - 50) / b*)."""
    middle = (ITA_RANGE[0] + ITA_RANGE[1]) / 2
    extreme = abs(ita - middle) / (ITA_RANGE[1] - middle)
    yellow = YELLOWNESS - 3.0 * extreme**2 + YELLOWNESS_SPREAD * rng.standard_normal()
    red = REDNESS - 1.5 * extreme**2 + REDNESS_SPREAD * rng.standard_normal()
    return float(50.0 + yellow * np.tan(np.radians(ita))), float(red), float(yellow)


def _hair_and_iris(rng: Generator, light: float, age: float) -> tuple[tuple, tuple]:
    """Hair and iris follow skin, as pigment does; hair turns gray between 40 and 70."""
    pale = rng.random() < np.clip(1.9 * light - 0.9, 0, 1)
    hairs, irises = (
        (_LIGHT_HAIR, _LIGHT_IRIS) if pale else ({"black": 0.8, "dark brown": 0.2}, {"dark brown": 1.0})
    )
    if not pale and light > 0.45:
        irises = {"dark brown": 0.6, "brown": 0.4}
    hair = np.array(HAIR[str(rng.choice(list(hairs), p=list(hairs.values())))])
    gray = np.clip((age - 40.0) / 45.0 + rng.normal(0, 0.15), 0, 0.85)
    hair = (1 - gray) * hair + gray * np.array(HAIR["gray"])
    iris = np.array(IRIS[str(rng.choice(list(irises), p=list(irises.values())))]) + rng.normal(0, 1.5, 3)
    return tuple(hair.tolist()), tuple(iris.tolist())


_WHITE = np.array([0.95047, 1.0, 1.08883])
_TO_RGB = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)


def srgb_of_lab(lab: NDArray) -> NDArray[np.float32]:
    """sRGB of CIE L*a*b* under D65 (IEC 61966-2-1).

    Args:
        lab: (..., 3) float.

    Returns:
        (..., 3) float32 0..255, clipped.
    """
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * _WHITE
    linear = np.clip(xyz @ _TO_RGB.T, 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (255 * curved).astype(np.float32)
