"""All named targets of a GLB's scene, on the vertices that its meshes are read with."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile
from mien.io.glb import DAMAGE, Document, parts_of, read_glb, vertex_map_of
from mien.io.record import Mesh


class Shapes(NamedTuple):
    """A mesh and its named shapes.

    Args:
        mesh: N vertices, as :func:`mien.io.mesh.read_mesh` gives them.
        names: E names, in the order in which the file's meshes bring them.
        displacements: (E, N, 3) float32, the mesh's unit and axes; zero where a mesh has no such target.
    """

    mesh: Mesh
    names: tuple[str, ...]
    displacements: NDArray[np.float32]


def read_glb_shapes(path: Path) -> Shapes:
    """Reads the scene of a GLB with all of its named targets: face, eyes, teeth may be meshes of their own.

    Args:
        path: A ``.glb`` or ``.vrm`` file.

    Raises:
        BadFile: The file is damaged.
    """
    mesh, document = read_glb(path), Document(path)
    found: dict[str, NDArray[np.float32]] = {}
    try:
        start = 0
        for _, number, matrix in document.transforms():
            item = document.json["meshes"][number]
            for part in parts_of(item):
                start = _add(found, document, item, part[0], matrix, start, len(mesh.vertices))
    except DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise BadFile(f"the targets of {path.name!r} are damaged", received=reason) from error
    shapes = np.stack(list(found.values())) if found else np.zeros((0, *mesh.vertices.shape), np.float32)
    return Shapes(mesh, tuple(found), shapes)


def _add(
    found: dict[str, NDArray[np.float32]], document: Document, item: dict, primitive: dict, matrix: NDArray,
    start: int, total: int,
) -> int:  # fmt: skip
    """Adds one primitive's targets to what was found; where the next one's vertices begin."""
    points = document.accessor(primitive["attributes"]["POSITION"])
    count = int(vertex_map_of(item, len(points)).max()) + 1
    targets = primitive.get("targets", [])
    extras = (item.get("extras") or {}, primitive.get("extras") or {})
    names = next((found["targetNames"] for found in extras if "targetNames" in found), None)
    for number, target in enumerate(targets):
        name = str(names[number]) if names and number < len(names) else f"target_{number}"
        if "POSITION" in target:
            change = document.accessor(target["POSITION"])[:count].astype(np.float64) @ matrix[:3, :3].T
            shape = found.setdefault(name, np.zeros((total, 3), np.float32))
            shape[start : start + count] += change.astype(np.float32)
    return start + count
