"""``mien train`` and ``mien evaluate``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mien.cli.shell import Stopped, examples, existing, parse_settings, say, show, show_json
from mien.errors import BadSetting

if TYPE_CHECKING:
    from mien.evaluation import Table
    from mien.training import Plan

PANEL = "Data and training"


def train(
    model: str = typer.Argument(..., metavar="MODEL|RECIPE.yaml", help="A method (mien list) or a recipe."),
    data: Path = typer.Option(..., "--data", help="A data set."),
    out: Path = typer.Option(..., "--out", help="The run folder; a finished run is a model."),
    profile: str | None = typer.Option(
        None, help="smoke: minutes; standard: an hour or two; full: the paper's."
    ),
    setting: list[str] = typer.Option([], "--set", help="key=value for a setting; repeat for more."),
    seed: int | None = typer.Option(None, help="The same seed gives the same weights."),
    protocol: str | None = typer.Option(None, help="How the data is divided; default: by subject."),
    resume: bool = typer.Option(False, "--resume", help="Go on with a run that was stopped."),
    devices: int = typer.Option(1, "--devices", min=1, help="How many devices."),
    accelerator: str = typer.Option("auto", help="auto, cpu or gpu."),
    precision: str = typer.Option("32-true", "--precision", help="32-true, bf16-mixed or 16-mixed."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Print the resolved settings and stop."),
) -> None:
    """Trains a model on the training people of a data set.

    Stop it with Control-C whenever you like; [bold]--resume[/bold] goes on and ends at the same bits.
    """
    plan = resolve_plan(model, parse_settings(setting), profile=profile, seed=seed, protocol=protocol)
    if dry_run:
        from dataclasses import asdict

        return show_json(asdict(plan))
    from mien import hub
    from mien.data.dataset import FaceDataset
    from mien.training import fit_model

    faces = FaceDataset.load(existing(data, "data folder"))
    try:
        fit_model(
            plan, faces, out, resume=resume, accelerator=accelerator, devices=devices, precision=precision
        )
    except KeyboardInterrupt as error:
        raise Stopped(f"{out} is kept; go on with the same command and --resume.") from error
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return None  # one of several processes of a data-parallel run: the first one reports
    hub.write_card(out)
    show(f"{out}: {plan.model}, trained with the profile {plan.profile!r}.")
    say(f"Judge it: mien evaluate {out} --data {data}")
    return None


def resolve_plan(text: str, overrides: dict[str, Any], **choices: Any) -> Plan:
    """The resolved plan of a model or a recipe; flags win over the recipe."""
    from mien.data.splits import PROTOCOLS
    from mien.errors import UnknownName
    from mien.training import plan_training
    from mien.training.recipes import is_recipe, read_recipe

    given = {key: value for key, value in choices.items() if value is not None}
    if given.get("protocol", "subject") not in PROTOCOLS:
        raise UnknownName("protocol", given["protocol"], PROTOCOLS)
    if not is_recipe(text):
        return plan_training(text, overrides, **given)
    recipe = read_recipe(text)
    if recipe.data.get("build"):
        say(f"The recipe is for data made by: {recipe.data['build']}")
    defaults = {"profile": recipe.profile, "protocol": recipe.protocol, "seed": recipe.seeds[0]}
    return plan_training(recipe.model, {**recipe.settings, **overrides}, **(defaults | given))


def evaluate(
    model_dirs: list[Path] = typer.Argument(..., metavar="MODEL_DIR...", help="Finished runs."),
    data: Path = typer.Option(..., "--data", help="A data set."),
    protocol: str | None = typer.Option(None, "--protocol", help="Default: the one the models trained with."),
    part: str = typer.Option("test", help="train, validation, test or all."),
    seed: int | None = typer.Option(None, help="Of the division; default: the one the models trained with."),
    controls: bool = typer.Option(True, help="Judge the cheap controls beside the models."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON only."),
    out: Path | None = typer.Option(None, "--out", help="Write report.md, .csv, .tex and .json there."),
    pictures: bool = typer.Option(False, "--pictures", help="Draw the papers' figures into --out, too."),
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
    from mien.cli.faces import open_model
    from mien.cli.generation import judge as judge_generation
    from mien.data.dataset import FaceDataset
    from mien.evaluation import CONTROLS, evaluate_sequences
    from mien.evaluation import evaluate as judge

    if pictures and not out:
        raise BadSetting("--pictures needs a folder to draw into", remedy="add --out FOLDER")
    overrides = parse_settings(setting) | ({} if pairs is None else {"pairs": pairs})
    if overrides and not generation:
        raise BadSetting("--set and --pairs need --generation", received=overrides)
    division = _division(model_dirs, protocol, seed)
    models = {_label(folder, model_dirs): open_model(folder) for folder in model_dirs}
    faces = FaceDataset.load(existing(data, "data folder"))
    for model in models.values():
        model.check_data(faces)
    if generation:
        found = judge_generation(models, faces, out, profile, overrides, part=part, **division)
        return show_json(json.loads(found.to_json())) if as_json else _print_tables(found)
    if (faces.row_clip >= 0).any():
        report = evaluate_sequences(models, faces, part=part, controls=controls, **division)
    else:
        report = judge(models, faces, part=part, controls=CONTROLS if controls else (), **division)
    if out:
        report.save(out)
    if out and pictures:
        drawn = _pictures(models, faces.split(part, **division), report, out, division["seed"])
        say(f"Drawn: {', '.join(path.name for path in drawn)}")
    if part == "test":
        _remember(model_dirs, report)
    if as_json:
        return show_json(json.loads(report.to_json()))
    _print_tables(report)
    if out:
        say(f"Written: {out / 'report.md'}, .csv, .tex and .json")
    return None


def _pictures(models: Any, shown: Any, report: Any, out: Path, seed: int) -> list[Path]:
    """The figures of the kind of evaluation that was made."""
    from mien.figures.paper_faces import draw_pictures
    from mien.figures.paper_motion import draw_motion

    if report.conditions.get("kind") == "sequences":
        return draw_motion(models, shown, report, out, seed=seed)
    return draw_pictures(models, shown, out, seed=seed)


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


def _division(folders: list[Path], protocol: str | None, seed: int | None) -> dict[str, Any]:
    """The protocol and seed that the models were trained with, so that test people are unseen."""
    from mien.models.files import model_facts

    plans = [model_facts(folder).get("facts", {}).get("plan", {}) for folder in folders]
    used = {(plan.get("protocol", "subject"), plan.get("split_seed", 0)) for plan in plans}
    if len(used) > 1 and (protocol is None or seed is None):
        raise BadSetting(
            "the models were trained on different divisions of the data", received=sorted(used),
            remedy="evaluate them one by one, or choose with --protocol and --seed",
        )  # fmt: skip
    first = sorted(used)[0]
    return {"protocol": protocol or first[0], "seed": first[1] if seed is None else seed}


def _label(folder: Path, folders: list[Path]) -> str:
    """The folder's name, or as much of its path as tells it from the others."""
    same = [item for item in folders if item.resolve().name == folder.resolve().name]
    return folder.resolve().name if len(same) == 1 else str(folder)


