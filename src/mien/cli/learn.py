"""``mien train`` and ``mien evaluate``."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mien.cli.shell import Stopped, existing, say, show, show_json
from mien.errors import BadSetting

if TYPE_CHECKING:
    from mien.evaluation import Table


def train(
    model: str = typer.Argument(
        ...,
        metavar="METHOD|RECIPE",
        help="A method or a recipe by name (mien list), module:Class, FILE.py:Class, or a recipe file.",
    ),
    data: Path = typer.Option(..., "--data", help="A data set."),
    out: Path = typer.Option(..., "--out", help="The run folder; a finished run is a model."),
    profile: str | None = typer.Option(None, help="smoke: minutes; standard: an hour; full: the paper's."),
    setting: list[str] = typer.Option([], "--set", help="key=value for a setting; repeat for more."),
    seed: int | None = typer.Option(None, help="The same seed gives the same weights."),
    seeds: list[int] = typer.Option([], metavar="0 1 2", help="Several: a run each, judged as one system."),
    more: list[int] = typer.Argument(None, metavar="[SEED...]", hidden=True),
    protocol: str | None = typer.Option(None, help="How the data is divided; default: by subject."),
    split: Path | None = typer.Option(None, help="Who trains and tests: CSV (person, part), or a list."),
    minutes: float | None = typer.Option(None, help="Processor time, after which training ends."),
    resume: bool = typer.Option(False, "--resume", help="Go on with a run that was stopped."),
    devices: int = typer.Option(1, "--devices", min=1, help="How many devices."),
    accelerator: str = typer.Option("auto", help="auto, cpu or gpu."),
    precision: str = typer.Option("32-true", "--precision", help="32-true, bf16-mixed or 16-mixed."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Print the resolved settings and stop."),
) -> None:
    """Trains a model on the training people of a data set.

    Stop it with Control-C whenever you like; [bold]--resume[/bold] goes on and ends at the same bits.
    """
    from mien import training
    from mien.data.notation import parse_settings
    from mien.experiments.division import training_data
    from mien.experiments.seeds import train_seeds
    from mien.models.own_code import is_address

    if more and not seeds or seeds and seed is not None:
        raise BadSetting(
            "seeds are given by --seeds 0 1 2, and one seed by --seed", received=f"{seeds} {more}"
        )
    settings = parse_settings(setting)
    faces: Any = data
    if split:
        faces, protocol = training_data(existing(data, "data folder"), protocol, split)
    choices: dict[str, Any] = {"profile": profile, "protocol": protocol, "minutes": minutes}
    plan, recipe = training.resolve_plan(model, settings, seed=seed, **choices)
    if recipe is not None and recipe.data.get("build"):
        say(f"The recipe is for data made by: {recipe.data['build']}")
    if dry_run:
        return show_json(asdict(plan))
    existing(data, "data folder")
    choices |= {"accelerator": accelerator, "devices": devices, "precision": precision, **settings}
    try:
        if seeds:
            train_seeds(model, faces, out=out, seeds=[*seeds, *(more or ())], **choices)
        else:
            training.train(model, faces, out=out, seed=seed, resume=resume, **choices)
    except KeyboardInterrupt as error:
        again = "the same command" if seeds else "the same command and --resume"
        raise Stopped(f"{out} is kept; go on with {again}.") from error
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return None  # one of several processes of a data-parallel run: the first one reports
    show(f"{out}: {plan.model}, trained with the profile {plan.profile!r}.")
    trust = " --trust-code" if is_address(model) else ""
    say(f"Judge it: mien evaluate {out} --data {data}{trust}")
    return None


def evaluate(
    model_dirs: list[Path] = typer.Argument(
        None, metavar="[MODEL_DIR...]", help="Runs, or folders of seeds."
    ),
    data: Path = typer.Option(..., "--data", help="A data set."),
    predictions: list[str] = typer.Option(
        [], "--predictions", help="NAME=FILE.npz of another program (mien data rows); repeat for more."
    ),
    protocol: str | None = typer.Option(None, "--protocol", help="Default: the one the models trained with."),
    split: Path | None = typer.Option(None, help="A split file (person, part); default: that of the models."),
    part: str = typer.Option("test", help="train, validation, test or all."),
    seed: int | None = typer.Option(None, help="Of the division; default: the one the models trained with."),
    controls: bool = typer.Option(True, help="Judge the cheap controls beside the models."),
    truth: bool | None = typer.Option(None, help="Compare with noiseless faces, too; default: if there."),
    per_mesh: Path | None = typer.Option(None, help="Write errors by run and test scan to this CSV."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON only."),
    out: Path | None = typer.Option(None, "--out", help="Write report.md, .csv, .tex and .json there."),
    pictures: bool = typer.Option(False, "--pictures", help="Draw the papers' figures into --out, too."),
    judges: bool = typer.Option(False, "--judges", help="A network reads expressions off pictures, too."),
    generation: bool = typer.Option(False, "--generation", help="Judge what the models make up instead."),
    profile: str = typer.Option("standard", help="With --generation: smoke, standard or full."),
    pairs: int | None = typer.Option(None, help="With --generation: pairs of faces for diversity."),
    setting: list[str] = typer.Option([], "--set", help="With --generation: key=value; repeat for more."),
) -> None:
    """Judges models on people they have not seen: every metric, with its controls beside.

    A data set of clips is judged as motion: errors over time, by expression and phase, and recognition.

    [bold]--generation[/bold] measures random faces instead: decoupling, diversity, specificity, faces from
    landmarks, and the control of expressions. Its networks are trained once and kept beside the data.
    """
    from mien.cli.models import open_model
    from mien.data.dataset import FaceDataset
    from mien.data.notation import parse_settings
    from mien.experiments.judged import judge_runs, open_runs

    given, overrides = parse_settings(predictions), parse_settings(setting)
    overrides |= {} if pairs is None else {"pairs": pairs}
    if overrides and not generation:
        raise BadSetting("--set and --pairs need --generation", received=overrides)
    if judges and generation:
        raise BadSetting("--judges looks at faces that models encode", remedy="leave out --generation")
    faces = FaceDataset.load(existing(data, "data folder"))
    runs = open_runs(model_dirs or [], faces, open_run=open_model, protocol=protocol, seed=seed, split=split)
    if generation:
        found = _judge_generation(
            runs.models, runs.data, out, profile, overrides, part=part, predictions=given, **runs.division
        )
        return show_json(json.loads(found.to_json())) if as_json else _print_tables(found)
    report, told = judge_runs(
        runs, part=part, controls=controls, truth=truth, predictions=given, per_mesh=per_mesh, out=out,
        pictures=pictures, judges=judges,
    )  # fmt: skip
    if as_json:
        show_json(json.loads(report.to_json()))
    else:
        _print_tables(report)
    for sentence in told:
        say(sentence)
    return None


def _judge_generation(
    models: Any, data: Any, out: Path | None, profile: str, overrides: dict[str, Any], **options: Any
) -> Any:
    """The report on what the models make up, written to ``out`` with its pictures if there is one."""
    from mien.evaluation.generation.protocol import evaluate_generation
    from mien.evaluation.generation.settings import settings_of
    from mien.figures.generation import generation_figures
    from mien.figures.sheets import save_pictures

    settings = settings_of(profile, overrides)
    report, setup = evaluate_generation(models, data, settings=settings, **options)
    for (factor, kind), found in setup.networks.items():
        say(f"{factor} network ({kind}): {found if isinstance(found, str) else found.source}")
    if out:
        report.save(out, "generation")
        drawn = save_pictures(out, generation_figures(models, setup.samples), prefix="generation_")
        names = "".join(f", {path.name}" for path in drawn)
        say(f"Written: {out / 'generation'}.md, .csv, .tex, .json{names}")
    return report


def claims(
    ids: list[str] | None = typer.Argument(
        None, metavar="[ID...]", help="Which claims; default: all that the data can test."
    ),
    data: Path = typer.Option(..., "--data", help="A data set with neutrals."),
    out: Path = typer.Option(Path("runs/claims"), "--out", help="Folder of the runs; they are kept."),
    profile: str = typer.Option("standard", help="smoke, standard or full."),
    seeds: int = typer.Option(3, "--seeds", min=1, help="Runs of each setting; the papers average three."),
    protocol: str = typer.Option("subject", "--protocol", help="How the data is divided."),
    setting: list[str] = typer.Option([], "--set", help="key=value for a setting of all runs."),
    judging: list[str] = typer.Option([], "--judging", help="key=value for how generated faces are judged."),
    run: list[str] = typer.Option([], "--run", help="ARM=folder: a finished run that stands for an arm."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON only."),
) -> None:
    """Tests headline claims of the papers again: trains both sides, judges them on unseen people."""
    from mien.claims import chosen, retest, table_of
    from mien.data.dataset import FaceDataset
    from mien.data.notation import parse_settings

    chosen(ids or ())
    faces = FaceDataset.load(existing(data, "data folder"))
    options: dict[str, Any] = {
        "profile": profile, "protocol": protocol, "settings": parse_settings(setting),
        "judging": parse_settings(judging), "runs": parse_settings(run),
    }  # fmt: skip
    try:
        verdicts = retest(faces, out, ids=ids or (), seeds=range(seeds), **options)
    except KeyboardInterrupt as error:
        raise Stopped(f"finished runs are kept in {out}; the same command goes on.") from error
    if as_json:
        return show_json([verdict.as_dict() for verdict in verdicts])
    _print_table(table_of(verdicts))
    return None


def _print_tables(report: Any) -> None:
    """The tables of a report, as wide as they need to be."""
    show(report.conditions_text)
    for table in report.tables:
        show("")
        _print_table(table)


def _print_table(table: Table) -> None:
    """One table with its footnotes."""
    from mien.cli.shell import show_table

    show_table(table.header, table.rows, title=table.title)
    for number, text in enumerate(table.footnotes, 1):
        show(f"({number}) {text}.")
