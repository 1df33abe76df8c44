"""Functions run in a process of their own: with limits of time and memory, to be canceled at any moment."""

from __future__ import annotations

import contextlib
import pickle  # noqa: TID251, between a process and its child: no file holds one
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO, Any

import mien.errors
from mien.errors import BadFile, BadSetting, MienError
from mien.io.worker_process import LENGTH

SECONDS, MEGABYTES = 600.0, 8000
_CANCELED, _LATE = "canceled", "late"


class Canceled(MienError):
    """Somebody did not want to wait any longer."""


class Worker:
    """A process that runs one function at a time, started when it is first needed.

    Functions and values travel as the interpreter's own pickles, between this process and its child only; no
    file of anybody is read that way.

    Args:
        seconds: The longest time a function may take.
        megabytes: The most memory it may take, where the system keeps such a limit (Linux, macOS).
    """

    def __init__(self, seconds: float = SECONDS, megabytes: int = MEGABYTES) -> None:
        self.seconds, self.megabytes = seconds, megabytes
        self._process: subprocess.Popen[bytes] | None = None
        self._running = threading.Lock()
        self._ended = ""

    def run(self, function: Callable[..., Any], *values: Any) -> Any:
        """What a function of a module gives; its refusals are raised here.

        Args:
            function: Of a module, so that the other process finds it.
            values: What it takes.

        Raises:
            Canceled: :meth:`cancel` was called meanwhile.
            BadFile: It took too long or too much memory, or its process ended.
        """
        with self._running:
            process = self._started()
            assert process.stdin is not None and process.stdout is not None
            self._ended = ""
            clock = threading.Timer(self.seconds, self._end, (_LATE,))
            clock.daemon = True
            clock.start()
            try:
                data = pickle.dumps((function, values), protocol=pickle.HIGHEST_PROTOCOL)
                process.stdin.write(LENGTH.pack(len(data)) + data)
                process.stdin.flush()
                kind, value = pickle.loads(_whole(process.stdout))
            except (OSError, EOFError) as error:
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
        process, self._ended = self._process, why
        if process is not None:
            process.kill()
            process.wait()

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
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._leave()
        if self._process is None:
            command = [sys.executable, "-m", "mien.io.worker_process", str(self.megabytes)]
            # In a session of its own: an interrupt from the keyboard is meant for this process.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
        return self._process


def _whole(pipe: IO[bytes]) -> bytes:
    """One answer."""
    head = pipe.read(LENGTH.size)
    if len(head) < LENGTH.size:
        raise EOFError
    (length,) = LENGTH.unpack(head)
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError
    return data


def _refusal(place: str, name: str, cause: str, received: Any, remedy: str | None) -> MienError:
    """The error that the other process met, of its own kind where that is made of these three."""
    kind = getattr(sys.modules.get(place, mien.errors), name, BadSetting)
    made = kind if issubclass(kind, MienError) and kind.__init__ is MienError.__init__ else BadSetting
    error: MienError = made(cause, received=received, remedy=remedy)
    return error
