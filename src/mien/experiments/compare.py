"""``mien compare``: the logs of runs as curves and one table, and systems of a report person by person."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mien import hub
from mien.errors import BadFile, BadSetting, DataMissing, require
from mien.evaluation import Report
from mien.evaluation.metrics import metric_named
from mien.evaluation.paired import HEADLINES, comparisons
from mien.experiments.seeds import runs_of
from mien.figures.runs import Curve, paired_plot, training_curves
from mien.io.atomic import write_bytes

LOG = "metrics.jsonl"
PLACES = ("stage", "step", "kind", "seconds")
MOST_PANELS = 12
BOARDS = ("tensorboard", "wandb")
"""Programs that draw logs."""


def read_log(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's ``metrics.jsonl``: stage, step, kind, seconds, and what was logged.

    Args:
        run: A run folder, finished or not.

    Raises:
        DataMissing: It has no log: it is no run, or its method has no steps.
        BadFile: The log is damaged.
    """
    path = run / LOG
    if not path.is_file():
        raise DataMissing(
            f"the run has no {LOG}", received=str(run), remedy="closed forms write none; give learned runs"
        )
    lines = []
    for number, text in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        try:
            line = json.loads(text)
            lines.append({**line, "stage": str(line["stage"]), "step": int(line["step"])})
        except (ValueError, KeyError, TypeError) as error:
            raise BadFile("the log of a run is damaged", received=f"line {number} of {path}") from error
    return lines


def compare_runs(folders: Sequence[Path], out: Path, *, report: Path | None = None) -> list[Path]:
    """Draws the logs of runs side by side, and the systems of a report person by person.

    Args:
        folders: Runs, finished or not, or folders of seeds.
        out: Where ``curves.png``, ``curves.csv``, ``paired.png`` and ``paired.csv`` go.
        report: ``report.json`` of ``mien evaluate --out``, for the latter two.

    Returns:
        The files.

    Raises:
        BadSetting: There is nothing to compare.
    """
    if not folders and report is None:
        raise BadSetting("there is nothing to compare", remedy="give runs, or --report report.json")
    logs = {
        label: {run: read_log(run) for run in runs_of(folder)}
        for folder, label in hub.folder_labels(folders).items()
    }
    drawn = _differences(Report.load(report)) if report is not None else None
    written: dict[str, bytes] = {}
    if logs:
        written["curves.csv"] = _log_csv(logs).encode()
        written["curves.png"] = _png(training_curves(_curves(logs), title="Training"))
    if drawn is not None:
        written["paired.csv"], written["paired.png"] = drawn[0].encode(), _png(drawn[1])
    for name, content in written.items():
        write_bytes(out / name, content)
    return [out / name for name in written]


def send_logs(folders: Sequence[Path], board: str) -> list[Path]:
    """Copies the logs of runs into the form of another program, beside them; nothing leaves the machine.

    Args:
        folders: Runs, or folders of seeds.
        board: ``tensorboard``, or ``wandb``, whose run stays offline until you sync it.

    Returns:
        The folders that were written.

    Raises:
        MissingPackage: The program's package is not installed.
    """
    if board not in BOARDS:
        raise BadSetting("logs go to tensorboard or wandb", received=board)
    package = require(board, "log")
    runs = [(run, read_log(run)) for folder in folders for run in runs_of(folder)]
    for run, lines in runs:
        (_to_tensorboard if board == "tensorboard" else _to_wandb)(package, run, lines)
    return [run / board for run, _ in runs]


def _to_tensorboard(package: Any, run: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(run / "tensorboard"))
    for line in lines:
        for name, value in _values(line).items():
            writer.add_scalar(f"{line['stage']}/{line['kind']}/{name}", value, line["step"])
    writer.close()


def _to_wandb(package: Any, run: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    (run / "wandb").mkdir(exist_ok=True)
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # its own reports of faults stay here, too
    board = package.init(project="mien", name=run.name, dir=str(run), mode="offline")
    for line in lines:
        named = {f"{line['stage']}/{line['kind']}/{name}": value for name, value in _values(line).items()}
        board.log({**named, "step": line["step"]})
    board.finish()


def _values(line: Mapping[str, Any]) -> dict[str, float]:
    """What a line logs, without its place."""
    return {
        name: float(value) for name, value in line.items()
        if name not in PLACES and isinstance(value, int | float) and math.isfinite(value)
    }  # fmt: skip


Logs = Mapping[str, Mapping[Path, list[dict[str, Any]]]]


def _entries(logs: Logs) -> Iterator[tuple[str, Path, dict[str, Any], str, float]]:
    for system, runs in logs.items():
        for run, lines in runs.items():
            for line in lines:
                for name, value in _values(line).items():
                    yield system, run, line, name, value


def _log_csv(logs: Logs) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("system", "run", *PLACES, "name", "value"))
    for system, run, line, name, value in _entries(logs):
        table.writerow((system, run.name, *(line.get(place, "") for place in PLACES), name, value))
    return text.getvalue()


def _curves(logs: Logs) -> dict[str, dict[str, list[Curve]]]:
    """Quantity -> system -> curves; validations first, and no more than fit on a page."""
    found: dict[str, dict[str, dict[Path, Curve]]] = {}
    for system, run, line, name, value in _entries(logs):
        if name != "faces_per_second":
            quantity = f"{line['stage']}: {name}" + (", validation" if line["kind"] == "validation" else "")
            runs = found.setdefault(quantity, {}).setdefault(system, {})
            x, y = runs.setdefault(run, ([], []))
            x.append(line["step"])  # type: ignore[attr-defined]
            y.append(value)  # type: ignore[attr-defined]
    order = sorted(found, key=lambda quantity: not quantity.endswith(", validation"))
    return {
        quantity: {system: list(runs.values()) for system, runs in found[quantity].items()}
        for quantity in order[:MOST_PANELS]
    }


def _differences(report: Report) -> tuple[str, Any]:
    """The table and the picture of all paired differences of a report."""
    seed = int(report.conditions.get("seed", 0))
    found = comparisons(report.rows, report.by_person, report.systems, seed=seed)
    found = {metric: (best, others) for metric, (best, others) in found.items() if others}
    if not found:
        raise BadSetting("the report has no two models with values by person", remedy="evaluate several")
    titles = {metric: title for metric, title, _ in HEADLINES}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("metric", "system", "best", "person", "value", "best_value", "difference"))
    differences: dict[str, dict[str, list[float]]] = {}
    intervals: dict[str, dict[str, tuple[float, float]]] = {}
    for metric, (best, others) in found.items():
        reference, unit = report.by_person(best, metric), metric_named(metric)[1]
        panel = f"{titles[metric].removesuffix(' (%)')}: minus {best.replace('_', ' ')} ({unit or 'share'})"
        for item in others:
            own = report.by_person(item.system, metric)
            people = sorted(set(own) & set(reference))
            gaps = [own[person] - reference[person] for person in people]
            for person, gap in zip(people, gaps):
                table.writerow((metric, item.system, best, person, own[person], reference[person], gap))
            differences.setdefault(panel, {})[item.system] = gaps
            intervals.setdefault(panel, {})[item.system] = item.low, item.high
    return text.getvalue(), paired_plot(differences, intervals, title="Person by person")


def _png(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
