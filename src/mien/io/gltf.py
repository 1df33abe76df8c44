"""GLB out: a rig with named morph targets, weight animation, texture; and the same read back.

Written with the standard library alone: a GLB is a JSON chunk that describes arrays and a binary chunk
that holds them. glTF is in meters, +Y up, +Z out of the face; Mien's millimeters are scaled by 0.001.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, BadMesh, DataMissing, WrongTopology
from mien.geometry.differential import vertex_normals
from mien.io.atomic import write_bytes
from mien.io.colors import to_linear
from mien.io.glb import Morphs, read_glb, read_glb_targets
from mien.io.glb_buffer import Buffer
from mien.io.materials import Material
from mien.io.record import UNNAMED, Mesh
from mien.limits import MOST_PIXELS
from mien.topology import Topology

__all__ = ["Morphs", "png_bytes", "read_glb", "read_glb_targets", "write_glb"]

METERS = 0.001


def write_glb(
    path: str | Path,
    base: NDArray,
    layout: Topology | Mesh | NDArray,
    targets: NDArray | None = None,
    names: Sequence[str] = (),
    *,
    normals: bool = True,
    texture: bytes | str | Path | None = None,
    materials: Mapping[str, Material] | None = None,
    clip: NDArray | None = None,
    fps: float = 30.0,
    name: str = "face",
) -> NDArray[np.int32]:
    """Writes a binary glTF file with one mesh.

    A vertex on a texture seam has several texture coordinates, which glTF cannot say; it is repeated.
    Repeats stand after the V original vertices, so glTF vertex i is vertex i for all i < V.

    Args:
        path: The ``.glb`` file to write.
        base: (V, 3) float, millimeters. The pose of all-zero weights.
        layout: A Topology, a Mesh (both bring their uv; a Mesh may be points alone), or (F, 3) int triangles.
        targets: (E, V, 3) float, millimeters, or None. Absolute positions at weight one.
        names: E target names, kept in ``mesh.extras.targetNames``.
        normals: Whether to write smooth normals, and their change under each target.
        texture: A PNG or JPEG for the whole mesh, as bytes or path; needs texture coordinates.
        materials: Looks of the materials that a Mesh names; others are clay.
        clip: (T, E) float. Weights over time, or None.
        fps: Frames per second of the clip.
        name: The name of node and mesh.

    Returns:
        (G,) int32, the original vertex of each glTF vertex.
    """
    base = np.asarray(base, np.float64)
    faces, uv, uv_faces = _connectivity(layout, base)
    targets = np.zeros((0, *base.shape)) if targets is None else np.asarray(targets, np.float64)
    _check(base, targets, names)
    if clip is not None:
        _check_clip(clip, fps, len(targets))
    image = None if texture is None else _image(texture, uv is not None)
    vertex_map, corners, uv = split_seams(len(base), faces, uv, uv_faces)

    buffer = Buffer()
    primitive: dict[str, Any] = {"attributes": {}, "material": 0, "mode": 4}
    primitive["attributes"]["POSITION"] = buffer.add((base * METERS)[vertex_map], "VEC3", bounds=True)
    base_normals = vertex_normals(base, faces) if normals and len(faces) else None
    if base_normals is not None:
        primitive["attributes"]["NORMAL"] = buffer.add(base_normals[vertex_map], "VEC3")
    if uv is not None:
        primitive["attributes"]["TEXCOORD_0"] = buffer.add(
            uv * (1, -1) + (0, 1), "VEC2"
        )  # glTF counts v down
    colors = layout.colors if isinstance(layout, Mesh) else None
    if colors is not None:
        primitive["attributes"]["COLOR_0"] = buffer.add(to_linear(colors)[vertex_map], "VEC3")
    runs = material_runs(layout)
    extra: dict[str, Any] = {}
    if len(targets):
        primitive["targets"] = _morphs(buffer, base, targets, base_normals, faces, vertex_map)
        extra = {"weights": [0.0] * len(targets), "extras": {"targetNames": [str(item) for item in names]}}
    mesh = {"name": name, "primitives": _by_material(primitive, buffer, corners, runs), **extra}
    if len(vertex_map) > len(base):
        mesh.setdefault("extras", {})["splitVertices"] = vertex_map[len(base) :].tolist()

    document = _document(name, mesh, list(runs))
    _color(document, buffer, materials or {}, uv is not None, white=colors is not None)
    if clip is not None:
        document["animations"] = [_animation(buffer, clip, fps)]
    if image is not None:
        _paint(document, buffer, image)
    write_bytes(path, buffer.container(document))
    return vertex_map


def png_bytes(image: NDArray) -> bytes:
    """(H, W, 3) uint8 sRGB, row 0 at v = 1, as the bytes of a PNG file: a texture for :func:`write_glb`."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image, np.uint8)).save(file, "PNG")
    return file.getvalue()


