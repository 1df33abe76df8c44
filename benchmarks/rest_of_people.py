"""The adversarial VAE without neutrals, with rest found from identity labels, beside the one with neutrals.

    mien data build ict --from ict-facekit.tar.xz --subjects 200 --vertices 1000 --out world-0
    python benchmarks/rest_of_people.py world-0 --runs runs --arms "neutrals" "no neutrals"
    python benchmarks/rest_of_people.py world-0 --runs runs --out results.csv

Trains the arms that are named (all by default), each in its own folder; a run that was cut goes on where it
stopped. With ``--out``, finished arms are judged on unseen people (docs/metrics.md) and written as CSV,
beside how far the faces that stood for neutrals are from the true ones (``rest_avd``, training people) and
how sure they were (``rest_confidence``).
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.apply import neutralize, reconstruct
from mien.data.dataset import FaceDataset
from mien.data.rest import find_rest, median_faces
from mien.evaluation.faces import metrics
from mien.evaluation.statistics import bootstrap
from mien.machine import machine
from mien.models import load_model
from mien.models.base import FaceModel
from mien.training import fit_model, plan_training

STEPS = 100
SHARED = {
    "steps": STEPS, "decay_every": 10, "warm_up": 10, "validate_every": STEPS, "closed_form_finish": 60,
    "identity_discriminator": False, "smoothness": 3e-4, "encoder_points": 64,
}  # fmt: skip
FREE = {"neutrals": False, "rest": "none"}
FOUND = {"neutrals": False, "rest": "found"}
RANDOM = {"closed_form_start": False, "closed_form_finish": 0, "decoder_rate": 1.0}
DISCRIMINATOR = {
    "identity_discriminator": True, "adversarial": 0.005, "discriminator_rate": 0.0005,
    "pretraining_steps": 200,
}  # fmt: skip
#: Arm -> settings over the shared ones, and which scans of the training people are kept.
ARMS: dict[str, tuple[dict[str, Any], str]] = {
    "neutrals": ({"neutrals": True}, "all"),
    "no neutrals": (FREE, "all"),
    "rest found": (FOUND, "all"),
    "rest found, half of the scans": (FOUND, "half"),
    "rest found, no neutral scan": (FOUND, "no neutral"),
    "median of everybody's scans": (FOUND | {"rest": "median"}, "all"),
    "rest found, start only": (FOUND | {"rest_target": False}, "all"),
    "rest found, moving target": (FOUND | {"rest_stays": 0.99}, "all"),
    "rest found, discriminator": (FOUND | DISCRIMINATOR, "all"),
    "no neutrals, discriminator": (FREE | DISCRIMINATOR, "all"),
    "no neutrals, random start, discriminator": (FREE | RANDOM | DISCRIMINATOR, "all"),
}


def shown(data: FaceDataset, which: str) -> FaceDataset:
    """The set with all scans of people who are validated and tested on, and some of those who train."""
    train = np.isin(data.row_subject, data.split("train").row_subject)
    if which == "half":
        return data.take(~train | (np.random.default_rng(0).random(len(data)) < 0.5))
    return data.take(~train | ~data.is_neutral) if which == "no neutral" else data


def rest_of(data: FaceDataset, settings: dict[str, Any]) -> dict[str, tuple[NDArray, NDArray]]:
    """What stood for neutrals in an arm's training: errors, mm, and confidence; values and people."""
    if settings.get("rest", "none") == "none":
        return {}
    train = data.split("train")
    found = find_rest(train) if settings["rest"] == "found" else median_faces(train)
    first = {int(person): row for row, person in reversed(list(enumerate(train.row_subject)))}
    people = np.array(list(found.faces))
    wrong = [metrics.neu_avd(train.neutral_of([first[p]]), found.faces[p][None])[0] for p in people]
    return {
        "rest_avd": (np.array(wrong), people),
        "rest_confidence": (np.array([found.confidence]), people[:1]),
    }


def judged(model: FaceModel, test: FaceDataset) -> dict[str, tuple[NDArray, NDArray]]:
    """Metric -> values on unseen people and whose they are."""
    scans, person, every = test[:], test.row_subject, np.arange(len(test))
    predicted = neutralize(model, scans)
    found = {
        "rec_avd_mesh": (metrics.rec_avd_mesh(scans, reconstruct(model, scans)), person),
        "neu_avd": (metrics.neu_avd(test.neutral_of(every), predicted), person),
    }
    if test.has_truth:
        found["neu_avd_truth"] = metrics.neu_avd(test.true_rest_of(every), predicted), person
    people = np.unique(person)
    each = [predicted[person == p] for p in people]
    found["id_mad"] = np.array([metrics.id_mad(own) for own in each]), people
    between = metrics.id_between_avd(np.stack([own.mean(axis=0) for own in each]))
    return found | {"id_between_avd": (np.array([between]), people[:1])}


def table(data: FaceDataset, runs: Path, seed: int) -> list[dict[str, Any]]:
    """One line an arm and metric, mean and 95 % interval over people."""
    lines, about = [], machine()
    for arm, (settings, which) in ARMS.items():
        if not (runs / arm / "config.json").is_file():
            continue
        found = rest_of(shown(data, which), settings)
        found |= judged(load_model(str(runs / arm)), data.split("test"))
        for metric, (values, people) in found.items():
            low, high = bootstrap(values, people) if len(people) > 1 else ("", "")
            lines.append({
                "system": arm, "metric": metric, "mean": float(values.mean()), "low": low, "high": high,
                "data": data.source, "people": len(data.subjects), "vertices": data.topology.vertex_count,
                "fingerprint": data.fingerprint[:12], "steps": STEPS, "seed": seed,
                "processor": about["processor"],
            })  # fmt: skip
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, required=True, help="Folder of the run folders.")
    parser.add_argument("--arms", nargs="*", default=list(ARMS), help=", ".join(ARMS))
    parser.add_argument("--out", type=Path, help="CSV of all finished arms; trains nothing.")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = FaceDataset.load(options.data)
    if options.out:
        lines = table(data, options.runs, options.seed)
        with options.out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)
        return
    for arm in options.arms:
        settings, which = ARMS[arm]
        plan = plan_training("adversarial_vae", SHARED | settings, seed=options.seed)
        fit_model(plan, shown(data, which), options.runs / arm, resume=True, progress=False)
        print(f"{arm}: done", flush=True)


if __name__ == "__main__":
    main()
