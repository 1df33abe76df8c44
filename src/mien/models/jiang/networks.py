"""The graph networks of Jiang et al.: two variational branches and a fusion, without pooling."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.nn.chebyshev import ChebyshevConvolution
from mien.nn.spiral import SparseRows

FEATURES = 9


class GraphBranch(nn.Module):
    """A variational autoencoder of features (B, V, 9).

    Args:
        vertices: V.
        code: D, size of its code.
        channels: Of the encoder's convolutions.
        hidden: Width between convolutions and code.
        order: Number of polynomials of a convolution.
    """

    def __init__(self, vertices: int, code: int, channels: Sequence[int], hidden: int, order: int) -> None:
        super().__init__()
        wide = [FEATURES, *channels]
        self.convolutions = nn.ModuleList(
            ChebyshevConvolution(a, b, order) for a, b in zip(wide, wide[1:], strict=False)
        )
        self.narrow = nn.Linear(vertices * channels[-1], hidden)
        self.to_code = nn.Linear(hidden, 2 * code)
        self.from_code = nn.Linear(code, hidden)
        self.wide = nn.Linear(hidden, vertices * FEATURES)

    def posterior(self, features: Tensor, laplacian: SparseRows) -> tuple[Tensor, ...]:
        """Mean (B, D) and log-variance (B, D) of the code of features (B, V, 9)."""
        x = features
        for convolution in self.convolutions:
            x = functional.elu(convolution(x, laplacian))
        return self.to_code(functional.elu(self.narrow(x.flatten(1)))).chunk(2, dim=1)

    def decode(self, code: Tensor) -> Tensor:
        """(B, V, 9) features of codes (B, D)."""
        x = torch.tanh(self.wide(functional.elu(self.from_code(code))))
        return x.unflatten(1, (-1, FEATURES))


class Fusion(nn.Module):
    """What is added to the sum of both branches' features, from both (B, V, 18).

    Args:
        channels: Of the first convolution, of the second and the residual ones, and of the last but one.
        residuals: How many residual convolutions.
        order: Number of polynomials of a convolution.
    """

    def __init__(self, channels: Sequence[int], residuals: int, order: int) -> None:
        super().__init__()
        first, middle, last = channels
        self.enter = nn.ModuleList(
            [ChebyshevConvolution(2 * FEATURES, first, order), ChebyshevConvolution(first, middle, order)]
        )
        self.residuals = nn.ModuleList(ChebyshevConvolution(middle, middle, order) for _ in range(residuals))
        self.leave = ChebyshevConvolution(middle, last, order)
        self.last = ChebyshevConvolution(last, FEATURES, order)

    def forward(self, identity: Tensor, expression: Tensor, laplacian: SparseRows) -> Tensor:
        """Features of faces.

        Args:
            identity: (B, V, 9) float. Those of the person.
            expression: (B, V, 9) float. Those of the expression.
            laplacian: Of (V, V).

        Returns:
            (B, V, 9) float.
        """
        x = torch.cat([identity, expression], dim=2)
        for convolution in self.enter:
            x = functional.elu(convolution(x, laplacian))
        for convolution in self.residuals:
            x = x + functional.elu(convolution(x, laplacian))
        x = self.last(functional.elu(self.leave(x, laplacian)), laplacian)
        return identity + expression + torch.tanh(x)
