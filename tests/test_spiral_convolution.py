"""The spiral convolution against its published form: gather, then one linear layer."""

from __future__ import annotations

import copy

import pytest
import torch
from fixtures import tiny_topology
from torch import Tensor

from mien.geometry.hierarchy import hierarchy
from mien.nn.spiral import SparseRows, SpiralConvolution, SpiralLevels, SpiralOperator

LENGTH = 5


@pytest.fixture(scope="module")
def levels() -> SpiralLevels:
    return SpiralLevels((4, 4), LENGTH).build(tiny_topology()).double()


def published(x: Tensor, layer: SpiralConvolution, order: Tensor) -> Tensor:
    """Copies of the neighbors side by side, then one linear layer."""
    copies = x[:, order].flatten(2)
    return copies @ layer.weight.T + layer.bias


def order_of(operator: SpiralOperator) -> Tensor:
    return operator.gather.columns.view(-1, LENGTH)


def gradients(y: Tensor, wanted: list[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad((y * torch.linspace(-1, 2, y.numel()).view_as(y)).sum(), wanted))


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 6), (6, 6), (6, 3)])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_same_as_published_with_its_gradients(
    levels: SpiralLevels, inputs: int, outputs: int, level: int
) -> None:
    torch.manual_seed(0)
    operator = levels.plain[level]
    layer = SpiralConvolution(inputs, outputs, LENGTH).double()
    x = torch.randn(2, operator.spread.shape[0], inputs, dtype=torch.float64, requires_grad=True)
    wanted = [x, layer.weight, layer.bias]
    ours, theirs = layer(x, operator), published(x, layer, order_of(operator))
    torch.testing.assert_close(ours, theirs)
    for a, b in zip(gradients(ours, wanted), gradients(theirs, wanted), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 6), (4, 6), (6, 6), (6, 3)])
@pytest.mark.parametrize("kind", ["plain", "down", "up"])
def test_a_mesh_in_pieces_is_the_whole_mesh(
    levels: SpiralLevels, inputs: int, outputs: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Single precision and pieces of two or three vertices against one piece in double precision."""
    torch.manual_seed(3)
    operator = getattr(levels, kind)[0]
    layer = SpiralConvolution(inputs, outputs, LENGTH)
    x = torch.randn(3, operator.gather.shape[1], inputs, requires_grad=True)
    exact, deep = copy.deepcopy(layer).double(), x.detach().double().requires_grad_()
    torch.nn.init.normal_(layer.bias)
    exact.bias.data.copy_(layer.bias.data)
    whole = gradients(exact(deep, operator), [deep, exact.weight, exact.bias])
    value = exact(deep, operator).float()
    monkeypatch.setattr("mien.nn.spiral.CACHED", LENGTH * max(inputs, outputs) * 2)
    ours = layer(x, operator)
    torch.testing.assert_close(ours, value, rtol=1e-4, atol=1e-5)
    for a, b in zip(gradients(ours, [x, layer.weight, layer.bias]), whole, strict=True):
        torch.testing.assert_close(a, b.float(), rtol=1e-4, atol=1e-4)


def test_a_batch_at_once_is_one_face_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last bit, up and down, with weights and without."""
    level = hierarchy(tiny_topology(), (4, 4))[0]
    faces = torch.randn(5, max(level.up.shape), 3, generator=torch.Generator().manual_seed(0))
    for matrix in (level.up, level.down):
        operator = SparseRows().set(matrix)
        below, above = faces[:, : matrix.shape[1]], faces[:, : matrix.shape[0]]
        results = []
        for cached in (10**6, 0):
            monkeypatch.setattr("mien.nn.spiral.CACHED", cached)
            x = below.clone().requires_grad_()
            y = operator(x)
            results.append((y, *torch.autograd.grad(y, x, above)))
        assert all(torch.equal(first, second) for first, second in zip(*results, strict=True))
        assert torch.allclose(results[0][0], torch.from_numpy(matrix.toarray()).float() @ below, atol=1e-5)


@pytest.mark.parametrize(("inputs", "outputs"), [(2, 3), (3, 3), (3, 2)])
def test_first_and_second_derivatives(levels: SpiralLevels, inputs: int, outputs: int) -> None:
    torch.manual_seed(1)
    operator = levels.up[1]
    layer = SpiralConvolution(inputs, outputs, LENGTH).double()
    x = torch.randn(2, levels.up[1].gather.shape[1], inputs, dtype=torch.float64, requires_grad=True)

    def smooth(x: Tensor, weight: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"weight": weight}, (x, operator)).sin()

    weight = layer.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(smooth, (x, weight))
    assert torch.autograd.gradgradcheck(smooth, (x, weight))


def test_sampling_folds_into_the_convolution(levels: SpiralLevels) -> None:
    torch.manual_seed(2)
    for layer in (SpiralConvolution(4, 6, LENGTH).double(), SpiralConvolution(6, 4, LENGTH).double()):
        channels = layer.weight.shape[1] // LENGTH
        fine = torch.randn(3, 120, channels, dtype=torch.float64)
        full = layer(fine, levels.plain[0])
        torch.testing.assert_close(layer(fine, levels.down[0]), full[:, levels.kept(0)])
        coarse = torch.randn(3, 30, channels, dtype=torch.float64)
        up = SparseRows().set(hierarchy(tiny_topology(), (4, 4))[0].up).double()
        torch.testing.assert_close(layer(coarse, levels.up[0]), layer(up(coarse), levels.plain[0]))


def test_a_checkpoint_brings_the_operators() -> None:
    from mien.models.files import put_state

    built = SpiralLevels((4,), LENGTH).build(tiny_topology())
    empty = SpiralLevels((4,), LENGTH)
    assert empty.plain[0].spread.shape == (0, 0)
    put_state(empty, built.state_dict())
    layer = SpiralConvolution(3, 4, LENGTH)
    x = torch.randn(1, 120, 3)
    assert torch.equal(layer(x, empty.down[0]), layer(x, built.down[0]))


def test_parameters_are_those_of_one_linear_layer() -> None:
    layer, linear = SpiralConvolution(32, 64, 9), torch.nn.Linear(32 * 9, 64)
    assert [p.shape for p in layer.parameters()] == [p.shape for p in linear.parameters()]
