"""Deformation gradients of triangles, and meshes that have given gradients (Sumner and Popovic 2004)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from mien.errors import BadMesh, WrongTopology
from mien.geometry.differential import face_normals
from mien.geometry.sparse_solver import factored


def triangle_frames(vertices: NDArray, faces: NDArray) -> NDArray[np.float64]:
    """(..., F, 3, 3) matrices W = [v2 - v1, v3 - v1, v4 - v1], columns, with v4 = v1 + n / sqrt|n|.

    Args:
        vertices: (..., V, 3) float, any unit.
        faces: (F, 3) int.
    """
    vertices = np.asarray(vertices, np.float64)
    first = vertices[..., faces[:, 0], :]
    normal = face_normals(vertices, faces)
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    fourth = normal / np.sqrt(np.maximum(length, 1e-300))
    return np.stack(
        [vertices[..., faces[:, 1], :] - first, vertices[..., faces[:, 2], :] - first, fourth], -1
    )


def deformation_gradients(
    source_rest: NDArray, source_deformed: NDArray, faces: NDArray
) -> NDArray[np.float64]:
    """Gradient S = W' W^-1 of each triangle's deformation; the identity where the rest has no area.

    Args:
        source_rest: (V, 3) float, millimeters.
        source_deformed: (..., V, 3) float, millimeters.
        faces: (F, 3) int.

    Returns:
        (..., F, 3, 3).
    """
    rest = triangle_frames(source_rest, faces)
    flat = _is_flat(source_rest, faces)
    rest[flat] = np.eye(3)
    gradients = triangle_frames(source_deformed, faces) @ np.linalg.inv(rest)
    gradients[..., flat, :, :] = np.eye(3)
    return gradients


def _is_flat(vertices: NDArray, faces: NDArray) -> NDArray[np.bool_]:
    """(F,) whether a triangle has no area to speak of, against its longest edge."""
    corners = np.asarray(vertices, np.float64)[faces]
    longest = ((corners - np.roll(corners, 1, axis=1)) ** 2).sum(axis=2).max(axis=1)
    twice_area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    return twice_area <= 1e-9 * longest


class DeformationSolver:
    """Finds the vertices of a target whose triangles have given deformation gradients, factorized once.

    Minimizes sum_t ||S_t - T_t||_F^2 over the target's vertices and one fourth vertex per triangle. The
    fourth vertex appears in one triangle only, and its edge is normal to it; so it takes up the normal part
    of S_t without remainder and drops out. What is left, exactly, is

        min_x sum_t || (S_t - [x2 - x1, x3 - x1] G_t) P_t ||_F^2,   G_t = pinv([v2 - v1, v3 - v1]),

    with P_t the projection onto the rest triangle's plane: V unknowns in place of V + F. Positions follow up
    to one translation per connected component, which is pinned by the mean of the component's anchors.

    Args:
        rest: (V, 3) float, millimeters. The target's neutral.
        faces: (F, 3) int.
        components: (V,) int, number of each vertex's component (``Topology.components``).
        anchors_mask: (V,) bool or None. Vertices that pin; a component without any is pinned by all its own.
    """

    def __init__(
        self, rest: NDArray, faces: NDArray, components: NDArray, anchors_mask: NDArray | None = None
    ) -> None:
        self.rest, self.faces = np.asarray(rest, np.float64), np.asarray(faces)
        if not np.isfinite(self.rest).all():
            raise BadMesh("the target has NaN or infinite vertices", remedy="repair it")
        self._components = np.asarray(components)
        count = len(self.rest)
        coefficients = _plane_coefficients(self.rest, self.faces)
        rows = np.repeat(np.arange(3 * len(self.faces)).reshape(-1, 1, 3), 3, axis=1)
        columns = np.repeat(self.faces[:, :, None], 3, axis=2)
        self._operator = csr_matrix(
            (coefficients.ravel(), (rows.ravel(), columns.ravel())), (3 * len(self.faces), count)
        )
        self._center = _averages(self._components, anchors_mask)
        normal = (self._operator.T @ self._operator).tocsr()
        # One vertex of each component stays where it is while solving: without it the system is singular.
        _, first = np.unique(self._components, return_index=True)
        self._held = np.union1d(first, np.flatnonzero(normal.diagonal() == 0))
        self._free = np.setdiff1d(np.arange(count), self._held)
        self._coupling = normal[self._free][:, self._held]
        self._factor = factored(normal[self._free][:, self._free])

    def solve(self, gradients: NDArray, pin_positions: NDArray | None = None) -> NDArray[np.float64]:
        """Vertices with the given gradients.

        Args:
            gradients: (..., F, 3, 3) float.
            pin_positions: (..., V, 3) float, millimeters, or None for the rest pose. Each component is
                moved so that its anchors have the mean that they have here.

        Returns:
            (..., V, 3) float64, millimeters.
        """
        gradients = np.asarray(gradients, np.float64)
        if gradients.shape[-3:] != (len(self.faces), 3, 3):
            raise WrongTopology(
                f"gradients need shape (..., {len(self.faces)}, 3, 3)", received=gradients.shape
            )
        lead = gradients.shape[:-3]
        # (F, 3 rows k of the gradient's columns, batch and coordinate) -> one right-hand side per coordinate
        stacked = (
            gradients.reshape(-1, len(self.faces), 3, 3)
            .transpose(1, 3, 0, 2)
            .reshape(3 * len(self.faces), -1)
        )
        right = (self._operator.T @ stacked)[self._free]
        held = np.tile(self.rest[self._held], (1, stacked.shape[1] // 3))
        solution = np.empty((len(self.rest), stacked.shape[1]))
        solution[self._held] = held
        solution[self._free] = self._factor.solve(right - self._coupling @ held)
        found = solution.reshape(len(self.rest), -1, 3).transpose(1, 0, 2)
        pins = self.rest if pin_positions is None else np.asarray(pin_positions, np.float64)
        pins = np.broadcast_to(pins, (*lead, *self.rest.shape)).reshape(-1, *self.rest.shape)
        shift = np.stack([self._center @ (pin - item) for pin, item in zip(pins, found, strict=True)])
        return (found + shift[:, self._components]).reshape(*lead, *self.rest.shape)


def _plane_coefficients(rest: NDArray, faces: NDArray) -> NDArray[np.float64]:
    """(F, 3 corners, 3) weights with which corners enter a triangle's gradient; zero without area."""
    frames = triangle_frames(rest, faces)
    flat = _is_flat(rest, faces)
    frames[flat] = np.eye(3)
    inverse = np.linalg.inv(frames)[:, :2]  # rows 1, 2 lie in the plane, because v4 - v1 is normal to it
    inverse[flat] = 0
    return np.concatenate([-inverse.sum(axis=1, keepdims=True), inverse], axis=1)


def _averages(components: NDArray, anchors: NDArray | None) -> csr_matrix:
    """(K, V) sparse matrix of the mean of each component's anchors."""
    count = int(components.max()) + 1
    chosen = np.ones(len(components), bool) if anchors is None else np.asarray(anchors, bool).copy()
    without = np.bincount(components[chosen], minlength=count) == 0
    chosen |= without[components]
    index = np.flatnonzero(chosen)
    matrix = csr_matrix((np.ones(len(index)), (components[index], index)), (count, len(components)))
    return csr_matrix(diags(1 / np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), 1)) @ matrix)
