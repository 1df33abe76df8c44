"""Pictures on a mesh of the page: texture coordinates, the material of each triangle, and the pictures."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.io.gltf import material_runs, split_seams
from mien.io.materials import Material, Picture
from mien.io.record import Mesh
from mien.topology import Topology

MODEL = "*"
"""Key of the material that wears the texture which a model makes."""

WORN = {"skin": Material((1.0, 1.0, 1.0))}
"""Its one material; the picture comes on its own."""


def paint(layout: Mesh | Topology, materials: Mapping[str, Material]) -> tuple[list[NDArray], dict[str, Any]]:
    """What the page needs beside the plain appearance; nothing where no material has a color or picture.

    Vertices on seams of the texture coordinates are repeated behind the V vertices of the mesh.

    Args:
        layout: Triangles, texture coordinates, and which material each triangle has.
        materials: Colors and pictures of materials.

    Returns:
        Arrays ``map`` (G,) vertex of each drawn vertex, ``corners`` (F, 3) triangles of drawn vertices,
        sorted by material, ``uv`` (G, 2) and ``tints`` (G, 3) sRGB 0..255, -1 for skin as it is; and a
        JSON-ready layout with their sizes and a list of ``parts``, one for each material.
    """
    runs = material_runs(layout)
    if not any(name in materials for name in runs):
        return [], {}
    count = len(layout.template) if isinstance(layout, Topology) else len(layout.vertices)
    uv_faces = layout.uv_faces if layout.uv is not None else None
    vertex_map, corners, uv = split_seams(count, layout.faces, layout.uv, uv_faces)
    triangles, tints = corners.reshape(-1, 3), np.full((len(vertex_map), 3), -1.0)
    ordered, parts = [], []
    for name, mask in runs.items():
        rows = triangles if len(runs) == 1 else triangles[mask]
        material = materials.get(name)
        if material is not None:
            tints[rows] = 255 * np.array(material.color) ** (1 / 2.2)  # libraries and glTF count in light
        picture = None if material is None or uv is None else material.picture
        parts.append({
            "triangles": len(rows), "opacity": 1.0 if material is None else material.opacity,
            "picture": "" if picture is None else address(picture),
        })  # fmt: skip
        ordered.append(rows)
    arrays: dict[str, NDArray] = {
        "map": vertex_map, "corners": np.concatenate(ordered), "tints": tints,
        "uv": np.zeros((len(vertex_map), 2)) if uv is None else uv,
    }  # fmt: skip
    sizes = {name: int(array.size) for name, array in arrays.items()}
    return list(arrays.values()), {**sizes, "parts": parts}


def address(picture: Picture) -> str:
    """The picture as an address that needs no network."""
    return f"data:{picture.kind};base64,{base64.b64encode(picture.data).decode()}"
