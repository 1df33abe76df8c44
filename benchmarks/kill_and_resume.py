"""Kills a training with SIGKILL at random moments, resumes it, and compares the weights with an uncut run.

    python benchmarks/kill_and_resume.py [--kills 10] [--seed 0]

Exit code 0 if the final weights are bit-identical. A small adversarial VAE on procedural faces, all stages.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mien.data.sources.procedural.build import build_procedural
from mien.progress import track

SETTINGS = {
    "steps": 60, "pretraining_steps": 20, "batch_size": 8, "validate_every": 15, "identity_size": 8,
    "expression_size": 8, "closed_form_finish": 5,
}  # fmt: skip
TRAIN = """
import sys
from mien.data.dataset import FaceDataset
from mien.training import fit_model, plan_training
plan = plan_training("adversarial_vae", {settings!r}, profile="smoke")
fit_model(plan, FaceDataset.load(sys.argv[1]), sys.argv[2], resume=True, progress=False, save_seconds=0.2)
"""


def start(data: Path, out: Path) -> subprocess.Popen[bytes]:
    """The training as a process of its own."""
    return subprocess.Popen([sys.executable, "-c", TRAIN.format(settings=SETTINGS), str(data), str(out)])


def digest(out: Path) -> str:
    return hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()


def wait_for_training(out: Path, process: subprocess.Popen[bytes]) -> None:
    """Until the run has a checkpoint, so that the cut falls into training and not into start-up."""
    while process.poll() is None and not (out / "checkpoint.safetensors").exists():
        time.sleep(0.05)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance, killed = random.Random(options.seed), 0
    with tempfile.TemporaryDirectory() as folder:
        data, whole, cut = (Path(folder) / name for name in ("data", "whole", "cut"))
        build_procedural(data, subjects=12, expressions="emotion6", vertices=600, seed=0)
        began = time.monotonic()
        if start(data, whole).wait():
            return 1
        seconds = time.monotonic() - began
        for _ in track(range(options.kills), "kills"):
            process = start(data, cut)
            wait_for_training(cut, process)
            time.sleep(chance.uniform(0, seconds / 3))
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                killed += 1
            process.wait()
        if start(data, cut).wait():
            return 1
        same = digest(whole) == digest(cut)
    print(f"{killed} kills of a run of {seconds:.0f} s: final weights {'identical' if same else 'DIFFERENT'}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
