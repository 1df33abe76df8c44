"""Timecodes of cameras and phones: hours, minutes, seconds and frames, dropped frame numbers included."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_CODE = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2})(?:([:;.,])(\d{1,9})(?:\.(\d{1,9}))?)?")
_RATES = (24, 25, 30, 48, 50, 60, 90, 100, 120, 240)
"""Frame numbers that cameras count a second up to."""
_DAY = 86400.0
_NTSC = 1000 / 1001


@dataclass(frozen=True, eq=False)
class Clock:
    """When the lines of a recording were taken.

    Args:
        times: (T,) float64, seconds from the first line on.
        counted: Frames that the timecode counts a second; None where it holds no frame numbers.
        sure: The count was seen: a second ended within the recording.
        dropped: Frame numbers are left out, so that the count of 30 or 60 keeps pace with 29.97 or 59.94.
    """

    times: NDArray[np.float64]
    counted: float | None
    sure: bool = True
    dropped: bool = False


def read_timecodes(cells: Sequence[str], rate: float | None = None, usual: float = 60.0) -> Clock:
    """When lines with timecodes were taken.

    ``HH:MM:SS:FF``, ``HH:MM:SS;FF`` (dropped frame numbers), either with a part of a frame after a dot,
    ``HH:MM:SS.mmm`` and plain seconds. The count of a second is the smallest common one above every frame
    number. Parts of frames are used where time runs more evenly with them; lines of one timecode share its
    frame evenly. A recording may pass midnight.

    Args:
        cells: T timecodes.
        rate: Frames per second; None to tell it from the frame numbers.
        usual: What is taken where no second ends within the recording.

    Raises:
        ValueError: A cell is no timecode (its number is the argument), or the rate is too small for them.
    """
    if not any(":" in cell for cell in cells):
        return Clock(_seconds(cells), None)
    rows, semicolon, frames = [], False, True
    for number, cell in enumerate(cells):
        if (found := _CODE.fullmatch(cell.strip())) is None:
            raise ValueError(number)
        hours, minutes, seconds, mark, frame, part = found.groups()
        if mark in (".", ",", None):
            frames, frame, part = False, "0", frame
        semicolon |= mark == ";"
        rows.append((int(hours), int(minutes), int(seconds), int(frame), float(f"0.{part or 0}")))
    hours, minutes, seconds, frame, part = np.array(rows, np.float64).T
    whole = _onward(3600 * hours + 60 * minutes + seconds)
    if not frames:
        return Clock(whole + part - (whole + part)[0], None)
    minutes = whole // 60
    ended = bool((np.diff(whole) != 0).any())
    counted = rate or next((r for r in _RATES if r > frame.max()), None)
    if counted is None or frame.max() >= np.ceil(counted):
        raise ValueError(int(frame.argmax()))
    if rate is None and not ended:
        counted = max(usual, counted)
    dropped = semicolon or _drops(minutes, seconds, frame, counted)
    count = whole * counted + frame
    if dropped:
        count, counted = count - _left_out(counted) * (minutes - minutes // 10), counted * _NTSC
    return Clock(_evenly(count, part, counted), counted, ended or rate is not None, dropped)


def _seconds(cells: Sequence[str]) -> NDArray[np.float64]:
    """(T,) plain numbers from the first on."""
    times = []
    for number, cell in enumerate(cells):
        try:
            times.append(float(cell.replace(",", ".")))
        except ValueError:
            raise ValueError(number) from None
    return np.array(times) - times[0]


def _left_out(counted: float) -> int:
    """How many numbers dropped frame counting leaves out at a minute's start: 2 of 30, 4 of 60."""
    return 2 * round(counted / 30)


def _drops(minutes: NDArray, seconds: NDArray, frame: NDArray, counted: float) -> bool:
    """Whether minutes begin with a later frame number, straight after a minute's last one."""
    if counted not in (30, 60, 120):
        return False
    into = np.flatnonzero((np.diff(minutes) == 1) & (minutes[1:] % 10 != 0))
    straight = into[(frame[into] == counted - 1) & (seconds[into + 1] == 0)]
    return bool(len(straight)) and bool((frame[straight + 1] == _left_out(counted)).all())


def _evenly(count: NDArray, part: NDArray, counted: float) -> NDArray[np.float64]:
    """(T,) seconds of whole frame numbers and parts of frames, by whichever runs more evenly."""
    plain, fine = count / counted, (count + part) / counted
    chosen = fine if _unevenness(fine) < _unevenness(plain) else plain
    chosen = chosen - chosen[0]
    first = np.flatnonzero(np.concatenate([[True], np.diff(chosen) != 0]))
    if len(first) == len(chosen):
        return chosen
    ends = np.append(chosen[first], chosen[-1] + 1 / counted)
    return np.interp(np.arange(len(chosen)), np.append(first, len(chosen)), ends)


def _unevenness(times: NDArray) -> float:
    steps = np.diff(times)
    return float(np.abs(steps - np.median(steps)).mean()) if len(steps) else 0.0


def _onward(times: NDArray) -> NDArray[np.float64]:
    """(T,) seconds of day that go on after midnight, which is a fall by most of a day."""
    return times + _DAY * np.concatenate([[0], np.cumsum(np.diff(times) < -_DAY / 2)])
