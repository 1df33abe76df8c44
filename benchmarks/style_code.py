"""Whether FaceTuneGAN's mapping network lives: what is left of it where it is narrowest.

    python benchmarks/style_code.py RUN... --data DIR

Unseen people: the share of ReLU units that any face opens, layer by layer of M, and the deviation of each
number of the style code over faces. Dead units cannot come back; a code of zeros says nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import nn

from mien.data.dataset import FaceDataset
from mien.models import load_model
from mien.models.facetunegan.model import FaceTuneGAN


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    faces = torch.from_numpy(FaceDataset.load(options.data).split("test")[:])
    for run in options.runs:
        model = load_model(str(run))
        assert isinstance(model, FaceTuneGAN)
        x = style = model.encode(faces).expression
        alive = []
        for layer in model.mapping:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                alive.append(round(float((x > 0).any(0).float().mean()), 2))
        print(run.name, "living units", alive, "style deviation", style.std(0).tolist())


if __name__ == "__main__":
    main()
