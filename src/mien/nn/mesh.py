"""Operators of a mesh as modules."""

from __future__ import annotations

from torch import Tensor, nn

from mien.topology import Topology


class MeshLaplacian(nn.Module):
    """Row-normalized uniform Laplacian: each vertex minus the mean of its neighbors.

    Shapes:
        vertices (B, V, 3) -> (B, V, 3), in the same unit.
    """

    matrix: Tensor

    def __init__(self, topology: Topology) -> None:
        super().__init__()
        from mien.geometry.differential import laplacian, to_torch

        matrix = to_torch(laplacian(topology, "uniform"))
        self.register_buffer("matrix", matrix, persistent=False)

    def forward(self, vertices: Tensor) -> Tensor:
        batch, count, _ = vertices.shape
        columns = vertices.transpose(0, 1).reshape(count, -1)
        return (self.matrix @ columns).view(count, batch, 3).transpose(0, 1)
