"""VRML in, versions 1 and 2, the form of older data sets: face sets where their transforms put them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, BadMesh
from mien.io.colors import in_unit_range
from mien.io.number_text import parse_floats
from mien.io.record import UNNAMED, Mark, Mesh, assemble
from mien.io.text import as_utf8, decode_name
from mien.io.vrml_nodes import Node, parse_nodes

_MOST_NODES = 20_000  # that a file shows, counting a node as often as it is used
_MOST_NUMBERS = 5_000_000  # points and corners, counting a set as often as it is used
_FRAMES = ("Separator", "Group", "WWWAnchor", "TransformSeparator")  # version 1: what is inside stays inside


@dataclass(frozen=True, eq=False)
class _State:
    """What holds for a face set where it stands.

    Args:
        matrix: (4, 4) from the set's coordinates to the file's.
        coordinates: The node of its points.
        uv: The node of its texture coordinates, or None.
        picture: The name of its texture's file, or an empty text.
        material: The node of its material, or None.
        clockwise: Whether its faces run clockwise, seen from outside.
    """

    matrix: NDArray[np.float64]
    coordinates: Node | None = None
    uv: Node | None = None
    picture: str = ""
    material: Node | None = None
    clockwise: bool = False


def read_wrl(path: Path) -> Mesh:
    """Reads the indexed face sets of a VRML file; several sets are joined in file order."""
    raw = path.read_bytes()
    if raw.startswith(b"\x1f\x8b"):
        raise BadFile(f"{path.name!r} is compressed", remedy="unpack it with gunzip first")
    try:
        data = as_utf8(raw)
    except UnicodeDecodeError:
        data = b""
    if not data.startswith(b"#VRML"):
        raise BadFile(
            f"{path.name!r} does not start with #VRML", remedy="export the mesh again as VRML or OBJ"
        )
    nodes = parse_nodes(data[data.find(b"\n") + 1 :] if b"\n" in data else b"", path)
    try:
        sets = list(_face_sets(nodes, path))
        if not sets:
            raise BadMesh(
                f"{path.name!r} has no indexed face set that Mien understands",
                received=", ".join(dict.fromkeys(node.kind for node in nodes))[:80] or "no node",
                remedy="convert it to OBJ or PLY",
            )
        return _joined(_parts(sets, path), path)
    except (ValueError, OverflowError) as error:
        raise BadFile(
            f"{path.name!r} is cut off or damaged: {str(error)[:120]}", remedy="copy or export it again"
        ) from error


def _face_sets(nodes: list[Node], path: Path) -> Iterator[tuple[Node, _State]]:
    """Every face set that the file shows, with what holds for it."""
    left = [_MOST_NODES]

    def visit(node: Node, state: _State) -> Iterator[tuple[Node, _State]]:
        left[0] -= 1
        if left[0] < 0:
            raise BadFile(f"{path.name!r} shows more than {_MOST_NODES:,} nodes", remedy="export it as OBJ")
        if node.kind == "IndexedFaceSet":
            yield node, _of_face_set(node, state)
            return
        if node.kind == "Shape":
            look = node.only("appearance")
            material = look.only("material") if look is not None else None
            state = replace(state, picture=_picture(look) or state.picture, material=material)
        elif node.kind in ("Transform", "MatrixTransform"):
            state = replace(state, matrix=state.matrix @ _matrix(node))
        for child in _shown(node):
            yield from visit(child, state)
            if node.kind in _FRAMES or node.kind == "file":
                state = _after(child, state)

    yield from visit(Node("file", nodes={"": nodes}), _State(np.eye(4)))


def _shown(node: Node) -> list[Node]:
    """The nodes inside that are to be seen."""
    if node.kind == "Switch":
        choices = node.nodes.get("choice", []) + node.nodes.get("", [])
        which = int(node.floats("whichChoice", node.floats("whichChild", (-1.0,)))[0])
        return choices[which : which + 1] if which >= 0 else []
    if node.kind == "LOD":
        return (node.nodes.get("level", []) + node.nodes.get("", []))[:1]
    return [child for name in ("children", "geometry", "") for child in node.nodes.get(name, ())]


def _after(node: Node, state: _State) -> _State:
    """What holds behind a node of version 1 that sets something for all that follow it."""
    if node.kind == "Coordinate3":
        return replace(state, coordinates=node)
    if node.kind == "TextureCoordinate2":
        return replace(state, uv=node)
    if node.kind == "Texture2":
        return replace(state, picture=_name(node.values.get("filename", b"")))
    if node.kind == "Material":
        return replace(state, material=node)
    if node.kind == "ShapeHints":
        return replace(state, clockwise=node.values.get("vertexOrdering", b"") == b"CLOCKWISE")
    if node.kind in ("Transform", "MatrixTransform", "Translation", "Rotation", "Scale"):
        return replace(state, matrix=state.matrix @ _matrix(node))
    return state


def _of_face_set(node: Node, state: _State) -> _State:
    """What holds for a face set by its own fields, of version 2."""
    return replace(
        state, coordinates=node.only("coord") or state.coordinates, uv=node.only("texCoord") or state.uv,
        clockwise=state.clockwise or node.says_no("ccw"),
    )  # fmt: skip


def _picture(appearance: Node | None) -> str:
    texture = appearance.only("texture") if appearance is not None else None
    return "" if texture is None else _name(texture.values.get("url", b""))


def _name(text: bytes) -> str:
    return decode_name(text.strip(b' []"'))


def _matrix(node: Node) -> NDArray[np.float64]:
    """(4, 4) of a transform: translation, center, rotation, and a scale in turned axes."""
    if node.kind == "MatrixTransform":
        return np.array(node.floats("matrix", tuple(np.eye(4).ravel()))).reshape(4, 4).T
    center = _moved(node.floats("center", (0.0, 0.0, 0.0)))
    turned = _turned(node.floats("scaleOrientation", (0.0, 0.0, 1.0, 0.0)))
    scale = np.diag(
        [*node.floats("scale" if "scale" in node.values else "scaleFactor", (1.0, 1.0, 1.0)), 1.0]
    )
    rotation = _turned(node.floats("rotation", (0.0, 0.0, 1.0, 0.0)))
    inner = center @ rotation @ turned @ scale @ turned.T @ np.linalg.inv(center)
    return _moved(node.floats("translation", (0.0, 0.0, 0.0))) @ inner


def _moved(offset: tuple[float, ...]) -> NDArray[np.float64]:
    matrix = np.eye(4)
    matrix[:3, 3] = offset
    return matrix


def _turned(rotation: tuple[float, ...]) -> NDArray[np.float64]:
    """(4, 4) of an axis and an angle in radians (Rodrigues)."""
    axis, angle = np.array(rotation[:3]), rotation[3]
    length = float(np.linalg.norm(axis))
    matrix = np.eye(4)
    if length > 0 and angle:
        x, y, z = axis / length
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        matrix[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return matrix


@dataclass(frozen=True, eq=False)
class _Part:
    """A face set in the file's coordinates: as the arguments of :func:`mien.io.record.assemble`.

    Args:
        key: Sets of equal key share their points.
        points: (V, 3) float.
        sizes: (P,) int.
        corners: (sum of sizes,) int.
        uv: (U, 2) float or None.
        uv_corners: (sum of sizes,) int or None.
        colors: (V, 3) float in 0..1 or None.
        picture: The name of its texture's file, or an empty text.
        is_left_out: Whether it has colors of faces or corners, which a Mesh does not hold.
    """

    key: tuple[int, bytes]
    points: NDArray[np.float64]
    sizes: NDArray[np.int64]
    corners: NDArray[np.int64]
    uv: NDArray[np.float64] | None
    uv_corners: NDArray[np.int64] | None
    colors: NDArray[np.float32] | None
    picture: str
    is_left_out: bool


def _part(node: Node, state: _State, path: Path) -> _Part:
    """A face set moved to its place, its faces counterclockwise."""
    if state.coordinates is None or "coordIndex" not in node.values:
        raise BadMesh(f"{path.name!r} has a face set without points or faces", remedy="export the mesh again")
    points = _table(state.coordinates, "point", 3)
    sizes, corners = _index(node.values["coordIndex"], path)
    if corners.max() >= len(points) or corners.min() < 0:
        wrong = corners.min() if corners.min() < 0 else corners.max()
        raise BadMesh(
            f"a face of {path.name!r} names vertex {wrong} of {len(points)}",
            received=f"index {wrong}",
            remedy="export the mesh again",
        )
    uv, uv_corners = _texture(node, state, corners, path)
    if state.clockwise != (np.linalg.det(state.matrix[:3, :3]) < 0):
        turned = _reversed(sizes)
        corners, uv_corners = corners[turned], None if uv_corners is None else uv_corners[turned]
    moved = points @ state.matrix[:3, :3].T + state.matrix[:3, 3]
    colors, is_left_out = _colors(node, state, len(points))
    return _Part(
        (id(state.coordinates), state.matrix.tobytes()), moved, sizes, corners, uv, uv_corners, colors,
        state.picture, is_left_out,
    )  # fmt: skip


def _table(node: Node, name: str, width: int) -> NDArray[np.float64]:
    found = parse_floats(node.values.get(name, b"").strip(b"[]"))
    if found.size % width:
        raise ValueError(f"a point list is not rows of {width} numbers")
    return found.reshape(-1, width)


def _index(text: bytes, path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sizes and corners of polygons that are separated by -1."""
    values = parse_floats(text.strip(b"[]"))
    if not len(values):
        raise BadMesh(f"{path.name!r} has no faces", remedy="export the mesh again")
    if not (np.abs(values) < 2**31).all() or (values != np.rint(values)).any():
        raise ValueError("a face list has a number that is no vertex")
    whole = values.astype(np.int64)
    if whole[-1] != -1:
        whole = np.append(whole, -1)
    sizes = np.diff(np.concatenate([[-1], np.flatnonzero(whole == -1)])) - 1
    if sizes.min() < 3:
        raise BadMesh(
            f"{path.name!r} has a face of fewer than three corners", received=f"{int(sizes.min())} corners"
        )
    return sizes, whole[whole != -1]


