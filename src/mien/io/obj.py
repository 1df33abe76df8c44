"""OBJ in and out: order, polygons, texture coordinates, groups and materials kept exactly."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, BadMesh
from mien.io.record import Mark, Mesh, assemble

# Our writer states what a whole file holds, so that a cut one is recognized wherever it was cut.
_COUNTS = re.compile(rb"^# mien: (\d+) vertices, (\d+) polygons\n", re.MULTILINE)
_MARKS = (b"g", b"o", b"s", b"usemtl")


@dataclass
class _Lines:
    """The statements of one keyword: the words after it and the line that each stands on."""

    words: list[list[bytes]]
    numbers: list[int]


def read_obj(path: Path) -> Mesh:
    """Reads an OBJ file; see :func:`mien.io.mesh.read_mesh`."""
    data = path.read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    kinds = _sort_lines(data)
    points = kinds.get(b"v")
    if points is None:
        raise BadMesh("the OBJ file has no vertices", received=str(path), remedy="export the mesh again")
    faces = kinds.get(b"f")
    if faces is None:
        raise BadMesh(
            "the OBJ file has no faces", received=str(path), remedy="it may be cut off: copy it again"
        )
    rows = _floats(points, path, "v", 3)
    uv_lines = kinds.get(b"vt")
    uv = None if uv_lines is None else _floats(uv_lines, path, "vt", 1)
    sizes = np.array([len(words) for words in faces.words], np.int32)
    if sizes.min() < 3:
        line = faces.numbers[int(np.argmin(sizes))]
        raise BadMesh(
            f"line {line} of {path.name!r} is a face of fewer than three corners",
            received=f"{sizes.min()} corners",
            remedy="the file may be cut off: export or copy it again",
        )
    written, written_uv = _corners(faces, path)
    owners = np.repeat(faces.numbers, sizes)
    corners, uv_corners = _absolute(written, points.numbers, owners, path, "vertex"), None
    if written_uv is not None:
        uv, uv_corners = _texture(uv, written_uv, uv_lines, owners, path)
    _check_whole(data, path, len(rows), sizes, corners)
    material = kinds.get(b"mtllib")
    return assemble(
        rows[:, :3], sizes, corners, uv, uv_corners,
        colors=_colors(rows), marks=_marks(kinds, faces.numbers), name=path.stem,
        material_file=b" ".join(material.words[0]).decode(errors="replace") if material else None,
    )  # fmt: skip


def _sort_lines(data: bytes) -> dict[bytes, _Lines]:
    """Words of each statement by keyword; comments dropped, continued lines joined."""
    lines = data.split(b"\n")
    if b"\\\n" in data:
        for number in range(
            len(lines) - 2, -1, -1
        ):  # from the end, so that chains collapse onto their first line
            if lines[number].endswith(b"\\"):
                lines[number] = lines[number][:-1] + b" " + lines[number + 1]
                lines[number + 1] = b""
    kinds: dict[bytes, _Lines] = {}
    for number, line in enumerate(lines, 1):
        words = (line.split(b"#", 1)[0] if b"#" in line else line).split()
        if words:
            kind = words[0]
            if kind not in kinds:
                kinds[kind] = _Lines([], [])
            del words[0]
            kinds[kind].words.append(words)
            kinds[kind].numbers.append(number)
    return kinds


def _floats(lines: _Lines, path: Path, keyword: str, least: int) -> NDArray[np.float64]:
    """(n, k) numbers of all ``v`` or ``vt`` statements; k is 2 for ``vt``, 3 or 6 (colors) for ``v``."""
    widths = {len(words) for words in lines.words}
    wanted = 6 if keyword == "v" and widths <= {6, 7} else 3 if keyword == "v" else 2
    for number, words in zip(lines.numbers, lines.words, strict=True):
        if not least <= len(words) <= 8:
            raise BadMesh(
                f"line {number} of {path.name!r} is not a {keyword!r} statement with {least} numbers or more",
                received=repr(b" ".join(words[:8]).decode(errors="replace")),
                remedy="the file may be cut off: export or copy it again",
            )
    rows = lines.words
    if widths != {wanted}:
        # Without colors a fourth number is a weight; with them (7 numbers) it stands before the colors.
        rows = [
            (words[:3] + words[4:] if len(words) == 7 else words)[:wanted] + [b"0"] * (wanted - len(words))
            for words in rows
        ]
    try:
        flat = [float(word) for words in rows for word in words]
    except ValueError:
        raise _not_a_number(lines, path, float) from None
    return np.array(flat).reshape(-1, wanted)


def _corners(faces: _Lines, path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Vertex and texture indices as written (from 1, negative ones relative; 0 where a uv is absent)."""
    words = [word for row in faces.words for word in row]
    try:
        if not any(b"/" in word for word in words):
            return np.array([int(word) for word in words], np.int64), None
        parts = [word.split(b"/") for word in words]
        corners = np.array([int(part[0]) for part in parts], np.int64)
        uv = np.array([int(part[1]) if len(part) > 1 and part[1] else 0 for part in parts], np.int64)
        for part in parts:
            if len(part) > 2 and part[2]:
                int(part[2])
    except (ValueError, OverflowError):
        raise _not_a_number(faces, path, _strict_corner) from None
    return corners, uv if uv.any() else None


