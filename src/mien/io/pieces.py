"""Meshes of a scene as a process of another program hands them over, and what becomes of them here."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, BadMesh
from mien.io.record import Mark, Mesh, assemble
from mien.temporary import passing_folder

_LONGEST_SECONDS = 300  # that a process may take
_NO_MATERIAL = "default"


@dataclass(frozen=True, eq=False)
class Piece:
    """A mesh of the scene.

    Args:
        name: Of its node.
        points: (V, 3) float64, meters, +Y up: where the scene shows it.
        sizes: (P,) int. Corners of each polygon.
        corners: (C,) int. Vertex of each corner.
        uv: (U, 2) float64 or None.
        uv_corners: (C,) int into ``uv``, or None.
        colors: (V, 3) float64, 0 to 1, or None.
        materials: (P,) int into ``material_names``; empty where there is none.
        material_names: Of its materials.
        targets: Name -> (V, 3) float64, meters: how a blend shape moves it.
    """

    name: str
    points: NDArray[np.float64]
    sizes: NDArray[np.int64]
    corners: NDArray[np.int64]
    uv: NDArray[np.float64] | None
    uv_corners: NDArray[np.int64] | None
    colors: NDArray[np.float64] | None
    materials: NDArray[np.int64]
    material_names: list[str]
    targets: dict[str, NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class ScenePieces:
    """A scene.

    Args:
        meshes: All that have polygons.
        materials: What each material looks like: ``name``, ``color``, ``opacity``, ``picture`` (a number).
        pictures: File name of each picture, and its bytes where the file holds them.
        skinned: Whether a skeleton moves any of it.
    """

    meshes: list[Piece]
    materials: list[dict[str, Any]] = field(default_factory=list)
    pictures: list[tuple[str, bytes | None]] = field(default_factory=list)
    skinned: bool = False


def pieces_by(command: Sequence[str], source: Path, *more: str) -> ScenePieces:
    """Has another process read a file.

    Args:
        command: What to run; the file and an ``.npz`` file to write are added.
        source: The file.
        more: Words behind these two.
    """
    with passing_folder() as folder:
        out = folder / "pieces.npz"
        run_process([*command, str(source), str(out), *more], source.name, out)
        try:
            with np.load(out, allow_pickle=False) as arrays:
                return _loaded(dict(arrays))
        except (KeyError, ValueError, IndexError, OSError) as error:
            raise BadFile(f"the meshes of {source.name!r} are damaged", received=str(error),
                          remedy="export it again") from error  # fmt: skip


def run_process(command: Sequence[str], name: str, out: Path) -> None:
    """Runs a program that reads a file and writes another.

    Args:
        command: The program and its words.
        name: Of the file that it reads, for the message.
        out: What it must have written in the end.
    """
    try:
        done = subprocess.run(command, capture_output=True, timeout=_LONGEST_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise BadFile(f"reading {name!r} took too long", received=f"over {_LONGEST_SECONDS} s",
                      remedy="export it as GLB") from None  # fmt: skip
    if done.returncode or not out.is_file():
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        cause = lines[-1][:160] if lines and done.returncode >= 0 else "the reader crashed"
        raise BadFile(f"{name!r} is damaged or of a version that cannot be read", received=cause,
                      remedy="export it again, best as GLB")  # fmt: skip


def _loaded(arrays: dict[str, NDArray]) -> ScenePieces:
    info = json.loads(arrays["info"].tobytes())
    pictures = [
        (str(name), arrays[key].tobytes() if (key := f"picture{number}") in arrays else None)
        for number, name in enumerate(info["pictures"])
    ]
    meshes = [_piece(item, f"{number}_", arrays) for number, item in enumerate(info["pieces"])]
    return ScenePieces(
        meshes, info["materials"], pictures, any(item.get("skinned") for item in info["pieces"])
    )


def _piece(item: dict[str, Any], key: str, arrays: dict[str, NDArray]) -> Piece:
    """A mesh in the scene; edges and points among its polygons are left out, mirrored ones turned over."""
    matrix = arrays[key + "matrix"].astype(np.float64)
    points = arrays[key + "points"].astype(np.float64)
    sizes = arrays[key + "sizes"].astype(np.int64)
    order = np.repeat(sizes >= 3, sizes).nonzero()[0]
    areas = sizes >= 3
    if np.linalg.det(matrix[:, :3]) < 0:
        order = order[_reversed(sizes[areas])]
    uv = arrays.get(key + "uv")
    colors = arrays.get(key + "color")
    corners = arrays[key + "corners"].astype(np.int64)
    if colors is not None:
        colors = _of_vertices(colors[arrays[key + "color_corners"]][:, :3], corners, len(points))
    materials = arrays[key + "materials"].astype(np.int64)
    return Piece(
        str(item["name"]), points @ matrix[:, :3].T + matrix[:, 3], sizes[areas], corners[order], uv,
        None if uv is None else arrays[key + "uv_corners"].astype(np.int64)[order], colors,
        materials[areas] if len(materials) == len(areas) else materials[:0],
        [str(name) for name in item["materials"]],
        {str(name): arrays[f"{key}target{number}"] @ matrix[:, :3].T
         for number, name in enumerate(item["targets"])},
    )  # fmt: skip


def _reversed(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The corners of polygons in the opposite order, each polygon's first corner kept."""
    ends = np.cumsum(sizes)
    starts = np.repeat(ends - sizes, sizes)
    place = np.arange(ends[-1] if len(ends) else 0) - starts
    return starts + (-place) % np.repeat(sizes, sizes)


