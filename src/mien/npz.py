"""Arrays out of ``.npz`` and ``.npy`` files of others: their size is known before anything is unpacked."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile
from mien.limits import unpacked_limit

MOST_MEMBERS = 4096
_LONGEST_HEAD, _PIECE = 4096, 2**18
_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class ArrayHead(NamedTuple):
    """What a file says of an array.

    Args:
        shape: Its shape.
        kind: Of its numbers or texts.
        order: In which it lies in the file: ``C``, the last axis runs fastest, or ``F``, the first does.
        start: The bytes before its numbers.
    """

    shape: tuple[int, ...]
    kind: np.dtype
    order: Literal["C", "F"]
    start: int


def array_heads(path: Path, what: str, remedy: str) -> dict[str, ArrayHead]:
    """Name of each array of a file -> what its head says; nothing is unpacked.

    Args:
        path: An ``.npz`` file.
        what: What it is, for messages: ``the topology file``.
        remedy: What to do about a damaged one.

    Raises:
        BadFile: It is no such file, a head does not fit what follows it, or it unpacks to far too much.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {name: head for name, (_, head) in _heads(archive, path.stat().st_size).items()}
    except Exception as error:  # zipfile, zlib, tokenize and numpy each raise their own kinds
        raise _damaged(error, path, what, remedy) from error


def read_npz(
    path: Path, what: str, remedy: str, names: Iterable[str] | None = None
) -> dict[str, NDArray]:  # fmt: skip
    """Name -> array, of any shape, of an ``.npz`` file without pickled objects.

    Args:
        path: An ``.npz`` file.
        what: What it is, for messages: ``the topology file``.
        remedy: What to do about a damaged one.
        names: The arrays to read; None for all.

    Raises:
        BadFile: It is no such file, lacks an array, a head does not fit what follows it, or it unpacks to far
            too much.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            found = _heads(archive, path.stat().st_size)
            wanted = list(found) if names is None else list(names)
            if absent := [name for name in wanted if name not in found]:
                raise ValueError(f"it has no array {absent[0]!r}")
            return {name: _array(archive, *found[name]) for name in wanted}
    except Exception as error:  # zipfile, zlib, tokenize and numpy each raise their own kinds
        raise _damaged(error, path, what, remedy) from error


def open_array(path: Path, kind: np.dtype) -> NDArray:
    """An array of any shape in a ``.npy`` file, memory-mapped.

    Args:
        path: A ``.npy`` file.
        kind: Of its numbers.

    Raises:
        ValueError: It is no such file, holds other numbers, or is not as long as its head says.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            head = _head(file, path.name, size)
    except OSError:
        raise
    except Exception as error:  # numpy and tokenize each raise their own kinds
        raise ValueError((str(error).splitlines() or [type(error).__name__])[0][:160]) from error
    if head.kind != kind:
        raise ValueError(f"{path.name} holds {head.kind}, not {kind}")
    if not size or not prod(head.shape):
        return np.zeros(head.shape, kind)
    return np.memmap(path, kind, "r", head.start, head.shape, head.order)


def _damaged(error: Exception, path: Path, what: str, remedy: str) -> BadFile:
    why = (str(error).splitlines() or [type(error).__name__])[0][:160]
    return BadFile(f"{what} is damaged or no .npz file of numbers", received=f"{path}: {why}", remedy=remedy)


def _heads(archive: zipfile.ZipFile, size: int) -> dict[str, tuple[zipfile.ZipInfo, ArrayHead]]:
    """Name -> the member and its head, all checked."""
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        raise ValueError(f"it has {len(members)} members")
    unpacked = sum(member.file_size for member in members)
    if unpacked > unpacked_limit(size):
        raise ValueError(f"{size} bytes claim to unpack to {unpacked}")
    found: dict[str, tuple[zipfile.ZipInfo, ArrayHead]] = {}
    for member in members:
        name = member.filename.removesuffix(".npy")
        if name in found:
            raise ValueError(f"it has two arrays {name!r}")
        with archive.open(member) as file:
            found[name] = member, _head(file, member.filename, member.file_size)  # type: ignore[arg-type]
    return found


def _head(file: BinaryIO, name: str, size: int) -> ArrayHead:
    """What an array's head says; ValueError where the array is not as long as that."""
    version = np.lib.format.read_magic(file)
    if version not in _READERS:
        raise ValueError(f"{name!r} has a head of version {version}")
    shape, columns_first, kind = _READERS[version](file, max_header_size=_LONGEST_HEAD)
    if kind.hasobject or kind.fields is not None or kind.kind not in "biufcSU":
        raise ValueError(f"{name!r} holds {kind}, neither numbers nor texts")
    start = file.tell()
    follows = size - start
    if min(shape, default=0) < 0 or prod(shape) * kind.itemsize != follows:
        raise ValueError(f"{name!r} claims {kind} {shape}, and {follows} bytes follow")
    return ArrayHead(shape, kind, "F" if columns_first else "C", start)


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, head: ArrayHead) -> NDArray:
    data = np.empty(member.file_size, np.uint8)
    filled = 0
    with archive.open(member) as file:  # its checksum is compared where it ends
        while piece := file.read(_PIECE):
            data[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
            filled += len(piece)
    if filled < len(data):
        raise ValueError(f"{member.filename!r} ends after {filled} of {len(data)} bytes")
    array: NDArray = np.ndarray(head.shape, head.kind, data[head.start :], order=head.order)
    return np.require(array, requirements="A")