def _strict_corner(word: bytes) -> None:
    """Raises for a word that is not ``vertex``, ``vertex/uv``, ``vertex//normal`` or ``vertex/uv/normal``."""
    first, *others = word.split(b"/")
    np.array([int(first), *(int(other) for other in others if other)], np.int64)


def _not_a_number(lines: _Lines, path: Path, parse: Callable[[bytes], object]) -> BadMesh:
    """The error for the first word of some statements that is no number."""

    def fails(word: bytes) -> bool:
        try:
            parse(word)
        except (ValueError, OverflowError):
            return True
        return False

    pairs = zip(lines.numbers, lines.words, strict=True)
    number, wrong = next((number, word) for number, words in pairs for word in words if fails(word))
    return BadMesh(
        f"line {number} of {path.name!r} has a word that is not a number",
        received=repr(wrong.decode(errors="replace")),
        remedy="repair that line or export the mesh again",
    )


def _absolute(
    index: NDArray[np.int64], defined: list[int], owners: NDArray, path: Path, what: str
) -> NDArray[np.int32]:
    """Indices from 0; negative ones count back from the last ``what`` defined above the face's line."""
    count = len(defined)
    result = index - 1
    negative = index < 0
    if negative.any():
        above = np.searchsorted(np.asarray(defined), owners[negative])
        result[negative] = above + index[negative]
    wrong = (result < 0) | (result >= count)
    if wrong.any():
        place = int(np.argmax(wrong))
        raise BadMesh(
            f"line {owners[place]} of {path.name!r} names {what} {index[place]} of {count}",
            received=f"index {index[place]}",
            remedy=f"indices run from 1 to {count}; the file may be cut off or damaged: export it again",
        )
    return result.astype(np.int32)


def _texture(
    uv: NDArray | None, uv_corners: NDArray, lines: _Lines | None, owners: NDArray, path: Path
) -> tuple[NDArray, NDArray[np.int32]]:
    """Texture coordinates; corners that name none share one at the origin, added at the end."""
    numbers = [] if lines is None else list(lines.numbers)
    uv = np.zeros((0, 2)) if uv is None else uv
    bare = uv_corners == 0
    if bare.any():
        uv = np.vstack([uv, np.zeros((1, 2))])
        numbers.append(numbers[-1] if numbers else 0)
        uv_corners = np.where(bare, len(uv), uv_corners)
    index = _absolute(uv_corners, numbers, owners, path, "texture coordinate")
    if not np.isfinite(uv).all():
        raise BadMesh(
            f"{path.name!r} has NaN or infinite texture coordinates", remedy="export the mesh again"
        )
    return uv, index


