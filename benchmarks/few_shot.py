"""Transfer with a style averaged from a few faces: how much of one performer's manner the mean leaves out.

    python benchmarks/few_shot.py RUN... --data DIR [--examples 1 3 10 30] [--draws 3]

The expression codes of k training people who show an expression are averaged and put on the neutral of every
unseen person. Mean vertex distance in mm to that person's own scan of it, plain and with the detail
that the codes lose of the neutral added back.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from mien.apply.coding import codes_of, decoded
from mien.data.dataset import FaceDataset
from mien.evaluation.distances import avd
from mien.evaluation.scans import TestScans
from mien.models import load_model
from mien.models.base import FaceModel


@torch.no_grad()
def errors(model: FaceModel, scans: TestScans, count: int, draws: int) -> tuple[float, float]:
    """Plain and with detail kept, over all labeled expressive scans and some draws of examples."""
    train, generator = scans.train, np.random.default_rng(0)
    rows = np.flatnonzero(scans.performed)
    person, label, truth = scans.person[rows], scans.label[rows], scans.data[rows]
    known = codes_of(model, scans.neutrals)
    lost = scans.neutrals - decoded(model, known)
    found = []
    for _ in range(draws):
        styles = {}
        for name in np.unique(label):
            examples = generator.permutation(np.flatnonzero(train.label == name))[:count]
            styles[name] = codes_of(model, train[examples]).expression.mean(0)
        expression = torch.stack([styles[name] for name in label])
        made = decoded(model, known[torch.from_numpy(person)].replace(expression=expression))
        found.append((avd(truth, made).mean(), avd(truth, made + lost[person]).mean()))
    plain, kept = np.mean(found, axis=0)
    return float(plain), float(kept)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--examples", type=int, nargs="+", default=[1, 3, 10, 30])
    parser.add_argument("--draws", type=int, default=3)
    options = parser.parse_args()
    data = FaceDataset.load(options.data)
    scans = TestScans.of(data, part="test", protocol="subject", seed=0, limit=None)
    for run in options.runs:
        model = load_model(run)
        for count in options.examples:
            plain, kept = errors(model, scans, count, options.draws)
            print(
                f"{run.name}  examples {count:3d}  transfer {plain:.2f}  detail kept {kept:.2f}", flush=True
            )


if __name__ == "__main__":
    main()
