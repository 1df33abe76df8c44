"""Procrustes alignment, and finding out a mesh's unit and axes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadMesh, UnknownName, WrongTopology
from mien.geometry import orientation
from mien.geometry.procrustes import Alignment, procrustes

__all__ = ["UNITS", "Alignment", "FrameDecision", "detect_frame", "procrustes", "quarter_turns", "unit_named"]

UNITS = {"millimeters": 1.0, "centimeters": 10.0, "meters": 1000.0}
_SHORT = {"mm": "millimeters", "cm": "centimeters", "m": "meters"}
_LARGEST_MISFIT = 0.35  # rms residual over rms size: faces stay under 0.1, other vertex orders are near 1
_LARGEST_RATIO = 2.0  # one face is not twice the size of another
_LARGEST_POSE = 25.0  # degrees that a face may be off an axis convention before the convention is unclear


@dataclass(frozen=True, eq=False)
class FrameDecision:
    """What was decided about a mesh's unit and axes.

    Args:
        unit: ``millimeters``, ``centimeters`` or ``meters``.
        scale_to_mm: What coordinates are multiplied with.
        rotation: (3, 3) float. A turn by quarter turns about the axes, to +Y up and +Z out of the face.
        sentence: The decision in words, for the user.
    """

    unit: str
    scale_to_mm: float
    rotation: NDArray[np.float64]
    sentence: str

    @staticmethod
    def of(name: str, unit: str, rotation: NDArray, why: str) -> FrameDecision:
        """A decision and its sentence.

        Args:
            name: What to call the mesh.
            unit: A key of :data:`UNITS`.
            rotation: (3, 3) float. A turn by quarter turns.
            why: What it was judged by.
        """
        return FrameDecision(unit, UNITS[unit], rotation, f"{name}: {_describe(unit, rotation)} ({why}).")

    @property
    def changed(self) -> bool:
        """Whether anything had to be changed."""
        return self.scale_to_mm != 1.0 or not np.array_equal(self.rotation, np.eye(3))

    def apply(self, vertices: NDArray) -> NDArray[np.float32]:
        """Points in millimeters, +Y up, +Z out of the face.

        Args:
            vertices: (..., 3) float, in the unit and axes of the file.

        Returns:
            (..., 3) float32, millimeters.
        """
        turned = np.asarray(vertices, np.float64) @ self.rotation.T  # quarter turns: exact in floating point
        return (turned * self.scale_to_mm).astype(np.float32)

    def back_vectors(self, vectors: NDArray) -> NDArray[np.float64]:
        """Displacements in the mesh's own unit and axes.

        Args:
            vectors: (..., 3) float, millimeters.

        Returns:
            (..., 3) float64.
        """
        return np.asarray(vectors, np.float64) / self.scale_to_mm @ self.rotation


def unit_named(name: str) -> str:
    """The unit of :data:`UNITS` that a user means: by its name, in the singular, or ``mm``, ``cm``, ``m``."""
    plain = name.strip().lower()
    unit = _SHORT.get(plain, plain if plain in UNITS else f"{plain}s")
    if unit not in UNITS:
        raise UnknownName("unit", name, (*UNITS, *_SHORT))
    return unit


def quarter_turns() -> NDArray[np.float64]:
    """(24, 3, 3) rotations that map axes onto axes; the identity first."""
    turns = [
        np.eye(3)[list(order)] * np.array(signs)[:, None]
        for order in permutations(range(3))
        for signs in product((1.0, -1.0), repeat=3)
    ]
    return np.stack([turn for turn in turns if np.linalg.det(turn) > 0])


def detect_frame(
    vertices: NDArray, template: NDArray | None = None, *, faces: NDArray | None = None, name: str = "mesh"
) -> FrameDecision:
    """Decides the unit and the axes of a face, and refuses what is not clear.

    With a template of as many vertices the decision is exact (Procrustes on corresponding vertices). With
    another template the surfaces are compared in all 24 axis conventions. Without one, the decision rests
    on the face's size, its left-right symmetry, its mean normal and its narrow chin.

    Args:
        vertices: (V, 3) float, unknown unit and axes.
        template: (W, 3) float, millimeters, +Y up, +Z out of the face; or None.
        faces: (F, 3) int; needed when there is no template.
        name: What to call the mesh in messages.
    """
    vertices = np.asarray(vertices, np.float64)
    if len(vertices) < 4 or not np.isfinite(vertices).all() or np.ptp(vertices, axis=0).max() <= 0:
        raise BadMesh(f"{name!r} has no extent or is not finite", received=f"{len(vertices)} vertices")
    if template is None:
        size = float(np.linalg.norm(np.ptp(vertices, axis=0)))
        unit = orientation.unit_from_size(size, name)
        turn, why = orientation.turn_from_shape(vertices, faces, name), "judged by its size and shape"
    elif len(template) == len(vertices):
        unit, turn, why = _against_same_topology(vertices, np.asarray(template, np.float64), name)
    else:
        size = float(np.linalg.norm(np.ptp(vertices, axis=0)))
        unit = orientation.unit_from_size(size, name)
        cloud = np.asarray(template, np.float64)
        turn = orientation.turn_from_surface(vertices * UNITS[unit], cloud, quarter_turns(), name)
        why = "judged by comparing its surface with the template's"
    return FrameDecision.of(name, unit, turn, why)


def _against_same_topology(
    vertices: NDArray, template: NDArray, name: str
) -> tuple[str, NDArray[np.float64], str]:
    """Unit, turn and reason for a mesh in correspondence with the template."""
    fit = procrustes(vertices, template, scale=True)
    mirrored = procrustes(vertices * (-1, 1, 1), template, scale=True)
    size = np.sqrt(((template - template.mean(axis=0)) ** 2).sum(axis=1).mean())
    misfit = _rms(fit.apply(vertices) - template) / size
    if _rms(mirrored.apply(vertices * (-1, 1, 1)) - template) / size < 0.5 * misfit and misfit > 0.1:
        raise BadMesh(
            f"{name!r} is mirrored: left and right are exchanged",
            remedy="flip one axis when exporting it (a left-handed program wrote it)",
        )
    if misfit > _LARGEST_MISFIT:
        raise WrongTopology(
            f"the vertices of {name!r} do not correspond to the template's, although there are as many",
            received=f"a misfit of {100 * misfit:.0f} % of the face's size after the best alignment",
            remedy="export it with the original vertex order, or bring it into correspondence first",
        )
    unit = min(UNITS, key=lambda item: abs(np.log(fit.scale / UNITS[item])))
    ratio = float(UNITS[unit] / fit.scale)
    if not 1 / _LARGEST_RATIO < ratio < _LARGEST_RATIO:
        height = np.ptp(vertices @ fit.rotation.T, axis=0)[1]
        raise BadMesh(
            f"{name!r} is no face in millimeters, centimeters or meters",
            received=f"{height:.4g} units tall, {1 / fit.scale:.3g} times the template",
            remedy="scale it to millimeters",
        )
    turns = quarter_turns()
    angles = _angle(fit.rotation @ np.swapaxes(turns, -1, -2))
    best = int(angles.argmin())
    is_upright = np.array_equal(turns[best], np.eye(3))
    if angles[best] > _LARGEST_POSE and not is_upright:
        raise BadMesh(
            f"{name!r} follows no axis convention: it is neither upright nor turned by quarter turns",
            received=f"{angles[best]:.0f} degrees off the nearest one",
            remedy="turn it to +Y up and +Z out of the face",
        )
    pose = f", its pose of {angles[best]:.0f} degrees was left as it is" if angles[best] > 5 else ""
    moved = np.linalg.norm(_offset(vertices, template, turns[best], UNITS[unit]))
    place = f", it stands {moved:.0f} mm off the template's place" if moved > 30 else ""
    return unit, turns[best], f"compared vertex by vertex with the template{pose}{place}"


def _offset(vertices: NDArray, template: NDArray, turn: NDArray, scale: float) -> NDArray[np.float64]:
    """(3,) how far the turned and scaled mesh's center is from the template's, millimeters."""
    return (vertices.mean(axis=0) @ turn.T) * scale - template.mean(axis=0)


def _rms(offsets: NDArray) -> float:
    return float(np.sqrt((offsets**2).sum(axis=-1).mean()))


def _angle(rotations: NDArray) -> NDArray[np.float64]:
    """(...,) degrees that rotations (..., 3, 3) turn by."""
    cosine = (np.trace(rotations, axis1=-2, axis2=-1) - 1) / 2
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def _describe(unit: str, turn: NDArray) -> str:
    """The decision in words: which of the mesh's axes was up and which came out of the face."""
    scale = UNITS[unit]
    length = f"in {unit}" + ("" if scale == 1 else f", scaled by {scale:g} to millimeters")
    if np.array_equal(turn, np.eye(3)):
        return f"{length}; upright with +Y up and +Z out of the face"
    up, out = (_axis(turn[row]) for row in (1, 2))
    return f"{length}; {up} was up and {out} came out of the face, turned to +Y up and +Z out of the face"


def _axis(row: NDArray) -> str:
    at = int(np.abs(row).argmax())
    return ("+" if row[at] > 0 else "-") + "XYZ"[at]
