"""Blocks of Chebyshev convolutions with sampling between the levels of a mesh (CoMA, Ranjan et al. 2018).

B batch, V vertices, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from mien.nn.chebyshev import ChebyshevConvolution, ChebyshevLevels


class ChebyshevDown(nn.ModuleList):
    """The encoder's way from the finest level to the coarsest: convolution, ReLU, pooling.

    Args:
        channels: Channels of the levels, finest first.
        order: K, number of polynomials.
        inputs: Channels of the mesh.
    """

    def __init__(self, channels: Sequence[int], order: int, inputs: int = 3) -> None:
        wide = [inputs, *channels]
        super().__init__(ChebyshevConvolution(a, b, order) for a, b in zip(wide, wide[1:], strict=False))

    def forward(self, x: Tensor, levels: ChebyshevLevels) -> Tensor:
        """(B, V, C) to (B, V of the coarsest level, D)."""
        for level, convolution in enumerate(self):
            x = functional.relu(convolution(x, levels.laplacians[level]))
            x = levels.down[level](x)
        return x


class ChebyshevUp(nn.ModuleList):
    """The decoder's way from the coarsest level to the finest: up-sampling, convolution, ReLU.

    Args:
        channels: Channels of the levels, finest first, as for the encoder.
        order: K, number of polynomials.
    """

    def __init__(self, channels: Sequence[int], order: int) -> None:
        back = [channels[-1], *reversed(channels)]
        super().__init__(ChebyshevConvolution(a, b, order) for a, b in zip(back, back[1:], strict=False))

    def forward(self, x: Tensor, levels: ChebyshevLevels) -> Tensor:
        """(B, V of the coarsest level, C) to (B, V, D)."""
        for number, convolution in enumerate(self, 1):
            level = len(self) - number
            x = levels.up[level](x)
            x = functional.relu(convolution(x, levels.laplacians[level]))
        return x
