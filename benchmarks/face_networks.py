"""The two networks that find faces: PyTorch against ai-edge-litert, time of a call and agreement.

Processor time of one call on one core, the least of twenty, so that a busy machine does not count:

    python benchmarks/face_networks.py [--out FILE.csv]
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mien.find.tflite import Network
from mien.find.weights import landmarker_file, read_networks


def least_milliseconds(network: Callable[[NDArray], object], picture: NDArray, rounds: int = 20) -> float:
    """The shortest of some calls."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        network(picture)
        taken.append(time.process_time() - start)
    return 1000 * min(taken)


class LiteRT:
    """The same network, run by Google's run-time."""

    def __init__(self, data: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self._run = Interpreter(model_content=data, num_threads=1)
        self._run.allocate_tensors()
        self._input = self._run.get_input_details()[0]["index"]
        self._outputs = {item["name"]: item["index"] for item in self._run.get_output_details()}

    def __call__(self, pictures: NDArray) -> dict[str, NDArray]:
        self._run.set_tensor(self._input, pictures)
        self._run.invoke()
        return {name: self._run.get_tensor(number) for name, number in self._outputs.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    path = landmarker_file()
    if path is None:
        raise SystemExit("there is no face landmarker on this machine")
    rows = []
    for name, data in zip(("detector", "landmarks"), read_networks(path), strict=True):
        here, there = Network(data, name), LiteRT(data)
        picture = np.random.default_rng(0).random((1, here.size, here.size, 3)).astype(np.float32)
        mine, theirs = here(picture), there(picture)
        apart = max(float(np.abs(mine[key].ravel() - theirs[key].ravel()).max()) for key in mine)
        rows.append({
            "network": name, "torch_ms": round(least_milliseconds(here, picture), 2),
            "litert_ms": round(least_milliseconds(there, picture), 2),
            "largest_difference": f"{apart:.1e}",
        })  # fmt: skip
        print(rows[-1])
    if options.out:
        with options.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
