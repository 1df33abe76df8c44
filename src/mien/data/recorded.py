"""Recorded performances at a model's pace: gaps bridged, an actor's rest taken off, resampled, smoothed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.signal import savgol_filter

from mien.data.tracked import Known, known_curves
from mien.errors import BadFile, BadSetting, UnknownName
from mien.io.curve_record import MOST_FRAMES, Curves
from mien.io.curves import read_curves

GAPS = ("interpolate", "hold")
TRACKED_FPS = 60.0
"""Live Link Face records at this rate unless told otherwise."""
MOST_SECONDS = 4 * 3600.0
_JUMP = 1.75  # of the usual step: more is a missing frame
_DEGREE, _LEAST = 2, 5  # of the smoothing polynomial, and the frames of its shortest window


@dataclass(frozen=True)
class Handling:
    """How a recording is brought to a model.

    Args:
        fps: Frames per second of the result.
        file_fps: Frames per second of a file without times, or that a short recording's timecodes count;
            None: 60 for Live Link Face, else ``fps``.
        rest: The actor's rest, whose weights are subtracted: the number of first frames (``30``), a range of
            frames (``10-40``) or a file of its own; None for none.
        smooth: Seconds of the window of a Savitzky-Golay filter of second degree; 0 for none.
        gaps: ``interpolate`` between the frames beside a gap, or ``hold`` the last one.
    """

    fps: float = 30.0
    file_fps: float | None = None
    rest: str | Path | None = None
    smooth: float = 0.0
    gaps: str = "interpolate"

    def __post_init__(self) -> None:
        for rate in (self.fps, self.file_fps if self.file_fps is not None else 1.0):
            if not 0 < rate <= 10_000:
                raise BadSetting("a frame rate lies above 0 and up to 10,000", received=rate)
        if self.gaps not in GAPS:
            raise UnknownName("way to bridge gaps", self.gaps, GAPS)
        if self.smooth and not _LEAST / self.fps <= self.smooth <= 10:
            raise BadSetting(
                f"smoothing takes a window of {_LEAST} frames to 10 seconds",
                received=f"{self.smooth:g} s at {self.fps:g} frames a second",
                remedy=f"use {_LEAST / self.fps:.2g} or more",
            )


def read_performance(
    path: str | Path, expressions: Sequence[str], fps: float = 30.0, *, file_fps: float | None = None,
    rest: str | Path | None = None, smooth: float = 0.0, gaps: str = "interpolate",
) -> tuple[NDArray[np.float32], list[str]]:  # fmt: skip
    """A recorded performance as weights of a model's expressions.

    Reads Live Link Face, ARKit's curves as CSV or JSON in any spelling, MediaPipe, OpenFace and Audio2Face,
    see :func:`mien.io.curves.read_curves`.

    Args:
        path: The recording.
        expressions: E expression names of the model.
        fps: Frames per second of the result.
        file_fps: Of a file without times, see :class:`Handling`.
        rest: The actor's rest, whose weights are subtracted: frames (``30``, ``10-40``) or a file.
        smooth: Seconds of the window of a smoothing filter; 0 for none.
        gaps: ``interpolate`` or ``hold``: what is done where the face was lost or frames are missing.

    Returns:
        (T, E) float32 weights, and sentences about what was understood and filled.

    Raises:
        DataMissing: There is no such file.
        BadFile: It is damaged, has another number of frames than it states, weights that are negative or no
            finite numbers, more than one performance, or lasts for hours.
        BadSetting: No name in it is known.
    """
    handling = Handling(fps, file_fps, rest, smooth, gaps)
    return performance_of(read_curves(path, file_fps), expressions, handling)


def performance_of(
    curves: Curves, expressions: Sequence[str], handling: Handling
) -> tuple[NDArray[np.float32], list[str]]:
    """(T, E) float32 weights of curves, as :func:`read_performance`.

    Args:
        curves: What a file holds.
        expressions: E expression names of the model.
        handling: Frame rates, rest, smoothing, gaps.
    """
    known = known_curves(curves, expressions)
    times, told = _times(curves, handling)
    if handling.rest is not None:
        level, sentence = _rest(known, expressions, handling)
        known = replace(known, values=np.maximum(known.values - level, 0), notes=(*known.notes, sentence))
    values, filled = _even(times, known.values, handling)
    if handling.smooth:
        values = _smoothed(values, handling)
        filled.append(f"Smoothed over {handling.smooth:g} s.")
    weights, decided = replace(known, values=values).of(expressions)
    made = f" {len(weights)} frames at {handling.fps:g} a second are made of it."
    notes = [told + made, *curves.notes, *known.notes, *filled, *decided]
    return weights.astype(np.float32), notes


def frame_rate(curves: Curves, fallback: float = 30.0) -> float:
    """Frames per second of a recording, to the thousandth; ``fallback`` where it has no times and no rate.

    Args:
        curves: What a file holds.
        fallback: Frames per second.
    """
    if curves.times is None:
        return curves.rate or (TRACKED_FPS if curves.form == "Live Link Face" else fallback)
    return round(1 / _step(curves.times), 3)


def _times(curves: Curves, handling: Handling) -> tuple[NDArray[np.float64], str]:
    """(T,) seconds of each frame, and the sentence on what kind of recording it is."""
    count, how = len(curves.values), ""
    if curves.times is not None:
        times, rate = curves.times, frame_rate(curves)
    else:
        rate = handling.file_fps or frame_rate(curves, handling.fps)
        times = (np.arange(count) if curves.frames is None else curves.frames) / rate
        if handling.file_fps is None and curves.rate is None:
            how = ", assumed as it has no times (--curves-fps)"
    if times[-1] > MOST_SECONDS or times[-1] * handling.fps > MOST_FRAMES:
        raise BadFile(
            "the performance lasts too long", received=f"{times[-1]:,.0f} seconds",
            remedy=f"cut it into takes of at most {MOST_SECONDS / 3600:g} hours; are its times seconds?",
        )  # fmt: skip
    article = {"table": "A table", "JSON": "JSON"}.get(curves.form, curves.form)
    return times, f"{article}: {count} frames, {times[-1]:.2f} s, {rate:.4g} a second{how}."


def _rest(known: Known, expressions: Sequence[str], handling: Handling) -> tuple[NDArray[np.float64], str]:
    """(K,) the weights of the actor at rest, and the sentence about them."""
    text = str(handling.rest).strip()
    found = re.fullmatch(r"(?:(\d+)\s*-\s*)?(\d+)", text)
    if found:
        first, last = int(found[1] or 1), int(found[2])
        if not 1 <= first <= last <= len(known.values):
            raise BadSetting(
                "the frames of the rest must lie in the recording",
                received=f"{text} of {len(known.values)} frames", remedy="write --rest 30 or --rest 10-40",
            )  # fmt: skip
        resting, where = known.values[first - 1 : last], f"of frames {first} to {last}"
    else:
        other = known_curves(read_curves(text, handling.file_fps), expressions)
        given = dict(zip(other.names, other.values.T, strict=True))
        still = np.zeros(len(other.values))
        resting = np.stack([given.get(name, still) for name in known.names], axis=1)
        where = f"of {Path(text).name}"
    seen = resting[~np.isnan(resting).any(axis=1)]
    if not len(seen):
        raise BadSetting("the actor's face is lost in all frames of the rest", received=text)
    level = np.median(seen, axis=0)
    strongest = known.names[int(level.argmax())]
    return level, f"The rest {where} is subtracted (most: {strongest} {level.max():.2f})."


def _step(times: NDArray) -> float:
    """Seconds from frame to frame where none is missing."""
    steps = np.diff(times)
    usual = steps[steps <= _JUMP * np.median(steps)] if len(steps) else np.ones(1)
    return float(usual.mean())


def _even(times: NDArray, values: NDArray, handling: Handling) -> tuple[NDArray[np.float64], list[str]]:
    """(U, K) values at the rate of the result, and what was filled."""
    seen = ~np.isnan(values).any(axis=1)
    at = np.arange(int(np.floor(times[-1] * handling.fps + 1e-6)) + 1) / handling.fps
    step, when, what = _step(times), times[seen], values[seen]
    wide = np.flatnonzero(np.diff(when) > _JUMP * step)
    lost, notes = int((~seen).sum()), []
    if lost or len(wide):
        missing = int(np.rint(np.diff(times) / step - 1).clip(0).sum())
        counts = [f"{lost} frames without a face"] if lost else []
        counts += [f"{missing} missing frames"] if missing else []
        longest = max(float(np.diff(when).max(initial=0)), float(when[0]), float(times[-1] - when[-1]))
        done = {"interpolate": "interpolated", "hold": "the face before is held"}[handling.gaps]
        notes.append(f"{' and '.join(counts)}, at most {longest:.2f} s at once: {done} (--gaps).")
        when, what = _bridged(when, what, wide, step, handling)
    return np.stack([np.interp(at, when, column) for column in what.T], axis=1), notes


def _bridged(
    when: NDArray, what: NDArray, wide: NDArray, step: float, handling: Handling
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frames with further ones in wide gaps: held, or on a monotone cubic (Fritsch and Carlson 1980).

    Args:
        when: (T,) float, seconds of the frames with a face.
        what: (T, K) float, their values.
        wide: Numbers of the frames before gaps.
        step: Seconds from frame to frame.
        handling: Whether gaps are held, and the rate of the result: no finer samples are made.
    """
    if handling.gaps == "hold":
        added, filled = when[wide + 1] - step, what[wide]
    else:
        fine = max(step, 1 / handling.fps)
        gaps = [np.arange(when[k] + fine, when[k + 1] - fine / 2, fine) for k in wide]
        added = np.concatenate([*gaps, np.zeros(0)])
        filled = PchipInterpolator(when, what)(added) if len(added) else what[:0]
    order = np.argsort(np.concatenate([when, added]), kind="stable")
    return np.concatenate([when, added])[order], np.concatenate([what, filled])[order]


def _smoothed(values: NDArray, handling: Handling) -> NDArray[np.float64]:
    window = min(2 * round(handling.smooth * handling.fps / 2) + 1, len(values) - 1 + len(values) % 2)
    if window <= _DEGREE:
        return values
    return np.clip(savgol_filter(values, window, _DEGREE, axis=0), 0, None)
