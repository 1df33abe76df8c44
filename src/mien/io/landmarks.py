"""Landmark tables: named points on a scan, as a CSV that opens in a spreadsheet."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, DataMissing
from mien.io.atomic import atomic_file

COLUMNS = ("name", "x", "y", "z")

# Landmarks of a face lie this far apart, in millimeters, from the mouth alone to a whole head.
SMALLEST_MM, LARGEST_MM = 20.0, 600.0


def read_landmarks(
    path: Path | str, *, any_unit: bool = False
) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Reads a table with the columns name, x, y, z; other columns are ignored.

    Args:
        path: A CSV file in UTF-8, separated by commas, semicolons or tabs.
        any_unit: The landmarks lie on a mesh and are in its unit, which need not be millimeters.

    Returns:
        L names, and positions (L, 3) float32, millimeters, in the table's order.

    Raises:
        DataMissing: There is no such file.
        BadFile: A column, name or number is missing, repeated or damaged, or the unit is not millimeters.
    """
    path = Path(path)
    if not path.is_file():
        raise DataMissing("there is no such landmark table", received=str(path), remedy="check the path")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFile(
            "the landmark table is not text", received=str(path), remedy="save it as CSV in UTF-8"
        ) from error
    header, _, _ = text.partition("\n")
    separator = max(",;\t", key=header.count)
    rows = csv.DictReader(io.StringIO(text), delimiter=separator)
    absent = [name for name in COLUMNS if name not in [field.strip() for field in rows.fieldnames or []]]
    if absent:
        raise BadFile(
            f"the landmark table has no column {absent[0]!r}", received=f"the first line {header.strip()!r}",
            remedy="the first line must be: name,x,y,z",
        )  # fmt: skip
    found: dict[str, tuple[float, float, float]] = {}
    for row in rows:
        cells = {str(key).strip(): value for key, value in row.items()}
        name = (cells["name"] or "").strip()
        if not name or name in found:
            raise BadFile(
                "a landmark is named twice" if name else "a landmark has no name",
                received=f"{name!r} in line {rows.line_num} of {path}", remedy="give every landmark one line",
            )  # fmt: skip
        found[name] = _position(cells, f"line {rows.line_num} of {path}")
    positions = np.array(list(found.values()), np.float32).reshape(-1, 3)
    return tuple(found), _checked(positions, path, any_unit)


def write_landmarks(path: Path | str, names: tuple[str, ...], positions: NDArray) -> None:
    """Writes a table that :func:`read_landmarks` reads.

    Args:
        path: Where to.
        names: L names.
        positions: (L, 3) float, millimeters.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for name, position in zip(names, positions, strict=True):
        writer.writerow([name, *(f"{value:.4f}" for value in position)])
    with atomic_file(path) as file:
        file.write(buffer.getvalue().encode())


def _position(cells: dict[str, str | None], where: str) -> tuple[float, float, float]:
    try:
        x, y, z = (float((cells[axis] or "").strip()) for axis in "xyz")
    except ValueError as error:
        received = ",".join(str(cells[axis]) for axis in "xyz")
        raise BadFile(
            "a landmark needs three numbers", received=f"{received!r} in {where}",
            remedy="write x, y, z in millimeters with a decimal point",
        ) from error  # fmt: skip
    if not all(map(math.isfinite, (x, y, z))):
        raise BadFile(
            "a landmark is not finite", received=f"{x}, {y}, {z} in {where}", remedy="measure it again"
        )
    return x, y, z


def _checked(positions: NDArray[np.float32], path: Path, any_unit: bool) -> NDArray[np.float32]:
    """Refuses tables that are empty or cannot be a face in millimeters."""
    if len(positions) < 3:
        raise BadFile(
            "a face needs at least 3 landmarks", received=f"{len(positions)} in {path}", remedy="add some"
        )
    extent = float(np.ptp(positions, axis=0).max())
    if not any_unit and not SMALLEST_MM <= extent <= LARGEST_MM:
        unit, factor = ("meters", 1000) if extent < 1 else ("centimeters", 10)
        guess = f"multiply by {factor} if they are {unit}" if extent < SMALLEST_MM else "check the unit"
        raise BadFile(
            f"landmarks of a face in millimeters span {SMALLEST_MM:g} to {LARGEST_MM:g}",
            received=f"a span of {extent:g} in {path}", remedy=guess,
        )  # fmt: skip
    return positions
