"""What each part of ``residual_morphable`` adds, and where it stands, with manner foretold or not.

    for m in 0 0.7; do
      mien data build ict --from ict-facekit.tar.xz --subjects 200 --vertices 1000 --manner $m --out world-$m
    done
    python benchmarks/residual_morphable.py world-0 world-0.7 --runs runs/residual --out results.csv

One line a data set, system and metric: the mean over test people with a bootstrap interval, and the same of
the paired difference to ``residual_morphable``. A run that is there is taken as it is: cut, it goes on.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path
from typing import Any

import numpy as np

import mien
from mien.data.dataset import FaceDataset
from mien.errors import UnknownName
from mien.evaluation import evaluate
from mien.evaluation.report import Report
from mien.evaluation.statistics import bootstrap
from mien.machine import machine
from mien.models.base import FaceModel

METRICS = (
    "rec_avd_mesh", "rec_avd_mesh_truth", "neu_avd", "neu_avd_truth", "id_mad", "id_ratio", "id_std_pooled",
    "transfer_avd", "transfer_avd_truth",
)  # fmt: skip
OURS = "residual_morphable"
SHORT = {"steps": 3_000, "decay_every": 300, "validate_every": 300}
CLOSED = {"hidden": 0}
SYSTEMS: dict[str, tuple[str, dict[str, Any]]] = {
    OURS: (OURS, SHORT),
    "closed form alone": (OURS, CLOSED),
    "closed form, rest fitted": (OURS, CLOSED | {"rest": "fitted"}),
    "closed form, nothing foretold": (OURS, CLOSED | {"foretold": False}),
    "closed form, no manner": (OURS, CLOSED | {"manner_size": 0}),
    "morphable": ("morphable", {}),
    "morphable, ridge=10": ("morphable", {"ridge": 10.0}),
    "multilinear": ("multilinear", {}),
    "displacement_transfer": ("displacement_transfer", {}),
    "mean_expression": ("mean_expression", {}),
}


def trained(data: FaceDataset, folder: Path, method: str, settings: dict[str, Any]) -> tuple[FaceModel, str]:
    """A finished run, and the seconds of processor time that it took if it was made just now."""
    if (folder / "config.json").is_file():
        return mien.load_model(folder), ""
    began = time.process_time()
    model = mien.train(method, data, out=folder, profile="standard", seed=0, progress=False, **settings)
    return model, f"{time.process_time() - began:.0f}"


def lines(report: Report, system: str) -> list[dict[str, Any]]:
    """The metrics of one system, and how they differ from ours, person by person."""
    found = []
    measured = {row.metric: row for row in report.rows if row.system == system and row.mean is not None}
    for metric, row in measured.items():
        if metric not in METRICS:
            continue
        line = {"system": system, "metric": metric, "unit": row.unit, "mean": row.mean, "low": row.low,
                "high": row.high}  # fmt: skip
        try:
            own, other = report.by_person(OURS, metric), report.by_person(system, metric)
        except UnknownName:
            own, other = {}, {}
        apart = np.array([other[person] - own[person] for person in own if person in other])
        if len(apart) and system != OURS:
            low, high = bootstrap(apart, np.arange(len(apart)))
            line |= {"difference": apart.mean(), "difference_low": low, "difference_high": high}
        found.append(line)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", help="Data sets of performed single scans.")
    parser.add_argument("--runs", type=Path, required=True, help="Folder of the runs.")
    parser.add_argument("--out", type=Path, required=True, help="CSV.")
    options = parser.parse_args()
    rows, about = [], machine()
    for folder in options.data:
        data, models, seconds = FaceDataset.load(folder), {}, {}
        manner = data.facts["variation"]["manner"]
        for name, (method, settings) in SYSTEMS.items():
            run = options.runs / f"{folder.name}-{name.replace(' ', '-').replace(',', '')}"
            models[name], seconds[name] = trained(data, run, method, settings)
            print(f"{manner:<5}{name:28}{seconds[name]:>6} s", flush=True)
        report = evaluate(models, data, controls=(), speed=False)
        for name in models:
            for line in lines(report, name):
                rows.append({"manner": manner} | line | {
                    "training_seconds": seconds[name], "people": report.conditions["people"],
                    "vertices": data.topology.vertex_count, "fingerprint": data.fingerprint[:12],
                    "processor": about["processor"],
                })  # fmt: skip
        write(options.out, rows)


def write(out: Path, rows: list[dict[str, Any]]) -> None:
    """Writes what there is so far."""
    names = list(dict.fromkeys(key for row in rows for key in row))
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in row.items()}
            for row in rows
        )


if __name__ == "__main__":
    main()
