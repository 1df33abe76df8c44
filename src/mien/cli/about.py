"""Commands that tell: the demo, the list of models, facts of a model, citations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import typer

from mien.cli.shell import Stopped, console, say, show, show_json, show_table


def demo(
    out: Path = typer.Option(Path("demo"), "--out", help="Folder for everything the demo makes."),
    fast: bool = typer.Option(False, "--fast", help="Fewer people and steps: checks the path, shows less."),
) -> None:
    """Rigs a head and lets it perform, then trains, judges and uses a small model; writes one report.

    Finished steps are kept: a demo that was stopped goes on where it was.
    """
    from mien.demo import run_demo

    try:
        report = run_demo(out, fast=fast, tell=say)
    except KeyboardInterrupt as error:
        raise Stopped(f"finished steps are kept in {out}; the same command goes on.") from error
    show(f"The report is {report.resolve()} (one file; open it in a browser, no network needed).")


def list_(
    as_json: bool = typer.Option(False, "--json", help="Print JSON only."),
    markdown: bool = typer.Option(False, "--markdown", help="Print the table of the README."),
    recipes: bool = typer.Option(False, "--recipes", help="List the recipes of publications instead."),
) -> None:
    """Lists the models and what each can do: native ●, derived ○, refused –.

    Methods that installed packages add by entry points of the group [bold]mien.models[/bold] are among them.
    """
    from mien import hub
    from mien.models.registry import added_methods

    if recipes:
        return _list_recipes(as_json)
    if markdown:
        return show(hub.capability_table())
    for name, reason in added_methods()[1].items():
        say(f"The method {name!r} of an installed package does not work: {reason}")
    if as_json:
        return show_json(hub.capabilities())
    for name, row in hub.capabilities().items():
        show(f"{name}  ({hub.source(name)})")
        _show_abilities(row)
    show("● the publication has it   ○ derived by Mien from the model's verbs   – refused, with a reason")
    say("mien list --recipes names the configurations of publications; mien info METHOD tells of one method.")
    return None


def _list_recipes(as_json: bool) -> None:
    """Every recipe with its method and data."""
    from mien.training.recipes import find_recipe, recipe_names

    found = {name: recipe for name in recipe_names() if (recipe := find_recipe(name))}
    if as_json:
        return show_json({name: {"model": item.model, "data": item.data} for name, item in found.items()})
    show_table(("recipe", "model", "data"), [(name, r.model, r.data["name"]) for name, r in found.items()])
    return None


def _show_abilities(row: Mapping[str, str]) -> None:
    from mien.hub import SYMBOLS

    for kind, symbol in SYMBOLS.items():
        items = [item for item, found in row.items() if found == kind]
        if items:
            show(f"  {symbol} {', '.join(items)}")


def info(
    model: str = typer.Argument(
        ...,
        metavar="MODEL_DIR|METHOD",
        help="A finished run; or a method: name, module:Class, FILE.py:Class.",
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON only."),
) -> None:
    """What a model is, what it was trained on, what it can do, and how it was measured.

    Of a method it tells arguments, settings and abilities.
    """
    from mien.models.own_code import is_address
    from mien.models.registry import method_names

    if not Path(model).exists() and (is_address(model) or model in method_names()):
        return _tell_method(model, as_json)
    from rich.markdown import Markdown

    from mien.cli.models import notes_said, permission
    from mien.training.card import card_text, describe

    with notes_said():
        facts = describe(model, **permission().of(Path(model)))
    if as_json:
        return show_json(facts)
    console().print(Markdown(card_text(facts).split("---\n", 2)[2]))
    return None


def _tell_method(method: str, as_json: bool) -> None:
    from mien import hub

    facts = hub.describe_method(method)
    if as_json:
        return show_json(facts)
    show(f"{facts['model']}: {facts['about']}")
    _show_abilities(facts["abilities"])
    rows = [("argument", name, value) for name, value in facts["arguments"].items()]
    rows += [("setting", name, value) for name, value in facts["settings"]["standard"].items()]
    show_table(("", "--set", "with the profile standard"), rows)
    show(facts["citation"])
    return None


def cite(
    model: str | None = typer.Argument(
        None, metavar="[METHOD]", help="A method: name, module:Class, FILE.py:Class; nothing for Mien itself."
    ),
) -> None:
    """BibTeX of the publication behind a model, or of Mien."""
    from mien import hub

    show(hub.citation(model))
