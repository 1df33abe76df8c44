"""Work on all cores of the machine."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")
AHEAD = 2
"""Tasks begun for each core before the first result is taken, so that a few results are held at a time."""


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def at_once(tasks: Iterable[Callable[[], Result]]) -> Iterator[Result]:
    """What tasks give, in their order; each core works on one, in threads.

    This pays where the time goes into libraries that let go of the interpreter: casting rays, large arrays,
    files.

    Args:
        tasks: Any number, taken a few at a time; they share nothing that they change.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(cores()) as pool:
        for task in tasks:
            waiting.append(pool.submit(task))
            if len(waiting) > AHEAD * cores():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
