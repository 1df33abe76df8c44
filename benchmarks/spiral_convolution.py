"""Spiral convolutions: the product-first form against the published one, layer by layer and as a whole step.

The published form copies the neighbors of every vertex side by side and applies one linear layer; it pools by
gathering weighted rows and adding them up. Both forms run in this one process on the same mesh, weights and
batch, in turns, and the fastest runs of each are compared: in processor time on one thread, so that
other programs disturb little, else in wall time. The machine's own matrix-product speed stands beside them.

    python benchmarks/spiral_convolution.py [--vertices 5023] [--batch 16] [--repeats 7] [--out FILE.csv]

The last row is one training step (forward, backward, Adam) of the SpiralNet++ autoencoder at its published
sizes: channels 32, 32, 32, 64, spirals of 9, pooling by 4, code of 16, batch 32.
"""

from __future__ import annotations

import argparse
import csv
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from scipy.spatial import Delaunay
from torch import Tensor, nn
from torch.nn import functional

from mien.geometry.hierarchy import hierarchy
from mien.models.spiralnet import SpiralNet
from mien.nn.spiral import SpiralConvolution, SpiralLevels, SpiralOperator
from mien.topology import Topology

LAYERS = ((3, 32), (32, 32), (64, 64), (32, 3))


def mask(count: int) -> Topology:
    """A curved patch of ``count`` irregular vertices, numbered patch by patch as modelers' meshes are."""
    points = np.random.default_rng(0).uniform(-1, 1, (count, 2))
    cell = np.floor((points + 1) * 6)
    points = points[np.lexsort((points[:, 0], cell[:, 0], cell[:, 1]))]
    height = 60 * (1 - (points**2).sum(axis=1) / 2)
    template = np.column_stack([70 * points[:, 0], 90 * points[:, 1], height]).astype(np.float32)
    faces = Delaunay(points).simplices
    flat = points[faces]
    a, b = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    clockwise = a[:, 0] * b[:, 1] < a[:, 1] * b[:, 0]
    faces[clockwise] = faces[clockwise][:, ::-1]
    return Topology("patch", faces.astype(np.int32), template)


def published_convolution(x: Tensor, layer: SpiralConvolution, order: Tensor) -> Tensor:
    """Copies side by side, then one linear layer."""
    copies = torch.index_select(x, 1, order.reshape(-1)).view(len(x), len(order), -1)
    return functional.linear(copies, layer.weight, layer.bias)


class PublishedPooling(nn.Module):
    """Rows gathered, weighted and added up."""

    def __init__(self, matrix: csr_matrix) -> None:
        super().__init__()
        entries = matrix.tocoo()
        self.count = matrix.shape[0]
        self.row, self.column = (torch.from_numpy(a.astype(np.int64)) for a in (entries.row, entries.col))
        self.value = torch.from_numpy(entries.data.astype(np.float32))[:, None]

    def forward(self, x: Tensor) -> Tensor:
        rows = torch.index_select(x, 1, self.column) * self.value
        return torch.zeros(len(x), self.count, x.shape[2]).index_add(1, self.row, rows)


class PublishedNet(nn.Module):
    """SpiralNet's layers in the published form, on the weights of ours."""

    def __init__(self, model: SpiralNet) -> None:
        super().__init__()
        self.model = model
        levels = hierarchy(model.topology, model.levels.factors)
        self.down = [PublishedPooling(level.down) for level in levels]
        self.up = [PublishedPooling(level.up) for level in levels]
        self.orders = [order_of(operator) for operator in model.levels.plain]

    def forward(self, x: Tensor) -> Tensor:
        model = self.model
        for level, block in enumerate(model.down):
            x = functional.elu(published_convolution(x, block.convolution, self.orders[level]))
            x = self.down[level](x)
        x = model.from_code(model.to_code(x.flatten(1))).unflatten(1, model.coarsest)
        for number, block in enumerate(model.up, 1):
            level = len(model.up) - number
            x = published_convolution(self.up[level](x), block.convolution, self.orders[level])
            x = functional.elu(x)
        return published_convolution(x, model.last, self.orders[0])


def order_of(operator: Any) -> Tensor:
    """(V, S) spirals of an operator without sampling."""
    assert isinstance(operator, SpiralOperator)
    return operator.gather.columns.view(-1, operator.length)


