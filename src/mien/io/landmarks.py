"""Landmarks: named points on a scan, read in any common form, written as a CSV for a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, DataMissing
from mien.io.atomic import atomic_file
from mien.io.landmark_forms import LandmarkEntry, landmark_entries
from mien.io.record import Mesh

COLUMNS = ("name", "x", "y", "z")

# Landmarks of a face lie this far apart, in millimeters, from the mouth alone to a whole head.
SMALLEST_MM, LARGEST_MM = 20.0, 600.0


def read_landmarks(
    path: Path | str, *, any_unit: bool = False, mesh: Mesh | None = None
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Reads named points in any common form; see ``docs/your_own_head.md``.

    A landmark without a position, as in a table that was filled in part, is left out.

    Forms: a CSV with the columns name, x, y, z or name, vertex (commas, semicolons or tabs, decimal points
    or commas, any case, with or without a header), MeshLab's ``.pp``, ``.pts``, and a JSON mapping.

    Args:
        path: The file.
        any_unit: The landmarks lie on a mesh and are in its unit, which need not be millimeters.
        mesh: What vertex numbers, counted from 0, belong to; None where there are only positions.

    Returns:
        L names, and positions (L, 3) float64 in the table's order: millimeters, or the mesh's own unit.

    Raises:
        DataMissing: There is no such file.
        BadFile: A column, name or number is missing, repeated or damaged, or the unit is not millimeters.
    """
    path = Path(path)
    if not path.is_file():
        raise DataMissing("there is no such landmark table", received=str(path), remedy="check the path")
    found: dict[str, NDArray[np.float64]] = {}
    empty = set[str]()
    for entry in landmark_entries(path):
        if not entry.name or entry.name in found or entry.name in empty:
            raise BadFile(
                "a landmark is named twice" if entry.name else "a landmark has no name",
                received=f"{entry.name[:80]!r} in {entry.where}", remedy="give every landmark one line",
            )  # fmt: skip
        if not any(entry.cells):
            empty.add(entry.name)
        else:
            found[entry.name] = _of_vertex(entry, mesh) if len(entry.cells) == 1 else _position(entry)
    positions = np.array(list(found.values()), np.float64).reshape(-1, 3)
    return tuple(found), _checked(positions, len(empty), path, any_unit)


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


def _position(entry: LandmarkEntry) -> NDArray[np.float64]:
    try:
        position = np.array([float(cell.replace(",", ".")) for cell in entry.cells])
        if len(position) != 3:
            raise ValueError
    except ValueError as error:
        raise BadFile(
            "a landmark needs three numbers",
            received=f"{','.join(entry.cells)[:80]!r} in {entry.where}",
            remedy="write x, y, z in millimeters with a decimal point",
        ) from error
    if not np.isfinite(position).all():
        raise BadFile(
            "a landmark is not finite", received=f"{', '.join(entry.cells)} in {entry.where}",
            remedy="measure it again",
        )  # fmt: skip
    return position


def _of_vertex(entry: LandmarkEntry, mesh: Mesh | None) -> NDArray[np.float64]:
    """(3,) where a vertex lies that a landmark names by its number."""
    if mesh is None:
        raise BadFile(
            "landmarks by vertex number need the mesh that they belong to", received=entry.where,
            remedy="give the positions x, y, z",
        )  # fmt: skip
    return np.asarray(mesh.placed[vertex_number(entry, len(mesh.vertices))], np.float64)


def vertex_number(entry: LandmarkEntry, count: int) -> int:
    """The vertex that a landmark names.

    Args:
        entry: The landmark.
        count: V, how many vertices there are.
    """
    text = entry.cells[0].removesuffix(".0")
    if len(entry.cells) != 1 or not re.fullmatch(r"[0-9]{1,9}", text) or int(text) >= count:
        raise BadFile(
            f"a landmark is no vertex from 0 to {count - 1}",
            received=f"{','.join(entry.cells)[:80]!r} in {entry.where}",
            remedy="give the number of a vertex, counted from 0",
        )
    return int(text)


def _checked(positions: NDArray[np.float64], empty: int, path: Path, any_unit: bool) -> NDArray[np.float64]:
    """Refuses tables that are empty, too few of whose rows are filled, or that are no face in millimeters."""
    if len(positions) < 3:
        filled = f" of {len(positions) + empty} filled" if empty else ""
        raise BadFile(
            "a face needs at least 3 landmarks", received=f"{len(positions)}{filled} in {path}",
            remedy="fill in more" if empty else "add some",
        )  # fmt: skip
    extent = float(np.ptp(positions, axis=0).max())
    if not any_unit and not SMALLEST_MM <= extent <= LARGEST_MM:
        unit, factor = ("meters", 1000) if extent < 1 else ("centimeters", 10)
        guess = f"multiply by {factor} if they are {unit}" if extent < SMALLEST_MM else "check the unit"
        raise BadFile(
            f"landmarks of a face in millimeters span {SMALLEST_MM:g} to {LARGEST_MM:g}",
            received=f"a span of {extent:g} in {path}", remedy=guess,
        )  # fmt: skip
    return positions
