"""One writer to a folder at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mien.errors import BadSetting
from mien.temporary import clear_stale

LOCK = "run.lock"
"""The file in a folder that says that somebody writes there; it goes when they have finished."""


@contextmanager
def alone(folder: str | Path, what: str) -> Iterator[None]:
    """Holds the lock of a folder, and clears what killed writers left in it.

    The operating system gives back the lock of a process that ends, however it ends; the file alone, left by
    a killed process, holds nobody up.

    Args:
        folder: Made if needed.
        what: What the sentence calls the folder.

    Raises:
        BadSetting: Somebody else writes there.
    """
    path = Path(folder) / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise BadSetting(
            f"another process writes to this {what} at the moment", received=str(folder),
            remedy="wait until it has finished, or choose another --out",
        ) from error  # fmt: skip
    try:
        clear_stale(path.parent)
        yield
    finally:
        with suppress(OSError):  # while it is held: nobody else's file can be meant
            path.unlink()
        lock.release()
