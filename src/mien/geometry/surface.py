"""A surface of any topology, ready to be asked for its closest places: meshes with holes, point scans."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mien.geometry.closest import closest_on_triangles
from mien.geometry.differential import adjacency, face_normals, vertex_normals

NORMAL_MM = 12.0
"""What a difference of one between unit normals counts in millimeters when closest points are looked for."""
_SPACING = 2.0  # millimeters between samples of large triangles
_MOST_SAMPLES = 120_000
_CANDIDATES = 4
_NEIGHBORS = 12  # of a scanned point, for its tangent plane


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles, or points alone, in millimeters.

    Args:
        vertices: (N, 3) float, millimeters.
        faces: (F, 3) int; (0, 3) for a point scan.
        toward: (3,) float or None. Where normals of a point scan should point; a scanner sees fronts only.
    """

    vertices: NDArray[np.float64]
    faces: NDArray
    toward: NDArray[np.float64] | None = None

    @property
    def is_scan(self) -> bool:
        """Whether there are points only."""
        return not len(self.faces)

    @cached_property
    def normals(self) -> NDArray[np.float64]:
        """(N, 3) unit normals."""
        if not self.is_scan:
            return vertex_normals(self.vertices, self.faces)
        return _tangent_normals(self.vertices, self.toward)

    @cached_property
    def rim(self) -> NDArray[np.bool_]:
        """(N,) vertices on open borders; a point scan has none that could be told."""
        return rim_vertices(self.faces, len(self.vertices))

    @cached_property
    def _samples(self) -> tuple[NDArray[np.int64], cKDTree]:
        """The triangle (or point) of each sample, and a tree over positions and scaled normals."""
        if self.is_scan:
            step = max(1, len(self.vertices) // _MOST_SAMPLES)
            owner = np.arange(0, len(self.vertices), step)
            return owner, cKDTree(np.hstack([self.vertices[owner], NORMAL_MM * self.normals[owner]]))
        owner, weights = spread_samples(self.vertices, self.faces, _SPACING, _MOST_SAMPLES)
        corners = self.faces[owner]
        points = np.einsum("nk,nkc->nc", weights, self.vertices[corners])
        normals = _unit(np.einsum("nk,nkc->nc", weights, self.normals[corners]))
        return owner, cKDTree(np.hstack([points, NORMAL_MM * normals]))

    def located(self, points: NDArray, normals: NDArray) -> Places:
        """Closest places that face the same way, as far as there are any near.

        Args:
            points: (n, 3) float, millimeters.
            normals: (n, 3) float, unit normals; zeros where the direction does not matter.
        """
        owner, tree = self._samples
        count = min(_CANDIDATES, len(owner))
        _, near = tree.query(np.hstack([points, NORMAL_MM * normals]), k=count, workers=_workers(len(points)))
        found = owner[np.asarray(near).reshape(len(points), count)]
        if self.is_scan:
            corners = np.repeat(found[:, :1], 3, axis=1)
            return Places(corners, np.tile([1.0, 0.0, 0.0], (len(points), 1)), self)
        corners = self.faces[found.ravel()]
        weights, squared = closest_on_triangles(np.repeat(points, count, axis=0), self.vertices[corners])
        best = squared.reshape(-1, count).argmin(axis=1) + count * np.arange(len(points))
        return Places(corners[best], weights[best], self)


@dataclass(frozen=True, eq=False)
class Places:
    """Places on a surface.

    Args:
        corners: (n, 3) int, the triangle of each.
        weights: (n, 3) float, barycentric.
        surface: Where they are.
    """

    corners: NDArray[np.int64]
    weights: NDArray[np.float64]
    surface: Surface

    @cached_property
    def points(self) -> NDArray[np.float64]:
        """(n, 3) positions, millimeters."""
        return np.einsum("nk,nkc->nc", self.weights, self.surface.vertices[self.corners])

    @cached_property
    def normals(self) -> NDArray[np.float64]:
        """(n, 3) unit normals."""
        return _unit(np.einsum("nk,nkc->nc", self.weights, self.surface.normals[self.corners]))

    def among(self, vertices: NDArray) -> NDArray[np.bool_]:
        """(n,) whether all corners that a place leans on are among some vertices, (N,) bool."""
        leans = self.weights > 1e-9
        return (leans & vertices[self.corners]).sum(axis=1) == leans.sum(axis=1)

    @property
    def owner(self) -> NDArray[np.int64]:
        """(n,) the vertex next to each place."""
        return self.corners[np.arange(len(self.corners)), self.weights.argmax(axis=1)]


def _workers(count: int) -> int:
    """Threads pay for large questions only."""
    return 1 if count < 5000 else -1


def spread_samples(
    vertices: NDArray, faces: NDArray, spacing: float, most: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Points spread over triangles: at least one in each, more in large ones; the same every time.

    Args:
        vertices: (N, 3) float.
        faces: (F, 3) int.
        spacing: Distance between points of one triangle.
        most: When a mesh has more triangles than this, some are left out evenly.

    Returns:
        (n,) triangle of each point and (n, 3) barycentric weights.
    """
    area = np.linalg.norm(face_normals(vertices, faces), axis=1) / 2
    counts = np.maximum(1, np.ceil(area / spacing**2)).astype(np.int64)
    if counts.sum() > most:
        counts = np.ones(len(faces), np.int64)
        counts[np.arange(len(faces)) % max(1, -(-len(faces) // most)) > 0] = 0
    owner = np.repeat(np.arange(len(faces)), counts)
    step = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    # The additive sequence of the plastic number covers the unit square evenly from its first point on.
    u, v = (0.5 + step * 0.7548776662466927) % 1, (0.5 + step * 0.5698402909980532) % 1
    root = np.sqrt(u)
    weights = np.stack([1 - root, root * (1 - v), root * v], axis=1)
    weights[step == 0] = 1 / 3
    return owner, weights


def rim_vertices(faces: NDArray, count: int) -> NDArray[np.bool_]:
    """Whether a vertex lies on an open border.

    Args:
        faces: (F, 3) int.
        count: V.

    Returns:
        (V,) bool.
    """
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    _, first, uses = np.unique(
        edges[:, 0] * np.int64(count) + edges[:, 1], return_index=True, return_counts=True
    )
    mask = np.zeros(count, bool)
    mask[edges[first[uses == 1]].ravel()] = True
    return mask


def connected(faces: NDArray, count: int) -> NDArray[np.int32]:
    """The connected component of each vertex.

    Args:
        faces: (F, 3) int.
        count: V.

    Returns:
        (V,) int32 number of the component; 0 is the one with most vertices.
    """
    from scipy.sparse.csgraph import connected_components

    label = connected_components(adjacency(np.asarray(faces).reshape(-1, 3), count), directed=False)[1]
    order = np.argsort(-np.bincount(label), kind="stable")
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order))
    return rank[label]


def welded(vertices: NDArray) -> NDArray[np.int64]:
    """Vertices that a file repeats along seams, brought together.

    Args:
        vertices: (V, 3) float.

    Returns:
        (V,) int64 number of each vertex's place; the places are numbered by first use.
    """
    _, first, inverse = np.unique(vertices, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank[inverse.ravel()]


def _tangent_normals(points: NDArray, toward: NDArray | None) -> NDArray[np.float64]:
    """(N, 3) normals of the planes through each point's neighbors, turned outward."""
    tree = cKDTree(points)
    _, near = tree.query(points, k=min(_NEIGHBORS, len(points)), workers=_workers(len(points)))
    around = points[near] - points[near].mean(axis=1, keepdims=True)
    _, vectors = np.linalg.eigh(np.einsum("nkc,nkd->ncd", around, around))
    normals = vectors[:, :, 0]
    outward = points - points.mean(axis=0) if toward is None else np.broadcast_to(toward, points.shape)
    return normals * np.where((normals * outward).sum(axis=1) < 0, -1.0, 1.0)[:, None]


def _unit(vectors: NDArray) -> NDArray[np.float64]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-20)
