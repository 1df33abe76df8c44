"""Generation of many faces, and training at the paper's size, of the decoupled GAN.

    python benchmarks/generate_faces.py [--vertices 22129] [--faces 10000] [--out FILE.csv] [--train-steps 3]

Generation streams faces to one array on disk, as ``mien generate -o FILE.npy`` does. The machine's limit is
the matrix product of the last layer alone, measured in the same process before and after, in batches of the
same size and into the same memory over and over; in seconds of the clock and in seconds of the processor,
which other programs on the machine do not change. Memory is the peak of the process: after a tenth of the
faces and after all of them it shows whether it grows.

Training runs the paper's configuration (batch 64, 64 x 64 images, penalty at every update) for a few steps
on synthetic faces and reports seconds, faces a second and peak memory.
"""

from __future__ import annotations

import argparse
import csv
import platform
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from mien.apply import generate_batches
from mien.data.dataset import FaceDataset
from mien.io.arrays import write_faces
from mien.models.decoupled_gan.losses import Settings
from mien.models.decoupled_gan.model import DecoupledGAN
from mien.topology import Topology


def grid(vertices: int) -> Topology:
    """A bent square mesh of about so many vertices; the GAN uses no more of a face than that."""
    side = round(vertices**0.5)
    x, y = np.meshgrid(np.linspace(-80, 80, side), np.linspace(-100, 100, -(-vertices // side)))
    points = np.stack([x.ravel(), y.ravel(), 60 - (x.ravel() / 15) ** 2 - (y.ravel() / 20) ** 2], 1)
    rows = len(x)
    corner = (np.arange(rows - 1)[:, None] * side + np.arange(side - 1)).ravel()
    lower = np.stack([corner, corner + 1, corner + side + 1], 1)
    upper = np.stack([corner, corner + side + 1, corner + side], 1)
    kept = min(vertices, len(points))
    faces = np.concatenate([lower, upper])
    return Topology("grid", faces[(faces < kept).all(1)], points[:kept])


def peak_memory() -> float:
    """Gigabytes that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


class Watch:
    """Faces a second, by the clock and by the processor."""

    def __init__(self) -> None:
        self.began = time.perf_counter(), time.process_time()

    @property
    def seconds(self) -> tuple[float, float]:
        return time.perf_counter() - self.began[0], time.process_time() - self.began[1]

    def speeds(self, faces: int) -> tuple[float, float]:
        clock, processor = self.seconds
        return faces / clock, faces / processor


def matrix_product_speed(model: DecoupledGAN, seconds: float = 4.0) -> tuple[float, float]:
    """Faces a second of the last layer's product alone."""
    last = model.generator[2]
    size = model.vertices_at_once // model.topology.vertex_count
    hidden, out = torch.randn(size, last.in_features), torch.empty(size, last.out_features)
    with torch.no_grad():
        torch.mm(hidden, last.weight.T, out=out)
        watch, done = Watch(), 0
        while watch.seconds[1] < seconds:
            torch.mm(hidden, last.weight.T, out=out)
            done += size
        return watch.speeds(done)


def generation(model: DecoupledGAN, faces: int, folder: Path) -> dict[str, float]:
    """Faces a second to disk, as a share of the product's speed, and the growth of memory."""
    shape = model.topology.vertex_count, 3
    before = matrix_product_speed(model)
    write_faces(folder / "some.npy", generate_batches(model, faces // 10, seed=0), (faces // 10, *shape))
    (folder / "some.npy").unlink()
    memory, watch = peak_memory(), Watch()
    write_faces(folder / "all.npy", generate_batches(model, faces, seed=0), (faces, *shape))
    speed = watch.speeds(faces)
    limit = [(a + b) / 2 for a, b in zip(before, matrix_product_speed(model), strict=True)]
    return {
        "faces": faces, "faces_per_second": round(speed[0], 1), "product_per_second": round(limit[0], 1),
        "share_of_product": round(speed[0] / limit[0], 3),
        "share_of_product_by_processor_time": round(speed[1] / limit[1], 3),
        "file_gb": round((folder / "all.npy").stat().st_size / 1e9, 3),
        "peak_gb_after_a_tenth": round(memory, 3), "peak_gb": round(peak_memory(), 3),
    }  # fmt: skip


def training(model: DecoupledGAN, data: FaceDataset, steps: int) -> dict[str, float]:
    """The paper's configuration: each step is three updates of D and one of G."""
    settings = Settings()
    (stage,) = model.stages(data, settings)
    generator = torch.Generator().manual_seed(0)
    took = []
    for index in range(steps + 1):
        watch = Watch()
        for name, losses in stage.step(stage.batch(generator), index):
            stage.optimizers[name].zero_grad(set_to_none=True)
            torch.stack(list(losses.values())).sum().backward()
            stage.optimizers[name].step()
        took.append(watch.seconds)
    seconds, processor = np.median(took[1:], axis=0).tolist()
    faces = settings.batch_size * settings.discriminator_updates
    return {
        "train_seconds_per_step": round(seconds, 3),
        "train_processor_seconds_per_step": round(processor, 3),
        "train_faces_per_second": round(faces / seconds, 1),
        "train_peak_gb": round(peak_memory(), 3),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--vertices", type=int, default=22129)
    parser.add_argument("--faces", type=int, default=10000)
    parser.add_argument("--train-steps", type=int, default=3, help="0 leaves training out")
    parser.add_argument("--folder", type=Path, help="where the array is written; default: a temporary folder")
    parser.add_argument("--out", type=Path, help="CSV to write")
    options = parser.parse_args()
    topology = grid(options.vertices)
    rng = np.random.default_rng(0)
    faces = topology.template + rng.normal(size=(256, *topology.template.shape)).astype(np.float32)
    weights = np.eye(7, dtype=np.float32)[rng.integers(7, size=256)][:, 1:]
    names = tuple(f"expression_{k}" for k in range(6))
    people = tuple(f"person_{k}" for k in range(64))
    data = FaceDataset(topology, names, faces, weights, np.arange(256) % 64, people)
    model = DecoupledGAN(topology, names)
    model.prepare(data)
    row: dict[str, object] = {
        "vertices": topology.vertex_count, "threads": torch.get_num_threads(), "torch": torch.__version__,
        "processor": platform.processor() or platform.machine(),
    }  # fmt: skip
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        row |= generation(model.eval(), options.faces, Path(folder))
    if options.train_steps:
        row |= training(model.train(), data, options.train_steps)
    for name, value in row.items():
        print(f"{name:36} {value}")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with options.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, row)
            writer.writeheader()
            writer.writerow(row)


if __name__ == "__main__":
    main()