def _connectivity(
    layout: Topology | Mesh | NDArray, base: NDArray
) -> tuple[NDArray, NDArray | None, NDArray | None]:
    """Triangles, uv and uv triangles of a layout, checked against the base."""
    if base.ndim != 2 or base.shape[1] != 3:
        raise BadMesh("a rig needs base vertices of shape (V, 3)", received=base.shape)
    uv = uv_faces = None
    if isinstance(layout, (Topology, Mesh)):
        faces, uv, uv_faces = layout.faces, layout.uv, layout.uv_faces
        wanted = layout.vertex_count if isinstance(layout, Topology) else len(layout.vertices)
    else:
        faces = np.asarray(layout)
        wanted = int(faces.max(initial=-1)) + 1
    exact = isinstance(layout, (Topology, Mesh))
    scan = isinstance(layout, Mesh) and not len(faces)
    if not (len(faces) or scan) or len(base) < wanted or (exact and len(base) != wanted):
        raise WrongTopology(
            f"the faces belong to {wanted} vertices",
            received=f"{len(base)} vertices",
            remedy="write the rig with its own topology",
        )
    return faces, uv if uv_faces is not None else None, uv_faces


def _check(base: NDArray, targets: NDArray, names: Sequence[str]) -> None:
    if not np.isfinite(base).all() or not np.isfinite(targets).all():
        raise BadMesh("a rig needs finite vertices", remedy="repair the mesh first")
    if targets.shape[1:] != base.shape:
        raise WrongTopology(f"targets need shape (E, {len(base)}, 3)", received=targets.shape)
    if len(names) != len(targets) or len(set(names)) != len(names):
        raise BadMesh(f"{len(targets)} targets need as many different names", received=list(names))


def _check_clip(clip: NDArray, fps: float, targets: int) -> None:
    weights = np.asarray(clip)
    if weights.ndim != 2 or not len(weights) or weights.shape[1] != targets or not targets:
        raise BadMesh(f"a clip needs weights of shape (T, {targets})", received=weights.shape)
    if not np.isfinite(weights).all() or not 0 < fps < np.inf:
        raise BadMesh("a clip needs finite weights and a positive frame rate", received=f"{fps} fps")


def _image(texture: bytes | str | Path, has_uv: bool) -> tuple[bytes, str]:
    """The bytes of a texture and their kind."""
    if not has_uv:
        raise BadMesh(
            "a texture needs texture coordinates", remedy="use a topology that has uv, or no texture"
        )
    if not isinstance(texture, bytes):
        if not Path(texture).is_file():
            raise DataMissing("the texture does not exist", received=str(texture), remedy="check the path")
        texture = Path(texture).read_bytes()
    kinds = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
    kind = next((kinds[begins] for begins in kinds if texture.startswith(begins)), None)
    if kind is None:
        raise BadFile(
            "the texture is neither PNG nor JPEG", received=repr(texture[:8]), remedy="convert it to PNG"
        )
    _check_picture(texture)
    return texture, kind


