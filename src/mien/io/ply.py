"""PLY in (ASCII and binary) and out (binary): polygons, colors and texture coordinates kept."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, BadMesh
from mien.io.colors import in_unit_range
from mien.io.number_text import parse_floats
from mien.io.record import Mark, Mesh, assemble
from mien.io.text import decode_name
from mien.limits import MOST_CORNERS, MOST_VERTICES

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

    @property
    def least(self) -> int:
        """Bytes that a row has at least."""
        return sum(np.dtype(item.count_kind or item.kind).itemsize for item in self.properties)


def read_ply(path: Path, *, points: bool = False) -> Mesh:
    """Reads a PLY file, with ``points`` also one without faces; see :func:`mien.io.mesh.read_mesh`."""
    data = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    header = _header(data, path)
    try:
        if header.form == "ascii":
            tables = _read_ascii(parse_floats(data[header.size :]), header.elements)
        else:
            order = "<" if header.form == "binary_little_endian" else ">"
            tables = _read_binary(data, header.size, header.elements, order)
    except (ValueError, IndexError, OverflowError, MemoryError) as error:
        raise BadFile(
            f"{path.name!r} is cut off or damaged: it does not hold the elements that its header states",
            received=f"{len(data)} bytes",
            remedy="copy or export it again",
        ) from error
    return _mesh(tables, header, path, points)


@dataclass(frozen=True)
class _Header:
    """What stands before the numbers.

    Args:
        form: ``ascii``, ``binary_little_endian`` or ``binary_big_endian``.
        elements: What follows, in order.
        pictures: The texture files that comments name.
        size: Bytes up to the first number.
    """

    form: str
    elements: list[_Element]
    pictures: tuple[str, ...]
    size: int

    def kind(self, element: str, name: str) -> str:
        """The NumPy type of a property."""
        return next(
            item.kind
            for table in self.elements
            if table.name == element
            for item in table.properties
            if item.name == name
        )


def _header(data: bytes, path: Path) -> _Header:
    """The header, whatever ends its lines."""
    problem = BadFile(f"{path.name!r} has no valid PLY header", remedy="export the mesh again as PLY")
    start = re.match(rb"ply[ \t]*(\r\n|\n|\r)", data)
    end = start and re.search(start[1] + rb"end_header[ \t]*" + start[1], data)
    if not start or not end:
        raise problem
    form, elements, pictures = "", [], []
    try:
        for line in decode_name(data[: end.start()]).replace("\r", "\n").split("\n")[1:]:
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
            elif words[:1] == ["comment"] and words[1:2] and words[1].lower() == "texturefile":
                pictures.append(line.strip().split(None, 2)[2].strip('"'))
    except (IndexError, KeyError, ValueError):
        raise problem from None
    # An element without properties has no bytes, however many of it are stated.
    sound = all(item.count >= 0 and (item.properties or not item.count) for item in elements)
    names = [item.name for item in elements]
    columns = [[item.name for item in element.properties] for element in elements]
    sound &= all(len(set(of)) == len(of) for of in (names, *columns))
    if form not in ("ascii", "binary_little_endian", "binary_big_endian") or not sound:
        raise problem
    for item in elements:
        limit = {"vertex": MOST_VERTICES, "face": MOST_CORNERS // 3}.get(item.name, MOST_CORNERS)
        if item.count > limit:
            received = f"{item.count:,} of the element {item.name[:40]!r}, at most {limit:,}"
            raise BadFile(
                f"{path.name!r} is too large to be read", received=received, remedy="decimate it first"
            )
    return _Header(form, elements, tuple(pictures), end.end())


Table = dict[str, NDArray | tuple[NDArray, NDArray]]


def _read_ascii(numbers: NDArray[np.float64], elements: list[_Element]) -> dict[str, Table]:
    """Each element's columns: (n,) arrays, or (counts, values) for lists."""
    tables, at = {}, 0
    for element in elements:
        if element.count * len(element.properties) > len(numbers) - at:
            raise IndexError
        tables[element.name], at = _even_rows(numbers, at, element) or _uneven_rows(numbers, at, element)
    return tables


