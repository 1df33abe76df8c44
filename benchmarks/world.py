"""What can be learned in a performed world: measures of data sets that differ in the dial ``manner``.

    for m in 0 0.37 0.7; do
      mien data build ict --from ict-facekit.tar.xz --subjects 200 --vertices 1000 --manner $m --out world-$m
    done
    python benchmarks/world.py world-0 world-0.37 world-0.7 --out results.csv [--sheets DIR]

One line a data set and measure: what the face foretells of how its person moves, what transfers cost that
know the label and no more (against scans and against the truth), and in how few axes people move. With
``--sheets`` also a picture of eight people and eight expressions of each set.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from calibrate_ict import transfer_controls

from mien.data.dataset import FaceDataset
from mien.data.inspect import inspect_dataset
from mien.evaluation import evaluate
from mien.figures.faces import expression_sheet
from mien.machine import machine

SHOWN = (
    "neutral",
    "smile",
    "mouth_stretch",
    "anger",
    "lip_puckerer",
    "lip_funneler",
    "eye_closed",
    "sadness",
)
TOLD = {
    "displacement transfer": "displacement_transfer", "class mean": "class mean, label given",
    "denoised neutral + class mean": "denoised neutral + class mean",
}  # fmt: skip


def axes_needed(data: FaceDataset, shares: tuple[float, ...] = (0.95, 0.99)) -> dict[str, float]:
    """How many axes hold a share of the squares of all displacements without noise."""
    rows = np.flatnonzero(data.label >= 0)[::3]
    moved = (data.true_faces(rows) - data.true_rest_of(rows)).reshape(len(rows), -1).astype(np.float64)
    values = np.linalg.eigvalsh(moved @ moved.T)[::-1]
    held = np.cumsum(values) / values.sum()
    return {f"axes for {share:.0%} of motion": float(np.searchsorted(held, share) + 1) for share in shares}


def measures(data: FaceDataset) -> dict[str, float]:
    """Name -> value; millimeters where it says so."""
    facts = inspect_dataset(data)
    found = {"interaction fraction": facts["interaction_fraction"]}
    found |= {f"foretold share, {name}": value for name, value in facts["foretold_share"].items()}
    controls = transfer_controls(data.split("train"), data.split("test"))
    found["displacement transfer, all pairs, mm"] = controls["displacement transfer, mm"]
    report = evaluate({}, data, controls=("displacement_transfer",), speed=False)
    for name, system in TOLD.items():
        found[f"{name}, against scans, mm"] = report.value(system, "transfer_avd")
        found[f"{name}, against truth, mm"] = report.value(system, "transfer_avd_truth")
    return found | axes_needed(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", help="Data sets of performed single scans.")
    parser.add_argument("--out", type=Path, required=True, help="CSV.")
    parser.add_argument("--sheets", type=Path, help="Folder of pictures.")
    options = parser.parse_args()
    lines, about = [], machine()
    for folder in options.data:
        data = FaceDataset.load(folder)
        manner = data.facts["variation"]["manner"]
        for name, value in measures(data).items():
            lines.append({
                "manner": manner, "measure": name, "value": f"{value:.4g}", "data": data.source,
                "people": len(data.subjects), "vertices": data.topology.vertex_count,
                "fingerprint": data.fingerprint[:12], "processor": about["processor"],
            })  # fmt: skip
            print(f"{manner:<6}{name:46}{value:9.4g}", flush=True)
        if options.sheets:
            options.sheets.mkdir(parents=True, exist_ok=True)
            expression_sheet(data, expressions=SHOWN).save(
                options.sheets / f"{data.source}_manner_{manner}.jpg"
            )
    with options.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


if __name__ == "__main__":
    main()
