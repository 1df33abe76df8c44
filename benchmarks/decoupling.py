"""Decoupling and diversity of a few runs in seconds: what Table 1 of Abrevaya et al. compares in ablations.

    python benchmarks/decoupling.py RUN... --data DIR [--faces 100] [--members 15] [--out FILE.csv]

The lite similarity networks of ``mien evaluate --generation``, from the cache beside the data or trained
and kept there.
For each run and factor: percent of the faces with one code that count as the same, the same of random faces,
and the former at a threshold that lets 10 % of the run's own random pairs pass; mean vertex distances in mm
of random pairs and of pairs that share a code; faces of a label's code that a classifier of real faces names
as labeled.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import torch

from mien.data.dataset import FaceDataset
from mien.evaluation.generation.classifier import Classifier
from mien.evaluation.generation.decoupling import decoupling_values
from mien.evaluation.generation.diversity import diversity_of
from mien.evaluation.generation.draws import SHORT, RandomFaces, short
from mien.evaluation.generation.settings import settings_of
from mien.evaluation.generation.similarity import SimilarityNetwork, label_numbers, similarity_network
from mien.models import load_model
from mien.models.base import FaceModel


def networks_of(data: FaceDataset) -> dict[str, SimilarityNetwork]:
    """The lite similarity networks of the standard profile."""
    train = data.split("train")
    held = data.take(np.flatnonzero(~np.isin(data.row_subject, np.unique(train.row_subject))))
    training, division = settings_of("standard").training("lite"), f"{data.fingerprint}-subject-0-False"
    return {factor: similarity_network(train, held, factor, training, division=division) for factor in SHORT}


def row_of(
    model: FaceModel, networks: dict[str, SimilarityNetwork], classifier: Classifier, faces: int, members: int
) -> dict[str, float]:
    """All numbers of one run."""
    row = {}
    for factor, network in networks.items():
        families = RandomFaces(model, seed=1).families(factor, faces, members)
        codes = np.stack([network.embed(family) for family in families])
        for ending, values in decoupling_values(codes, network.threshold.distance).items():
            row[f"dec_{short(factor)}_lite{ending}"] = float(values.mean())
    parts = [diversity_of(part) for part in RandomFaces(model, seed=0).relatives(10 * faces)]
    row |= {name: float(np.concatenate([part[name] for part in parts]).mean()) for name in parts[0]}
    drawn, right = RandomFaces(model, seed=3), []
    with torch.no_grad():
        for number, weights in enumerate(torch.eye(len(model.expressions))):
            crowd = drawn.codes(20)
            shown = model.express(weights.expand(20, -1).to(model.device))
            right.append(classifier.named(drawn.faces(crowd.replace(expression=shown))) == number)
    return row | {"cls_exp_held": 100 * float(np.mean(right))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--faces", type=int, default=100)
    parser.add_argument("--members", type=int, default=15)
    parser.add_argument("--out", type=Path, help="CSV to write")
    options = parser.parse_args()
    data = FaceDataset.load(options.data)
    networks, train = networks_of(data), data.split("train")
    classifier = Classifier.fit(train, label_numbers(train, "expression"))
    rows = []
    for run in options.runs:
        found = row_of(load_model(str(run)), networks, classifier, options.faces, options.members)
        rows.append({"run": run.name} | {name: f"{value:.2f}" for name, value in found.items()})
        print("  ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
    if options.out:
        with options.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
