"""Whether each shape of a rig shows what its name says, as a network for photographs reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from mien.data.head_rigs import HeadRig
from mien.errors import BadMesh, BadSetting
from mien.evaluation.tables import Table
from mien.find.scores import SCORED
from mien.progress import track
from mien.render.stills import View

RISE = 0.1
"""A score that rises by less over the face at rest says nothing: unrelated shapes move it as much."""
TELLING = (
    "browOuterUpLeft", "eyeBlinkLeft", "eyeBlinkRight", "eyeSquintLeft", "eyeSquintRight",
    "jawOpen", "mouthFunnel", "mouthLeft", "mouthPucker", "mouthRight",
    "mouthRollLower", "mouthShrugLower", "mouthSmileLeft", "mouthSmileRight", "mouthUpperUpRight",
)  # fmt: skip
"""What the network tells apart on at least half of the right heads of ``benchmarks/read_shapes.py``."""
_MOVED_SHARE = 0.02  # of the largest motion: what moves less says nothing about where the face is
_FRAME = 1.5  # height of the picture over that of what moves: the detector wants some surroundings
READ, OTHER, NOTHING, BLIND = "read", "another shape raises it more", "not read", "not judged"
NOTE = (
    "Own: how far a shape at full weight raises its own score over the face at rest, of MediaPipe's "
    f"blendshape network on clay renders; less than {RISE} counts as nothing. Most: the score that it raises "
    "most. By: the shape that raises its score most. Not judged: the network rarely reads this shape even "
    "where it is right (docs/metrics.md)."
)


class Reader(Protocol):
    """What scores pictures of meshes; tests put known scores in its place."""

    def read(self, meshes: Sequence[NDArray], faces: NDArray, view: View) -> NDArray[np.float64]:
        """(n, 52) float64 scores, 0 to 1; NaN where no face is seen.

        Args:
            meshes: n arrays (V, 3) float, millimeters.
            faces: (F, 3) int.
            view: The camera of all pictures.
        """


@dataclass(frozen=True, eq=False)
class ShapeReading:
    """What was read off the shapes of a rig.

    Args:
        name: Of the rig.
        shapes: E names that have a score.
        rises: (E, 52) float64: scores of each shape at full weight minus those at rest; NaN where no face
            was seen.
    """

    name: str
    shapes: tuple[str, ...]
    rises: NDArray[np.float64]

    @cached_property
    def _named(self) -> NDArray[np.float64]:
        """(E, E) shape by score of a shape's name; where no face was seen nothing rises."""
        return np.nan_to_num(self.rises[:, [SCORED.index(name) for name in self.shapes]])

    @cached_property
    def judged(self) -> tuple[str, ...]:
        """The shapes that the network can tell apart, see ``TELLING``."""
        return tuple(name for name in self.shapes if name in TELLING)

    def own(self, shape: str) -> float:
        """How far a shape raises its own score."""
        number = self.shapes.index(shape)
        return float(self._named[number, number])

    def raised_by(self, shape: str) -> str:
        """The shape among the judged that raises the score of one most; empty where none raises it."""
        rows = [self.shapes.index(name) for name in self.judged]
        column = self._named[rows, self.shapes.index(shape)]
        return self.judged[int(column.argmax())] if column.max(initial=0) >= RISE else ""

    def verdict(self, shape: str) -> str:
        """``READ``, ``OTHER``, ``NOTHING``, or ``BLIND`` of what the network cannot tell."""
        if shape not in self.judged:
            return BLIND
        by = self.raised_by(shape)
        if by == shape:
            return READ
        return OTHER if by and self.own(shape) >= RISE else NOTHING

    @cached_property
    def exchanged(self) -> tuple[tuple[str, ...], ...]:
        """Shapes whose names seem exchanged: each of a group deserves the name of the next one in it.

        The names of the judged shapes are dealt out so that own scores rise most in sum (the assignment
        problem). A group counts if each of its shapes gains by its new name, and ``RISE`` in the mean.
        """
        rows = [self.shapes.index(name) for name in self.judged]
        rises = self._named[np.ix_(rows, rows)]
        _, dealt = linear_sum_assignment(rises, maximize=True)
        gain = rises[np.arange(len(rows)), dealt] - rises.diagonal()
        found, left = [], set(range(len(rows)))
        while left:
            group = [left.pop()]
            while (following := int(dealt[group[-1]])) != group[0]:
                group.append(following)
            left -= set(group)
            if len(group) > 1 and gain[group].min() > 0 and gain[group].mean() >= RISE:
                found.append(tuple(self.judged[number] for number in group))
        return tuple(found)

    @property
    def sentences(self) -> list[str]:
        """How many shapes are read, and what seems misnamed."""
        found = [self.verdict(shape) for shape in self.judged]
        told = [f"{self.name}: the judge reads {found.count(READ)} of {len(found)} shapes that it can tell."]
        for group in self.exchanged:
            seems = ", ".join(f"{name} looks like {other}"
                              for name, other in zip(group, (*group[1:], group[0]), strict=True))  # fmt: skip
            told.append(f"{self.name}: {seems}; are these names exchanged?")
        return told

    def as_dict(self) -> dict[str, object]:
        """What was read, as plain values for JSON; rises are None where no face was seen."""
        rows = [[round(value, 4) if value == value else None for value in row] for row in self.rises.tolist()]
        return {
            "name": self.name, "scores": SCORED, "rises": dict(zip(self.shapes, rows, strict=True)),
            "verdicts": {shape: self.verdict(shape) for shape in self.shapes}, "exchanged": self.exchanged,
        }  # fmt: skip

    def row(self, shape: str) -> tuple[str, ...]:
        """Cells of a table, see :func:`reading_table`."""
        if shape not in self.shapes:
            return ("", "", "", "")
        rises = self.rises[self.shapes.index(shape)]
        if np.isnan(rises).any():
            return ("no face seen", "", "", self.verdict(shape))
        most = int(rises.argmax())
        raised = f"{SCORED[most]} {rises[most]:.2f}" if rises[most] >= RISE else ""
        return (f"{self.own(shape):.2f}", raised, self.raised_by(shape), self.verdict(shape))


