"""Closest points on triangles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.geometry.differential import incidence


def closest_triangles(
    points: NDArray, vertices: NDArray, faces: NDArray, near: NDArray
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Closest triangle of each point among those around the vertex that the point was collapsed into.

    Searching by mesh neighborhood, not by distance alone, keeps the upper lip from being hung on the lower.

    Args:
        points: (n, 3) float.
        vertices: (m, 3) float.
        faces: (f, 3) int.
        near: (n,) int. A vertex near each point, along the surface.

    Returns:
        (n, 3) int vertex columns and (n, 3) float weights.
    """
    touch = incidence(faces, len(vertices))
    ring = (touch.T @ touch).astype(bool)  # a vertex and its neighbors
    around = (ring @ touch.T).astype(bool).tocsr()  # triangles within that ring
    counts = np.diff(around.indptr)[near]
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    pair_face = around.indices[np.arange(counts.sum()) - starts + np.repeat(around.indptr[near], counts)]
    pair_point = np.repeat(np.arange(len(points)), counts)
    weights, squared = closest_on_triangles(points[pair_point], vertices[faces[pair_face]])
    order = np.lexsort((pair_face, squared, pair_point))
    best = order[np.cumsum(counts) - counts]
    return faces[pair_face[best]].astype(np.int32), weights[best].astype(np.float32)


def closest_on_triangles(points: NDArray, triangles: NDArray) -> tuple[NDArray, NDArray]:
    """Barycentric weights of the closest point on each triangle, and the squared distance to it.

    Args:
        points: (n, 3) float.
        triangles: (n, 3, 3) float. One triangle for each point.

    Returns:
        (n, 3) weights, nonnegative, sum one; (n,) squared distances.
    """
    a, ab, ac = triangles[:, 0], triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    ap = points - a
    d00, d01, d11 = (ab * ab).sum(1), (ab * ac).sum(1), (ac * ac).sum(1)
    d20, d21 = (ap * ab).sum(1), (ap * ac).sum(1)
    determinant = d00 * d11 - d01 * d01
    safe = np.where(determinant > 1e-14 * np.maximum(d00 * d11, 1e-300), determinant, np.inf)
    v, w = (d11 * d20 - d01 * d21) / safe, (d00 * d21 - d01 * d20) / safe
    inside = (v >= 0) & (w >= 0) & (v + w <= 1) & np.isfinite(safe)
    options = [np.where(inside[:, None], np.stack([np.maximum(1 - v - w, 0), v, w], 1), np.nan)]
    for i, j in ((0, 1), (1, 2), (2, 0)):
        edge = triangles[:, j] - triangles[:, i]
        along = ((points - triangles[:, i]) * edge).sum(1) / np.maximum((edge * edge).sum(1), 1e-300)
        weights = np.zeros((len(points), 3))
        weights[:, j] = np.clip(along, 0, 1)
        weights[:, i] = 1 - weights[:, j]
        options.append(weights)
    stacked = np.stack(options)
    offsets = np.einsum("onk,nkc->onc", stacked, triangles) - points
    squared = np.where(np.isnan(offsets[..., 0]), np.inf, (offsets**2).sum(-1))
    best = squared.argmin(axis=0)
    rows = np.arange(len(points))
    return stacked[best, rows], squared[best, rows]
