"""Morph targets added to somebody's glTF file, and its vertices moved: all else that it holds stays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadMesh, BadSetting, UnknownName, WrongTopology
from mien.geometry.differential import vertex_normals
from mien.io.atomic import write_bytes
from mien.io.glb import extras_of, names_of
from mien.io.glb_edit import Edit, Shown
from mien.io.glb_weights import add_clip, pad_weights
from mien.io.gltf_document import Document, reading
from mien.io.gltf_nodes import shown_meshes
from mien.io.record import Mesh

#: What becomes of targets whose names a file has already.
EXISTING = ("refuse", "keep", "replace")
_STILL = 1e-6  # of the scene's size: vertices that move less (rounding does) are taken to stand


def target_names(source: Path | Document) -> tuple[str, ...]:
    """The names of all morph targets of the meshes that a file's scene shows.

    Args:
        source: A glTF file, or its contents.
    """
    document = _opened(source)
    with reading(document.path):
        meshes = [document.json["meshes"][place.mesh] for place in shown_meshes(document)]
        return tuple(dict.fromkeys(name for mesh in meshes for name in names_of(mesh)))


def check_existing(source: Path | Document, names: Sequence[str], existing: str = "refuse") -> None:
    """Raises where targets may not be added; it takes no time, so ask before the work that makes them.

    Args:
        source: A glTF file, or its contents.
        names: Names of the targets to be added.
        existing: What to do about names that the file has: ``refuse``, ``keep`` or ``replace``.
    """
    if existing not in EXISTING:
        raise UnknownName("way to treat existing targets", existing, EXISTING)
    twice = [name for name in target_names(source) if name in set(names)]
    if twice and existing == "refuse":
        raise BadMesh(
            f"the file already has {len(twice)} morph targets of these names", received=", ".join(twice[:5]),
            remedy="say --existing replace to put the new ones in their place, or --existing keep to add "
            "only those that it lacks",
        )  # fmt: skip
    if existing == "keep" and twice and set(names) <= set(twice):
        raise BadSetting(
            "the file has targets of all these names, so keeping them leaves nothing to add",
            received=f"--existing keep and {len(set(names))} names", remedy="say --existing replace",
        )  # fmt: skip


def add_glb_targets(
    source: Path | Document, path: Path, mesh: Mesh, targets: NDArray, names: Sequence[str], *,
    existing: str = "refuse", clip: NDArray | None = None, fps: float = 30.0,
) -> None:  # fmt: skip
    """Writes a copy of a glTF file with morph targets; nodes, materials, textures, skins, order are kept.

    Meshes that no target moves stay as they are. Targets that the file has stay where they are, so that its
    animations and whatever else counts targets remain valid; new ones follow.

    Args:
        source: The file that ``mesh`` was read from, or its contents.
        path: Where to write a GLB (or VRM) file.
        mesh: What :func:`mien.io.mesh.read_mesh` read from ``source``.
        targets: (E, N, 3) float, in the scene's meters. The vertices of ``mesh`` at full weight.
        names: E names, different from each other.
        existing: What to do about names that the file has, see :func:`check_existing`.
        clip: (T, E) float. Weights over time, or None.
        fps: Frames per second of the clip.
    """
    document = _opened(source)
    targets, names = np.asarray(targets, np.float64), [str(name) for name in names]
    if targets.shape[1:] != mesh.vertices.shape or len(names) != len(targets):
        raise WrongTopology(
            f"targets need shape ({len(names)}, {len(mesh.vertices)}, 3)", received=targets.shape
        )
    check_existing(document, names, existing)
    kept = set(target_names(document)) if existing == "keep" else set()
    chosen = [number for number, name in enumerate(names) if name not in kept]
    with reading(document.path):
        edit = Edit(document)
        _add_targets(edit, mesh, targets[chosen], [names[number] for number in chosen])
        if clip is not None:
            add_clip(edit, np.asarray(clip), names, fps)
        content = edit.container()
    write_bytes(path, content)


def _add_targets(edit: Edit, mesh: Mesh, targets: NDArray, names: Sequence[str]) -> None:
    """Gives the targets to all meshes that they move or that have targets of their names."""
    before = {number: len(names_of(item)) for number, item in enumerate(edit.document.json["meshes"])}
    moves = _Moves(mesh, targets)
    for shown in edit.shown(mesh):
        had = set(names_of(edit.document.json["meshes"][shown.place.mesh]))
        if moves.any(shown) or had & set(names):
            number = edit.editable(shown.place)
            before[number] = before[shown.place.mesh]
            _set_targets(edit, number, shown, moves, names)
    pad_weights(edit, before)


def move_glb(source: Path | Document, path: Path, mesh: Mesh, vertices: NDArray) -> None:
    """Writes a copy of a glTF file with its vertices elsewhere; all else is kept.

    Args:
        source: The file that ``mesh`` was read from, or its contents.
        path: Where to write a GLB (or VRM) file.
        mesh: What :func:`mien.io.mesh.read_mesh` read from ``source``.
        vertices: (N, 3) float, in the scene's meters.
    """
    document = _opened(source)
    moves = _Moves(mesh, np.asarray(vertices, np.float64)[None])
    with reading(document.path):
        edit = Edit(document)
        for shown in edit.shown(mesh):
            if moves.any(shown):
                _move(edit, shown, moves)
        content = edit.container()
    write_bytes(path, content)


def _move(edit: Edit, shown: Shown, moves: _Moves) -> None:
    """Gives a mesh other positions and normals; outlines of the same vertices go with it."""
    new = [_moved(edit, shown, moves, place) for place in range(len(shown.parts))]
    for primitive, place in edit.primitives(edit.editable(shown.place), shown):
        if place is not None:
            primitive["attributes"] |= new[place]


def _opened(source: Path | Document) -> Document:
    return source if isinstance(source, Document) else Document(source)


class _Moves:
    """How vertices of the scene and their normals change under each target.

    Args:
        mesh: The scene at rest.
        targets: (E, N, 3) float64, the scene's meters.
    """

    def __init__(self, mesh: Mesh, targets: NDArray) -> None:
        size = float(np.ptp(mesh.vertices.astype(np.float64), axis=0).max(initial=0.0))
        self._changes = targets - mesh.vertices
        self._changes[np.abs(self._changes).max(axis=2) <= _STILL * size] = 0.0
        # Vertices that the file repeats along seams turn alike.
        _, first, place = np.unique(mesh.vertices, axis=0, return_index=True, return_inverse=True)
        self._place = place.ravel()
        self._faces = self._place[mesh.faces]
        self._rest = vertex_normals(mesh.vertices[first].astype(np.float64), self._faces)
        self._normals = [vertex_normals(target[first], self._faces) for target in targets]

    def any(self, shown: Shown) -> bool:
        """Whether any target moves any vertex of a mesh."""
        return any(self._changes[:, rows].any() for rows in shown.rows)

    def positions(self, shown: Shown, place: int) -> NDArray[np.float64]:
        """(E, G, 3) changes of a part's positions, in its own coordinates."""
        return self._changes[:, shown.rows[place]] @ np.linalg.pinv(shown.place.matrix[:3, :3]).T

    def normals(self, shown: Shown, place: int) -> list[NDArray[np.float64]]:
        """E times (G, 3) changes of a part's normals, in its own coordinates."""
        rows, matrix = self._place[shown.rows[place]], shown.place.matrix[:3, :3]
        rest = _unit(self._rest[rows] @ matrix)
        changes = [_unit(normals[rows] @ matrix) - rest for normals in self._normals]
        return [np.where(np.abs(change).max(axis=1, keepdims=True) > _STILL, change, 0) for change in changes]


