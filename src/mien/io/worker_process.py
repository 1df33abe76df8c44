"""The other process of :mod:`mien.io.worker`: it is given functions, and gives back what they give."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from mien.errors import BadFile, MienError

_MEGABYTE = 1_000_000


def limit_memory(megabytes: int) -> None:
    """Keeps this process from taking more, where the system can."""
    try:
        resource = importlib.import_module("resource")
    except ImportError:  # Windows has no such limits
        return
    # On Linux what is written counts; elsewhere the address space, which libraries reserve generously.
    kind = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    _, most = resource.getrlimit(kind)
    wanted = megabytes * _MEGABYTE
    resource.setrlimit(kind, (wanted if most < 0 else min(wanted, most), most))


def serve(pipe: Connection, megabytes: int) -> None:
    """Answers until the parent closes its end.

    Args:
        pipe: Questions come and answers go here.
        megabytes: The most memory that this process may take.
    """
    limit_memory(megabytes)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt from the keyboard is meant for the parent
    os.dup2(2, 1)  # what libraries print is no output of the program
    while True:
        try:
            question = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(_answer(*question))


def _answer(function: Callable[..., Any], values: tuple[Any, ...]) -> tuple[str, Any]:
    """What the function gave, or how it failed."""
    try:
        return "done", function(*values)
    except MienError as error:
        return _refused(error)
    except MemoryError:
        return _refused(
            BadFile("this takes more memory than the studio may use", remedy="use a smaller mesh")
        )
    except Exception as error:  # a defect: its parent says so and lives on
        return "defect", f"{type(error).__name__}: {error}"


def _refused(error: MienError) -> tuple[str, Any]:
    received: Any = None if error.received is None else str(error.received)
    kind = type(error)
    return "refused", (kind.__module__, kind.__name__, error.cause, received, error.remedy)
