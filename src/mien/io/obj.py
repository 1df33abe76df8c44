"""OBJ in and out: order, polygons, texture coordinates, colors, groups and materials kept exactly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, BadMesh
from mien.io.colors import in_unit_range
from mien.io.number_text import Words, parse_floats, parse_indices
from mien.io.record import Mark, Mesh, assemble
from mien.io.text import as_utf8, decode_name

# Our writer states what a whole file holds, so that a cut one is recognized wherever it was cut.
_COUNTS = re.compile(rb"^# mien: (\d+) vertices, (\d+) polygons\n", re.MULTILINE)
_MARKS = (b"g", b"o", b"s", b"usemtl")
_PAINTED = re.compile(rb"^#MRGB[ \t]+([0-9A-Fa-f]*)[ \t]*$", re.MULTILINE)  # ZBrush: eight digits a vertex
_MOST_MATERIALS = 4096
_LIBRARIES = re.compile(r"\S.*?\.mtl(?=\s|$)|\S.*$", re.IGNORECASE)


def read_obj(path: Path) -> Mesh:
    """Reads an OBJ file; see :func:`mien.io.mesh.read_mesh`."""
    lines = _Lines.of(path)
    points, faces = lines.of_kind(b"v"), lines.of_kind(b"f")
    if not len(points.lines):
        raise BadMesh("the OBJ file has no vertices", received=str(path), remedy="export the mesh again")
    if not len(faces.lines):
        raise BadMesh(
            "the OBJ file has no faces", received=str(path), remedy="it may be cut off: copy it again"
        )
    rows = _floats(points, 3)
    uv_lines = lines.of_kind(b"vt")
    uv = _floats(uv_lines, 1)
    sizes = faces.sizes.astype(np.int32)
    if sizes.min() < 3:
        raise BadMesh(
            f"{faces.where(int(np.argmin(sizes)))} is a face of fewer than three corners",
            received=f"{sizes.min()} corners",
            remedy="the file may be cut off: export or copy it again",
        )
    written, written_uv = _corners(faces)
    corners, uv_corners = _absolute(written, points, faces, "vertex"), None
    if written_uv is not None:
        uv, uv_corners = _texture(uv, written_uv, uv_lines, faces)
    colors, notes = _colors(rows, points)
    if colors is None and b"#MRGB" in lines.data:
        colors, notes = _painted(lines.data, len(rows), path.name)
    notes += _check_whole(lines.data, path, len(rows), sizes, corners)
    marks, libraries = _names(lines, faces.lines)
    return assemble(
        rows[:, :3], sizes, corners, uv, uv_corners, center=True, colors=colors, marks=marks,
        name=path.stem, material_files=libraries, notes=tuple(notes),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Lines:
    """An OBJ's lines.

    Args:
        path: The file.
        data: Its text; a continued line is one line, with a ``\\v`` where it was broken.
        text: (m,) uint8. The same, and some line breaks.
        starts: (n,) int. Where each line begins.
        ends: (n,) int. Where each line ends: its line break, or the end of the file.
    """

    path: Path
    data: bytes
    text: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @staticmethod
    def of(path: Path) -> _Lines:
        """Reads a file and finds its lines; white space before keywords is dropped."""
        try:
            data = as_utf8(path.read_bytes())
        except UnicodeDecodeError:
            raise BadFile(f"{path.name!r} is not text", remedy="export the mesh again as OBJ") from None
        if b"\\" in data:
            data = data.replace(b"\\\n", b" \v")
        text, starts, ends = _line_ends(data)
        first = text[starts]
        if ((first <= ord(" ")) & (first != ord("\n"))).any():
            data = re.sub(rb"^[ \t\v\f]+", b"", data, flags=re.MULTILINE)
            text, starts, ends = _line_ends(data)
        return _Lines(path, data, text, starts, ends)

    def of_kind(self, keyword: bytes) -> _Statements:
        """The statements of a keyword, which must be ``v``, ``vt`` or ``f``."""
        hit = self.text[self.starts] == keyword[0]
        for offset, letter in enumerate(keyword[1:], 1):
            hit &= self.text[self.starts + offset] == letter
        hit &= self.text[self.starts + len(keyword)] <= ord(" ")
        lines = np.flatnonzero(hit)
        return _Statements(self, keyword.decode(), lines, *self._words(lines, len(keyword)))

    def _words(self, lines: NDArray[np.int64], letters: int) -> tuple[bytes, NDArray[np.int64]]:
        """What follows the keyword on these lines, and the number of words on each."""
        if not len(lines):
            return b"", np.zeros(0, np.int64)
        first, last = self.starts[lines[0]], min(self.ends[lines[-1]] + 1, len(self.data))
        text = self.text[first:last]
        if lines[-1] - lines[0] + 1 == len(lines):
            text = text.copy()
        else:
            within = np.zeros(len(self.starts), bool)
            within[lines] = True
            lengths = np.diff(np.append(self.starts, len(self.data)))[lines[0] : lines[-1] + 1]
            text = text[np.repeat(within[lines[0] : lines[-1] + 1], lengths)]
        lengths = np.minimum(self.ends[lines] + 1, len(self.data)) - self.starts[lines]
        starts = np.cumsum(lengths) - lengths
        for letter in range(letters):
            text[starts + letter] = ord(" ")
        block = text.tobytes()
        if b"#" in block:
            block = re.sub(rb"#[^\n]*", b"", block)
        return block, Words.of(block).per_line()[: len(lines)]

    def others(self) -> list[tuple[int, bytes, bytes]]:
        """(line, keyword, rest) of all lines but coordinates, normals, faces and comments."""
        letter = self.text[self.starts]
        numeric = (letter <= ord(" ")) | np.isin(letter, np.frombuffer(b"vf#", np.uint8))
        found = []
        for line in np.flatnonzero(~numeric):
            keyword, *rest = self.data[self.starts[line] : self.ends[line]].split(None, 1)
            found.append((int(line), keyword, rest[0].strip() if rest else b""))
        return found

    def number(self, line: int) -> int:
        """A line's number as an editor shows it."""
        return line + 1 + self.data.count(b"\v", 0, int(self.starts[line]))


