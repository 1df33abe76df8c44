"""How many vertices a mesh file holds, told from its header or its lines, before it is read."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

from mien.errors import MienError
from mien.io.gltf_container import parse_json

_CHUNK = 2**22
_HEADER = 2**16  # bytes within which a PLY says it
_LONGEST_JSON = 2**26
_PLY_VERTICES = re.compile(rb"^element[ \t]+vertex[ \t]+(\d{1,18})[ \t]*\r?$", re.MULTILINE)


def stated_vertices(path: Path) -> int:
    """How many vertices an OBJ, PLY, STL or glTF file says that it holds; 0 where nothing is said.

    Nothing is checked here: a damaged file is refused by its reader.

    Args:
        path: The mesh file.
    """
    of = {
        ".obj": _of_obj, ".ply": _of_ply, ".stl": _of_stl, ".glb": _of_glb, ".vrm": _of_glb,
        ".gltf": _of_gltf,
    }.get(path.suffix.lower())  # fmt: skip
    if of is None or not path.is_file():
        return 0
    try:
        return of(path)
    except (OSError, MienError):
        return 0


def _of_obj(path: Path) -> int:
    """Lines that begin with the keyword; those that are indented are left for the reader to count."""
    count, before = 0, b"\n"
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            text = before + chunk
            count += text.count(b"\nv ") + text.count(b"\nv\t")
            before = text[-2:]
    return count


def _of_ply(path: Path) -> int:
    with path.open("rb") as file:
        found = _PLY_VERTICES.search(file.read(_HEADER).replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
    return int(found[1]) if found else 0


def _of_stl(path: Path) -> int:
    """A surface has half as many vertices as triangles."""
    with path.open("rb") as file:
        count = int.from_bytes(file.read(84)[80:], "little")
    return count // 2 if path.stat().st_size == 84 + 50 * count else 0


def _of_glb(path: Path) -> int:
    with path.open("rb") as file:
        start = file.read(20)
        if len(start) < 20 or start[:4] != b"glTF":
            return 0
        size = struct.unpack_from("<I", start, 12)[0]
        return _positions(file.read(size), path.name) if size <= _LONGEST_JSON else 0


def _of_gltf(path: Path) -> int:
    if path.stat().st_size > _LONGEST_JSON:
        return 0
    data = path.read_bytes()
    return _of_glb(path) if data.startswith(b"glTF") else _positions(data, path.name)


def _positions(text: bytes, name: str) -> int:
    """Vertices of all primitives of a glTF's JSON, those that share an accessor counted once."""
    document = parse_json(text.removeprefix(b"\xef\xbb\xbf"), name)
    accessors = _list(document.get("accessors"))
    used = set[int]()
    for mesh in _list(document.get("meshes")):
        for primitive in _list(_table(mesh).get("primitives")):
            number = _table(_table(primitive).get("attributes")).get("POSITION")
            if isinstance(number, int) and 0 <= number < len(accessors):
                used.add(number)
    counts = (_table(accessors[number]).get("count") for number in used)
    return sum(count for count in counts if isinstance(count, int) and count > 0)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
