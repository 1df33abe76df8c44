"""A progress bar for anything that may take longer than a moment."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

Item = TypeVar("Item")

#: Work shorter than this shows nothing, so that quick calls leave the terminal alone.
PATIENCE_SECONDS = 1.0

_running = False


def track(items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
    """Yields the items, with a bar and the time left on standard error once the work proves to be long.

    A bar inside another one stays silent, and so does one whose output is not a terminal: results on standard
    output are never mixed with it.

    Args:
        items: What to work through.
        label: What is being done, e.g. ``decoding faces``.
        total: How many items there are, if ``items`` has no length.
    """
    global _running
    if _running:
        yield from items
        return
    total = len(items) if total is None and hasattr(items, "__len__") else total  # type: ignore[arg-type]
    bar, began = None, time.monotonic()
    _running = True
    try:
        for done, item in enumerate(items):
            if bar is None and time.monotonic() - began > PATIENCE_SECONDS:
                bar = _bar()
                task = bar.add_task(label, total=total)
                bar.start()
            if bar is not None:
                bar.update(task, completed=done)
            yield item
    finally:
        _running = False
        if bar is not None:
            bar.stop()


def _bar() -> Progress:
    # Imported with the first bar: the package itself must stay quick to import.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
