"""STL in, the form of printers and older scanners: triangles without shared vertices."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, BadMesh
from mien.io.record import Mesh, assemble
from mien.io.text import as_utf8

_FLAGS = re.MULTILINE | re.IGNORECASE


def _damaged(path: Path, why: str) -> BadFile:
    return BadFile(f"{path.name!r} is cut off or damaged: {why}", remedy="copy or export it again")


def read_stl(path: Path) -> Mesh:
    """Reads an STL file, binary or ASCII; equal points become one vertex, in order of first use."""
    data = path.read_bytes()
    notes: list[str] = []
    count = int.from_bytes(data[80:84], "little")
    if (
        len(data) >= 84 and len(data) == 84 + 50 * count
    ):  # some binary files start with "solid" too: the size decides
        record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
        rows = np.frombuffer(data, record, count, 84)
        triangles = rows["corners"]
        if rows["attribute"].any():
            notes.append(
                f"{path.name}: what its triangles' attributes say (color, for some programs) is left out."
            )
    elif (text := _text(data))[:5].lower() == b"solid" and b"\0" not in text:
        triangles = _ascii_stl(text, path)
    else:
        raise _damaged(path, f"{len(data)} bytes are not the {84 + 50 * count} that its header states")
    if not len(triangles):
        raise BadMesh("the STL file has no vertices", received=str(path), remedy="export the mesh again")
    _, first, inverse = np.unique(triangles.reshape(-1, 3), axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order))
    vertices = triangles.reshape(-1, 3)[first[order]]
    sizes = np.full(len(triangles), 3)
    return assemble(vertices, sizes, rank[inverse.ravel()], center=True, name=path.stem, notes=tuple(notes))


def _text(data: bytes) -> bytes:
    try:
        return as_utf8(data).lstrip()
    except UnicodeDecodeError:
        return b""


def _ascii_stl(data: bytes, path: Path) -> NDArray[np.float64]:
    """(F, 3, 3) corners of an ASCII STL."""
    rows = re.findall(rb"^[ \t]*vertex[ \t]+(\S+)[ \t]+(\S+)[ \t]+(\S+)[ \t]*$", data, _FLAGS)
    whole = re.search(rb"^[ \t]*endsolid", data, _FLAGS)
    facets = len(re.findall(rb"^[ \t]*endfacet", data, _FLAGS))
    if not whole or len(rows) != 3 * facets:
        raise _damaged(path, f"{len(rows)} vertices in {facets} whole facets")
    try:
        return np.array(rows).astype(np.float64).reshape(-1, 3, 3)
    except ValueError:
        raise _damaged(path, "a vertex has a word that is not a number") from None
