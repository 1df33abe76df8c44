"""The table beside a folder of meshes: which file shows whom, doing what."""

from __future__ import annotations

import csv
import difflib
import math
from dataclasses import dataclass, field
from pathlib import Path

from mien.errors import BadFile, DataMissing
from mien.io.text import read_text

COLUMNS = ("file", "subject", "expression", "weight", "clip", "frame", "texture")
NEUTRAL_NAMES = ("", "neutral")
UNLABELED = "?"
LARGEST_WEIGHT = 10.0
"""Intensities of action units go up to 5; what is above this is a percentage."""
_LONGEST_CELL, _MOST_COLUMNS = 1_000_000, 1000


@dataclass
class LabeledFile:
    """All that the table says about one mesh file.

    Args:
        file: Path relative to the folder.
        line: First line of the table that names it.
        subject: Name of the person; ``?`` when unknown.
        weights: Expression -> weight; empty is neutral.
        labeled: Whether the expression is known.
        clip: Name of the clip, empty for a single scan.
        frame: Frame number in the clip.
        texture: Path of its texture image relative to the folder, empty for none.
    """

    file: str
    line: int
    subject: str
    weights: dict[str, float] = field(default_factory=dict)
    labeled: bool = True
    clip: str = ""
    frame: int = 0
    texture: str = ""


@dataclass
class LabelTable:
    """The rows of a table by file, in order, and what was noticed while reading.

    Args:
        path: Where it was read.
        files: One entry a mesh file.
        notes: Sentences for the user, such as columns that were ignored.
    """

    path: Path
    files: list[LabeledFile]
    notes: list[str]

    @property
    def expressions(self) -> tuple[str, ...]:
        """Names of all expressions, in order of appearance."""
        return tuple(dict.fromkeys(name for entry in self.files for name in entry.weights))


def find_table(folder: Path) -> Path:
    """The CSV of a folder: the only one, or ``labels.csv``; ``landmarks.csv`` does not count."""
    # Names with a dot in front are what macOS puts beside files in archives.
    tables = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() == ".csv"
        and path.name.lower() != "landmarks.csv"
        and not path.name.startswith(".")
    ]
    preferred = [path for path in tables if path.name.lower() == "labels.csv"]
    if len(tables) == 1 or preferred:
        return (preferred or tables)[0]
    raise DataMissing(
        "the folder needs one CSV that labels its meshes",
        received=f"{len(tables)} CSV files in {folder}",
        remedy=f"write labels.csv with the columns {', '.join(COLUMNS)}, or name the table with --table",
    )


def read_table(path: Path) -> LabelTable:
    """Reads a label table, separated by commas, semicolons or tabs, in any usual encoding.

    Columns: ``file`` and ``subject`` are needed; ``expression``, ``weight``, ``clip``, ``frame`` and
    ``texture`` may be left out. An expression is a name with its weight in the next column, or
    ``smile=0.7;jaw_open=0.2``; several rows of one file add up. Empty or ``neutral`` is the neutral, ``?``
    means that nobody labeled it.
    """
    if not path.is_file():
        raise DataMissing("there is no such label table", received=str(path), remedy="check the path")
    lines = read_text(path, "the label table").splitlines()
    header = lines[0] if lines else ""
    # A semicolon may also stand inside an expression, so a comma in the header decides.
    separator = "," if "," in header else max(";\t", key=header.count)
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(lines, delimiter=separator)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(cells)]
    except csv.Error as error:
        raise BadFile(
            "the label table is damaged", received=f"{error} in line {reader.line_num} of {path.name}",
            remedy="a quotation mark may be open: save it as CSV again",
        ) from error  # fmt: skip
    columns = [name.lower() for name in rows[0][1]] if rows else []
    while columns and not columns[-1]:  # a spreadsheet's empty columns
        columns.pop()
    notes = _check_columns(columns, path)
    files: dict[str, LabeledFile] = {}
    for line, cells in rows[1:]:
        where = f"line {line} of {path.name}"
        if not any(cells):
            continue
        if len(cells) < len(columns) or any(cells[len(columns) :]):
            received = f"{len(cells)} cells under {len(columns)} columns in {where}"
            raise BadFile("a row of the label table is incomplete", received=received, remedy="complete it")
        _add_row(files, dict(zip(columns, cells, strict=False)), line, where)
    if not files:
        raise BadFile(
            "the label table names no mesh", received=str(path), remedy="add a row for every mesh file"
        )
    return LabelTable(path, list(files.values()), notes)


