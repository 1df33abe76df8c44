"""Progressive growing: the published sizes, levels and fades, equalized rates, what a batch's spread says."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from mien.errors import BadSetting
from mien.models.facecam.progressive import (
    Equalized,
    ProgressiveDiscriminator,
    ProgressiveGenerator,
    channels_of,
    deviation_channel,
    downsample,
    pixel_norm,
    upsample,
)

# FaceScape's latent: noise 128, z_id 20, z_exp 20; 847 people.
LATENT, CLASSES, PEOPLE = 168, 20, 847


def convolutions(pairs: list[tuple[int, int]]) -> int:
    """Numbers of blocks of two 3 x 3 convolutions with biases."""
    return sum(9 * (a * b + b * b) + 2 * b for a, b in pairs)


def test_the_published_sizes() -> None:
    assert channels_of(512, 256) == [256, 256, 256, 256, 128, 64, 64, 64]
    with torch.device("meta"):
        generator = ProgressiveGenerator(LATENT, 512)
        critic = ProgressiveDiscriminator(512, CLASSES, PEOPLE)
    first = LATENT * 256 * 16 + 256
    up = [(256, 256)] * 4 + [(256, 128), (128, 64), (64, 64), (64, 64)]
    colors = 3 * (3 * 256 + 128 + 3 * 64) + 7 * 3
    assert sum(p.numel() for p in generator.parameters()) == first + convolutions(up) + colors == 6_113_365
    down = [(256, 256)] * 3 + [(128, 256), (64, 128), (64, 64), (64, 64)]
    last = 9 * 257 * 256 + 256 + 16 * 256 * 256 + 256
    heads = 257 * (1 + CLASSES + PEOPLE)
    entries = 4 * (3 * 256 + 128 + 3 * 64) - 3 * 128 + 3 * 128
    count = sum(p.numel() for p in critic.parameters())
    assert count == entries + convolutions(down) + last + heads == 6_663_524


@pytest.mark.parametrize("level", range(1, 8))
def test_every_level_has_its_size_and_three_heads(level: int) -> None:
    side = 4 * 2**level
    with torch.device("meta"):
        image = ProgressiveGenerator(LATENT, 512)(torch.empty(2, LATENT), level, 0.5)
        assert image.shape == (2, 3, side, side)
        score, classes, people = ProgressiveDiscriminator(512, CLASSES, PEOPLE)(image, level, 0.5)
    assert (score.shape, classes.shape, people.shape) == ((2,), (2, CLASSES), (2, PEOPLE))


def test_a_fade_goes_from_the_level_below_to_the_new_level() -> None:
    torch.manual_seed(0)
    generator, critic = ProgressiveGenerator(6, 16, 8), ProgressiveDiscriminator(16, 3, 4, 8)
    latent = torch.randn(5, 6)
    small, large = generator(latent, 1), generator(latent, 2)
    torch.testing.assert_close(generator(latent, 2, 0.0), upsample(small))
    torch.testing.assert_close(generator(latent, 2, 0.25), 0.75 * upsample(small) + 0.25 * large)
    for before, after in zip(critic(downsample(large), 1), critic(large, 2, 0.0), strict=True):
        torch.testing.assert_close(before, after)
    assert (critic(large, 2, 0.5)[0] - critic(large, 2)[0]).abs().min() > 1e-4


def test_growing_leaves_the_lower_levels_as_they_are() -> None:
    """Level 1 works with the same weights in a generator of 8 and of 64 pixels."""
    torch.manual_seed(0)
    large, small = ProgressiveGenerator(6, 64, 8), ProgressiveGenerator(6, 8, 8)
    shared = {name: large.state_dict()[name] for name in small.state_dict()}
    small.load_state_dict(shared)
    latent = torch.randn(3, 6)
    torch.testing.assert_close(small(latent), large(latent, 1))


def test_equalized_layers_scale_unit_weights_by_their_inputs() -> None:
    torch.manual_seed(0)
    layer = Equalized((64, 32, 3, 3), padding=1)
    assert layer.weight.std().item() == pytest.approx(1.0, abs=0.02) and not layer.bias.any()
    x = torch.randn(2, 32, 5, 5)
    expected = functional.conv2d(x, layer.weight * math.sqrt(2 / (32 * 9)), padding=1)
    torch.testing.assert_close(layer(x), expected)
    # He's constant keeps the size of half-rectified signals; a linear head has it too.
    head = Equalized((4000, 50))
    assert head(torch.randn(64, 50)).std().item() == pytest.approx(math.sqrt(2), rel=0.05)


def test_pixel_norm_and_the_spread_of_a_batch() -> None:
    x = torch.randn(4, 7, 3, 3) * 5
    torch.testing.assert_close(pixel_norm(x).square().mean(1), torch.ones(4, 3, 3), atol=1e-5, rtol=0)
    seen = deviation_channel(x)
    assert seen.shape == (4, 8, 3, 3)
    torch.testing.assert_close(seen[:, :7], x)
    torch.testing.assert_close(seen[:, 7], x.std(0, unbiased=False).mean().expand(4, 3, 3))
    assert deviation_channel(x[:1].expand(4, -1, -1, -1))[:, 7].max() < 1e-3  # all alike: collapse shows
    assert not deviation_channel(x[:1])[:, 7].any()


def test_logits_are_plain() -> None:
    """No activation after the heads: logits take both signs, and are linear in the last features."""
    torch.manual_seed(0)
    critic = ProgressiveDiscriminator(8, 30, 40, 16)
    for values in critic(torch.randn(6, 3, 8, 8)):
        assert values.min() < -0.1 and values.max() > 0.1
        assert -values.min() / values.max() > 0.25  # LeakyReLU 0.1 would squeeze the negative side


def test_unknown_sizes_are_refused() -> None:
    with pytest.raises(BadSetting, match="48.*8, 16, 32"):
        ProgressiveGenerator(6, 48)
