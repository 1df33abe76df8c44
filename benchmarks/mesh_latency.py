"""Milliseconds from a mesh to its codes and back, one face at a time, as an interactive program needs it.

    python benchmarks/mesh_latency.py [--vertices 26000] [--models facetunegan,spiralnet,...] [--out FILE.csv]

Networks have their publications' sizes for FaceScape meshes and random weights; batch norms know the face's
own statistics, as after training: a PointNet leaves out channels that are zero over a piece of the mesh, so
its time depends on how many those are. The fastest of the repeats counts: in processor time on one thread, so
that other programs disturb little, else in wall time. The machine's own matrix-product speed stands beside.
"""

from __future__ import annotations

import argparse
import csv
import platform
import time
from pathlib import Path
from typing import Any

import torch
from spiral_convolution import mask
from torch import Tensor

from mien.models import model_class
from mien.models.base import FaceModel

ARGUMENTS: dict[str, dict[str, Any]] = {
    "facetunegan": {"channels": (32, 32, 32, 64, 64)},
    "spiralnet": {"size": 16},
    "coma": {"size": 8},
    "adversarial_vae": {},
}
"""Constructor arguments of the publications for meshes of this size."""


def built(name: str, topology: Any) -> FaceModel:
    """An untrained model with its operators in place."""
    model = model_class(name)(topology, [f"expression_{number}" for number in range(19)], **ARGUMENTS[name])
    if hasattr(model, "levels"):
        model.levels.build(topology)
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm1d)]
    for norm in norms:
        norm.momentum = 1.0
    face = face_of(model)
    with torch.no_grad():
        model.train().encode(torch.cat([face, face + 3.0]))
    return model.eval()


def face_of(model: FaceModel) -> Tensor:
    """(1, V, 3) the template in millimeters."""
    return torch.from_numpy(model.topology.template.copy())[None]


def clock() -> float:
    """Seconds: of the processor on one thread; of the wall on more, as waiting threads would count too."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


@torch.no_grad()
def latency(model: FaceModel, repeats: int) -> float:
    """Least seconds of encode and decode of one face."""
    face, spent = face_of(model), []
    for _ in range(repeats + 2):
        began = clock()
        model.decode(model.encode(face))
        spent.append(clock() - began)
    return min(spent[2:])


def matrix_product() -> float:
    """GFLOP/s of a product of two 1,536 x 1,536 matrices."""
    a, b = torch.randn(2, 1536, 1536)
    spent = []
    for _ in range(7):
        began = clock()
        a @ b
        spent.append(clock() - began)
    return 2 * 1536**3 / min(spent) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vertices", type=int, default=26_000)
    parser.add_argument("--models", default=",".join(ARGUMENTS))
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    topology, rows = mask(options.vertices), []
    for name in options.models.split(","):
        model = built(name, topology)
        row = {
            "model": name, "vertices": topology.vertex_count, "batch": 1, "threads": torch.get_num_threads(),
            "encode_decode_ms": round(1000 * latency(model, options.repeats), 1),
            "parameters": model.parameter_count, "matrix_product_gflops": round(matrix_product(), 1),
            "torch": torch.__version__, "processor": platform.machine(),
        }  # fmt: skip
        rows.append(row)
        print(row, flush=True)
    if options.out:
        with options.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
