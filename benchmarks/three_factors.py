"""How far a model keeps identity, expression and a further factor apart.

    python benchmarks/three_factors.py RUN --data DIR [--faces 50] [--members 20] [--out FILE.csv]

For every factor a similarity network that knows all labels (on principal components, with a threshold chosen
on real faces of other people) says whether two faces are the same in it. Faces that share one factor's code
and nothing else are then shown to all networks: wanted is 100 on the diagonal, and what random faces score
elsewhere. The last rows are random faces of the model, and real faces: pairs with the same label, and random
pairs.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.data.dataset import FaceDataset
from mien.evaluation.generation.draws import RandomFaces
from mien.evaluation.generation.metrics import decoupling, embedding_distance
from mien.evaluation.generation.similarity import SimilarityNetwork, Training, similarity_network
from mien.models import load_model
from mien.models.base import FaceModel

Row = dict[str, str | float]


def networks_of(
    data: FaceDataset, factors: tuple[str, ...], components: int, steps: int
) -> dict[str, SimilarityNetwork]:
    """A similarity network of each factor, taught by the labels of the training people.

    Few people have few principal components worth the name; the others are the training people's own, and
    networks that see them do not know other people.
    """
    train = data.split("train")
    held = data.take(np.flatnonzero(~np.isin(data.row_subject, np.unique(train.row_subject))))
    training = Training("lite", components, steps)
    division = f"{data.fingerprint}-subject-0"
    return {
        factor: similarity_network(train, held, factor, training, division=division) for factor in factors
    }


def shares(
    model: FaceModel, networks: dict[str, SimilarityNetwork], factor: str, faces: int, members: int
) -> Row:
    """Percent of the faces with one code in common that each network takes for the same."""
    drawn = RandomFaces(model, seed=1)
    found: dict[str, list[float]] = {name: [] for name in networks}
    for family in drawn.families(factor, faces, members):
        for name, network in networks.items():
            found[name] += decoupling(network.embed(family)[None], network.threshold.distance).tolist()
    return {"faces": f"same {factor} code"} | {name: round(float(np.mean(v)), 1) for name, v in found.items()}


def random_share(model: FaceModel, networks: dict[str, SimilarityNetwork], count: int) -> Row:
    """The same for faces that share nothing."""
    drawn = RandomFaces(model, seed=2)
    meshes = drawn.faces(drawn.codes(count))
    first, second = np.triu_indices(count, 1)
    row: Row = {"faces": "random"}
    for name, network in networks.items():
        codes = network.embed(meshes)
        near = embedding_distance(codes[first], codes[second]) < network.threshold.distance
        row[name] = round(100 * float(near.mean()), 1)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--faces", type=int, default=50)
    parser.add_argument("--members", type=int, default=20)
    parser.add_argument("--components", type=int, default=32, help="principal components that networks see")
    parser.add_argument("--steps", type=int, default=600, help="updates of each network")
    parser.add_argument("--out", type=Path, help="CSV to write")
    options = parser.parse_args()
    model, data = load_model(str(options.run)), FaceDataset.load(options.data)
    # The file keeps the labels that training may not see; networks are to know them all.
    data = replace(data, labeled={name: np.ones(len(data.vertices), bool) for name in data.labeled})
    factors = RandomFaces(model, seed=0).factors()
    networks = networks_of(data, factors, options.components, options.steps)
    rows = [shares(model, networks, factor, options.faces, options.members) for factor in factors]
    rows.append(random_share(model, networks, 200))
    for text, field in (("real, same label", "ceiling"), ("real, random", "floor"), ("accuracy", "accuracy")):
        values = {name: getattr(network.threshold, field) for name, network in networks.items()}
        rows.append({"faces": text} | {name: round(100 * value, 1) for name, value in values.items()})
    for row in rows:
        print("  ".join(f"{value!s:>22}" for value in row.values()))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with options.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
