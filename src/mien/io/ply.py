"""PLY in (ASCII and binary, polygons kept) and out (binary, optional vertex colors)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, BadMesh
from mien.io.record import Mesh, assemble

_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2",
    "ushort": "u2", "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4",
    "float": "f4", "float32": "f4", "double": "f8", "float64": "f8",
}  # fmt: skip
_UV_NAMES = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"))


@dataclass
class _Property:
    name: str
    kind: str
    count_kind: str | None = None


@dataclass
class _Element:
    name: str
    count: int
    properties: list[_Property] = field(default_factory=list)


def read_ply(path: Path, *, points: bool = False) -> Mesh:
    """Reads a PLY file, with ``points`` also one without faces; see :func:`mien.io.mesh.read_mesh`."""
    data = path.read_bytes()
    form, elements, start = _header(data, path)
    try:
        if form == "ascii":
            tables = _read_ascii(data[start:].split(), elements)
        else:
            tables = _read_binary(data, start, elements, "<" if form == "binary_little_endian" else ">")
    except (ValueError, IndexError, OverflowError, MemoryError) as error:
        raise BadFile(
            f"{path.name!r} is cut off or damaged: it does not hold the elements that its header states",
            received=f"{len(data)} bytes",
            remedy="copy or export it again",
        ) from error
    return _mesh(tables, path, points)


def _header(data: bytes, path: Path) -> tuple[str, list[_Element], int]:
    """The format, the elements, and where the body starts."""
    problem = BadFile(f"{path.name!r} has no valid PLY header", remedy="export the mesh again as PLY")
    end = data.find(b"end_header")
    stop = data.find(b"\n", end)
    if not data.startswith(b"ply") or end < 0 or stop < 0:
        raise problem
    form, elements = "", []
    try:
        for line in data[:end].decode("ascii", "replace").splitlines()[1:]:
            words = line.split()
            if words[:1] == ["format"]:
                form = words[1]
            elif words[:1] == ["element"]:
                elements.append(_Element(words[1], int(words[2])))
            elif words[:2] == ["property", "list"]:
                kind = _Property(words[4], _TYPES[words[3]], _TYPES[words[2]])
                elements[-1].properties.append(kind)
            elif words[:1] == ["property"]:
                elements[-1].properties.append(_Property(words[2], _TYPES[words[1]]))
    except (IndexError, KeyError, ValueError):
        raise problem from None
    if form not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise problem
    return form, elements, stop + 1


Table = dict[str, NDArray | tuple[NDArray, NDArray]]


def _read_ascii(words: list[bytes], elements: list[_Element]) -> dict[str, Table]:
    """Each element's columns: (n,) arrays, or (counts, values) for lists."""
    tables, at = {}, 0
    for element in elements:
        columns: dict[str, list] = {item.name: [] for item in element.properties}
        counts: dict[str, list[int]] = {item.name: [] for item in element.properties}
        for _ in range(element.count):
            for item in element.properties:
                if item.count_kind is None:
                    columns[item.name].append(float(words[at]))
                    at += 1
                    continue
                size = int(words[at])
                values = words[at + 1 : at + 1 + size]
                if size < 0 or len(values) < size:
                    raise IndexError
                columns[item.name].extend(float(value) for value in values)
                counts[item.name].append(size)
                at += 1 + size
        tables[element.name] = {
            item.name: np.array(columns[item.name])
            if item.count_kind is None
            else (np.array(counts[item.name], np.int64), np.array(columns[item.name]))
            for item in element.properties
        }
    return tables


def _read_binary(data: bytes, at: int, elements: list[_Element], order: str) -> dict[str, Table]:
    """As :func:`_read_ascii`; elements whose rows have equal size are read in one piece."""
    tables = {}
    for element in elements:
        sizes = _first_counts(data, at, element, order)
        record = np.dtype([part for item in element.properties for part in _fields(item, order, sizes)])
        if 0 < element.count * record.itemsize <= len(data) - at:
            rows = np.frombuffer(data, record, element.count, at)
            lists = [item for item in element.properties if item.count_kind is not None]
            if all((rows[f"{item.name} count"] == sizes[item.name]).all() for item in lists):
                tables[element.name] = _columns(rows, element)
                at += rows.nbytes
                continue
        tables[element.name], at = _read_rows(data, at, element, order)
    return tables


def _first_counts(data: bytes, at: int, element: _Element, order: str) -> dict[str, int]:
    """The list lengths of an element's first row, which most rows share."""
    sizes = {}
    for item in element.properties if element.count else ():
        if item.count_kind is not None:
            kind = np.dtype(order + item.count_kind)
            sizes[item.name] = int(np.frombuffer(data, kind, 1, at)[0])
            at += kind.itemsize
        at += np.dtype(item.kind).itemsize * sizes.get(item.name, 1)
    return sizes


def _fields(item: _Property, order: str, sizes: dict[str, int]) -> list[tuple]:
    if item.count_kind is None:
        return [(item.name, order + item.kind)]
    size = max(sizes.get(item.name, 0), 0)
    return [(f"{item.name} count", order + item.count_kind), (item.name, order + item.kind, (size,))]


def _columns(rows: NDArray, element: _Element) -> Table:
    return {
        item.name: rows[item.name]
        if item.count_kind is None
        else (rows[f"{item.name} count"].astype(np.int64), rows[item.name].ravel())
        for item in element.properties
    }


