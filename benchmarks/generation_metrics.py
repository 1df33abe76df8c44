"""Cost of the generation metrics: specificity against a large training set, and pictures of normals.

    python benchmarks/generation_metrics.py --data DIR [--meshes 30559] [--vertices 22129] [--samples 1000]
        [--threads 1] [--out FILE.csv]

The training set has the size of the one in Abrevaya et al. (ICCV 2019): 30,559 meshes of 22,129 vertices. It
is never in memory or on disk: each block is made when it is read, as a mixture of two faces of a data set
plus a tenth of a third one, with vertices repeated until there are enough. Samples are such mixtures, too.
As in ``mien evaluate --generation``, a hundred samples are in memory at once. The time to make the blocks is
measured and left out. The first two answers are checked against all distances.
"""

from __future__ import annotations

import argparse
import csv
import platform
import resource
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.evaluation.distances import avd
from mien.evaluation.generation.nearest import NearestMeshes
from mien.geometry.orthographic import Screen, normal_images

#: Samples in memory at once: what ``mien evaluate --generation`` draws at a time.
PART = 100


class Mixtures:
    """Meshes made of a data set's faces when they are read; row numbers decide them."""

    def __init__(self, data: FaceDataset, count: int, vertices: int, seed: int) -> None:
        self.faces = data[np.linspace(0, len(data) - 1, min(len(data), 800)).astype(int)]
        self.count = count
        generator = np.random.default_rng(seed)
        # Neighbors on the face are repeated, a millimeter apart, so that patches stay compact.
        self.source = np.sort(np.arange(vertices) % self.faces.shape[1])
        self.jitter = generator.normal(scale=0.5, size=(vertices, 3)).astype(np.float32)
        self.parents = generator.integers(len(self.faces), size=(count, 3))
        self.share = generator.uniform(0, 1, size=(count, 1, 1)).astype(np.float32)
        self.seconds = 0.0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        began = time.process_time()
        first, second, third = (self.faces[self.parents[rows, k]] for k in range(3))
        share = self.share[rows]
        mixed = first * share + second * (1 - share) + 0.1 * (third - self.faces[0])
        found = mixed[:, self.source] + self.jitter
        self.seconds += time.process_time() - began
        return found


def specificity_cost(data: FaceDataset, meshes: int, vertices: int, samples: int) -> dict[str, float]:
    """Seconds and memory of indexing and searching, and the largest error against all distances."""
    training, drawn = (Mixtures(data, count, vertices, seed) for seed, count in ((0, meshes), (1, samples)))
    template = training[np.array([0])][0]
    began, training.seconds = time.process_time(), 0.0
    index = NearestMeshes(training, template)
    indexing = time.process_time() - began - training.seconds
    began, training.seconds = time.process_time(), 0.0
    parts = [np.arange(k, min(k + PART, samples)) for k in range(0, samples, PART)]
    found = [index.nearest(drawn[part]) for part in parts]
    searching = time.process_time() - began - training.seconds - drawn.seconds
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    worst = 0.0
    for sample, mesh in enumerate(drawn[np.arange(2)]):
        best = min(
            float(avd(training[np.arange(k, min(k + 64, meshes))], mesh).min()) for k in range(0, meshes, 64)
        )
        worst = max(worst, abs(best - found[0].distance[sample]))
    measured = sum(part.measured for part in found)
    return {
        "meshes": meshes, "vertices": vertices, "samples": samples, "index_seconds": indexing,
        "search_seconds": searching, "measured_share": measured / (meshes * samples),
        "largest_error_mm": worst, "peak_memory_gb": memory,
    }  # fmt: skip


def pictures_per_second(data: FaceDataset, size: int, count: int = 64) -> float:
    """Pictures of normals a second."""
    faces = torch.from_numpy(data.topology.faces).long()
    vertices, screen = torch.from_numpy(data[:count]), Screen.around(data.topology, size)
    spent = []
    for _ in range(3):
        began = time.process_time()
        normal_images(vertices, faces, screen)
        spent.append(time.process_time() - began)
    return len(vertices) / min(spent)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--meshes", type=int, default=30_559)
    parser.add_argument("--vertices", type=int, default=22_129)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = FaceDataset.load(options.data)
    row: dict[str, object] = dict(specificity_cost(data, options.meshes, options.vertices, options.samples))
    row |= {
        f"pictures_of_{size}_px_per_second": round(pictures_per_second(data, size), 1) for size in (64, 224)
    }
    row |= {"threads": options.threads, "torch": torch.__version__, "processor": platform.machine()}
    cells = {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in row.items()}
    for name, value in cells.items():
        print(f"{name}: {value}")
    if options.out:
        with options.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(cells), lineterminator="\n")
            writer.writeheader()
            writer.writerow(cells)


if __name__ == "__main__":
    main()
