"""Topology: the connectivity that a set of faces shares, and what derives from it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, BadMesh, MienError, UnknownName, WrongTopology
from mien.npz import read_npz
from mien.temporary import neighbor

Arrays = dict[str, NDArray]


@dataclass(frozen=True, eq=False)
class Polygons:
    """The polygons of the artist's file (triangles, quads, n-gons), kept for export.

    Args:
        sizes: (P,) int. Corners of each polygon.
        corners: (sum of sizes,) int. Vertex index of each corner, polygon after polygon.
        uv_corners: (sum of sizes,) int or None. Texture coordinate index of each corner.
    """

    sizes: NDArray[np.int32]
    corners: NDArray[np.int32]
    uv_corners: NDArray[np.int32] | None = None

    def triangulate(self) -> tuple[NDArray[np.int32], NDArray[np.int32] | None]:
        """Fans each polygon: (F, 3) vertex indices and (F, 3) uv indices (or None)."""
        starts = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        per_polygon = self.sizes - 2
        owner = np.repeat(np.arange(len(self.sizes)), per_polygon)
        step = np.arange(len(owner)) - np.repeat(np.cumsum(per_polygon) - per_polygon, per_polygon)
        first = starts[owner]
        index = np.stack([first, first + step + 1, first + step + 2], axis=1)
        uv = None if self.uv_corners is None else self.uv_corners[index].astype(np.int32)
        return self.corners[index].astype(np.int32), uv


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Named points on the surface, as barycentric positions in triangles.

    Args:
        names: L names in order.
        corners: (L, 3) int. Vertex indices of each landmark's triangle.
        weights: (L, 3) float. Barycentric weights; a landmark on a vertex is (1, 0, 0).
    """

    names: tuple[str, ...] = ()
    corners: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 3), np.int32))
    weights: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 3), np.float32))

    @staticmethod
    def at_vertices(vertices: Mapping[str, int]) -> Landmarks:
        """Landmarks that lie on vertices: name -> vertex index."""
        index = np.array(list(vertices.values()), np.int32).reshape(-1, 1)
        weights = np.tile(np.array([[1, 0, 0]], np.float32), (len(index), 1))
        return Landmarks(tuple(vertices), np.repeat(index, 3, axis=1), weights)

    def __len__(self) -> int:
        return len(self.names)

    def positions(self, vertices: NDArray) -> NDArray:
        """Landmark positions (..., L, 3) of meshes (..., V, 3), in the meshes' unit."""
        return np.einsum("...lkc,lk->...lc", vertices[..., self.corners, :], self.weights)


