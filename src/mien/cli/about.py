"""Commands that tell: the demo, the list of models, facts of a model, citations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from mien.cli.shell import examples, existing, show, show_json

PANEL = "Learn more"


def demo(
    out: Path = typer.Option(Path("demo"), "--out", help="Folder for everything the demo makes."),
    fast: bool = typer.Option(False, "--fast", help="Fewer people and steps: checks the path, shows less."),
) -> None:
    """Runs the whole path on the embedded data: build, train, judge, use, report.

    Finished steps are kept: a demo that was stopped goes on where it was.
    """
    from mien.demo import run_demo

    report = run_demo(out, fast=fast)
    show(f"The report is {report.resolve()} (one file; open it in a browser, no network needed).")


def list_models(
    as_json: bool = typer.Option(False, "--json", help="Print JSON only."),
    markdown: bool = typer.Option(False, "--markdown", help="Print the table of the README."),
) -> None:
    """Lists the models and what each can do: native ●, derived ○, refused –."""
    from mien import hub

    if as_json:
        return show_json(hub.capabilities())
    if markdown:
        return show(hub.capability_table())
    for name, row in hub.capabilities().items():
        show(f"{name}  ({hub.source(name)})")
        for kind, symbol in hub.SYMBOLS.items():
            items = [item for item, found in row.items() if found == kind]
            if items:
                show(f"  {symbol} {', '.join(items)}")
    show("● the publication has it   ○ derived by Mien from the model's verbs   – refused, with a reason")
    return None


def info(
    model_dir: Path = typer.Argument(..., metavar="MODEL_DIR", help="A finished run."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON only."),
) -> None:
    """What a model is, what it was trained on, what it can do, and how it was measured."""
    from mien import hub

    facts = hub.describe(existing(model_dir, "model folder"))
    if as_json:
        return show_json(facts)
    from rich.markdown import Markdown

    from mien.cli.shell import console

    card = hub.model_card(model_dir).split("---\n", 2)[2]
    console().print(Markdown(card))
    return None


def cite(
    model: str | None = typer.Argument(None, help="A model's name; nothing for Mien itself."),
) -> None:
    """BibTeX of the publication behind a model, or of Mien."""
    from mien import hub

    show(hub.citation(model))


def add_to(app: typer.Typer) -> None:
    """Adds these commands to ``mien``."""
    table: dict[str, tuple[Any, ...]] = {
        "demo": (demo, "mien demo", "mien demo --out demo --fast"),
        "list": (list_models, "mien list", "mien list --json"),
        "info": (info, "mien info runs/first"),
        "cite": (cite, "mien cite adversarial_vae", "mien cite"),
    }
    for name, (function, *lines) in table.items():
        app.command(name, epilog=examples(*lines), rich_help_panel=PANEL)(function)