def _colors(rows: NDArray[np.float64]) -> NDArray[np.float32] | None:
    """Vertex colors in 0..1, from files that give them in 0..1 or 0..255."""
    if rows.shape[1] != 6:
        return None
    colors = rows[:, 3:]
    return (colors / (255 if colors.max() > 1 else 1)).astype(np.float32)


def _marks(kinds: dict[bytes, _Lines], face_lines: list[int]) -> tuple[Mark, ...]:
    """Groups and materials with the number of the first polygon after each, in file order."""
    found = []
    for kind in _MARKS:
        lines = kinds.get(kind, _Lines([], []))
        firsts = np.searchsorted(np.asarray(face_lines), lines.numbers)
        for number, first, words in zip(lines.numbers, firsts, lines.words, strict=True):
            name = b" ".join(words).decode(errors="replace")
            found.append((number, Mark(int(first), kind.decode(), name)))
    return tuple(mark for _, mark in sorted(found, key=lambda item: item[0]))


def _check_whole(data: bytes, path: Path, vertices: int, sizes: NDArray, corners: NDArray) -> None:
    """Raises when the file was cut: the stated counts are not met, or it ends within a line too early."""
    stated = _COUNTS.search(data[:4096])
    ends_within_line = not data.endswith(b"\n")
    if stated:
        whole = (int(stated[1]), int(stated[2])) == (vertices, len(sizes)) and not ends_within_line
        wanted = f"{int(stated[1])} vertices and {int(stated[2])} polygons"
    else:
        # Other writers may leave out the last newline; but then faces have used the last vertices.
        whole = not (ends_within_line and corners.max() < vertices - 1)
        wanted = "faces that use all vertices"
    if not whole:
        raise BadFile(
            f"{path.name!r} is cut off: it should hold {wanted}",
            received=f"{vertices} vertices and {len(sizes)} polygons that use {corners.max() + 1} of them",
            remedy="copy or export it again",
        )


def obj_vertices(vertices: NDArray) -> str:
    """The ``v`` lines of vertices (V, 3) float; nine digits bring a float32 back exactly."""
    flat = np.asarray(vertices, np.float32).astype(np.float64).ravel().tolist()
    return ("v %.9g %.9g %.9g\n" * len(vertices)) % tuple(flat)


def obj_faces(
    sizes: NDArray, corners: NDArray, uv: NDArray | None, uv_corners: NDArray | None, marks: tuple[Mark, ...]
) -> str:
    """The ``vt``, ``f`` and group lines.

    Args:
        sizes: (P,) int. Corners of each polygon.
        corners: (sum of sizes,) int. Vertex of each corner.
        uv: (U, 2) float, or None.
        uv_corners: (sum of sizes,) int index into ``uv``, or None.
        marks: Groups and materials, and where they begin.
    """
    text = ""
    columns = corners + 1
    pattern = " %d"
    if uv is not None and uv_corners is not None:
        text += ("vt %.9g %.9g\n" * len(uv)) % tuple(np.asarray(uv, np.float64).ravel().tolist())
        columns = np.stack([corners, uv_corners], axis=1) + 1
        pattern = " %d/%d"
    stops = sorted({0, len(sizes), *(mark.first for mark in marks)})
    starts = np.concatenate([[0], np.cumsum(sizes)])
    parts = [text]
    for first, last in zip(stops, [*stops[1:], len(sizes)], strict=True):
        parts += [f"{mark.keyword} {mark.name}".rstrip() + "\n" for mark in marks if mark.first == first]
        lines = "".join("f" + pattern * size + "\n" for size in sizes[first:last].tolist())
        parts.append(lines % tuple(columns[starts[first] : starts[last]].ravel().tolist()))
    return "".join(parts)


def obj_header(vertices: int, polygons: int, material_file: str | None) -> str:
    """The comment that states what a whole file holds, and the material library."""
    library = f"mtllib {material_file}\n" if material_file else ""
    return f"# mien: {vertices} vertices, {polygons} polygons\n{library}"
