"""How far a model keeps identity, expression and a further factor apart.

    python benchmarks/three_factors.py RUN --data DIR [--faces 50] [--members 20] [--out FILE.csv]

For every factor a judge that knows all labels (a network on principal components, with a threshold chosen on
real faces of other people) says whether two faces are the same in it. Faces that share one factor's code and
nothing else are then shown to all judges: wanted is 100 on the diagonal, and what random faces score
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
from mien.evaluation.generation.similarity import SimilarityNetwork, Training, distance, similarity_network
from mien.models import load_model
from mien.models.base import FaceModel

Row = dict[str, str | float]


def judges_of(
    data: FaceDataset, factors: tuple[str, ...], components: int, steps: int
) -> dict[str, SimilarityNetwork]:
    """A judge of each factor, taught by the labels of the training people.

    Few people have few principal components worth the name; the others are the training people's own, and
    judges that see them do not know other people.
    """
    train = data.split("train")
    held = data.take(np.flatnonzero(~np.isin(data.row_subject, np.unique(train.row_subject))))
    training = Training("lite", components, steps)
    division = f"{data.fingerprint}-subject-0"
    return {
        factor: similarity_network(train, held, factor, training, division=division) for factor in factors
    }


def shares(
    model: FaceModel, judges: dict[str, SimilarityNetwork], factor: str, faces: int, members: int
) -> Row:
    """Percent of the faces with one code in common that each judge takes for the same."""
    drawn = RandomFaces(model, seed=1)
    found: dict[str, list[float]] = {name: [] for name in judges}
    for family in drawn.families(factor, faces, members):
        for name, judge in judges.items():
            found[name].append(100 * float(judge.same(family).mean()))
    return {"faces": f"same {factor} code"} | {name: round(float(np.mean(v)), 1) for name, v in found.items()}


def random_share(model: FaceModel, judges: dict[str, SimilarityNetwork], count: int) -> Row:
    """The same for faces that share nothing."""
    drawn = RandomFaces(model, seed=2)
    meshes = drawn.faces(drawn.codes(count))
    first, second = np.triu_indices(count, 1)
    row: Row = {"faces": "random"}
    for name, judge in judges.items():
        codes = judge.embed(meshes)
        near = distance(codes[first], codes[second]) < judge.calibration.threshold
        row[name] = round(100 * float(near.mean()), 1)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--faces", type=int, default=50)
    parser.add_argument("--members", type=int, default=20)
    parser.add_argument("--components", type=int, default=32, help="principal components that judges see")
    parser.add_argument("--steps", type=int, default=600, help="updates of each judge")
    parser.add_argument("--out", type=Path, help="CSV to write")
    options = parser.parse_args()
    model, data = load_model(str(options.run)), FaceDataset.load(options.data)
    # The file keeps the labels that training may not see; judges are to know them all.
    data = replace(data, labeled={name: np.ones(len(data.vertices), bool) for name in data.labeled})
    factors = RandomFaces(model, seed=0).factors()
    judges = judges_of(data, factors, options.components, options.steps)
    rows = [shares(model, judges, factor, options.faces, options.members) for factor in factors]
    rows.append(random_share(model, judges, 200))
    for text, field in (("real, same label", "ceiling"), ("real, random", "floor"), ("accuracy", "accuracy")):
        values = {name: getattr(judge.calibration, field) for name, judge in judges.items()}
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
