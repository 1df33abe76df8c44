"""STL and VRML in: the forms in which older scanners and data sets come."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, BadMesh
from mien.io.record import Mesh, assemble


def _damaged(path: Path, why: str) -> BadFile:
    return BadFile(f"{path.name!r} is cut off or damaged: {why}", remedy="copy or export it again")


def read_stl(path: Path) -> Mesh:
    """Reads an STL file, binary or ASCII; equal points become one vertex, in order of first use."""
    data = path.read_bytes()
    count = int.from_bytes(data[80:84], "little")
    if (
        len(data) >= 84 and len(data) == 84 + 50 * count
    ):  # some binary files start with "solid" too: the size decides
        record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
        triangles = np.frombuffer(data, record, count, 84)["corners"]
    elif data.lstrip()[:5] == b"solid" and b"\0" not in data:
        triangles = _ascii_stl(data, path)
    else:
        raise _damaged(path, f"{len(data)} bytes are not the {84 + 50 * count} that its header states")
    if not len(triangles):
        raise BadMesh("the STL file has no vertices", received=str(path), remedy="export the mesh again")
    _, first, inverse = np.unique(triangles.reshape(-1, 3), axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order))
    vertices = triangles.reshape(-1, 3)[first[order]]
    return assemble(vertices, np.full(len(triangles), 3), rank[inverse.ravel()], name=path.stem)


def _ascii_stl(data: bytes, path: Path) -> NDArray[np.float64]:
    """(F, 3, 3) corners of an ASCII STL."""
    rows = re.findall(rb"^\s*vertex\s+(\S+)\s+(\S+)\s+(\S+)\s*$", data, re.MULTILINE)
    whole = re.search(rb"^\s*endsolid", data, re.MULTILINE)
    facets = len(re.findall(rb"^\s*endfacet", data, re.MULTILINE))
    if not whole or len(rows) != 3 * facets:
        raise _damaged(path, f"{len(rows)} vertices in {facets} whole facets")
    try:
        return np.array(rows).astype(np.float64).reshape(-1, 3, 3)
    except ValueError:
        raise _damaged(path, "a vertex has a word that is not a number") from None


_NUMBERS = rb"[^\]\[{}]*"
_POINTS = re.compile(rb"\bCoordinate3?\s*\{\s*point\s*\[(" + _NUMBERS + rb")\]")
_INDEX = re.compile(rb"\bcoordIndex\s*\[(" + _NUMBERS + rb")\]")
_UV = re.compile(rb"\bTextureCoordinate2?\s*\{\s*point\s*\[(" + _NUMBERS + rb")\]")
_UV_INDEX = re.compile(rb"\b(?:texCoordIndex|textureCoordIndex)\s*\[(" + _NUMBERS + rb")\]")


def read_wrl(path: Path) -> Mesh:
    """Reads the indexed face sets of a VRML 1 or 2 file; several sets are joined in file order."""
    raw = path.read_bytes()
    if not raw.startswith(b"#VRML"):
        raise BadFile(
            f"{path.name!r} does not start with #VRML", remedy="export the mesh again as VRML or OBJ"
        )
    data = re.sub(rb"#[^\n]*", b"", re.sub(rb'"[^"]*"', b'""', raw.replace(b"\r", b"\n")))
    if data.count(b"{") != data.count(b"}") or data.count(b"[") != data.count(b"]"):
        raise _damaged(path, "its brackets do not close")
    clouds = [_table(item, 3, path) for item in _POINTS.findall(data)]
    index = [_index(item, path) for item in _INDEX.findall(data)]
    if not clouds or not index or len(clouds) != len(index):
        raise BadMesh(
            f"{path.name!r} has no indexed face set that Mien understands",
            received=f"{len(clouds)} point lists and {len(index)} face lists",
            remedy="convert it to OBJ or PLY",
        )
    offsets = np.cumsum([0] + [len(cloud) for cloud in clouds])
    for cloud, (_, corners) in zip(clouds, index, strict=True):
        if corners.min() < 0 or corners.max() >= len(cloud):
            wrong = corners.min() if corners.min() < 0 else corners.max()
            raise BadMesh(
                f"a face of {path.name!r} names vertex {wrong} of {len(cloud)}",
                received=f"index {wrong}",
                remedy="export the mesh again",
            )
    sizes = np.concatenate([sizes for sizes, _ in index])
    corners = np.concatenate([corners + offset for (_, corners), offset in zip(index, offsets, strict=False)])
    uv, uv_corners = _wrl_texture(data, corners, path)
    return assemble(np.concatenate(clouds), sizes, corners, uv, uv_corners, name=path.stem)


def _words(text: bytes) -> list[bytes]:
    return text.replace(b",", b" ").split()


def _table(text: bytes, width: int, path: Path) -> NDArray[np.float64]:
    try:
        return np.array([float(word) for word in _words(text)]).reshape(-1, width)
    except ValueError:
        raise _damaged(path, f"a point list is not rows of {width} numbers") from None


def _index(text: bytes, path: Path) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Sizes and corners of polygons that are separated by -1."""
    try:
        values = np.array([int(word) for word in _words(text)], np.int64)
    except ValueError:
        raise _damaged(path, "a face list has a word that is not a whole number") from None
    if not len(values):
        raise BadMesh(f"{path.name!r} has no faces", remedy="export the mesh again")
    if values[-1] != -1:
        values = np.append(values, -1)
    ends = np.flatnonzero(values == -1)
    sizes = np.diff(np.concatenate([[-1], ends])) - 1
    if sizes.min() < 3:
        raise BadMesh(f"{path.name!r} has a face of fewer than three corners", received=int(sizes.min()))
    return sizes.astype(np.int32), values[values != -1]


def _wrl_texture(data: bytes, corners: NDArray, path: Path) -> tuple[NDArray | None, NDArray | None]:
    """Texture coordinates of a file with one face set; others would need names that VRML does not give."""
    points, index = _UV.findall(data), _UV_INDEX.findall(data)
    if len(points) != 1 or len(index) > 1:
        return None, None
    uv = _table(points[0], 2, path)
    uv_corners = _index(index[0], path)[1] if index else corners
    if len(uv_corners) != len(corners) or uv_corners.min() < 0 or uv_corners.max() >= len(uv):
        return None, None
    return uv, uv_corners
