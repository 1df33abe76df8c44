"""GLB in: meshes as they stand, and rigs with their morph targets and animation."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, BadMesh
from mien.io.record import Mark, Mesh, assemble

_COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_NO_MATERIAL = "default"
MILLIMETERS = 1000.0


class Morphs(NamedTuple):
    """A rig as a GLB file holds it.

    Args:
        base: (V, 3) float32, millimeters.
        targets: (E, V, 3) float32, millimeters. Absolute positions at weight one.
        names: E target names.
        animation: Weights (T, E) and frames per second, or None.
        vertex_map: (G,) int32. The vertex of each glTF vertex; longer than V where seams split vertices.
        faces: (F, 3) int32 triangles of the V vertices.
    """

    base: NDArray[np.float32]
    targets: NDArray[np.float32]
    names: tuple[str, ...]
    animation: tuple[NDArray[np.float32], float] | None
    vertex_map: NDArray[np.int32]
    faces: NDArray[np.int32]


class Document:
    """A parsed GLB container; it does not need its file again."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        damaged = BadFile(f"{path.name!r} is cut off or not a GLB file", received=f"{len(data)} bytes",
                          remedy="copy or export it again")  # fmt: skip
        if len(data) < 20 or data[:4] != b"glTF":
            raise damaged
        version, total, size, kind = struct.unpack_from("<IIII", data, 4)
        if version != 2 or total != len(data) or kind != 0x4E4F534A or 20 + size > total:
            raise damaged
        self.path = path
        try:
            self.json: dict[str, Any] = json.loads(data[20 : 20 + size])
        except ValueError:
            raise damaged from None
        self.binary = b""
        if total >= 28 + size:
            length, kind = struct.unpack_from("<II", data, 20 + size)
            self.binary = data[28 + size : 28 + size + length] if kind == 0x004E4942 else b""
        needed = self.json.get("extensionsRequired", [])
        if needed:
            raise BadFile(
                f"{path.name!r} needs glTF extensions that Mien does not read",
                received=", ".join(map(str, needed)),
                remedy="export it without compression",
            )

    def accessor(self, number: int) -> NDArray:
        """(n, k) values of an accessor, sparse changes applied."""
        item = self.json["accessors"][number]
        kind, width = _COMPONENTS[item["componentType"]], _WIDTHS[item["type"]]
        if "bufferView" in item:
            rows = self._rows(item["bufferView"], item.get("byteOffset", 0), kind, item["count"], width)
        else:
            rows = np.zeros((item["count"], width), kind)
        if "sparse" in item:
            sparse = item["sparse"]
            index, values = sparse["indices"], sparse["values"]
            at = self._rows(index["bufferView"], index.get("byteOffset", 0),
                            _COMPONENTS[index["componentType"]], sparse["count"], 1)  # fmt: skip
            new = self._rows(values["bufferView"], values.get("byteOffset", 0), kind, sparse["count"], width)
            rows = rows.copy()
            rows[at.ravel()] = new
        return rows

    def _rows(self, view: int, offset: int, kind: str, count: int, width: int) -> NDArray:
        part = self.json["bufferViews"][view]
        itemsize = np.dtype(kind).itemsize
        start = part.get("byteOffset", 0) + offset
        stride = part.get("byteStride", itemsize * width)
        if count and start + stride * (count - 1) + itemsize * width > len(self.binary):
            raise IndexError("an accessor reaches beyond the binary chunk")
        return np.ndarray((count, width), kind, self.binary, start, (stride, itemsize))

    def view(self, number: int) -> bytes:
        """The bytes of a buffer view."""
        part = self.json["bufferViews"][number]
        start = part.get("byteOffset", 0)
        return self.binary[start : start + part["byteLength"]]

    def transforms(self) -> list[tuple[int, int, NDArray[np.float64]]]:
        """(node, mesh, (4, 4) matrix) of every node that shows a mesh."""
        nodes = self.json.get("nodes", [])
        scenes = self.json.get("scenes")
        roots = scenes[self.json.get("scene", 0)].get("nodes", []) if scenes else range(len(nodes))
        found: list[tuple[int, int, NDArray[np.float64]]] = []
        stack = [(node, np.eye(4)) for node in reversed(list(roots))]
        for _ in range(4 * len(nodes) + 4):  # more steps than nodes would be a loop in the file
            if not stack:
                return found
            number, parent = stack.pop()
            matrix = parent @ _matrix(nodes[number])
            if "mesh" in nodes[number]:
                found.append((number, nodes[number]["mesh"], matrix))
            stack += [(child, matrix) for child in reversed(nodes[number].get("children", []))]
        raise ValueError("the node tree has a loop")


