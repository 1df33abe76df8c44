"""The fast PointNet form is the published function with the published gradients."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.models.adversarial_vae.pointnet import PointNetFeatures

CHANNELS = (3, 16, 16, 32, 64)


def pair(seed: int) -> tuple[PointNetFeatures, PointNetFeatures]:
    """The same weights twice: fast, and layer by layer, in double precision."""
    torch.manual_seed(seed)
    fast = PointNetFeatures(CHANNELS).double()
    for norm in fast.norms:
        # Negative gains too: the fold must happen before the max.
        torch.nn.init.uniform_(norm.weight, -1.5, 1.5)
        torch.nn.init.uniform_(norm.bias, -0.5, 0.5)
    plain = copy.deepcopy(fast)
    plain.fast = False
    return fast, plain


def published(module: PointNetFeatures, points: torch.Tensor) -> torch.Tensor:
    """conv1d -> batch norm -> relu over (B, C, V), then max: as the literature writes it."""
    hidden = points.transpose(1, 2)
    for layer, norm in zip(module.layers, module.norms):
        hidden = norm(torch.nn.functional.conv1d(hidden, layer.weight[:, :, None], layer.bias)).relu()
    return hidden.amax(2)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), batch=st.integers(2, 4), count=st.integers(3, 150))
def test_value_and_gradients_equal_the_published_form(seed: int, batch: int, count: int) -> None:
    fast, plain = pair(seed)
    points = torch.randn(batch, count, 3, dtype=torch.float64)
    weights = torch.randn(batch, CHANNELS[-1], dtype=torch.float64)
    gradients = []
    for module, form in ((fast, fast), (plain, lambda x: published(plain, x))):
        x = points.clone().requires_grad_()
        value = form(x)
        (value * weights).sum().backward()
        gradients.append([value.detach(), x.grad, *(p.grad for p in module.parameters())])
    for a, b in zip(*gradients):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)


def test_running_statistics_and_evaluation_mode_agree() -> None:
    fast, plain = pair(1)
    points = torch.randn(4, 70, 3, dtype=torch.float64)
    for module in (fast, plain):
        for _ in range(3):
            module(points)
    for (name, a), b in zip(fast.named_buffers(), plain.buffers()):
        torch.testing.assert_close(a, b, msg=name)
    torch.testing.assert_close(fast.eval()(points), plain.eval()(points))


def test_pieces_and_dead_channels_change_nothing() -> None:
    """More points than a piece holds, and layers that are all zero on half of the mesh or everywhere."""
    fast, plain = pair(3)
    points = torch.randn(2, 5000, 3, dtype=torch.float64).sort(1).values
    for module in (fast, plain):
        module.norms[-2].bias.data[:8] = -100.0
        module(points)
        module.eval()
    torch.testing.assert_close(fast(points), plain(points))
    with torch.no_grad():
        torch.testing.assert_close(fast(points), plain(points))
        torch.testing.assert_close(fast(points[:, :300]), plain(points[:, :300]))
    found = []
    for module in (fast.train(), plain.train()):
        x = points.clone().requires_grad_()
        module.zero_grad()
        module(x).square().sum().backward()
        found.append([x.grad, *(p.grad for p in module.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("count", [64, 65, 128, 256, 257, 1])
def test_every_vertex_can_win(count: int) -> None:
    """A point far out in one direction decides the feature, wherever it stands in the file."""
    fast, plain = pair(2)
    fast.eval(), plain.eval()
    for place in {0, count // 2, count - 1}:
        points = torch.zeros(2, count, 3, dtype=torch.float64)
        points[:, place] = torch.tensor([30.0, -20.0, 10.0], dtype=torch.float64)
        expected = plain(points)
        torch.testing.assert_close(fast(points), expected)
        with torch.no_grad():
            torch.testing.assert_close(fast(points), expected)
