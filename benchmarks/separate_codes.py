"""What codes of 20 + 5 numbers can hold at best when they keep person and expression apart: linear floors.

    python benchmarks/separate_codes.py --data DIR [--identity 20] [--expression 5]

Mean vertex distance on unseen people, millimeters. Reconstruction: all numbers free (PCA), against a person's
numbers from the true neutral and the expression's from the true displacement. Transfer: the class mean of the
training people, its label given, on the true neutral, on the neutral that the identity numbers hold, and
through the expression numbers.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.displacement import displaced_rows, mean_displacements
from mien.evaluation.distances import avd
from mien.evaluation.scans import TestScans, TransferDraws
from mien.nn.principal import principal_axes


def held(vertices: NDArray, mean: NDArray, axes: NDArray) -> NDArray[np.float32]:
    """(n, V, 3) faces or displacements as some axes hold them."""
    flat = vertices.reshape(len(vertices), -1) - mean
    return (mean + (flat @ axes.T) @ axes).reshape(vertices.shape)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--identity", type=int, default=20)
    parser.add_argument("--expression", type=int, default=5)
    options = parser.parse_args()
    data = FaceDataset.load(options.data)
    scans = TestScans.of(data, part="test", protocol="subject", seed=0, limit=None)
    train, draws = scans.train, TransferDraws.of(scans, styles=1, limit=None)

    people = np.unique(train.row_subject, return_index=True)[1]
    who = principal_axes(train.neutral_of, people, options.identity, label="axes of neutrals")
    what = principal_axes(lambda rows: train[rows] - train.neutral_of(rows), displaced_rows(train),
                          options.expression, centered=False, label="axes of displacements")  # fmt: skip
    size = options.identity + options.expression
    together = principal_axes(train.__getitem__, np.arange(len(train)), size, label="axes of faces")

    faces, neutrals = scans.data[:], scans.neutrals[scans.person]
    known = held(scans.neutrals, who.mean, who.axes)
    moved = held(faces - neutrals, 0.0, what.axes)
    numbers = {
        f"reconstruction, {size} numbers of PCA": avd(faces, held(faces, together.mean, together.axes)),
        f"reconstruction, {options.identity} of the neutral + {options.expression} of the displacement":
            avd(faces, known[scans.person] + moved),
        f"neutral, {options.identity} numbers": avd(scans.neutrals, known),
    }  # fmt: skip
    person, label = scans.person[draws.target], scans.label[draws.target]
    truth, means = scans.data[draws.target], mean_displacements(train)
    numbers |= {
        "transfer, class mean on the true neutral": avd(truth, scans.neutrals[person] + means[label]),
        f"transfer, class mean on {options.identity} numbers of the neutral":
            avd(truth, known[person] + means[label]),
        f"transfer, class mean in {options.expression} numbers, on the true neutral":
            avd(truth, scans.neutrals[person] + held(means, 0.0, what.axes)[label]),
        f"transfer, class mean in {options.expression} numbers, on {options.identity} of the neutral":
            avd(truth, known[person] + held(means, 0.0, what.axes)[label]),
    }  # fmt: skip
    for name, errors in numbers.items():
        print(f"{errors.mean():.2f}  {name}")


if __name__ == "__main__":
    main()
