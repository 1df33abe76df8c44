"""Reading many meshes of one topology, each checked against the first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.cores import at_once
from mien.errors import BadFile, BadMesh, MienError, WrongTopology
from mien.io.face import check_topology
from mien.io.mesh import Mesh, read_mesh
from mien.io.number_text import parse_floats
from mien.topology import Topology

_NO_KEYWORD = bytes.maketrans(b"v", b" ")


class CorrespondingMeshes:
    """Reads the vertices of mesh files that share vertex order and faces.

    An OBJ that differs from the first one only in positions and normals needs only its positions parsed;
    that is the usual case, and several times as fast for meshes of tens of thousands of vertices.

    Args:
        first: The file that decides the topology.
    """

    def __init__(self, first: Path) -> None:
        self.first: Mesh = read_mesh(first)
        self.common = Topology(
            self.first.name, self.first.faces, self.first.vertices, self.first.polygons, self.first.uv,
            self.first.uv_faces,
        )  # fmt: skip
        self._shared = _shared_text(first.read_bytes()) if first.suffix.lower() == ".obj" else None

    def read(self, path: Path) -> NDArray[np.float32]:
        """(V, 3) vertices of a file, in its own unit, less the first file's offset if that has one.

        Raises:
            WrongTopology: The file has other vertices or faces.
            BadMesh: It is damaged or not finite.
        """
        vertices = self._quick(path)
        if vertices is not None:
            return vertices
        mesh = read_mesh(path)
        if not np.array_equal(mesh.faces, self.first.faces):
            check_topology(mesh, self.common, path.name)
        vertices = self.first.brought_near(mesh.placed).astype(np.float32)
        self.common.check(vertices, what=f"mesh {path.name}")
        return vertices

    def read_each(self, paths: Iterable[Path]) -> Iterator[NDArray[np.float32] | MienError]:
        """As :meth:`read` for many files, in their order, on all cores; a mistake is yielded, not raised.

        Only a few meshes are held at a time, however many there are.

        Yields:
            (V, 3) vertices of each file, in its own unit, or the mistake in it.
        """
        return at_once(partial(self._attempt, path) for path in paths)

    def _attempt(self, path: Path) -> NDArray[np.float32] | MienError:
        try:
            return self.read(path)
        except MienError as error:
            return error

    def _quick(self, path: Path) -> NDArray[np.float32] | None:
        """The vertices when all else equals the first file; None when the file has to be read in full."""
        if self._shared is None or path.suffix.lower() != ".obj" or not path.is_file():
            return None
        block = _between(as_lines(path.read_bytes()), *self._shared)
        count = self.common.vertex_count
        if block is None or block.count(b"\nv ") + 1 != count or block.count(b"\n") != count:
            return None
        try:
            rows = parse_floats(block.translate(_NO_KEYWORD))
        except ValueError:
            return None
        if rows.size != 3 * count or not np.isfinite(rows).all():
            return None
        return self.first.brought_near(rows.reshape(-1, 3)).astype(np.float32)


def as_lines(data: bytes) -> bytes:
    """Lines ended by a line feed alone."""
    return data.replace(b"\r\n", b"\n") if b"\r" in data else data


def _shared_text(data: bytes) -> tuple[bytes, bytes] | None:
    """What stands behind an OBJ's block of positions: up to its block of normals, and behind that.

    Without normals the first part is empty. None where positions or normals are not in one block.
    """
    data = as_lines(data)
    positions = _block(data, b"v ")
    if positions is None:
        return None
    rest = data[positions[1] :]
    if not rest.startswith(b"vn ") and b"\nvn " not in rest:
        return b"", rest
    normals = _block(rest, b"vn ")
    return None if normals is None else (rest[: normals[0]], rest[normals[1] :])


def _block(data: bytes, keyword: bytes) -> tuple[int, int] | None:
    """Where the lines that begin with a keyword start and end; None where others stand among them."""
    inside = b"\n" + keyword
    start = 0 if data.startswith(keyword) else data.find(inside) + 1
    last = start if data.rfind(inside) < 0 else data.rfind(inside) + 1
    end = data.find(b"\n", last) + 1
    block = data[start:end]
    whole = end > 0 and block.startswith(keyword) and block.count(inside) + 1 == block.count(b"\n")
    return (start, end) if whole else None


def _between(data: bytes, before_normals: bytes, end: bytes) -> bytes | None:
    """The lines of an OBJ's positions where what stands behind them is as given; else None."""
    if not data.endswith(end):
        return None
    body = data[: len(data) - len(end)]
    if before_normals or b"\nvn " in body:
        normals = body.find(b"\nvn ") + 1
        if (
            not body[:normals].endswith(before_normals)
            or body.count(b"\nvn ") != body.count(b"\n", normals - 1) - 1
        ):
            return None
        body = body[: normals - len(before_normals)]
    start = 0 if body.startswith(b"v ") else body.find(b"\nv ") + 1
    return body[start:]


def explained(error: MienError, path: Path, remedy: str) -> MienError:
    """The same mistake with the file that caused it and what can be done about a whole set of files."""
    kind = type(error) if isinstance(error, (BadMesh, BadFile, WrongTopology)) else BadFile
    received = f"{path}" + (f" ({error.received})" if error.received is not None else "")
    return kind(error.cause, received=received, remedy=f"{error.remedy or 'repair it'}; {remedy}")
