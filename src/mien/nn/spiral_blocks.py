"""Blocks of spiral convolutions with sampling and normalization over the vertices of each mesh.

B batch, V vertices, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.nn.spiral import SpiralConvolution, SpiralLevels

EPSILON = 1e-5
#: (B, V, C) features to normalized ones of the same shape.
Norm = Callable[[Tensor], Tensor]


def standardized(x: Tensor) -> Tensor:
    """(B, V, C) features to (B, V, C) of mean 0 and variance 1 over the vertices, for each face and
    channel: instance norm.
    """
    centered = x - x.mean(dim=1, keepdim=True)
    # Two passes of means: var_mean over the middle dimension is several times slower on a processor.
    return centered * torch.rsqrt(centered.square().mean(dim=1, keepdim=True) + EPSILON)


class DownBlock(nn.Module):
    """Spiral convolution, instance norm if asked for, ELU, pooling to the next level.

    Without a norm only the vertices that pooling keeps are computed.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        length: Entries of a spiral.
        norm: Instance norm before the activation.
    """

    def __init__(self, inputs: int, outputs: int, length: int, norm: bool = False) -> None:
        super().__init__()
        self.convolution, self.norm = SpiralConvolution(inputs, outputs, length), norm

    def forward(self, x: Tensor, levels: SpiralLevels, level: int) -> Tensor:
        """(B, V of level, C) to (B, V of level + 1, D)."""
        if not self.norm:
            return functional.elu(self.convolution(x, levels.down[level]))
        x = standardized(self.convolution(x, levels.plain[level]))
        return functional.elu(x[:, levels.kept(level)])


class DownBlocks(nn.ModuleList):
    """The encoder's way from the finest level to the coarsest."""

    def __init__(self, channels: Sequence[int], length: int, norm: bool = False) -> None:
        wide = [3, *channels]
        super().__init__(DownBlock(a, b, length, norm) for a, b in zip(wide, wide[1:], strict=False))

    def forward(self, x: Tensor, levels: SpiralLevels) -> Tensor:
        """(B, V, 3) to (B, V of the coarsest level, C)."""
        for level, block in enumerate(self):
            x = block(x, levels, level)
        return x


class UpBlock(nn.Module):
    """Up-sampling, spiral convolution, a norm if one is given, ELU."""

    def __init__(self, inputs: int, outputs: int, length: int) -> None:
        super().__init__()
        self.convolution = SpiralConvolution(inputs, outputs, length)

    def forward(self, x: Tensor, levels: SpiralLevels, level: int, norm: Norm | None = None) -> Tensor:
        """(B, V of level + 1, C) to (B, V of level, D)."""
        x = self.convolution(x, levels.up[level])
        return functional.elu(x if norm is None else norm(x))


def kaiming(module: nn.Module) -> None:
    """He initialization of linear layers and spiral convolutions, for ``module.apply``."""
    if isinstance(module, (nn.Linear, SpiralConvolution)):
        nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(module.bias)
