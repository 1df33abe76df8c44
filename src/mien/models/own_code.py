"""Methods that live outside Mien: their classes, found by ``module:Class`` or ``file.py:Class``.

Importing a class runs its code. So an address is followed only when the caller wrote it, or when the caller
trusts the model folder that names it; nothing here is reached from a file alone.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mien.errors import BadFile, BadSetting, DataMissing, MienError, Note, UnknownName
from mien.version import __version__

if TYPE_CHECKING:
    from mien.models.base import FaceModel

PREFIX = "mien_own_"
"""How modules that were read from a file are named; the file's own name may be taken or no identifier."""

_SOURCES: set[str] = set()


def is_address(text: str) -> bool:
    """Whether a text has the form ``module:Class`` or ``file.py:Class``."""
    where, colon, name = text.rpartition(":")
    return bool(colon and where) and all(part.isidentifier() for part in name.split("."))


def class_at(address: str, *, installed: bool = False) -> type[FaceModel]:
    """The class that an address names; its code is run.

    Args:
        address: ``module:Class``, or ``file.py:Class`` with a path as the working directory sees it.
        installed: Only modules of installed packages count, not those that lie in the working directory.

    Raises:
        DataMissing: There is no such module or file.
        BadFile: Its code raises while it is imported.
        UnknownName: It has no such class.
        BadSetting: The class is no method; the sentence says what it lacks.
    """
    where, _, name = address.rpartition(":")
    module = _file_module(Path(where)) if _is_file(where) else _module(where, installed)
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise UnknownName(f"class of {where}", name, _classes(module))
    return checked(found, address)


def checked(kind: Any, address: str | None = None) -> type[FaceModel]:
    """The class itself, once it is known to be a method that Mien can train, use and judge."""
    from mien.models.base import FaceModel, Reference

    shown = address or getattr(kind, "__qualname__", repr(kind))
    if not (isinstance(kind, type) and issubclass(kind, FaceModel)):
        what = (
            f"the class {kind.__qualname__}" if isinstance(kind, type) else f"{type(kind).__name__} {kind!r}"
        )
        raise BadSetting(
            f"{shown} is no FaceModel",
            received=what,
            remedy="derive it from mien.FaceModel",
        )
    given = {"name": str, "reference": Reference}
    for attribute, expected in given.items():
        if not isinstance(getattr(kind, attribute, None), expected):
            raise BadSetting(
                f"{shown} has no {attribute}", received=repr(getattr(kind, attribute, None)),
                remedy=f"give the class an attribute {attribute} ({expected.__name__})",
            )  # fmt: skip
    if kind.decode is FaceModel.decode:
        raise BadSetting(f"{shown} lacks the verb decode", remedy="define decode(self, codes)")
    if kind.encode is FaceModel.encode and kind.calibrate is FaceModel.calibrate:
        raise BadSetting(
            f"{shown} lacks the verb encode, with which codes of training faces are measured",
            remedy="define encode(self, vertices, *, neutral=None), or a calibrate(self, data) of its own",
        )
    if source := _source(kind):
        _SOURCES.add(str(source))
    return kind


def address_of(kind: type) -> str | None:
    """Where a class can be found again, or None if it was defined in a session or inside a function.

    Files are given by their absolute path.
    """
    module = sys.modules.get(kind.__module__)
    if module is None or getattr(module, kind.__qualname__, None) is not kind:
        return None
    name = kind.__module__
    if name == "__main__":
        spec = getattr(module, "__spec__", None)  # of `python -m package.module`
        name = spec.name if spec is not None else ""
    if name and not name.startswith(PREFIX):
        return f"{name}:{kind.__qualname__}"
    source = _source(kind)
    return None if source is None else f"{source}:{kind.__qualname__}"


def record_of(kind: type, folder: Path) -> dict[str, Any]:
    """What a model folder keeps, to find a class again: its name, its address and the state of its file.

    The path of a file is kept relative to the folder, so that both may move together.
    """
    address, source = address_of(kind), _source(kind)
    where, _, name = (address or "").rpartition(":")
    if _is_file(where):
        address = f"{_relative(Path(where), folder)}:{name}"
    return {
        "class": kind.__qualname__, "address": address,
        "sha256": None if source is None or address is None else _digest(source), "mien": __version__,
    }  # fmt: skip


