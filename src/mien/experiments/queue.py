"""A queue of jobs in processes of their own: finished ones are kept, a failed one is a result, too.

Each job has a file of its result; the file appears whole, so a queue that is cut anywhere goes on with what
has none. Every process computes with one thread, and there are as many as cores.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.cores import cores
from mien.errors import BadFile, MienError
from mien.io.atomic import write_bytes

DONE, FAILED, WAITING = "done", "failed", "waiting"
PRELOADED = ["mien.experiments.bench_jobs", "lightning_fabric", "scipy.stats", "scipy.sparse.linalg"]
_PAUSE = 0.05  # seconds between two looks at the processes


@dataclass(frozen=True)
class QueuedRun:
    """Something to be done once.

    Args:
        name: For people.
        task: Plain JSON values that decide the result: another task is another job.
        needs: Plain JSON values that follow from the task today, such as settings that nobody asked for. They
            are kept with the result, which is made again once one of them has another value; a setting that
            did not exist then changes nothing.
    """

    name: str
    task: Mapping[str, Any]
    needs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Name of its files: readable, and different for every task."""
        digest = hashlib.sha256(json.dumps(self.task, sort_keys=True, default=str).encode()).hexdigest()
        plain = "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in self.name)
        return f"{plain[:80]}-{digest[:8]}"


Work = Callable[[Mapping[str, Any], Path], Mapping[str, Any]]
"""What does a job: its task and the folder of the queue to plain JSON values. A function of a module."""


def result_of(job: QueuedRun, folder: Path) -> dict[str, Any]:
    """What came of a job: ``state`` is done, failed or waiting; waiting, too, if it needs other values now.

    Args:
        job: Any.
        folder: Of the queue.

    Raises:
        BadFile: The file of the result is damaged.
    """
    path = _file(job, folder)
    if not path.is_file():
        return {"state": WAITING}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        current = _agree(found.get("needs", {}), json.loads(json.dumps(job.needs, default=str)))
        return {**found, "state": found["state"]} if current else {"state": WAITING}
    except (ValueError, KeyError, TypeError) as error:
        raise BadFile(
            "the result of a run is damaged", received=str(path), remedy="remove the file; it is made again"
        ) from error


def _agree(then: Any, now: Any) -> bool:
    """All that was there then has the same value now."""
    if isinstance(then, dict) and isinstance(now, dict):
        return all(name in now and _agree(value, now[name]) for name, value in then.items())
    return bool(then == now)


def run_queue(jobs: Sequence[QueuedRun], work: Work, folder: Path, *, workers: int | None = None) -> None:
    """Does all jobs that have no result yet; returns when every job has one.

    Args:
        jobs: In the order in which they begin.
        work: What does one.
        folder: Of the queue; results are kept in it.
        workers: Processes at a time; None for one a core.
    """
    waiting = [job for job in jobs if result_of(job, folder)["state"] == WAITING]
    most = workers or cores()
    running: list[tuple[QueuedRun, Any]] = []
    if not waiting:
        return
    with _one_thread_each():
        context = _context()
        try:
            while waiting or running:
                while waiting and len(running) < most:
                    job = waiting.pop(0)
                    process = context.Process(target=_do, args=(job, work, folder), name=job.name)
                    process.start()
                    running.append((job, process))
                time.sleep(_PAUSE)
                for job, process in [item for item in running if not item[1].is_alive()]:
                    process.join()
                    _note_death(job, folder, process.exitcode)
                    running.remove((job, process))
        finally:  # what is cut goes on from its last checkpoint, next time
            for _, process in running:
                process.terminate()
            for _, process in running:
                process.join()


def _do(job: QueuedRun, work: Work, folder: Path) -> None:
    """A job in its own process: its result, or the sentence why there is none."""
    began = time.process_time()
    try:
        found = {**work({**job.task, **job.needs}, folder), "state": DONE}
    except MienError as error:
        found = {"state": FAILED, "sentence": str(error)}
    except Exception as error:
        found = {"state": FAILED, "sentence": f"a defect: {type(error).__name__}: {error}."}
    found |= {
        "name": job.name,
        "needs": dict(job.needs),
        "processor_seconds": round(time.process_time() - began, 2),
    }
    write_bytes(_file(job, folder), json.dumps(found, default=str).encode())


def _note_death(job: QueuedRun, folder: Path, code: int | None) -> None:
    """A process that left no result was ended from outside, or could not even begin."""
    if code == 0 or result_of(job, folder)["state"] != WAITING:
        return
    if code is not None and code < 0:
        sentence = f"its process was ended from outside (signal {-code}); out of memory, most often."
    else:
        sentence = f"its process ended with exit code {code} and no word; what it printed says why."
    text = json.dumps({"state": FAILED, "sentence": sentence, "name": job.name})
    write_bytes(_file(job, folder), text.encode())


def _file(job: QueuedRun, folder: Path) -> Path:
    return folder / "results" / f"{job.key}.json"


def _context() -> Any:
    """Processes that start from one that has loaded everything already, where the system has them."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that start meanwhile compute with one thread, whatever library does."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
