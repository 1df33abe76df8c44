"""A picture of a mesh on which no face was found, with what came closest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image as Pictures

from mien.errors import BadMesh
from mien.figures.registration import tiles
from mien.figures.sheets import grid
from mien.find.face import Guess
from mien.io.atomic import atomic_file
from mien.render.clay import CLAY
from mien.render.stills import Image, View, render

_DOT = (196, 40, 60)
_DOT_SHARE = 0.006  # of the picture
_AROUND = 2.0  # times as much as the points span
_YAWS = (0.0, 40.0)
_SIDES = ((0, 0), (90, 0), (180, 0), (270, 0), (0, 90), (0, -90))  # yaw and pitch, degrees
_SIZE_MM = 250.0  # light is traced for things as large as heads


def guess_sheet(guess: Guess, name: str, *, size: int = 380) -> Pictures.Image:
    """The mesh from where it looked most like a face, or from its six sides.

    Args:
        guess: What came closest.
        name: What the mesh is called.
        size: Pixels of each picture.
    """
    labels: tuple[str, ...]
    if guess.seen is None:
        rows, labels = _sides(guess, size), ()
        note = "No face was seen from any side. Is it a head? Is it whole, and alone in its file?"
    else:
        rows, labels = _closest(guess, size), ("from its front", "from its side")
        note = (
            f"Closest to a face: {guess.seen.views} of 9 views saw one, {guess.seen.spread:.1f} mm apart, "
            f"{guess.seen.rest:.1f} mm off the template. Dots: where its points were seen."
        )
    return grid(rows, column_labels=labels, title=name, note=note)


def with_picture(error: BadMesh, name: str, path: Path) -> BadMesh:
    """The refusal of a mesh; a picture of what came closest to a face is written where there is one.

    Args:
        error: As it was raised.
        name: What the mesh is called.
        path: Of the picture, ``*.png``.
    """
    if error.guess is None:
        return error
    with atomic_file(path) as file:
        guess_sheet(error.guess, name).save(file, "PNG")
    told = BadMesh(error.cause, received=error.received, remedy=f"look at {path}; {error.remedy}")
    told.guess = error.guess
    return told


def _sides(guess: Guess, size: int) -> list[list[Image]]:
    """From six sides, as its file has it: three a row."""
    vertices = np.asarray(guess.vertices, np.float64)
    vertices = vertices * (_SIZE_MM / float(np.linalg.norm(np.ptp(vertices, axis=0))))
    pictures = [
        render(vertices, guess.faces, size=size, view=View.around(vertices, yaw=yaw, pitch=pitch))
        for yaw, pitch in _SIDES
    ]
    return [pictures[:3], pictures[3:]]


def _closest(guess: Guess, size: int) -> list[list[Image]]:
    """Where it looked most like a face, with the points that were seen."""
    assert guess.seen is not None
    vertices = guess.seen.placement.apply(guess.vertices)
    points = guess.seen.placement.apply(guess.seen.points)
    points = points[np.isfinite(points).all(axis=1)]
    low, high = points.min(axis=0), points.max(axis=0)
    middle, span = (low + high) / 2, _AROUND * float((high - low)[:2].max())
    dots, dot_faces = tiles(points, _DOT_SHARE * span)
    colors = np.concatenate([np.tile(CLAY, (len(vertices), 1)), np.tile(_DOT, (len(dots), 1))])
    faces = np.concatenate([guess.faces, dot_faces + len(vertices)])
    center = (float(middle[0]), float(middle[1]), float(middle[2]))
    whole = np.concatenate([vertices, dots])
    return [
        [
            render(whole, faces, size=size, view=View(center, span, yaw), colors=colors.astype(np.uint8))
            for yaw in _YAWS
        ]
    ]
