"""Mesh: what a mesh file says, in the file's own order and unit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.topology import Polygons


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
        material_file: The OBJ's ``mtllib`` or None.
        name: The file's stem.
        path: The file that it was read from, or None.
        notes: Sentences on what of the file is not in here, or was chosen among several.
    """

    vertices: NDArray[np.float32]
    faces: NDArray[np.int32]
    polygons: Polygons | None = None
    uv: NDArray[np.float32] | None = None
    uv_faces: NDArray[np.int32] | None = None
    colors: NDArray[np.float32] | None = None
    marks: tuple[Mark, ...] = ()
    material_file: str | None = None
    name: str = "mesh"
    path: Path | None = None
    notes: tuple[str, ...] = ()

    @property
    def polygon_count(self) -> int:
        """P, the number of the file's polygons."""
        return len(self.faces) if self.polygons is None else len(self.polygons.sizes)

    def names(self, keyword: str = "usemtl") -> tuple[str, ...]:
        """The names of all groups (``g``), objects (``o``) or materials (``usemtl``), in order."""
        return tuple(dict.fromkeys(mark.name for mark in self.marks if mark.keyword == keyword))

    def polygons_in(self, name: str, keyword: str = "usemtl") -> NDArray[np.bool_]:
        """(P,) bool mask of the polygons that a group, object or material holds."""
        mask = np.zeros(self.polygon_count, bool)
        marks = [mark for mark in self.marks if mark.keyword == keyword]
        ends = [mark.first for mark in marks[1:]] + [self.polygon_count]
        for mark, end in zip(marks, ends, strict=True):
            if mark.name == name:
                mask[mark.first : end] = True
        return mask


def assemble(
    vertices: NDArray,
    sizes: NDArray,
    corners: NDArray,
    uv: NDArray | None = None,
    uv_corners: NDArray | None = None,
    **others: object,
) -> Mesh:
    """A Mesh from polygons: fans them, and keeps them when they are not all triangles.

    Args:
        vertices: (V, 3) float.
        sizes: (P,) int. Corners of each polygon.
        corners: (sum of sizes,) int. Vertex index of each corner.
        uv: (U, 2) float or None.
        uv_corners: (sum of sizes,) int or None.
        others: Further fields of :class:`Mesh`.
    """
    polygons = Polygons(
        np.asarray(sizes, np.int32),
        np.asarray(corners, np.int32),
        None if uv_corners is None else np.asarray(uv_corners, np.int32),
    )
    faces, uv_faces = polygons.triangulate()
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # what is beyond float32 becomes infinite: refused later
        vertices = np.asarray(vertices).astype(np.float32)
    return Mesh(
        vertices=vertices,
        faces=faces,
        polygons=None if (polygons.sizes == 3).all() else polygons,
        uv=None if uv is None or uv_corners is None else np.asarray(uv, np.float32),
        uv_faces=uv_faces,
        **others,  # type: ignore[arg-type]
    )
