"""Convolutions on geometry images: a critic with classifiers beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mien.errors import BadSetting

SLOPE = 0.2  # of LeakyReLU, in every layer


def convolution(inputs: int, outputs: int) -> nn.Sequential:
    """3 x 3, half the size, LeakyReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1), nn.LeakyReLU(SLOPE))


class DiscriminatorBranch(nn.Module):
    """Own convolutions, features, one linear layer: real or fake, or the classes of a factor."""

    def __init__(self, outputs: int, image_size: int) -> None:
        super().__init__()
        self.features = nn.Sequential(convolution(32, 64), convolution(64, 128), nn.Flatten())
        self.head = nn.Linear(128 * (image_size // 16) ** 2, outputs)

    def forward(self, common: Tensor) -> Tensor:
        """(B, 32, H, W) features in common to (B, K) logits, or one score."""
        return self.head(self.features(common))


class ImageDiscriminator(nn.Module):
    """D: convolutions in common, then a branch for real or fake and one for each classified factor."""

    def __init__(self, counts: Mapping[str, int], image_size: int) -> None:
        super().__init__()
        if image_size < 16 or image_size % 16:
            raise BadSetting("the image size must be a multiple of 16", received=image_size)
        self.common = nn.Sequential(convolution(3, 16), convolution(16, 32))
        self.real = DiscriminatorBranch(1, image_size)
        self.classes = nn.ModuleDict(
            {name: DiscriminatorBranch(count, image_size) for name, count in counts.items()}
        )

    def features(self, factor: str, common: Tensor) -> Tensor:
        """(B, D) what the classifier of a factor makes of features in common (B, 32, H, W) before its last
        layer.
        """
        branch: Any = self.classes[factor]
        return branch.features(common)

    def score(self, images: Tensor) -> Tensor:
        """(B,) the critic's value of images (B, 3, S, S); larger is more real."""
        return self.real(self.common(images)).squeeze(1)


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """mean (|grad D(x)| - 1)^2 at random mixtures x of real and generated images (Gulrajani et al. 2017).

    Args:
        critic: Images to (B,) scores.
        real: (B, 3, S, S) float.
        fake: (B, 3, S, S) float.

    Returns:
        Scalar.
    """
    share = torch.rand(len(real), 1, 1, 1, device=real.device)
    between = torch.lerp(real, fake, share).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()
