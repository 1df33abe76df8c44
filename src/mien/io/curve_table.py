"""Curves from tables: Live Link Face, OpenFace, and any CSV with a line a frame and a column a curve."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile
from mien.io.bounds import first_twice
from mien.io.curve_record import (
    MOST_FRAMES,
    Curves,
    check_columns,
    check_size,
    in_seconds,
    key_of,
    two_takes,
)  # fmt: skip
from mien.io.timecode import Clock, read_timecodes

_TIMES: dict[str, str | None] = {
    "time": None, "times": None, "t": None, "timestamp": None, "timestamps": None, "elapsed": None,
    "seconds": "s", "sec": "s", "secs": "s", "timesec": "s", "timeseconds": "s", "timestampseconds": "s",
    "timestampsec": "s", "timeinseconds": "s", "ms": "ms", "msec": "ms", "milliseconds": "ms",
    "timems": "ms", "timestampms": "ms", "timemilliseconds": "ms", "timestampmilliseconds": "ms",
    "elapsedms": "ms", "us": "us", "microseconds": "us", "timeus": "us", "timestampus": "us",
    "timestampns": "ns", "timens": "ns",
}  # fmt: skip
"""Columns of time by their key, with the unit where the name states it."""
_TIMECODES, _COUNT, _SUCCESS = (
    ("timecode", "tc", "smpte"),
    "blendshapecount",
    ("success", "facefound", "tracked"),
)
_FRAMES = (
    "",
    "frame",
    "frames",
    "frameindex",
    "frameid",
    "framenumber",
    "framenum",
    "frameno",
    "index",
    "idx",
)
_SPLITS = ("take", "takename", "clip", "slate", "session", "faceid")
"""Columns that tell performances apart."""
_LEFT_OUT = (
    "confidence", "actor", "character", "subject", "subjectname", "device", "deviceid", "name", "path",
)  # fmt: skip
_UNIT = re.compile(r"AU\d+_[rc]", re.IGNORECASE)
_BESIDE = re.compile(r"AU\d+_c|(?:pose|gaze|eye_lmk|p)_\w+|[xyz]_\d+", re.IGNORECASE)
"""OpenFace's columns beside intensities: whether a unit is present at all, pose, gaze and points."""
_LIVE_LINK_FPS = 60.0
"""What Live Link Face records at unless told otherwise."""


@dataclass(frozen=True, eq=False)
class _Table:
    """Cells of a table.

    Args:
        path: The file.
        header: Names of the columns.
        rows: Cells of each further line, as many as the header has.
        lines: The number of each line in the file.
    """

    path: Path
    header: list[str]
    rows: list[list[str]]
    lines: list[int]

    def column(self, keys: Sequence[str]) -> int | None:
        return next((k for k, name in enumerate(self.header) if key_of(name) in keys), None)

    def cells(self, column: int) -> list[str]:
        return [row[column] for row in self.rows]

    def numbers(self, columns: Sequence[int], count: int) -> NDArray[np.float64] | None:
        """(count, K) finite numbers of columns in the first lines; None where a cell holds none."""
        try:
            cells = (float(row[c]) for row in self.rows[:count] for c in columns)
            found = np.fromiter(cells, np.float64, count * len(columns)).reshape(count, len(columns))
        except ValueError:
            return None
        return found if np.isfinite(found).all() else None


def read_curve_table(text: str, path: Path, rate: float | None = None) -> Curves:
    """Curves of a table in any dialect: commas, semicolons or tabs, with decimal points or commas.

    The header names the columns. Times, timecodes and frame numbers are told by their names; other columns
    are curves. Lines of a lost face have no weights, a ``BlendShapeCount`` of 0 or a ``success`` of 0.

    Args:
        text: The file's text.
        path: The file, for messages.
        rate: Frames per second that timecodes count; None to tell it from them.

    Raises:
        BadFile: It has no curve, no frame, a cell that is no finite number, times that do not rise, or more
            than one performance.
    """
    table = _cells(text, path)
    for column, name in enumerate(table.header):
        if key_of(name) in _SPLITS and len(kinds := dict.fromkeys(table.cells(column))) > 1:
            raise two_takes(path, f"{name}: {', '.join(list(kinds)[:4])}")
    kept = _curve_columns(table)
    values, notes = _values(table, kept)
    return _timed(table, tuple(table.header[k] for k in kept), values, notes, rate)


def _cells(text: str, path: Path) -> _Table:
    """The header and the lines below it."""
    numbered = [
        (number, line) for number, line in enumerate(text.splitlines(), 1)
        if line.strip(" \t,;") and line[0] != "#" and line[:4].lower() != "sep="
    ]  # fmt: skip
    check_size(len(numbered) - 1, path)
    head = numbered[0][1] if numbered else ""
    mark = next((m for m in "\t;," if m in head), None) or (" " if " " in head.strip() else ",")
    try:
        reader = csv.reader((line for _, line in numbered), delimiter=mark, skipinitialspace=True)
        found = [list(map(str.strip, line)) for line in reader]
    except csv.Error as error:
        raise BadFile("the curves are no table", received=f"{path.name}: {error}") from error
    if len(found) != len(numbered):
        raise BadFile("a cell of the curves spans lines", received=path.name, remedy="remove its quotes")
    header = found[0] if found else []
    check_columns(len(header), path)
    while header and not header[-1]:
        header.pop()
    width, table = len(header), _Table(path, header, [], [])
    for (number, _), row in zip(numbered[1:], found[1:], strict=True):
        if len(row) > width and any(row[width:]):
            raise BadFile(
                "a line of the curves has more cells than the header",
                received=f"{path.name}, line {number}: {len(row)} cells, {width} names",
                remedy="separate columns by semicolons where numbers have decimal commas",
            )
        if row[:width] == header:
            raise two_takes(path, f"line {number} repeats the header")
        table.rows.append(row if len(row) == width else (row + [""] * width)[:width])
        table.lines.append(number)
    return table


