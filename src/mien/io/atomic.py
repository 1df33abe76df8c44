"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mien.errors import BadFile
from mien.temporary import neighbor, whole_name


@contextmanager
def atomic_file(path: str | Path) -> Iterator[BinaryIO]:
    """Opens a temporary neighbor of ``path`` for writing and renames it to ``path`` at the end.

    A reader sees the old file or the new one, never half of it. When anything fails, the temporary
    file is removed; a failure of the disk (full, read-only, no permission) becomes one sentence.

    Args:
        path: The file to write; missing parent folders are made.

    Yields:
        A binary file to write to.
    """
    path = Path(path)
    # Not tempfile: its files are private (mode 0600), and results are there to be shared.
    temporary = neighbor(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            yield file
        os.replace(temporary, path)
    except OSError as error:
        raise BadFile(
            f"cannot write {whole_name(str(path))!r}",
            received=error.strerror or str(error),
            remedy="free some space or choose another folder; nothing was left half-written",
        ) from error
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    """Removes a file if it is there; a folder that vanished or is locked is no second error."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return


def write_bytes(path: str | Path, content: bytes) -> None:
    """Writes a whole file atomically, see :func:`atomic_file`."""
    with atomic_file(path) as file:
        file.write(content)


@contextmanager
def whole_folder(folder: str | Path) -> Iterator[Path]:
    """A temporary neighbor of ``folder``, whose files move into it when all of them are written.

    When anything fails, none of them does. Other files of the folder stay as they are.
    """
    folder = Path(folder)
    partial = neighbor(folder)
    partial.mkdir(parents=True)
    try:
        yield partial
        folder.mkdir(exist_ok=True)
        for path in sorted(partial.iterdir()):
            os.replace(path, folder / path.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