def _of_vertices(values: NDArray, corners: NDArray, count: int) -> NDArray[np.float64]:
    """(V, 3) means of what a vertex's corners say."""
    sums = np.zeros((count, 3))
    np.add.at(sums, corners, values)
    return sums / np.maximum(np.bincount(corners, minlength=count), 1)[:, None]


def mesh_of(scene: ScenePieces, path: Path) -> Mesh:
    """One mesh of all pieces, in order.

    Args:
        scene: The scene.
        path: The file, for names.
    """
    pieces = scene.meshes
    if not pieces:
        raise BadMesh(f"{path.name!r} holds no polygons", remedy="export the mesh itself")
    starts = np.cumsum([0] + [len(item.points) for item in pieces])
    for item in pieces:
        if len(item.corners) and not 0 <= item.corners.min() <= item.corners.max() < len(item.points):
            raise BadMesh(f"a polygon of {path.name!r} names a vertex that is not there",
                          received=str(item.corners.max()), remedy="export the mesh again")  # fmt: skip
    uv, uv_corners = _coordinates(pieces)
    colors = [item.colors for item in pieces if item.colors is not None]
    note = f"{path.name}: its skeleton and animation are not read; export it as GLB to keep them."
    return assemble(
        np.concatenate([item.points for item in pieces]), np.concatenate([item.sizes for item in pieces]),
        np.concatenate([item.corners + start for item, start in zip(pieces, starts[:-1], strict=True)]),
        uv, uv_corners, marks=_marks(pieces), name=path.stem, notes=(note,) if scene.skinned else (),
        colors=np.concatenate(colors).astype(np.float32) if len(colors) == len(pieces) else None,
    )  # fmt: skip


def _coordinates(pieces: Sequence[Piece]) -> tuple[NDArray | None, NDArray | None]:
    """Texture coordinates of all pieces, if all have some."""
    uv = [item.uv for item in pieces if item.uv is not None]
    corners = [item.uv_corners for item in pieces if item.uv_corners is not None]
    if len(uv) < len(pieces):
        return None, None
    starts = np.cumsum([0] + [len(item) for item in uv])[:-1]
    return np.concatenate(uv), np.concatenate(
        [item + start for item, start in zip(corners, starts, strict=True)]
    )


def _marks(pieces: Sequence[Piece]) -> tuple[Mark, ...]:
    """Which polygons each object and each material holds; materials only where there are any."""
    named = any(item.material_names for item in pieces)
    marks, start = [], 0
    for item in pieces:
        marks.append(Mark(start, "o", item.name))
        changes = np.flatnonzero(np.diff(item.materials, prepend=-1)) if len(item.materials) else [0]
        for first in changes if named else []:
            number = int(item.materials[first]) if len(item.materials) else 0
            known = 0 <= number < len(item.material_names)
            marks.append(
                Mark(start + int(first), "usemtl", item.material_names[number] if known else _NO_MATERIAL)
            )
        start += len(item.sizes)
    return tuple(marks)


def targets_of(scene: ScenePieces) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Names of all blend shapes, and (E, V, 3) float64 meters how each moves the vertices of all pieces.

    Args:
        scene: The scene.
    """
    names = tuple(dict.fromkeys(name for item in scene.meshes for name in item.targets))
    moved = [
        np.concatenate([item.targets.get(name, np.zeros_like(item.points)) for item in scene.meshes])
        for name in names
    ]
    count = sum(len(item.points) for item in scene.meshes)
    return names, np.stack(moved) if moved else np.zeros((0, count, 3))
