"""Finished runs, and folders of seeds, judged on people that none of them has seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien import hub
from mien.data.dataset import FaceDataset
from mien.errors import BadSetting
from mien.evaluation import Report, evaluate_by_kind
from mien.evaluation.paired import few_people
from mien.evaluation.seeds import pooled
from mien.experiments.division import divided
from mien.experiments.seeds import runs_of
from mien.figures.evaluation import draw_evaluation
from mien.find.reader import FaceReader
from mien.io.atomic import write_bytes
from mien.models.base import FaceModel
from mien.models.files import load_model


@dataclass(frozen=True)
class RunsToJudge:
    """What is judged together.

    Args:
        runs: System -> its runs, one a seed.
        models: Label of a run -> model; a system with one run is called like it.
        folders: Label of a run -> its folder.
        data: The whole data set, with the division of the runs.
        division: ``protocol`` and ``seed`` of that division.
    """

    runs: Mapping[str, Sequence[str]]
    models: Mapping[str, FaceModel]
    folders: Mapping[str, Path]
    data: FaceDataset
    division: Mapping[str, Any]


def open_runs(
    folders: Sequence[Path], data: FaceDataset, *, open_run: Callable[[Path], FaceModel] = load_model,
    protocol: str | None = None, seed: int | None = None, split: Path | str | None = None,
) -> RunsToJudge:  # fmt: skip
    """Loads runs and finds their common division of the data.

    Args:
        folders: Finished runs, or folders of seeds.
        data: The whole data set.
        open_run: How a run is loaded.
        protocol: Instead of that of the runs.
        seed: Instead of that of the runs.
        split: A split file instead of that of the runs.
    """
    named = {label: runs_of(folder) for folder, label in hub.folder_labels(folders).items()}
    paths = {
        label if len(runs) == 1 else f"{label}/{run.name}": run
        for label, runs in named.items()
        for run in runs
    }
    names = {run: label for label, run in paths.items()}
    faces, division = divided(data, list(paths.values()), protocol=protocol, seed=seed, split=split)
    models = {label: open_run(run) for label, run in paths.items()}
    for model in models.values():
        model.check_data(faces)
    runs = {label: [names[run] for run in found] for label, found in named.items()}
    return RunsToJudge(runs, models, paths, faces, division)


def judge_runs(
    judged: RunsToJudge, *, part: str = "test", controls: bool = True, truth: bool | None = None,
    predictions: Mapping[str, Path | str] | None = None, per_mesh: Path | None = None,
    out: Path | None = None, pictures: bool = False, judges: bool = False,
) -> tuple[Report, list[str]]:  # fmt: skip
    """Judges runs, writes what is asked for, and keeps each run's own numbers in its folder.

    Args:
        judged: The runs.
        part: Which part is tested.
        controls: Add the cheap controls.
        truth: Compare faces with what stood before the scanner, too; None: where the set keeps it.
        predictions: Label -> file of what another program predicted.
        per_mesh: A CSV with one line a run and test scan.
        out: A folder for the report.
        pictures: Draw the papers' figures into it.
        judges: Have a network for photographs read expressions off pictures of the faces, too.

    Returns:
        The report, seeds pooled, and what was done, as sentences.

    Raises:
        BadSetting: Pictures are asked for without a model or a folder.
        DataMissing: Judges are asked for, and their networks are not on this machine.
    """
    if pictures and not (out and judged.models):
        raise BadSetting("--pictures needs a model and a folder to draw into", remedy="add --out FOLDER")
    apart = evaluate_by_kind(
        judged.models, judged.data, part=part, controls=controls, truth=truth, predictions=predictions,
        judge=FaceReader.open() if judges else None, **judged.division,
    )  # fmt: skip
    several = {system: runs for system, runs in judged.runs.items() if len(runs) > 1}
    report, told = pooled(apart, several) if several else apart, []
    if per_mesh is not None:
        write_bytes(per_mesh, apart.per_mesh_csv().encode())
        told.append(f"Written: {per_mesh}")
    if out:
        report.save(out)
        told.append(f"Written: {out / 'report.md'}, .csv, .tex and .json")
    if out and pictures:
        first = {system: judged.models[runs[0]] for system, runs in judged.runs.items()}
        faces = judged.data.split(part, **judged.division)
        drawn = draw_evaluation(first, faces, report, out, seed=judged.division["seed"])
        told.append(f"Drawn: {', '.join(path.name for path in drawn)}")
    if part == "test":
        for label, folder in judged.folders.items():
            hub.keep_measured(folder, label, apart, type(judged.models[label]))
    if len(judged.models) > 1 and (warned := few_people(report.conditions.get("people"))):
        told.append(f"Note: {warned}.")
    return report, told
