"""How a person performs an expression: style, take, and what a scanner adds.

A release of blendshapes is additive: identity plus expression. People are not. The same label is performed
with a subject's own strength, side bias and habits (:class:`Style`), which may follow in part from the face
(:mod:`mien.data.manner`), with an own variant of every shape (:mod:`mien.data.personal_shapes`), differently
at every take (:func:`take_activations`), over time with its own timing (:mod:`mien.data.clip_performance`);
and a scan of it carries registration drift and a rigid residual (:func:`capture_noise`). Nothing here knows a
mesh or a data source: activations are floats over named shapes. The deviations are calibrated in
``docs/data/ict.md`` to what is published for real scans.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from mien.data.manner import Manner, traits
from mien.errors import BadSetting

CONTACTS = ("eyeBlink_L", "eyeBlink_R")
"""Shapes that end where surfaces meet: lids close fully and no further."""

_WITHOUT_HABIT = (*CONTACTS, "mouthClose", "jawOpen", "tongueOut")


@dataclass(frozen=True)
class Variation:
    """Spreads of performance and capture; all zeros but ``activation`` gives the textbook expression.

    Args:
        activation: Mean activation of a shape whose recipe says one.
        subject: Log-normal deviation of a subject's amplitude per shape, shared by both sides.
        take: The same for one take.
        asymmetry: Log-normal deviation of the left-right balance per pair of shapes, of subject and of take.
        habit_share: Share of the other shapes that fire along with an expression, by a subject's habit.
        habit: Mean activation of those.
        slack: Mean opening of the relaxed jaw behind closed lips.
        drift: Registration drift, millimeters per axis.
        wavelength: Wavelength of the drift, millimeters.
        rotation: Rigid residual, degrees per axis.
        translation: Rigid residual, millimeters per axis.
        manner: The dial of :mod:`mien.data.manner`, 0 to 1: how much of a style follows from the face.
        personal_gain: Log-normal deviation over the face of how far a subject's variant of a shape goes.
        personal_turn: Deviation of the angle by which it goes another way, degrees per axis.
        pace: Share of the variance of a clip's moments that is the subject's own pace.
        course: How far the shapes of one expression come and go in an order of their own over a clip.
        micro: Deviation of the activations of involuntary movements in a clip.
    """

    activation: float = 0.8
    subject: float = 0.3
    take: float = 0.15
    asymmetry: float = 0.1
    habit_share: float = 0.25
    habit: float = 0.12
    slack: float = 0.02
    drift: float = 0.35
    wavelength: float = 40.0
    rotation: float = 0.45
    translation: float = 0.3
    manner: float = 0.0
    personal_gain: float = 0.3
    personal_turn: float = 10.0
    pace: float = 0.5
    course: float = 0.2
    micro: float = 0.015

    def __post_init__(self) -> None:
        if not 0 <= self.manner <= 1:  # nan, too
            raise BadSetting(
                "manner is the share of a style that follows from the face, 0 to 1", received=self.manner
            )


FORMER = Variation(
    subject=0.28, take=0.28, drift=0.45, personal_gain=0.0, personal_turn=0.0, pace=0.0, course=0.0, micro=0.0
)
"""The spreads of data sets that were built until November 2026, before manner and personal shapes."""


def shape_pairs(shapes: Sequence[str]) -> NDArray[np.int64]:
    """Which shapes a performer moves together: (A,) int, a number that both sides (``_L``, ``_R``) share."""
    number = {stem: index for index, stem in enumerate(shape_stems(shapes))}
    return np.array([number[_stem(shape)] for shape in shapes], np.int64)


def shape_sides(shapes: Sequence[str]) -> NDArray[np.float64]:
    """(A,) float: +1 for left shapes, -1 for right ones, 0 for the middle."""
    return np.array([1.0 if s.endswith("_L") else -1.0 if s.endswith("_R") else 0.0 for s in shapes])


def shape_stems(shapes: Sequence[str]) -> list[str]:
    """The names that :func:`shape_pairs` numbers: both sides of a pair share one."""
    return list(dict.fromkeys(_stem(shape) for shape in shapes))


def _stem(shape: str) -> str:
    return shape[:-2] if shape.endswith(("_L", "_R")) else shape


def _amplitudes(
    rng: Generator, shapes: Sequence[str], spread: float, asymmetry: float, manner: Manner | None = None
) -> NDArray[np.float64]:
    """(A,) log-normal factors of mean one: one draw a pair, plus a left-right balance."""
    pair = shape_pairs(shapes)
    shared, balance = rng.standard_normal((2, len(pair)))
    if manner is not None:
        stems = shape_stems(shapes)
        shared = manner.mixed([f"amplitude/{stem}" for stem in stems], shared[: len(stems)])
        balance = manner.mixed([f"balance/{stem}" for stem in stems], balance[: len(stems)])
    bias = spread**2 / 2 + asymmetry**2 / 2 * np.abs(shape_sides(shapes))
    return np.exp(spread * shared[pair] + asymmetry * balance[pair] * shape_sides(shapes) - bias)


@dataclass(frozen=True, eq=False)
class Style:
    """How one subject moves.

    Args:
        shapes: The A shape names.
        amplitude: (A,) float. Factor on each shape, mean one over subjects.
        seed: Seeds the habits: which other shapes fire along with an expression.
        variation: The deviations this style was drawn with.
        manner: How much of it the face foretells, and what.
    """

    shapes: tuple[str, ...]
    amplitude: NDArray[np.float64]
    seed: int
    variation: Variation
    manner: Manner = Manner()

    @staticmethod
    def draw(
        rng: Generator,
        shapes: Sequence[str],
        variation: Variation | None = None,
        identity: NDArray | None = None,
    ) -> Style:
        """Draws a subject's style over named shapes.

        Args:
            rng: Randomness of this subject.
            shapes: Names of the A shapes.
            variation: Spreads; the calibrated ones by default.
            identity: (K,) float. Standardized identity coefficients of the face, without unit, from which
                the style follows as far as the variation's ``manner`` says; None: it follows from nothing.
        """
        variation = variation or Variation()
        manner = Manner()
        if identity is not None and variation.manner:
            manner = Manner(variation.manner, traits(identity))
        amplitude = _amplitudes(rng, shapes, variation.subject, variation.asymmetry, manner)
        return Style(tuple(shapes), amplitude, int(rng.integers(2**63)), variation, manner)

    def field(self, stems: Sequence[str], count: int) -> NDArray[np.float64]:
        """(n, count) standard normal numbers of this subject for each of n shapes, always the same."""
        drawn = np.random.default_rng([self.seed, zlib.crc32(b"field")]).standard_normal((len(stems), count))
        names = [f"field/{stem}/{number}" for stem in stems for number in range(count)]
        return self.manner.mixed(names, drawn.ravel()).reshape(drawn.shape)

    def pace(self, moments: Sequence[str]) -> NDArray[np.float64]:
        """(n,) standard normal numbers: how early or late this subject is at each of n moments of a clip."""
        drawn = np.random.default_rng([self.seed, zlib.crc32(b"pace")]).standard_normal(len(moments))
        return self.manner.mixed([f"pace/{moment}" for moment in moments], drawn)

    def habits(self, expression: str) -> NDArray[np.float64]:
        """(A,) activations that this subject always adds to a full performance of an expression."""
        rng = np.random.default_rng([self.seed, zlib.crc32(expression.encode())])
        names = [f"{expression}/{shape}" for shape in self.shapes]
        chance = np.maximum(rng.random(len(self.shapes)), 1e-16)  # a draw of zero has no normal number
        fires = ndtr(self.manner.mixed([f"fires/{name}" for name in names], ndtri(chance)))
        fires = fires < self.variation.habit_share
        drawn = rng.standard_normal(len(self.shapes))
        drawn = self.manner.mixed([f"strength/{name}" for name in names], drawn)
        strength = self.variation.habit * np.exp(0.3 * drawn - 0.045)
        without = np.array([shape in _WITHOUT_HABIT for shape in self.shapes])
        return np.where(fires & ~without, strength, 0.0)


def take_activations(
    rng: Generator, style: Style, recipes: Mapping[str, Mapping[str, float]], weights: Mapping[str, float]
) -> NDArray[np.float64]:
    """What the muscles do in one take of the named weights.

    Args:
        rng: Randomness of this take.
        style: Who performs.
        recipes: Expression -> shape -> activation.
        weights: Expression -> weight; empty for the neutral.

    Returns:
        (A,) float activations in [0, 1.4], one a shape of the style; contacts end at 1.
    """
    variation, column = style.variation, {shape: index for index, shape in enumerate(style.shapes)}
    asked, habits = np.zeros((2, len(column)))
    for expression, weight in weights.items():
        for shape, activation in recipes[expression].items():
            if shape in column:
                asked[column[shape]] += weight * activation
        habits += weight * style.habits(expression)
    factor = style.amplitude * _amplitudes(rng, style.shapes, variation.take, variation.asymmetry)
    contact = np.array([shape in CONTACTS for shape in style.shapes])
    # Lids are closed or not: a contact reaches its end in nearly every performance.
    factor = np.where(contact, factor**0.1 / max(variation.activation, 1e-6) * 1.1, factor)
    activations = variation.activation * factor * asked + habits
    if {"mouthClose", "jawOpen"} <= set(column) and asked[column["jawOpen"]]:
        # Lips that close over a dropped jaw follow the jaw, however far this person drops it.
        closed = min(asked[column["mouthClose"]] / asked[column["jawOpen"]] * 1.03, 1.0)
        activations[column["mouthClose"]] = closed * activations[column["jawOpen"]]
    return settle(style.shapes, activations + _slack(rng, style))


def _slack(rng: Generator, style: Style) -> NDArray[np.float64]:
    """(A,) the jaw hangs a little behind closed lips, more or less at every take."""
    opening = style.variation.slack * rng.exponential()
    closes = "mouthClose" in style.shapes
    return np.array(
        [opening if s == "mouthClose" or (closes and s == "jawOpen") else 0.0 for s in style.shapes]
    )


def settle(shapes: Sequence[str], activations: NDArray) -> NDArray[np.float64]:
    """Holds activations to what a face can do.

    Above one, shapes saturate towards 1.4; contacts end at one; lips close no further than the jaw opened.

    Args:
        shapes: Names of the A shapes.
        activations: (..., A) float.

    Returns:
        (..., A) float64.
    """
    result = np.maximum(activations, 0.0)
    excess = np.maximum(result - 1.0, 0.0)
    contact = np.array([shape in CONTACTS for shape in shapes])
    result = np.minimum(result, 1.0) + np.where(contact, 0.0, 0.4 * (1 - np.exp(-excess / 0.4)))
    if "mouthClose" in shapes and "jawOpen" in shapes:
        close, jaw = list(shapes).index("mouthClose"), list(shapes).index("jawOpen")
        result[..., close] = np.minimum(result[..., close], result[..., jaw])
    return result


def capture_noise(
    rng: Generator, vertices: NDArray, variation: Variation | None = None, *, waves: int = 16
) -> NDArray[np.float32]:
    """What scanning and registration add: a smooth drift of the surface and a small rigid residual.

    Args:
        rng: Randomness of this scan or recording.
        vertices: (V, 3) or (T, V, 3) float, millimeters. Frames of a clip share one slow drift.
        variation: Sizes of the noise.
        waves: Random waves in the drift of each axis.

    Returns:
        (V, 3) or (T, V, 3) float32, millimeters: the noisy vertices.
    """
    variation = variation or Variation()
    clip = np.asarray(vertices if vertices.ndim == 3 else vertices[None], np.float32)
    place = clip[0] - clip[0].mean(axis=0)
    direction = rng.standard_normal((3, waves, 3))
    direction /= np.linalg.norm(direction, axis=2, keepdims=True)
    length = variation.wavelength * np.exp(0.25 * rng.standard_normal((3, waves, 1)))
    phase = np.einsum("vc,akc->avk", place, (2 * np.pi * direction / length).astype(np.float32))
    start, speed = rng.uniform(0, 2 * np.pi, (3, waves)), rng.normal(0, 0.02, (3, waves))
    angles = variation.rotation * rng.standard_normal(3)
    shift = (variation.translation * rng.standard_normal(3)).astype(np.float32)
    turn = rotation_matrix(np.deg2rad(angles)).astype(np.float32)
    result = np.empty_like(clip)
    for frame, face in enumerate(clip):
        drift = np.cos(phase + (start + frame * speed)[:, None].astype(np.float32)).sum(axis=2).T
        moved = face + np.float32(variation.drift * np.sqrt(2 / waves)) * drift
        center = moved.mean(axis=0)
        result[frame] = (moved - center) @ turn.T + center + shift
    return result.reshape(vertices.shape)


def rotation_matrix(vector: NDArray) -> NDArray[np.float64]:
    """(3, 3) float64 rotation by a rotation vector (3,) float in radians (Rodrigues)."""
    x, y, z = vector
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.linalg.norm(vector)
    first = np.sinc(angle / np.pi)
    second = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    return np.eye(3) + first * cross + second * cross @ cross
