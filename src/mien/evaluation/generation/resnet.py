"""ResNet-18, which embeds pictures of faces; written out so that no image library is needed."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

WIDTHS = (64, 128, 256, 512)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions around a shortcut: ``relu(x + F(x))``.

    The shortcut is the input itself, or a 1 x 1 convolution where size or width change (option B of the
    paper). Batch normalization follows every convolution.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        stride: 2 halves the picture.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) float to (B, outputs, H / stride, W / stride) float."""
        return torch.relu(self.shortcut(x) + self.convolutions(x))


class ResNet18(nn.Module):
    """Eighteen layers: a 7 x 7 stem, four stages of two residual blocks, the mean over the picture, a head.

    Reference: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016, table 1.
    11,689,512 parameters with 1,000 outputs. Any picture size works: the mean removes it.

    Args:
        outputs: Size of the last linear layer: classes, or numbers of an embedding.
    """

    def __init__(self, outputs: int = 1000) -> None:
        super().__init__()
        first = WIDTHS[0]
        self.stem = nn.Sequential(
            nn.Conv2d(3, first, 7, 2, 3, bias=False), nn.BatchNorm2d(first), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        blocks, before = list[nn.Module](), first
        for width in WIDTHS:
            blocks += [ResidualBlock(before, width, 1 if width == first else 2)]
            blocks += [ResidualBlock(width, width, 1)]
            before = width
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(before, outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) float, pictures, to (B, outputs) float."""
        return cast(Tensor, self.head(self.blocks(self.stem(images)).mean(dim=(2, 3))))
