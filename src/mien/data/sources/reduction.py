"""A topology with fewer vertices, each a fixed point on the surface of the full one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from mien.errors import BadSetting, require
from mien.topology import Landmarks, Topology

Array = NDArray[np.float64]


def reduce_topology(topology: Topology, vertices: int | None) -> tuple[Topology, csr_matrix]:
    """Decimates by quadrics and pins every remaining vertex to the full surface.

    Faces of the full topology become faces of the reduced one by one sparse product, so correspondence is
    exact and nothing is fitted.

    Args:
        topology: The full topology.
        vertices: Most vertices to keep; None keeps all.

    Returns:
        The reduced topology, and the (v, V) matrix that takes full vertices to reduced ones.
    """
    if vertices is None or vertices >= topology.vertex_count:
        return topology, _identity(topology.vertex_count)
    if vertices < 100:
        raise BadSetting("too few vertices for a face", received=vertices, remedy="ask for 100 or more")
    arrays = topology.derived(f"reduced-{vertices}", lambda: _decimate(topology, vertices))
    faces, corners, weights = arrays["faces"], arrays["corners"], arrays["weights"]
    rows = np.repeat(np.arange(len(corners)), 3)
    sampling = csr_matrix((weights.ravel(), (rows, corners.ravel())), (len(corners), topology.vertex_count))
    nearest = corners[np.arange(len(corners)), weights.argmax(axis=1)]
    template = (sampling @ topology.template.astype(np.float64)).astype(np.float32)
    return (
        replace(
            topology, name=f"{topology.name}-{len(corners)}", faces=faces, template=template, polygons=None,
            uv=_vertex_uv(topology, nearest), uv_faces=None if topology.uv is None else faces, mirror=None,
            landmarks=_landmarks(topology, template, faces),
            regions={name: mask[nearest] for name, mask in topology.regions.items()},
        ),
        sampling,
    )  # fmt: skip


def _identity(count: int) -> csr_matrix:
    index = np.arange(count)
    return csr_matrix((np.ones(count), (index, index)), (count, count))


def _decimate(topology: Topology, vertices: int) -> dict[str, NDArray]:
    """Faces of the reduced mesh, and corners and weights of its vertices on the full surface."""
    simplify = require("fast_simplification", "geometry").simplify
    full = topology.template.astype(np.float64)
    target = 2 * vertices
    points, faces = full, topology.faces
    while len(points) > vertices:
        points, faces = simplify(full, topology.faces, target_count=target, agg=5)
        target -= max(2 * (len(points) - vertices), 2)
    corners, weights = closest_on_surface(points, full, topology.faces)
    return {"faces": faces.astype(np.int32), "corners": corners, "weights": weights}


def closest_on_surface(points: NDArray, vertices: NDArray, faces: NDArray) -> tuple[NDArray[np.int32], Array]:
    """The nearest surface point of each of N points, among the triangles around its nearest vertices.

    Returns:
        (N, 3) vertex indices of the triangle and (N, 3) barycentric weights.
    """
    nearest = cKDTree(vertices).query(points, k=min(6, len(vertices)))[1]
    around = csr_matrix(
        (np.ones(3 * len(faces)), (faces.ravel(), np.repeat(np.arange(len(faces)), 3))),
        (len(vertices), len(faces)),
    )
    corners, weights = np.zeros((len(points), 3), np.int32), np.zeros((len(points), 3))
    for row, point in enumerate(points):
        candidates = faces[np.unique(around[nearest[row]].indices)]
        bary = _project(point, vertices[candidates])
        distance = np.linalg.norm(np.einsum("nk,nkc->nc", bary, vertices[candidates]) - point, axis=1)
        best = int(distance.argmin())
        corners[row], weights[row] = candidates[best], bary[best]
    return corners, weights


def _project(point: NDArray, triangles: NDArray) -> Array:
    """(N, 3) barycentric weights of the nearest point of each of (N, 3, 3) triangles."""
    options = [_inside(point, triangles)]
    for first, second in ((0, 1), (1, 2), (2, 0)):
        edge = triangles[:, second] - triangles[:, first]
        along = np.einsum("nc,nc->n", point - triangles[:, first], edge) / np.maximum(
            (edge**2).sum(axis=1), 1e-12
        )
        weight = np.zeros((len(triangles), 3))
        weight[:, second] = np.clip(along, 0, 1)
        weight[:, first] = 1 - weight[:, second]
        options.append(weight)
    stacked = np.stack(options)
    distance = np.linalg.norm(np.einsum("onk,nkc->onc", stacked, triangles) - point, axis=2)
    distance[0, (stacked[0] < 0).any(axis=1)] = np.inf
    return stacked[distance.argmin(axis=0), np.arange(len(triangles))]


def _inside(point: NDArray, triangles: NDArray) -> Array:
    """(N, 3) barycentric weights of the projection on each triangle's plane; negative outside."""
    u, v, w = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0], point - triangles[:, 0]
    normal = np.cross(u, v)
    area = np.maximum((normal**2).sum(axis=1), 1e-12)
    second = np.einsum("nc,nc->n", np.cross(w, v), normal) / area
    third = np.einsum("nc,nc->n", np.cross(u, w), normal) / area
    return np.stack([1 - second - third, second, third], axis=1)


def _vertex_uv(topology: Topology, nearest: NDArray) -> NDArray[np.float32] | None:
    """One texture coordinate a vertex, of the nearest full vertex."""
    if topology.uv is None or topology.uv_faces is None:
        return None
    uv = np.zeros((topology.vertex_count, 2), np.float32)
    uv[topology.faces.ravel()] = topology.uv[topology.uv_faces.ravel()]
    return uv[nearest]


def _landmarks(topology: Topology, template: NDArray, faces: NDArray) -> Landmarks:
    points = topology.landmarks.positions(topology.template)
    if not len(points):
        return topology.landmarks
    corners, weights = closest_on_surface(points, template, faces)
    return Landmarks(topology.landmarks.names, corners, weights.astype(np.float32))
