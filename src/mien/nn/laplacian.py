"""Operators of a mesh as modules."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import diags
from torch import Tensor, nn

from mien.topology import Topology


class MeshLaplacian(nn.Module):
    """A Laplacian of the mesh as a layer.

    Args:
        topology: Gives the triangles.
        cotangent_of: (V, 3) float, any unit. Take the cotangent weights of this shape (stiffness form, not
            divided by areas; negative ones count as zero, so that the energy stays a sum of squares). None:
            row-normalized uniform weights, each vertex minus the mean of its neighbors.

    Shapes:
        vertices (B, V, 3) -> (B, V, 3), in the same unit.
    """

    matrix: Tensor

    def __init__(self, topology: Topology, *, cotangent_of: NDArray | None = None) -> None:
        super().__init__()
        from mien.geometry.differential import cotangent_laplacian, laplacian, to_torch

        if cotangent_of is None:
            matrix = laplacian(topology, "uniform")
        else:
            off = cotangent_laplacian(cotangent_of, topology.faces)
            off.setdiag(0)
            off = off.minimum(0)
            matrix = (off - diags(np.asarray(off.sum(axis=1)).ravel())).tocsr()
        self.register_buffer("matrix", to_torch(matrix), persistent=False)

    def forward(self, vertices: Tensor) -> Tensor:
        batch, count, _ = vertices.shape
        columns = vertices.transpose(0, 1).reshape(count, -1)
        return (self.matrix @ columns).view(count, batch, 3).transpose(0, 1)
