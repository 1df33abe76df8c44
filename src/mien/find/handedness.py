"""Whether a head is the mirror image of one, which its form alone does not tell: names and textures do."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.find.face import INSIDE_OUT
from mien.find.given import EXCHANGED
from mien.geometry.named_pieces import NamedTriangles
from mien.geometry.placement import Placement
from mien.io.record import Mesh

MIRRORED = (
    "the head is mirrored: {why}; left and right are taken as they lie on it, names and textures stay as "
    "they are in the file"
)
PERHAPS = "; whether the whole head is mirrored cannot be told without texture coordinates or names of sides"
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_LEFT, _RIGHT = ("left", "l"), ("right", "r")
_APART_MM = 10.0  # what is nearer to the middle has no side
_MOST = 0.8  # of the textured surface; artists' heads have 0.70 to 1, a few textures are mirrored themselves


def told_handedness(
    notes: tuple[str, ...], mesh: Mesh, naming: Sequence[NamedTriangles], placement: Placement
) -> tuple[str, ...]:
    """What was said of a head's winding and landmarks, and whether it is mirrored.

    Mirroring vertices turns triangles inside out, as does turning them; but their texture coordinates keep
    their sense in the former only, and what is named left comes to lie on the right.

    Args:
        notes: What was said when the face was found.
        mesh: The head as read.
        naming: Its groups, objects and materials.
        placement: Of it in the template's frame.
    """
    is_flipped = INSIDE_OUT in notes
    named = names_exchanged(naming, placement.apply(mesh.vertices)[mesh.faces][..., 0].mean(axis=1))
    if named:
        why = "what is named left lies on the person's right"
    elif is_flipped and EXCHANGED in notes:
        why = "its triangles are inside out, and left and right of the landmarks are exchanged"
    elif is_flipped and named is None and texture_sense(mesh) > _MOST:
        why = "its triangles are inside out, their texture coordinates are not"
    else:
        if not is_flipped or named is False or texture_sense(mesh) < 1 - _MOST:
            return notes
        return tuple(note + PERHAPS if note == INSIDE_OUT else note for note in notes)
    return (MIRRORED.format(why=why), *notes)


def texture_sense(mesh: Mesh) -> float:
    """The share of a mesh's textured surface that is wound counterclockwise on its texture; 0.5 without one.

    Args:
        mesh: As read.
    """
    if mesh.uv is None or mesh.uv_faces is None:
        return 0.5
    corners = mesh.vertices[mesh.faces].astype(np.float64)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    first, second, third = np.moveaxis(mesh.uv[mesh.uv_faces].astype(np.float64), 1, 0)
    (a, b), (c, d) = (second - first).T, (third - first).T
    sense = a * d - b * c
    total = area[sense != 0].sum()
    return float(area[sense > 0].sum() / total) if total else 0.5


def names_exchanged(naming: Sequence[NamedTriangles], across: NDArray) -> bool | None:
    """Whether what is named left lies on the right; None where no two names differ in their side alone.

    Args:
        naming: Groups, objects and materials.
        across: (F,) float, millimeters. How far to the person's left each triangle lies.
    """
    lead: list[float] = []
    for names in naming:
        pairs: dict[tuple[str, ...], dict[str, float]] = {}
        for number, name in enumerate(names.names):
            words = [word.lower() for word in _WORD.findall(name)]
            sides = ["left" if word in _LEFT else "right" for word in words if word in (*_LEFT, *_RIGHT)]
            if len(sides) == 1 and (names.of_triangle == number).any():
                key = tuple(word for word in words if word not in (*_LEFT, *_RIGHT))
                pairs.setdefault(key, {})[sides[0]] = float(np.median(across[names.of_triangle == number]))
        lead += [pair["left"] - pair["right"] for pair in pairs.values() if len(pair) == 2]
    votes = [value > 0 for value in lead if abs(value) > _APART_MM]
    return sum(votes) < len(votes) / 2 if votes else None
