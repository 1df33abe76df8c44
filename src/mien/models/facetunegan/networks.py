"""Networks that read content and style off a mesh apart, and join them again (FaceTuneGAN, fig. 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from mien.nn.spiral import SpiralConvolution, SpiralLevels
from mien.nn.spiral_blocks import DownBlocks, ResidualBlock, Style, UpBlock, kaiming, perceptron


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


class Discriminator(nn.Module):
    """D: for each style class, whether a face is real and of this class."""

    def __init__(self, model: Any, feature_of: str = "mean") -> None:
        super().__init__()
        channels, length = model.config["channels"], model.config["length"]
        self.feature_of = feature_of
        self.levels = [model.levels]  # in a list: the model's own, not a part of the discriminator
        self.down = DownBlocks(channels, length)
        self.head = nn.Linear(model.config["coarsest"] * channels[-1], len(model.expressions) + 1)
        self.apply(kaiming)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, V, 3) to logits (B, E + 1) and D_f, (B, C) or (B, V of the coarsest level, C)."""
        features = self.down(x, self.levels[0])
        return self.head(features.flatten(1)), features.mean(1) if self.feature_of == "mean" else features

    def score(self, x: Tensor, classes: Tensor) -> Tensor:
        """D_s(x), (B,)."""
        return self(x)[0].gather(1, classes[:, None]).squeeze(1)