def _read_rows(data: bytes, at: int, element: _Element, order: str) -> tuple[Table, int]:
    """Reads rows one by one, for lists of different lengths."""
    columns: dict[str, list[NDArray]] = {item.name: [] for item in element.properties}
    for _ in range(element.count):
        for item in element.properties:
            size = 1
            if item.count_kind is not None:
                kind = np.dtype(order + item.count_kind)
                size = int(np.frombuffer(data, kind, 1, at)[0])
                at += kind.itemsize
            if size:
                values = np.frombuffer(data, order + item.kind, size, at)
                at += values.nbytes
            else:
                values = np.zeros(0)
            columns[item.name].append(values)
    table: Table = {}
    for item in element.properties:
        counts = np.array([len(values) for values in columns[item.name]], np.int64)
        flat = np.concatenate([np.zeros(0), *columns[item.name]])
        table[item.name] = flat if item.count_kind is None else (counts, flat)
    return table, at


def _mesh(tables: dict[str, Table], path: Path, scan: bool) -> Mesh:
    points = tables.get("vertex", {})
    if not {"x", "y", "z"} <= set(points) or not len(points["x"]):
        raise BadMesh("the PLY file has no vertices", received=str(path), remedy="export the mesh again")
    table = tables.get("face", {})
    lists = table.get("vertex_indices", table.get("vertex_index"))
    if not isinstance(lists, tuple) or not len(lists[0]):
        if scan:
            cloud = np.stack([np.asarray(points[axis]) for axis in "xyz"], axis=1).astype(np.float32)
            return Mesh(cloud, np.zeros((0, 3), np.int32), colors=_colors(points), name=path.stem)
        raise BadMesh(
            "the PLY file has no faces", received=str(path), remedy="export the mesh with its faces"
        )
    sizes, corners = lists[0], lists[1].astype(np.int64)
    if sizes.min() < 3:
        raise BadMesh(f"{path.name!r} has a face of fewer than three corners", received=int(sizes.min()))
    vertices = np.stack([np.asarray(points[axis]) for axis in "xyz"], axis=1)
    if corners.min() < 0 or corners.max() >= len(vertices):
        wrong = int(np.argmax((corners < 0) | (corners >= len(vertices))))
        face = int(np.searchsorted(np.cumsum(sizes), wrong, side="right"))
        raise BadMesh(
            f"face {face} of {path.name!r} names vertex {corners[wrong]} of {len(vertices)}",
            received=f"index {corners[wrong]}",
            remedy=f"indices run from 0 to {len(vertices) - 1}; export the mesh again",
        )
    uv, uv_corners = _texture(points, table, corners)
    return assemble(vertices, sizes, corners, uv, uv_corners, colors=_colors(points), name=path.stem)


def _texture(points: Table, faces: Table, corners: NDArray) -> tuple[NDArray | None, NDArray | None]:
    """Texture coordinates of vertices, or of the corners of faces."""
    for names in _UV_NAMES:
        if set(names) <= set(points):
            return np.stack([np.asarray(points[name]) for name in names], axis=1), corners
    wedge = faces.get("texcoord")
    if isinstance(wedge, tuple) and len(wedge[1]) == 2 * len(corners):
        return wedge[1].reshape(-1, 2), np.arange(len(corners))
    return None, None


def _colors(points: Table) -> NDArray[np.float32] | None:
    if not {"red", "green", "blue"} <= set(points):
        return None
    colors = np.stack([np.asarray(points[name], np.float64) for name in ("red", "green", "blue")], axis=1)
    return (colors / (255 if colors.max() > 1 else 1)).astype(np.float32)


def ply_bytes(vertices: NDArray, sizes: NDArray, corners: NDArray, colors: NDArray | None) -> bytes:
    """A binary PLY file.

    Args:
        vertices: (V, 3) float.
        sizes: (P,) int. Corners of each polygon.
        corners: (sum of sizes,) int.
        colors: (V, 3) float in 0..1 or uint8, or None.
    """
    names = ["x", "y", "z"] + (["red", "green", "blue"] if colors is not None else [])
    record = np.dtype([(name, "<f4" if name in "xyz" else "u1") for name in names])
    rows = np.empty(len(vertices), record)
    for axis, name in enumerate(names):
        source = vertices if axis < 3 else np.asarray(colors)
        scaled = source if axis < 3 or source.dtype == np.uint8 else np.clip(np.rint(source * 255.0), 0, 255)
        rows[name] = scaled[:, axis % 3]
    # One byte stream for polygons of all sizes: write counts and indices to their own places.
    offsets = np.concatenate([[0], np.cumsum(1 + 4 * sizes.astype(np.int64))])
    body = np.zeros(offsets[-1], np.uint8)
    body[offsets[:-1]] = sizes
    within = np.arange(len(corners)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    places = np.repeat(offsets[:-1] + 1, sizes) + 4 * within
    body[places[:, None] + np.arange(4)] = corners.astype("<i4").view(np.uint8).reshape(-1, 4)
    kinds = {name: "float" if name in "xyz" else "uchar" for name in names}
    header = [
        "ply",
        "format binary_little_endian 1.0",
        "comment written by mien",
        f"element vertex {len(vertices)}",
    ]
    header += [f"property {kinds[name]} {name}" for name in names]
    header += [f"element face {len(sizes)}", "property list uchar int vertex_indices", "end_header", ""]
    return "\n".join(header).encode() + rows.tobytes() + body.tobytes()
