"""Reading many meshes of one topology, each checked against the first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, BadMesh, MienError, WrongTopology
from mien.io.face import check_topology
from mien.io.mesh import Mesh, read_mesh
from mien.topology import Topology


class CorrespondingMeshes:
    """Reads the vertices of mesh files that share vertex order and faces.

    An OBJ whose faces and texture coordinates are the first one's to the byte needs only its vertices parsed;
    that is the usual case, and ten times as fast for meshes of tens of thousands of vertices.

    Args:
        first: The file that decides the topology.
    """

    def __init__(self, first: Path) -> None:
        self.first: Mesh = read_mesh(first)
        self.common = Topology(
            self.first.name, self.first.faces, self.first.vertices, self.first.polygons, self.first.uv,
            self.first.uv_faces,
        )  # fmt: skip
        self._tail = _split(first.read_bytes())[1] if first.suffix.lower() == ".obj" else b""

    def read(self, path: Path) -> NDArray[np.float32]:
        """(V, 3) vertices of a file, in its own unit.

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
        self.common.check(mesh.vertices, what=f"mesh {path.name}")
        return mesh.vertices

    def _quick(self, path: Path) -> NDArray[np.float32] | None:
        """The vertices when all else equals the first file; None when the file has to be read in full."""
        if not self._tail or path.suffix.lower() != ".obj" or not path.is_file():
            return None
        block, tail = _split(path.read_bytes())
        count = self.common.vertex_count
        if tail != self._tail or block.count(b"v ") != count or block.count(b"\n") != count:
            return None
        try:
            rows = np.array(block.replace(b"v", b" ").split(), np.float64)
        except ValueError:
            return None
        if rows.size != 3 * count or not np.isfinite(rows).all():
            return None
        return rows.reshape(-1, 3).astype(np.float32)


def _split(data: bytes) -> tuple[bytes, bytes]:
    """The lines of an OBJ's vertices, and what follows them; empty where they are not in one block."""
    data = data.replace(b"\r\n", b"\n")
    start = 0 if data.startswith(b"v ") else data.find(b"\nv ") + 1
    last = data.rfind(b"\nv ")
    end = data.find(b"\n", last + 1) + 1
    block = data[start:end]
    if last < 0 or end <= 0 or block.count(b"\nv ") + 1 != block.count(b"\n"):
        return b"", b""
    return block, data[end:]


def explained(error: MienError, path: Path, remedy: str) -> MienError:
    """The same mistake with the file that caused it and what can be done about a whole set of files."""
    kind = type(error) if isinstance(error, (BadMesh, BadFile, WrongTopology)) else BadFile
    received = f"{path}" + (f" ({error.received})" if error.received is not None else "")
    return kind(error.cause, received=received, remedy=f"{error.remedy or 'repair it'}; {remedy}")
