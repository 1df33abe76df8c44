"""What a .glb, .vrm or .gltf file is made of: its JSON, its binary chunk and the files that it names."""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote

from mien.errors import BadFile, DataMissing
from mien.io.bounds import depth_of

_JSON, _BINARY = 0x4E4F534A, 0x004E4942
_MOST_BYTES = 2**31  # of one file that a .gltf names
_DEEPEST = 128  # levels of nesting; real files have about ten, and parsers recurse


class Container(NamedTuple):
    """The parts of a file.

    Args:
        text: Its JSON.
        binary: The binary chunk, or None.
        rest: Chunks of other kinds behind it, as they stand.
    """

    text: bytes
    binary: bytes | None
    rest: bytes


def read_container(path: Path) -> Container:
    """Splits a file into its parts; nothing is interpreted.

    Args:
        path: A ``.glb``, ``.vrm`` or ``.gltf`` file.
    """
    data = path.read_bytes()
    if path.suffix.lower() == ".gltf" and not data.startswith(b"glTF"):
        return Container(data.removeprefix(b"\xef\xbb\xbf"), None, b"")
    damaged = BadFile(f"{path.name!r} is cut off or not a GLB file", received=f"{len(data)} bytes",
                      remedy="copy or export it again")  # fmt: skip
    if len(data) < 20 or data[:4] != b"glTF":
        raise damaged
    version, total, size, kind = struct.unpack_from("<IIII", data, 4)
    if version != 2 or total != len(data) or kind != _JSON or 20 + size > total:
        raise damaged
    text, end = data[20 : 20 + size], 20 + size
    if total < end + 8:
        return Container(text, None, b"")
    length, kind = struct.unpack_from("<II", data, end)
    if kind != _BINARY:
        return Container(text, None, data[end:])
    if end + 8 + length > total:
        raise damaged
    return Container(text, data[end + 8 : end + 8 + length], data[end + 8 + length :])


def parse_json(text: bytes, name: str) -> dict[str, Any]:
    """The JSON of a file, refused where it is damaged or nested without need.

    Args:
        text: The JSON chunk.
        name: The file's name, for the message.
    """
    damaged = BadFile(f"the JSON of {name!r} is damaged", received=f"{len(text)} bytes",
                      remedy="copy or export it again")  # fmt: skip
    deepest = depth_of(text)
    if deepest > _DEEPEST:
        raise BadFile(
            f"the JSON of {name!r} is nested too deeply", received=f"{deepest} levels",
            remedy=f"export it again without the extras that are nested more than {_DEEPEST} deep",
        )  # fmt: skip
    try:
        document = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise damaged from None
    if not isinstance(document, dict):
        raise damaged
    return document


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON")


def resource(folder: Path, address: str) -> bytes:
    """The bytes that a file keeps elsewhere: within its own JSON, or in a file beside it or below.

    Args:
        folder: Where the file lies.
        address: A ``data:`` address or the relative name of a file.
    """
    if address.startswith("data:"):
        return _embedded(address)
    name = unquote(address)
    parts = PurePosixPath(name).parts
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", name) or "\\" in name or "\0" in name or name.startswith("/"):
        raise _outside(name)
    if ".." in parts or not parts:
        raise _outside(name)
    path = folder / PurePosixPath(name)
    if not path.is_file():
        raise DataMissing(
            f"the glTF file names {name!r}, which is not beside it", received=str(folder),
            remedy="copy all its files together, or export it as one .glb file",
        )  # fmt: skip
    if not path.resolve().is_relative_to(folder.resolve()):
        raise _outside(name)
    if path.stat().st_size > _MOST_BYTES:
        raise BadFile("a file beside the glTF file is too large", received=f"{path.stat().st_size} bytes",
                      remedy="export it as one .glb file")  # fmt: skip
    return path.read_bytes()


def _outside(name: str) -> BadFile:
    return BadFile(
        "the glTF file names a file outside its own folder", received=repr(name[:80]),
        remedy="copy that file beside it and name it without a path, or export one .glb file",
    )  # fmt: skip


def _embedded(address: str) -> bytes:
    head, comma, body = address.partition(",")
    try:
        if comma and head.endswith(";base64"):
            return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        pass  # said below
    raise BadFile("the glTF file holds data that is not base64", received=head[:40], remedy="export it again")
