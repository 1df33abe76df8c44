"""Carries template displacements to a particular face: local Jacobians, and a jaw that turns on its hinge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from mien.geometry.differential import vertex_areas

Array = NDArray[np.float64]

JAW_AXES = {"jawOpen": (1.0, 0.0, 0.0), "mouthClose": (1.0, 0.0, 0.0), "jawLeft": (0.0, 1.0, 0.0),
            "jawRight": (0.0, 1.0, 0.0)}  # fmt: skip
"""Shapes that turn the jaw, and the axis in the frame of the hinge (its own axis, up)."""

JAW_SLIDES = ("jawForward",)


class JacobianField:
    """Local Jacobians of the map from a template to any face in correspondence with it.

    The Jacobian at a vertex is the weighted least-squares affine map of its neighborhood,

        J_v = I + (sum_u w_uv (delta_u) (p_u - p_v*)^T) (sum_u w_uv (p_u - p_v*)(p_u - p_v*)^T + eps I)^-1

    with delta = face - template and p_v* the weighted center. Neighborhoods are balls in space, not rings in
    the mesh: upper and lower lid share one map although the slit cuts them apart, so lids that meet on the
    template meet on the face. J is linear in the face, so it is one sparse product.

    Args:
        template: (V, 3) float, millimeters.
        areas: (V,) float. Surface around each vertex; keeps dense patches (lips) from dominating.
        radius: Standard deviation of the neighborhood, millimeters.
        stiffness: Share of the neighborhood's extent that is added as eps: directions in which a
            neighborhood has no extent keep their length.
    """

    def __init__(
        self, template: NDArray, areas: NDArray, *, radius: float = 8.0, stiffness: float = 0.02
    ) -> None:
        self.template = np.asarray(template, np.float64)
        count = len(self.template)
        pairs = cKDTree(self.template).query_pairs(2.2 * radius, output_type="ndarray")
        rows = np.concatenate([pairs[:, 0], pairs[:, 1], np.arange(count)])
        columns = np.concatenate([pairs[:, 1], pairs[:, 0], np.arange(count)])
        distance = np.linalg.norm(self.template[rows] - self.template[columns], axis=1)
        weight = np.exp(-((distance / radius) ** 2) / 2) * areas[columns]
        weight /= np.bincount(rows, weight, count)[rows]
        center = np.stack([np.bincount(rows, weight * self.template[columns, k], count) for k in range(3)], 1)
        offset = self.template[columns] - center[rows]
        outer = offset[:, :, None] * offset[:, None, :] * weight[:, None, None]
        covariance = np.stack(
            [np.bincount(rows, outer[:, i, j], count) for i in range(3) for j in range(3)], 1
        )
        covariance = covariance.reshape(count, 3, 3)
        extent = np.trace(covariance, axis1=1, axis2=2)
        # A vertex without neighbors in reach keeps J = I.
        ridge = np.where(extent > 0, stiffness * extent, 1.0)
        inverse = np.linalg.inv(covariance + ridge[:, None, None] * np.eye(3))
        gradient = np.einsum("n,nc,ncd->nd", weight, offset, inverse[rows])
        self._gradient = [csr_matrix((gradient[:, d], (rows, columns)), (count, count)) for d in range(3)]

    def of(self, face: NDArray) -> Array:
        """(V, 3, 3) Jacobians of the map from the template to a face (V, 3), millimeters."""
        delta = np.asarray(face, np.float64) - self.template
        gradient = np.stack([operator @ delta for operator in self._gradient], axis=2)
        return gradient + np.eye(3)


@dataclass(frozen=True, eq=False)
class Hinge:
    """The axis on which a jaw turns.

    Args:
        center: (3,) float, millimeters. Midpoint between the joints.
        axes: (3, 3) float. Rows: joint axis towards the person's left, up, forward.
        length: Distance from the joints to the chin, millimeters.
    """

    center: Array
    axes: Array
    length: float

    @staticmethod
    def of(landmarks: Mapping[str, NDArray]) -> Hinge:
        """Finds the hinge of a face from its iBUG landmarks.

        The joint lies a few millimeters in front of and below the ear's tragus: at the height of the first
        two contour points, and behind them by a twelfth of the face's width.

        Args:
            landmarks: Name (``ibug_0``) -> (3,) float, millimeters.
        """
        right = (landmarks["ibug_0"] + landmarks["ibug_1"]) / 2
        left = (landmarks["ibug_16"] + landmarks["ibug_15"]) / 2
        side = (left - right) / np.linalg.norm(left - right)
        center = (left + right) / 2 - np.array([0, 0, np.linalg.norm(left - right) / 12])
        forward = np.cross(side, [0.0, 1.0, 0.0])
        forward /= np.linalg.norm(forward)
        axes = np.stack([side, np.cross(forward, side), forward])
        return Hinge(center, axes, float(np.linalg.norm(landmarks["ibug_8"] - center)))


def rotate(vectors: NDArray, rotation: NDArray) -> Array:
    """Turns vectors about axes of their own (Rodrigues).

    Args:
        vectors: (V, 3) float.
        rotation: (V, 3) float. Axis times angle in radians.

    Returns:
        (V, 3) float64.
    """
    angle = np.linalg.norm(rotation, axis=1, keepdims=True)
    axis = rotation / np.maximum(angle, 1e-12)
    along = (axis * vectors).sum(axis=1, keepdims=True)
    return (
        vectors * np.cos(angle) + np.cross(axis, vectors) * np.sin(angle) + axis * along * (1 - np.cos(angle))
    )


def turning_angles(vertices: NDArray, displacement: NDArray, hinge: Hinge, axis: NDArray) -> Array:
    """The angle by which a displacement turns each vertex about an axis through the hinge.

    Args:
        vertices: (V, 3) float, millimeters.
        displacement: (V, 3) float, millimeters.
        hinge: Of this face.
        axis: (3,) float, of unit length.

    Returns:
        (V,) float64, radians.
    """
    start = vertices - hinge.center
    end = start + displacement
    start = start - (start @ axis)[:, None] * axis
    end = end - (end @ axis)[:, None] * axis
    return np.arctan2(np.cross(start, end) @ axis, (start * end).sum(axis=1))


class Performer:
    """A template's shapes, ready to be acted by any face in correspondence.

    Args:
        template: (V, 3) float, millimeters.
        faces: (F, 3) int.
        shapes: (A, V, 3) float, millimeters. Displacement of each shape on the template.
        names: A shape names; those in ``JAW_AXES`` turn, those in ``JAW_SLIDES`` slide.
        landmarks: Name -> vertex index; needs the iBUG contour points 0, 1, 8, 15, 16.
        radius: Of the neighborhoods of :class:`JacobianField`, millimeters.
    """

    def __init__(
        self,
        template: NDArray,
        faces: NDArray,
        shapes: NDArray,
        names: Sequence[str],
        landmarks: Mapping[str, int],
        *,
        radius: float = 8.0,
    ) -> None:
        self.template, self.names = np.asarray(template, np.float64), tuple(names)
        self.landmarks = dict(landmarks)
        areas = vertex_areas(np.asarray(template, np.float64), faces) + 1e-9  # a vertex of no triangle counts
        self.jacobians = JacobianField(template, areas, radius=radius)
        self.hinge = self._hinge(self.template)
        self.shapes = np.asarray(shapes, np.float64).copy()
        if {"jawOpen", "mouthClose"} <= set(names):
            # From here on "mouthClose" is the whole pose of a dropped jaw with closed lips: it turns as one.
            self.shapes[self.names.index("mouthClose")] += self.shapes[self.names.index("jawOpen")]
        self.turns = np.zeros((len(names), len(template)))
        self.turn_axes = np.zeros((len(names), 3))
        for index, name in enumerate(names):
            if name in JAW_AXES:
                self._take_out_rotation(index, np.array(JAW_AXES[name]))

    def _hinge(self, vertices: NDArray) -> Hinge:
        return Hinge.of({name: vertices[index] for name, index in self.landmarks.items()})

    def _take_out_rotation(self, index: int, axis_in_hinge: Array) -> None:
        """Splits a displacement into a rotation and what is left in the rotated frame."""
        axis = axis_in_hinge @ self.hinge.axes
        angle = turning_angles(self.template, self.shapes[index], self.hinge, axis)
        moved = self.template - self.hinge.center + self.shapes[index]
        back = rotate(moved, -angle[:, None] * axis)
        self.shapes[index] = back - (self.template - self.hinge.center)
        self.turns[index], self.turn_axes[index] = angle, axis_in_hinge

    def on(
        self, face: NDArray, shapes: NDArray | None = None, rows: NDArray | None = None
    ) -> FaceActor:  # fmt: skip
        """Prepares a face to act.

        Args:
            face: (V, 3) float, millimeters.
            shapes: (A, n, 3) float, millimeters. This person's variant of ``self.shapes``, at the rows.
            rows: (n,) int. The vertices that are to act; None for all.
        """
        part = slice(None) if rows is None else rows
        shapes = self.shapes[:, part] if shapes is None else shapes
        jacobian = self.jacobians.of(face)[part]
        hinge = self._hinge(np.asarray(face, np.float64))
        pushed = np.einsum("vij,avj->avi", jacobian, shapes)
        for index, name in enumerate(self.names):
            if name in JAW_SLIDES:
                pushed[index] = self.shapes[index, part] * hinge.length / self.hinge.length
        axes = self.turn_axes @ hinge.axes
        mixing = np.eye(len(self.names))
        if {"jawOpen", "mouthClose"} <= set(self.names):
            mixing[self.names.index("jawOpen"), self.names.index("mouthClose")] = -1.0
        turns = np.ascontiguousarray(self.turns[:, part])
        return FaceActor(np.asarray(face, np.float64)[part], pushed, turns, axes, hinge.center, mixing)


@dataclass(frozen=True, eq=False)
class FaceActor:
    """One face and what each shape does to it.

    Args:
        face: (V, 3) float, millimeters. The neutral.
        shapes: (A, V, 3) float, millimeters. Displacements in the frame of the turning jaw.
        turns: (A, V) float, radians. How far each shape turns each vertex.
        axes: (A, 3) float. About which axis.
        center: (3,) float, millimeters. Through which point.
        mixing: (A, A) float. Activations to amounts of ``shapes``.
    """

    face: Array
    shapes: Array
    turns: Array
    axes: Array
    center: Array
    mixing: Array

    def perform(self, activations: NDArray) -> Array:
        """(V, 3) the face under (A,) activations: soft tissue first, then the jaw carries it."""
        amounts = self.mixing @ activations
        moved = self.face - self.center + np.tensordot(amounts, self.shapes, 1)
        rotation = (amounts[:, None] * self.turns).T @ self.axes
        return rotate(moved, rotation) + self.center

    def perform_frames(self, activations: NDArray) -> Array:
        """(T, V, 3) the face under each of (T, A) activations."""
        amounts = activations @ self.mixing.T
        soft = (amounts @ self.shapes.reshape(len(self.shapes), -1)).reshape(len(amounts), -1, 3)
        moved = self.face - self.center + soft
        turned = np.einsum("ta,ac,av->tvc", amounts, self.axes, self.turns, optimize=True)
        return rotate(moved.reshape(-1, 3), turned.reshape(-1, 3)).reshape(moved.shape) + self.center
