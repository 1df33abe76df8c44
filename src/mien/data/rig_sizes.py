"""How large targets of a rig are made: factors by name, given one by one or as a table."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from mien.data.notation import parse_weights
from mien.errors import BadFile, BadSetting, DataMissing, UnknownName

COLUMNS_OF_SIZES = ("target", "size")
_TABLE = ".csv"
_MOST_BYTES = 2**20  # thousands of targets
LARGEST_SIZE = 100.0
"""Of a target: farther no shape is meant to go."""


def given_sizes(items: Sequence[str], known: Sequence[str]) -> dict[str, float]:
    """``["jawOpen=1.2", "sizes.csv"]`` -> name -> factor; later items win.

    Args:
        items: Each a name with its factor, or a table as :func:`sizes_table` writes it.
        known: E names of the targets.
    """
    sizes: dict[str, float] = {}
    for item in items:
        is_table = "=" not in item and item.lower().endswith(_TABLE)
        found = read_sizes(Path(item), known) if is_table else parse_weights([item], known)
        for name, size in found.items():
            if not 0 <= size <= LARGEST_SIZE:
                raise BadSetting(
                    f"the size of {name!r} is out of range", received=f"{size:g}",
                    remedy=f"give a factor from 0 to {LARGEST_SIZE:g}; 1 is as large as the target comes",
                )  # fmt: skip
        sizes |= found
    return sizes


def read_sizes(path: Path, known: Sequence[str]) -> dict[str, float]:
    """Name -> factor of a table with the columns ``target`` and ``size``.

    Args:
        path: The CSV.
        known: E names of the targets.

    Raises:
        DataMissing: There is no such file.
        BadFile: It has other columns, a name twice, or a size that is no finite number.
        UnknownName: A target is not known.
    """
    if not path.is_file():
        raise DataMissing("the table of sizes does not exist", received=str(path), remedy="check the path")
    if path.stat().st_size > _MOST_BYTES:
        raise BadFile("the table of sizes is too large", received=f"{path.stat().st_size:,} bytes in {path}",
                      remedy="keep one line for each target")  # fmt: skip
    sizes: dict[str, float] = {}
    try:
        rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""))
        if not set(COLUMNS_OF_SIZES) <= set(rows.fieldnames or ()):
            raise BadFile(
                "the table of sizes needs the columns target and size",
                received=f"{path.name}: {rows.fieldnames}", remedy="the first line must be: target,size",
            )  # fmt: skip
        for row in rows:
            name, where = (row["target"] or "").strip(), f"line {rows.line_num} of {path.name}"
            if name not in known:
                raise UnknownName("target", name, known)
            if name in sizes:
                raise BadFile("a target has two sizes", received=f"{name} in {where}", remedy="keep one")
            sizes[name] = _number(row["size"], where)
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadFile("the table of sizes cannot be read", received=f"{path.name}: {error}") from error
    return sizes


def _number(text: str | None, where: str) -> float:
    try:
        size = float(text or "")
    except ValueError:
        size = math.nan
    if not math.isfinite(size):
        raise BadSetting("a size is not a finite number", received=f"{text!r} in {where}")
    return size


def sizes_table(sizes: Mapping[str, float]) -> str:
    """The CSV that :func:`read_sizes` reads."""
    lines = [",".join(COLUMNS_OF_SIZES), *(f"{name},{size:g}" for name, size in sizes.items())]
    return "\n".join(lines) + "\n"


def is_sizes_table(data: bytes) -> bool:
    """Whether the first line of a file names a table of sizes.

    Args:
        data: The file.
    """
    first = data[:200].decode("utf-8-sig", "replace").splitlines()[:1]
    return bool(first) and set(COLUMNS_OF_SIZES) <= {item.strip() for item in first[0].split(",")}
