"""Whether faces of a source look like faces and do what they are asked: a network for photographs says.

People of a source are drawn from the front as the sheet of the README draws them, at rest and with seven
expressions. MediaPipe's face landmarker (:mod:`mien.find`) looks for a face in each picture and scores
ARKit's blendshapes. An expression counts as read where one of its own scores rises by at least a tenth over
the same person's face at rest, and further than on any other of the person's faces but those that share it.

    python benchmarks/read_faces.py makehuman --out benchmarks/results/2026-11-30-cpu-read-faces-makehuman.csv
    python benchmarks/read_faces.py makehuman --seeds 1 2 3 \
        --out benchmarks/results/2026-11-30-cpu-read-faces-makehuman-others.csv

Half a minute of processor time for eight people. Sizes of units, and which scores tell an expression, were
chosen while looking at the people of seed 0; those of the other seeds were looked at once, afterwards.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import mien
from mien.figures.faces import draw_row
from mien.find.film import Watcher
from mien.find.landmarker import Landmarker
from mien.find.scores import SCORED, Scorer
from mien.find.weights import landmarker_file

RISE = 0.1
PIXELS, TEXELS = 256, 512
#: Expression -> the scores that tell it.
TELLING = {
    "smile": ("mouthSmileLeft", "mouthSmileRight"),
    "mouth_stretch": ("jawOpen",),
    "eye_closed": ("eyeBlinkLeft", "eyeBlinkRight"),
    "brow_raiser": ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
    "lip_puckerer": ("mouthPucker",),
    "anger": ("browDownLeft", "browDownRight"),
    "sadness": ("mouthFrownLeft", "mouthFrownRight", "mouthShrugLower", "browInnerUp"),
}
BUILDERS = {"makehuman": mien.build_makehuman, "procedural": mien.build_procedural}


def scores_of(data: mien.FaceDataset, people: int) -> NDArray[np.float64]:
    """(people, 8, 52) scores at rest and with each expression; NaN where no face is found."""
    networks = landmarker_file()
    if networks is None:
        raise SystemExit("there is no face landmarker on this machine")
    landmarker, scorer = Landmarker(networks), Scorer(networks)
    names = ["", *data.expressions]
    found = np.full((people, 1 + len(TELLING), len(SCORED)), np.nan)
    for person in range(people):
        for column, name in enumerate(("", *TELLING)):
            mine = (data.row_subject == person) & (data.label == names.index(name) - 1)
            picture = draw_row(data, int(np.flatnonzero(mine)[0]), size=PIXELS)
            found[person, column] = Watcher(landmarker, scorer).scores(Image.fromarray(picture))
    return found


def rows_of(scores: NDArray[np.float64]) -> list[dict[str, object]]:
    """A row an expression: how many faces are found, and from how many people it is read."""
    rises = scores - scores[:, :1]
    told = np.stack(
        [rises[:, 1:, [SCORED.index(name) for name in own]].max(axis=2) for own in TELLING.values()], axis=2
    )  # person, face, expression whose scores they are
    rows: list[dict[str, object]] = []
    for number, (name, own) in enumerate(TELLING.items()):
        apart = [k for k, other in enumerate(TELLING.values()) if k != number and not set(own) & set(other)]
        rise = told[:, number, number]
        read = (rise >= RISE) & (rise > told[:, apart, number].max(axis=1))
        rows.append({
            "expression": name, "scores": " ".join(own), "people": len(scores),
            "found": int(np.isfinite(scores[:, number + 1, 0]).sum()), "read": int(read.sum()),
            "median_rise": round(float(np.median(rise)), 3), "least_rise": round(float(rise.min()), 3),
        })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", choices=BUILDERS)
    parser.add_argument("--people", type=int, default=8, help="of each seed")
    parser.add_argument("--textures", type=int, default=TEXELS, help="0 draws clay")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            data = BUILDERS[options.source](
                Path(folder) / "faces", subjects=options.people, seed=seed, textures=options.textures or None
            )
            found.append(scores_of(data, options.people))
    scores = np.concatenate(found)
    rows = rows_of(scores)
    rest = int(np.isfinite(scores[:, 0, 0]).sum())
    rows.insert(0, {"expression": "at rest", "people": len(scores), "found": rest})
    print(f"found: {int(np.isfinite(scores[..., 0]).sum())} of {scores.shape[0] * scores.shape[1]} faces")
    for row in rows:
        print(row)
    if options.out:
        with options.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[1]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
