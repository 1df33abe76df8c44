"""glTF in (.glb, .vrm, .gltf): meshes as they stand, and rigs with their morph targets and animation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, BadMesh
from mien.io.colors import from_linear
from mien.io.gltf_document import TEXTURE_TRANSFORM, Document, draco_of, reading
from mien.io.gltf_nodes import ShownMesh, scene_note, shown_meshes
from mien.io.record import Mark, Mesh, assemble
from mien.limits import MOST_CORNERS, MOST_TARGET_ROWS, MOST_VERTICES

__all__ = ["Document", "Morphs", "PrimitiveGroup", "read_glb", "read_glb_targets"]

_NO_MATERIAL = "default"
_STRIP, _FAN = 5, 6
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


class PrimitiveGroup(NamedTuple):
    """The triangle primitives of a mesh that share their vertices and texture coordinates.

    Args:
        primitives: One for each material.
        positions: Number of their accessor of positions.
        coordinates: Number of that of the texture coordinates that their picture lies in, or None.
        transform: (2, 3) what the material does to texture coordinates, row by row; v counts down.
    """

    primitives: list[dict[str, Any]]
    positions: int
    coordinates: int | None
    transform: tuple[float, ...]


class _Piece(NamedTuple):
    """A part as it stands in the scene, see :func:`_piece`."""

    points: NDArray[np.float64]
    faces: NDArray[np.int64]
    uv: NDArray[np.float64] | None
    uv_faces: NDArray[np.int64]
    colors: NDArray[np.float64] | None
    materials: list[tuple[int, str]]
    name: str


def read_glb(path: Path) -> Mesh:
    """Reads all triangles of a glTF file's default scene, in meters; see :func:`mien.io.mesh.read_mesh`.

    Vertices stand as the file shows them at rest: nodes' transforms, skins in their bind pose and resting
    weights of morph targets are in. Lines and points are left out.

    Args:
        path: A ``.glb``, ``.vrm`` or ``.gltf`` file.
    """
    document = Document(path)
    with reading(path), np.errstate(over="ignore", invalid="ignore"):  # infinite vertices are refused later
        shown = shown_meshes(document)
        _check_size(document, shown)
        pieces = [_piece(document, item, part) for item in shown for part in _parts(document, item.mesh)]
        note = scene_note(document)
    if not pieces:
        raise BadMesh(
            f"{path.name!r} holds no triangles", remedy="export the mesh itself, not only its nodes"
        )
    return _joined(pieces, path.stem, () if note is None else (note,))


def _check_size(document: Document, shown: Sequence[ShownMesh]) -> None:
    """Refuses a scene that repeats its meshes, or lists of corners, without end; and endless targets."""
    accessors = document.json["accessors"]
    counts: dict[int, tuple[int, int]] = {}
    names = set[str]()
    for mesh in {item.mesh for item in shown}:
        parts = _parts(document, mesh)
        vertices = sum(accessors[part.positions]["count"] for part in parts)
        lists = (item["indices"] for part in parts for item in part.primitives if "indices" in item)
        counts[mesh] = vertices, sum(accessors[number]["count"] for number in lists)
        names.update(names_of(document.json["meshes"][mesh]))
    total, corners = (sum(counts[item.mesh][kind] for item in shown) for kind in (0, 1))
    if total > MOST_VERTICES or corners > MOST_CORNERS:
        raise ValueError(f"its nodes show {total} vertices and {corners} corners in all")
    check_targets(document, len(names) * total)


def check_targets(document: Document, rows: int) -> None:
    """Refuses morph targets of more vertices than a file of its size can mean.

    Args:
        document: The file.
        rows: Vertices of all targets together.
    """
    if rows > max(MOST_TARGET_ROWS, document.size):
        raise ValueError(f"its morph targets have {rows} vertices in all")


def _joined(pieces: Sequence[_Piece], name: str, notes: tuple[str, ...]) -> Mesh:
    """One mesh of all pieces, in order."""
    starts, firsts = _starts([item.points for item in pieces]), _starts([item.faces for item in pieces])
    faces = np.concatenate([item.faces + start for item, start in zip(pieces, starts, strict=True)])
    uv = uv_corners = None
    coordinates = [item.uv for item in pieces if item.uv is not None]
    if len(coordinates) == len(pieces):
        uv = np.concatenate(coordinates)
        uv_starts = _starts(coordinates)
        uv_corners = np.concatenate(
            [item.uv_faces + start for item, start in zip(pieces, uv_starts, strict=True)]
        ).ravel()
    colors = [item.colors for item in pieces if item.colors is not None]
    return assemble(
        np.concatenate([item.points for item in pieces]), np.full(len(faces), 3), faces.ravel(), uv,
        uv_corners, marks=_marks(pieces, firsts), name=name, notes=notes,
        colors=np.concatenate(colors).astype(np.float32) if len(colors) == len(pieces) else None,
    )  # fmt: skip


def _starts(rows: Sequence[NDArray]) -> list[int]:
    return np.cumsum([0, *map(len, rows[:-1])]).tolist()


def _marks(pieces: Sequence[_Piece], firsts: Sequence[int]) -> tuple[Mark, ...]:
    """Which triangles each object and each material holds; materials only where the file has any."""
    marks = []
    named = {name for item in pieces for _, name in item.materials} != {_NO_MATERIAL}
    for item, start in zip(pieces, firsts, strict=True):
        if item.name:
            marks.append(Mark(start, "o", item.name))
        marks += [Mark(start + first, "usemtl", name) for first, name in item.materials if named]
    return tuple(marks)


def _parts(document: Document, mesh: int) -> list[PrimitiveGroup]:
    return parts_of(document, document.json["meshes"][mesh])


def parts_of(document: Document, mesh: dict[str, Any]) -> list[PrimitiveGroup]:
    """The triangle primitives of a mesh, those together that share their vertices.

    Args:
        document: The file.
        mesh: One of its meshes, or a copy of one.
    """
    groups: dict[tuple, PrimitiveGroup] = {}
    for primitive in mesh["primitives"]:
        attributes = primitive["attributes"]
        if primitive.get("mode", 4) >= 4 and "POSITION" in attributes:
            name, transform = _texture_place(document, primitive)
            part = PrimitiveGroup([], attributes["POSITION"], attributes.get(name), transform)
            packed = (draco_of(primitive) or {}).get("bufferView")
            groups.setdefault((*part[1:], packed), part).primitives.append(primitive)
    return list(groups.values())


def _texture_place(document: Document, primitive: dict[str, Any]) -> tuple[str, tuple[float, ...]]:
    """The attribute that the base color's picture lies in, and what becomes of its values."""
    same = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    if "material" not in primitive:
        return "TEXCOORD_0", same
    surface = document.json["materials"][primitive["material"]].get("pbrMetallicRoughness") or {}
    texture = surface.get("baseColorTexture") or {}
    moved = (texture.get("extensions") or {}).get(TEXTURE_TRANSFORM)
    if moved is None:
        return f"TEXCOORD_{texture.get('texCoord', 0)}", same
    (x, y), (right, down) = moved.get("offset", (0, 0)), moved.get("scale", (1, 1))
    cosine, sine = np.cos(moved.get("rotation", 0)), np.sin(moved.get("rotation", 0))
    name = f"TEXCOORD_{moved.get('texCoord', texture.get('texCoord', 0))}"
    return name, (right * cosine, down * sine, x, -right * sine, down * cosine, y)


