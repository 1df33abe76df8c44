"""Heads with named shapes: rigs that somebody made, read from whatever they are kept in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.rig_names import named_shapes
from mien.errors import BadFile, BadMesh, DataMissing
from mien.geometry.surface import connected, welded
from mien.io.fbx import read_fbx_targets
from mien.io.glb_shapes import read_glb_shapes
from mien.io.mesh import READERS, read_mesh
from mien.npz import read_npz

SKIN, LEFT_EYE, RIGHT_EYE, UPPER_TEETH, LOWER_TEETH, OTHER = range(6)
"""What a vertex belongs to."""
_FACE_HEIGHT_MM = 190.0  # of what expressions move: from the chin to the brows
_MOVED_SHARE = 0.02  # of the largest motion: what moves less says nothing about the face's extent
_UNITS = {"millimeters": 1.0, "centimeters": 10.0, "decimeters": 100.0, "inches": 25.4, "meters": 1000.0}
_REST_NAMES = ("neutral", "rest", "base", "basis")
_GLTF, _FBX, _ARRAYS = (".glb", ".vrm", ".gltf"), ".fbx", ".npz"
_STILL_MM = 1e-3  # what moves nothing farther is at rest
_TOGETHER_MM = 0.01  # corners that lie on each other and move alike are one


@dataclass(frozen=True, eq=False)
class HeadRig:
    """A head and its named shapes.

    Args:
        name: What to call it.
        vertices: (N, 3) float64, millimeters, +Y up, +Z out of the face. The head at rest.
        faces: (F, 3) int32.
        names: E names.
        displacements: (E, N, 3) float32, millimeters.
        piece: (N,) uint8, what each vertex belongs to: ``SKIN``, ``LEFT_EYE`` and so on.
    """

    name: str
    vertices: NDArray[np.float64]
    faces: NDArray[np.int32]
    names: tuple[str, ...]
    displacements: NDArray[np.float32]
    piece: NDArray[np.uint8]

    @cached_property
    def skin(self) -> NDArray[np.bool_]:
        """(N,) whether a vertex is skin."""
        return self.piece == SKIN

    @cached_property
    def skin_faces(self) -> NDArray[np.int64]:
        """(G, 3) triangles of the skin, in numbers of its own vertices."""
        number = np.cumsum(self.skin) - 1
        return number[self.faces[self.skin[self.faces].all(axis=1)]]

    @cached_property
    def skin_mesh(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(n,) vertices of the skin, each place once, and (G, 3) triangles of these.

        Seams of a file are closed where both sides move alike; lips that touch at rest are no seam.
        """
        rows = np.flatnonzero(self.skin)
        moved = np.round(self.displacements[:, rows].transpose(1, 0, 2).reshape(len(rows), -1) / _TOGETHER_MM)
        place = welded(np.concatenate([self.vertices[rows].astype(np.float32), moved], axis=1))
        _, first = np.unique(place, return_index=True)
        faces = place[self.skin_faces]
        faces = faces[(faces != np.roll(faces, 1, axis=1)).all(axis=1)]
        faces = faces[connected(faces, len(first))[faces[:, 0]] == 0]
        used, corners = np.unique(faces, return_inverse=True)
        return rows[first[used]], corners.reshape(-1, 3)

    def has_topology_of(self, other: HeadRig) -> bool:
        """Whether vertices and triangles are the same in number and order."""
        return self.vertices.shape == other.vertices.shape and np.array_equal(self.faces, other.faces)

    @property
    def still(self) -> tuple[str, ...]:
        """Names of shapes that move nothing."""
        far = np.abs(self.displacements).max(axis=(1, 2), initial=0)
        return tuple(name for name, way in zip(self.names, far, strict=True) if way < _STILL_MM)

    def shape(self, name: str) -> NDArray[np.float32]:
        """(N, 3) float32, millimeters: the displacements of one name."""
        return self.displacements[self.names.index(name)]

    def renamed(self, meant: Mapping[str, Mapping[str, float]]) -> HeadRig:
        """The rig with other names, each a weighted sum of its own shapes."""
        rows = [sum(weight * self.shape(own) for own, weight in parts.items()) for parts in meant.values()]
        return replace(self, names=tuple(meant), displacements=np.stack(rows).astype(np.float32))

    def in_arkit_names(self, table: Path | None = None) -> HeadRig:
        """The shapes that mean ARKit shapes, under those names.

        Args:
            table: For names of no known scheme, see :func:`mien.data.rig_names.named_shapes`.
        """
        return self.renamed(named_shapes(self.names, table))


