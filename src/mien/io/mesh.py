"""Mesh files in (OBJ, PLY, STL, glTF, FBX, Blender, WRL; order kept) and out (OBJ, PLY, OBJ sequences)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, BadMesh, WrongTopology
from mien.io.atomic import write_bytes
from mien.io.blender import read_blend
from mien.io.fbx import read_fbx
from mien.io.gltf import read_glb
from mien.io.mistaken import refuse_mistaken
from mien.io.obj import obj_faces, obj_header, obj_vertices, read_obj
from mien.io.ply import ply_bytes, read_ply
from mien.io.record import Mark, Mesh
from mien.io.stated_count import stated_vertices
from mien.io.stl import read_stl
from mien.io.vrml import read_wrl
from mien.limits import MOST_MESH_BYTES, MOST_VERTICES, check_head_size
from mien.topology import Topology

__all__ = [
    "READERS",
    "Mark",
    "Mesh",
    "mesh_reader",
    "read_head",
    "read_mesh",
    "write_mesh",
    "write_obj",
    "write_obj_sequence",
    "write_ply",
]

READERS: dict[str, Callable[[Path], Mesh]] = {
    ".obj": read_obj,
    ".ply": read_ply,
    ".stl": read_stl,
    ".glb": read_glb,
    ".wrl": read_wrl,
    ".vrml": read_wrl,
    ".gltf": read_glb,
    ".vrm": read_glb,
    ".fbx": read_fbx,
    ".blend": read_blend,
}


def read_mesh(path: str | Path, *, points: bool = False) -> Mesh:
    """Reads a mesh file as it is: same vertex order, same unit, same axes.

    Args:
        path: An OBJ, PLY, STL, glTF (GLB, VRM), FBX, Blender or WRL file.
        points: Whether a PLY file may be a point scan, without faces.

    Raises:
        BadFile: The file is missing, empty, cut off, of an unknown kind, or not what its name says.
        BadMesh: It has no vertices or faces, NaN or infinite vertices, or faces out of range.
    """
    path = Path(path)
    reader = mesh_reader(path)
    try:
        if reader not in (read_blend, read_wrl):  # compressed files of these kinds are known to their readers
            refuse_mistaken(path)
        mesh = read_ply(path, points=True) if points and reader is read_ply else reader(path)
    except OSError as error:
        raise BadFile("the mesh file cannot be read", received=f"{path}: {error.strerror}") from error
    mesh = replace(mesh, path=path)
    if len(mesh.vertices) > MOST_VERTICES:
        raise BadMesh(f"{path.name!r} is too large to be used", remedy="decimate it first",
                      received=f"{len(mesh.vertices):,} vertices, at most {MOST_VERTICES:,}")  # fmt: skip
    finite = np.isfinite(mesh.vertices).all(axis=1)
    if not finite.all():
        first = int(np.argmin(finite))
        raise BadMesh(
            f"{path.name!r} has {int((~finite).sum())} NaN or infinite vertices",
            received=f"vertex {first} = {mesh.vertices[first].tolist()}",
            remedy="repair the mesh or export it again",
        )
    return mesh


def mesh_reader(path: str | Path) -> Callable[[Path], Mesh]:
    """What reads a mesh file.

    Args:
        path: As for :func:`read_mesh`.

    Raises:
        BadFile: The file is missing, empty, too large, or of an unknown kind.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(READERS)
        raise BadFile(
            f"{path.name!r} is not of a known mesh kind",
            received=f"the extension {path.suffix!r}",
            remedy=f"known: {known}",
        )
    if not path.is_file():
        raise BadFile("the mesh file does not exist", received=str(path), remedy="check the path")
    size = path.stat().st_size
    if size == 0:
        raise BadFile("the mesh file is empty", received=str(path), remedy="copy or export it again")
    if size > MOST_MESH_BYTES:
        raise BadFile("the mesh file is too large to be read", remedy="decimate the mesh first",
                      received=f"{size / 2**20:,.0f} MiB in {path}")  # fmt: skip
    return reader


def read_head(path: str | Path) -> Mesh:
    """Reads the mesh of a head, or a scan of its points, that is to be registered.

    Args:
        path: As for :func:`read_mesh`.

    Raises:
        BadMesh: It has more vertices than can be registered; its header or lines say so before it is read.
        BadFile: See :func:`read_mesh`.
    """
    path = Path(path)
    check_head_size(stated_vertices(path), path.stem)
    return read_mesh(path, points=True)


def write_obj(
    path: str | Path, vertices: NDArray | None = None, layout: Topology | Mesh | NDArray | None = None
) -> None:
    """Writes an OBJ with the original polygons, texture coordinates, groups and materials.

    Args:
        path: The file to write.
        vertices: (V, 3) float, any unit; None takes the layout's own.
        layout: What gives the connectivity: a Topology, a Mesh, or (F, 3) int triangles.
    """
    sheet = _Sheet.of(vertices, layout)
    write_bytes(path, (sheet.obj_head() + sheet.obj_tail()).encode())


def write_obj_sequence(
    folder: str | Path, frames: Iterable[NDArray], layout: Topology | Mesh | NDArray, *, stem: str = "frame"
) -> list[Path]:
    """Writes frames as ``<stem>_0000.obj``, ``<stem>_0001.obj`` and so on.

    Args:
        folder: Where the files go.
        frames: (T, V, 3) float, or anything that yields (V, 3) frames.
        layout: A Topology, a Mesh, or (F, 3) int triangles.
        stem: The files' common name.

    Returns:
        The T paths.
    """
    paths: list[Path] = []
    tail = None
    for number, frame in enumerate(frames):
        sheet = _Sheet.of(np.asarray(frame), layout)
        tail = tail or sheet.obj_tail()
        path = Path(folder) / f"{stem}_{number:04d}.obj"
        write_bytes(path, (sheet.obj_head() + tail).encode())
        paths.append(path)
    return paths


