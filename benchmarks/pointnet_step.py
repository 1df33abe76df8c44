"""Training step of the adversarial VAE: the equivalent fast form against the layer-by-layer form.

Both run in this one process on the same weights and batch, alternating, and the fastest runs of each are
compared: in processor time on one thread, so that other programs disturb little, else in wall time. The
machine's own matrix-product speed is measured in between, so that a figure from another day can be read.

    python benchmarks/pointnet_step.py [--vertices 4547] [--batch 32] [--repeats 5] [--out FILE.csv]

Gradients are compared in double precision on a smaller batch: in single precision both forms differ from
the double-precision truth by the same rounding, as near ties of the max flip.
"""

from __future__ import annotations

import argparse
import copy
import csv
import platform
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mien.data.sampling import Batch
from mien.models.adversarial_vae.losses import IdentityDiscriminator, Objective, Settings
from mien.models.adversarial_vae.model import AdversarialVAE
from mien.models.adversarial_vae.pointnet import PointNetFeatures
from mien.topology import Topology


class LayerByLayer(PointNetFeatures):
    """The form that the literature writes: conv1d, batch norm and ReLU over (B, C, V), then max."""

    def forward(self, points: Tensor) -> Tensor:
        hidden = points.transpose(1, 2).contiguous()
        for layer, norm in zip(self.layers, self.norms):
            hidden = norm(nn.functional.conv1d(hidden, layer.weight[:, :, None], layer.bias)).relu()
        return hidden.max(dim=2).values


def strip(count: int) -> Topology:
    """A topology with a given number of vertices; the VAE uses no more of it than that."""
    rng = np.random.default_rng(0)
    template = rng.normal(size=(count, 3)).astype(np.float32) * 40
    faces = np.stack([np.arange(count - 2), np.arange(count - 2) + 1, np.arange(count - 2) + 2], axis=1)
    return Topology("strip", faces, template)


def objective_of(model: AdversarialVAE) -> Objective:
    """What a joint step without the discriminator minimizes."""
    return Objective(model, IdentityDiscriminator(), Settings(identity_discriminator=False))


def step(objective: Objective, batch: Batch) -> None:
    """Forward and backward of one joint step."""
    torch.manual_seed(0)
    for parameter in objective.model.parameters():
        parameter.grad = None
    for _, losses in objective.step(batch, 0):
        torch.stack(list(losses.values())).sum().backward()


def relative_error(fast: AdversarialVAE, plain: AdversarialVAE, batch: Batch) -> float:
    """||difference|| / ||gradient|| over all parameters, in double precision."""
    models = [copy.deepcopy(model).double() for model in (fast, plain)]
    small = batch.map(lambda value: value[:4].double() if value.is_floating_point() else value[:4])
    for model in models:
        step(objective_of(model), small)
    a, b = (torch.cat([p.grad.flatten() for p in model.parameters()]) for model in models)
    return float((a - b).norm() / b.norm())


def clock() -> float:
    """Seconds: of the processor on one thread; of the wall on more, as waiting threads would count too."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def matrix_seconds() -> float:
    """Seconds of one large matrix product."""
    a = torch.randn(2048, 2048)
    began = clock()
    a @ a
    return clock() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--vertices", type=int, default=4547)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.manual_seed(0)
    fast = AdversarialVAE(strip(options.vertices), ()).train()
    plain = copy.deepcopy(fast)
    plain.features.__class__ = LayerByLayer
    faces = fast.mean_face + 3 * torch.randn(options.batch, options.vertices, 3)
    batch = Batch(faces, torch.zeros(options.batch), torch.zeros(options.batch, 0), faces - 1.0)
    forms = {"fast": objective_of(fast), "layer by layer": objective_of(plain)}
    times: dict[str, list[float]] = {"fast": [], "layer by layer": [], "matrix product": []}
    for repeat in range(options.repeats + 1):
        for name, objective in forms.items():
            began = clock()
            step(objective, batch)
            if repeat:  # the first round warms up
                times[name].append(clock() - began)
        times["matrix product"].append(matrix_seconds())
    least = {name: min(values) for name, values in times.items()}
    row = {
        "vertices": options.vertices, "batch": options.batch, "threads": torch.get_num_threads(),
        "seconds_fast": round(least["fast"], 3),
        "seconds_layer_by_layer": round(least["layer by layer"], 3),
        "ratio": round(least["layer by layer"] / least["fast"], 2),
        "gradient_error": f"{relative_error(fast, plain, batch):.1e}",
        "matrix_product_gflops": round(2 * 2048**3 / least["matrix product"] / 1e9, 1),
        "torch": torch.__version__, "processor": platform.processor() or platform.machine(),
    }  # fmt: skip
    for name, value in row.items():
        print(f"{name:24} {value}")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with options.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, row)
            writer.writeheader()
            writer.writerow(row)


if __name__ == "__main__":
    main()
