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
from mien.evaluation.report import Report
from mien.experiments.bench_file import build_data
from mien.models.files import load_model
from mien.training import Plan, fit_model

CONTROLS = "controls"
"""The job that judges what needs no training."""


def bench_job(task: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Does one job of a bench; see :func:`mien.experiments.bench.jobs_of` for the tasks.

    Args:
        task: ``data``, and ``plan`` and ``system`` for a run.
        folder: Of the bench.

    Returns:
        ``report`` (nothing for a data set), and of a run ``training_seconds`` and ``stopped_at``.
    """
    torch.set_num_threads(1)
    if "plan" not in task and "controls" not in task:
        build_data(task["told"], data_folder(folder, task))
        return {}
    data = FaceDataset.load(data_folder(folder, task))
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


def _judged(models: Mapping[str, Any], data: FaceDataset, task: Mapping[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {"protocol": task["protocol"]}
    if (data.row_clip >= 0).any():
        report = evaluate_sequences(models, data, controls=not models, **options)
    elif models:
        report = evaluate(models, data, controls=(), **options)
    else:
        report = evaluate(models, data, **options)
    if models:  # what needs no model is judged once, by a job of its own
        kept = tuple(row for row in report.rows if row.system in models)
        report = Report(
            kept, report.conditions, report.systems, meshes=report.meshes, scans=report.scans,
            people={name: values for name, values in report.people.items() if name in models},
        )  # fmt: skip
    elif not report.rows:
        raise BadSetting("no control can be judged on this data")
    return json.loads(report.to_json())
