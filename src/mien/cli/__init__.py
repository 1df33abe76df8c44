"""The command ``mien``. Commands only parse, call a function of a lower floor, and print.

Nothing heavy is imported here: ``mien --help`` answers at once, and each command imports what it runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import typer

from mien import __version__
from mien.cli import about, data, experiments, export, gallery, heads, learn, look, motion, prepare, use
from mien.cli.models import allow_code
from mien.cli.shell import add, flow, leave, run, show

app = typer.Typer(
    name="mien",
    help="Disentangled 3D face models: [bold]who[/bold] a face is, apart from [bold]what it is doing[/bold].",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    epilog="Start with [green]mien demo[/green]; every command explains itself with [green]--help[/green].",
)


def _version(wanted: bool) -> None:
    if wanted:
        show(f"mien {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print it."),
    debug: bool = typer.Option(False, "--debug", help="Show tracebacks instead of one sentence."),
) -> None:
    """Disentangled 3D face models: who a face is, apart from what it is doing."""


data_app = typer.Typer(
    help="Build a data set, bring your own into order, look at it, check it.",
    rich_markup_mode="rich",
    no_args_is_help=True,
)
app.add_typer(data_app, name="data", rich_help_panel="Data and training")
add(data_app, None, data.build, data.download, data.name, data.info, data.rows, words="mien data")
add(data_app, None, prepare.prepare, prepare.check, words="mien data")
add(app, "Data and training", learn.train)
add(
    app,
    "Judge",
    learn.evaluate,
    experiments.bench,
    experiments.compare,
    learn.claims,
    heads.evaluate_rig,
    gallery.gallery,
)
add(app, "Use a model", use.generate, use.reconstruct, use.neutralize, use.transfer, use.interpolate, use.fit)
add(app, "Use a model", motion.animate, motion.convert, heads.register, heads.rig)
add(app, "Use a model", look.view, look.share, export.export)
add(app, "Learn more", about.demo, about.list_, about.info, about.cite)
allow_code(app)
flow(app)


def command(arguments: Sequence[str]) -> int:
    """Runs ``mien`` with these arguments and returns the exit code (for tests and scripts)."""
    return run(app, list(arguments))


def main() -> NoReturn:
    """The entry point of the installed command."""
    leave(app)