def _matrix(node: dict[str, Any]) -> NDArray[np.float64]:
    """The (4, 4) matrix of a node."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    matrix = np.eye(4)
    x, y, z, w = node.get("rotation", (0, 0, 0, 1))
    rotation = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    matrix[:3, :3] = rotation * np.array(node.get("scale", (1, 1, 1)), np.float64)
    matrix[:3, 3] = node.get("translation", (0, 0, 0))
    return matrix


def _damaged(path: Path, error: Exception) -> BadFile:
    return BadFile(
        f"{path.name!r} is a damaged GLB file", received=str(error) or type(error).__name__,
        remedy="export it again",
    )  # fmt: skip


DAMAGE = (KeyError, IndexError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)


def read_glb(path: Path) -> Mesh:
    """Reads all triangles of a GLB file's scene, in meters; see :func:`mien.io.mesh.read_mesh`."""
    document = Document(path)
    try:
        parts = [
            _part(document, part, document.json["meshes"][mesh], matrix)
            for _, mesh, matrix in document.transforms()
            for part in parts_of(document.json["meshes"][mesh])
        ]
    except DAMAGE as error:
        raise _damaged(path, error) from error
    if not parts:
        raise BadMesh(
            f"{path.name!r} holds no triangles", remedy="export the mesh itself, not only its nodes"
        )
    offsets = np.cumsum([0] + [len(points) for points, *_ in parts])
    uv_offsets = np.cumsum([0] + [0 if part[2] is None else len(part[2]) for part in parts])
    face_offsets = np.cumsum([0] + [len(part[1]) for part in parts])
    points = np.concatenate([points for points, *_ in parts])
    faces = np.concatenate([part[1] + start for part, start in zip(parts, offsets, strict=False)])
    marks = tuple(
        Mark(int(start + first), "usemtl", material)
        for part, start in zip(parts, face_offsets, strict=False)
        for first, material in part[4]
    )
    uv = uv_corners = None
    if all(part[2] is not None for part in parts):
        uv = np.concatenate([part[2] for part in parts])
        uv_corners = np.concatenate(
            [part[3] + start for part, start in zip(parts, uv_offsets, strict=False)]
        ).ravel()
    named = marks if {mark.name for mark in marks} != {_NO_MATERIAL} else ()
    sizes = np.full(len(faces), 3)
    return assemble(points, sizes, faces.ravel(), uv, uv_corners, marks=named, name=path.stem)


def parts_of(mesh: dict) -> list[list[dict]]:
    """The triangle primitives of a mesh, those together that share their vertices (one for each material)."""
    groups: dict[tuple, list[dict]] = {}
    for primitive in mesh["primitives"]:
        attributes = primitive["attributes"]
        if primitive.get("mode", 4) == 4 and "POSITION" in attributes:
            groups.setdefault((attributes["POSITION"], attributes.get("TEXCOORD_0")), []).append(primitive)
    return list(groups.values())


def _part(document: Document, primitives: list[dict], mesh: dict, matrix: NDArray) -> tuple:
    """Points, triangles, uv, uv triangles, (first triangle, material) of primitives that share vertices."""
    attributes = primitives[0]["attributes"]
    points = document.accessor(attributes["POSITION"]).astype(np.float64)
    vertex_map = vertex_map_of(mesh, len(points))
    pieces = [_triangles(document, primitive, len(points)) for primitive in primitives]
    firsts = np.cumsum([0] + [len(piece) for piece in pieces])
    corners = np.concatenate(pieces)
    names = [_material(document, primitive) for primitive in primitives]
    uv = None
    if "TEXCOORD_0" in attributes:
        uv = document.accessor(attributes["TEXCOORD_0"]).astype(np.float64) * (1, -1) + (0, 1)
    count = int(vertex_map.max()) + 1
    points = points[:count] @ matrix[:3, :3].T + matrix[:3, 3]
    return points, vertex_map[corners], uv, corners, list(zip(firsts.tolist(), names, strict=False))


