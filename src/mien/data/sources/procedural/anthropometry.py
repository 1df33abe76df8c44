"""Facial measurements of adults, how people differ in them, and a face that measures what was drawn.

Sources, cited per measurement:
    F94  L. G. Farkas (ed.), Anthropometry of the Head and Face, 2nd ed., Raven Press, 1994: norms of North
         American White adults of 19 to 25 years (linear measurements, angles and inclinations).
    ZB05 Z. Zhuang and B. Bradtmiller, Head-and-face anthropometric survey of U.S. respirator users, J. of
         Occupational and Environmental Hygiene 2 (2005) 567-576: 2,543 men and 1,454 women.
    LB80 H. L. Legan and C. J. Burstone, Soft tissue cephalometric analysis for orthognathic surgery,
         Journal of Oral Surgery 38 (1980) 744-751.
Values are rounded as they are commonly quoted. Where a source gives one value for both sexes, both have it.
ZB05 describes a general working population, F94 one ancestry: the drawn people are no census.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Points = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Norm:
    """One measurement and its published distribution.

    Args:
        name: What is measured.
        kind: ``distance`` (mm), ``angle`` of the profile at the middle point,
            measured before the face or ``angle behind`` it (degrees), ``tilt`` of the line through two
            points (degrees) or ``lead`` of the first point before the line through the others (mm).
        points: Landmark names; those that end in ``*`` exist on both sides.
        men: Mean and standard deviation.
        women: Mean and standard deviation.
        source: Key of the citation in this module's docstring.
        factor: What it varies with besides overall size: ``height``, ``breadth``, ``eye``, ``nose``
            or nothing.
    """

    name: str
    kind: str
    points: tuple[str, ...]
    men: tuple[float, float]
    women: tuple[float, float]
    source: str
    factor: str = ""


def _distance(name: str, points: str, men: tuple, women: tuple, source: str, factor: str = "") -> Norm:
    return Norm(name, "distance", tuple(points.split()), men, women, source, factor)


NORMS: tuple[Norm, ...] = (
    _distance("forehead_height", "tr n", (67.1, 7.5), (63.0, 6.0), "F94"),
    _distance("face_height", "n gn", (124.7, 5.7), (111.4, 4.8), "F94", "height"),
    _distance("glabella_to_subnasale", "g sn", (67.2, 4.4), (63.1, 3.6), "F94", "nose"),
    _distance("nose_height", "n sn", (54.8, 3.3), (50.6, 3.1), "F94", "nose"),
    _distance("nasal_bridge_length", "n prn", (50.0, 3.6), (44.7, 3.4), "F94", "nose"),
    _distance("nose_protrusion", "sn prn", (19.5, 1.9), (19.7, 1.6), "F94"),
    _distance("nose_breadth", "al_L al_R", (34.9, 2.1), (31.4, 2.0), "F94", "breadth"),
    _distance("nasal_root_breadth", "mf_L mf_R", (16.6, 2.3), (16.3, 2.0), "ZB05", "breadth"),
    _distance("philtrum_length", "sn ls", (15.9, 2.2), (13.8, 1.9), "F94", "height"),
    _distance("philtrum_breadth", "cph_L cph_R", (11.2, 1.6), (9.9, 1.4), "F94"),
    _distance("upper_vermilion_height", "ls sto", (8.0, 1.4), (8.7, 1.3), "F94"),
    _distance("lower_vermilion_height", "sto li", (9.3, 1.6), (9.4, 1.5), "F94"),
    _distance("lower_lip_height", "sto sl", (19.7, 2.0), (17.8, 1.7), "F94", "height"),
    _distance("mouth_breadth", "ch_L ch_R", (54.5, 3.0), (50.2, 3.5), "F94", "breadth"),
    _distance("intercanthal_breadth", "en_L en_R", (33.3, 2.7), (31.8, 2.3), "F94", "eye"),
    _distance("biocular_breadth", "ex_L ex_R", (91.2, 3.0), (87.8, 3.2), "F94", "eye"),
    _distance("interpupillary_breadth", "p_L p_R", (64.5, 3.6), (61.9, 3.5), "ZB05", "eye"),
    _distance("eye_fissure_length", "en* ex*", (31.3, 1.2), (30.7, 1.2), "F94"),
    _distance("eye_fissure_height", "ps* pi*", (10.8, 1.2), (10.9, 1.2), "F94"),
    Norm("eye_fissure_inclination", "tilt", ("en*", "ex*"), (2.1, 1.9), (4.1, 2.1), "F94"),
    _distance("bizygomatic_breadth", "zy_L zy_R", (139.1, 5.3), (130.0, 4.6), "F94", "breadth"),
    _distance("bigonial_breadth", "go_L go_R", (105.6, 6.7), (94.5, 5.0), "F94", "breadth"),
    _distance("minimum_frontal_breadth", "ft_L ft_R", (105.5, 5.7), (102.9, 5.4), "ZB05", "breadth"),
    _distance("maximum_frontal_breadth", "fz_L fz_R", (112.3, 5.6), (108.6, 5.2), "ZB05", "breadth"),
    Norm("nasofrontal_angle", "angle", ("g", "n", "prn"), (130.3, 7.4), (134.3, 7.0), "F94"),
    Norm("nasolabial_angle", "angle", ("c", "sn", "ls"), (99.8, 11.8), (104.2, 9.8), "F94"),
    Norm("labiomental_angle", "angle", ("li", "sl", "pg"), (113.1, 20.7), (121.4, 14.4), "F94"),
    Norm("facial_convexity", "angle behind", ("g", "sn", "pg"), (168.0, 4.0), (168.0, 4.0), "LB80"),
    Norm("upper_lip_protrusion", "lead", ("ls", "sn", "pg"), (3.0, 1.0), (3.0, 1.0), "LB80"),
    Norm("lower_lip_protrusion", "lead", ("li", "sn", "pg"), (2.0, 1.0), (2.0, 1.0), "LB80"),
)  # fmt: skip
"""The measurements that shape a face."""

LARGEST_DEVIATION = (
    2.2  # in standard deviations; beyond it measurements drawn one by one contradict each other
)
LARGEST_ANGLE_DEVIATION = 1.4  # angles are measured on skin folds: mostly a deviation of measuring
CONTRADICTION = 0.03  # mm or degrees by which a measurement may miss, so that none can tear the face
_SIZE = 0.30  # share of the variance of every length that overall size explains
_FACTORS = {
    "height": 0.3,
    "breadth": 0.3,
    "eye": 0.6,
    "nose": 0.5,
}  # shares that the norms' own factors explain


EYE_TO_CORNER = 13.0  # mm from the middle of an eye out to its outer corner, at the least: eyeball and lid


def draw_measurements(rng: Generator) -> tuple[str, dict[str, float]]:
    """Draws a person: sex, and each measurement in millimeters or degrees.

    Sides are not drawn here; both have the same target. Lengths share a size factor, and heights, breadths,
    eye widths and nose lengths one factor each, so that measurements which overlap on the face agree.
    """
    sex = "female" if rng.random() < 0.5 else "male"
    factors = dict(zip(("size", *_FACTORS), rng.standard_normal(1 + len(_FACTORS)), strict=True))
    measurements = {}
    for norm, own in zip(NORMS, rng.standard_normal(len(NORMS)), strict=True):
        drawn = own  # in standard deviations
        if norm.kind == "distance":
            share = _FACTORS.get(norm.factor, 0.0)
            common = np.sqrt(_SIZE) * factors["size"] + np.sqrt(share) * factors.get(norm.factor, 0.0)
            drawn = common + np.sqrt(1 - _SIZE - share) * own
        mean, deviation = norm.women if sex == "female" else norm.men
        largest = LARGEST_ANGLE_DEVIATION if norm.kind.startswith("angle") else LARGEST_DEVIATION
        bounded = np.clip(drawn, -largest, largest)
        measurements[norm.name] = float(mean + deviation * bounded)
    _reconcile_eyes(measurements)
    return sex, measurements


def leading_coefficients(sex: str, measurements: Mapping[str, float]) -> NDArray[np.float64]:
    """How a person differs from the others of their sex, along the directions in which most do.

    Args:
        sex: ``female`` or ``male``: whose norms were drawn from.
        measurements: Of all norms, millimeters or degrees.

    Returns:
        (K,) float64 principal coefficients of the measurements, largest variance first, of variance one.
    """
    norms = [norm.women if sex == "female" else norm.men for norm in NORMS]
    drawn = np.array([(measurements[n.name] - mean) / spread for n, (mean, spread) in zip(NORMS, norms)])
    length = np.array([norm.kind == "distance" for norm in NORMS])
    share = np.array([_FACTORS.get(norm.factor, 0.0) for norm in NORMS])
    alike = np.array([[bool(a.factor) and a.factor == b.factor for a in NORMS] for b in NORMS])
    together = _SIZE * np.outer(length, length) + alike * np.sqrt(np.outer(share, share))
    np.fill_diagonal(together, 1.0)
    values, axes = np.linalg.eigh(together)
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(len(axes))])  # no solver's choice of sign
    return ((drawn @ axes) / np.sqrt(values))[::-1]


def _reconcile_eyes(measurements: dict[str, float]) -> None:
    """Four breadths describe two eyes: bounds the two that follow from the others within what eyes allow."""
    inner, outer = measurements["intercanthal_breadth"], measurements["biocular_breadth"]
    middle, half = (inner + outer) / 2, (outer - inner) / 2
    # Pupils sit a millimeter or so lateral of the middle; a fissure runs back by 16 to 31 degrees.
    pupils, length = measurements["interpupillary_breadth"], measurements["eye_fissure_length"]
    # No farther out than leaves the outer corner beside the eye, not on it.
    farthest = max(middle + 0.4, min(middle + 3.6, outer - 2 * EYE_TO_CORNER))
    measurements["interpupillary_breadth"] = float(np.clip(pupils, middle + 0.4, farthest))
    measurements["eye_fissure_length"] = float(np.clip(length, 1.04 * half, 1.17 * half))


def measured_landmarks(norm: Norm) -> list[tuple[str, ...]]:
    """The landmark tuples that a norm is measured on: one, or one a side."""
    if not any(point.endswith("*") for point in norm.points):
        return [norm.points]
    return [tuple(point.replace("*", f"_{side}") for point in norm.points) for side in "LR"]


def _measure(kind: str, points: NDArray) -> NDArray:
    """(..., K, 3) landmark positions -> (...) value."""
    if kind == "distance":
        return np.linalg.norm(points[..., 0, :] - points[..., 1, :], axis=-1)
    if kind == "tilt":
        span = points[..., 1, :] - points[..., 0, :]
        return np.degrees(np.arctan2(span[..., 1], np.abs(span[..., 0])))
    first, middle, last = points[..., 0, :], points[..., 1, :], points[..., 2, :]
    if kind.startswith("angle"):
        a, b = first - middle, last - middle
        turn = np.arctan2(b[..., 1], b[..., 2]) - np.arctan2(a[..., 1], a[..., 2])
        behind = np.degrees(turn) % 360.0
        return behind if kind == "angle behind" else 360.0 - behind
    line = last - middle
    lead = np.stack([-line[..., 1], line[..., 2]], -1) / np.linalg.norm(line[..., 1:], axis=-1, keepdims=True)
    offset = first - middle
    return lead[..., 0] * offset[..., 2] + lead[..., 1] * offset[..., 1]


class Gauge:
    """Measures faces by their landmarks, and moves landmarks until they measure what is wanted.

    Args:
        names: The L landmarks in the order of all arrays here.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.parts = [
            (norm, [names.index(point) for point in points])
            for norm in NORMS
            for points in measured_landmarks(norm)
        ]
        # A warp is measured thousands of times: all of a kind at once.
        self._kinds: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        for kind in dict.fromkeys(norm.kind for norm, _ in self.parts):
            places = [place for place, (norm, _) in enumerate(self.parts) if norm.kind == kind]
            self._kinds[kind] = np.array(places), np.array([self.parts[place][1] for place in places])

    def measure(self, landmarks: NDArray) -> NDArray[np.float64]:
        """(..., L, 3) -> (..., M) one value per norm and side."""
        values = np.empty((*landmarks.shape[:-2], len(self.parts)))
        for kind, (places, index) in self._kinds.items():
            values[..., places] = _measure(kind, landmarks[..., index, :])
        return values

    def linearized(
        self, landmarks: NDArray, width: float = 1e-4
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Measurements, and how they change with landmarks, by central differences.

        Args:
            landmarks: (B, L, 3) float, millimeters.
            width: Of the differences, millimeters.

        Returns:
            values: (B, M) float64, millimeters or degrees.
            slopes: (B, L, 3, M) float64, the same per millimeter; zero but for the two or three landmarks
                that a measurement is made of: only they are moved.
        """
        values = np.empty((len(landmarks), len(self.parts)))
        slopes = np.zeros((*landmarks.shape, len(self.parts)))
        for kind, (places, index) in self._kinds.items():
            moves = 3 * index.shape[1]
            nudge = width * np.eye(moves).reshape(moves, 1, -1, 3)
            nudges = np.concatenate([np.zeros_like(nudge[:1]), nudge, -nudge])
            found = _measure(kind, landmarks[:, None, index] + nudges)
            values[:, places] = found[:, 0]
            change = (found[:, 1 : moves + 1] - found[:, moves + 1 :]) / (2 * width)
            by_landmark = change.reshape(len(landmarks), -1, 3, len(places))
            slopes[:, index, :, places[:, None]] = by_landmark.transpose(3, 1, 0, 2)
        return values, slopes

    def _spread(self, slopes: NDArray, kernel: NDArray) -> NDArray[np.float64]:
        """The kernel (L, L) times slopes, both (B, L, 3, M): only what is not zero is multiplied."""
        found = np.zeros_like(slopes)
        for places, index in self._kinds.values():
            for column in np.sort(index, axis=1).T:
                change = slopes[:, column, :, places].transpose(1, 2, 0)
                found[..., places] += kernel[:, None, column] * change[:, None]
        return found

    def read(self, landmarks: NDArray) -> dict[str, float]:
        """Named measurements of (L, 3) landmarks; those with sides are the mean of both."""
        values: dict[str, list[float]] = {}
        for (norm, _), value in zip(self.parts, self.measure(landmarks), strict=True):
            values.setdefault(norm.name, []).append(float(value))
        return {name: float(np.mean(value)) for name, value in values.items()}

    def targets(self, measurements: dict[str, float]) -> NDArray[np.float64]:
        """(M,) wanted values, in the order of :meth:`measure`."""
        return np.array([measurements[norm.name] for norm, _ in self.parts])

    def solve(
        self, landmarks: NDArray, targets: NDArray, kernel: NDArray, *, steps: int = 8
    ) -> NDArray[np.float64]:
        """The smoothest warp whose landmarks measure the targets.

        Gauss-Newton in the space of the kernel: each step is the smallest warp that meets the linearized
        measurements, which may give way a little where they contradict each other.

        Args:
            landmarks: (B, L, 3) float, millimeters, before the warp; of B faces.
            targets: (B, M) float.
            kernel: (L, L) float. Covariance of the warp between landmarks.

        Returns:
            (B, L, 3) float: weights of the kernel; the warp at a point p is k(p, landmarks) @ weights.
        """
        weights, loose = np.zeros_like(landmarks), CONTRADICTION**2 * np.eye(len(self.parts))
        flat = len(landmarks), landmarks[0].size, -1
        for _ in range(steps):
            values, slopes = self.linearized(landmarks + kernel @ weights)
            spread = self._spread(slopes, kernel).reshape(flat)
            before = np.stack([one.T @ own.ravel() for one, own in zip(spread, weights, strict=True)])
            wanted = targets - values + before
            normal = slopes.reshape(flat).swapaxes(1, 2) @ spread + loose
            share = np.linalg.solve(normal, wanted[..., None])[..., 0]
            weights = np.stack([np.einsum("m,icm->ic", *pair) for pair in zip(share, slopes, strict=True)])
        return weights
