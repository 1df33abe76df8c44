"""Closest points on triangles."""

from __future__ import annotations

from typing import Any

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


def surface_distances(points: NDArray, vertices: NDArray, faces: NDArray) -> NDArray[np.float64]:
    """(n,) distance of each point to the nearest point **on the surface**, exactly.

    The nearest vertex bounds the distance from above; a triangle whose center is farther away than that bound
    plus its own radius cannot hold the nearest point.

    Args:
        points: (n, 3) float, any unit.
        vertices: (m, 3) float, the same unit.
        faces: (f, 3) int.
    """
    from scipy.spatial import cKDTree

    points, corners = np.asarray(points, np.float64), np.asarray(vertices, np.float64)[faces]
    centers = corners.mean(axis=1)
    radius = np.linalg.norm(corners - centers[:, None], axis=2).max(axis=1)
    bound = np.asarray(cKDTree(vertices[np.unique(faces)]).query(points)[0])
    result = np.full(len(points), np.inf)
    tree = cKDTree(centers)
    for start in range(0, len(points), 4096):
        part = slice(start, start + 4096)
        near: Any = tree.query_ball_point(points[part], bound[part] + radius.max())
        counts = np.array([len(found) for found in near])
        pair_point = np.repeat(np.arange(len(counts)), counts) + start
        pair_face = np.concatenate(near).astype(np.int64)
        reach = bound[pair_point] + radius[pair_face]
        close = np.linalg.norm(points[pair_point] - centers[pair_face], axis=1) <= reach * (1 + 1e-9)
        pair_point, pair_face = pair_point[close], pair_face[close]
        squared = closest_on_triangles(points[pair_point], corners[pair_face])[1]
        np.minimum.at(result, pair_point, np.sqrt(squared))
    return result


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
