"""The procedural face's connectivity, mean face, texture coordinates, landmarks, regions and mirror."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mien.data.sources.procedural.anthropometry import NORMS
from mien.data.sources.procedural.mesh import BALL_SEGMENTS, EYE_ROW, HALF, MOUTH_ROW, FaceMesh, face_mesh
from mien.data.sources.procedural.person import ProceduralPerson, landmark_vertices, population
from mien.topology import Landmarks, Polygons, Topology

# iBUG's 68 points as (row, column, lower side): jaw from the right ear, brows, nose, eyes, lips.
_JAW = [(28, 27), (37, 27), (46, 27), (54, 26), (62, 24), (67, 20), (70, 15), (72, 8)]
_BROW = [(16, 19), (15, 16), (15, 13), (15, 9), (16, 5)]
_IBUG: list[tuple[int, int, int]] = [
    *((row, -column, 0) for row, column in _JAW), (73, 0, 0),
    *((row, column, 0) for row, column in _JAW[::-1]),
    *((row, -column, 0) for row, column in _BROW), *((row, column, 0) for row, column in _BROW[::-1]),
    (21, 0, 0), (27, 0, 0), (33, 0, 0), (38, 0, 0),
    (43, -4, 0), (44, -2, 0), (45, 0, 0), (44, 2, 0), (43, 4, 0),
    (24, -18, 0), (24, -14, 0), (24, -10, 0), (24, -6, 0), (24, -10, 1), (24, -14, 1),
    (24, 6, 0), (24, 10, 0), (24, 14, 0), (24, 18, 0), (24, 14, 1), (24, 10, 1),
    (55, -12, 0), (50, -7, 0), (50, -3, 0), (50, 0, 0), (50, 3, 0), (50, 7, 0), (55, 12, 0),
    (60, 7, 0), (60, 3, 0), (60, 0, 0), (60, -3, 0), (60, -7, 0),
    (55, -11, 0), (55, -5, 0), (55, 0, 0), (55, 5, 0), (55, 11, 0), (55, 5, 1), (55, 0, 1), (55, -5, 1),
]  # fmt: skip

# What a smaller face keeps of the grid: every second row of the lids, brows and what borders on them.
LID_ROWS, LID_COLUMNS = np.array([-4, -2, 2, 4]), np.arange(6, 19)
BROW_ROWS, BROW_COLUMNS = np.arange(14, 18), np.arange(3, 19)


@lru_cache(maxsize=1)
def procedural_topology() -> Topology:
    """Connectivity, mean face, texture coordinates, landmarks, regions and mirror of the procedural face."""
    mesh = face_mesh()
    means = {norm.name: (norm.men[0] + norm.women[0]) / 2 for norm in NORMS}
    triangle = mesh.quads[:, 2] == mesh.quads[:, 3]
    keep = np.stack([np.ones((len(triangle), 3), bool).all(1)] * 3 + [~triangle], 1)
    flat = mesh.uv_quads.reshape(-1, 2)
    uv, uv_of = np.unique(np.round(flat, 6), axis=0, return_inverse=True)
    polygons = Polygons(
        np.where(triangle, 3, 4).astype(np.int32), mesh.quads[keep].astype(np.int32),
        uv_of.reshape(-1, 4)[keep].astype(np.int32),
    )  # fmt: skip
    faces, uv_faces = polygons.triangulate()
    # Rounded: the fingerprint must not depend on the last bits of a machine's linear algebra.
    template = np.round(ProceduralPerson.measuring(means).neutral, 3).astype(np.float32)
    places = {f"ibug_{k}": mesh.at(row, column, bool(low)) for k, (row, column, low) in enumerate(_IBUG)}
    return Topology(
        "procedural", faces, template, polygons,
        uv.astype(np.float32), uv_faces, Landmarks.at_vertices(landmark_vertices() | places),
        _regions(mesh), mesh.mirror.astype(np.int32),
    )  # fmt: skip


def seen_closely() -> NDArray[np.int64]:
    """(n,) int64 vertices that a smaller face needs: of lids, the lips' line, brows, irises and pupils."""
    mesh = face_mesh()
    lids = [grid[np.ix_(EYE_ROW + LID_ROWS, _both(LID_COLUMNS))] for grid in (mesh.upper, mesh.lower)]
    brows = mesh.upper[np.ix_(BROW_ROWS, _both(BROW_COLUMNS))]
    rings = [mesh.balls[side][1:].reshape(-1, BALL_SEGMENTS)[:5, ::2] for side in "LR"]
    parts = [mesh.lids["L"], mesh.lids["R"], mesh.lips[0], *lids, brows, *rings]
    return np.unique(np.concatenate([part.ravel() for part in parts]))


def _both(columns: NDArray) -> NDArray[np.int64]:
    """Places in a row of the grid of columns on both sides."""
    return HALF + np.concatenate([-columns, columns])


def _regions(mesh: FaceMesh) -> dict[str, NDArray[np.bool_]]:
    """Named masks over all vertices; colors of eyes, lips and teeth go by them."""
    anatomy = population().anatomy
    row, away = anatomy.row, np.abs(anatomy.column)

    def mask(*parts: NDArray) -> NDArray[np.bool_]:
        found = np.zeros(mesh.count, bool)
        for part in parts:
            found[part] = True
        return found

    balls = [mesh.balls[side] for side in "LR"]
    irises = [ball[1 + BALL_SEGMENTS : 1 + 4 * BALL_SEGMENTS] for ball in balls]
    pupils = [ball[: 1 + BALL_SEGMENTS] for ball in balls]
    teeth = list(mesh.teeth.values())
    lids = [mesh.lids[side] for side in "LR"]
    return {
        "face": mask(np.arange(len(row))),
        "mouth": mask(np.flatnonzero((np.abs(row - 55) <= 9) & (away <= 14)), mesh.lips),
        "lips": mask(np.flatnonzero((np.abs(row - MOUTH_ROW) <= 5) & (away <= 11)), mesh.lips[:2]),
        "mouth_interior": mask(mesh.lips[2:]),
        "eyes": mask(np.flatnonzero((np.abs(row - 24) <= 4) & (away >= 6) & (away <= 18)), *lids),
        "brows": mask(np.flatnonzero((row >= 14) & (row <= 18) & (away >= 3) & (away <= 19))),
        "eyebrows": mask(np.flatnonzero((row >= 15) & (row <= 16) & (away >= 4) & (away <= 17))),
        "nose": mask(np.flatnonzero((row >= 20) & (row <= 45) & (away <= 5))),
        "jaw": mask(np.flatnonzero((anatomy.jaw > 0.9) & (row > 60))),
        "rigid": mask(np.flatnonzero((row <= 3) | ((row <= 38) & (away >= 24)))),
        "eyeballs": mask(*balls), "iris": mask(*irises), "pupil": mask(*pupils), "teeth": mask(*teeth),
    }  # fmt: skip
