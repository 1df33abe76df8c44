"""The forms in which programs write landmarks: tables, MeshLab's picked points, point lists, JSON."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import BadFile
from mien.io.text import read_text

NAMES = ("name", "landmark", "label", "point", "id")
VERTEX = "vertex"
VERTICES = (VERTEX, "vertex_index", "vertex index", "vertex_id", "vertex id", "vertexindex", "vertexid")
AXES = ("x", "y", "z")
_UNITS = ("_mm", " (mm)", " [mm]", "_cm", "_m")
_POINT_LISTS = {68: range(68), 51: range(17, 68)}
"""Landmarks in a list without names -> their iBUG numbers; 51 are those without the outline."""
_MOST_BYTES = 10_000_000
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?|[+-]?(nan|inf(inity)?)", re.IGNORECASE)


@dataclass(frozen=True)
class LandmarkEntry:
    """A landmark as written.

    Args:
        name: Its name.
        cells: Its position as three numbers, or the number of its vertex alone; empty where not filled in.
        where: The place in the file, for messages.
    """

    name: str
    cells: tuple[str, ...]
    where: str


def landmark_entries(path: Path) -> list[LandmarkEntry]:
    """The landmarks of a file in any known form, told by its content.

    Args:
        path: A file that exists.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise BadFile(
            "the landmark table is too large", received=f"{path.stat().st_size:,} bytes in {path}",
            remedy="name a table of landmarks, not a mesh",
        )  # fmt: skip
    text = read_text(path, "the landmark table")
    start = text.lstrip()[:400].lower()
    if start.startswith("<"):
        return list(_picked_points(text, path))
    if start.startswith(("{", "[")):
        return list(_json(text, path))
    if start.startswith(("version", "n_points")) or path.suffix.lower() == ".pts":
        return _point_list(text, path)
    return _table(text, path)


def _picked_points(text: str, path: Path) -> Iterator[LandmarkEntry]:
    """MeshLab's ``.pp``: points that are switched off do not count."""
    try:
        if "<!entity" in text.lower():
            raise ElementTree.ParseError
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError):
        raise _unknown(path, "it begins like XML and is damaged") from None
    if root.tag != "PickedPoints":
        raise _unknown(path, f"XML of the kind {root.tag[:40]!r}")
    for number, point in enumerate(root.iter("point"), 1):
        if point.get("active", "1") not in ("0", "false"):
            cells = tuple(point.get(axis, "") for axis in AXES)
            yield LandmarkEntry(point.get("name", "").strip(), cells, f"point {number} of {path}")


def _json(text: str, path: Path) -> Iterator[LandmarkEntry]:
    """A mapping of names to positions or vertex numbers, or a list of tables with a name."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise _unknown(path, "it begins like JSON and is damaged") from None
    while isinstance(found, dict) and isinstance(found.get("landmarks"), (dict, list)):
        found = found["landmarks"]
    items: list[tuple[Any, Any]] = []
    if isinstance(found, dict):
        items = list(found.items())
    elif isinstance(found, list):
        named = [item for item in found if isinstance(item, dict)]
        items = [(next((item[key] for key in NAMES if key in item), ""), item) for item in named]
    if not items:
        raise _unknown(path, "JSON without names")
    for name, value in items:
        yield LandmarkEntry(str(name).strip(), _cells(value), f"{str(name)[:40]!r} of {path}")


def _cells(value: Any) -> tuple[str, ...]:
    """Position or vertex number of a JSON value; three empty cells for null, and damage as it stands."""
    if isinstance(value, dict):
        given = {str(key).lower(): item for key, item in value.items()}
        for key in ("position", "coordinates", *VERTICES):
            if key in given:
                return _cells(given[key])
        value = [given.get(axis, "") for axis in AXES] if any(axis in given for axis in AXES) else str(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return (str(value),)
    if isinstance(value, list) and len(value) == 3:
        return tuple("" if item is None else str(item) for item in value)
    return ("", "", "") if value is None else (str(value)[:80], "", "")


def _point_list(text: str, path: Path) -> list[LandmarkEntry]:
    """A ``.pts`` file, with the header of iBUG or without: rows of three numbers, perhaps named."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    header = ("version", "n_points", "{", "}", "#")
    rows = [(number, line) for number, line in lines if line and not line.lower().startswith(header)]
    if rows and re.fullmatch(r"\d{1,9}", rows[0][1]) and len(rows) == int(rows[0][1]) + 1:
        rows = rows[1:]  # some programs write the count first
    split = [(number, [cell for cell in re.split(r"[\s;]+", line) if cell]) for number, line in rows]
    if any(len(cells) == 2 for _, cells in split):
        raise BadFile(
            "the landmarks have two coordinates each: they lie on a picture, not on a mesh",
            received=str(path), remedy="give x, y and z of each",
        )  # fmt: skip
    return _without_header(split, path)