def _material(document: Document, primitive: dict) -> str:
    number = primitive.get("material")
    if number is None:
        return _NO_MATERIAL
    return str(document.json["materials"][number].get("name") or f"material_{number}")


def _triangles(document: Document, primitive: dict, count: int) -> NDArray[np.int64]:
    if "indices" in primitive:
        corners = document.accessor(primitive["indices"]).astype(np.int64).reshape(-1, 3)
    else:
        corners = np.arange(count).reshape(-1, 3)
    if not len(corners) or corners.max() >= count:
        raise BadMesh(
            f"a face of {document.path.name!r} names vertex {corners.max(initial=0)} of {count}",
            received=f"{len(corners)} triangles",
            remedy="export the mesh again",
        )
    return corners


def vertex_map_of(mesh: dict, count: int) -> NDArray[np.int32]:
    """(count,) int32 vertex of each glTF vertex: our writer puts repeats along seams last and lists them."""
    repeats = np.array((mesh.get("extras") or {}).get("splitVertices", []), np.int32)
    originals = count - len(repeats)
    if originals < 1 or (len(repeats) and (repeats.min() < 0 or repeats.max() >= originals)):
        raise ValueError("splitVertices does not fit the vertices")
    return np.concatenate([np.arange(originals, dtype=np.int32), repeats])


def read_glb_targets(path: str | Path) -> Morphs:
    """Reads the first mesh of a GLB file with its morph targets and weight animation, in millimeters.

    Args:
        path: A ``.glb`` file.
    """
    path = Path(path)
    if not path.is_file():
        raise BadFile("the GLB file does not exist", received=str(path), remedy="check the path")
    document = Document(path)
    try:
        number, mesh = next(
            (
                (i, mesh)
                for i, mesh in enumerate(document.json["meshes"])
                if mesh["primitives"][0].get("targets")
            ),
            (0, document.json["meshes"][0]),
        )
        primitives = (parts_of(mesh) or [mesh["primitives"]])[0]  # a scan has points alone
        primitive = primitives[0]
        points = document.accessor(primitive["attributes"]["POSITION"]).astype(np.float64)
        vertex_map = vertex_map_of(mesh, len(points))
        count = int(vertex_map.max()) + 1
        changes = [document.accessor(item["POSITION"])[:count] for item in primitive.get("targets", [])]
        pieces = [_triangles(document, item, len(points)) for item in primitives if item.get("mode", 4) == 4]
        faces = vertex_map[np.concatenate([np.zeros((0, 3), np.int64), *pieces])]
        animation = _animation(document, number, len(changes))
        names = (mesh.get("extras") or {}).get("targetNames") or [f"target_{i}" for i in range(len(changes))]
    except DAMAGE as error:
        raise _damaged(path, error) from error
    base = points[:count]
    targets = base + np.stack(changes).astype(np.float64) if changes else np.zeros((0, count, 3))
    return Morphs(
        (base * MILLIMETERS).astype(np.float32), (targets * MILLIMETERS).astype(np.float32),
        tuple(map(str, names)), animation, vertex_map, faces.astype(np.int32),
    )  # fmt: skip


def _animation(document: Document, mesh: int, count: int) -> tuple[NDArray[np.float32], float] | None:
    """Weights and frame rate of the first animation of a mesh's weights."""
    nodes = document.json.get("nodes", [])
    for animation in document.json.get("animations", []):
        for channel in animation["channels"]:
            target = channel["target"]
            if target["path"] == "weights" and nodes[target["node"]].get("mesh") == mesh:
                sampler = animation["samplers"][channel["sampler"]]
                times = document.accessor(sampler["input"]).ravel()
                weights = document.accessor(sampler["output"]).reshape(len(times), count)
                rate = (len(times) - 1) / float(times[-1] - times[0]) if len(times) > 1 else 30.0
                fps = float((animation.get("extras") or {}).get("fps", rate))
                return np.array(weights, np.float32), fps
    return None
