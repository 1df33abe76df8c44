"""Named weights and how they run over time: what sliders, flags, labels and animation curves share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadSetting, UnknownName
from mien.io.curve_record import MOST_FRAMES

Weights = NDArray[np.float32]
SHAPES = ("minimum-jerk", "raised-cosine", "linear")


def named_weights(expressions: Sequence[str], named: Mapping[str, float]) -> NDArray[np.float32]:
    """(E,) weights from names; names not given are 0.

    Args:
        expressions: E known names in order.
        named: Name -> weight, e.g. ``{"smile": 0.7}``.

    Raises:
        UnknownName: A name is not among the expressions; the nearest is suggested.
    """
    weights = np.zeros(len(expressions), np.float32)
    for name, weight in named.items():
        if name not in expressions:
            raise UnknownName("expression", name, expressions)
        weights[list(expressions).index(name)] = weight
    if not np.isfinite(weights).all():
        raise BadSetting("weights must be finite", received=dict(named), remedy="use 0 to 1")
    return weights


def timing_curve(
    onset: float, apex: float, offset: float, duration: float, fps: float, shape: str = "minimum-jerk",
    release: float | None = None,
) -> NDArray[np.float32]:  # fmt: skip
    """(T,) intensity of one expression: 0 before onset, 1 at apex, 0 again from offset on.

    Args:
        onset: Second at which the face leaves neutral.
        apex: Second of full intensity.
        offset: Second at which it is neutral again.
        duration: Seconds of the clip; T = duration * fps + 1 frames, the first at second 0.
        fps: Frames per second.
        shape: ``minimum-jerk`` (Flash and Hogan 1985; no jump in speed or acceleration), ``raised-cosine``
            (no jump in speed) or ``linear`` (how clips are annotated).
        release: Second until which the apex is held; None: not at all.
    """
    release = apex if release is None else release
    if not 0 <= onset < apex <= release < offset:
        moments = ", ".join(f"{second:g}" for second in (onset, apex, release, offset))
        raise BadSetting(
            "a motion needs 0 <= onset < apex < offset, with a release from apex to offset if there is one",
            received=f"{moments} seconds",
            remedy="the face starts to move at onset, is complete from apex to release and neutral again at "
            "offset",
        )  # fmt: skip
    if not (0 < fps < float("inf") and 0 < duration < float("inf")):
        raise BadSetting(
            "a clip needs a positive duration and frame rate", received=f"{duration:g} s, {fps:g}/s"
        )
    if duration * fps > MOST_FRAMES:
        raise BadSetting(
            "a clip is too long", received=f"{duration:g} s, {fps:g}/s",
            remedy=f"it may have {MOST_FRAMES:,} frames",
        )  # fmt: skip
    if shape not in SHAPES:
        raise UnknownName("shape of motion", shape, SHAPES)
    times = np.arange(round(duration * fps) + 1) / fps
    u = np.clip(np.minimum((times - onset) / (apex - onset), (offset - times) / (offset - release)), 0, 1)
    if shape == "minimum-jerk":
        u = u**3 * (10 - 15 * u + 6 * u**2)
    elif shape == "raised-cosine":
        u = (1 - np.cos(np.pi * u)) / 2
    return u.astype(np.float32)


def curves(
    expressions: Sequence[str], named: Mapping[str, float], *, onset: float, apex: float, offset: float,
    fps: float = 30.0, duration: float | None = None, shape: str = "minimum-jerk",
    release: float | None = None,
) -> NDArray[np.float32]:  # fmt: skip
    """(T, E) animation curves: named expressions that rise together and fade together.

    Args:
        expressions: E known names in order.
        named: Name -> weight at the apex.
        onset: Second at which the face leaves neutral.
        apex: Second at which the weights are reached.
        offset: Second at which the face is neutral again.
        fps: Frames per second.
        duration: Seconds of the clip; by default it ends as long after offset as onset is after its start.
        shape: See :func:`timing_curve`.
        release: Second until which the apex is held.
    """
    length = offset + onset if duration is None else duration
    intensity = timing_curve(onset, apex, offset, length, fps, shape, release)
    return intensity[:, None] * named_weights(expressions, named)


@dataclass(frozen=True)
class Act:
    """One expression, or several at once, that rise, are held and fade.

    Args:
        weights: Name -> weight at the apex.
        onset: Second at which the face leaves neutral.
        apex: Second at which the weights are reached.
        release: Second until which they are held.
        offset: Second at which they are gone.
    """

    weights: Mapping[str, float]
    onset: float
    apex: float
    release: float
    offset: float


def score(
    expressions: Sequence[str], acts: Sequence[Act], *, fps: float = 30.0, duration: float | None = None,
    shape: str = "minimum-jerk",
) -> NDArray[np.float32]:  # fmt: skip
    """(T, E) curves of several acts, one after the other or over each other.

    Args:
        expressions: E known names in order.
        acts: What is performed and when. Where two acts show the same expression, the stronger counts.
        fps: Frames per second.
        duration: Seconds; by default as long after the last offset as the first onset is after the start.
        shape: See :func:`timing_curve`.
    """
    if not acts:
        raise BadSetting("a motion needs at least one expression", received="none")
    length = max(act.offset for act in acts) + min(act.onset for act in acts)
    result = np.zeros((0, len(expressions)), np.float32)
    for act in acts:
        curve = curves(
            expressions, act.weights, onset=act.onset, apex=act.apex, offset=act.offset, fps=fps,
            duration=length if duration is None else duration, shape=shape, release=act.release,
        )  # fmt: skip
        result = curve if not len(result) else np.where(np.abs(curve) > np.abs(result), curve, result)
    return result


def walk(
    expressions: Sequence[str], first: Mapping[str, float], second: Mapping[str, float], steps: int
) -> Weights:
    """(steps, E) weights that lead from one apex straight to another, both included.

    Args:
        expressions: E known names in order.
        first: Name -> weight at the start.
        second: Name -> weight at the end.
        steps: How many, at least 2.
    """
    ends = named_weights(expressions, first), named_weights(expressions, second)
    return np.linspace(*ends, steps, dtype=np.float32)


def resampled(values: NDArray, fps: float, to: float) -> NDArray[np.float32]:
    """Values at one frame rate, linearly interpolated to another; the first frame stays.

    Args:
        values: (T, ...) float.
        fps: Frames per second of ``values``.
        to: Frames per second of the result.

    Returns:
        (U, ...) float32.
    """
    values = np.asarray(values, np.float64)
    if fps == to or len(values) < 2:
        return values.astype(np.float32)
    at = np.arange(int(np.floor((len(values) - 1) / fps * to + 1e-9)) + 1) * fps / to
    low = np.minimum(at.astype(int), len(values) - 2)
    share = (at - low).reshape(-1, *[1] * (values.ndim - 1))
    return (values[low] * (1 - share) + values[low + 1] * share).astype(np.float32)