def _piece(document: Document, item: ShownMesh, part: PrimitiveGroup) -> _Piece:
    """The vertices, triangles, texture coordinates, colors and materials of a part, in the scene."""
    mesh, node = document.json["meshes"][item.mesh], document.json["nodes"][item.node]
    local = resting_points(document, mesh, node, part)
    vertex_map = vertex_map_of(mesh, local)
    count = int(vertex_map.max(initial=-1)) + 1
    triangles = [_triangles(document, primitive, len(local)) for primitive in part.primitives]
    names = [_material(document, primitive) for primitive in part.primitives]
    corners = np.concatenate(triangles)
    if np.linalg.det(item.matrix[:3, :3]) < 0:
        corners = corners[:, ::-1]  # a mirrored node turns triangles over, as the format says
    return _Piece(
        local[:count] @ item.matrix[:3, :3].T + item.matrix[:3, 3], vertex_map[corners].astype(np.int64),
        _coordinates(document, part), corners, _colors(document, part, count),
        list(zip(_starts(triangles), names, strict=True)), str(node.get("name") or mesh.get("name") or ""),
    )  # fmt: skip


def resting_points(
    document: Document, mesh: dict[str, Any], node: dict[str, Any], part: PrimitiveGroup
) -> NDArray[np.float64]:
    """(G, 3) float64 positions of a part's glTF vertices, morph targets at their resting weights.

    Args:
        document: The file.
        mesh: The part's mesh.
        node: The node that shows it.
        part: Some of the mesh's primitives.
    """
    points = document.accessor(part.positions).astype(np.float64)
    if points.shape[1] != 3:
        raise ValueError("positions are not three numbers each")
    targets = part.primitives[0].get("targets") or []
    for weight, target in zip(node.get("weights") or mesh.get("weights") or [], targets, strict=False):
        if weight and "POSITION" in target:
            points += float(weight) * document.accessor(target["POSITION"])
    return points


