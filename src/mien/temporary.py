"""Temporary neighbors of files and folders that are being written, and what killed processes left of them."""

from __future__ import annotations

import itertools
import os
import platform
import re
import secrets
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PASSING = "mien"
"""Of the names of passing folders, between dots."""
_HOST = f"{zlib.crc32(platform.node().encode()):08x}"
_PROCESS = secrets.token_hex(4)
_NUMBERS = itertools.count()
_FORM = re.compile(r"\..+\.([0-9a-f]{8})-(\d{1,10})-([0-9a-f]{8})-\d+\.tmp")
_CLEARED: set[str] = set()
_DAY = 24 * 3600.0


def neighbor(path: Path) -> Path:
    """A name beside ``path`` for what is not whole yet; nothing is made there.

    It says which process of which machine writes, so that :func:`clear_stale` can tell what is left of a
    killed one. The first call for a folder clears that folder.

    Args:
        path: The file or folder that is to appear.
    """
    folder = os.path.abspath(path.parent)
    if folder not in _CLEARED:  # once: a listing for each of many files would take longer than writing them
        _CLEARED.add(folder)
        clear_stale(path.parent)
    return path.with_name(f".{path.name}.{_HOST}-{os.getpid()}-{_PROCESS}-{next(_NUMBERS)}.tmp")


def whole_name(path: str) -> str:
    """A path with the names that things will have when they are whole, for messages.

    Args:
        path: In which names of :func:`neighbor` may stand.
    """
    parts = Path(path).parts
    return str(Path(*(part[1:].rsplit(".", 2)[0] if _FORM.fullmatch(part) else part for part in parts)))


@contextmanager
def passing_folder() -> Iterator[Path]:
    """A folder among the system's temporary files for what nobody keeps; it is gone afterwards.

    Only its owner may look inside. Those of killed processes are cleared by the next process that makes one:
    the standard library's stay until the machine is started again.

    Yields:
        The folder.
    """
    folder = neighbor(Path(tempfile.gettempdir()) / PASSING)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear_stale(folder: Path) -> None:
    """Removes what killed processes left in a folder of the names that :func:`neighbor` gives.

    Args:
        folder: Where to look, not deeper; need not exist.
    """
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if _is_stale(entry)]
    except OSError:  # it is absent or may not be read: nothing of ours is there
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            with suppress(OSError):  # another process cleared it at the same time
                os.unlink(entry.path)


def _is_stale(entry: os.DirEntry[str]) -> bool:
    """Whether nobody writes this any more."""
    form = _FORM.fullmatch(entry.name)
    if form is None:
        return False
    host, process, run = form[1], int(form[2]), form[3]
    if host == _HOST and process == os.getpid():
        return run != _PROCESS  # in a container every program may have the same number
    if host == _HOST and os.name != "nt":
        return not _is_running(process)
    # Another machine that shares the disk, or a system where asking would end the process.
    return time.time() - entry.stat(follow_symlinks=False).st_mtime > _DAY


def _is_running(process: int) -> bool:
    """Whether a process of this machine exists, of whatever user."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