def _even_rows(numbers: NDArray[np.float64], at: int, element: _Element) -> tuple[Table, int] | None:
    """Columns of rows that are all as long as the first; None if they are not."""
    places, width = [], 0
    for item in element.properties:
        size = int(numbers[at + width]) if element.count and item.count_kind is not None else 0
        places.append((item, width, size))
        width += 1 + size
    stop = at + element.count * width
    if any(size < 0 for *_, size in places) or stop > len(numbers):
        return None
    rows = numbers[at:stop].reshape(element.count, width)
    table: Table = {}
    for item, place, size in places:
        table[item.name] = rows[:, place]
        if item.count_kind is not None:
            if (rows[:, place] != size).any():
                return None
            values = rows[:, place + 1 : place + 1 + size].ravel()
            table[item.name] = (np.full(element.count, size, np.int64), values)
    return table, stop


def _uneven_rows(numbers: NDArray[np.float64], at: int, element: _Element) -> tuple[Table, int]:
    """Columns of rows with lists of different lengths."""
    firsts: dict[str, list[int]] = {item.name: [] for item in element.properties}
    counts: dict[str, list[int]] = {item.name: [] for item in element.properties}
    for _ in range(element.count):
        for item in element.properties:
            size = int(numbers[at]) if item.count_kind is not None else 1
            at += item.count_kind is not None
            if size < 0 or at + size > len(numbers):
                raise IndexError
            firsts[item.name].append(at)
            counts[item.name].append(size)
            at += size
    table: Table = {}
    for item in element.properties:
        sizes = np.array(counts[item.name], np.int64)
        steps = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        values = numbers[np.repeat(np.array(firsts[item.name], np.int64), sizes) + steps]
        table[item.name] = values if item.count_kind is None else (sizes, values)
    return table, at


def _read_binary(data: bytes, at: int, elements: list[_Element], order: str) -> dict[str, Table]:
    """As :func:`_read_ascii`; elements whose rows have equal size are read in one piece."""
    tables = {}
    for element in elements:
        if element.count * element.least > len(data) - at:
            raise IndexError
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


def _mesh(tables: dict[str, Table], header: _Header, path: Path, scan: bool) -> Mesh:
    table = tables.get("vertex", {})
    points = {name: column for name, column in table.items() if not isinstance(column, tuple)}
    if not {"x", "y", "z"} <= set(points) or not len(points["x"]):
        raise BadMesh("the PLY file has no vertices", received=str(path), remedy="export the mesh again")
    vertices = np.stack([np.asarray(points[axis], np.float64) for axis in "xyz"], axis=1)
    faces = tables.get("face", {})
    lists = faces.get("vertex_indices", faces.get("vertex_index"))
    if not isinstance(lists, tuple) or not len(lists[0]):
        lists = _triangles_of_strips(tables)
    colors, notes = _colors(points, header), _left_out(faces, table, path.name)
    if lists is None:
        if scan:
            nothing = np.zeros(0, np.int32)
            return assemble(vertices, nothing, nothing, center=True, colors=colors, name=path.stem)
        raise BadMesh(
            "the PLY file has no faces", received=str(path), remedy="export the mesh with its faces"
        )
    sizes, corners = lists[0], lists[1].astype(np.int64)
    if sizes.min() < 3:
        raise BadMesh(
            f"{path.name!r} has a face of fewer than three corners", received=f"{int(sizes.min())} corners"
        )
    if corners.min() < 0 or corners.max() >= len(vertices):
        wrong = int(np.argmax((corners < 0) | (corners >= len(vertices))))
        face = int(np.searchsorted(np.cumsum(sizes), wrong, side="right"))
        raise BadMesh(
            f"face {face} of {path.name!r} names vertex {corners[wrong]} of {len(vertices)}",
            received=f"index {corners[wrong]}",
            remedy=f"indices run from 0 to {len(vertices) - 1}; export the mesh again",
        )
    uv, uv_corners = _texture(points, faces, sizes, corners)
    if uv is not None and not np.isfinite(uv).all():
        uv = uv_corners = None
    if uv is None and ("texcoord" in faces or any(set(names) <= set(points) for names in _UV_NAMES)):
        notes.append(f"{path.name}: texture coordinates that do not fit its faces are left out.")
    return assemble(
        vertices, sizes, corners, uv, uv_corners, center=True, colors=colors, name=path.stem,
        pictures=header.pictures, marks=_marks(faces, header.pictures), notes=tuple(notes),
    )  # fmt: skip


