"""A picture of a registration: the mesh, the template on it, and how far apart they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from mien.figures.heat import heat, nice_maximum, with_bar
from mien.figures.sheets import grid
from mien.geometry.registration import Registration
from mien.render.clay import CLAY
from mien.render.stills import Image, View, render

_DOT = (196, 40, 60)
_DOT_MM = 1.6
_YAW = 35.0


def registration_sheet(registration: Registration, name: str, *, size: int = 380) -> Pictures.Image:
    """The mesh with the landmarks found on it, the template laid on it, and the distance between them.

    Args:
        registration: What to show.
        name: What the mesh is called.
        size: Pixels of each picture.
    """
    quality = registration.quality
    known = quality.distance[np.isfinite(quality.distance)]
    maximum = nice_maximum(known) if len(known) else 1.0
    view = replace(View.around(registration.vertices, margin=1.5), yaw=0.0)
    rows = []
    for yaw in (0.0, _YAW):
        here = replace(view, yaw=yaw)
        rows.append([
            _mesh_picture(registration, here, size), _template_picture(registration, here, size),
            render(
                registration.vertices, registration.topology.faces, size=size, view=here, gloss=0.35,
                colors=heat(quality.distance, maximum),
            ),
        ])  # fmt: skip
    sheet = grid(
        rows, column_labels=("the mesh, landmarks", "the template on it", "distance"),
        title=name, note=_note(registration),
    )  # fmt: skip
    return with_bar(sheet, maximum)


def _note(registration: Registration) -> str:
    quality = registration.quality
    return (
        f"{quality.mean_mm:.2f} mm from the surface on average, 95 % below {quality.p95_mm:.2f} mm; "
        f"{quality.flipped} of {quality.triangles} triangles flipped. Black: no counterpart."
    )


def _template_picture(registration: Registration, view: View, size: int) -> Image:
    return render(registration.vertices, registration.topology.faces, size=size, view=view)


def _mesh_picture(registration: Registration, view: View, size: int) -> Image:
    """The mesh where the template lies, with a dot at every landmark."""
    vertices = registration.placement.apply(registration.mesh_vertices)
    faces = registration.mesh_faces
    points = registration.topology.landmarks.positions(registration.vertices)
    if not len(faces):  # a point scan: every point a small tile
        vertices, faces = tiles(vertices[:: max(1, len(vertices) // 40_000)], 0.7)
    colors = np.tile(np.array(CLAY, np.uint8), (len(vertices), 1))
    if len(points):
        dots, dot_faces = tiles(points + (0, 0, 1.0), _DOT_MM)
        faces = np.concatenate([faces, dot_faces + len(vertices)])
        vertices = np.concatenate([vertices, dots])
        colors = np.concatenate([colors, np.tile(np.array(_DOT, np.uint8), (len(dots), 1))])
    return render(vertices, faces, size=size, view=view, colors=colors)


def tiles(points: NDArray, radius: float) -> tuple[NDArray, NDArray]:
    """A small octahedron at each point (n, 3): vertices (6n, 3) and triangles (8n, 3), any unit."""
    corners = np.concatenate([np.eye(3), -np.eye(3)]) * radius
    faces = np.array([(0, 1, 2), (1, 3, 2), (3, 4, 2), (4, 0, 2), (1, 0, 5), (3, 1, 5), (4, 3, 5), (0, 4, 5)])
    vertices = (np.asarray(points)[:, None] + corners).reshape(-1, 3)
    return vertices, (faces[None] + 6 * np.arange(len(points))[:, None, None]).reshape(-1, 3)
