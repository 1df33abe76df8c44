"""Judging a face mesh's unit and axes without vertex correspondence."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mien.errors import BadMesh
from mien.geometry.differential import face_areas, face_normals
from mien.geometry.procrustes import procrustes

# Diagonal of the bounding box, millimeters: a small child's face mask to a bust with shoulders.
_SMALLEST, _LARGEST = 100.0, 700.0
_SAMPLES = 1500
_TEMPLATE_SAMPLES = 300
_STARTS = (0.0, 40.0, 80.0)


def unit_from_size(diagonal: float, name: str) -> str:
    """The unit in which a diagonal is that of a face or head; the ranges do not overlap.

    Args:
        diagonal: Length of the bounding box's diagonal, in the mesh's unit.
        name: What to call the mesh in messages.
    """
    for unit, factor in (("millimeters", 1.0), ("centimeters", 10.0), ("meters", 1000.0)):
        if _SMALLEST <= diagonal * factor <= _LARGEST:
            return unit
    raise BadMesh(
        f"{name!r} is no face in millimeters, centimeters or meters",
        received=f"a size of {diagonal:.4g} units",
        remedy=f"scale it to millimeters ({_SMALLEST:.0f} to {_LARGEST:.0f} across)",
    )


def turn_from_shape(vertices: NDArray, faces: NDArray | None, name: str) -> NDArray[np.float64]:
    """The quarter turn that brings a face mask to +Y up and +Z out of the face.

    The left-right axis is the one about which the face is symmetric; a mask's mean normal comes out of the
    face; the chin is narrower than the forehead.

    Args:
        vertices: (V, 3) float, any unit.
        faces: (F, 3) int, needed for the normals.
        name: What to call the mesh in messages.

    Returns:
        (3, 3) rotation.
    """
    if faces is None:
        raise _unclear(name, "without faces and a template its axes cannot be judged")
    side = _symmetry_axis(vertices, name)
    normal = face_normals(vertices, faces).sum(axis=0) / (2 * face_areas(vertices, faces).sum())
    rest = [axis for axis in range(3) if axis != side]
    front = max(rest, key=lambda axis: abs(normal[axis]))
    up = next(axis for axis in rest if axis != front)
    # A head that is closed but for its neck has a small mean normal, and that points up.
    if abs(normal[front]) < max(0.2, 1.5 * abs(normal[up])):
        raise _unclear(name, "its mean normal does not tell where it looks")
    out_row = np.eye(3)[front] * np.sign(normal[front])
    up_row = np.eye(3)[up] * _sign_of_up(vertices[:, side], vertices[:, up], name)
    return np.stack([np.cross(up_row, out_row), up_row, out_row])


def _unclear(name: str, why: str) -> BadMesh:
    return BadMesh(
        f"the axes of {name!r} are not clear: {why}", remedy="turn it to +Y up and +Z out of the face"
    )


def _symmetry_axis(vertices: NDArray, name: str) -> int:
    """The axis along which a reflection changes the cloud least."""
    points = vertices[:: max(1, len(vertices) // _SAMPLES)]
    tree = cKDTree(vertices)
    middle = (vertices.min(axis=0) + vertices.max(axis=0)) / 2
    misfits = []
    for axis in range(3):
        mirrored = points.copy()
        mirrored[:, axis] = 2 * middle[axis] - mirrored[:, axis]
        for _ in range(6):  # a head that is turned a little is still symmetric
            mirrored = procrustes(mirrored, vertices[tree.query(mirrored)[1]]).apply(mirrored)
        misfits.append(float(np.mean(tree.query(mirrored)[0])))
    best, second = np.argsort(misfits)[:2]
    if misfits[best] > 0.7 * misfits[second]:
        raise _unclear(name, "it is not symmetric about one axis")
    return int(best)


def _sign_of_up(across: NDArray, along: NDArray, name: str) -> float:
    """+1 if the chin, the narrower end, is at the low end of ``along``, else -1."""
    low, high = np.quantile(along, [0.12, 0.88])
    middle = np.median(across)
    width_low, width_high = (
        np.quantile(np.abs(across[part] - middle), 0.9) for part in (along <= low, along >= high)
    )
    if 0.87 < width_low / width_high < 1.15:
        raise _unclear(name, "chin and forehead are equally wide")
    return 1.0 if width_low < width_high else -1.0


def turn_from_surface(vertices: NDArray, template: NDArray, turns: NDArray, name: str) -> NDArray[np.float64]:
    """The quarter turn in which the template's surface lies closest to the mesh.

    Only distances from template to mesh count, so a mask can be found on a head.

    Args:
        vertices: (V, 3) float, millimeters, unknown axes.
        template: (W, 3) float, millimeters, +Y up, +Z out of the face.
        turns: (24, 3, 3) rotations to try.
        name: What to call the mesh in messages.

    Returns:
        (3, 3) rotation.
    """
    points = template[:: max(1, len(template) // _TEMPLATE_SAMPLES)]
    points = points - np.median(points, axis=0)
    tree = cKDTree(vertices)
    # A mask sits at the front of a head: start at the middle of the mesh and before it.
    starts = [np.median(vertices, axis=0) + step * turn[2] for turn in turns for step in _STARTS]
    misfits = np.array([
        _slide(points @ turn, start, tree)
        for turn, start in zip(np.repeat(turns, len(_STARTS), axis=0), starts, strict=True)
    ]).reshape(len(turns), len(_STARTS)).min(axis=1)  # fmt: skip
    best, second = np.argsort(misfits)[:2]
    if misfits[best] > 0.85 * misfits[second]:
        raise _unclear(name, f"two turns fit alike ({misfits[best]:.1f} and {misfits[second]:.1f} mm)")
    return turns[best]


def _slide(points: NDArray, start: NDArray, tree: cKDTree) -> float:
    """Slides points to the closest place near a start; the mean distance of the best nine tenths there."""
    moved = points + start
    for _ in range(12):
        distance, nearest = tree.query(moved)
        close = distance <= np.quantile(distance, 0.8)
        moved = moved + (tree.data[nearest] - moved)[close].mean(axis=0)
    return float(np.sort(tree.query(moved)[0])[: int(0.9 * len(moved))].mean())