def read_head_rig(path: str | Path) -> HeadRig:
    """Reads a head with named shapes.

    Args:
        path: A GLB, VRM or FBX with named targets; a folder of meshes of one topology, one of them named
            neutral, rest, base or basis (or as the folder), each other one a shape at full weight; or an NPZ
            with the arrays vertices (millimeters), faces, names, targets (displacements) and piece.

    Raises:
        MissingPackage: An FBX without the extra ``fbx``.
        DataMissing: There is no such file or folder, or nothing in it.
        BadFile: It holds no named shapes, or shapes of other topologies.
    """
    path = Path(path)
    if path.is_dir():
        return _of_folder(path)
    if not path.is_file():
        raise DataMissing("the rig does not exist", received=str(path), remedy="check the path")
    ending = path.suffix.lower()
    if ending == _ARRAYS:
        return _of_arrays(path)
    if ending == _FBX:
        morphs = read_fbx_targets(path)
        vertices, faces, names = morphs.base, morphs.faces, morphs.names
        moved = morphs.targets - morphs.base
    elif ending in _GLTF:
        shapes = read_glb_shapes(path)
        vertices, faces, names = shapes.mesh.vertices, shapes.mesh.faces, shapes.names
        moved = shapes.displacements
    else:
        raise BadFile(
            "a rig is a GLB, VRM or FBX with named targets, or a folder of meshes", received=str(path),
            remedy="export it as GLB with its shape keys",
        )  # fmt: skip
    if not len(names):
        raise BadFile(
            f"{path.name!r} has no morph targets", received=f"{len(vertices)} vertices",
            remedy="export it with its shape keys (blendshapes)",
        )  # fmt: skip
    return _measured(path.stem, vertices, faces, names, moved)


def find_head_rigs(place: str | Path) -> list[Path]:
    """The rigs at a place: it alone, or those in a folder of rigs, by name.

    Args:
        place: What :func:`read_head_rig` reads, or a folder of such.

    Raises:
        DataMissing: There is no rig.
    """
    place = Path(place)
    if not place.is_dir() or _rest_in(place):
        return [place]
    found = [
        item for item in sorted(place.iterdir())
        if item.suffix.lower() in (*_GLTF, _FBX, _ARRAYS) or (item.is_dir() and _rest_in(item))
    ]  # fmt: skip
    if not found:
        raise DataMissing(
            "the folder holds no rigs", received=str(place),
            remedy="put GLB, VRM or FBX files with named targets there, or folders of meshes with a neutral",
        )  # fmt: skip
    return found


def _rest_in(folder: Path) -> str | None:
    """The name of the mesh at rest in a folder of shapes."""
    names = sorted(path.stem for path in folder.iterdir() if path.suffix.lower() in READERS)
    return next((name for name in names if name.lower() in (*_REST_NAMES, folder.name.lower())), None)


