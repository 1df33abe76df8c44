"""Progressive growing (Karras et al., ICLR 2018) with labels: a generator and a discriminator of images.

Both hold all levels from 4 pixels up; ``level`` 1, 2, 3 ... works at 8, 16, 32 ... pixels (4 * 2^level), and
``fade`` blends the newest level in over the one below it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.errors import BadSetting

SLOPE = 0.1
#: Image side -> channels, as a share of the widest.
SHARES = {4: 1.0, 8: 1.0, 16: 1.0, 32: 1.0, 64: 0.5, 128: 0.25, 256: 0.25, 512: 0.25}
SMALLEST = 4


def level_count(size: int) -> int:
    """Levels of a ladder that ends at ``size`` pixels: 1 for 8 to 7 for 512."""
    if size not in list(SHARES)[1:]:
        raise BadSetting("unknown image size", received=size, remedy="use 8, 16, 32, 64, 128, 256 or 512")
    return int(math.log2(size // SMALLEST))


def channels_of(size: int, widest: int) -> list[int]:
    """Channels at 4, 8, ... ``size`` pixels."""
    return [max(1, round(widest * share)) for side, share in SHARES.items() if side <= size]


class Equalized(nn.Module):
    """A layer whose weights are drawn from N(0, 1) and scaled by sqrt(2 / inputs) in every pass, so that Adam
    moves all layers at one speed.

    Args:
        shape: Of the weight: (outputs, inputs) or (outputs, inputs, k, k).
        padding: Of a convolution.
    """

    def __init__(self, shape: Sequence[int], padding: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(*shape))
        self.bias = nn.Parameter(torch.zeros(shape[0]))
        self.scale, self.padding = math.sqrt(2.0 / math.prod(shape[1:])), padding

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) or (B, inputs, H, W)."""
        if self.weight.dim() == 2:
            return functional.linear(x, self.weight * self.scale, self.bias)
        return functional.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class FirstBlock(nn.Module):
    """A latent to 4 x 4 pixels: the transposed convolution of a single pixel, equalized."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs, SMALLEST, SMALLEST))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = math.sqrt(2.0 / inputs)

    def forward(self, latent: Tensor) -> Tensor:
        """(B, inputs) to (B, outputs, 4, 4)."""
        x = functional.conv_transpose2d(latent[:, :, None, None], self.weight * self.scale, self.bias)
        return functional.leaky_relu(pixel_norm(x), SLOPE)


class Block(nn.Module):
    """Two convolutions, each followed by PixelNorm and LeakyReLU.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        kernels: Sizes of both convolutions; a size of 4 is not padded.
    """

    def __init__(self, inputs: int, outputs: int, kernels: tuple[int, int] = (3, 3)) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            Equalized((outputs, c, k, k), padding=1 if k == 3 else 0)
            for c, k in zip((inputs, outputs), kernels, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, D, H, W), or fewer pixels where a convolution is not padded."""
        for layer in self.layers:
            x = functional.leaky_relu(pixel_norm(layer(x)), SLOPE)
        return x


def pixel_norm(x: Tensor) -> Tensor:
    """(B, C, ...) features to (B, C, ...) with every pixel's channels scaled to a mean square of one."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


def upsample(x: Tensor) -> Tensor:
    """(B, C, H, W) to (B, C, 2 H, 2 W), bilinear."""
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def downsample(x: Tensor) -> Tensor:
    """(B, C, 2 H, 2 W) to (B, C, H, W); bilinear halfway between texels is their mean."""
    return functional.avg_pool2d(x, 2)


def deviation_channel(x: Tensor) -> Tensor:
    """The mean standard deviation over the batch as one more channel, so that samples which are all alike
    show.

    Args:
        x: (B, C, H, W) float.

    Returns:
        (B, C + 1, H, W) float.
    """
    if len(x) < 2:
        deviation = x.new_zeros(())
    else:
        deviation = (x.var(dim=0, unbiased=False) + 1e-8).sqrt().mean()
    return torch.cat([x, deviation.expand(len(x), 1, *x.shape[2:])], dim=1)


class ProgressiveGenerator(nn.Module):
    """A latent to images, level by level; linear output.

    Args:
        latent: Size of the latent: noise, person and expression side by side.
        size: Pixels of the last level.
        widest: Channels up to 32 pixels; half at 64, a quarter beyond.
    """

    def __init__(self, latent: int, size: int, widest: int = 256) -> None:
        super().__init__()
        self.levels, self.widest = level_count(size), widest
        channels = channels_of(size, widest)
        self.first = FirstBlock(latent, channels[0])
        pairs = zip([channels[0], *channels], channels, strict=False)
        self.blocks = nn.ModuleList(Block(inputs, outputs) for inputs, outputs in pairs)
        self.to_rgb = nn.ModuleList(Equalized((3, c, 1, 1)) for c in channels[1:])

    def forward(self, latent: Tensor, level: int | None = None, fade: float = 1.0) -> Tensor:
        """(B, latent) to (B, 3, S, S) with S = 4 * 2^level; the last level by default.

        Args:
            latent: (B, latent) float.
            level: From 1.
            fade: Share of the newest level, 0..1; the rest is the level below, enlarged.
        """
        level = self.levels if level is None else level
        x = self.blocks[0](self.first(latent))
        below = x
        for block in self.blocks[1 : level + 1]:
            below, x = x, block(upsample(x))
        image = self.to_rgb[level - 1](x)
        if fade < 1 and level > 1:
            image = torch.lerp(upsample(self.to_rgb[level - 2](below)), image, fade)
        return image


class ProgressiveDiscriminator(nn.Module):
    """Images to a critic's score and the logits of expression and person; the generator's mirror image.

    Args:
        size: Pixels of the last level.
        classes: n_exp.
        people: n_id.
        widest: As in the generator.
    """

    def __init__(self, size: int, classes: int, people: int, widest: int = 256) -> None:
        super().__init__()
        self.levels = level_count(size)
        channels = channels_of(size, widest)
        self.from_rgb = nn.ModuleList(Equalized((c, 3, 1, 1)) for c in channels[1:])
        self.blocks = nn.ModuleList(
            Block(inputs, outputs) for outputs, inputs in zip(channels, channels[1:], strict=False)
        )
        self.last = Block(channels[0] + 1, channels[0], (3, SMALLEST))
        self.heads = nn.ModuleList(Equalized((count, channels[0])) for count in (1, classes, people))

    def forward(
        self, image: Tensor, level: int | None = None, fade: float = 1.0
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, S, S) to (B,) scores, (B, n_exp) and (B, n_id) logits.

        Args:
            image: Of the level's size.
            level: From 1; the last by default.
            fade: Share of the newest level, as in the generator.
        """
        level = self.levels if level is None else level
        x = downsample(self.blocks[level - 1](self.from_rgb[level - 1](image)))
        if fade < 1 and level > 1:
            x = torch.lerp(self.from_rgb[level - 2](downsample(image)), x, fade)
        for block in reversed(self.blocks[: level - 1]):
            x = downsample(block(x))
        x = self.last(deviation_channel(x)).flatten(1)
        score, classes, people = (head(x) for head in self.heads)
        return score.squeeze(1), classes, people