def _unit(rows: NDArray) -> NDArray[np.float64]:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(float).tiny)


def _set_targets(edit: Edit, number: int, shown: Shown, moves: _Moves, names: Sequence[str]) -> None:
    """Gives all primitives of a mesh the targets, in the place of those of the same names or behind."""
    mesh = edit.json["meshes"][number]
    known = names_of(mesh)
    wanted = known + [name for name in names if name not in known]
    made = [_morphs(edit, shown, moves, place) for place in range(len(shown.parts))]
    for primitive, place in edit.primitives(number, shown):
        if "POSITION" not in primitive["attributes"]:
            continue
        count = edit.json["accessors"][primitive["attributes"]["POSITION"]]["count"]
        targets = primitive.setdefault("targets", [])
        while len(targets) < len(wanted):
            targets.append({"POSITION": edit.still(count)})
        for name, target in zip(names, made[place] if place is not None else [], strict=False):
            targets[wanted.index(name)] = _fitting(target, primitive)
    _name(mesh, wanted)
    if mesh.get("weights"):
        mesh["weights"] += [0.0] * (len(wanted) - len(mesh["weights"]))
    else:
        mesh["weights"] = [0.0] * len(wanted)


def _morphs(edit: Edit, shown: Shown, moves: _Moves, place: int) -> list[dict[str, int]]:
    """A part's targets: changes of positions and, where the file has normals, of normals."""
    morphs = [
        {"POSITION": edit.buffer.add_changes(change, bounds=True)} for change in moves.positions(shown, place)
    ]
    if any("NORMAL" in primitive["attributes"] for primitive in shown.parts[place].primitives):
        for morph, change in zip(morphs, moves.normals(shown, place), strict=True):
            morph["NORMAL"] = edit.buffer.add_changes(change)
    return morphs


def _fitting(target: dict[str, int], primitive: dict[str, Any]) -> dict[str, int]:
    """A target with what the primitive has to be changed."""
    return {name: number for name, number in target.items() if name in primitive["attributes"]}


def _name(mesh: dict[str, Any], names: Sequence[str]) -> None:
    """Sets the names of a mesh's targets, wherever the file keeps them."""
    mesh["extras"] = extras_of(mesh) | {"targetNames": list(names)}
    for primitive in mesh["primitives"]:
        if "targetNames" in extras_of(primitive):
            primitive["extras"]["targetNames"] = list(names)


def _moved(edit: Edit, shown: Shown, moves: _Moves, place: int) -> dict[str, int]:
    """New positions and normals of a part."""
    part, document = shown.parts[place], edit.document
    there = document.accessor(part.positions) + moves.positions(shown, place)[0]
    new = {"POSITION": edit.buffer.add(there, "VEC3", bounds=True)}
    number = part.primitives[0]["attributes"].get("NORMAL")
    if number is not None:
        turned = document.accessor(number) + moves.normals(shown, place)[0]
        new["NORMAL"] = edit.buffer.add(_unit(turned), "VEC3")
    return new
