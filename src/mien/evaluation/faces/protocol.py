"""``evaluate``: every metric for every model on the same scans, with the controls beside."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from mien.data.dataset import FaceDataset
from mien.errors import Unsupported
from mien.evaluation.faces.controls import control_rows
from mien.evaluation.faces.rows import SystemResult, code_size, judge, judge_control, raw_scans
from mien.evaluation.faces.sweep import Runner
from mien.evaluation.report import Report
from mien.evaluation.rows import Maker
from mien.evaluation.subjects import TestScans, TransferDraws
from mien.machine import machine, machine_since
from mien.models import MODELS
from mien.models.base import FaceModel
from mien.progress import track

CONTROLS = ("mean_expression", "displacement_transfer", "deformation_transfer", "nearest_identity")
"""Methods without training that are judged beside the models unless they are among them."""


def evaluate(
    models: Mapping[str, FaceModel] | Sequence[FaceModel], data: FaceDataset, *, part: str = "test",
    protocol: str = "subject", seed: int = 0, styles: int = 2, limit: int | None = 4000, batch: int = 32,
    controls: Sequence[str] = CONTROLS, published: Mapping[str, Mapping[str, Any]] | None = None,
    speed: bool = True,
) -> Report:  # fmt: skip
    """Judges models on one part of a data set.

    Args:
        models: Label -> model; a plain list is labeled by the methods' names.
        data: The whole data set; controls learn from its training part only.
        part: Which part is judged.
        protocol: How the set is divided.
        seed: Of the division, of all draws and of the bootstrap.
        styles: How many other people's performances are transferred to each expressive scan.
        limit: Most scans to judge and most transfers to draw, taken evenly; None for all.
        batch: Meshes at once.
        controls: Methods without training to add; see ``CONTROLS``.
        published: System -> metric -> printed value, shown apart and never ranked with ours.
        speed: Measure milliseconds; switch off for reports that must be equal byte by byte.

    Returns:
        A report; a metric whose preconditions fail is a dash with the reason.
    """
    began = time.monotonic()
    named = models if isinstance(models, Mapping) else labeled(models)
    for label, model in named.items():
        model.calibration.require(label)
    judged = TestScans.of(data, part=part, protocol=protocol, seed=seed, limit=limit)
    draws = _draws(judged, styles, limit)
    runners = {label: Runner(model, judged, batch) for label, model in named.items()}
    tasks: list[Callable[[], SystemResult]] = [
        partial(judge, Maker(label, "model", seed), runner, draws=draws, speed=speed)
        for label, runner in runners.items()
    ]
    given = {model.name for model in named.values()}
    added = [name for name in controls if name in MODELS and name not in given]
    tasks += [partial(judge_control, name, judged, batch, draws) for name in added]
    sizes = [size for runner in runners.values() if (size := code_size(runner.model))]
    drawn = draws if isinstance(draws, TransferDraws) else None
    tasks.append(lambda: SystemResult("controls", [*control_rows(judged, sizes, drawn), *raw_scans(judged)]))
    found = [task() for task in track(tasks, "judging models")]
    return Report(
        tuple(row for judgment in found for row in judgment.rows),
        _conditions(judged, data.fingerprint, draws, styles) | (machine_since(began) if speed else machine()),
        {judgment.system: judgment.facts for judgment in found if judgment.facts},
        dict(published or {}),
        {judgment.system: judgment.scans for judgment in found if judgment.scans},
        _scans(judged),
        {judgment.system: judgment.people for judgment in found if judgment.people},
    )


def labeled(models: Sequence[FaceModel]) -> dict[str, FaceModel]:
    """Method names as labels, numbered where a method comes twice."""
    names = [model.name for model in models]
    return {
        name if names.count(name) == 1 else f"{name} {names[: k + 1].count(name)}": model
        for k, (name, model) in enumerate(zip(names, models))
    }


def _draws(judged: TestScans, styles: int, limit: int | None) -> TransferDraws | str:
    """The transfer test, or the sentence why there is none."""
    try:
        return TransferDraws.of(judged, styles=styles, limit=limit)
    except Unsupported as error:
        return error.cause


def _scans(judged: TestScans) -> tuple[dict[str, Any], ...]:
    """Which row of the data set each judged scan is, and what it shows."""
    data, names = judged.data, {-1: "neutral", -2: "unlabeled"}
    assert data.rows is not None
    return tuple(
        {
            "row": int(row),
            "subject": data.subjects[subject],
            "expression": names.get(label) or data.expressions[label],
        }
        for row, subject, label in zip(data.rows, data.row_subject, judged.label.tolist())
    )


def _conditions(
    judged: TestScans, fingerprint: str, draws: TransferDraws | str, styles: int
) -> dict[str, Any]:
    """What every row of this protocol states."""
    return conditions(judged, fingerprint) | {
        "transfer_draws": len(draws.target) if isinstance(draws, TransferDraws) else 0,
        "styles_per_scan": styles,
        "interval": "95 %, bootstrap over persons, 2000 resamples",
    }


def conditions(judged: TestScans, fingerprint: str) -> dict[str, Any]:
    """What every row of any protocol states."""
    data = judged.data
    return {
        "data": data.source,
        "fingerprint": fingerprint,
        "topology": data.topology.name,
        "vertices": data.topology.vertex_count,
        "part": judged.part,
        "protocol": judged.protocol,
        "people": len(judged.people),
        "people_seen_in_training": judged.seen,
        "meshes": len(data),
        "training_people": len(np.unique(judged.train.row_subject)),
        "training_meshes": len(judged.train),
        "alignment": "none",
        "seed": judged.seed,
    }
