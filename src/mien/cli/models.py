"""Opening model folders for commands: ``--code`` and ``--trust-code`` for methods that are not Mien's own."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mien.cli.shell import existing, say
from mien.errors import Note

if TYPE_CHECKING:
    from mien.models.base import FaceModel


@dataclass(frozen=True)
class Permission:
    """Which code of others a command may run.

    Args:
        trust: What the model folders name.
        code: Addresses of classes that were written on the command line.
    """

    trust: bool = False
    code: tuple[str, ...] = ()

    def of(self, folder: Path) -> dict[str, Any]:
        """``method`` and ``trust_code`` for one folder: a given class serves the folders of its name."""
        from mien.models.files import model_facts
        from mien.models.registry import model_class

        name = model_facts(existing(folder, "model folder")).get("model")
        fitting = [kind for kind in map(model_class, self.code) if kind.name == name]
        return {"method": fitting[0] if fitting else None, "trust_code": self.trust}


_PERMISSION: ContextVar[Permission] = ContextVar("permission")

OPTIONS = {
    "code": (
        list[str],
        typer.Option(
            [],
            "--code",
            metavar="FILE.py:Class",
            help="The class of a model folder that is not Mien's own, or module:Class; repeat for more.",
        ),
    ),
    "trust_code": (
        bool,
        typer.Option(False, "--trust-code", help="Run the code that the model folder names."),
    ),
}


def permission() -> Permission:
    """What the running command may run."""
    return _PERMISSION.get(Permission())


def open_model(folder: Path) -> FaceModel:
    """A finished run, of Mien's own methods or of one that the command allows."""
    from mien.models.files import load_model

    with notes_said():
        return load_model(folder, **permission().of(folder))


def model_or_textbook(folder: Path | None, sources: list[str]) -> FaceModel:
    """A finished run, or textbook shapes; says whose."""
    from mien.apply.default_model import default_model, sources_told
    from mien.errors import BadSetting

    if folder and sources:
        raise BadSetting("--source is for heads without a model", received=f"{folder}, {', '.join(sources)}")
    if folder is not None:
        return open_model(folder)
    say(sources_told(model := default_model(sources or None), sources or None))
    return model


@contextmanager
def notes_said() -> Iterator[None]:
    """Says the notes that arise within in plain lines, without the place in the code."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", Note)
        yield
    for warning in caught:
        if issubclass(warning.category, Note):
            say(f"Note: {warning.message}.")
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def allow_code(app: typer.Typer) -> None:
    """Gives every command that opens model folders the options ``--code`` and ``--trust-code``."""
    for command in app.registered_commands:
        if command.callback is not None and _opens_models(command.callback):
            command.callback = _with_options(command.callback)


def _opens_models(function: Callable[..., Any]) -> bool:
    parameters = inspect.signature(function).parameters.values()
    return any("MODEL_DIR" in (getattr(item.default, "metavar", None) or "") for item in parameters)


def _with_options(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def command(*args: Any, code: list[str], trust_code: bool, **kwargs: Any) -> Any:
        token = _PERMISSION.set(Permission(trust_code, tuple(code)))
        try:
            return function(*args, **kwargs)
        finally:
            _PERMISSION.reset(token)

    signature = inspect.signature(function)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind)
        for name, (kind, option) in OPTIONS.items()
    ]
    command.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *added])  # type: ignore[attr-defined]
    command.__annotations__ = function.__annotations__ | {name: kind for name, (kind, _) in OPTIONS.items()}
    return command