def is_record(value: Any) -> bool:
    """Whether a value has the form of :func:`record_of`."""
    if not isinstance(value, dict) or not isinstance(value.get("class"), str):
        return False
    address = value.get("address", value)
    return address is None or isinstance(address, str) and is_address(address)


def class_of_record(record: Mapping[str, Any], folder: Path) -> type[FaceModel]:
    """The class that a trusted model folder names; says so if its file has changed since.

    Raises:
        DataMissing: The class was defined in a session, or its file or module is gone.
    """
    address = record["address"]
    if address is None:
        raise DataMissing(
            f"the class {record['class']} of this model was defined in a session and cannot be found again",
            received=str(folder), remedy="give it: load_model(folder, method=...) or --code FILE.py:Class",
        )  # fmt: skip
    where, _, name = address.rpartition(":")
    if _is_file(where):
        path = Path(os.path.normpath(folder.resolve() / where))
        if not path.is_file():
            raise DataMissing(
                f"the file with the class {name} of this model does not exist", received=str(path),
                remedy="one of the two was moved: say where it is with --code FILE.py:Class (method=...)",
            )  # fmt: skip
        address = f"{path}:{name}"
    kind = class_at(address)
    source = _source(kind)
    if source is not None and record.get("sha256") not in (None, _digest(source)):
        warnings.warn(Note(f"{source.name} has changed since the model in {folder} was saved"), stacklevel=2)
    return kind


def culprit(error: BaseException) -> str | None:
    """``my_method.py, line 12`` if an error came out of a method that lives outside Mien, else None."""
    place, trace = None, error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        place = f"{Path(file).name}, line {trace.tb_lineno}" if file in _SOURCES else place
        trace = trace.tb_next
    return place


def _is_file(where: str) -> bool:
    return where.endswith(".py") or "/" in where or os.sep in where


def _module(name: str, installed: bool) -> ModuleType:
    if name == "__main__":  # of a session that goes on: it needs no import
        return sys.modules[name]
    try:
        return _run(name, None if installed else Path.cwd(), lambda: importlib.import_module(name))
    except ModuleNotFoundError as error:
        raise DataMissing(
            "there is no such module", received=error.name,
            remedy="install its package, run the command where it lies, or write FILE.py:Class",
        ) from error  # fmt: skip


def _file_module(path: Path) -> ModuleType:
    if not path.is_file():
        raise DataMissing("the file of the class does not exist", received=str(path), remedy="check the path")
    path = path.resolve()
    place = hashlib.sha256(str(path).encode()).hexdigest()
    name = f"{PREFIX}{place[:8]}_{_digest(path)[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BadFile("the file of a class ends in .py", received=str(path), remedy="write FILE.py:Class")
    module, loader = importlib.util.module_from_spec(spec), spec.loader
    sys.modules[name] = module  # dataclasses look for their module while it is run
    try:
        _run(str(path), path.parent, lambda: loader.exec_module(module))
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _run(what: str, folder: Path | None, load: Callable[[], Any]) -> Any:
    """Imports with a folder on the path, behind what is installed; what it raises becomes one sentence."""
    before = list(sys.path)
    if folder is not None:
        sys.path.append(str(folder))
    try:
        return load()
    except MienError:
        raise
    except (Exception, SystemExit) as error:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is not None and f"{what}.".startswith(f"{missing}."):
            raise
        raise BadFile(
            "the code of a method cannot be imported",
            received=f"{type(error).__name__} from {what}" + (f": {error}" if str(error) else ""),
            remedy="import it with Python to see where; --debug shows the traceback",
        ) from error
    finally:
        sys.path[:] = before


def _classes(module: ModuleType) -> list[str]:
    """The methods that a module defines."""
    from mien.models.base import FaceModel

    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, FaceModel) and value.__module__ == module.__name__
    ]


def _source(kind: type) -> Path | None:
    """The file that a class was read from."""
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return Path(file).resolve() if file and Path(file).is_file() else None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path, folder.resolve())).as_posix()
    except ValueError:  # another drive
        return path.as_posix()
