"""Milliseconds from a mesh to its codes and back, one face at a time, as an interactive program needs it.

    python benchmarks/mesh_latency.py [--vertices 26000] [--models facetunegan,spiralnet,...] [--out FILE.csv]

Networks have their publications' sizes for FaceScape meshes and random weights: time does not depend on them.
The machine's own matrix-product speed stands beside each figure.
"""

from __future__ import annotations

import argparse
import csv
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from spiral_convolution import mask

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
    return model.eval()


@torch.no_grad()
def latency(model: FaceModel, repeats: int) -> float:
    """Median seconds of encode and decode of one face."""
    face = torch.from_numpy(model.topology.template.copy())[None]
    spent = []
    for _ in range(repeats + 2):
        began = time.perf_counter()
        model.decode(model.encode(face))
        spent.append(time.perf_counter() - began)
    return statistics.median(spent[2:])


def matrix_product() -> float:
    """GFLOP/s of a product of two 1,536 x 1,536 matrices."""
    a, b = torch.randn(2, 1536, 1536)
    spent = []
    for _ in range(7):
        began = time.perf_counter()
        a @ b
        spent.append(time.perf_counter() - began)
    return 2 * 1536**3 / min(spent) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vertices", type=int, default=26_000)
    parser.add_argument("--models", default=",".join(ARGUMENTS))
    parser.add_argument("--repeats", type=int, default=15)
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