def _line_ends(data: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """The bytes with line breaks behind them, and where each line begins and ends."""
    text = np.frombuffer(data + b"\n\n\n\n", np.uint8)
    ends = np.flatnonzero(text[: len(data)] == ord("\n"))
    if not data.endswith(b"\n"):
        ends = np.append(ends, len(data))
    return text, np.concatenate([[0], ends[:-1] + 1]), ends


@dataclass(frozen=True, eq=False)
class _Statements:
    """All statements of one keyword.

    Args:
        file: The file's lines.
        keyword: ``v``, ``vt`` or ``f``.
        lines: (n,) int. The line of each.
        text: Their words.
        sizes: (n,) int. How many words each has.
    """

    file: _Lines
    keyword: str
    lines: NDArray[np.int64]
    text: bytes
    sizes: NDArray[np.int64]

    def where(self, statement: int) -> str:
        """A statement in words, for messages."""
        return f"line {self.file.number(int(self.lines[statement]))} of {self.file.path.name!r}"

    def of_word(self, word: int) -> int:
        """The statement that a word stands in."""
        return int(np.searchsorted(np.cumsum(self.sizes), word, side="right"))

    def not_a_number(self, is_number: re.Pattern[bytes]) -> BadMesh:
        """The error for the first word that is none."""
        for place, word in enumerate(self.text.split()):
            if not is_number.fullmatch(word):
                comma = b"," in word and "write numbers with a decimal point, or "
                return BadMesh(
                    f"{self.where(self.of_word(place))} has a word that is not a number",
                    received=repr(decode_name(word[:80])),
                    remedy=f"{comma or 'repair that line or '}export the mesh again",
                )
        return BadMesh(f"{self.file.path.name!r} has {self.keyword!r} lines that are damaged",
                       remedy="export the mesh again")  # fmt: skip


_FLOAT = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE)
_CORNER = re.compile(rb"-?\d{1,18}(/(-?\d{1,18})?){0,2}")


