"""CoMA and SpiralNet++ against their papers: polynomials, layers written out densely, sizes, training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fixtures import tiny_data, tiny_topology
from numpy.typing import NDArray
from test_expression_lstm import strip
from torch import Tensor
from torch.nn import functional

from mien.errors import BadSetting
from mien.geometry.hierarchy import hierarchy
from mien.models.autoencoder import MeshAutoencoder, Settings
from mien.models.coma import CoMA
from mien.models.spiralnet import SpiralNet
from mien.nn.chebyshev import ChebyshevConvolution, shifted_laplacian
from mien.nn.spiral import SparseRows

SIX = tuple("abcdef")
FACTORS = (4, 4)


def laplacian(faces: NDArray, count: int) -> NDArray:
    """(V, V) I - D^-1/2 A D^-1/2, edge by edge."""
    graph = np.zeros((count, count))
    for a, b, c in faces:
        for start, end in ((a, b), (b, c), (c, a)):
            graph[start, end] = graph[end, start] = 1
    scale = 1 / np.sqrt(np.maximum(graph.sum(1), 1))
    return np.diag((graph.sum(1) > 0).astype(float)) - scale[:, None] * graph * scale


def filtered(x: Tensor, layer: ChebyshevConvolution, faces: NDArray) -> Tensor:
    """sum_k T_k(L~) x W_k + b with T_k(cos t) = cos(k t) on the eigenvalues of L~."""
    count = x.shape[1]
    values, vectors = np.linalg.eigh(laplacian(faces, count) - np.eye(count))
    assert values.min() >= -1 - 1e-9 and values.max() <= 1 + 1e-9
    angles = np.arccos(np.clip(values, -1, 1))
    blocks = layer.weight.detach().double().split(x.shape[2])
    result = layer.bias.detach().double().expand(*x.shape[:2], -1)
    for k, block in enumerate(blocks):
        polynomial = torch.from_numpy(vectors * np.cos(k * angles) @ vectors.T)
        result = result + polynomial @ x.double() @ block
    return result.to(x)


@pytest.mark.parametrize("order", [1, 2, 6])
def test_chebyshev_polynomials_of_the_shifted_laplacian(order: int) -> None:
    topology = tiny_topology()
    torch.manual_seed(order)
    layer = ChebyshevConvolution(3, 4, order)
    torch.nn.init.normal_(layer.bias)
    operator = SparseRows().set(shifted_laplacian(topology.faces, topology.vertex_count))
    x = torch.randn(2, topology.vertex_count, 3)
    torch.testing.assert_close(layer(x, operator), filtered(x, layer, topology.faces), atol=1e-4, rtol=1e-4)
    # K polynomials see K - 1 rings, and no farther.
    ring = np.linalg.matrix_power(
        (laplacian(topology.faces, topology.vertex_count) != 0).astype(int), order - 1
    )
    spike = torch.zeros(1, topology.vertex_count, 3)
    spike[0, 44] = 1
    moved = (layer(spike, operator) - layer.bias).abs().amax(2)[0] > 1e-7
    assert moved.sum() > 1 or order == 1
    assert not moved[torch.from_numpy(ring[44] == 0)].any()


def meshes(topology_factors: tuple[int, ...] = FACTORS) -> tuple[list[NDArray], list[NDArray], list[NDArray]]:
    """Faces of every level, and dense pooling and up-sampling between them."""
    topology = tiny_topology()
    levels = hierarchy(topology, topology_factors)
    faces = [topology.faces, *(level.faces for level in levels)]
    return faces, [level.down.toarray() for level in levels], [level.up.toarray() for level in levels]


def sampled(matrix: NDArray, x: Tensor) -> Tensor:
    return torch.from_numpy(matrix.astype(np.float32)) @ x


def test_coma_layer_by_layer() -> None:
    torch.manual_seed(0)
    model = CoMA(tiny_topology(), SIX, size=10, expression_size=3, channels=(5, 7), order=4)
    model.levels.build(model.topology)
    faces, down, up = meshes()
    h = x = torch.randn(2, 120, 3)
    for level, layer in enumerate(model.down):
        h = sampled(down[level], functional.relu(filtered(h, layer, faces[level])))
    z = model.to_code(h.flatten(1))
    torch.testing.assert_close(model.compress(x), z, atol=1e-4, rtol=1e-4)
    g = functional.relu(model.from_code(z)).view(2, -1, 7)
    for layer, level in zip(model.up, (1, 0), strict=True):
        g = functional.relu(filtered(sampled(up[level], g), layer, faces[level]))
    torch.testing.assert_close(model.expand(z), filtered(g, model.last, faces[0]), atol=1e-4, rtol=1e-4)


def test_spiralnet_layer_by_layer() -> None:
    torch.manual_seed(0)
    model = SpiralNet(tiny_topology(), SIX, size=10, expression_size=3, channels=(5, 7), length=6)
    model.levels.build(model.topology)
    _, down, up = meshes()
    orders = [operator.gather.columns.view(-1, 6) for operator in model.levels.plain]

    def convolved(x: Tensor, layer: torch.nn.Module, level: int) -> Tensor:
        return x[:, orders[level]].flatten(2) @ layer.weight.T + layer.bias

    h = x = torch.randn(2, 120, 3)
    for level, block in enumerate(model.down):
        h = sampled(down[level], functional.elu(convolved(h, block.convolution, level)))
    z = model.to_code(h.flatten(1))
    torch.testing.assert_close(model.compress(x), z, atol=1e-4, rtol=1e-4)
    g = model.from_code(z).view(2, -1, 7)
    for block, level in zip(model.up, (1, 0), strict=True):
        g = functional.elu(convolved(sampled(up[level], g), block.convolution, level))
    torch.testing.assert_close(model.expand(z), convolved(g, model.last, 0), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "size", "wide", "taps"), [(CoMA, 8, (16, 16, 16, 32), 6), (SpiralNet, 16, (32, 32, 32, 64), 9)]
)
def test_parameters_at_the_published_sizes(
    kind: type[MeshAutoencoder], size: int, wide: tuple[int, ...], taps: int
) -> None:
    """5,023 vertices in levels of a quarter each: 1,256, 314, 79 and 20."""
    with torch.device("meta"):
        model = kind(strip(5023), SIX, size=size, coarsest=20)  # type: ignore[call-arg]
    assert {p.device.type for p in model.parameters()} == {"meta"}
    a, b, c, d = wide
    encoder, decoder = ((3, a), (a, b), (b, c), (c, d)), ((d, d), (d, c), (c, b), (b, a), (a, 3))
    layers = sum(taps * i * o + o for i, o in encoder + decoder)
    dense = (20 * d * size + size) + (size * 20 * d + 20 * d)
    assert sum(p.numel() for p in model.parameters()) == layers + dense
    if kind is CoMA:  # the layer table, added up by hand
        assert layers + dense == 30_059


def test_a_code_cannot_be_split_without_people() -> None:
    data = tiny_data()
    nobody = replace(data, labeled={**data.labeled, "identity": np.zeros(len(data), bool)})
    with pytest.raises(BadSetting, match="identity"):
        CoMA(data.topology, data.expressions, channels=(5, 7)).prepare(nobody)


def test_the_full_schedule_is_the_published_one_and_the_loss_is_l1() -> None:
    data = tiny_data()
    torch.manual_seed(0)
    model = CoMA(data.topology, data.expressions, size=10, channels=(5, 7))
    model.prepare(data)
    (stage,) = model.stages(data, Settings(**(CoMA.profiles["full"] | {"steps": 3})), data)
    (optimizer,) = stage.optimizers.values()
    assert isinstance(optimizer, torch.optim.SGD)
    group = optimizer.param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (8e-3, 0.9, 5e-4)
    batch = stage.batch(torch.Generator().manual_seed(0))
    assert len(batch.vertices) == 16
    ((_, losses),) = stage.step(batch, 0)
    mean, spread = data[:].mean(0), np.maximum(data[:].std(0), 1e-3 * data[:].std(0).mean() + 1e-6)
    x = torch.from_numpy((batch.vertices.numpy() - mean) / spread)
    wrong = (model.expand(model.compress(x)) - x).abs().mean()
    torch.testing.assert_close(losses["reconstruction"], wrong, atol=1e-3, rtol=1e-3)
    rate = stage.rates["autoencoder"]
    assert rate(0) == 1 and rate(1151) == pytest.approx(0.99) and rate(2 * 1151) == pytest.approx(0.99**2)