def compare(forms: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Least seconds of each form and the machine's most GFLOP/s, measured in turns."""
    times: dict[str, list[float]] = {name: [] for name in forms}
    speeds = []
    for repeat in range(repeats + 1):
        for name, run in forms.items():
            began = clock()
            run()
            if repeat:  # the first round warms up
                times[name].append(clock() - began)
        speeds.append(matrix_speed())
    return {name: min(values) for name, values in times.items()} | {"gflops": max(speeds)}


def clock() -> float:
    """Seconds: of the processor on one thread; of the wall on more, as waiting threads would count too."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def matrix_speed() -> float:
    """GFLOP/s of one large matrix product."""
    a = torch.randn(1536, 1536)
    began = clock()
    a @ a
    return 2 * 1536**3 / (clock() - began) / 1e9


def layer_rows(topology: Topology, batch: int, repeats: int) -> list[dict[str, Any]]:
    operator = SpiralLevels((), 9).build(topology).plain[0]
    assert isinstance(operator, SpiralOperator)
    rows: list[dict[str, Any]] = []
    for inputs, outputs in LAYERS:
        rows += layer_pair(topology, operator, inputs, outputs, batch, repeats)
    return rows


def layer_pair(
    topology: Topology, operator: SpiralOperator, inputs: int, outputs: int, batch: int, repeats: int
) -> list[dict[str, Any]]:
    """Forward, and forward with backward, of one layer; gradients of data count as in the middle of a net."""
    layer, order = SpiralConvolution(inputs, outputs, 9), order_of(operator)
    x = torch.randn(batch, topology.vertex_count, inputs, requires_grad=True)
    gradient = torch.randn(batch, topology.vertex_count, outputs)
    flops = 2 * batch * topology.vertex_count * 9 * inputs * outputs
    forms: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: layer(x, operator), "published": lambda: published_convolution(x, layer, order)
    }  # fmt: skip
    error = float((forms["ours"]() - forms["published"]()).detach().abs().max())
    with torch.no_grad():
        forward = compare(dict(forms), repeats)
    both = compare(
        {name: lambda form=form: form().backward(gradient) for name, form in forms.items()}, repeats
    )
    return [
        row(f"{inputs}->{outputs} forward", topology, batch, forward, flops, error),
        row(f"{inputs}->{outputs} forward+backward", topology, batch, both, 3 * flops, error),
    ]


def step_row(topology: Topology, repeats: int, batch: int = 32) -> dict[str, Any]:
    """One training step of the whole autoencoder."""
    model = SpiralNet(topology, (), size=16, expression_size=4)
    model.levels.build(topology)
    published = PublishedNet(model)
    faces = torch.randn(batch, topology.vertex_count, 3)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    error = float((model.expand(model.compress(faces)) - published(faces)).detach().abs().max())

    def train(network: Callable[[Tensor], Tensor]) -> None:
        optimizer.zero_grad()
        (network(faces) - faces).abs().mean().backward()
        optimizer.step()

    seconds = compare(
        {"ours": lambda: train(lambda x: model.expand(model.compress(x))),
         "published": lambda: train(published)}, repeats,
    )  # fmt: skip
    flops = 0
    for level, block in enumerate(model.down):
        flops += len(order_of(model.levels.plain[level])) * block.convolution.weight.numel()
    for number, block in enumerate(model.up, 1):
        flops += len(order_of(model.levels.plain[-1 - number])) * block.convolution.weight.numel()
    flops += topology.vertex_count * model.last.weight.numel()
    return row("SpiralNet++ training step", topology, batch, seconds, 6 * batch * flops, error)


def row(
    name: str, topology: Topology, batch: int, seconds: dict[str, float], flops: float, error: float
) -> dict[str, Any]:
    """One line of the table; shares count the published form's arithmetic."""
    share = {form: flops / seconds[form] / 1e9 / seconds["gflops"] for form in ("ours", "published")}
    return {
        "what": name, "vertices": topology.vertex_count, "batch": batch, "threads": torch.get_num_threads(),
        "seconds_ours": round(seconds["ours"], 4), "seconds_published": round(seconds["published"], 4),
        "ratio": round(seconds["published"] / seconds["ours"], 2),
        "matrix_product_gflops": round(seconds["gflops"], 1),
        "share_ours": round(share["ours"], 2), "share_published": round(share["published"], 2),
        "largest_difference": f"{error:.0e}", "torch": torch.__version__, "processor": platform.machine(),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vertices", type=int, default=5023)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.manual_seed(0)
    topology = mask(options.vertices)
    rows = [*layer_rows(topology, options.batch, options.repeats), step_row(topology, options.repeats)]
    for line in rows:
        print(f"{line['what']:28} {line['seconds_ours']:.4f} s  {line['ratio']:5.2f} times as fast  "
              f"{line['share_ours']:.0%} of {line['matrix_product_gflops']} GFLOP/s")  # fmt: skip
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with options.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
