"""Functions run in a process of their own: with limits of time and memory, to be canceled at any moment."""

from __future__ import annotations

import multiprocessing
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import mien.errors
from mien.errors import BadFile, BadSetting, MienError
from mien.io.worker_process import serve

SECONDS, MEGABYTES = 600.0, 8000
_CANCELED, _LATE = "canceled", "late"


class Canceled(MienError):
    """Somebody did not want to wait any longer."""


class Worker:
    """A process that runs one function at a time, started when it is first needed.

    Functions and values travel over a pipe of the standard library, between this process and its child only.

    Args:
        seconds: The longest time a function may take.
        megabytes: The most memory it may take, where the system keeps such a limit (Linux, macOS).
    """

    def __init__(self, seconds: float = SECONDS, megabytes: int = MEGABYTES) -> None:
        self.seconds, self.megabytes = seconds, megabytes
        self._process: Any = None
        self._pipe: Connection | None = None
        self._running = threading.Lock()
        self._life = threading.Lock()  # the process begins and ends under it: nobody meets half of one
        self._ended = ""

    def run(
        self, function: Callable[..., Any], *values: Any, unless: Callable[[], bool] = lambda: False
    ) -> Any:
        """What a function of a module gives; its refusals are raised here.

        Args:
            function: Of a module, so that the other process finds it.
            values: What it takes.
            unless: Whether nobody wants it any longer, asked when all is ready. Whoever makes this true
                before :meth:`cancel` stops the function, however early.

        Raises:
            Canceled: :meth:`cancel` was called meanwhile, or ``unless`` held.
            BadFile: It took too long or too much memory, or its process ended.
        """
        with self._running:
            with self._life:
                if unless():
                    raise Canceled("this was canceled")
                pipe = self._started()
                self._ended = ""
            clock = threading.Timer(self.seconds, self._end, (_LATE,))
            clock.daemon = True
            clock.start()
            try:
                pipe.send((function, values))
                kind, value = pipe.recv()
            except (OSError, EOFError) as error:
                with self._life:
                    raise self._why() from error
            finally:
                clock.cancel()
        if kind == "done":
            return value
        raise _refusal(*value) if kind == "refused" else RuntimeError(value)

    def cancel(self) -> None:
        """Ends what runs; the next function gets a new process."""
        self._end(_CANCELED)

    def close(self) -> None:
        """Ends the process."""
        self._end("closed")

    def _end(self, why: str) -> None:
        with self._life:
            self._ended = why
            if self._process is not None:
                self._process.kill()
                self._process.join()

    def _why(self) -> MienError:
        """Why the process ended before it had answered."""
        self._leave()
        if self._ended == _CANCELED:
            return Canceled("this was canceled")
        if self._ended == _LATE:
            return BadFile(
                "this takes too long", received=f"more than {self.seconds:.0f} s",
                remedy="use a smaller mesh, or the command line, which waits",
            )  # fmt: skip
        return BadFile("the process that read this ended unexpectedly", remedy="try again, or a smaller file")

    def _leave(self) -> None:
        """Takes leave of a process that has ended."""
        process, self._process = self._process, None
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()
        if process is not None:
            process.kill()
            process.join()

    def _started(self) -> Connection:
        if self._process is not None and not self._process.is_alive():
            self._leave()
        if self._pipe is None:
            context = multiprocessing.get_context("spawn")  # of a program with threads no copy is safe
            self._pipe, other = context.Pipe()
            self._process = context.Process(target=serve, args=(other, self.megabytes), daemon=True)
            self._process.start()
            other.close()  # so that the end of the process is the end of the pipe
        return self._pipe


def _refusal(place: str, name: str, cause: str, received: Any, remedy: str | None) -> MienError:
    """The error that the other process met, of its own kind where that is made of these three."""
    kind = getattr(sys.modules.get(place, mien.errors), name, BadSetting)
    made = kind if issubclass(kind, MienError) and kind.__init__ is MienError.__init__ else BadSetting
    error: MienError = made(cause, received=received, remedy=remedy)
    return error