def _check_columns(columns: list[str], path: Path) -> list[str]:
    """Refuses missing, misspelled and too many columns; notes the ones that are ignored."""
    if len(columns) > _MOST_COLUMNS:
        raise BadFile(
            "the label table has too many columns", received=f"{len(columns):,} in {path}",
            remedy=f"known columns: {', '.join(COLUMNS)}",
        )  # fmt: skip
    for needed in ("file", "subject"):
        if needed not in columns:
            raise BadFile(
                f"the label table has no column {needed!r}",
                received=f"the columns {', '.join(columns) or 'none'} in {path}",
                remedy=f"known columns: {', '.join(COLUMNS)}",
            )
    extra = [name for name in columns if name not in COLUMNS]
    for name in filter(None, extra):
        near = difflib.get_close_matches(name, [known for known in COLUMNS if known not in columns], 1, 0.75)
        if near:
            raise BadFile(
                f"unknown column {name!r} in the label table",
                received=str(path),
                remedy=f"did you mean {near[0]!r}?",
            )
    named = [name for name in columns if name]
    if len(set(named)) < len(named):
        raise BadFile("a column of the label table appears twice", received=", ".join(columns))
    ignored = ", ".join(repr(name) for name in extra if name)
    return [f"ignored the columns {ignored} of {path.name}"] if ignored else []


def _add_row(files: dict[str, LabeledFile], row: dict[str, str], line: int, where: str) -> None:
    """Adds one row to its file's entry; rows of one file must agree on the person and the place in a clip."""
    if not row["file"] or not row["subject"]:
        empty = "file" if not row["file"] else "subject"
        raise BadFile(
            f"a row has no {empty}", received=where, remedy=f"fill it in, or write {UNLABELED!r} for unknown"
        )
    frame = _number(row.get("frame", "") or "0", "frame", where)
    if frame != int(frame) or frame < 0:
        raise BadFile(
            "a frame is not a whole number", received=f"{row['frame']!r} in {where}", remedy="count from 0"
        )
    # Tables from Windows separate folders by backslashes.
    for column in ("file", "texture"):
        row[column] = row.get(column, "").replace("\\", "/")
    entry = LabeledFile(
        row["file"], line, row["subject"], clip=row.get("clip", ""), frame=int(frame),
        texture=row.get("texture", ""),
    )  # fmt: skip
    known = files.setdefault(row["file"], entry)
    same = ("subject", "clip", "frame", "texture")
    if any(getattr(known, name) != getattr(entry, name) for name in same):
        raise BadFile(
            f"two rows disagree on the subject, clip, frame or texture of {row['file']!r}",
            received=f"lines {known.line} and {line}",
            remedy="give a file one person and one place in one clip",
        )
    if row.get("expression", "") == UNLABELED:
        known.labeled = False
    for name, weight in _weights(row, where).items():
        known.weights[name] = known.weights.get(name, 0.0) + weight


def _weights(row: dict[str, str], where: str) -> dict[str, float]:
    """The named weights of one row."""
    text = row.get("expression", "")
    if text.lower() in NEUTRAL_NAMES or text == UNLABELED:
        _weight(row.get("weight", "") or "1", where)
        return {}
    if "=" not in text:
        weight = _weight(row.get("weight", "") or "1", where)
        return {text: weight} if weight else {}
    parts = [part.partition("=") for part in text.split(";") if part.strip()]
    pairs = {name.strip(): _weight(value.strip(), where) for name, _, value in parts}
    if "" in pairs:
        raise BadFile("a weight has no expression", received=f"{text!r} in {where}", remedy="write smile=0.7")
    return {name: weight for name, weight in pairs.items() if weight}


def _number(text: str, what: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise BadFile(
            f"a {what} is no number from 0 up", received=f"{text[:80]!r} in {where}", remedy="write 0.7"
        )
    return value


def _weight(text: str, where: str) -> float:
    """A weight, of which 1 is the whole expression."""
    value = _number(text, "weight", where)
    if value > LARGEST_WEIGHT:
        raise BadFile(
            f"a weight is above {LARGEST_WEIGHT:g}, where 1 is the whole expression",
            received=f"{text[:80]!r} in {where}",
            remedy="divide percentages by 100",
        )
    return value
