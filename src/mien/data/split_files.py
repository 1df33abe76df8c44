"""Split files: who trains, validates and tests, as a CSV that anybody can read, write and publish.

Columns ``person`` and ``part``; a third one, ``row``, where scans and not people are divided. ``part`` is
``train``, ``validation``, ``test``, or ``none`` for people who are left out. A line without a person says
that a part is empty on purpose.
"""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.splits import LISTED, PARTS
from mien.errors import BadFile, DataMissing, UnknownName
from mien.io.table import table_cells

SPLIT = "split.csv"
"""The file in every run folder."""
COLUMNS = ("person", "part")
OUT = "none"
SHIPPED = Path(__file__).parent.parent / "splits"
"""Lists that come with Mien: those of publications, and of standard sets."""

_HOW = "every run keeps a valid one as split.csv"


def split_names() -> list[str]:
    """Names of the lists that come with Mien, e.g. ``gu2023_facescape``."""
    return sorted(path.stem for path in SHIPPED.glob("*.csv"))


def with_split(data: FaceDataset, source: Path | str) -> tuple[FaceDataset, str]:
    """The data set with a division that a file lists, and the name by which protocols call it.

    Args:
        data: The whole data set.
        source: A file, or a name of :func:`split_names`.

    Returns:
        The same data, and ``listed-`` with a hash of the list: equal lists have equal names.

    Raises:
        DataMissing: There is no such file and no such list.
        BadFile: It is no split file of this data: a person is in two parts, unknown or not mentioned, or a
            part is empty.
        UnknownName: A part that there is not.
    """
    path = _found(source)
    lines = _lines(path)
    by_row = len(lines[0]) == 3
    parts = _by_row(path, lines, data) if by_row else _by_person(path, lines, data)
    silent = {line[1] for line in lines if not line[0]}
    for number, part in enumerate(PARTS):
        if part not in silent and not (parts == number).any():
            raise BadFile(
                f"the split file leaves the part {part!r} empty", received=str(path),
                remedy=f"give it people, or a line without a person (,{part}) if nobody is meant",
            )  # fmt: skip
    name = LISTED + hashlib.sha256(np.ascontiguousarray(parts).tobytes()).hexdigest()[:12]
    return replace(data, listed={**data.listed, name: parts}), name


def split_text(data: FaceDataset, *, protocol: str = "subject", seed: int = 0) -> str:
    """The split file of a named division; by rows where somebody is in two parts.

    Args:
        data: The whole data set.
        protocol: How it is divided.
        seed: Which of the random divisions.
    """
    part = np.full(len(data.subject), -1, np.int8)
    for number, name in enumerate(PARTS):
        part[data.split(name, protocol=protocol, seed=seed).rows] = number
    names = {-1: OUT, **dict(enumerate(PARTS))}
    people = np.unique(data.subject)
    first, last = np.full(len(data.subjects), 9), np.full(len(data.subjects), -9)
    np.minimum.at(first, data.subject, part)
    np.maximum.at(last, data.subject, part)
    by_row = bool((first[people] != last[people]).any())
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow((*COLUMNS, "row") if by_row else COLUMNS)
    for name in PARTS:
        if not (part == PARTS.index(name)).any():
            table.writerow(("", name, "") if by_row else ("", name))
    if by_row:
        numbers = enumerate(zip(data.subject, part, strict=True))
        table.writerows((data.subjects[who], names[int(where)], row) for row, (who, where) in numbers)
    else:
        table.writerows((data.subjects[who], names[int(first[who])]) for who in people)
    return text.getvalue()


def _found(source: Path | str) -> Path:
    path = Path(source)
    if path.is_file():
        return path
    if path.suffix.lower() == ".csv" or path.parent != Path("."):
        raise DataMissing("the split file does not exist", received=str(source), remedy="check the path")
    if str(source) not in split_names():
        raise UnknownName("split", str(source), split_names())
    return SHIPPED / f"{source}.csv"


def _lines(path: Path) -> list[list[str]]:
    """The lines below the header, all of one length and with a part that there is."""
    (_, header), *lines = table_cells(path, "the split file") or [(0, [])]
    if tuple(header) not in (COLUMNS, (*COLUMNS, "row")) or not lines:
        raise BadFile(
            "a split file has the columns person and part, and a line a person",
            received=f"{', '.join(header[:5])[:200]} in {path}", remedy=_HOW,
        )  # fmt: skip
    for number, line in lines:
        if len(line) != len(header):
            raise BadFile(f"line {number} of the split file is incomplete", received=str(path), remedy=_HOW)
        if line[1] not in (*PARTS, OUT):
            raise UnknownName(f"part in line {number} of {path}", line[1][:80], (*PARTS, OUT))
    return [line for _, line in lines]


def _by_person(path: Path, lines: list[list[str]], data: FaceDataset) -> NDArray[np.int8]:
    number = {name: index for index, name in enumerate(data.subjects)}
    given: dict[str, str] = {}
    for person, part in (line for line in lines if line[0]):
        _known(path, person, number)
        if person in given:
            twice = "puts a person in two parts" if given[person] != part else "names a person twice"
            raise BadFile(
                f"the split file {twice}", received=f"{person} in {path}", remedy="keep one of the lines"
            )
        given[person] = part
    shown = [data.subjects[index] for index in np.unique(data.subject)]
    missing = [name for name in shown if name not in given]
    if missing:
        raise BadFile(
            "the split file does not mention a person of the data",
            received=f"{missing[0]}, one of {len(missing)}, in {path}",
            remedy=f"give everybody a part, {OUT} for who is left out",
        )  # fmt: skip
    of = np.array([_index(given.get(name, OUT)) for name in data.subjects], np.int8)
    return of[data.subject]


def _by_row(path: Path, lines: list[list[str]], data: FaceDataset) -> NDArray[np.int8]:
    number = {name: index for index, name in enumerate(data.subjects)}
    parts = np.full(len(data.subject), -9, np.int8)
    for person, part, cell in (line for line in lines if line[0]):
        _known(path, person, number)
        row = int(cell) if cell.isdecimal() and len(cell) < 12 else -1
        if not 0 <= row < len(parts) or data.subject[row] != number[person] or parts[row] != -9:
            raise BadFile(
                "a row of the split file comes twice, or is not one of this person",
                received=f"{person}, row {cell}, in {path}", remedy="use the list of the same data set",
            )  # fmt: skip
        parts[row] = _index(part)
    if (parts == -9).any():
        raise BadFile(
            "the split file does not mention a row of the data",
            received=f"row {int(np.argmin(parts))}, one of {(parts == -9).sum()}, in {path}",
            remedy="use the list of the same data set",
        )  # fmt: skip
    return parts


def _known(path: Path, person: str, number: dict[str, int]) -> None:
    if person not in number:
        listed = ", ".join(list(number)[:3])
        raise BadFile(
            "the split file names a person whom the data does not have", received=f"{person} in {path}",
            remedy=f"people of the data are called {listed} and so on; remove the line, or use another list",
        )  # fmt: skip


def _index(part: str) -> int:
    return -1 if part == OUT else PARTS.index(part)
