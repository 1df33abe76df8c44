"""Named weights and how they run over time: what sliders, flags, labels and animation curves share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadSetting, UnknownName

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
    onset: float, apex: float, offset: float, duration: float, fps: float, shape: str = "minimum-jerk"
) -> NDArray[np.float32]:
    """(T,) intensity of one expression: 0 before onset, 1 at apex, 0 again from offset on.

    Args:
        onset: Second at which the face leaves neutral.
        apex: Second of full intensity.
        offset: Second at which it is neutral again.
        duration: Seconds of the clip; T = duration * fps + 1 frames, the first at second 0.
        fps: Frames per second.
        shape: ``minimum-jerk`` (Flash and Hogan 1985; no jump in speed or acceleration), ``raised-cosine``
            (no jump in speed) or ``linear``.
    """
    if not 0 <= onset < apex < offset:
        raise BadSetting(
            "a motion needs 0 <= onset < apex < offset", received=f"{onset:g}, {apex:g}, {offset:g} seconds",
            remedy="the face starts to move at onset, is complete at apex and neutral again at offset",
        )  # fmt: skip
    if not (0 < fps < float("inf") and 0 < duration < float("inf")):
        raise BadSetting(
            "a clip needs a positive duration and frame rate", received=f"{duration:g} s, {fps:g}/s"
        )
    if shape not in SHAPES:
        raise UnknownName("shape of motion", shape, SHAPES)
    times = np.arange(round(duration * fps) + 1) / fps
    u = np.clip(np.minimum((times - onset) / (apex - onset), (offset - times) / (offset - apex)), 0, 1)
    if shape == "minimum-jerk":
        u = u**3 * (10 - 15 * u + 6 * u**2)
    elif shape == "raised-cosine":
        u = (1 - np.cos(np.pi * u)) / 2
    return u.astype(np.float32)


def curves(
    expressions: Sequence[str], named: Mapping[str, float], *, onset: float, apex: float, offset: float,
    fps: float = 30.0, duration: float | None = None, shape: str = "minimum-jerk",
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
    """
    length = offset + onset if duration is None else duration
    intensity = timing_curve(onset, apex, offset, length, fps, shape)
    return intensity[:, None] * named_weights(expressions, named)
