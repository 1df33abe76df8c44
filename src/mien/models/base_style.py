"""Networks that read content and style off a mesh apart, and join them again (FaceTuneGAN, fig. 2)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from mien.nn.spiral import SpiralConvolution, SpiralLevels
from mien.nn.spiral_blocks import DownBlocks, ResidualBlock, Style, UpBlock, perceptron


class ContentEncoder(nn.Module):
    """Ec: who; with instance norm blind to the mean and spread of every channel."""

    def __init__(
        self, coarsest: tuple[int, int], size: int, channels: Sequence[int], length: int, norm: bool = True
    ) -> None:
        super().__init__()
        self.down = DownBlocks(channels, length, norm)
        self.residual = nn.ModuleList(ResidualBlock(channels[-1], length) for _ in range(2))
        self.head = perceptron([coarsest[0] * coarsest[1], 128, size])

    def forward(self, x: Tensor, levels: SpiralLevels) -> Tensor:
        x = self.down(x, levels)
        for block in self.residual:
            x = block(x, levels, len(levels.factors))
        return self.head(x.flatten(1))


class StyleEncoder(nn.Module):
    """Es: the expression, global by its mean over the vertices, or with all of the coarsest vertices."""

    def __init__(
        self, coarsest: tuple[int, int], size: int, channels: Sequence[int], length: int, pooled: bool = True
    ) -> None:
        super().__init__()
        self.pooled = pooled
        self.down = DownBlocks(channels, length)
        self.head = perceptron([channels[-1] * (1 if pooled else coarsest[0]), 64, size])

    def forward(self, x: Tensor, levels: SpiralLevels) -> Tensor:
        features = self.down(x, levels)
        return self.head(features.mean(1) if self.pooled else features.flatten(1))


class Decoder(nn.Module):
    """Dec: content raised to a face, styled by AdaIN in the first five convolutions."""

    def __init__(self, coarsest: tuple[int, int], size: int, channels: Sequence[int], length: int) -> None:
        super().__init__()
        self.coarsest = coarsest
        self.raise_content = nn.Linear(size, coarsest[0] * coarsest[1])
        self.residual = nn.ModuleList(ResidualBlock(channels[-1], length) for _ in range(2))
        wide = [channels[-1], *reversed(channels)]
        self.up = nn.ModuleList(UpBlock(a, b, length) for a, b in zip(wide, wide[1:], strict=False))
        self.last = SpiralConvolution(channels[0], 3, length)
        #: N_A: scale and shift of every channel of five layers.
        self.style_parameters = 2 * 5 * channels[-1]

    def forward(self, content: Tensor, style: Style, levels: SpiralLevels) -> Tensor:
        x = self.raise_content(content).unflatten(1, self.coarsest)
        for block in self.residual:
            x = block(x, levels, len(self.up), style)
        for number, block in enumerate(self.up):
            x = block(x, levels, len(self.up) - 1 - number, style if number == 0 else None)
        return self.last(x, levels.plain[0])
