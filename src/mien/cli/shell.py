"""What every command shares: printing, and mistakes told in one sentence."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from mien.errors import MienError, UnknownName, is_out_of_memory, system_sentence
from mien.limits import numbers_checked

if TYPE_CHECKING:
    from rich.console import Console

MISTAKE, DEFECT, INTERRUPTED = 2, 1, 130


class Stopped(Exception):
    """Control-C during work that keeps what is finished; ``str`` says what is kept and how to go on."""


def console(*, error: bool = False) -> Console:
    """Where results (stdout) or messages (stderr) are printed."""
    from rich.console import Console

    return Console(stderr=error, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """A line about what was done, on stderr, so that ``--json`` leaves stdout clean."""
    console(error=True).print(text, markup=False)


def show(text: str) -> None:
    """A line of result on stdout."""
    console().print(text, markup=False)


def show_json(value: Any) -> None:
    """A JSON document on stdout, and nothing else there."""
    from mien.io.json_text import json_text

    typer.echo(json_text(value))


def show_table(headers: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """A table on stdout; numbers are aligned to the right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", header_style="bold", box=None, pad_edge=False)
    cells = [[str(cell) for cell in row] for row in rows]
    for index, header in enumerate(headers):
        numeric = all(row[index][:1].isdigit() for row in cells)
        table.add_column(header, justify="right" if numeric and cells else "left")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    printer = console()
    if not printer.is_terminal:  # into a file or a pipe: as wide as the table is, nothing cut
        printer.width = 10_000
    printer.print(table)


def add(app: typer.Typer, panel: str | None, *commands: Callable[..., Any], words: str = "mien") -> None:
    """Adds commands under their functions' names, each with its examples below its help."""
    for function in commands:
        name = function.__name__.removesuffix("_").replace("_", "-")
        app.command(name, epilog=_examples(f"{words} {name}"), rich_help_panel=panel)(
            numbers_checked(function)
        )


def _examples(command: str) -> str:
    """What the help of a command ends with: its lines of ``examples.txt``."""
    lines = Path(__file__).with_name("examples.txt").read_text(encoding="utf-8").splitlines()
    own = (line for line in lines if f"{line} ".startswith(f"{command} "))
    return "\n\n".join(("[bold]Examples[/bold]", *(f"[green]{line}[/green]" for line in own)))


def flow(app: typer.Typer) -> None:
    """Lets the paragraphs of every command's help fill the terminal, whatever its width.

    The text is the function's docstring, whose lines end where the source's do.
    """
    for command in app.registered_commands:
        text = inspect.cleandoc(
            command.help or (command.callback.__doc__ if command.callback else None) or ""
        )
        command.help = "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
    for group in app.registered_groups:
        if group.typer_instance is not None:
            flow(group.typer_instance)


def choice(kind: str, value: str, known: Iterable[str]) -> str:
    """The value if it is known; otherwise the nearest known one is suggested."""
    names = list(known)
    if value not in names:
        raise UnknownName(kind, value, names)
    return value


def existing(path: Path, what: str) -> Path:
    """The path, if it exists."""
    from mien.errors import DataMissing

    if not path.exists():
        raise DataMissing(f"the {what} does not exist", received=str(path), remedy="check the path")
    return path


def run(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Runs one command line and returns its exit code: 0, 2 for a user's mistake, 130 for Control-C."""
    debug = "--debug" in arguments
    arguments = [item for item in arguments if item != "--debug"] or ["--help"]
    try:
        result = app(args=arguments, prog_name="mien", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            raise
        code, sentence = explain(error)
        if sentence:
            say(f"mien: {sentence}")
        return code


def explain(error: BaseException) -> tuple[int, str]:
    """The exit code and the one sentence for whatever stopped a command."""
    if isinstance(error, MienError):
        return MISTAKE, str(error)
    if isinstance(error, Stopped):  # no KeyboardInterrupt: the parser would swallow it and its sentence
        return INTERRUPTED, f"interrupted; {error}"
    if isinstance(error, (KeyboardInterrupt, typer.Abort)):
        return INTERRUPTED, "interrupted."
    if hasattr(error, "format_message"):  # a mistake in the command line itself, found by the parser
        return MISTAKE, _usage(error)
    if isinstance(error, BrokenPipeError):  # the reader of our output went away, as in `mien list | head -1`
        sys.stderr.close()
        return 0, ""
    if isinstance(error, OSError):
        return MISTAKE, system_sentence(error)
    if is_out_of_memory(error):
        return (
            MISTAKE,
            "there is not enough memory; use fewer faces at once or a decimated data set (--vertices).",
        )
    kind = type(error).__name__
    if place := _outside(error):
        return MISTAKE, f"the method's own code stopped this command ({place}: {kind}: {error}); see --debug."
    return (
        DEFECT,
        f"a defect of Mien stopped this command ({kind}: {error}); please report it with the --debug output.",
    )


def _outside(error: BaseException) -> str | None:
    """The line of a method outside Mien that an error came through; None if no such method was loaded."""
    own_code = sys.modules.get("mien.models.own_code")
    return None if own_code is None else own_code.culprit(error)


def _usage(error: Any) -> str:
    context = getattr(error, "ctx", None)
    message = " ".join(error.format_message().split()).rstrip(".")
    if not message:  # the parser has already printed the help
        return ""
    link = " See" if message.endswith("?") else "; see"
    return f"{message}{link} {context.command_path if context else 'mien'} --help."


def leave(app: typer.Typer) -> NoReturn:
    """The entry point of the installed command."""
    sys.exit(run(app, sys.argv[1:]))
