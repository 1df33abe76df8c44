"""How fast exported decoders are beside PyTorch, on one core.

python benchmarks/exported_decoders.py MODEL_DIR... [--out results.csv]

Processor time of one decode, the best of many: other work on the machine does not count. Every exported
decoder is compared with the model first, as ``mien export`` does.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from mien.apply.export import export_decoder
from mien.codes import Codes
from mien.errors import MienError
from mien.models import load_model

BATCHES = (1, 32)
SECONDS = 1.0


def best(run: Callable[[], object]) -> float:
    """Milliseconds of the fastest of many calls."""
    times, end = [], time.monotonic() + SECONDS
    for _ in range(3):
        run()
    while time.monotonic() < end or len(times) < 5:
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return 1000 * min(times)


def rows_of(folder: Path) -> list[dict[str, object]]:
    import onnxruntime

    model = load_model(str(folder))
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as place:
        graph = export_decoder(model, Path(place) / "face.onnx")
        script = export_decoder(model, Path(place) / "face.pt", format="torchscript")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(graph.path), options, providers=["CPUExecutionProvider"])
        traced = torch.jit.load(str(script.path))
        for batch in BATCHES:
            start = model.origin(batch)
            codes = Codes(start.identity.contiguous(), start.expression.contiguous())
            feed = {"identity": codes.identity.numpy(), "expression": codes.expression.numpy()}
            with torch.no_grad():
                rows.append({
                    "model": model.name, "vertices": model.topology.vertex_count, "batch": batch,
                    "pytorch_ms": round(best(lambda: model.decode(codes)), 3),  # noqa: B023
                    "torchscript_ms": round(best(lambda: traced(codes.identity, codes.expression)), 3),  # noqa: B023
                    "onnx_ms": round(best(lambda: session.run(None, feed)), 3),  # noqa: B023
                    "onnx_mib": round(graph.path.stat().st_size / 2**20, 2),
                    "difference_mm": f"{max(graph.difference_mm or 0, script.difference_mm or 0):.1e}",
                })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, object]] = []
    for folder in arguments.models:
        try:
            rows += rows_of(folder)
        except MienError as error:
            print(f"{folder}: {error}", file=sys.stderr)
    target = arguments.out.open("w", newline="") if arguments.out else sys.stdout
    writer = csv.DictWriter(target, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


if __name__ == "__main__":
    main()