def _triangles_of_strips(tables: dict[str, Table]) -> tuple[NDArray, NDArray] | None:
    """Sizes and corners of the triangles of strips, of which -1 begins a new one; None if there are none."""
    lists = tables.get("tristrips", {}).get("vertex_indices")
    if not isinstance(lists, tuple) or not len(lists[0]):
        return None
    breaks = np.zeros(len(lists[1]) + 1, bool)
    breaks[np.cumsum(lists[0])] = True
    strips = lists[1].astype(np.int64)
    starts = breaks[:-1] | (np.concatenate([[0], strips[:-1]]) == -1)
    starts[0] = True
    if len(strips) < 3:
        return None
    number = np.cumsum(starts)
    rows = np.stack([strips[:-2], strips[1:-1], strips[2:]], axis=1)
    place = np.arange(len(strips)) - np.flatnonzero(starts)[number - 1]
    odd = place[:-2] % 2 == 1  # every other triangle of a strip runs the other way round
    rows[odd] = rows[odd][:, [1, 0, 2]]
    whole = (number[:-2] == number[2:]) & (rows >= 0).all(axis=1)
    thin = (rows == np.roll(rows, 1, axis=1)).any(axis=1)
    rows = rows[whole & ~thin]
    return (np.full(len(rows), 3), rows.ravel()) if len(rows) else None


def _texture(
    points: dict[str, NDArray], faces: Table, sizes: NDArray, corners: NDArray
) -> tuple[NDArray | None, NDArray | None]:
    """Texture coordinates of vertices, or of the corners of faces; a face without any has the origin."""
    for names in _UV_NAMES:
        if set(names) <= set(points):
            return np.stack([np.asarray(points[name]) for name in names], axis=1), corners
    wedge = faces.get("texcoord")
    if not isinstance(wedge, tuple):
        return None, None
    given = wedge[0] == 2 * sizes
    if not (given | (wedge[0] == 0)).all():
        return None, None
    pairs = np.zeros((len(corners), 2), np.float32)
    pairs[np.repeat(given, sizes)] = wedge[1].reshape(-1, 2)
    # Equal coordinates become one, so that a seam is a seam and not every corner of every face.
    _, first, inverse = np.unique(pairs.view(np.int64), return_index=True, return_inverse=True)
    return pairs[first], inverse.ravel()


def _marks(faces: Table, pictures: tuple[str, ...]) -> tuple[Mark, ...]:
    """Which picture is on which face, where a file names several; a material is named as its picture."""
    number = faces.get("texnumber")
    if isinstance(number, tuple) or number is None or len(pictures) < 2:
        return ()
    number = np.clip(np.asarray(number).astype(np.int64), 0, len(pictures) - 1)
    firsts = np.flatnonzero(np.concatenate([[True], np.diff(number) != 0]))
    return tuple(Mark(int(first), "usemtl", pictures[number[first]]) for first in firsts)


def _colors(points: dict[str, NDArray], header: _Header) -> NDArray[np.float32] | None:
    """(V, 3) in 0..1: whole numbers up to the largest of their type, others up to 1 or to 255."""
    names = ("red", "green", "blue")
    if not set(names) <= set(points):
        return None
    kind = np.dtype(header.kind("vertex", "red"))
    largest = float(np.iinfo(kind).max) if kind.kind in "iu" and kind.itemsize <= 2 else None
    return in_unit_range(np.stack([points[name] for name in names], axis=1), largest)


def _left_out(faces: Table, points: Table, name: str) -> list[str]:
    """Sentences on what a Mesh cannot hold."""
    notes = []
    if {"red", "green", "blue"} <= set(faces):
        notes.append(f"{name}: colors of faces are left out; colors of vertices or a picture would be kept.")
    alpha = points.get("alpha")
    if alpha is not None and not isinstance(alpha, tuple) and np.ptp(alpha) > 0:
        notes.append(f"{name}: the opacity of its vertices is left out.")
    return notes


