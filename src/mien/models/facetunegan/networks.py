"""Networks that read content and style off a mesh apart, and join them again (FaceTuneGAN, fig. 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from mien.nn.spiral import SpiralConvolution, SpiralLevels
from mien.nn.spiral_blocks import DownBlocks, UpBlock, kaiming, standardized


class StyleParameters:
    """AdaIN parameters (B, N_A), handed out in the order in which the layers ask for them."""

    def __init__(self, parameters: Tensor) -> None:
        self.parameters, self.used = parameters, 0

    def apply(self, x: Tensor) -> Tensor:
        """AdaIN(x, y) = scale(y) (x - mean) / std + shift(y); the scale is learned as 1 + a number near 0.

        Args:
            x: (B, V, C) float.

        Returns:
            (B, V, C) float.
        """
        channels = x.shape[2]
        taken = self.parameters[:, self.used : self.used + 2 * channels].unsqueeze(1)
        self.used += 2 * channels
        return standardized(x) * (1 + taken[..., :channels]) + taken[..., channels:]


class SpiralResidualBlock(nn.Module):
    """x + two spiral convolutions, each with a norm: instance norm, or AdaIN where a style is given."""

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        self.first = SpiralConvolution(channels, channels, length)
        self.second = SpiralConvolution(channels, channels, length)

    def forward(
        self, x: Tensor, levels: SpiralLevels, level: int, style: StyleParameters | None = None
    ) -> Tensor:
        """(B, V of level, C) to (B, V of level, C)."""
        norm = standardized if style is None else style.apply
        y = functional.elu(norm(self.first(x, levels.plain[level])))
        return x + norm(self.second(y, levels.plain[level]))


def perceptron(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers with ReLU in between, none after the last."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes, sizes[1:], strict=False):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class ContentEncoder(nn.Module):
    """Ec: who; with instance norm blind to the mean and deviation of every channel."""

    def __init__(
        self, coarsest: tuple[int, int], size: int, channels: Sequence[int], length: int, norm: bool = True
    ) -> None:
        super().__init__()
        self.down = DownBlocks(channels, length, norm)
        self.residual = nn.ModuleList(SpiralResidualBlock(channels[-1], length) for _ in range(2))
        self.head = perceptron([coarsest[0] * coarsest[1], 128, size])

    def forward(self, x: Tensor, levels: SpiralLevels) -> Tensor:
        """(B, V, 3) to (B, D) codes."""
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
        """(B, V, 3) to (B, D) codes."""
        features = self.down(x, levels)
        return self.head(features.mean(1) if self.pooled else features.flatten(1))


class StyledDecoder(nn.Module):
    """Dec: content raised to a face, styled by AdaIN in the first five convolutions."""

    def __init__(self, coarsest: tuple[int, int], size: int, channels: Sequence[int], length: int) -> None:
        super().__init__()
        self.coarsest = coarsest
        self.raise_content = nn.Linear(size, coarsest[0] * coarsest[1])
        self.residual = nn.ModuleList(SpiralResidualBlock(channels[-1], length) for _ in range(2))
        wide = [channels[-1], *reversed(channels)]
        self.up = nn.ModuleList(UpBlock(a, b, length) for a, b in zip(wide, wide[1:], strict=False))
        self.last = SpiralConvolution(channels[0], 3, length)
        #: N_A: scale and shift of every channel of five layers.
        self.style_parameters = 2 * 5 * channels[-1]

    def forward(self, content: Tensor, style: StyleParameters, levels: SpiralLevels) -> Tensor:
        """(B, D) content codes, with a style, to (B, V, 3)."""
        x = self.raise_content(content).unflatten(1, self.coarsest)
        for block in self.residual:
            x = block(x, levels, len(self.up), style)
        for number, block in enumerate(self.up):
            x = block(x, levels, len(self.up) - 1 - number, style.apply if number == 0 else None)
        return self.last(x, levels.plain[0])


class StyleDiscriminator(nn.Module):
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
        """(B,) D_s(x): the logits of faces (B, V, 3) for their classes (B,) int64."""
        return self(x)[0].gather(1, classes[:, None]).squeeze(1)
