"""Meshes as rotations and stretches of a reference mesh around every vertex, and back (Gao et al. 2019).

    T_i = argmin sum_j c_ij |(p'_i - p'_j) - T (p_i - p_j)|^2,   T_i = R_i S_i   (polar),   (log R_i, S_i - I)

A ring of neighbors is nearly flat, so the normal takes part with the mean weight of the edges: T sends the
reference's normal to the mesh's. Where a vertex has no neighbors, T is the identity.

B meshes, V vertices, M edges, K connected components.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional

from mien.geometry.differential import adjacency, cotangent_laplacian, vertex_normals
from mien.geometry.sparse_solver import factored
from mien.nn.spiral import SparseRows
from mien.topology import Topology

LEAST_WEIGHT = 0.05  # of an edge: cotangents of obtuse corners are negative
STILL = 1e-4  # share of a ring's extent that pulls T to the identity
TURNS = 8  # of the iteration to the nearest rotation (N. Higham, 1986)
SYMMETRIC = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))


class Deformation(nn.Module):
    """The reference mesh, and meshes to and from (B, V, 9) numbers; empty until :meth:`build`."""

    edges: Tensor
    weights: Tensor
    rest: Tensor
    normal: Tensor
    still: Tensor
    faces: Tensor
    components: Tensor
    anchors: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.rings = SparseRows()
        for name, shape in (
            ("weights", (0,)), ("rest", (0, 3)), ("normal", (0, 3)), ("still", (0, 3, 3)),
            ("anchors", (0, 0)),
        ):  # fmt: skip
            self.register_buffer(name, torch.zeros(shape))
        for name, shape in (("edges", (0, 2)), ("faces", (0, 3)), ("components", (0,))):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.int64))

    def build(self, topology: Topology, reference: NDArray) -> None:
        """Takes a reference mesh (V, 3), millimeters, of a topology."""
        rest, count = np.asarray(reference, np.float64), topology.vertex_count
        near = adjacency(topology.faces, count).tocoo()
        first, second = near.row, near.col
        cotangents = -cotangent_laplacian(rest, topology.faces).tocsr()
        weight = np.maximum(np.asarray(cotangents[first, second]).ravel(), LEAST_WEIGHT)
        apart = rest[first] - rest[second]
        normals = vertex_normals(rest, topology.faces)
        degree = np.maximum(np.bincount(first, minlength=count), 1)
        share = np.bincount(first, weight, count) / degree
        length = np.bincount(first, (apart**2).sum(axis=1), count) / degree
        system = np.zeros((count, 3, 3))
        np.add.at(system, first, weight[:, None, None] * apart[:, :, None] * apart[:, None])
        system += (share * length)[:, None, None] * normals[:, :, None] * normals[:, None]
        pull = STILL * np.maximum(np.trace(system, axis1=1, axis2=2), 1e-6)
        inverse = np.linalg.inv(system + pull[:, None, None] * np.eye(3))
        along = np.einsum("mij,mj->mi", inverse[first], apart) * weight[:, None]
        self.rings.set(_difference(first, second, along, count))
        once = first < second
        self._keep("edges", np.stack([first[once], second[once]], axis=1))
        self._keep("weights", weight[once])
        self._keep("rest", rest)
        self._keep("normal", np.einsum("vij,vj->vi", inverse, normals) * (share * length)[:, None])
        self._keep("still", pull[:, None, None] * inverse)
        self._keep("faces", topology.faces)
        self._keep("components", topology.components)
        self._keep("anchors", _anchors(topology))

    def _keep(self, name: str, value: NDArray) -> None:
        kind = torch.int64 if value.dtype.kind in "iu" else torch.float32
        setattr(self, name, torch.from_numpy(np.ascontiguousarray(value)).to(self.weights.device, kind))

    # ---- to features

    def of(self, vertices: Tensor) -> Tensor:
        """(B, V, 9): log R, then the upper half of S - I, of meshes (B, V, 3), millimeters."""
        gradients = self.rings(vertices).unflatten(1, (-1, 3)).mT
        gradients = gradients + self._normals(vertices)[..., None] * self.normal[:, None] + self.still
        turn = nearest_rotation(gradients)
        stretch = turn.mT @ gradients
        stretch = (stretch + stretch.mT) / 2 - torch.eye(3).to(stretch)
        upper = torch.stack([stretch[..., row, column] for row, column in SYMMETRIC], dim=-1)
        return torch.cat([rotation_vector(turn), upper], dim=-1)

    def _normals(self, vertices: Tensor) -> Tensor:
        corners = vertices[:, self.faces]
        across = torch.linalg.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
        summed = torch.zeros_like(vertices)
        for corner in range(3):
            summed = summed.index_add(1, self.faces[:, corner], across)
        return functional.normalize(summed, dim=2)

    # ---- and back

    def mesh(self, features: Tensor, places: Tensor) -> Tensor:
        """(B, V, 3) float, millimeters: least squares of the edges' lengths and ways.

        Args:
            features: (B, V, 9) float.
            places: (B, K, 3) float, millimeters. Where the mean of each component's anchors is to be.
        """
        upper, size = features[..., 3:], features.shape[:2]
        stretch = torch.zeros(*size, 3, 3).to(features)
        rows, columns = (torch.tensor(index) for index in zip(*SYMMETRIC, strict=True))
        stretch[..., rows, columns] = upper
        stretch[..., columns, rows] = upper
        gradients = rotation_of(features[..., :3]) @ (stretch + torch.eye(3).to(features))
        first, second = self.edges.T
        apart = self.rest[first] - self.rest[second]
        half = (gradients[:, first] + gradients[:, second]) / 2
        pull = self.weights[:, None] * (half @ apart[:, :, None]).squeeze(3)
        right = torch.zeros(*size, 3).to(features).index_add(1, first, pull).index_add(1, second, -pull)
        found = _Solve.apply(right, self)
        shift = places - torch.einsum("kv,bvc->bkc", self.anchors, found)
        return found + shift[:, self.components]

    def places(self, vertices: Tensor) -> Tensor:
        """(B, K, 3) float, millimeters: the mean of each component's anchors in meshes (B, V, 3)."""
        return torch.einsum("kv,bvc->bkc", self.anchors, vertices)

    def solve(self, right: NDArray) -> NDArray[np.float64]:
        """Solves the edges' normal equations; the first vertex of each component is zero.

        Args:
            right: (V, n) float. Right-hand sides.

        Returns:
            (V, n) float64, millimeters.
        """
        edges, weights = self.edges.cpu().numpy(), self.weights.cpu().double().numpy()
        components = self.components.cpu().numpy()
        factor, free = _factor(edges.tobytes(), weights.tobytes(), components.tobytes())
        result = np.zeros(right.shape)
        result[free] = factor.solve(right[free])
        return result