def write_ply(
    path: str | Path,
    vertices: NDArray | None = None,
    layout: Topology | Mesh | NDArray | None = None,
    *,
    colors: NDArray | None = None,
) -> None:
    """Writes a binary PLY with the original polygons, texture coordinates and colors.

    Args:
        path: The file to write.
        vertices: (V, 3) float, any unit; None takes the layout's own.
        layout: A Topology, a Mesh, or (F, 3) int triangles.
        colors: (V, 3) float in 0..1 or uint8; None takes the layout's own.
    """
    sheet = _Sheet.of(vertices, layout)
    colors = sheet.colors if colors is None else np.asarray(colors)
    if colors is not None and colors.shape != (len(sheet.vertices), 3):
        raise BadMesh(f"colors of {len(sheet.vertices)} vertices need shape (V, 3)", received=colors.shape)
    content = ply_bytes(
        sheet.vertices, sheet.sizes, sheet.corners, colors, sheet.uv, sheet.uv_corners, sheet.pictures
    )
    write_bytes(path, content)


def write_mesh(
    path: str | Path, vertices: NDArray | None = None, layout: Topology | Mesh | NDArray | None = None
) -> None:
    """Writes OBJ or PLY, by the extension of ``path``; see :func:`write_obj` and :func:`write_ply`.

    Args:
        path: The file to write.
        vertices: (V, 3) float, any unit; None takes the layout's own.
        layout: What gives the connectivity: a Topology, a Mesh, or (F, 3) int triangles.
    """
    writers = {".obj": write_obj, ".ply": write_ply}
    suffix = Path(path).suffix.lower()
    if suffix not in writers:
        raise BadFile(
            f"cannot write the mesh kind {suffix!r}",
            received=str(path),
            remedy="use .obj, .ply or (for a rig) .glb",
        )
    writers[suffix](path, vertices, layout)


@dataclass(frozen=True, eq=False)
class _Sheet:
    """What a file of a mesh holds.

    Args:
        vertices: (V, 3) float32; float64 where the mesh lies far from the origin.
        sizes: (P,) int. Corners of each polygon.
        corners: (sum of sizes,) int.
        uv: (U, 2) float or None.
        uv_corners: (sum of sizes,) int or None.
        source: The mesh that gives all else, or None.
    """

    vertices: NDArray
    sizes: NDArray
    corners: NDArray
    uv: NDArray | None
    uv_corners: NDArray | None
    source: Mesh | None

    @property
    def colors(self) -> NDArray | None:
        """(V, 3) float in 0..1, or None."""
        return None if self.source is None else self.source.colors

    @property
    def pictures(self) -> tuple[str, ...]:
        """Names of the pictures in these texture coordinates."""
        return () if self.source is None else self.source.pictures

    def obj_head(self) -> str:
        """The lines of an OBJ that depend on the vertices."""
        libraries = () if self.source is None else self.source.material_files
        header = obj_header(len(self.vertices), len(self.sizes), libraries)
        return header + obj_vertices(self.vertices, self.colors)

    def obj_tail(self) -> str:
        """The lines of an OBJ that do not."""
        marks = () if self.source is None else self.source.marks
        return obj_faces(self.sizes, self.corners, self.uv, self.uv_corners, marks)

    @staticmethod
    def of(vertices: NDArray | None, layout: Topology | Mesh | NDArray | None) -> _Sheet:
        """Vertices on a layout; None takes the layout's own."""
        if layout is None:
            raise BadMesh(
                "a mesh file needs faces", remedy="pass a Topology, a Mesh or (F, 3) triangles as the layout"
            )
        if not isinstance(layout, (Topology, Mesh)):
            faces = np.asarray(layout)
            _check(vertices, faces, None)
            sizes = np.full(len(faces), 3, np.int32)
            return _Sheet(np.asarray(vertices, np.float32), sizes, faces.ravel(), None, None, None)
        own = layout.template if isinstance(layout, Topology) else layout.vertices
        vertices = own if vertices is None else np.asarray(vertices)
        _check(vertices, layout.faces, own)
        assert vertices is not None
        source = layout if isinstance(layout, Mesh) else None
        if source is not None and source.offset is not None:
            vertices = vertices.astype(np.float64) + source.offset
        else:
            vertices = vertices.astype(np.float32)
        polygons = layout.polygons
        if polygons is not None:
            return _Sheet(vertices, polygons.sizes, polygons.corners, layout.uv, polygons.uv_corners, source)
        sizes = np.full(len(layout.faces), 3, np.int32)
        uv_corners = None if layout.uv_faces is None or layout.uv is None else layout.uv_faces.ravel()
        return _Sheet(vertices, sizes, layout.faces.ravel(), layout.uv, uv_corners, source)


def _check(vertices: NDArray | None, faces: NDArray, own: NDArray | None) -> None:
    """Refuses vertices that are not finite or do not belong to the faces."""
    if vertices is None or vertices.ndim != 2 or vertices.shape[1] != 3 or not np.isfinite(vertices).all():
        raise BadMesh(
            "a mesh file needs finite vertices of shape (V, 3)", received=getattr(vertices, "shape", None)
        )
    if own is not None and len(own) != len(vertices) or faces.max(initial=0) >= len(vertices):
        raise WrongTopology(
            f"the faces belong to {int(faces.max()) + 1 if own is None else len(own)} vertices",
            received=f"{len(vertices)} vertices",
            remedy="write the mesh with its own topology",
        )
