"""Mesh: what a mesh file says, in the file's own order and unit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.topology import Polygons

UNNAMED = "skin"
"""What the one material of a mesh that names none is called where a format wants a name."""

# Farther from the origin than this many times its extent, float32 rounds a mesh by more than the 100,000th
# part of its size: a micrometer of a face.
_FAR = 100.0


@dataclass(frozen=True, eq=False)
class Mark:
    """A statement that holds from one polygon on: a group, object, smoothing or material.

    Args:
        first: Number of the first polygon that it holds for.
        keyword: ``g``, ``o``, ``s`` or ``usemtl``, as OBJ spells them.
        name: What follows the keyword.
    """

    first: int
    keyword: str
    name: str


@dataclass(frozen=True, eq=False)
class Mesh:
    """A mesh as read from a file: order, polygons and texture coordinates kept.

    Args:
        vertices: (V, 3) float32, the file's own unit and axes (see ``geometry.alignment``).
        faces: (F, 3) int32. Triangles; polygons are fanned.
        polygons: The file's polygons when not all are triangles, else None.
        uv: (U, 2) float32 texture coordinates or None.
        uv_faces: (F, 3) int32 index into ``uv`` of each triangle corner, or None.
        colors: (V, 3) float32 in 0..1 or None.
        marks: Groups and materials, by polygon (by triangle where ``polygons`` is None).
        material_files: The material libraries that an OBJ names, in order.
        pictures: The pictures that a PLY or VRML file names, in order.
        offset: (3,) float64, the file's unit. What was taken off every vertex because the file lies so far
            from the origin that float32 would round it; writers of meshes add it again. None for nothing.
        name: The file's stem.
        path: The file that it was read from, or None.
        notes: Sentences on what of the file is not in here, was chosen among several, or looks wrong.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    polygons: Polygons | None = None
    uv: NDArray[np.float32] | None = None
    uv_faces: NDArray[np.int32] | None = None
    colors: NDArray[np.float32] | None = None
    marks: tuple[Mark, ...] = ()
    material_files: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()
    offset: NDArray[np.float64] | None = None
    name: str = "mesh"
    path: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def placed(self) -> NDArray:
        """(V, 3) the vertices where the file has them: float32, or float64 where there is an offset."""
        return self.vertices if self.offset is None else self.vertices + self.offset

    def brought_near(self, points: NDArray) -> NDArray[np.float64]:
        """Points of the file's coordinates, moved as its vertices were.

        Args:
            points: (..., 3) float, the file's unit.

        Returns:
            (..., 3) float64, the same unit, less the offset.
        """
        points = np.asarray(points, np.float64)
        return points if self.offset is None else points - self.offset

    @property
    def polygon_count(self) -> int:
        """P, the number of the file's polygons."""
        return len(self.faces) if self.polygons is None else len(self.polygons.sizes)

    def names(self, keyword: str = "usemtl") -> tuple[str, ...]:
        """The names of all groups (``g``), objects (``o``) or materials (``usemtl``), in order."""
        return tuple(dict.fromkeys(mark.name for mark in self.marks if mark.keyword == keyword))

    def polygons_in(self, name: str, keyword: str = "usemtl") -> NDArray[np.bool_]:
        """(P,) bool mask of the polygons that a group, object or material holds."""
        names = self.names(keyword)
        if name not in names:
            return np.zeros(self.polygon_count, bool)
        return self.parts(keyword) == names.index(name)

    def parts(self, keyword: str = "usemtl") -> NDArray[np.int64]:
        """(P,) int, the place in :meth:`names` of each polygon's group, object or material; -1 before any."""
        places = {name: place for place, name in enumerate(self.names(keyword))}
        marks = [mark for mark in self.marks if mark.keyword == keyword]
        firsts = np.array([0] + [mark.first for mark in marks] + [self.polygon_count])
        kinds = np.array([-1] + [places[mark.name] for mark in marks])
        return np.repeat(kinds, np.diff(firsts))


def assemble(
    vertices: NDArray,
    sizes: NDArray,
    corners: NDArray,
    uv: NDArray | None = None,
    uv_corners: NDArray | None = None,
    *,
    center: bool = False,
    **others: object,
) -> Mesh:
    """A Mesh from polygons: fans them, and keeps them when they are not all triangles.

    Args:
        vertices: (V, 3) float.
        sizes: (P,) int. Corners of each polygon.
        corners: (sum of sizes,) int. Vertex index of each corner.
        uv: (U, 2) float or None.
        uv_corners: (sum of sizes,) int or None.
        center: Whether a mesh that float32 would round, as it lies far from the origin, gets an offset.
        others: Further fields of :class:`Mesh`.
    """
    polygons = Polygons(
        np.asarray(sizes, np.int32),
        np.asarray(corners, np.int32),
        None if uv_corners is None else np.asarray(uv_corners, np.int32),
    )
    faces, uv_faces = polygons.triangulate()
    offset = _far_off(vertices) if center else None
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # what is beyond float32 becomes infinite: refused later
        near = (np.asarray(vertices) if offset is None else vertices - offset).astype(np.float32)
    return Mesh(
        vertices=near,
        faces=faces,
        polygons=None if (polygons.sizes == 3).all() else polygons,
        uv=None if uv is None or uv_corners is None else np.asarray(uv, np.float32),
        uv_faces=uv_faces,
        offset=offset,
        **others,  # type: ignore[arg-type]
    )


def _far_off(vertices: NDArray) -> NDArray[np.float64] | None:
    """(3,) the whole numbers nearest to the middle of a mesh that lies far from the origin, else None."""
    if not len(vertices) or not np.isfinite(vertices).all():
        return None
    low, high = np.asarray(vertices, np.float64).min(axis=0), np.asarray(vertices, np.float64).max(axis=0)
    extent, reach = float((high - low).max()), float(np.maximum(np.abs(low), np.abs(high)).max())
    return np.rint((low + high) / 2) if 0 < extent < reach / _FAR else None
