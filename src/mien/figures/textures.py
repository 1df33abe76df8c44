"""Sheets of textured faces: renders, the meshes under them, and the maps on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from mien.figures.faces import draw, face_view
from mien.figures.sheets import grid
from mien.progress import track
from mien.topology import Topology


def textured_sheet(
    meshes: NDArray, maps: NDArray, topology: Topology, labels: Sequence[str] = (), *, title: str = "",
    note: str = "", size: int = 180, with_maps: bool = True,
) -> Pictures.Image:  # fmt: skip
    """Meshes in clay, the same with their textures, and the textures: the publication's figures 5 and 6.

    Args:
        meshes: (K, V, 3) float, millimeters.
        maps: (K, H, W, 3) uint8 sRGB.
        topology: What the faces share; it needs uv.
        labels: One a mesh.
        title: Heading.
        note: Small print.
        size: Pixels of a face.
        with_maps: Whether the maps themselves are shown.
    """
    view = face_view(topology)
    rows: list[list[NDArray]] = [[], [], []]
    for mesh, image in track(list(zip(meshes, maps, strict=True)), "drawing faces"):
        rows[0].append(draw(mesh, topology, size=size, view=view))
        rows[1].append(draw(mesh, topology, size=size, view=view, texture=image))
        rows[2].append(
            np.asarray(Pictures.fromarray(image).resize((size, size), Pictures.Resampling.BICUBIC))
        )
    shown = rows if with_maps else rows[:2]
    return grid(shown, ("shape", "with texture", "texture")[: len(shown)], labels, title, note=note)


def textured_people(
    meshes: NDArray, maps: NDArray, topology: Topology, row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (), title: str = "", *, note: str = "", size: int = 180,
) -> Pictures.Image:  # fmt: skip
    """Rows of textured faces.

    Args:
        meshes: (R, C, V, 3) float, millimeters.
        maps: (R, C, H, W, 3) uint8 sRGB.
        topology: What the faces share; it needs uv.
        row_labels: One a row.
        column_labels: One a column.
        title: Heading.
        note: Small print.
        size: Pixels of a face.
    """
    view = face_view(topology)
    rows = [
        [draw(mesh, topology, size=size, view=view, texture=image) for mesh, image in zip(*row, strict=True)]
        for row in track(list(zip(meshes, maps, strict=True)), "drawing faces")
    ]
    return grid(rows, row_labels, column_labels, title, note=note)