def ply_bytes(
    vertices: NDArray, sizes: NDArray, corners: NDArray, colors: NDArray | None,
    uv: NDArray | None = None, uv_corners: NDArray | None = None, pictures: tuple[str, ...] = (),
) -> bytes:  # fmt: skip
    """A binary PLY file.

    Texture coordinates are written with the vertices where each vertex has one, else with the faces' corners.

    Args:
        vertices: (V, 3) float32 or float64.
        sizes: (P,) int. Corners of each polygon.
        corners: (sum of sizes,) int.
        colors: (V, 3) float in 0..1 or uint8, or None.
        uv: (U, 2) float texture coordinates, or None.
        uv_corners: (sum of sizes,) int index into ``uv``, or None.
        pictures: Names of the pictures in these texture coordinates.
    """
    position = "double" if vertices.dtype == np.float64 else "float"
    columns = [(axis, position, vertices[:, place]) for place, axis in enumerate("xyz")]
    wedge = None
    if uv is not None and uv_corners is not None:
        own = _uv_of_vertices(len(vertices), corners, uv, uv_corners)
        wedge = uv[uv_corners] if own is None else None
        if own is not None:
            columns += [(name, "float", own[:, place]) for place, name in enumerate("st")]
    if colors is not None:
        whole = colors if colors.dtype == np.uint8 else np.clip(np.rint(colors * 255.0), 0, 255)
        columns += [(name, "uchar", whole[:, place]) for place, name in enumerate(("red", "green", "blue"))]
    rows = np.empty(len(vertices), [(name, "<" + _TYPES[kind]) for name, kind, _ in columns])
    for name, _, column in columns:
        rows[name] = column
    count = "uchar" if 2 * sizes.max(initial=0) < 256 else "int"
    lines = ["ply", "format binary_little_endian 1.0", "comment written by mien"]
    lines += [f"comment TextureFile {name}" for name in pictures]
    lines += [f"element vertex {len(vertices)}", *(f"property {kind} {name}" for name, kind, _ in columns)]
    lines += [f"element face {len(sizes)}", f"property list {count} int vertex_indices"]
    lines += [f"property list {count} float texcoord"] if wedge is not None else []
    header = "\n".join([*lines, "end_header", ""]).encode()
    return header + rows.tobytes() + _face_bytes(sizes, corners, wedge, _TYPES[count])


def _uv_of_vertices(
    count: int, corners: NDArray, uv: NDArray, uv_corners: NDArray
) -> NDArray[np.float32] | None:
    """(V, 2) texture coordinates if all corners of a vertex have the same; None where there are seams."""
    own = np.zeros((count, 2), np.float32)
    wanted = uv[uv_corners].astype(np.float32)
    own[corners] = wanted
    return own if np.array_equal(own[corners], wanted) else None


def _face_bytes(sizes: NDArray, corners: NDArray, wedge: NDArray | None, count_kind: str) -> bytes:
    """Each polygon's corners, then its corners' texture coordinates; polygons of all sizes in one stream."""
    lists = [(1, corners.astype("<i4").view(np.uint8).reshape(-1, 4))]
    if wedge is not None:
        lists.append((2, np.ascontiguousarray(wedge, "<f4").view(np.uint8).reshape(-1, 8)))
    wide = np.dtype(count_kind).itemsize
    lengths = sum(wide + content.shape[1] * sizes.astype(np.int64) for _, content in lists)
    at = np.cumsum(lengths) - lengths
    body = np.zeros(int(np.sum(lengths)), np.uint8)
    within = np.arange(len(corners)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    for each, content in lists:
        counts = (each * sizes).astype(np.dtype(count_kind).newbyteorder("<"))
        body[at[:, None] + np.arange(wide)] = counts.view(np.uint8).reshape(-1, wide)
        bytes_each = content.shape[1]
        places = np.repeat(at + wide, sizes) + bytes_each * within
        body[places[:, None] + np.arange(bytes_each)] = content
        at = at + wide + bytes_each * sizes
    return body.tobytes()
