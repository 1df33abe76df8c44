"""Morph targets added to somebody's GLB: everything that the file holds stays as it is."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, BadMesh, WrongTopology
from mien.geometry.differential import vertex_normals
from mien.io.atomic import write_bytes
from mien.io.glb import Document, parts_of, vertex_map_of
from mien.io.glb_buffer import Buffer
from mien.io.record import Mesh


def add_glb_targets(
    source: Path | Document, path: Path, mesh: Mesh, targets: NDArray, names: Sequence[str], *,
    clip: NDArray | None = None, fps: float = 30.0,
) -> None:  # fmt: skip
    """Writes a copy of a GLB file with morph targets; nodes, materials, textures, skins, order are kept.

    Targets that the file already has stay in front of the new ones.

    Args:
        source: The file that ``mesh`` was read from, or its contents.
        path: Where to write.
        mesh: What :func:`mien.io.mesh.read_mesh` read from ``source``.
        targets: (E, N, 3) float, in the scene's meters. The vertices of ``mesh`` at full weight.
        names: E names, different from each other and from those in the file.
        clip: (T, E) float. Weights over time, or None.
        fps: Frames per second of the clip.
    """
    document = _opened(source)
    targets = np.asarray(targets, np.float64)
    if targets.shape[1:] != mesh.vertices.shape or len(names) != len(targets):
        raise WrongTopology(
            f"targets need shape ({len(names)}, {len(mesh.vertices)}, 3)", received=targets.shape
        )
    edit = _Edit(document)
    normals = _normal_changes(mesh, targets)
    for node, item, part, rows, matrix in edit.pieces(mesh):
        moved = (targets - mesh.vertices)[:, rows] @ np.linalg.inv(matrix[:3, :3]).T
        edit.add_targets(part, moved, normals[:, rows] @ _turn(matrix))
        edit.name_targets(item, names)
        if clip is not None:
            edit.animate(node, item, np.asarray(clip), fps)
    write_bytes(path, edit.container())


def move_glb(source: Path | Document, path: Path, mesh: Mesh, vertices: NDArray) -> None:
    """Writes a copy of a GLB file with its vertices elsewhere; all else is kept.

    Args:
        source: The file that ``mesh`` was read from, or its contents.
        path: Where to write.
        mesh: What :func:`mien.io.mesh.read_mesh` read from ``source``.
        vertices: (N, 3) float, in the scene's meters.
    """
    edit = _Edit(_opened(source))
    moved = np.asarray(vertices, np.float64)
    normals = _normal_changes(mesh, moved[None])[0]
    for _, _, part, rows, matrix in edit.pieces(mesh):
        change = (moved - mesh.vertices)[rows] @ np.linalg.inv(matrix[:3, :3]).T
        edit.move(part, change, normals[rows] @ _turn(matrix))
    write_bytes(path, edit.container())


def _opened(source: Path | Document) -> Document:
    return source if isinstance(source, Document) else Document(source)


def _turn(matrix: NDArray) -> NDArray[np.float64]:
    """(3, 3) from directions of the scene, as rows, to directions of a node."""
    left, _, right = np.linalg.svd(matrix[:3, :3])
    return left @ right


def _normal_changes(mesh: Mesh, targets: NDArray) -> NDArray[np.float64]:
    """(E, N, 3) how smooth normals change; vertices that the file repeats along seams change alike."""
    _, first, place = np.unique(mesh.vertices, axis=0, return_index=True, return_inverse=True)
    place = place.ravel()
    faces = place[mesh.faces]
    rest = vertex_normals(mesh.vertices[first].astype(np.float64), faces)
    return np.stack([vertex_normals(target[first], faces) - rest for target in targets])[:, place]


class _Edit:
    """A copy of a file's JSON, and what is appended to its binary chunk."""

    def __init__(self, document: Document) -> None:
        self.json: dict[str, Any] = copy.deepcopy(document.json)
        self._document = document
        if "uri" in self.json["buffers"][0]:
            raise BadFile("the GLB keeps its data in another file", remedy="export it as one GLB file")
        self._buffer = Buffer(document.binary, self.json["bufferViews"], self.json["accessors"])

    def pieces(self, mesh: Mesh) -> Iterator[tuple[int, dict, list[dict], NDArray, NDArray]]:
        """(node, mesh, primitives with shared vertices, rows of ``mesh`` of their vertices, node's matrix).

        A mesh that several nodes show becomes a mesh for each.
        """
        seen, start = set(), 0
        for node, number, matrix in self._document.transforms():
            if number in seen:
                self.json["meshes"].append(copy.deepcopy(self._document.json["meshes"][number]))
                number = len(self.json["meshes"]) - 1
                self.json["nodes"][node]["mesh"] = number
            seen.add(number)
            item = self.json["meshes"][number]
            parts = parts_of(item)
            if sum(map(len, parts)) < len(item["primitives"]):
                raise BadFile(
                    "a mesh of the GLB holds lines or points beside triangles", received=item.get("name"),
                    remedy="export the head without them",
                )  # fmt: skip
            for part in parts:
                total = self.json["accessors"][part[0]["attributes"]["POSITION"]]["count"]
                rows = vertex_map_of(item, total)
                yield node, item, part, start + rows, matrix
                start += int(rows.max()) + 1
        if start != len(mesh.vertices):
            raise WrongTopology(
                f"the GLB holds {start} vertices", received=f"{len(mesh.vertices)} vertices",
                remedy="give the mesh that was read from this file",
            )  # fmt: skip

    def add_targets(self, part: list[dict], moved: NDArray, turned: NDArray) -> None:
        """Appends (E, G, 3) changes of positions and, where the file has normals, of normals."""
        for position, normal in zip(moved, turned, strict=True):
            target = {"POSITION": self._buffer.add(position, "VEC3", bounds=True)}
            if "NORMAL" in part[0]["attributes"]:
                target["NORMAL"] = self._buffer.add(normal, "VEC3")
            for primitive in part:
                primitive.setdefault("targets", []).append(dict(target))

    def move(self, part: list[dict], moved: NDArray, turned: NDArray) -> None:
        """Gives primitives other positions and normals, (G, 3) changes each."""
        attributes = part[0]["attributes"]
        there = self._document.accessor(attributes["POSITION"]) + moved
        new = {"POSITION": self._buffer.add(there, "VEC3", bounds=True)}
        if "NORMAL" in attributes:
            normals = self._document.accessor(attributes["NORMAL"]) + turned
            length = np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
            new["NORMAL"] = self._buffer.add(normals / length, "VEC3")
        for primitive in part:
            primitive["attributes"] |= new

    def name_targets(self, mesh: dict, names: Sequence[str]) -> None:
        """Sets names and resting weights, after those of targets that the file had."""
        counts = {len(primitive["targets"]) for primitive in mesh["primitives"] if "targets" in primitive}
        if len(mesh.get("extras", {}).get("targetNames", ())) == max(counts):
            return  # another primitive of the same mesh has named them
        before = max(counts) - len(names)
        extras = mesh["extras"] = dict(mesh.get("extras") or {})
        known = list(extras.get("targetNames") or [f"target_{number}" for number in range(before)])
        if set(known) & set(names):
            twice = sorted(set(known) & set(names))
            raise BadMesh(
                "the file already has morph targets of these names", received=", ".join(twice[:5]),
                remedy="export it without them, or rename the new ones with --names table.csv",
            )  # fmt: skip
        extras["targetNames"] = known + [str(name) for name in names]
        mesh["weights"] = list(mesh.get("weights") or [0.0] * before) + [0.0] * len(names)

    def animate(self, node: int, mesh: dict, clip: NDArray, fps: float) -> None:
        """Appends weights over time of one node; targets that the file had keep their resting weight."""
        before = len(mesh["weights"]) - clip.shape[1]
        times = np.arange(len(clip))[:, None] / fps
        weights = np.hstack([np.tile(mesh["weights"][:before], (len(clip), 1)), clip])
        sampler = {
            "input": self._buffer.add(times, "SCALAR", bounds=True, vertices=False),
            "output": self._buffer.add(weights.reshape(-1, 1), "SCALAR", vertices=False),
            "interpolation": "LINEAR",
        }  # fmt: skip
        animations = self.json.setdefault("animations", [])
        if not animations or animations[-1].get("name") != "performance":
            animations.append({"name": "performance", "samplers": [], "channels": [], "extras": {"fps": fps}})
        animations[-1]["samplers"].append(sampler)
        place = len(animations[-1]["samplers"]) - 1
        animations[-1]["channels"].append({"sampler": place, "target": {"node": node, "path": "weights"}})

    def container(self) -> bytes:
        """The whole file."""
        return self._buffer.container(self.json)
