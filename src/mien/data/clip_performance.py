"""How a person performs an expression over time: own moments, own pace of every shape, blinks.

A clip is never a fade between two poses. Its four moments are individual (:class:`Timing`), the rise is
smooth and passes its goal a little, the held apex sinks, the release is slower (:func:`motion_curve`). People
have a pace of their own, which may follow from the face as their style does. Shapes do not move in step: the
jaw leads, others trail by their own delays, each has its own course through an expression, the balance of the
sides drifts, small movements are never asked for, the eyes blink (:func:`clip_activations`). None of that is
labeled, as in recordings: the label is the one that annotators give, straight lines between the four moments
(:func:`motion_label`).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from mien.data.performance import (
    CONTACTS,
    Style,
    settle,
    shape_pairs,
    shape_sides,
    shape_stems,
    take_activations,
)

FRAMES_PER_SECOND = 30.0
SECONDS = (1.4, 2.4)
"""Clips last between these."""

EXTREMENESS = (0.6, 1.0)
"""How strongly a clip is meant, 1 being a full performance."""

MOMENTS = ("onset", "apex", "offset", "release")
"""In the order in which they are drawn."""

JAW_LEAD = 0.06
"""Seconds by which the jaw is ahead of the annotated moments."""


@dataclass(frozen=True)
class Timing:
    """The moments of a performance, in seconds: neutral left, peak reached, peak left, neutral again."""

    onset: float
    apex: float
    release: float
    offset: float

    @staticmethod
    def draw(rng: Generator, duration: float, style: Style | None = None) -> Timing:
        """Individual timing that fits into a clip; offsets are slower than onsets, as in real faces.

        Args:
            rng: Randomness of this clip.
            duration: Of the clip, seconds.
            style: Whose clip; without one nobody's pace is in it.
        """
        early = rng.random(len(MOMENTS))
        share = 0.0 if style is None else style.variation.pace
        if style is not None and share:
            own = np.sqrt(share) * style.pace(MOMENTS)
            early = ndtr(own + np.sqrt(1 - share) * ndtri(np.maximum(early, 1e-16)))
        onset = duration * (0.05 + 0.1 * early[0])
        apex = onset + duration * (0.15 + (0.3 - 0.15) * early[1])
        offset = duration * (0.88 + (0.98 - 0.88) * early[2])
        first, last = apex + 0.1 * duration, offset - 0.22 * duration
        release = first + (last - first) * early[3]
        return Timing(float(onset), float(apex), float(release), float(offset))


@dataclass(frozen=True)
class Performance:
    """One clip of one person.

    Args:
        activations: (T, A) float. What the muscles do.
        label: (T,) float. The annotated weight of the expression: 0 before onset and after offset, the
            extremeness from apex to release, straight lines in between.
        timing: The four moments.
    """

    activations: NDArray[np.float64]
    label: NDArray[np.float64]
    timing: Timing


def draw_frames(rng: Generator, fps: float = FRAMES_PER_SECOND) -> int:
    """How many frames a clip has: people take their time."""
    return round(fps * rng.uniform(*SECONDS))


def motion_curve(times: NDArray, timing: Timing, *, overshoot: float = 0.0) -> NDArray[np.float64]:
    """Intensity over time: a minimum-jerk rise, a held apex that sinks a little, a slower release.

    Args:
        times: (T,) float, seconds.
        timing: When the motion begins, peaks and ends.
        overshoot: Share by which the rise passes the held level before it settles.

    Returns:
        (T,) float; 0 before onset and after offset, up to ``1 + overshoot`` in between.
    """
    rise = _minimum_jerk((times - timing.onset) / (timing.apex - timing.onset))
    fall = _minimum_jerk(np.clip((times - timing.release) / (timing.offset - timing.release), 0, 1) ** 0.8)
    held = _minimum_jerk((times - timing.apex) / max(timing.release - timing.apex, 1e-9))
    bump = overshoot * np.exp(-(((times - timing.apex) / 0.12) ** 2)) * (rise > 0)
    return np.maximum(rise * (1 - 0.06 * held) * (1 - fall) + bump * (1 - fall), 0.0)


def motion_label(times: NDArray, timing: Timing) -> NDArray[np.float64]:
    """The phase of a frame as annotated: 0 neutral, 1 apex, linear on the way there and back.

    Potamias et al. (2020), section 5.1. Moments fall on frames, as annotators mark frames.

    Args:
        times: (T,) float, seconds.
        timing: Of the recording.

    Returns:
        (T,) float64 0..1.
    """
    frame = float(times[1] - times[0]) if len(times) > 1 else 1.0
    moments = np.array([timing.onset, timing.apex, timing.release, timing.offset])
    onset, apex, release, offset = np.round(moments / frame) * frame
    return np.interp(times, [onset, apex, max(release, apex + 1e-9), offset], [0.0, 1.0, 1.0, 0.0])


def _minimum_jerk(phase: NDArray) -> NDArray[np.float64]:
    """The smoothest reach from 0 to 1 (Flash and Hogan 1985)."""
    u = np.clip(phase, 0.0, 1.0)
    return u**3 * (10 - 15 * u + 6 * u**2)


def clip_activations(
    rng: Generator,
    style: Style,
    recipes: Mapping[str, Mapping[str, float]],
    expression: str,
    *,
    frames: int,
    fps: float = FRAMES_PER_SECOND,
    extremeness: float = 1.0,
) -> Performance:
    """One performance over time; the first frame is at rest.

    Args:
        rng: Randomness of this clip.
        style: Who performs.
        recipes: Expression -> shape -> activation.
        expression: What is performed.
        frames: T.
        fps: Frames per second.
        extremeness: The intended intensity at the apex.
    """
    times = np.arange(frames) / fps
    timing = Timing.draw(rng, frames / fps, style)
    peak = take_activations(rng, style, recipes, {expression: extremeness})
    rest = take_activations(rng, style, recipes, {})
    overshoot = rng.uniform(0.0, 0.08)
    late = _delays(rng, style.shapes)
    curves = np.stack([motion_curve(times - delay, timing, overshoot=overshoot) for delay in late], axis=1)
    activations = curves * _course(times, timing, style, expression) * (peak - rest) + rest
    activations *= np.exp(_side_drift(rng, times)[:, None] * shape_sides(style.shapes))
    blinks = _blinks(rng, times)[:, None] * np.array([shape in CONTACTS for shape in style.shapes])
    activations += _micro_movements(rng, times, style)
    activations = settle(style.shapes, np.maximum(activations, blinks))
    return Performance(activations, extremeness * motion_label(times, timing), timing)


def _course(times: NDArray, timing: Timing, style: Style, expression: str) -> NDArray[np.float64]:
    """(T, A) factors by which each shape's part of an expression waxes and wanes, the same for everybody."""
    moments = [timing.onset, timing.apex, timing.release, timing.offset]
    place = np.interp(times, moments, [0.0, 1.0, 2.0, 3.0])[:, None]
    stems = shape_stems(style.shapes)
    drawn = [np.random.default_rng(zlib.crc32(f"{expression}/{stem}".encode())).random(2) for stem in stems]
    turns, start = np.array(drawn)[shape_pairs(style.shapes)].T
    factors = 1 + style.variation.course * np.sin(2 * np.pi * ((0.2 + 0.4 * turns) * place + start))
    return np.where(_steady(style.shapes), 1.0, factors)


