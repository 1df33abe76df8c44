"""What a file of curves holds, and the checks that all its forms share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile

MOST_FRAMES = 1_000_000
"""More lines are no performance of a face: four and a half hours at 60 frames a second."""
MOST_CURVES = 4096
"""More columns are no tracker's."""
_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_LONGEST = 1e15
"""More than hours, even in nanoseconds."""
_SLOWEST, _FASTEST, _TOLD = 8.0, 260.0, 5
"""Frames per second of trackers, and how many frames tell them: a unit is guessed only within these."""


@dataclass(frozen=True, eq=False)
class Curves:
    """Named values over time, as they stand in a file.

    Args:
        names: K column names.
        values: (T, K) float64; a row of NaN where the tracker had lost the face.
        times: (T,) float64, rising, seconds from the first frame on; None where the file only counts frames.
        form: What kind of file it is: ``Live Link Face``, ``OpenFace``, ``MediaPipe``, ``Audio2Face``,
            ``table`` or ``JSON``.
        rate: Frames per second that the file states, or None.
        frames: (T,) float64, rising: the frames' numbers in a file that has them and no times, or None.
        notes: Sentences about what was decided.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    times: NDArray[np.float64] | None = None
    form: str = "table"
    rate: float | None = None
    frames: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()


def two_takes(path: Path, where: str) -> BadFile:
    """The error of a file that holds more than one performance."""
    return BadFile(
        "the file holds more than one performance", received=f"{path.name}, {where}",
        remedy="give each take or face a file of its own",
    )  # fmt: skip


def key_of(name: str) -> str:
    """A column's name without case, spaces and marks."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def in_seconds(times: NDArray, unit: str | None, path: Path) -> tuple[NDArray[np.float64], str | None]:
    """(T,) times in seconds from the first on, and a sentence where their unit was guessed.

    Args:
        times: (T,) float, in the file's unit.
        unit: ``s``, ``ms``, ``us`` or ``ns`` as the file states it; None to tell it from the pace.
        path: The file, for messages.

    Raises:
        BadFile: They do not rise from frame to frame.
    """
    if not float(times[-1]) - float(times[0]) < _LONGEST:
        raise BadFile(
            "the times of the curves span more than a performance",
            received=f"{path.name}: from {times[0]:g} to {times[-1]:g}",
        )
    steps, note = np.diff(times), None
    if (steps <= 0).any():
        first = int(np.flatnonzero(steps <= 0)[0])
        if steps[first] < 0 and not (steps[first + 1 :] < 0).all():
            raise two_takes(path, f"time goes back at frame {first + 2}")
        raise BadFile(
            "the times of curves must rise from line to line",
            received=f"{path.name}: {times[first]:g} and then {times[first + 1]:g} at frame {first + 2}",
        )
    if unit is None:
        unit = "s"
        pace = float(np.median(steps)) if len(steps) else 1.0
        fitting = [u for u, size in _UNITS.items() if _SLOWEST <= 1 / (pace * size) <= _FASTEST]
        if len(times) >= _TOLD and fitting and fitting[0] != "s":
            unit = fitting[0]
            name = {"ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}[unit]
            note = f"Times are taken as {name}, as frames are {pace:g} apart."
    return (times - times[0]) * _UNITS[unit], note


def check_columns(curves: int, path: Path) -> None:
    """Raises where a file has more columns than a tracker writes."""
    if curves > MOST_CURVES:
        raise BadFile("the recording has too many columns", received=f"{curves:,} in {path.name}",
                      remedy=f"keep the curves, of which there may be {MOST_CURVES:,}")  # fmt: skip


def check_size(frames: int, path: Path) -> None:
    """Raises where a file has more frames than a performance."""
    if frames > MOST_FRAMES:
        raise BadFile(
            "the performance has too many frames", received=f"{path.name}: more than {MOST_FRAMES:,}",
            remedy="cut it into takes",
        )  # fmt: skip
