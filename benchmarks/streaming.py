"""Streaming at the publication's size: frames a second of an expression LSTM of 28,431 vertices.

Frames are asked for one by one, with carried state, as a live application would: weights in, a mesh out. Time
does not depend on the weights' values, so the network is not trained. Given are the median and the 95th
percentile of wall time and the processor time of a frame; the goal is 33 ms (30 a second) on two cores.

    python benchmarks/streaming.py [--frames 300] [--threads 1 2] [--device cuda] [--out FILE.csv]
"""

from __future__ import annotations

import argparse
import csv
import platform
import time
from pathlib import Path

import numpy as np
import torch
from spiral_convolution import mask

from mien.apply import Act, Stream, score
from mien.models.expression_lstm import ExpressionLSTM
from mien.models.motion import MotionModel
from mien.models.pca_lstm import PcaLSTM

EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise")


def models(vertices: int) -> dict[str, MotionModel]:
    """Both decoders, ready to use but untrained."""
    topology = mask(vertices)
    torch.manual_seed(0)
    lstm, pca = ExpressionLSTM(topology, EMOTIONS), PcaLSTM(topology, EMOTIONS)
    lstm.levels.build(topology)
    torch.nn.init.normal_(pca.axes)
    for model in (lstm, pca):
        model.calibration.rest = torch.zeros(model.size)
        model.eval()
    return {"expression_lstm": lstm, "pca_lstm": pca}


def frame_times(model: MotionModel, frames: int) -> tuple[list[float], float]:
    """Milliseconds of wall time of every frame, and of processor time on average."""
    acts = [Act({"happy": 1.0}, 0.2, 0.6, 3.0, 4.0), Act({"surprise": 0.7}, 4.2, 4.5, 6.0, 8.0)]
    weights = score(EMOTIONS, acts, fps=30, duration=frames / 30, shape="linear")
    stream = Stream(model, model.topology.template)
    for row in weights[:10]:
        stream(row)
    wall, began = [], time.process_time()
    for row in weights[:frames]:
        start = time.perf_counter()
        stream(row)
        wall.append(1e3 * (time.perf_counter() - start))
    return wall, 1e3 * (time.process_time() - began) / len(wall)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--vertices", type=int, default=28_431)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    for name, model in models(options.vertices).items():
        model.to(options.device).eval()
        for threads in options.threads:
            torch.set_num_threads(threads)
            wall, processor = frame_times(model, options.frames)
            median, slow = np.percentile(wall, [50, 95])
            rows.append({
                "model": name, "vertices": options.vertices, "device": options.device, "threads": threads,
                "median_ms": round(float(median), 2), "p95_ms": round(float(slow), 2),
                "processor_ms": round(processor, 2), "frames_per_second": round(1e3 / float(median), 1),
                "torch": torch.__version__, "machine": platform.machine(),
            })  # fmt: skip
            print(rows[-1])
    if options.out:
        with options.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