def _remember(folders: list[Path], report: Any) -> None:
    """Writes each model's own numbers into its folder and refreshes the card."""
    from mien import hub
    from mien.cli.shell import plain
    from mien.io.atomic import write_bytes

    for folder in folders:
        own = {
            row.metric: {"mean": row.mean, "median": row.median, "unit": row.unit}
            for row in report.rows
            if row.system == _label(folder, folders) and row.mean is not None and "/" not in row.metric
        }
        text = json.dumps(plain({"conditions": report.conditions_text, **own}), indent=1)
        write_bytes(folder / "metrics.json", text.encode())
        hub.write_card(folder)


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


def add_to(app: typer.Typer) -> None:
    """Adds these commands to ``mien``."""
    table: dict[Any, tuple[str, ...]] = {
        train: (
            "mien train adversarial_vae --data faces --out runs/first --profile smoke",
            "mien train src/mien/recipes/gu2023_adversarial_vae_ict.yaml --data ict-200 --out runs/vae",
            "mien train adversarial_vae --data faces --out runs/free --set neutrals=false --seed 1",
        ),
        evaluate: (
            "mien evaluate runs/first --data faces",
            "mien evaluate runs/first runs/free --data faces --out tables --pictures",
        ),
        claims: (
            "mien claims --data faces --profile smoke",
            "mien claims G1 G2 --data ict-200 --seeds 3 --json",
            "mien claims C1 C4 --data ict-200 --seeds 1 --run FaceCAM=runs/facecam",
        ),
    }
    for function, lines in table.items():
        app.command(epilog=examples(*lines), rich_help_panel=PANEL)(function)
