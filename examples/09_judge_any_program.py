"""Judge what any program predicts, in the same table and beside the same controls as every model.

A method in another framework, or in another language, needs no port. `mien data rows` prints which rows of
the data set may be learned from and which are to be predicted; the program reads `vertices.npy`, a plain
array of millimeters, and leaves one `.npz` file; `mien evaluate --predictions` reads it, checks that every
row is there once, and measures it like a model. The method below is plain NumPy and never imports Mien: it
learns, by ridge regression on principal components, what a person's neutral looks like given any scan.

    python examples/09_judge_any_program.py out
    mien data rows out/faces > rows.csv
    mien evaluate out/morphable --data out/faces --predictions numpy=out/predictions.npz
"""

import csv
import io
import sys
from pathlib import Path

import numpy as np

COMPONENTS, RIDGE = 60, 1e-2


def predict(faces: Path, rows: str, result: Path) -> None:
    """Everything that `rows` asks for; nothing here knows of Mien."""
    vertices = np.load(faces / "vertices.npy", mmap_mode="r")  # (N, V, 3) float32, millimeters
    table = list(csv.DictReader(io.StringIO(rows)))
    learn = [line for line in table if line["task"] == "train"]
    neutral_of = {line["subject"]: int(line["row"]) for line in table if line["expression"] == "neutral"}

    def flat(numbers: list[int]) -> np.ndarray:
        return np.asarray(vertices[numbers], np.float64).reshape(len(numbers), -1)

    x = flat([int(line["row"]) for line in learn])
    n = flat([neutral_of[line["subject"]] for line in learn])
    mean, mean_neutral = x.mean(axis=0), n.mean(axis=0)
    axes = np.linalg.svd(x - mean, full_matrices=False)[2][:COMPONENTS]
    code = (x - mean) @ axes.T
    ridge = RIDGE * np.square(code).mean() * len(code) * np.eye(len(axes))
    to_neutral = np.linalg.solve(code.T @ code + ridge, code.T @ (n - mean_neutral))

    def neutral(scans: np.ndarray) -> np.ndarray:
        return mean_neutral + (scans - mean) @ axes.T @ to_neutral

    scans = [int(line["row"]) for line in table if line["task"] == "scan"]
    pairs = [(int(line["row"]), int(line["from"])) for line in table if line["task"] == "transfer"]
    receivers = flat([neutral_of[line["subject"]] for line in table if line["task"] == "transfer"])
    seen, source = flat(scans), flat([pair[1] for pair in pairs])
    draws = np.random.default_rng(0).normal(size=(200, len(axes)))
    shape = (-1, *vertices.shape[1:])
    np.savez(
        result,
        rows=scans,
        reconstructions=(mean + (seen - mean) @ axes.T @ axes).reshape(shape),
        neutrals=neutral(seen).reshape(shape),
        transfer_rows=pairs,
        transfers=(receivers + source - neutral(source)).reshape(shape),
        samples=(mean + draws * code.std(axis=0) @ axes).reshape(shape),
    )


def main(out: Path) -> None:
    import mien
    from mien.evaluation.predictions import rows_to_predict

    data = mien.build_procedural(out / "faces", subjects=20, vertices=300)
    predict(out / "faces", rows_to_predict(data), out / "predictions.npz")
    model = mien.train("morphable", data, out=out / "morphable")
    report = mien.evaluate([model], data, predictions={"numpy": out / "predictions.npz"})
    for metric in ("rec_avd_mesh", "neu_avd", "id_mad", "transfer_avd"):
        told = ", ".join(f"{name} {report.value(name, metric):.2f}" for name in ("morphable", "numpy"))
        print(f"{metric}: {told} mm")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("out"))
