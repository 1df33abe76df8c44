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
    p = np.ascontiguousarray(points.T, np.float64)  # whole rows of coordinates: sums over three are slow
    a, b, c = np.ascontiguousarray(triangles.transpose(1, 2, 0), np.float64)
    ab, ac, ap = b - a, c - a, p - a
    d00, d01, d11, d20, d21 = _dot(ab, ab), _dot(ab, ac), _dot(ac, ac), _dot(ap, ab), _dot(ap, ac)
    determinant = d00 * d11 - d01 * d01
    safe = np.where(determinant > 1e-14 * np.maximum(d00 * d11, 1e-300), determinant, np.inf)
    v, w = (d11 * d20 - d01 * d21) / safe, (d00 * d21 - d01 * d20) / safe
    inside = (v >= 0) & (w >= 0) & (v + w <= 1) & np.isfinite(safe)
    weights = np.stack([np.maximum(1 - v - w, 0), v, w], axis=1)
    offset = weights[:, 0] * a + v * b + w * c - p
    squared = np.where(inside, _dot(offset, offset), np.inf)
    corners, zero = (a, b, c), np.zeros(len(weights))
    for i, j in ((0, 1), (1, 2), (2, 0)):
        start, edge = corners[i], corners[j] - corners[i]
        along = np.clip(_dot(p - start, edge) / np.maximum(_dot(edge, edge), 1e-300), 0, 1)
        offset = (1 - along) * start + along * corners[j] - p
        apart = _dot(offset, offset)
        nearer = apart < squared
        shares = [zero, zero, zero]
        shares[i], shares[j] = 1 - along, along
        weights[nearer] = np.stack(shares, axis=1)[nearer]
        squared[nearer] = apart[nearer]
    return weights, squared


def _dot(first: NDArray, second: NDArray) -> NDArray[np.float64]:
    """(n,) products of vectors (3, n)."""
    return first[0] * second[0] + first[1] * second[1] + first[2] * second[2]
