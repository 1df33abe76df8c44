"""All named targets of a glTF scene, on the vertices that its meshes are read with."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.io.glb import names_of, parts_of, read_glb, resting_points, vertex_map_of
from mien.io.gltf_document import Document, reading
from mien.io.gltf_nodes import shown_meshes
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
    """Reads a scene with all of its named targets: face, eyes and teeth may be meshes of their own.

    Args:
        path: A ``.glb``, ``.vrm`` or ``.gltf`` file.

    Raises:
        BadFile: The file is damaged.
    """
    mesh, document = read_glb(path), Document(path)
    found: dict[str, NDArray[np.float32]] = {}
    start = 0
    with reading(path):
        for place in shown_meshes(document):
            item, node = document.json["meshes"][place.mesh], document.json["nodes"][place.node]
            names = names_of(item)
            for part in parts_of(document, item):
                rest = resting_points(document, item, node, part)
                rows = slice(start, start + int(vertex_map_of(item, rest).max(initial=-1)) + 1)
                for name, target in zip(names, part.primitives[0].get("targets") or [], strict=False):
                    if "POSITION" in target:
                        change = document.accessor(target["POSITION"])[: rows.stop - rows.start]
                        shape = found.setdefault(name, np.zeros(mesh.vertices.shape, np.float32))
                        shape[rows] += (change.astype(np.float64) @ place.matrix[:3, :3].T).astype(np.float32)
                start = rows.stop
    shapes = np.stack(list(found.values())) if found else np.zeros((0, *mesh.vertices.shape), np.float32)
    return Shapes(mesh, tuple(found), shapes)
