"""The server's share of a moving slider: decode one face, answer over HTTP, read it in the client.

A page that shows 30 frames a second has 33 ms for each; what is measured here is how much of that the Python
process takes for meshes of 10,000 vertices. Weights of the networks are random, which costs the same time.

    python benchmarks/studio.py [--vertices 10000] [--device cpu] [--frames 300] [--out FILE.csv]

Columns: ``decode_ms`` is the model alone, ``answer_ms`` a whole request as the page makes it (action, JSON,
decode, vertices through the socket), both the median; ``answer_p95_ms`` its 95th percentile,
``frames_per_second`` what one page can ask for, one request after the other, and ``processor_ms`` the
processor time of a request, server and client together: what to read where other work shares the machine.
"""

from __future__ import annotations

import argparse
import csv
import http.client
import json
import platform
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien.models import model_class
from mien.models.base import FaceModel
from mien.topology import Topology
from mien.viewer import Engine, Studio, StudioServer
from mien.viewer.wire import unpack

NAMES = tuple(f"expression_{k}" for k in range(20))
MODELS: dict[str, dict[str, Any]] = {
    "pca": {"size": 64, "expression_size": 20},
    "morphable": {},
    "adversarial_vae": {},
    "facetunegan": {},
    "spiralnet": {},
    "coma": {},
}


def sheet(count: int) -> Topology:
    """A curved sheet of about ``count`` vertices, 160 x 200 mm."""
    columns = round((count * 0.8) ** 0.5)
    rows = round(count / columns)
    x, y = np.meshgrid(np.linspace(-80, 80, columns), np.linspace(-100, 100, rows))
    template = np.stack([x.ravel(), y.ravel(), 60 * np.cos(x.ravel() / 60)], axis=1).astype(np.float32)
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    lower = np.stack([corner, corner + 1, corner + columns + 1], axis=1)
    upper = np.stack([corner, corner + columns + 1, corner + columns], axis=1)
    return Topology("sheet", np.concatenate([lower, upper]), template)


def prepared(name: str, topology: Topology) -> FaceModel:
    """A model with random contents of its usual sizes."""
    from mien.data.dataset import FaceDataset

    rng = np.random.default_rng(0)
    people, per_person = 80, len(NAMES) + 1
    low = rng.normal(size=(40, topology.vertex_count, 3)).astype(np.float32)
    mix = rng.normal(size=(people * per_person, 40)).astype(np.float32) / 6
    faces = topology.template + np.tensordot(mix, low, axes=1)
    weights = np.tile(np.concatenate([np.zeros((1, len(NAMES))), np.eye(len(NAMES))]), (people, 1))
    data = FaceDataset(
        topology, NAMES, faces, weights, np.repeat(np.arange(people), per_person),
        tuple(f"p{k}" for k in range(people)),
    )  # fmt: skip
    model = model_class(name)(topology, NAMES, **MODELS[name])
    model.prepare(data)
    model.calibrate(data.split("test"))
    return model.eval()


def measured(name: str, topology: Topology, device: str, frames: int) -> dict[str, Any]:
    """One row."""
    engine = Engine(name, prepared(name, topology).to(device))
    studio = Studio([engine])
    decode = []
    for _ in range(max(10, frames // 10)):
        began = time.perf_counter()
        engine.face(studio.history.state)
        decode.append(time.perf_counter() - began)
    server = StudioServer(studio)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    busy = time.process_time()
    answers = dragged(server, frames, topology.vertex_count)
    busy = (time.process_time() - busy) / frames
    server.shutdown()
    answers.sort()
    return {
        "model": name, "vertices": topology.vertex_count, "device": device,
        "decode_ms": round(1000 * statistics.median(decode), 2),
        "answer_ms": round(1000 * statistics.median(answers), 2),
        "answer_p95_ms": round(1000 * answers[int(0.95 * len(answers))], 2),
        "frames_per_second": round(len(answers) / sum(answers), 1),
        "processor_ms": round(1000 * busy, 2),
        "threads": torch.get_num_threads(), "torch": torch.__version__, "processor": platform.machine(),
    }  # fmt: skip


def dragged(server: StudioServer, frames: int, vertices: int) -> list[float]:
    """Seconds of each answer while one slider is dragged."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=60)
    seconds = []
    for frame in range(frames):
        arguments = {"name": NAMES[0], "value": 0.01 + frame % 100 / 100}
        body = json.dumps({"action": "set_weight", "arguments": arguments, "merge": "drag"})
        began = time.perf_counter()
        connection.request("POST", "/api/act", body, {"X-Mien-Key": server.key})
        answer = connection.getresponse()
        data = answer.read()
        seconds.append(time.perf_counter() - began)
        assert answer.status == 200 and len(unpack(data)[1]) >= 3 * vertices
    return seconds[5:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--vertices", type=int, default=10_000)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    topology = sheet(options.vertices)
    rows = []
    for name in options.models:
        rows.append(measured(name, topology, options.device, options.frames))
        print(
            {
                k: rows[-1][k]
                for k in (
                    "model",
                    "decode_ms",
                    "answer_ms",
                    "answer_p95_ms",
                    "frames_per_second",
                    "processor_ms",
                )
            }
        )
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with options.out.open("w", newline="") as file:
            table = csv.DictWriter(file, rows[0], lineterminator="\n")
            table.writeheader()
            table.writerows(rows)


if __name__ == "__main__":
    main()