@dataclass(frozen=True, eq=False)
class Topology:
    """Connectivity, template and named places that all faces of a data set or model share.

    Args:
        name: A short name, e.g. ``procedural`` or ``ict-narrow-2500``.
        faces: (F, 3) int32. Triangles, for computing.
        template: (V, 3) float32, millimeters. A neutral mean face; +Y up, +Z out of the face.
        polygons: The original polygons, for export; None if the source had triangles only.
        uv: (U, 2) float32 texture coordinates or None.
        uv_faces: (F, 3) int32 index into ``uv`` of each triangle corner, or None.
        landmarks: Named surface points.
        regions: Name -> (V,) bool mask (``mouth``, ``eyes``, ``brows``, ``rigid`` ...).
        mirror: (V,) int32 index of each vertex's left-right mirror, or None.
    """

    name: str
    faces: NDArray[np.int32]
    template: NDArray[np.float32]
    polygons: Polygons | None = None
    uv: NDArray[np.float32] | None = None
    uv_faces: NDArray[np.int32] | None = None
    landmarks: Landmarks = field(default_factory=Landmarks)
    regions: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    mirror: NDArray[np.int32] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "faces", np.ascontiguousarray(self.faces, np.int32))
        object.__setattr__(self, "template", np.ascontiguousarray(self.template, np.float32))
        if self.template.ndim != 2 or self.template.shape[1] != 3 or not len(self.template):
            raise BadMesh("a template needs vertices of shape (V, 3)", received=self.template.shape)
        if self.faces.ndim != 2 or self.faces.shape[1] != 3 or not len(self.faces):
            raise BadMesh("a topology needs triangles of shape (F, 3)", received=self.faces.shape)
        if self.faces.min() < 0 or self.faces.max() >= self.vertex_count:
            raise BadMesh(
                f"face indices must lie in 0..{self.vertex_count - 1}",
                received=f"{self.faces.min()}..{self.faces.max()}",
                remedy="check that the file is whole and indices are not shifted by one",
            )
        if not np.isfinite(self.template).all():
            raise BadMesh("the template has NaN or infinite vertices", remedy="repair the mesh first")

    def __repr__(self) -> str:
        return f"Topology({self.name!r}: {self.vertex_count} vertices, {self.face_count} triangles)"

    @property
    def vertex_count(self) -> int:
        """V, the number of vertices."""
        return len(self.template)

    @property
    def face_count(self) -> int:
        """F, the number of triangles."""
        return len(self.faces)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the triangles and the template: two equal fingerprints correspond vertex by vertex."""
        digest = hashlib.sha256()
        for array in (self.faces, self.template):
            digest.update(str(array.shape).encode())
            digest.update(array.tobytes())
        return digest.hexdigest()

    def region(self, name: str) -> NDArray[np.bool_]:
        """The (V,) mask of a region; ``all`` is every vertex."""
        if name == "all":
            return np.ones(self.vertex_count, bool)
        if name not in self.regions:
            raise UnknownName("region", name, ["all", *self.regions])
        return self.regions[name]

    def check(self, vertices: NDArray, *, what: str = "mesh") -> None:
        """Raises unless (..., V, 3) vertices fit this topology and are finite."""
        if vertices.shape[-2:] != (self.vertex_count, 3):
            raise WrongTopology(
                f"the {what} does not have the topology {self.name!r} of {self.vertex_count} vertices",
                received=f"an array of shape {tuple(vertices.shape)}",
                remedy="bring it into correspondence first, or use a model of its topology",
            )
        if not np.isfinite(vertices).all():
            raise BadMesh(f"the {what} has NaN or infinite vertices", remedy="repair or drop it")

    @cached_property
    def components(self) -> NDArray[np.int32]:
        """(V,) int32 number of the connected component of each vertex."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components

        rows = self.faces[:, [0, 1, 2]].ravel()
        columns = self.faces[:, [1, 2, 0]].ravel()
        shape = (self.vertex_count, self.vertex_count)
        graph = coo_matrix((np.ones(len(rows), bool), (rows, columns)), shape)
        return connected_components(graph, directed=False)[1].astype(np.int32)

    def derived(self, key: str, build: Callable[[], Arrays]) -> Arrays:
        """Arrays that follow from this topology, built once and cached by content.

        Args:
            key: Names the operator and its settings, e.g. ``spirals-9-1``.
            build: Called on a miss; returns named arrays.

        Returns:
            Named arrays of any shape, as ``build`` made them.
        """
        memory = self.__dict__.setdefault("_derived", {})
        if key not in memory:
            path = cache_folder() / "derived" / f"{self.fingerprint[:24]}-{key}.npz"
            arrays = _read_cached(path)
            if arrays is None:
                arrays = build()
                with contextlib.suppress(OSError):  # a cache that cannot be written costs time, nothing else
                    save_npz(path, arrays)
            for array in arrays.values():
                array.setflags(write=False)
            memory[key] = arrays
        return memory[key]

    def save(self, path: Path) -> None:
        """Writes one ``.npz`` without pickled objects, atomically."""
        arrays: Arrays = {"faces": self.faces, "template": self.template}
        if self.polygons is not None:
            arrays |= {"polygon_sizes": self.polygons.sizes, "polygon_corners": self.polygons.corners}
            if self.polygons.uv_corners is not None:
                arrays["polygon_uv_corners"] = self.polygons.uv_corners
        for name in ("uv", "uv_faces", "mirror"):
            if getattr(self, name) is not None:
                arrays[name] = getattr(self, name)
        arrays |= {"landmark_corners": self.landmarks.corners, "landmark_weights": self.landmarks.weights}
        arrays |= {f"region_{name}": mask for name, mask in self.regions.items()}
        names = {"name": self.name, "landmarks": list(self.landmarks.names), "regions": list(self.regions)}
        arrays["names"] = np.frombuffer(json.dumps(names).encode(), np.uint8)
        save_npz(path, arrays)

    @staticmethod
    def load(path: Path) -> Topology:
        """Reads what :meth:`save` wrote.

        Raises:
            BadFile: The file is damaged, or an array of it points outside of what it points into.
        """
        try:
            arrays = read_npz(path, "the topology file", "restore it")
            names = _names(arrays["names"])
            _check_arrays(arrays, names, path)
            polygons = None
            if "polygon_sizes" in arrays:
                polygons = Polygons(
                    arrays["polygon_sizes"], arrays["polygon_corners"], arrays.get("polygon_uv_corners")
                )
            return Topology(
                names["name"], arrays["faces"], arrays["template"], polygons,
                arrays.get("uv"), arrays.get("uv_faces"),
                Landmarks(tuple(names["landmarks"]), arrays["landmark_corners"], arrays["landmark_weights"]),
                {name: arrays[f"region_{name}"] for name in names["regions"]},
                arrays.get("mirror"),
            )  # fmt: skip
        except MienError:
            raise
        except (ValueError, KeyError) as error:
            raise BadFile(
                "the topology file is damaged", received=f"{path}: {error}", remedy="restore it"
            ) from error


_MOST_NAME_BYTES = 1_000_000