def _coordinates(document: Document, part: PrimitiveGroup) -> NDArray[np.float64] | None:
    """(G, 2) texture coordinates as Mien counts them, v up."""
    if part.coordinates is None:
        return None
    matrix = np.reshape(part.transform, (2, 3))
    uv = document.accessor(part.coordinates).astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]
    return uv * (1, -1) + (0, 1)


def _colors(document: Document, part: PrimitiveGroup, count: int) -> NDArray[np.float64] | None:
    """(count, 3) vertex colors in sRGB, 0 to 1, which glTF keeps in linear light."""
    number = part.primitives[0]["attributes"].get("COLOR_0")
    if number is None:
        return None
    return from_linear(document.accessor(number)[:count, :3]).astype(np.float64)


def _material(document: Document, primitive: dict[str, Any]) -> str:
    number = primitive.get("material")
    return _NO_MATERIAL if number is None else document.material_names[number]


def _triangles(document: Document, primitive: dict[str, Any], count: int) -> NDArray[np.int64]:
    """(F, 3) triangles of a primitive, strips and fans taken apart."""
    corners = np.arange(count)
    if "indices" in primitive:
        stored = document.raw(primitive["indices"])
        if stored.dtype.kind != "u" or stored.shape[1] != 1:
            raise ValueError(f"indices of the kind {stored.dtype}")
        corners = stored.astype(np.int64).ravel()
    mode = primitive.get("mode", 4)
    if mode == _STRIP:
        triangles = np.stack([corners[:-2], corners[1:-1], corners[2:]], axis=1)
        triangles[1::2] = triangles[1::2, [1, 0, 2]]
        triangles = triangles[(triangles != np.roll(triangles, 1, axis=1)).all(axis=1)]  # turns of the strip
    elif mode == _FAN:
        triangles = np.stack([np.full(len(corners) - 2, corners[0]), corners[1:-1], corners[2:]], axis=1)
    else:
        triangles = corners.reshape(-1, 3)
    if not len(triangles) or triangles.max() >= count:
        raise BadMesh(
            f"a face of {document.path.name!r} names vertex {triangles.max(initial=0)} of {count}",
            received=f"{len(triangles)} triangles",
            remedy="export the mesh again",
        )
    return triangles


def vertex_map_of(mesh: dict[str, Any], points: NDArray) -> NDArray[np.int32]:
    """(G,) int32, the vertex of each glTF vertex.

    Our writer puts the repeats of seam vertices last and lists them. A program that took the list along but
    wrote the vertices in another order has made it meaningless: then each is a vertex of its own.

    Args:
        mesh: A mesh of the file.
        points: (G, 3) float, positions of its glTF vertices.
    """
    whole = np.arange(len(points), dtype=np.int32)
    listed = extras_of(mesh).get("splitVertices")
    if not isinstance(listed, list) or not 0 < len(listed) < len(points):
        return whole
    repeats, originals = np.array(listed), len(points) - len(listed)
    if repeats.ndim != 1 or repeats.dtype.kind != "i" or not ((repeats >= 0) & (repeats < originals)).all():
        return whole
    if not np.array_equal(points[originals:], points[repeats]):
        return whole
    return np.concatenate([whole[:originals], repeats.astype(np.int32)])


