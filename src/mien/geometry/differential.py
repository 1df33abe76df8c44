"""Normals, areas, Laplacians and deformation gradients of triangle meshes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from torch import Tensor

Array = TypeVar("Array", NDArray, "Tensor")


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
    """(..., F) areas of the triangles of (..., V, 3) vertices, unit squared."""
    return np.linalg.norm(face_normals(vertices, faces), axis=-1) / 2


def vertex_areas(vertices: NDArray, faces: NDArray) -> NDArray:
    """(..., V) a third of the area of the triangles around each vertex, unit squared."""
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