def _names(stored: NDArray) -> Mapping[str, Any]:
    """The names beside the arrays of a topology file; ValueError where they are none."""
    if stored.dtype != np.uint8 or stored.ndim != 1 or len(stored) > _MOST_NAME_BYTES:
        raise ValueError(f"its names are {stored.dtype} {stored.shape}, no text")
    try:
        names = json.loads(stored.tobytes())
    except RecursionError:
        raise ValueError("its names are nested too deep") from None
    lists = names if isinstance(names, dict) else {}
    for key in ("landmarks", "regions"):
        of = lists.get(key)
        if not isinstance(of, list) or not all(isinstance(name, str) and name for name in of):
            raise ValueError(f"its {key} are no list of names")
        if len(set(of)) < len(of):
            raise ValueError(f"two of its {key} have one name")
    if not isinstance(lists.get("name"), str):
        raise ValueError("it has no name")
    return lists


def _check_arrays(arrays: Arrays, names: Mapping[str, Any], path: Path) -> None:
    """Raises unless all indices of a topology file lie in what they point into, and numbers are finite."""
    vertices, triangles = len(arrays["template"]), len(arrays["faces"])
    texture = len(arrays.get("uv", ()))
    for name, shape, limit in (
        ("faces", (triangles, 3), vertices), ("polygon_sizes", (None,), None),
        ("polygon_corners", (None,), vertices), ("polygon_uv_corners", (None,), texture),
        ("uv_faces", (triangles, 3), texture), ("landmark_corners", (len(names["landmarks"]), 3), vertices),
        ("mirror", (vertices,), vertices),
    ):  # fmt: skip
        if name in arrays:
            _check_shape(arrays[name], name, shape, "iu", path)
            _check_indices(arrays[name], name, limit, path)
    for name, rows, columns in (
        ("template", None, 3), ("uv", None, 2), ("landmark_weights", len(names["landmarks"]), 3),
    ):  # fmt: skip
        if name in arrays:
            _check_shape(arrays[name], name, (rows, columns), "f", path)
            if not (finite := np.isfinite(arrays[name])).all():
                place = np.argwhere(~finite)[0]
                raise _bad_array(f"{name}{place.tolist()} is {arrays[name][tuple(place)]}", path)
    for name in names["regions"]:
        _check_shape(arrays[f"region_{name}"], f"region_{name}", (vertices,), "b", path)
    if (sizes := arrays.get("polygon_sizes")) is not None:
        corners = len(arrays["polygon_corners"])
        if sizes.min(initial=3) < 3 or sizes.sum() != corners:
            raise _bad_array(f"polygons of {sizes.sum()} corners, of {corners} that it lists", path)
        if len(arrays.get("polygon_uv_corners", arrays["polygon_corners"])) != corners:
            raise _bad_array(f"{len(arrays['polygon_uv_corners'])} texture corners of {corners}", path)


def _check_shape(
    array: NDArray, name: str, shape: tuple[int | None, ...], kinds: str, path: Path
) -> None:  # fmt: skip
    """Raises unless an array has this shape (None: any length) and one of these kinds of numbers."""
    fits = len(array.shape) == len(shape) and all(b in (None, a) for a, b in zip(array.shape, shape))
    if not fits or array.dtype.kind not in kinds:
        needed = " x ".join("any" if size is None else str(size) for size in shape)
        raise _bad_array(f"{name} of {array.dtype} {array.shape}, needed: {needed}", path)


def _check_indices(array: NDArray, name: str, limit: int | None, path: Path) -> None:
    """Raises unless all indices lie in 0..limit - 1; before they are cast, as a cast wraps."""
    largest = np.iinfo(np.int32).max if limit is None else limit - 1
    if array.min(initial=0) < 0 or array.max(initial=0) > largest:
        wrong = np.argwhere((array < 0) | (array > largest))
        value = array[tuple(wrong[0])]
        raise _bad_array(f"{name}{wrong[0].tolist()} is {value}, allowed: 0 to {largest}", path)


def _bad_array(what: str, path: Path) -> BadFile:
    return BadFile(
        "the topology file is damaged", received=f"{what}, in {path}", remedy="copy or build it again"
    )


def cache_folder() -> Path:
    """Where derived operators are kept: ``MIEN_CACHE`` or ``~/.cache/mien``."""
    return Path(os.environ.get("MIEN_CACHE", Path.home() / ".cache" / "mien"))


def save_npz(path: Path, arrays: Arrays) -> None:
    """Writes arrays atomically: a reader sees the old file, or the new one, never half of it.

    Args:
        path: The .npz file.
        arrays: Name -> array of any shape.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = neighbor(path)
    try:
        with open(temporary, "xb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _read_cached(path: Path) -> Arrays | None:
    """The cached arrays, or None when absent or damaged (they are then built again)."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except OSError:
        return None
    except Exception:  # zipfile and zlib raise their own kinds on damaged files; it is built again
        return None