class _Solve(torch.autograd.Function):
    """right (B, V, 3) to vertices; the matrix is symmetric, so the way back is the same."""

    @staticmethod
    def forward(ctx: Any, right: Tensor, deformation: Deformation) -> Tensor:
        ctx.deformation = deformation
        stacked = right.detach().cpu().double().movedim(0, 1).flatten(1).numpy()
        found = torch.from_numpy(deformation.solve(stacked)).to(right)
        return found.unflatten(1, (len(right), 3)).movedim(1, 0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Solve.apply(gradients[0], ctx.deformation), None


@lru_cache(maxsize=4)
def _factor(edges: bytes, weights: bytes, components: bytes) -> tuple[Any, NDArray[np.int64]]:
    """The factorized system of edges, and the vertices that are free."""
    ends = np.frombuffer(edges, np.int64).reshape(-1, 2)
    values, piece = np.frombuffer(weights), np.frombuffer(components, np.int64)
    ones = np.ones(len(ends))
    places = (np.tile(np.arange(len(ends)), 2), ends.T.ravel())
    difference = csr_matrix((np.concatenate([ones, -ones]), places), (len(ends), len(piece)))
    normal = (difference.T @ difference.multiply(values[:, None])).tocsr()
    held = np.unique(piece, return_index=True)[1]
    free = np.setdiff1d(np.arange(len(piece)), held)
    return factored(normal[free][:, free]), free


def _difference(first: NDArray, second: NDArray, along: NDArray, count: int) -> csr_matrix:
    """(3 V, V): row 3 i + k sums (p'_i - p'_j) along_ij,k over the neighbors j of i."""
    rows = (3 * first[:, None] + np.arange(3)).ravel()
    columns = (np.repeat(first, 3), np.repeat(second, 3))
    values = along.ravel()
    shape = (3 * count, count)
    return csr_matrix((values, (rows, columns[0])), shape) - csr_matrix((values, (rows, columns[1])), shape)


def _anchors(topology: Topology) -> NDArray[np.float64]:
    """(K, V) weights of the mean of each component's rigid vertices, of all where it has none."""
    rigid = topology.region("rigid" if "rigid" in topology.regions else "all")
    piece = topology.components == np.arange(int(topology.components.max()) + 1)[:, None]
    chosen = np.where((piece & rigid).any(axis=1, keepdims=True), piece & rigid, piece).astype(np.float64)
    return chosen / chosen.sum(axis=1, keepdims=True)


def nearest_rotation(matrices: Tensor) -> Tensor:
    """(..., 3, 3) polar rotations of matrices (..., 3, 3) with positive determinant."""
    turn = matrices
    for _ in range(TURNS):
        rows = turn.unbind(-2)
        cofactors = torch.stack(
            [torch.linalg.cross(rows[(k + 1) % 3], rows[(k + 2) % 3]) for k in range(3)], dim=-2
        )
        determinant = (rows[0] * cofactors[..., 0, :]).sum(-1).clamp_min(1e-6)
        turn = (turn + cofactors / determinant[..., None, None]) / 2
    return turn


def rotation_vector(turn: Tensor) -> Tensor:
    """(..., 3) axis times angle, radians, of rotations (..., 3, 3)."""
    odd = (turn - turn.mT) / 2
    sine_axis = torch.stack([odd[..., 2, 1], odd[..., 0, 2], odd[..., 1, 0]], dim=-1)
    sine = sine_axis.square().sum(-1).clamp_min(1e-14).sqrt()
    cosine = (turn.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    return sine_axis * (torch.atan2(sine, cosine) / sine)[..., None]


def rotation_of(vector: Tensor) -> Tensor:
    """(..., 3, 3) rotations of axes times angles (..., 3), radians (Rodrigues)."""
    angle = vector.square().sum(-1).clamp_min(1e-14).sqrt()[..., None, None]
    axes = torch.eye(3).to(vector).expand(*vector.shape[:-1], 3, 3)
    odd = torch.linalg.cross(vector[..., None, :].expand_as(axes), axes).mT  # odd @ p = vector x p
    turned = torch.sin(angle) / angle * odd + 2 * (torch.sin(angle / 2) / angle).square() * (odd @ odd)
    return axes + turned
