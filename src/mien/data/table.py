"""samples.csv: one line a face, with its person, place in a clip, labels and weights."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.io.table import LONGEST_CELL

FACTORS = ("identity", "expression")
COLUMNS = ("subject", "clip", "frame", "identity_labeled", "expression_labeled", "texture")


_WHOLE = re.compile(r"-1|[0-9]{1,9}")
_LARGEST_WEIGHT = 1e4
_LONGEST_PATH = 1000  # letters


def header(expressions: Iterable[str], factors: Iterable[str]) -> list[str]:
    """The columns: those of every data set, expression weights, then class and mark of further factors."""
    further = [column for name in factors for column in (name, f"{name}_labeled")]
    return [*COLUMNS, *expressions, *further]


def read_samples(
    path: Path, expressions: Sequence[str], subjects: Sequence[str], factors: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Columns of samples.csv as arrays; raises ValueError with the line on a bad cell."""
    number = {name: index for index, name in enumerate(subjects)}
    columns_wanted = header(expressions, factors)
    with path.open(newline="", encoding="utf-8") as file:
        csv.field_size_limit(LONGEST_CELL)
        reader = csv.reader(file)
        try:
            found = next(reader, [])
            if found != columns_wanted:
                raise ValueError(f"unexpected columns in samples.csv: {', '.join(found[:8])[:120]}")
            lines = list(reader)
        except csv.Error as error:
            raise ValueError(f"line {reader.line_num} of samples.csv: {error}") from error
    for line, cells in enumerate(lines, start=2):
        if len(cells) != len(found) or cells[0] not in number:
            raise ValueError(f"line {line} of samples.csv is incomplete or names an unknown subject")
    columns: list[tuple[str, ...]] = list(zip(*lines, strict=True)) if lines else [()] * len(found)
    table = dict(zip(columns_wanted[: len(COLUMNS)], columns, strict=False))
    weights = columns[len(COLUMNS) : len(COLUMNS) + len(expressions)]
    further = dict(
        zip(columns_wanted[len(COLUMNS) + len(expressions) :], columns[len(found) - 2 * len(factors) :])
    )
    marks = {name: table[f"{name}_labeled"] for name in FACTORS}
    marks |= {name: further[f"{name}_labeled"] for name in factors}
    return {
        "subject": np.array([number[name] for name in columns[0]], np.int32),
        "clip": _whole(table["clip"], "clip"),
        "frame": _whole(table["frame"], "frame"),
        "labeled": {name: _whole(mark, f"{name}_labeled") > 0 for name, mark in marks.items()},
        "textures": _textures(table["texture"]),
        "weights": _weights(weights, expressions, len(lines)),
        "factors": {name: tuple(names) for name, names in factors.items()},
        "classes": {name: _classes(further[name], names) for name, names in factors.items()},
    }  # fmt: skip


def _whole(cells: Sequence[str], column: str) -> NDArray[np.int32]:
    """(n,) whole numbers from -1 on; ValueError with the line of the first cell that is none."""
    for line, cell in enumerate(cells, start=2):
        if not _WHOLE.fullmatch(cell):
            what = f"{cell[:40]!r} as {column}, which is no whole number from -1 on"
            raise ValueError(f"line {line} of samples.csv has {what}")
    return np.array([int(cell) for cell in cells], np.int32)


def _weights(columns: Sequence[Sequence[str]], names: Sequence[str], count: int) -> NDArray[np.float32]:
    """(n, E) weights; ValueError with the line and column of the first that is no number in range."""
    found = np.array(columns, np.float64).reshape(-1, count).T
    sound = np.abs(found) <= _LARGEST_WEIGHT
    if not sound.all():
        row, column = np.argwhere(~sound)[0]
        raise ValueError(f"line {row + 2} of samples.csv has {found[row, column]} as {names[column]!r}")
    return np.ascontiguousarray(found, np.float32)


def _textures(cells: Sequence[str]) -> tuple[str, ...] | None:
    """Paths of pictures, empty for rows without one; None where no row has one."""
    for line, cell in enumerate(cells, start=2):
        if len(cell) > _LONGEST_PATH or "\0" in cell:
            raise ValueError(f"line {line} of samples.csv names a texture by {len(cell)} letters")
    return tuple(cells) if any(cells) else None


def _classes(cells: Sequence[str], names: Sequence[str]) -> Any:
    place = {name: index for index, name in enumerate(names)}
    unknown = [cell for cell in cells if cell not in place]
    if unknown:
        raise ValueError(f"samples.csv names a class {unknown[0]!r} that dataset.json does not list")
    return np.array([place[cell] for cell in cells], np.int32)