def _steady(shapes: Sequence[str]) -> NDArray[np.bool_]:
    """(A,) shapes that end where surfaces meet, and the jaw, which closed lips follow."""
    return np.array([shape in (*CONTACTS, "mouthClose", "jawOpen") for shape in shapes])


def _micro_movements(rng: Generator, times: NDArray, style: Style) -> NDArray[np.float64]:
    """(T, A) small smooth activations that nobody asked for, none in the first frame."""
    if not style.variation.micro:
        return np.zeros((len(times), len(style.shapes)))
    stems, waves = len(shape_stems(style.shapes)), 3
    speed, start = rng.uniform(0.3, 1.5, (waves, stems)), rng.uniform(0, 2 * np.pi, (waves, stems))
    size = style.variation.micro * rng.standard_normal((waves, stems)) * np.sqrt(2 / waves)
    phase = 2 * np.pi * speed * times[:, None, None] + start
    moved = (size * (np.sin(phase) - np.sin(start))).sum(axis=1)[:, shape_pairs(style.shapes)]
    return np.where(_steady(style.shapes), 0.0, moved)


def _delays(rng: Generator, shapes: Sequence[str]) -> NDArray[np.float64]:
    """(A,) seconds by which each shape trails; the jaw leads."""
    pairs = shape_pairs(shapes)
    late = rng.normal(0.03, 0.03, int(pairs.max()) + 1)[pairs]
    return np.where([shape.startswith("jaw") for shape in shapes], -JAW_LEAD, late)


def _side_drift(rng: Generator, times: NDArray) -> NDArray[np.float64]:
    """(T,) slow log balance between the sides, 0 at the first frame."""
    period, phase = rng.uniform(1.5, 4.0), rng.uniform(0, 2 * np.pi)
    return rng.normal(0, 0.08) * (np.sin(2 * np.pi * times / period + phase) - np.sin(phase))


def _blinks(rng: Generator, times: NDArray) -> NDArray[np.float64]:
    """(T,) spontaneous blinks, about one in 4 s: 0.1 s to close, 0.2 s to open; none in the first frame."""
    closure = np.zeros(len(times))
    duration = len(times) * (times[1] - times[0]) if len(times) > 1 else 0.0
    for moment in rng.uniform(min(0.1, duration), duration, rng.poisson(duration / 4.0)):
        closing = _minimum_jerk((times - moment + 0.1) / 0.1)
        closure = np.maximum(closure, closing * (1 - _minimum_jerk((times - moment - 0.03) / 0.2)))
    return closure
