"""Do named expressions look like their labels? The mean person of a model beside the training people's means.

    python benchmarks/named_expressions.py RUN... --data DIR

For each run: distance of the mean person at rest to the mean neutral (mm), and the correlation of every named
expression's displacement with the mean displacement of its label, mean and worst. Models with a fixed code a
label (``decoupled_gan``) are also asked with those codes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mien.data.dataset import FaceDataset
from mien.data.displacement import mean_displacements
from mien.models import load_model
from mien.models.base import FaceModel


@torch.no_grad()
def compared(model: FaceModel, codes: Tensor, means: np.ndarray, neutral: np.ndarray) -> str:
    """One line about (E + 1, ...) expression codes, rest last."""
    faces = model.decode(model.origin(len(codes)).replace(expression=codes)).numpy()
    moved = (faces[:-1] - faces[-1]).reshape(len(means), -1)
    alike = [np.corrcoef(a, b.ravel())[0, 1] for a, b in zip(moved, means, strict=True)]
    rest = np.linalg.norm(faces[-1] - neutral, axis=1).mean()
    return f"rest {rest:.2f} mm, correlation {np.mean(alike):.2f}, worst {min(alike):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    train = FaceDataset.load(options.data).split("train")
    means = mean_displacements(train)
    people = np.unique(train.row_subject, return_index=True)[1]
    neutral = train.neutral_of(people).mean(axis=0)
    for run in options.runs:
        model = load_model(run)
        count = len(model.expressions)
        named = model.express(torch.cat([torch.eye(count), torch.zeros(1, count)]))
        print(f"{run.name}: named expressions: {compared(model, named, means, neutral)}")
        if hasattr(model, "label_codes"):
            fixed = model.label_codes("expression")
            print(f"{run.name}: codes of labels:   {compared(model, fixed, means, neutral)}")


if __name__ == "__main__":
    main()