def _of_folder(folder: Path) -> HeadRig:
    """A neutral and its shapes as meshes of one topology."""
    found = {p.stem: p for p in sorted(folder.iterdir()) if p.suffix.lower() in READERS}
    rest = _rest_in(folder)
    if rest is None or len(found) < 2:
        raise DataMissing(
            "a folder of shapes needs a mesh named neutral and one mesh a shape",
            received=f"{folder}: {', '.join(list(found)[:8]) or 'no meshes'}",
            remedy=f"name the face at rest {_REST_NAMES[0]}.obj",
        )  # fmt: skip
    neutral = read_mesh(found.pop(rest))
    shapes = []
    for path in found.values():
        mesh = read_mesh(path)
        if mesh.vertices.shape != neutral.vertices.shape:
            raise BadFile(
                "all shapes of a folder must have one topology",
                received=f"{path.name}: {len(mesh.vertices)} vertices, the neutral {len(neutral.vertices)}",
            )
        shapes.append(mesh.vertices - neutral.vertices)
    return _measured(folder.name, neutral.vertices, neutral.faces, tuple(found), np.stack(shapes))


def _of_arrays(path: Path) -> HeadRig:
    """A prepared head: arrays in millimeters, upright."""
    keys = ("vertices", "faces", "names", "targets", "piece")
    kept = read_npz(path, "the file of the rig", "prepare it again", keys)
    count, shapes = len(kept["vertices"]), len(kept["names"])
    for key, shape, kinds in (
        ("vertices", (count, 3), "f"), ("faces", (len(kept["faces"]), 3), "iu"), ("names", (shapes,), "U"),
        ("targets", (shapes, count, 3), "f"), ("piece", (count,), "iu"),
    ):  # fmt: skip
        array = kept[key]
        fits = array.shape == shape and array.dtype.kind in kinds
        if not fits or (kinds == "f" and not np.isfinite(array).all()):
            raise BadFile("the arrays of the rig do not fit each other",
                          received=f"{path.name}: {key} of {array.dtype} {array.shape}")  # fmt: skip
    for key, limit in (("faces", count), ("piece", OTHER + 1)):
        if len(kept[key]) and not 0 <= kept[key].min() <= kept[key].max() < limit:
            raise BadFile("the arrays of the rig do not fit each other",
                          received=f"{path.name}: {key} up to {kept[key].max()}, of {limit}")  # fmt: skip
    names = tuple(map(str, kept["names"]))
    if len(set(names)) < len(names) or not count or not len(kept["faces"]):
        raise BadFile("the rig is empty or two of its shapes have one name", received=path.name)
    return HeadRig(
        path.stem, kept["vertices"].astype(np.float64), kept["faces"].astype(np.int32), names,
        kept["targets"].astype(np.float32), kept["piece"].astype(np.uint8),
    )  # fmt: skip


def _measured(
    name: str, vertices: NDArray, faces: NDArray, names: Sequence[str], displacements: NDArray
) -> HeadRig:
    """The rig in millimeters: the unit in which what expressions move is as tall as a face."""
    motion = np.linalg.norm(displacements, axis=2).max(axis=0, initial=0)
    moved = motion > _MOVED_SHARE * motion.max(initial=0)
    if not moved.any():
        raise BadMesh(f"no shape of {name!r} moves anything", received=f"{len(names)} shapes")
    low, high = np.percentile(np.asarray(vertices, np.float64)[moved, 1], (2, 98))
    scale = min(
        _UNITS.values(), key=lambda unit: abs(np.log(max(high - low, 1e-12) * unit / _FACE_HEIGHT_MM))
    )
    return HeadRig(
        name, scale * np.asarray(vertices, np.float64), np.asarray(faces, np.int32), tuple(names),
        (scale * displacements).astype(np.float32), _pieces(vertices, faces, motion),
    )  # fmt: skip


def _pieces(vertices: NDArray, faces: NDArray, motion: NDArray) -> NDArray[np.uint8]:
    """(N,) skin is the connected piece on which expressions move most; other pieces are not told apart."""
    place = welded(np.asarray(vertices, np.float32))
    piece = connected(place[faces], int(place.max()) + 1)[place]
    energy = np.bincount(piece, weights=motion**2)
    return np.where(piece == energy.argmax(), SKIN, OTHER).astype(np.uint8)
