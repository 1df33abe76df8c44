"""Small tables that people write by hand: rows by the names of their columns, in any usual encoding."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.errors import BadFile, DataMissing
from mien.io.text import read_text
from mien.limits import LARGEST_NUMBER

MOST_TABLE_BYTES = 50_000_000
MOST_TABLE_LINES = 1_000_000
LONGEST_CELL = 131_072  # letters


@dataclass(frozen=True)
class TableRow:
    """A line of a table below its header.

    Args:
        cells: Column -> cell, without white space around it; empty where the line has none.
        where: The place in the file, for messages.
    """

    cells: dict[str, str]
    where: str

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")

    def number(self, column: str, default: float | None = None, most: float = LARGEST_NUMBER) -> float:
        """A finite number of a cell; the default where it is empty.

        Args:
            column: Its name.
            default: For an empty cell.
            most: How large it may be, its sign aside.

        Raises:
            BadFile: It is none, too large, or empty and there is no default.
        """
        cell = self[column]
        if not cell and default is not None:
            return default
        try:
            value = float(cell)
        except ValueError:
            value = float("nan")
        if not np.isfinite(value):
            raise BadFile(
                f"the column {column!r} needs a finite number", received=f"{cell[:80]!r} in {self.where}"
            )
        if abs(value) > most:
            raise BadFile(
                f"the column {column!r} has a number that is too large", remedy=f"give {most:,g} at most",
                received=f"{cell[:80]!r} in {self.where}",
            )  # fmt: skip
        return value


def table_rows(path: Path, what: str, needed: Sequence[str], remedy: str) -> list[TableRow]:
    """The rows of a table separated by commas, semicolons or tabs; empty lines and comments are left out.

    Args:
        path: The table.
        what: What it is, for messages: ``the table of names``.
        needed: Columns that it must have; there may be others.
        remedy: What to write, if one is missing.

    Raises:
        DataMissing: There is no such file.
        BadFile: It is no table, too large, lacks a column or has one twice, or a line has cells too many.
    """
    rows = table_cells(path, what)
    header = rows[0][1] if rows else []
    while header and not header[-1]:  # a spreadsheet's empty columns
        header.pop()
    if not set(needed) <= set(header):
        raise BadFile(f"{what} needs the columns {', '.join(needed)}", remedy=remedy,
                      received=f"{path}: {', '.join(header)[:120] or 'nothing'}")  # fmt: skip
    if twice := [name for name, count in Counter(header).items() if count > 1]:
        raise BadFile(f"{what} has a column twice", received=f"{twice[0][:80]!r} in {path}", remedy=remedy)
    found = []
    for line, cells in rows[1:]:
        where = f"line {line} of {path}"
        if any(cells[len(header) :]):
            received = f"{len(cells)} cells under {len(header)} columns in {where}"
            raise BadFile(f"a line of {what} has more cells than the first", received=received)
        found.append(TableRow(dict(zip(header, cells)), where))
    return found


def table_cells(path: Path, what: str) -> list[tuple[int, list[str]]]:
    """(line, cells without white space around them) of a table's lines that are neither empty nor comments.

    Args:
        path: The table.
        what: What it is, for messages.

    Raises:
        DataMissing: There is no such file.
        BadFile: It is no table, or too large.
    """
    if not path.is_file():
        raise DataMissing(f"{what} does not exist", received=str(path), remedy="check the path")
    if path.stat().st_size > MOST_TABLE_BYTES:
        received = f"{path.stat().st_size:,} bytes in {path}"
        raise BadFile(f"{what} is too large", received=received, remedy="name a table")
    text = read_text(path, what)
    if text.count("\n") > MOST_TABLE_LINES:
        raise BadFile(f"{what} is too large", remedy="name a table",
                      received=f"{text.count(chr(10)):,} lines in {path}")  # fmt: skip
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1)
             if line.strip(" \t,;") and not line.startswith("#")]  # fmt: skip
    header = lines[0][1] if lines else ""
    separator = "," if "," in header else max(";\t", key=header.count)
    csv.field_size_limit(LONGEST_CELL)  # one limit for the whole process: each reader says its own
    reader = csv.reader((line for _, line in lines), delimiter=separator, strict=False)
    rows = []
    try:
        for cells in reader:
            rows.append((lines[reader.line_num - 1][0], [cell.strip() for cell in cells]))
    except csv.Error as error:
        raise BadFile(f"{what} is damaged", received=f"{error} in {path}",
                      remedy="a quotation mark may be open: save it as CSV again") from error  # fmt: skip
    return rows


def is_frame(cell: str) -> bool:
    """Whether a cell is the number of a frame: digits, and not more than a recording has."""
    return cell.isascii() and cell.isdigit() and len(cell) < 10
