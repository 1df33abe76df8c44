"""samples.csv: one line a face, with its person, place in a clip, labels and weights."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FACTORS = ("identity", "expression")
COLUMNS = ("subject", "clip", "frame", "identity_labeled", "expression_labeled", "texture")


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
        reader = csv.reader(file)
        found = next(reader, [])
        if found != columns_wanted:
            raise ValueError(f"unexpected columns in samples.csv: {found[:8]}")
        lines = list(reader)
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
        "clip": np.array(table["clip"], np.int32),
        "frame": np.array(table["frame"], np.int32),
        "labeled": {name: np.array(mark, np.int32) > 0 for name, mark in marks.items()},
        "textures": table["texture"] if any(table["texture"]) else None,
        "weights": np.ascontiguousarray(np.array(weights, np.float32).reshape(-1, len(lines)).T),
        "factors": {name: tuple(names) for name, names in factors.items()},
        "classes": {name: _classes(further[name], names) for name, names in factors.items()},
    }  # fmt: skip


def _classes(cells: Sequence[str], names: Sequence[str]) -> Any:
    place = {name: index for index, name in enumerate(names)}
    unknown = [cell for cell in cells if cell not in place]
    if unknown:
        raise ValueError(f"samples.csv names a class {unknown[0]!r} that dataset.json does not list")
    return np.array([place[cell] for cell in cells], np.int32)
