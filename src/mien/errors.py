"""Errors that say what is wrong, what was received, and what to do.

Everything a user can cause raises a :class:`MienError`; the command line prints its one sentence and
exits with code 2. Anything else that escapes is a defect of Mien.
"""

from __future__ import annotations

import difflib
import errno
import importlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

_LONGEST_PLACE = 400  # letters of a path in a sentence
_LINE_BREAKS = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")


class MienError(Exception):
    """Base of all errors that a user can act on.

    Args:
        cause: What is wrong, as a clause without a final period.
        received: The value that was received, if one can be shown.
        remedy: What to do about it, as a clause.
    """

    def __init__(self, cause: str, *, received: Any = None, remedy: str | None = None) -> None:
        self.cause = cause.rstrip(".")
        self.received = received
        self.remedy = remedy.rstrip(".") if remedy else None
        parts = [self.cause]
        if received is not None:
            parts.append(f"received {received}")
        if self.remedy:
            parts.append(self.remedy)
        super().__init__(_LINE_BREAKS.sub(" ", "; ".join(parts)) + ".")  # names in files may hold any letter


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory does not suffice, Python's, PyTorch's or a graphics card's."""
    words = ("can't allocate memory", "out of memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )


class Note(UserWarning):
    """What a user should know although nothing failed; a training run shows it above its progress bar."""


class Unsupported(MienError):
    """A model was asked for something that its method does not define."""


class WrongTopology(MienError):
    """Vertices, faces or order of a mesh differ from the topology that is needed."""


class MissingNeutral(MienError):
    """A method needs the subject's neutral mesh and none was given."""


class DataMissing(MienError):
    """A data folder, archive or file is absent or incomplete."""


class BadMesh(MienError):
    """A mesh file or array is damaged, empty, not finite or not a face in known units.

    Where a face was looked for and not found, ``guess`` is what came closest, to be drawn for the user.
    """

    guess: Any = None


class BadFile(MienError):
    """A file that Mien reads (checkpoint, data set, archive, table) is damaged or unsafe."""


class BadSetting(MienError):
    """A setting, flag or recipe entry has no meaning here."""


class MissingPackage(MienError):
    """An optional package is not installed."""


class UnknownName(MienError):
    """A name (expression, model, region, setting) is unknown; the nearest known one is suggested."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        names = [str(item) for item in known]
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        remedy = f"did you mean {nearest[0]!r}? " if nearest else ""
        listed = ", ".join(names[:40]) + (", ..." if len(names) > 40 else "")
        super().__init__(f"unknown {kind}", received=repr(name), remedy=f"{remedy}known: {listed}")


def require(module: str, extra: str) -> ModuleType:
    """Imports an optional module, or raises a sentence that names the extra to install.

    Args:
        module: Dotted module name.
        extra: The extra of ``pip install "mien[extra]"`` that brings it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackage(
            f"this needs the optional package {module.split('.')[0]!r}, which is not installed",
            remedy=f'run: pip install "mien[{extra}]"',
        ) from error


def _place(error: OSError) -> str:
    """Where it happened, by its final name; of a file that is used as a folder, that file."""
    from mien.temporary import whole_name  # only where something went wrong: every start imports this file

    if not isinstance(error.filename, (str, bytes)):
        return "the output"
    place = Path(whole_name(os.fsdecode(error.filename)))
    if error.errno == errno.ENOTDIR:
        place = next((parent for parent in place.parents if parent.is_file()), place)
    return str(place) if len(str(place)) < _LONGEST_PLACE else f"{str(place)[:_LONGEST_PLACE]} ..."


def system_sentence(error: OSError) -> str:
    """What the operating system refused, in one sentence: the place, why, and what to do."""
    place = _place(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return (
            f"the disk is full: {place} could not be written; nothing half-written was left; free some space."
        )
    reasons = {
        errno.ENOENT: "does not exist; check the path",
        errno.EACCES: "may not be read or written; check its permissions",
        errno.EROFS: "is on a read-only disk; choose another folder",
        errno.EISDIR: "is a folder, and a file is needed",
        errno.ENOTDIR: "is a file, and a folder is needed",
        errno.EEXIST: "is there already; choose another name",
        errno.ENAMETOOLONG: "is too long a name; choose a shorter one",
    }
    return f"{place} {reasons.get(error.errno or 0, f'cannot be used ({error.strerror or error})')}."
