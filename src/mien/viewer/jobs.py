"""What takes its time: one job after the other, each to be seen and canceled."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mien.errors import BadSetting
from mien.io.worker import Canceled, Worker

MOST_JOBS = 100


class StudioJob:
    """One of the jobs.

    Args:
        number: What the page calls it.
        title: What it is about.
        queue: Whose it is.
    """

    def __init__(self, number: int, title: str, queue: Jobs) -> None:
        self.number, self.title, self._queue = number, title, queue
        self.canceled = False
        self.began: float | None = None

    def run(self, function: Callable[..., Any], *values: Any) -> Any:
        """A step of it, see :meth:`mien.io.worker.Worker.run`; in this process where there is no worker."""
        if self.canceled:
            raise Canceled(f"{self.title} was canceled")
        worker = self._queue.worker
        try:
            if worker is None:
                made = function(*values)
            else:
                made = worker.run(function, *values, unless=lambda: self.canceled)
        except Canceled as error:
            raise Canceled(f"{self.title} was canceled") from error
        if self.canceled:  # between two steps
            raise Canceled(f"{self.title} was canceled")
        return made

    def as_dict(self) -> dict[str, Any]:
        """For the page."""
        seconds = None if self.began is None else round(time.monotonic() - self.began, 1)
        return {"number": self.number, "title": self.title, "seconds": seconds}


class Jobs:
    """A queue of jobs.

    Args:
        worker: The process that does the work; None does it here.
        news: Is notified when the queue has changed.
    """

    def __init__(self, worker: Worker | None, news: threading.Condition) -> None:
        self.worker = worker
        self.version = 0
        self._news = news
        self._jobs: list[StudioJob] = []
        self._made = 0

    @contextmanager
    def begin(self, title: str) -> Iterator[StudioJob]:
        """Waits for its turn, and gives the job.

        Args:
            title: What it is about.

        Raises:
            Canceled: It was canceled while it waited.
            BadSetting: Too many wait.
        """
        with self._news:
            if len(self._jobs) >= MOST_JOBS:
                raise BadSetting(f"{MOST_JOBS} jobs wait already", received=title, remedy="try again later")
            self._made += 1
            job = StudioJob(self._made, title, self)
            self._jobs.append(job)
            self._changed()
        try:
            with self._news:
                self._news.wait_for(lambda: job.canceled or self._jobs[0] is job)
                job.began = time.monotonic()
                self._changed()
            yield job
        finally:
            with self._news:
                self._jobs.remove(job)
                self._changed()

    def cancel(self, number: int) -> None:
        """Ends a job, whether it waits or runs; one that has ended already is left alone."""
        with self._news:
            found = [job for job in self._jobs if job.number == number]
            for job in found:
                job.canceled = True
            if found and found[0] is self._jobs[0] and self.worker is not None:
                self.worker.cancel()  # while nobody else can begin
            self._changed()

    def listed(self) -> list[dict[str, Any]]:
        """The jobs in order, for the page; the first one runs."""
        with self._news:
            return [job.as_dict() for job in self._jobs]

    def _changed(self) -> None:
        self.version += 1
        self._news.notify_all()