def read_shapes(rig: HeadRig, reader: Reader) -> ShapeReading:
    """Draws a rig at rest and with each shape at full weight, and has the pictures scored.

    Args:
        rig: With ARKit's names, see :meth:`HeadRig.in_arkit_names`.
        reader: Scores pictures, such as :class:`mien.find.reader.FaceReader`.

    Raises:
        BadSetting: The rig has no shape that has a score.
        BadMesh: No face is seen on the head at rest.
    """
    shapes = tuple(name for name in rig.names if name in SCORED)
    if not shapes:
        raise BadSetting(
            "the rig has no shape that the judge has a score for", received=", ".join(rig.names[:6]),
            remedy="map its names to ARKit's by a table (--names)",
        )  # fmt: skip
    view = _front(rig)
    rest = reader.read([rig.vertices], rig.faces, view)[0]
    if np.isnan(rest).any():
        raise BadMesh(
            "the judge sees no face on the head at rest", received=rig.name,
            remedy="heads stand upright, +Y up and +Z out of the face",
        )  # fmt: skip
    rows = [
        reader.read([rig.vertices + rig.shape(name)], rig.faces, view)[0]
        for name in track(shapes, f"reading {rig.name}")
    ]
    return ShapeReading(rig.name, shapes, np.stack(rows) - rest)


def reading_table(readings: Sequence[ShapeReading]) -> Table:
    """One row a shape of the first rig, the cells of all rigs side by side.

    Args:
        readings: The judged rig's, and those of others of the same head.
    """
    titles = ("own", "most", "by", "verdict")
    header = ("shape", *(f"{item.name}: {title}" for item in readings for title in titles))
    rows = tuple(
        (shape, *(cell for item in readings for cell in item.row(shape))) for shape in readings[0].shapes
    )
    return Table("Read from outside", NOTE, header, rows)


def _front(rig: HeadRig) -> View:
    """The camera before what the shapes move: heads may have bodies."""
    motion = np.linalg.norm(rig.displacements, axis=2).max(axis=0)
    moved = rig.vertices[motion > _MOVED_SHARE * motion.max()]
    low, high = np.percentile(moved, (2, 98), axis=0)
    x, y, z = ((low + high) / 2).tolist()
    return View((x, y, z), _FRAME * float(high[1] - low[1]))