def _floats(lines: _Statements, least: int) -> NDArray[np.float64]:
    """(n, k) numbers of all ``v`` or ``vt`` statements; k is 2 for ``vt``, 3 or 6 (colors) for ``v``.

    A ``v`` of four numbers has a weight behind the position, one of seven a weight before the color.
    Vertices without a color are white where others have one.
    """
    sizes, most = lines.sizes, int(lines.sizes.max(initial=0))
    if len(sizes) and (sizes.min() < least or most > 8):
        wrong = int(np.argmax((sizes < least) | (sizes > 8)))
        words = lines.text.split(b"\n", wrong + 1)[wrong].split()[:8]
        raise BadMesh(
            f"{lines.where(wrong)} is not a {lines.keyword!r} statement with {least} numbers or more",
            received=repr(decode_name(b" ".join([lines.keyword.encode(), *words])[:200])),
            remedy="the file may be cut off: export or copy it again",
        )
    if b"," in lines.text:
        raise lines.not_a_number(_FLOAT)
    try:
        flat = parse_floats(lines.text)
    except ValueError:
        raise lines.not_a_number(_FLOAT) from None
    if len(flat) == most * len(sizes) and most in (2, 3, 6):
        wide = flat.reshape(-1, most)
        return wide if lines.keyword == "v" else wide[:, :2]
    starts = np.cumsum(sizes) - sizes
    if lines.keyword == "vt":
        second = np.where(sizes > 1, flat[np.minimum(starts + 1, len(flat) - 1)], 0.0)
        return np.stack([flat[starts], second], axis=1) if len(sizes) else np.zeros((0, 2))
    rows = np.ones((len(sizes), 6 if most >= 6 else 3))
    rows[:, :3] = flat[starts[:, None] + np.arange(3)]
    colored = np.flatnonzero(sizes >= 6)
    if len(colored):
        rows[colored, 3:] = flat[(starts + sizes - 3 - (sizes == 8))[colored, None] + np.arange(3)]
    return rows


