"""Sheets of textured faces: renders, the meshes under them, and the maps on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pictures

from mien.codes import Codes
from mien.figures.faces import draw, face_view
from mien.figures.sheets import grid
from mien.figures.styles import BEYOND, SHOWN_LEVELS, performing, readable
from mien.models.base import FaceModel
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


def expressions_of_one(
    model: FaceModel, people: Codes, names: Sequence[str], *, size: int = 170
) -> Pictures.Image:
    """One person at rest and with expressions: shape, shape with texture, texture (figure 6)."""
    shown: list[str | None] = [None, *names]
    codes = performing(model, people[:1].repeat(len(shown)), shown)
    labels = ["neutral", *(readable(name) for name in names)]
    title = f"One generated person, {model.name}"
    return textured_sheet(*_colored(model, codes), model.topology, labels, title=title, size=size)


def walk_beyond(
    model: FaceModel, people: Codes, names: Sequence[str | None], *, size: int = 150
) -> Pictures.Image:
    """From one person to another and beyond; the expression is fixed in each row (figure 5)."""
    walk = Codes.cat([model.mix(people[:1], people[1:2], amount) for amount in BEYOND])
    rows = [_colored(model, performing(model, walk, [name] * len(BEYOND))) for name in names]
    faces, maps = (np.stack(parts) for parts in zip(*rows, strict=True))
    sides = ["neutral" if name is None else readable(name) for name in names]
    title = f"From one person to another and beyond, {model.name}"
    return textured_people(
        faces, maps, model.topology, sides, [f"{amount:g}" for amount in BEYOND], title, size=size
    )


def people_in_color(model: FaceModel, people: Codes, name: str | None, *, size: int = 170) -> Pictures.Image:
    """Several people with one expression: shape, shape with texture, texture (figure 5's column)."""
    codes = performing(model, people, [name] * len(people))
    labels = [f"person {k + 1}" for k in range(len(people))]
    title = f"Generated people, {'neutral' if name is None else readable(name)}, {model.name}"
    return textured_sheet(*_colored(model, codes), model.topology, labels, title=title, size=size)


def intensities_in_color(
    model: FaceModel, people: Codes, names: Sequence[str], *, size: int = 150
) -> Pictures.Image:
    """Expressions down, intensities across, also beyond the trained 1; each row a person."""
    rows = [
        Codes.cat([performing(model, people[k : k + 1], [name], level) for level in SHOWN_LEVELS])
        for k, name in enumerate(names)
    ]
    faces, maps = (np.stack(parts) for parts in zip(*(_colored(model, row) for row in rows), strict=True))
    return textured_people(
        faces, maps, model.topology, [readable(name) for name in names],
        [f"{level:g}" for level in SHOWN_LEVELS], f"Intensity, {model.name}", size=size,
    )  # fmt: skip


@torch.no_grad()
def _colored(model: FaceModel, codes: Codes) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """(B, V, 3) faces and (B, H, W, 3) texture maps."""
    maps = [model.texture(codes[k : k + 8]).cpu().numpy() for k in range(0, len(codes), 8)]
    return model.decode(codes).float().cpu().numpy(), np.concatenate(maps)
