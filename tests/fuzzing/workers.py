"""Inputs read in processes of bounded memory and time, which say of each how it ended.

An input ends *read* or *refused* (one sentence of a :class:`mien.errors.MienError`). Everything else is a
failure: another exception (*raw*), more than ten seconds of processor time (*slow*), more than a gigabyte
(*memory*), a crash, a file written or a program started elsewhere (*outside*), something half-written left.
"""

from __future__ import annotations

import gc
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import MienError

_ALLOCATION = ("Unable to allocate", "allocate memory", "DefaultCPUAllocator")
SECONDS = 10.0
BYTES = 2**30
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_FORBIDDEN = ("os.system", "socket.connect", "pickle.find_class", "os.exec", "os.posix_spawn", "os.fork")
_MOVES = (
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "shutil.rmtree",
    "os.truncate",
)


@dataclass(frozen=True)
class Outcome:
    """How an input ended.

    Args:
        reader: What read it.
        number: Of the input; with the seed it makes the same bytes again.
        kind: ``read``, ``refused``, or a failure.
        said: The sentence, or the exception.
        seconds: Of processor time.
        mebibytes: More of memory than before.
    """

    reader: str
    number: int
    kind: str
    said: str = ""
    seconds: float = 0.0
    mebibytes: float = 0.0

    @property
    def is_failure(self) -> bool:
        return self.kind not in ("read", "refused")


@dataclass(frozen=True)
class Reader:
    """What reads inputs of a kind.

    Args:
        name: Of the kind.
        make: Writes the input of a generator into a folder; returns what to read.
        read: Reads it, and uses what was read; the second folder is for outputs.
        starts: Whether it may start another process.
    """

    name: str
    make: Callable[[random.Random, Path], Path]
    read: Callable[[Path, Path], Any]
    starts: bool = False


class _Watch:
    """Sees each file that is opened for writing and each process that is started, while it is on."""

    def __init__(self, allowed: Sequence[Path]) -> None:
        self.allowed = [os.path.abspath(path) + os.sep for path in allowed]
        self.seen: list[str] = []
        self.is_on = self.may_start = False
        sys.addaudithook(self)

    def __call__(self, event: str, values: tuple[Any, ...]) -> None:
        if not self.is_on:
            return
        if event == "open":
            path, mode, flags = values
            writes = (flags or 0) & _WRITES or any(letter in str(mode or "") for letter in "wax+")
            if writes and isinstance(path, (str, bytes, os.PathLike)):
                self._check(event, path)
        elif event in _MOVES:
            # A tree is removed by names below folders that are open: ``os.remove`` tells which one last.
            below = values[1] if event in ("os.remove", "os.rmdir") and len(values) > 1 else -1
            for path in values[:2] if event in ("os.rename", "os.link", "os.symlink") else values[:1]:
                if isinstance(path, (str, bytes, os.PathLike)):
                    self._check(event, path, below)
        elif event in _FORBIDDEN or (event == "subprocess.Popen" and not self.may_start):
            if not (self.may_start and event in ("os.posix_spawn", "os.fork")):
                self.seen.append(event)

    def _check(self, event: str, path: Any, below: int = -1) -> None:
        name = os.fsdecode(path)
        place = os.path.abspath(
            name if below < 0 else os.path.join(os.readlink(f"/proc/self/fd/{below}"), name)
        )
        if not any((place + os.sep).startswith(root) for root in self.allowed) and place != os.devnull:
            self.seen.append(f"{event} {place}")


def read_all(reader: Reader, numbers: Sequence[int], seed: int, work: Path) -> Iterator[Outcome]:
    """Reads the inputs of a reader one after the other; a process that dies costs one input.

    Args:
        reader: Whose inputs.
        numbers: Of the inputs.
        seed: Draws others.
        work: A folder for them.
    """
    left = list(numbers)
    while left:
        done = yield from _batch(reader, left, seed, work)
        left = left[done:]


def _batch(reader: Reader, numbers: Sequence[int], seed: int, work: Path) -> Iterator[Outcome]:
    """Outcomes of one process; returns how many inputs are through."""
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        os.close(told)
        _serve(reader, numbers, seed, work, tell)
        os._exit(0)
    os.close(tell)
    done, begun = 0, None
    with os.fdopen(told) as lines:
        for line in lines:
            found = json.loads(line)
            if "begun" in found:
                begun = found["begun"]
                continue
            begun, done = None, done + 1
            yield Outcome(**found)
    _, status = os.waitpid(child, 0)
    if begun is not None:
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        kind = "slow" if number == signal.SIGXCPU else "crash"
        yield Outcome(reader.name, begun, kind, signal.Signals(number).name if number else "exit")
        done += 1
    elif not done:
        raise RuntimeError(f"the process that reads {reader.name} ended between inputs: {status}")
    return done


def _serve(reader: Reader, numbers: Sequence[int], seed: int, work: Path, tell: int) -> None:
    """Reads inputs and tells of each; never returns by an exception."""
    gc.freeze()  # what is loaded already is not looked through before each input
    warnings.simplefilter("ignore")
    sys.dont_write_bytecode = True  # what an input has imported here first is no file that it writes
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.dup2(devnull, 2)
    watch = _Watch([work / "out", Path(os.environ["MIEN_CACHE"]), *([Path("/tmp")] if reader.starts else [])])
    watch.may_start = reader.starts
    virtual = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (virtual + BYTES, resource.RLIM_INFINITY))
    for number in numbers:
        shutil.rmtree(work, ignore_errors=True)
        (work / "in").mkdir(parents=True)
        (work / "out").mkdir()
        path = reader.make(random.Random(f"{reader.name} {seed} {number}"), work / "in")
        os.write(tell, (json.dumps({"begun": number}) + "\n").encode())
        outcome = one_outcome(reader, path, number, work, watch)
        os.write(tell, (json.dumps(outcome.__dict__) + "\n").encode())
        if outcome.kind == "memory" or outcome.mebibytes > 300:
            return  # what it left in memory is not the next one's


def one_outcome(reader: Reader, path: Path, number: int, work: Path, watch: _Watch | None = None) -> Outcome:
    """Reads one input in this process."""
    gc.collect()
    began, before = time.process_time(), _peak()
    used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
    if watch is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (used + int(SECONDS) + 2, resource.RLIM_INFINITY))
        watch.seen.clear()
        watch.is_on = True
    try:
        reader.read(path, work / "out")
        kind, said = "read", ""
    except MienError as error:
        kind, said = "refused", str(error)
    except MemoryError as error:
        kind, said = "memory", str(error)
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)
        at = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in place if "/mien/" in frame.filename]
        kind, said = "raw", f"{type(error).__name__}: {error} ({' '.join(at[-3:])})"
    finally:
        if watch is not None:
            watch.is_on = False
    seconds, more = time.process_time() - began, (_peak() - before) / 1024
    if kind == "refused" and ("\n" in said or any(words in said for words in _ALLOCATION)):
        kind = "raw" if "\n" in said else "memory"
    if seconds > SECONDS:
        kind = "slow"
    if watch is not None and watch.seen:
        kind, said = "outside", "; ".join(watch.seen[:3])
    if any(item.name.endswith(".tmp") for item in (work / "out").rglob("*")):
        kind = "half-written"
    return Outcome(reader.name, number, kind, said[:300], round(seconds, 3), round(more, 1))


def _peak() -> int:
    """Kibibytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