def _reversed(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """(sum of sizes,) places of the corners when each polygon runs the other way, from the same corner."""
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    within = np.arange(len(starts)) - starts
    return starts + (-within) % np.repeat(sizes, sizes)


def _texture(
    node: Node, state: _State, corners: NDArray, path: Path
) -> tuple[NDArray[np.float64] | None, NDArray[np.int64] | None]:
    """Texture coordinates of a face set; None where it has none or they do not fit its faces."""
    if state.uv is None:
        return None, None
    uv = _table(state.uv, "point", 2)
    text = node.values.get("texCoordIndex", node.values.get("textureCoordIndex", b"")).strip(b"[] \n\t,")
    index = _index(text, path)[1] if text else corners
    fits = len(index) == len(corners) and index.min() >= 0 and index.max() < len(uv)
    return (uv, index) if fits and np.isfinite(uv).all() else (None, None)


def _colors(node: Node, state: _State, count: int) -> tuple[NDArray[np.float32] | None, bool]:
    """(V, 3) colors of vertices, or of the one material of all; and whether there are others."""
    color = node.only("color")
    if color is not None:
        of_faces = node.says_no("colorPerVertex") or bool(
            node.values.get("colorIndex", b"").strip(b"[] \n\t,")
        )
        found = _table(color, "color", 3)
        fits = not of_faces and len(found) == count
        return (in_unit_range(found, 1.0) if fits else None), not fits
    if state.material is None or "diffuseColor" not in state.material.values or state.picture:
        return None, False  # a picture stands in place of the material's color
    found = _table(state.material, "diffuseColor", 3)
    if len(found) != 1:
        return None, True
    return np.repeat(in_unit_range(found, 1.0), count, axis=0), False


def _parts(sets: list[tuple[Node, _State]], path: Path) -> list[_Part]:
    """All face sets, as long as they are not more than any head has."""
    parts: list[_Part] = []
    for node, state in sets:
        parts.append(_part(node, state, path))
        if sum(len(part.points) + len(part.corners) for part in parts) > _MOST_NUMBERS:
            raise BadMesh(
                f"{path.name!r} has more than {_MOST_NUMBERS:,} vertices and corners",
                remedy="decimate it first",
            )
    return parts


def _joined(parts: list[_Part], path: Path) -> Mesh:
    """All sets as one mesh; sets that use the same points in the same place share them."""
    own = {part.key: part for part in reversed(parts)}
    owners = [part for part in parts if own[part.key] is part]
    starts = np.cumsum([0] + [len(part.points) for part in owners])
    first = {part.key: int(start) for part, start in zip(owners, starts, strict=False)}
    uv, uv_corners = _joined_texture(parts)
    notes = []
    colors = None
    if any(part.colors is not None for part in parts):
        colors = np.ones((int(starts[-1]), 3), np.float32)
        for part in parts:  # sets that share points may have colors of their own
            if part.colors is not None:
                colors[part.corners + first[part.key]] = part.colors[part.corners]
    if any(part.is_left_out for part in parts):
        notes.append(f"{path.name}: colors of its faces are left out; colors of vertices would be kept.")
    if any(part.uv is None for part in parts) and uv is not None:
        notes.append(f"{path.name}: some of its face sets have no texture coordinates.")
    pictures = tuple(dict.fromkeys(part.picture for part in parts if part.picture))
    polygons = np.cumsum([0] + [len(part.sizes) for part in parts])
    several = len({part.picture for part in parts}) > 1
    marks = tuple(
        Mark(int(start), "usemtl", part.picture or UNNAMED)
        for part, start in zip(parts, polygons, strict=False)
        if several
    )
    return assemble(
        np.concatenate([part.points for part in owners]), np.concatenate([part.sizes for part in parts]),
        np.concatenate([part.corners + first[part.key] for part in parts]), uv, uv_corners, center=True,
        colors=colors, pictures=pictures, marks=marks, notes=tuple(notes), name=path.stem,
    )  # fmt: skip


def _joined_texture(parts: list[_Part]) -> tuple[NDArray | None, NDArray | None]:
    """Texture coordinates of all sets; those without any share one at the origin, added at the end."""
    given = [part for part in parts if part.uv is not None]
    if not given:
        return None, None
    spare = sum(len(part.uv) for part in given if part.uv is not None)
    index, at = [], 0
    for part in parts:
        if part.uv is None or part.uv_corners is None:
            index.append(np.full(len(part.corners), spare))
        else:
            index.append(part.uv_corners + at)
            at += len(part.uv)
    bare = [np.zeros((1, 2))] if len(given) < len(parts) else []
    return np.concatenate([part.uv for part in given if part.uv is not None] + bare), np.concatenate(index)