def extras_of(item: dict[str, Any]) -> dict[str, Any]:
    """What a program of its own accord noted at a part of the file; empty where it is no table.

    Args:
        item: A mesh, primitive or animation.
    """
    extras = item.get("extras")
    return extras if isinstance(extras, dict) else {}


def names_of(mesh: dict[str, Any]) -> list[str]:
    """The names of a mesh's morph targets: of the mesh, else of its first primitive that names any.

    Args:
        mesh: A mesh of the file.
    """
    count = max((len(item.get("targets") or []) for item in mesh["primitives"]), default=0)
    places = [extras_of(item) for item in (mesh, *mesh["primitives"])]
    lists = [place["targetNames"] for place in places if isinstance(place.get("targetNames"), list)]
    known = [str(name) for name in lists[0][:count]] if lists else []
    return known + [f"target_{number}" for number in range(len(known), count)]


def read_glb_targets(path: str | Path) -> Morphs:
    """Reads the first mesh of a glTF file with its morph targets and weight animation, in millimeters.

    Args:
        path: A ``.glb``, ``.vrm`` or ``.gltf`` file.
    """
    path = Path(path)
    if not path.is_file():
        raise BadFile("the GLB file does not exist", received=str(path), remedy="check the path")
    document = Document(path)
    with reading(path):
        meshes = document.json["meshes"]
        number = next((i for i, mesh in enumerate(meshes) if mesh["primitives"][0].get("targets")), 0)
        return _morphs(document, number)


def _morphs(document: Document, number: int) -> Morphs:
    """The morph targets of a mesh, in its own coordinates and in the order of its first part's vertices."""
    mesh = document.json["meshes"][number]
    parts = parts_of(document, mesh)  # a scan has points alone
    primitives = parts[0].primitives if parts else mesh["primitives"]
    points = document.accessor(primitives[0]["attributes"]["POSITION"]).astype(np.float64)
    vertex_map = vertex_map_of(mesh, points)
    count = int(vertex_map.max()) + 1
    listed = primitives[0].get("targets") or []
    check_targets(document, len(listed) * count)
    changes = np.zeros((len(listed), count, 3))
    for change, target in zip(changes, listed, strict=True):
        if "POSITION" in target:
            change[:] = document.accessor(target["POSITION"])[:count]
    pieces = [_triangles(document, item, len(points)) for item in primitives if parts]
    faces = vertex_map[np.concatenate([np.zeros((0, 3), np.int64), *pieces])]
    base = points[:count] * MILLIMETERS
    return Morphs(
        base.astype(np.float32), (base + changes * MILLIMETERS).astype(np.float32), tuple(names_of(mesh)),
        _animation(document, number, len(listed)), vertex_map, faces.astype(np.int32),
    )  # fmt: skip


def _animation(document: Document, mesh: int, count: int) -> tuple[NDArray[np.float32], float] | None:
    """Weights and frame rate of the first animation of a mesh's weights."""
    nodes = document.json.get("nodes") or []
    for animation in document.json.get("animations") or []:
        for channel in animation["channels"]:
            target = channel["target"]
            if target["path"] == "weights" and nodes[target.get("node", -1)].get("mesh") == mesh:
                sampler = animation["samplers"][channel["sampler"]]
                times = document.accessor(sampler["input"]).ravel()
                weights = document.accessor(sampler["output"]).reshape(len(times), -1, count)
                values = weights[:, weights.shape[1] // 2]  # of a cubic spline, without its tangents
                rate = (len(times) - 1) / float(times[-1] - times[0]) if len(times) > 1 else 30.0
                fps = float(extras_of(animation).get("fps", rate))
                return np.array(values, np.float32), fps
    return None
