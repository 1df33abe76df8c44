"""Animation curves from CSV: a column an expression, a line a frame; also what face tracking apps record."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, DataMissing

TIMES = ("time", "seconds")
IGNORED = ("frame", "timecode", "blendshapecount")


@dataclass(frozen=True, eq=False)
class Curves:
    """Named values over time.

    Args:
        names: K column names as they stand in the file.
        values: (T, K) float.
        times: (T,) float, seconds, or None where the file only counts frames.
        tracked: The file is a recording of ARKit blendshapes by Live Link Face.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    times: NDArray[np.float64] | None
    tracked: bool


def read_curves(path: Path | str) -> Curves:
    """Reads a CSV of weights a frame.

    The header names the columns; ``time`` or ``seconds`` is time, ``frame``, ``Timecode`` and
    ``BlendShapeCount`` are skipped, every other column is a curve.

    Raises:
        DataMissing: There is no such file.
        BadFile: It has no curve, no frame, a cell that is no finite number, or times that do not rise.
    """
    path = Path(path)
    if not path.is_file():
        raise DataMissing("the file of curves does not exist", received=str(path), remedy="check the path")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file) if any(cell.strip() for cell in line)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadFile("the curves are no CSV text", received=f"{path}: {error}") from error
    header = [cell.strip() for cell in lines[0]] if lines else []
    kept = [k for k, name in enumerate(header) if name and name.lower() not in (*IGNORED, *TIMES)]
    if len(lines) < 2 or not kept or len({header[k].lower() for k in kept}) < len(kept):
        raise BadFile(
            "curves need a header of different names and at least one frame",
            received=f"{path}: {len(lines)} lines, {len(kept)} curves",
            remedy="the first line names the expressions, every further line is a frame",
        )
    values = np.array([[_number(path, k, line, c) for c in kept] for k, line in enumerate(lines[1:], 2)])
    clock = next((k for k, name in enumerate(header) if name.lower() in TIMES), None)
    times = None
    if clock is not None:
        times = np.array([_number(path, k, line, clock) for k, line in enumerate(lines[1:], 2)])
        if (np.diff(times) <= 0).any():
            raise BadFile("the times of curves must rise from line to line", received=str(path))
    return Curves(tuple(header[k] for k in kept), values, times, "timecode" in {n.lower() for n in header})


def _number(path: Path, number: int, line: list[str], column: int) -> float:
    try:
        value = float(line[column])
    except (ValueError, IndexError):
        value = float("nan")
    if not np.isfinite(value):
        cell = repr(line[column]) if column < len(line) else "no cell"
        raise BadFile(
            "a cell of the curves is not a finite number",
            received=f"{path}, line {number}, column {column + 1}: {cell}",
        )
    return value
