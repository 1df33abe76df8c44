"""The bridge from meshes to images: each pixel shows a point of the surface, and gradients go back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from torch import Tensor, nn

from mien.geometry.parameterize import SquareMap, geometry_image, parameterize
from mien.topology import Topology


class GeometryMapping(nn.Module):
    """Vertices to a geometry image (Abrevaya et al., ICCV 2019, eq. 5).

    With the triangle (v1, v2, v3) under a pixel's center and barycentric weights (a, b) there, the pixel is
    a v1 + b v2 + (1 - a - b) v3. The pixels of holes, and other components than the face, are zero.

    A pixel's center depends on three vertices, so where triangles are smaller than pixels most vertices are
    seen by none and get no gradient. Two options mend that: ``samples`` averages several points of each
    pixel, and ``cover`` also averages in the vertices of a pixel that would otherwise be unseen.

    Args:
        topology: Its template is laid on the unit square, see :mod:`mien.geometry.parameterize`.
        size: n, pixels along each side.
        samples: Points along each side of a pixel whose mean it shows; 1 is the center alone.
        cover: Let every vertex of the face be seen.

    Shapes:
        vertices (B, V, C) -> image (B, C, n, n); its first row is the forehead, its first column the right
        side of the face.
    """

    pixels: Tensor
    vertices: Tensor
    weights: Tensor

    def __init__(self, topology: Topology, size: int = 64, *, samples: int = 1, cover: bool = False) -> None:
        super().__init__()
        self.size, self.count = size, topology.vertex_count
        self.square = square = parameterize(topology)
        matrix = _matrix(topology, square, size, samples, cover)
        self.inside = square.inside
        self.seen: NDArray[np.bool_] = np.asarray(abs(matrix).sum(axis=0)).ravel() > 0
        entries = matrix.tocoo()
        # In the checkpoint of whatever contains it: loading never depends on a map that is solved again.
        self.register_buffer("pixels", torch.from_numpy(entries.row.astype(np.int32)))
        self.register_buffer("vertices", torch.from_numpy(entries.col.astype(np.int32)))
        self.register_buffer("weights", torch.from_numpy(entries.data.astype(np.float32)))

    @property
    def unseen(self) -> int:
        """How many vertices of the face no pixel depends on."""
        return int((self.inside & ~self.seen).sum())

    @property
    def sentence(self) -> str:
        """What the image misses, in words."""
        outside = int((~self.inside).sum())
        return (
            f"{self.unseen} of {self.inside.sum()} vertices of the face are seen by no pixel of the "
            f"{self.size} x {self.size} image; {outside} vertices of other parts are left out of it."
        )

    def forward(self, vertices: Tensor) -> Tensor:
        columns = vertices.float() if vertices.dtype in (torch.float16, torch.bfloat16) else vertices
        columns = columns.transpose(0, 1).reshape(self.count, -1)
        image = _Product.apply(columns, self.pixels, self.vertices, self.weights, self.size**2)
        return image.view(self.size, self.size, len(vertices), -1).permute(2, 3, 0, 1)


class _Product(torch.autograd.Function):
    """A sparse matrix times (V, n) columns; the gradient is the product with its transpose.

    Both are sums of scaled rows, so neither builds an array of all entries and columns as a gather would.
    """

    @staticmethod
    def forward(
        context: Any, columns: Tensor, rows: Tensor, sources: Tensor, values: Tensor, size: int
    ) -> Tensor:
        context.save_for_backward(rows, sources, values)
        context.shape = columns.shape[0]
        return _multiply(rows, sources, values, columns, size)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, sources, values = context.saved_tensors
        return _multiply(sources, rows, values, gradients[0].contiguous(), context.shape), *[None] * 4


def _multiply(rows: Tensor, sources: Tensor, values: Tensor, columns: Tensor, size: int) -> Tensor:
    matrix = torch.sparse_coo_tensor(
        torch.stack([rows, sources]).long(), values.to(columns), (size, len(columns)), check_invariants=False
    )
    return torch.sparse.mm(matrix, columns)


def _matrix(topology: Topology, square: SquareMap, size: int, samples: int, cover: bool) -> csr_matrix:
    """(n n, V) weights of the vertices in every pixel; rows sum to one, or to zero in holes."""
    patch = topology.faces[square.inside[topology.faces].all(axis=1)]
    fine = geometry_image(square.uv, patch, size * samples).matrix()
    place = np.arange(size * samples) // samples
    pixel = (place[:, None] * size + place).ravel()
    ones = np.ones(len(pixel))
    total = csr_matrix((ones, (pixel, np.arange(len(pixel)))), (size * size, len(pixel))) @ fine
    if cover:
        total = total + _unseen_vertices(square, total, size)
    mass = np.asarray(total.sum(axis=1)).ravel()
    return (diags(1 / np.where(mass > 0, mass, 1)) @ total).tocsr()


def _unseen_vertices(square: SquareMap, total: csr_matrix, size: int) -> csr_matrix:
    """One more sample at each vertex of the face that no pixel depends on, in the pixel where it lies."""
    unseen = np.flatnonzero(square.inside & (np.asarray(total.sum(axis=0)).ravel() == 0))
    column, row = np.clip((square.uv[unseen] * size).astype(int), 0, size - 1).T
    pixel = (size - 1 - row) * size + column
    return csr_matrix((np.ones(len(unseen)), (pixel, unseen)), total.shape)
