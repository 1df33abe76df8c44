"""The FLAME topology: registrations of any origin, and the model's template where the user has it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.sources.levels import displacement_level
from mien.data.sources.tree import (
    Faces,
    FieldSet,
    Scan,
    Tree,
    TreeOptions,
    mesh_files,
    refuse_empty,
    relabeled,
)
from mien.errors import BadFile, DataMissing, WrongTopology
from mien.npz import read_npz
from mien.topology import Topology

VERTICES = 5023
_EYEBALL = 546  # vertices of each of FLAME's two eyeballs, which are components of their own
_SPEECH = re.compile(r"sentence\d+")
_NUMBERED = re.compile(r"(.+?)[._-]?(\d+)")
_NEUTRAL = ("neutral", "template", "rest")

CONVERT = (
    "convert it once, in an environment that you trust: load the file with Python's own reader and save "
    "v_template, f and shapedirs with numpy.savez (docs/data/flame.md has the lines)"
)


@dataclass(frozen=True, eq=False)
class FlameModel:
    """What Mien uses of a FLAME model.

    Args:
        template: (5023, 3) float32, millimeters.
        faces: (F, 3) int32.
    """

    template: NDArray[np.float32]
    faces: NDArray[np.int32]

    def checked(self, common: Topology) -> NDArray[np.float32]:
        """(V, 3) float32 template in millimeters, if the meshes have the faces of the model."""
        if self.faces.shape != common.faces.shape or not np.array_equal(self.faces, common.faces):
            raise WrongTopology(
                "the meshes do not have the faces of the FLAME model",
                received=f"{len(common.faces)} triangles against {len(self.faces)}",
                remedy="use meshes in FLAME's own vertex order, or leave the model out",
            )
        return self.template


def load_flame(path: Path) -> FlameModel:
    """Reads a FLAME model that was saved as ``.npz`` (arrays ``v_template`` in meters, ``f``).

    Raises:
        BadFile: The file is a pickle, which runs whatever code it holds; or it lacks an array.
    """
    if not path.is_file():
        raise DataMissing(
            "there is no such FLAME model", received=str(path), remedy="get it at flame.is.tue.mpg.de"
        )
    if path.suffix.lower() != ".npz":
        raise BadFile(
            "a FLAME model as .pkl is a program that runs when it is opened, so Mien does not open it",
            received=str(path), remedy=CONVERT,
        )  # fmt: skip
    template, faces = read_npz(path, "the FLAME model", CONVERT, ("v_template", "f")).values()
    fits = template.dtype.kind == "f" and template.shape[1:] == (3,) and bool(np.isfinite(template).all())
    if not fits or faces.dtype.kind not in "iu" or faces.shape[1:] != (3,):
        raise BadFile(
            "the FLAME model is damaged", remedy=CONVERT,
            received=f"{template.dtype} {template.shape}, {faces.dtype} {faces.shape} in {path}",
        )  # fmt: skip
    if not len(faces) or faces.min() < 0 or faces.max() >= len(template):
        raise BadFile(
            "the FLAME model is damaged", remedy=CONVERT,
            received=f"triangles of other than {len(template)} vertices in {path}",
        )  # fmt: skip
    return FlameModel((template.astype(np.float64) * 1000).astype(np.float32), faces.astype(np.int32))


def eyeball_mask(topology: Topology) -> NDArray[np.bool_]:
    """(5023,) mask of FLAME's eyeballs; empty for other topologies."""
    count = np.bincount(topology.components)
    if topology.vertex_count != VERTICES or (count == _EYEBALL).sum() != 2:
        return np.zeros(0, bool)
    return (count == _EYEBALL)[topology.components]


def read_flame(folder: Path, options: TreeOptions) -> Tree:
    """Lists registrations in the FLAME topology, by their place.

    ``<person>/<expression>/<frames>`` is a recording (weight = level), ``<person>/<expression>.ply`` a single
    scan, ``templates/<person>.ply`` a neutral (as in VOCASET). Sentences carry no expression label.
    """
    tree, names = Tree([], (), fps=60.0), {}
    for path in mesh_files(folder):
        parts, stem = path.relative_to(folder).parts[:-1], path.stem
        if parts and parts[-1] == "templates":
            tree.scans.append(Scan(path, stem))
        elif len(parts) >= 2 and (match := _NUMBERED.fullmatch(stem) or re.fullmatch(r"()(\d+)", stem)):
            names[parts[-1]] = not _SPEECH.fullmatch(parts[-1])
            weights = {parts[-1]: 1.0} if names[parts[-1]] else {}
            labeled = names[parts[-1]]
            tree.scans.append(
                Scan(path, parts[-2], weights, labeled=labeled, clip=parts[-1], frame=int(match[2]))
            )
        elif parts:
            neutral = stem.lower() in _NEUTRAL
            names[stem] = not neutral
            tree.scans.append(Scan(path, parts[-1], {} if neutral else {stem: 1.0}))
    tree.expressions = tuple(sorted(name for name, performed in names.items() if performed))
    order = {subject: place for place, subject in enumerate(sorted({scan.subject for scan in tree.scans}))}
    tree.scans.sort(key=lambda scan: order[scan.subject])
    tree.label = _label
    return refuse_empty(tree, FLAME, folder)


def _label(scans: Sequence[Scan], frames: Faces) -> list[Scan | None]:
    """Levels for recordings of an expression; single scans and speech as they are."""
    if not scans[0].clip or not scans[0].labeled:
        return list(scans)
    name, level = scans[0].clip, displacement_level(frames)
    return [
        relabeled(scan, {name: float(level[row])} if level[row] else {}) for row, scan in enumerate(scans)
    ]


FLAME = FieldSet(
    name="flame",
    title="FLAME-topology",
    license="as the registrations' owner says; the FLAME model itself: flame.is.tue.mpg.de/modellicense",
    citation="T. Li, T. Bolkart, M. J. Black, H. Li and J. Romero, Learning a model of facial shape and "
    "expression from 4D scans, SIGGRAPH Asia 2017",
    apply="register at flame.is.tue.mpg.de or voca.is.tue.mpg.de",
    layout="<person>/<expression>/<frame>.ply, <person>/<expression>.ply, or templates/<person>.ply",
    read=read_flame,
    vertices=VERTICES,
    upright=True,
)
