"""Chebyshev convolution on meshes (Defferrard et al. 2016) and the levels of a mesh hierarchy around it.

    y = b + sum_k T_k(L) x W_k,    T_0 = I, T_1 = L, T_k = 2 L T_{k-1} - T_{k-2}                k = 0..K-1

with L = -A_n, A_n = D^-1/2 A D^-1/2 of the mesh graph: the normalized Laplacian I - A_n, whose eigenvalues
lie between 0 and 2, shifted to -1..1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from torch import Tensor, nn

from mien.geometry.differential import adjacency
from mien.geometry.hierarchy import hierarchy
from mien.nn.spiral import SparseRows
from mien.topology import Topology


class ChebyshevConvolution(nn.Module):
    """The layer's weights; the mesh's L comes with each call.

    Args:
        inputs: C.
        outputs: D.
        order: K, number of polynomials.

    Shapes:
        x (B, V, C), laplacian of (V, V) -> (B, V, D).
    """

    def __init__(self, inputs: int, outputs: int, order: int) -> None:
        super().__init__()
        self.order = order
        self.weight = nn.Parameter(torch.empty(order * inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor, laplacian: SparseRows) -> Tensor:
        terms = [x]
        if self.order > 1:
            terms.append(laplacian(x))
        for _ in range(2, self.order):
            terms.append(2 * laplacian(terms[-1]) - terms[-2])
        return torch.cat(terms, dim=2) @ self.weight + self.bias


class ChebyshevLevels(nn.Module):
    """L of every level 0..m and the sampling between them, as buffers; empty until :meth:`build`.

    Args:
        factors: How much smaller each of the levels 1..m is than the one before.
    """

    def __init__(self, factors: Sequence[int]) -> None:
        super().__init__()
        self.factors = tuple(factors)
        self.laplacians = nn.ModuleList(SparseRows() for _ in range(len(factors) + 1))
        self.down = nn.ModuleList(SparseRows() for _ in factors)
        self.up = nn.ModuleList(SparseRows() for _ in factors)

    def build(self, topology: Topology) -> ChebyshevLevels:
        """Computes the levels of a topology (the hierarchy is cached there)."""
        levels = hierarchy(topology, self.factors)
        faces: list[NDArray] = [topology.faces, *(level.faces for level in levels)]
        counts = [topology.vertex_count, *(len(level.kept) for level in levels)]
        laplacians, down, up = (
            cast(list[SparseRows], list(kind)) for kind in (self.laplacians, self.down, self.up)
        )
        for operator, triangles, count in zip(laplacians, faces, counts, strict=True):
            operator.set(shifted_laplacian(triangles, count))
        for number, level in enumerate(levels):
            down[number].set(level.down)
            up[number].set(level.up)
        return self


def shifted_laplacian(faces: NDArray, count: int) -> csr_matrix:
    """(V, V) normalized graph Laplacian minus the identity; a vertex without neighbors gets zero."""
    graph = adjacency(faces, count).astype(np.float64)
    degree = np.asarray(graph.sum(axis=1)).ravel()
    scale = diags(np.where(degree > 0, 1 / np.sqrt(np.maximum(degree, 1)), 0.0))
    return csr_matrix(-(scale @ graph @ scale))
