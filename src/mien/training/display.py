"""What a person sees of a training run: a bar with losses and time left, a table of validations."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mien.errors import Note


class Display:
    """Bars on standard error; silent when not wanted or when another process is the first one.

    Args:
        folder: The run folder; TensorBoard files go there if that package is installed.
        visible: Whether to show anything.
    """

    def __init__(self, folder: Path, visible: bool) -> None:
        from rich.console import Console

        self.visible, self.console = visible, Console(stderr=True, quiet=not visible)
        self.bar: Any = None
        self.writer: Any = None
        self.losses = ""
        if visible and importlib.util.find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self.writer = SummaryWriter(str(folder / "tensorboard"))

    def begin(self, name: str, steps: int, done: int) -> None:
        """Starts the bar of a stage."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(24), MofNCompleteColumn(), TimeRemainingColumn(),
            TextColumn("{task.fields[losses]}"), console=self.console, transient=True,
            disable=not self.console.is_terminal,
        )  # fmt: skip
        self.bar.start()
        self.task = self.bar.add_task(name, total=steps, completed=done, losses="")
        self.name, self.steps = name, steps

    def advance(self, step: int) -> None:
        """Moves the bar."""
        self.bar.update(self.task, completed=step)

    def report(self, values: dict[str, float], kind: str, step: int) -> None:
        """Speed and losses go beside the bar; validations stay on screen as lines."""
        speed = values.get("faces_per_second", 0.0)
        told = (item for item in values.items() if item[0] not in ("criterion", "faces_per_second"))
        text = "  ".join(f"{name} {value:.4g}" for name, value in told)
        if kind == "losses":
            self.bar.update(self.task, losses=f"{speed:,.{0 if speed >= 10 else 1}f} faces/s  {text}")
        else:
            self.console.print(f"  {self.name} {step}/{self.steps}: {text}", highlight=False)

    def board(self, group: str, values: dict[str, float], step: int) -> None:
        """TensorBoard scalars, if installed."""
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(f"{group}/{name}", value, step)

    def note(self, text: str) -> None:
        """A line that stays."""
        self.console.print(f"  {text}", highlight=False)

    @contextmanager
    def notes(self) -> Iterator[None]:
        """Meanwhile, what methods warn of as :class:`mien.errors.Note` is a line that stays."""
        with warnings.catch_warnings():
            usual = warnings.showwarning

            def told(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
                if issubclass(category, Note):
                    self.note(str(message))
                else:
                    usual(message, category, *place, **more)

            if self.visible:  # otherwise Python shows them where it shows all warnings
                warnings.simplefilter("always", Note)
                warnings.showwarning = told
            yield

    def end(self) -> None:
        """Ends the bar of a stage."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
