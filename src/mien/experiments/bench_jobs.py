"""What the processes of a bench do: build a data set, or train one system and judge it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mien.data.dataset import FaceDataset
from mien.errors import BadSetting
from mien.evaluation import evaluate, evaluate_sequences
from mien.evaluation.generation.protocol import evaluate_generation
from mien.evaluation.generation.settings import settings_of
from mien.evaluation.report import Report
from mien.experiments.bench_file import build_data
from mien.models.files import load_model
from mien.training import Plan, fit_model

CONTROLS = "controls"
"""The job that judges what needs no training."""


def bench_job(task: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Does one job of a bench; see :func:`mien.experiments.bench.jobs_of` for the tasks.

    Args:
        task: ``data``; ``plan`` and ``label`` for a run, ``predictions`` and ``label`` for a program's file.
        folder: Of the bench.

    Returns:
        ``report`` (nothing for a data set), and of a run ``training_seconds`` and ``stopped_at``.
    """
    torch.set_num_threads(1)
    if not {"plan", "controls", "predictions"} & set(task):
        build_data(task["told"], data_folder(folder, task))
        return {}
    data = FaceDataset.load(data_folder(folder, task))
    if "predictions" in task:
        return {"report": _judged({}, data, task, {task["label"]: task["predictions"]})}
    if "plan" not in task:
        return {"report": _judged({}, data, task)}
    run = folder / "runs" / task["key"] / f"seed-{task['plan']['seed']}"
    began = time.process_time()
    fit_model(
        Plan(**task["plan"]), data, run, resume=(run / "run.json").is_file(), progress=False,
        accelerator="cpu", see_face=False,
    )  # fmt: skip
    spent = time.process_time() - began
    facts = json.loads((run / "config.json").read_text(encoding="utf-8"))["facts"]
    report = _judged({task["label"]: load_model(run)}, data, task)
    return {"report": report, "training_seconds": round(spent, 2), "stopped_at": facts.get("stopped_at", {})}


def data_folder(folder: Path, task: Mapping[str, Any]) -> Path:
    """Where the data of a task lies: the user's own folder, or one below the bench's."""
    told = task["told"]
    return Path(told["path"]) if told["source"] == "folder" else folder / "data" / task["data"]


def _judged(
    models: Mapping[str, Any], data: FaceDataset, task: Mapping[str, Any],
    predictions: Mapping[str, str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The report on one run, on a program's file, or on what needs no training, by a job of its own."""
    named = {*models, *(predictions or {})}
    options: dict[str, Any] = {"protocol": task["protocol"]}
    moving = bool((data.row_clip >= 0).any())
    asked = None if predictions else task.get("generation")
    if moving:
        report = evaluate_sequences(models, data, controls=not models, **options)
    elif named:  # milliseconds of a machine whose cores are all busy mean nothing
        report = evaluate(models, data, controls=(), speed=False, predictions=predictions, **options)
    else:
        report = evaluate(models, data, speed=False, **options)
    rows, people = list(report.rows), dict(report.people)
    if asked is not None and not moving:
        settings = settings_of(asked.get("profile", "standard"), _without_profile(asked))
        made, _ = evaluate_generation(models, data, settings=settings, **options)
        rows += made.rows
        people |= {name: {**people.get(name, {}), **values} for name, values in made.people.items()}
    if named:
        rows = [row for row in rows if row.system in named]
        people = {name: values for name, values in people.items() if name in named}
    elif not rows:
        raise BadSetting("no control can be judged on this data")
    report = Report(
        tuple(rows), report.conditions, report.systems, meshes=report.meshes, scans=report.scans,
        people=people,
    )  # fmt: skip
    return json.loads(report.to_json())


def _without_profile(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if name != "profile"}