def _without_header(rows: list[tuple[int, list[str]]], path: Path) -> list[LandmarkEntry]:
    """Rows of three numbers, with a name before or behind them, or of a name and a vertex number."""
    bare = all(len(cells) == 3 and all(map(_NUMBER.fullmatch, cells)) for _, cells in rows)
    numbers = _POINT_LISTS.get(len(rows)) if bare else None
    entries = []
    for place, (number, cells) in enumerate(rows):
        where = f"line {number} of {path}"
        if bare:
            name = f"ibug_{numbers[place]}" if numbers is not None else f"point_{place + 1}"
        else:
            named_last = len(cells) == 4 and not _NUMBER.fullmatch(cells[3])
            name, cells = (cells[3], cells[:3]) if named_last else (cells[0], cells[1:])
        entries.append(LandmarkEntry(name.strip(), tuple(cells), where))
    return entries


def _table(text: str, path: Path) -> list[LandmarkEntry]:
    """A table with a header in any case, or without one, separated by commas, semicolons, tabs or spaces."""
    rows = _rows(text, path)
    first = rows[0][1] if rows else []
    if _is_data(first):
        return _without_header([(line, [cell for cell in cells if cell]) for line, cells in rows], path)
    header = [_column(cell) for cell in first]
    by_vertex = VERTEX in header and AXES[0] not in header
    name = next((header.index(item) for item in NAMES if item in header), None)
    absent = [item for item in ((VERTEX,) if by_vertex else AXES) if item not in header]
    if absent or name is None:
        raise BadFile(
            f"the landmark table has no column {NAMES[0] if name is None else absent[0]!r}",
            received=f"the first line {' '.join(first)[:80]!r}",
            remedy="the first line must be: name,x,y,z or name,vertex",
        )
    places = [header.index(item) for item in ((VERTEX,) if by_vertex else AXES)]
    found = []
    for line, cells in rows[1:]:
        where = f"line {line} of {path}"
        if any(cells[len(header) :]):
            raise BadFile(
                "a row of the landmark table has more cells than the first line",
                received=f"{','.join(cells)[:80]!r} in {where}",
                remedy="write decimal points, or separate cells by semicolons",
            )
        cells += [""] * (len(header) - len(cells))
        found.append(LandmarkEntry(cells[name], tuple(cells[place] for place in places), where))
    return found


def _rows(text: str, path: Path) -> list[tuple[int, list[str]]]:
    """(line, cells) of a table without its empty and comment lines; decimal commas become points."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    lines = [(number, line) for number, line in lines if not line.lstrip().startswith("#")]
    separator = next((item for item in "\t;," if lines and item in lines[0][1]), " ")
    csv.field_size_limit(_MOST_BYTES)
    reader = csv.reader([line for _, line in lines], delimiter=separator, skipinitialspace=True)
    rows = []
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if separator != ",":
                cells = [cell.replace(",", ".") if _NUMBER.fullmatch(cell) else cell for cell in cells]
            rows.append((lines[reader.line_num - 1][0], cells))
    except csv.Error as error:
        raise _unknown(path, str(error)) from None
    return rows


def _column(cell: str) -> str:
    """A column's name in lower case and without a unit; all names of a vertex number become one."""
    plain = cell.strip().lower()
    for unit in _UNITS:
        plain = plain.removesuffix(unit)
    return VERTEX if plain in VERTICES else plain


def _is_data(cells: list[str]) -> bool:
    """Whether a first line is no header: a name at most, else numbers."""
    numbers = [bool(_NUMBER.fullmatch(cell)) for cell in cells if cell]
    return len(numbers) >= 2 and sum(numbers) >= len(numbers) - 1 and any(numbers)


def _unknown(path: Path, what: str) -> BadFile:
    return BadFile(
        "the landmarks are in no form that Mien reads", received=f"{what}: {path}",
        remedy="write a CSV with the columns name, x, y, z or name, vertex; or use .pp, .pts or JSON",
    )  # fmt: skip