def _curve_columns(table: _Table) -> list[int]:
    """Numbers of the columns that are curves."""
    units = any(_UNIT.fullmatch(name) for name in table.header)
    others = {*_TIMES, *_TIMECODES, _COUNT, *_SUCCESS, *_FRAMES, *_SPLITS, *_LEFT_OUT}
    kept = [
        k for k, name in enumerate(table.header)
        if key_of(name) not in others and not (units and _BESIDE.fullmatch(name.strip()))
    ]  # fmt: skip
    names = [key_of(table.header[k]) for k in kept]
    if not table.rows or not kept or first_twice(names):
        twice = first_twice(names)
        raise BadFile(
            "curves need a header of different names and at least one frame",
            received=f"{table.path.name}: {len(table.rows)} lines below the header, "
            + (f"{twice} twice" if twice else f"{len(kept)} curves"),
            remedy="the first line names the expressions, every further line is a frame",
        )
    return kept


def _values(table: _Table, kept: list[int]) -> tuple[NDArray[np.float64], list[str]]:
    """(T, K) numbers, NaN in the rows of a lost face, and what is to be said; a torn last line is dropped."""
    lost = np.zeros(len(table.rows), bool)
    for column in (table.column((_COUNT,)), table.column(_SUCCESS)):
        if column is not None:
            lost |= np.fromiter(map(_is_zero, table.cells(column)), bool, len(lost))
    plain = table.numbers(kept, len(table.rows))
    if plain is not None and not lost.all():
        plain[lost] = np.nan
        return plain, []
    values, notes = np.full((len(table.rows), len(kept)), np.nan), []
    for number, row in enumerate(table.rows):
        given = [row[c] for c in kept]
        if lost[number] or not any(given):
            continue
        if "" in given and number == len(table.rows) - 1 and number > 0:
            notes.append(f"The last line ({table.lines[number]}) is incomplete and left out.")
            values = values[:-1]
            break
        values[number] = [_number(table, number, c) for c in kept]
    if np.isnan(values).all():
        raise BadFile("the recording holds no frame with a face", received=f"{table.path.name}")
    return values, notes


def _is_zero(cell: str) -> bool:
    try:
        return float(cell.replace(",", ".")) == 0
    except ValueError:
        return cell.lower() in ("false", "no")


def _number(table: _Table, row: int, column: int) -> float:
    cell = table.rows[row][column]
    try:
        value = float(cell)
    except ValueError:
        try:
            value = float(cell.replace(",", "."))
        except ValueError:
            value = float("nan")
    if not math.isfinite(value):
        raise BadFile(
            "a cell of the curves is not a finite number",
            received=f"{table.path.name}, line {table.lines[row]}, column {table.header[column]!r}: "
            + (repr(cell[:40]) if cell else "no cell"),
        )
    return value


def _numbers(table: _Table, column: int, count: int) -> NDArray[np.float64]:
    """(count,) the numbers of a column in the first lines."""
    plain = table.numbers((column,), count)
    if plain is not None:
        return plain[:, 0]
    return np.array([_number(table, row, column) for row in range(count)])


def _timed(
    table: _Table, names: tuple[str, ...], values: NDArray, notes: list[str], rate: float | None
) -> Curves:
    """The curves with their times: from a timecode, a column of times, or the numbers of frames."""
    count, path = len(values), table.path
    code, clock = table.column(_TIMECODES), table.column(tuple(_TIMES))
    form = "OpenFace" if any(_UNIT.fullmatch(name) for name in names) else "table"
    if table.column((_COUNT,)) is not None:
        form = "Live Link Face"
    if code is not None or (clock is not None and any(":" in cell for cell in table.cells(clock))):
        read = _clock(table, code if code is not None else clock, count, rate)
        times, _ = in_seconds(read.times, "s", path)
        if read.counted and not read.sure:
            notes.append(
                f"The timecode never ends a second: {read.counted:g} frames a second are assumed "
                "(--curves-fps)."
            )
        if read.dropped:
            notes.append(f"Its timecode drops frame numbers: {read.counted:.2f} frames a second.")
        return Curves(names, values, times, form, notes=tuple(notes))
    if clock is not None:
        raw = _numbers(table, clock, count)
        times, note = in_seconds(raw, _TIMES[key_of(table.header[clock])], path)
        return Curves(names, values, times, form, notes=(*notes, *([note] if note else [])))
    return Curves(names, values, None, form, frames=_frames(table, count), notes=tuple(notes))


def _clock(table: _Table, column: int | None, count: int, rate: float | None) -> Clock:
    assert column is not None
    cells = table.cells(column)[:count]
    try:
        return read_timecodes(cells, rate, _LIVE_LINK_FPS)
    except ValueError as error:
        row = int(str(error.args[0]))
        raise BadFile(
            "a timecode cannot be read" + (f" at {rate:g} frames a second" if rate else ""),
            received=f"{table.path.name}, line {table.lines[row]}: {cells[row][:40]!r}",
            remedy="it is HH:MM:SS:FF with frames below the rate, or HH:MM:SS.mmm",
        ) from error


def _frames(table: _Table, count: int) -> NDArray[np.float64] | None:
    """(T,) the frames' numbers where a column counts them, or None."""
    column = table.column(_FRAMES)
    if column is None:
        return None
    found = _numbers(table, column, count)
    if (np.diff(found) < 0).any():
        raise two_takes(table.path, f"{table.header[column] or 'the frame number'} starts again")
    rising = bool((np.diff(found) > 0).all()) and found[-1] - found[0] < MOST_FRAMES
    return found - found[0] if rising else None