def _check_picture(texture: bytes) -> None:
    """Refuses a picture that whoever opens the file could not unpack."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit is ours
            width, height = Image.open(io.BytesIO(texture), formats=("PNG", "JPEG")).size
    except Image.DecompressionBombError as error:
        raise BadFile("the texture has too many pixels", received=str(error).split(",")[0],
                      remedy="make it smaller") from error  # fmt: skip
    except (OSError, SyntaxError, ValueError) as error:
        raise BadFile("the texture is damaged", received=f"{len(texture)} bytes",
                      remedy="save it again") from error  # fmt: skip
    if width * height > MOST_PIXELS:
        raise BadFile("the texture has too many pixels", received=f"{width} x {height}",
                      remedy="make it smaller")  # fmt: skip


def split_seams(
    count: int, faces: NDArray, uv: NDArray | None, uv_faces: NDArray | None
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray | None]:
    """Repeats vertices along seams, as glTF wants one texture coordinate a vertex.

    Args:
        count: V.
        faces: (F, 3) int.
        uv: (U, 2) float, or None.
        uv_faces: (F, 3) int index into ``uv``, or None.

    Returns:
        (G,) vertex of each glTF vertex, repeats last; (3 F,) glTF vertex of each corner; (G, 2) uv, or None.
    """
    corners = faces.ravel().astype(np.int64)
    if uv is None or uv_faces is None:
        return np.arange(count, dtype=np.int32), corners, None
    pairs, inverse = np.unique(corners * len(uv) + uv_faces.ravel(), return_inverse=True)
    owner, coordinate = np.divmod(pairs, len(uv))
    repeated = np.concatenate([[False], owner[1:] == owner[:-1]])
    number = owner.copy()
    number[repeated] = count + np.arange(repeated.sum())
    vertex_map = np.concatenate([np.arange(count), owner[repeated]]).astype(np.int32)
    values = np.zeros((len(vertex_map), 2))
    values[number] = uv[coordinate]
    return vertex_map, number[inverse.ravel()], values


def _paint(document: dict[str, Any], buffer: Buffer, image: tuple[bytes, str]) -> None:
    """Gives every material the one picture."""
    number = _add_picture(document, buffer, *image)
    for material in document["materials"]:
        material["pbrMetallicRoughness"] |= {
            "baseColorTexture": {"index": number}, "baseColorFactor": [1.0, 1.0, 1.0, 1.0],
        }  # fmt: skip


def _add_picture(document: dict[str, Any], buffer: Buffer, content: bytes, kind: str) -> int:
    """Appends a picture; the number of its texture."""
    document.setdefault("samplers", [{"wrapS": 10497, "wrapT": 10497}])
    images, textures = document.setdefault("images", []), document.setdefault("textures", [])
    images.append(buffer.add_image(content, kind))
    textures.append({"source": len(images) - 1, "sampler": 0})
    return len(textures) - 1


def _color(
    document: dict[str, Any], buffer: Buffer, materials: Mapping[str, Material], has_uv: bool, *, white: bool
) -> None:
    """Gives materials their colors and pictures; one picture of several materials is stored once.

    Unknown materials become ``white`` where vertices have colors, which are multiplied with it.
    """
    stored: dict[bytes, int] = {}
    for material in document["materials"]:
        own = materials.get(material["name"])
        surface = material["pbrMetallicRoughness"]
        if own is None:
            surface |= {"baseColorFactor": [1.0, 1.0, 1.0, 1.0]} if white else {}
            continue
        surface["baseColorFactor"] = [*own.color, own.opacity]
        if own.opacity < 1:
            material["alphaMode"] = "BLEND"
        if own.picture is not None and has_uv:
            data = own.picture.data
            if data not in stored:
                stored[data] = _add_picture(document, buffer, data, own.picture.kind)
            surface["baseColorTexture"] = {"index": stored[data]}


def material_runs(layout: Topology | Mesh | NDArray) -> dict[str, NDArray[np.bool_]]:
    """Which triangles each material covers; one material, ``skin``, where the layout names none.

    Args:
        layout: A topology, a mesh, or (F, 3) int triangles.

    Returns:
        Material -> (F,) bool.
    """
    names = layout.names() if isinstance(layout, Mesh) else ()
    if not isinstance(layout, Mesh) or not names:
        return {UNNAMED: np.ones(0, bool)}
    sizes = np.full(len(layout.faces), 3) if layout.polygons is None else layout.polygons.sizes
    part = np.repeat(layout.parts(), sizes - 2)
    masks = {name: part == place for place, name in enumerate(names)}
    return masks | ({"unnamed": part < 0} if (part < 0).any() else {})


def _by_material(
    primitive: dict[str, Any], buffer: Buffer, corners: NDArray, materials: dict[str, NDArray]
) -> list[dict[str, Any]]:
    """One primitive a material; all share their vertices. A scan without triangles is drawn as points."""
    if not len(corners):
        return [primitive | {"mode": 0}]
    if len(materials) == 1:
        return [primitive | {"indices": buffer.add_indices(corners)}]
    triangles = corners.reshape(-1, 3)
    return [
        primitive | {"indices": buffer.add_indices(triangles[mask].ravel()), "material": number}
        for number, mask in enumerate(materials.values())
        if mask.any()
    ]


def _morphs(
    buffer: Buffer,
    base: NDArray,
    targets: NDArray,
    normals: NDArray | None,
    faces: NDArray,
    vertex_map: NDArray,
) -> list[dict[str, int]]:
    """Position and normal changes of each target."""
    morphs = []
    for target in targets:
        morph = {"POSITION": buffer.add(((target - base) * METERS)[vertex_map], "VEC3", bounds=True)}
        if normals is not None:
            morph["NORMAL"] = buffer.add((vertex_normals(target, faces) - normals)[vertex_map], "VEC3")
        morphs.append(morph)
    return morphs


def _animation(buffer: Buffer, weights: NDArray, fps: float) -> dict[str, Any]:
    weights = np.asarray(weights, np.float64)
    times = np.arange(len(weights)) / fps
    sampler = {
        "input": buffer.add(times[:, None], "SCALAR", bounds=True, vertices=False),
        "output": buffer.add(weights.reshape(-1, 1), "SCALAR", vertices=False),
        "interpolation": "LINEAR",
    }
    channel = {"sampler": 0, "target": {"node": 0, "path": "weights"}}
    return {
        "name": "performance",
        "samplers": [sampler],
        "channels": [channel],
        "extras": {"fps": float(fps)},
    }


def _document(name: str, mesh: dict[str, Any], materials: Sequence[str]) -> dict[str, Any]:
    skin = {"baseColorFactor": [0.72, 0.66, 0.61, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.65}
    return {
        "asset": {"version": "2.0", "generator": "mien"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": name, "mesh": 0}],
        "meshes": [mesh],
        "materials": [
            {"name": item, "doubleSided": True, "pbrMetallicRoughness": dict(skin)} for item in materials
        ],
    }
