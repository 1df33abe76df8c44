"""Normals, areas and Laplacians of triangle meshes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from mien.errors import require
from mien.topology import Arrays, Topology

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from torch import Tensor


def face_normals(vertices: NDArray, faces: NDArray) -> NDArray:
    """Normals scaled by twice the area: (v2 - v1) x (v3 - v1).

    Args:
        vertices: (..., V, 3) float, any unit.
        faces: (F, 3) int.

    Returns:
        (..., F, 3), unit squared. Divide by the length for unit normals; half the length is the area.
    """
    first, second, third = (vertices[..., faces[:, k], :] for k in range(3))
    return np.cross(second - first, third - first)


def face_areas(vertices: NDArray, faces: NDArray) -> NDArray:
    """Areas of triangles.

    Args:
        vertices: (..., V, 3) float.
        faces: (F, 3) int.

    Returns:
        (..., F) areas, unit squared.
    """
    return np.linalg.norm(face_normals(vertices, faces), axis=-1) / 2


def vertex_areas(vertices: NDArray, faces: NDArray) -> NDArray:
    """A third of the area of the triangles around each vertex.

    Args:
        vertices: (..., V, 3) float.
        faces: (F, 3) int.

    Returns:
        (..., V) areas, unit squared.
    """
    return face_areas(vertices, faces) @ incidence(faces, vertices.shape[-2]) / 3


def vertex_normals(vertices: NDArray, faces: NDArray) -> NDArray:
    """Unit normals, averaged over the triangles around each vertex by area.

    Args:
        vertices: (..., V, 3) float, any unit.
        faces: (F, 3) int.

    Returns:
        (..., V, 3). A vertex without area around it points to +Z, out of the face.
    """
    scaled = face_normals(np.asarray(vertices, np.float64), faces)
    flat = scaled.reshape(-1, *scaled.shape[-2:])
    around = incidence(faces, vertices.shape[-2]).T
    summed = np.stack([around @ item for item in flat]).reshape(*vertices.shape)
    length = np.linalg.norm(summed, axis=-1, keepdims=True)
    return np.where(length > 1e-20, summed / np.maximum(length, 1e-20), np.array([0.0, 0.0, 1.0]))


def incidence(faces: NDArray, count: int) -> csr_matrix:
    """(F, V) sparse matrix of ones where a triangle has a vertex."""
    from scipy.sparse import csr_matrix

    rows = np.repeat(np.arange(len(faces)), 3)
    return csr_matrix((np.ones(3 * len(faces)), (rows, faces.ravel())), (len(faces), count))


def adjacency(faces: NDArray, count: int) -> csr_matrix:
    """(V, V) symmetric sparse matrix of ones where two vertices share an edge."""
    from scipy.sparse import coo_matrix

    rows, columns = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    matrix = coo_matrix((np.ones(len(rows)), (rows, columns)), (count, count)).tocsr()
    matrix = matrix + matrix.T
    matrix.setdiag(0)  # an edge from a vertex to itself, in a collapsed triangle, is none
    matrix.eliminate_zeros()
    matrix.data[:] = 1
    return matrix


def uniform_laplacian(faces: NDArray, count: int) -> csr_matrix:
    """(V, V) L = I - D^-1 A: a vertex minus the mean of its neighbors; zero for vertices without any."""
    from scipy.sparse import diags, identity

    near = adjacency(faces, count)
    degree = np.asarray(near.sum(axis=1)).ravel()
    alone = diags((degree == 0).astype(float))
    return (identity(count) - alone - diags(1 / np.maximum(degree, 1)) @ near).tocsr()


def cotangent_laplacian(
    vertices: NDArray, faces: NDArray, *, robust: bool = False, smallest_sine: float = 1e-8
) -> csr_matrix:
    """(V, V) symmetric positive semidefinite Laplacian, L_ij = -(cot a_ij + cot b_ij) / 2.

    Divide row i by ``vertex_areas(...)[i]`` for the pointwise operator.

    Args:
        vertices: (V, 3) float, any unit.
        faces: (F, 3) int.
        robust: Whether to take the intrinsic Delaunay triangulation of Sharp and Crane 2020, whose weights
            are never negative; for scans and decimated meshes. Needs the extra ``geometry``.
        smallest_sine: A triangle with a smaller angle weighs as if it had this one: collapsed triangles would
            weigh infinitely, and thin ones so much that the rest of a sum drowns.
    """
    vertices = np.asarray(vertices, np.float64)
    if robust:
        package = require("robust_laplacian", "geometry")
        return package.mesh_laplacian(vertices, np.asarray(faces))[0].tocsr()
    from scipy.sparse import coo_matrix

    rows, columns, values = [], [], []
    for corner in range(3):
        apex, first, second = (faces[:, (corner + k) % 3] for k in range(3))
        u, v = vertices[first] - vertices[apex], vertices[second] - vertices[apex]
        cosine, sine = (u * v).sum(axis=1), np.linalg.norm(np.cross(u, v), axis=1)
        floor = smallest_sine * np.maximum((u * u).sum(axis=1), (v * v).sum(axis=1))
        half = cosine / np.maximum(np.maximum(sine, floor), 1e-300) / 2
        rows += [first, second, first, second]
        columns += [second, first, first, second]
        values += [-half, -half, half, half]
    shape = (len(vertices), len(vertices))
    entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return coo_matrix(entries, shape).tocsr()


def laplacian(topology: Topology, kind: Literal["uniform", "cotangent"] = "uniform") -> csr_matrix:
    """A Laplacian of a topology's template, cached; see the function of that kind."""
    from scipy.sparse import csr_matrix

    def build() -> Arrays:
        if kind == "uniform":
            matrix = uniform_laplacian(topology.faces, topology.vertex_count)
        else:
            matrix = cotangent_laplacian(topology.template, topology.faces)
        return {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}

    arrays = topology.derived(f"laplacian-{kind}", build)
    count = topology.vertex_count
    return csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), (count, count))


def to_torch(matrix: csr_matrix) -> Tensor:
    """(N, M) sparse float32 CSR tensor of a sparse matrix."""
    import warnings

    import torch

    matrix = matrix.tocsr()
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Sparse", category=UserWarning
        )  # "support is in beta state"
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(np.int64)),
            torch.from_numpy(matrix.indices.astype(np.int64)),
            torch.from_numpy(matrix.data.astype(np.float32)),
            size=matrix.shape,
            dtype=torch.float32,
        )
