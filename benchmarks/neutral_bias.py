"""How much of a neutral face's error is the same for everybody: a mask, not a mistake about the person.

    python benchmarks/neutral_bias.py RUN... --data DIR

Millimeters, scans of unseen people: the mean vertex distance to the true neutrals (neu_avd), that of the mean
error field alone, and what is left without it; how far the neutral faces of different people lie apart is in
``mien evaluate``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mien.apply import neutralize
from mien.data.dataset import FaceDataset
from mien.models import load_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    data = FaceDataset.load(options.data).split("test")
    for run in options.runs:
        wrong = neutralize(load_model(str(run)), data[:])
        wrong -= data.neutral_of(np.arange(len(data)))
        shared = wrong.mean(0)
        parts = {"neu_avd": wrong, "same for everybody": shared, "the rest": wrong - shared}
        print(
            run.name, {name: round(float(np.linalg.norm(p, axis=-1).mean()), 2) for name, p in parts.items()}
        )


if __name__ == "__main__":
    main()
