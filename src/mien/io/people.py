"""Folders of people: one file each, and a table that lists them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mien.io.atomic import whole_folder, write_bytes
from mien.io.gltf import png_bytes, write_glb
from mien.io.mesh import write_obj_sequence
from mien.topology import Topology


def write_people(
    folder: Path, faces: Iterable[NDArray], topology: Topology, about: Mapping[str, Any]
) -> None:
    """Writes people as ``person_0000.obj`` and so on, and ``people.csv``, which lists them.

    Args:
        folder: Where to; it appears when all of them are written.
        faces: (V, 3) float, millimeters, one after the other.
        topology: What the faces share.
        about: What holds for all of them, as further columns of the table.
    """
    with whole_folder(folder) as partial:
        _write_table(partial, write_obj_sequence(partial, faces, topology, stem="person"), about)


def write_textured_people(
    folder: Path, batches: Iterable[tuple[NDArray, NDArray]], topology: Topology, about: Mapping[str, Any]
) -> None:
    """Writes people with their textures as ``person_0000.glb`` and so on, and ``people.csv``.

    Args:
        folder: Where to; it appears when all of them are written.
        batches: (n, V, 3) float faces, millimeters, and (n, H, W, 3) uint8 sRGB texture maps.
        topology: What the faces share, texture coordinates included.
        about: What holds for all of them, as further columns of the table.
    """
    with whole_folder(folder) as partial:
        paths: list[Path] = []
        for faces, maps in batches:
            for face, image in zip(faces, maps, strict=True):
                paths.append(partial / f"person_{len(paths):04d}.glb")
                write_glb(paths[-1], face, topology, texture=png_bytes(image), name=paths[-1].stem)
        _write_table(partial, paths, about)


def _write_table(folder: Path, paths: Iterable[Path], about: Mapping[str, Any]) -> None:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["file", "number", *about])
    table.writerows([path.name, number, *about.values()] for number, path in enumerate(paths))
    write_bytes(folder / "people.csv", text.getvalue().encode())