def _corners(faces: _Statements) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Vertex and texture indices as written (from 1, negative ones relative; 0 where a uv is absent)."""
    found = parse_indices(faces.text)
    if found is not None:
        doubled = b"//" in faces.text
        uv = found[:, 1] if found.shape[1] > 1 and not doubled else None
        return found[:, 0], uv if uv is not None and uv.any() else None
    words = faces.text.split()
    if not all(map(_CORNER.fullmatch, words)):
        raise faces.not_a_number(_CORNER)
    parts = [word.split(b"/") for word in words]
    corners = np.array([int(part[0]) for part in parts], np.int64)
    uv = np.array([int(part[1]) if len(part) > 1 and part[1] else 0 for part in parts], np.int64)
    return corners, uv if uv.any() else None


def _absolute(
    index: NDArray[np.int64], defined: _Statements, faces: _Statements, what: str, spare: int = 0
) -> NDArray[np.int32]:
    """Indices from 0; negative ones count back from the last ``what`` defined above the face's line.

    ``spare`` more than are defined may be named.
    """
    count = len(defined.lines) + spare
    result = index - 1
    negative = index < 0
    if negative.any():
        owners = np.repeat(faces.lines, faces.sizes)
        result[negative] = np.searchsorted(defined.lines, owners[negative]) + index[negative]
    wrong = (result < 0) | (result >= count)
    if wrong.any():
        place = int(np.argmax(wrong))
        raise BadMesh(
            f"{faces.where(faces.of_word(place))} names {what} {index[place]} of {count}",
            received=f"index {index[place]}",
            remedy=f"indices run from 1 to {count}; the file may be cut off or damaged: export it again",
        )
    return result.astype(np.int32)


def _texture(
    uv: NDArray, uv_corners: NDArray, lines: _Statements, faces: _Statements
) -> tuple[NDArray, NDArray[np.int32]]:
    """Texture coordinates; corners that name none share one at the origin, added at the end."""
    bare = uv_corners == 0
    if bare.any():
        uv = np.vstack([uv, np.zeros((1, 2))])
        uv_corners = np.where(bare, len(uv), uv_corners)
    index = _absolute(uv_corners, lines, faces, "texture coordinate", spare=int(bare.any()))
    if not np.isfinite(uv).all():
        raise BadMesh(
            f"{faces.file.path.name!r} has NaN or infinite texture coordinates",
            remedy="export the mesh again",
        )
    return uv, index


def _colors(rows: NDArray[np.float64], points: _Statements) -> tuple[NDArray[np.float32] | None, list[str]]:
    """Vertex colors in 0..1, from files that give them in 0..1 or 0..255, and what is said about them."""
    if rows.shape[1] != 6:
        return None, []
    colored = points.sizes >= 6
    colors = np.ones((len(rows), 3), np.float32)
    colors[colored] = in_unit_range(rows[colored, 3:])
    bare = int((~colored).sum())
    name = points.file.path.name
    return colors, [f"{name}: {bare} of {len(rows)} vertices have no color and are white."] if bare else []


def _painted(data: bytes, vertices: int, name: str) -> tuple[NDArray[np.float32] | None, list[str]]:
    """Vertex colors in the comments that ZBrush writes: mask, red, green, blue as two digits each."""
    digits = b"".join(_PAINTED.findall(data))
    if len(digits) != 8 * vertices:
        return None, [
            f"{name}: the colors in its #MRGB comments are left out, as they do not fit its vertices."
        ]
    colors = np.frombuffer(bytes.fromhex(digits.decode()), np.uint8).reshape(-1, 4)[:, 1:]
    return (None if (colors == 255).all() else in_unit_range(colors, 255.0)), []


def _names(lines: _Lines, face_lines: NDArray[np.int64]) -> tuple[tuple[Mark, ...], tuple[str, ...]]:
    """Groups and materials with the number of the first polygon after each, and the material libraries.

    A name is all that follows its keyword: it may hold spaces and number signs.
    """
    others = lines.others()
    firsts = np.searchsorted(face_lines, [line for line, *_ in others])
    marks: list[Mark] = []
    libraries: list[str] = []
    for (_, keyword, rest), first in zip(others, firsts, strict=True):
        text = " ".join(decode_name(rest).replace("\v", " ").split())
        if keyword in _MARKS:
            marks.append(Mark(int(first), keyword.decode(), text))
        elif keyword == b"mtllib":
            libraries += _LIBRARIES.findall(text)
    materials = len({mark.name for mark in marks if mark.keyword == "usemtl"})
    if materials > _MOST_MATERIALS:
        raise BadMesh(
            f"{lines.path.name!r} names more than {_MOST_MATERIALS:,} materials", received=f"{materials:,}",
            remedy="join those that look alike",
        )  # fmt: skip
    return tuple(marks), tuple(dict.fromkeys(libraries))


def _check_whole(data: bytes, path: Path, vertices: int, sizes: NDArray, corners: NDArray) -> list[str]:
    """Raises when the file was cut: the stated counts are not met, or it ends within a line too early.

    Other writers may leave out the last line break, and a few vertices may belong to no face: that is
    only said.
    """
    stated = _COUNTS.search(data[:4096])
    ends_within_line = not data.endswith(b"\n")
    unused = vertices - 1 - int(corners.max())
    if stated:
        whole = (int(stated[1]), int(stated[2])) == (vertices, len(sizes)) and not ends_within_line
        wanted = f"{int(stated[1])} vertices and {int(stated[2])} polygons"
    else:
        whole = not ends_within_line or unused <= max(1, vertices // 100)
        wanted = "faces that use all vertices"
    if not whole:
        raise BadFile(
            f"{path.name!r} is cut off: it should hold {wanted}",
            received=f"{vertices} vertices and {len(sizes)} polygons that use {corners.max() + 1} of them",
            remedy="copy or export it again",
        )
    if ends_within_line and unused and not stated:
        return [f"{path.name} ends without a line break; its last {unused} vertices belong to no face."]
    return []


def obj_vertices(vertices: NDArray, colors: NDArray | None = None) -> str:
    """The ``v`` lines; nine digits bring a float32 back exactly.

    Args:
        vertices: (V, 3) float32, or float64 where float32 would round them.
        colors: (V, 3) float in 0..1, or None.
    """
    pattern = "v" + (" %.15g" if np.asarray(vertices).dtype == np.float64 else " %.9g") * 3
    rows = np.asarray(vertices, np.float64)
    if colors is not None:
        pattern, rows = pattern + " %.6g" * 3, np.hstack([rows, np.asarray(colors, np.float64)])
    return (pattern + "\n") * len(rows) % tuple(rows.ravel().tolist())


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
    said: dict[int, list[str]] = {}
    for mark in marks:
        said.setdefault(mark.first, []).append(f"{mark.keyword} {mark.name}".rstrip() + "\n")
    stops = sorted({0, len(sizes), *said})
    starts = np.concatenate([[0], np.cumsum(sizes)])
    parts = [text]
    for first, last in zip(stops, [*stops[1:], len(sizes)], strict=True):
        parts += said.get(first, [])
        lines = "".join("f" + pattern * size + "\n" for size in sizes[first:last].tolist())
        parts.append(lines % tuple(columns[starts[first] : starts[last]].ravel().tolist()))
    return "".join(parts)


def obj_header(vertices: int, polygons: int, material_files: tuple[str, ...]) -> str:
    """The comment that states what a whole file holds, and the material libraries."""
    libraries = "".join(f"mtllib {name}\n" for name in material_files)
    return f"# mien: {vertices} vertices, {polygons} polygons\n{libraries}"
