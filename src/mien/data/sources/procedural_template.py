"""The procedural face's template: feature points placed by hand, filled with the smoothest skin.

Points name a row and column of the grid and give millimeters: x to the subject's left, y up from the pupil
line, z out of the face from a plane just before the corneas. They trace what an anatomist would trace: the
profile, nose, lids, brows, lips, cheek, jaw line and rim. Between them the skin minimizes the bending energy of
a thin plate on the slit grid, so lids and lips stay apart and everything else is smooth.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.sparse import coo_matrix, csc_matrix, diags
from scipy.sparse.linalg import splu

from mien.data.sources.procedural_mesh import (
    EYE_INNER,
    EYE_OUTER,
    EYE_ROW,
    HALF,
    MOUTH_CORNER,
    MOUTH_ROW,
    ROWS,
    FaceMesh,
    face_mesh,
)

EYE_CENTER = np.array([31.5, 0.0, -15.0])
EYE_RADIUS = 12.0
LID_THICKNESS = 1.3
FIRM, SOFT = 30.0, 0.2  # pull of a feature point, and of a point on a broad form, against bending

# Midline profile, (row, y, z).
PROFILE = [
    (0, 86, -18), (2, 76, -9), (4, 68, -4), (8, 50, 3.5), (11, 36, 6.8), (14, 24, 9.2), (17, 16, 8.6),
    (20, 9, 6.0), (23, 1.5, 8.0), (27, -9, 13.6), (31, -20, 20.3), (35, -29, 26.2), (37, -32.6, 28.8),
    (38, -34.6, 29.3), (39, -36.6, 28.6), (40, -38.4, 26.6), (42, -40.8, 21.8), (44, -42.4, 16.4),
    (45, -43.6, 14.2), (47, -48.5, 13.4), (50, -56.6, 15.2), (52, -60.2, 16.4), (54, -63.4, 14.4),
    (56, -65.8, 13.2), (58, -69.6, 14.8), (60, -73.6, 12.8), (62, -77.6, 9.6), (64, -82, 8.2),
    (66, -88, 9.4), (69, -97, 11.4), (71, -103.5, 9.2), (73, -110.5, 1.5), (74, -113, -7), (75, -113.5, -18),
]  # fmt: skip

# Curves down one column, (row, x, y, z). Column 12 runs through the pupil and the mouth corner.
COLUMNS = {
    6: [
        (0, 16, 85, -19), (8, 16, 50, 2.2), (14, 16, 24, 7.4), (17, 16.2, 15, 5.5), (20, 15.6, 8, -3.2),
        (22, 15.8, 3, -6.6),
    ],
    12: [
        (0, 33, 82, -25), (4, 34, 66, -12.5), (8, 34, 50, -4.5), (11, 34, 36, -0.8), (14, 33, 25, 2.2),
        (16, 32.5, 19, 3.2), (18, 32, 13.2, 0.0), (28, 32, -12.2, -4.6), (31, 32, -19, -4.6),
        (36, 33, -30, -3.2), (42, 31.5, -43.5, -1.2), (48, 29, -53, 1.2),
        (60, 26.6, -70.2, 2.6), (64, 25.6, -80, -0.2), (69, 25, -95, -2.5), (73, 25, -107, -13.5),
        (75, 23, -109.5, -27),
    ],
    18: [
        (0, 52, 75, -40), (8, 54, 48, -23), (14, 52, 25, -14.5),
        (16, 51, 17.5, -12.2), (18, 50, 11.5, -13), (20, 48.6, 7.2, -15.2), (28, 48.5, -10, -17), (36, 50, -28, -16),
        (48, 47, -54, -18.5), (55, 44.8, -66, -18),
        (64, 42.5, -84, -20.5), (69, 40, -97, -28), (72, 38.5, -102.5, -36), (75, 36, -103.5, -50),
    ],
    23: [
        (0, 63, 67, -62), (8, 65.5, 46, -50), (14, 65.0, 24, -42), (20, 64.6, 6, -38.5),
        (29, 66.0, -13, -39), (36, 64.6, -28, -43), (48, 59.5, -54, -49),
        (60, 53.5, -76, -51.5), (66, 49.5, -88, -56), (70, 46, -94, -61), (73, 41, -96.5, -66), (75, 36, -96, -71),
    ],
    28: [
        (0, 67.5, 58, -83), (8, 71, 42, -82), (14, 72, 24, -80), (20, 72, 6, -78.5),
        (29, 70.5, -13, -77.5), (36, 69, -30, -78), (48, 63, -56, -80),
        (60, 55.5, -76, -82), (66, 50, -87, -84), (70, 46, -92, -85), (75, 36, -92, -88),
    ],
}  # fmt: skip

# Single points and short curves along rows, row -> [(column, x, y, z)].
POINTS = {
    14: [(3, 8, 24, 9.0)],
    17: [(3, 8, 15.6, 8.2)],
    20: [(2, 5, 9, 4.4), (4, 10, 8.6, 0.4)],
    24: [(2, 5, -1.2, 6.2), (3, 8, -1.4, 2.2), (4, 11, -1.6, -3.4)],
    27: [(1, 3.2, -9, 12.8), (2, 6.2, -9, 9.8), (3, 8.8, -9, 5.6), (4, 11.6, -9, 1.0), (6, 17.2, -9, -5.2)],
    31: [(1, 3.4, -20, 19.6), (2, 6.8, -20, 16.2), (3, 9.8, -20, 11.4), (4, 12.6, -20, 6.6), (6, 19, -19.5, -0.4)],
    35: [(1, 3.9, -29, 25.4), (2, 7.8, -28.8, 21.6), (3, 11.8, -28.8, 16.4), (4, 14.8, -29, 11.0), (5, 16.6, -29.5, 6.6), (6, 20.5, -30, 3.6)],
    38: [(1, 4.2, -34.5, 28.3), (2, 8.4, -34.4, 24.2), (3, 13.0, -34.4, 18.6), (4, 16.6, -35.2, 13.2), (5, 17.2, -35.8, 7.8), (6, 21, -36.5, 5.6)],
    40: [(1, 4.0, -38.6, 25.8), (2, 8.0, -38.2, 23.0), (3, 12.8, -38.6, 17.6), (4, 16.2, -39.8, 12.4), (5, 16.6, -40.8, 7.6), (6, 20.6, -41.6, 6.2)],
    42: [(1, 3.0, -40.6, 21.0), (2, 6.6, -37.4, 18.4), (3, 11.0, -39.6, 15.8), (4, 14.8, -42.2, 11.8), (5, 15.8, -43.2, 8.8), (6, 19.8, -45, 7.0)],
    44: [(1, 3.0, -42.6, 16.0), (2, 6.2, -42.2, 14.2), (3, 10.2, -42.8, 12.6), (4, 13.4, -44.0, 10.6), (5, 15.4, -45.6, 9.4), (6, 19, -48, 7.6)],
    47: [(2, 4.2, -48.4, 13.9), (4, 9.6, -49.4, 12.8), (6, 15.0, -51.5, 9.8), (9, 22.5, -53, 5.6)],
    50: [(1, 2.2, -56.2, 15.2), (3, 5.8, -55.2, 15.3), (6, 12.8, -58.2, 12.4), (9, 19.8, -61.2, 7.8), (11, 24.6, -62.6, 4.6), (12, 26.9, -62.3, 3.6)],
    52: [(3, 6, -59.6, 16.0), (6, 12.8, -60.9, 13.2), (9, 19.8, -63.0, 8.2), (11, 24.4, -64.0, 4.8)],
    54: [(3, 6, -62.8, 14.0), (6, 12.9, -63.0, 11.6), (9, 20, -64.0, 7.4)],
    56: [(3, 6, -65.3, 12.8), (6, 12.9, -65.1, 10.6), (9, 20, -65.2, 6.9)],
    58: [(3, 6, -69.2, 14.4), (6, 12.8, -68.2, 12.2), (9, 19.8, -67.0, 7.9), (11, 24.4, -66.2, 4.6)],
    60: [(3, 6, -73.2, 12.5), (6, 12.8, -71.6, 10.4), (9, 20, -69.4, 6.8), (11, 24.6, -67.8, 4.0)],
    62: [(6, 12.6, -76.2, 8.2)],
    64: [(6, 12.6, -81.2, 6.4)],
    69: [(5, 11, -97, 9.6)],
    73: [(5, 11, -110, 0.0)],
}  # fmt: skip

# Lip contact line, (column, x, y, z), and lid margins as (column, x, y); their depth follows the eyeball.
LIP_LINE = [
    (0, 0, -64.6, 11.4),
    (3, 6, -64.0, 10.9),
    (6, 12.9, -64.0, 9.0),
    (9, 20, -64.7, 6.0),
    (12, 26.2, -65.3, 2.8),
]
INNER_CANTHUS, OUTER_CANTHUS = (16.4, -1.8, -7.6), (45.0, 1.2, -15.0)
UPPER_LID = [
    (6, 16.4, -1.8),
    (8, 20.6, 2.2),
    (10, 26.0, 4.9),
    (12, 31.2, 5.5),
    (14, 36.2, 5.0),
    (16, 41.0, 3.4),
    (18, 45.0, 1.2),
]
LOWER_LID = [
    (6, 16.4, -1.8),
    (8, 20.6, -3.4),
    (10, 25.6, -4.8),
    (12, 31.0, -5.5),
    (14, 36.2, -5.2),
    (16, 41.0, -3.0),
    (18, 45.0, 1.2),
]


def _lid_depth(x: NDArray, y: NDArray) -> NDArray:
    """z of a lid margin: on the eyeball where it covers the eye, eased into the canthi beside it."""
    reach = EYE_RADIUS + LID_THICKNESS
    dx, dy = x - EYE_CENTER[0], y - EYE_CENTER[1]
    ball = EYE_CENTER[2] + np.sqrt(np.maximum(reach**2 - dx**2 - dy**2, 9.0))
    inner = np.clip((x - INNER_CANTHUS[0]) / 6.0, 0, 1)
    outer = np.clip((OUTER_CANTHUS[0] - x) / 4.0, 0, 1)
    ease_in, ease_out = inner * inner * (3 - 2 * inner), outer * outer * (3 - 2 * outer)
    z = INNER_CANTHUS[2] + ease_in * (ball - INNER_CANTHUS[2])
    return OUTER_CANTHUS[2] + ease_out * (z - OUTER_CANTHUS[2])


def _along(points: list, at: NDArray) -> NDArray:
    """Shape-preserving cubic through (parameter, *values) rows."""
    table = np.array(points, float)
    return PchipInterpolator(table[:, 0], table[:, 1:])(at)


def _targets(mesh: FaceMesh) -> dict[int, NDArray]:
    """Vertex -> millimeters for the left half and the midline."""
    targets: dict[int, NDArray] = {}
    rows = np.arange(ROWS)
    for row, (y, z) in zip(rows, _along(PROFILE, rows), strict=True):
        if row != MOUTH_ROW:
            targets[mesh.at(row, 0)] = np.array([0.0, y, z])
    for column, points in COLUMNS.items():
        known = [point[0] for point in points]
        for row in known if column < HALF else rows:
            targets[mesh.at(row, column)] = _along(points, np.array([row]))[0]
    for row, points in POINTS.items():
        for column, *position in points:
            targets[mesh.at(row, column)] = np.array(position, float)
    columns = np.arange(MOUTH_CORNER + 1)
    for column, position in zip(columns, _along(LIP_LINE, columns), strict=True):
        targets[mesh.at(MOUTH_ROW, column)] = position + [0, 0.1, 0]
        targets[mesh.at(MOUTH_ROW, column, below=True)] = position - [0, 0.1, 0]
    _lid_targets(mesh, targets)
    return targets


def _lid_targets(mesh: FaceMesh, targets: dict[int, NDArray]) -> None:
    """Lid margins, and the lids' skin rolled over the eyeball above and below them."""
    columns = np.arange(EYE_INNER, EYE_OUTER + 1)
    for margin, below, sign in ((UPPER_LID, False, 1), (LOWER_LID, True, -1)):
        x, y = _along(margin, columns).T
        z = _lid_depth(x, y)
        for column, position in zip(columns, np.stack([x, y, z], 1), strict=True):
            targets[mesh.at(EYE_ROW, column, below)] = position
        inside = np.sin(np.pi * (columns - EYE_INNER) / (EYE_OUTER - EYE_INNER))
        # Lid plate: two rows away from the margin, still on the eyeball; then the crease, tucked in.
        for step, rise, tuck in ((2, 1.9, 0.1), (4, 3.2, -1.6)) if sign > 0 else ((2, 3.0, 0.5),):
            yy = y + sign * (rise * inside + 0.8 * (step / 2))
            zz = _lid_depth(x, yy) + tuck * inside
            for k in range(2, len(columns) - 2, 2):
                row = EYE_ROW - step if sign > 0 else EYE_ROW + step
                targets[mesh.at(row, columns[k])] = np.array([x[k], yy[k], zz[k]])


def _plate_energy(mesh: FaceMesh, count: int) -> csc_matrix:
    """Thin-plate energy of the slit grid: second differences along rows and columns, and the twist."""
    triples = [
        np.stack([grid[:, :-2], grid[:, 1:-1], grid[:, 2:]], -1).reshape(-1, 3)
        for grid in (mesh.upper, mesh.lower)
    ]
    through = mesh.upper[1:-1] == mesh.lower[1:-1]
    vertical = np.stack([mesh.lower[:-2], mesh.upper[1:-1], mesh.upper[2:]], -1)[through]
    bend = np.concatenate([vertical, np.unique(np.concatenate(triples), axis=0)])
    twist = np.stack(
        [mesh.lower[:-1, :-1], mesh.upper[1:, :-1], mesh.upper[1:, 1:], mesh.lower[:-1, 1:]], -1
    ).reshape(-1, 4)
    energy = csc_matrix((count, count))
    for index, weights in ((bend, [1.0, -2.0, 1.0]), (twist, [1.4, -1.4, 1.4, -1.4])):
        rows = np.repeat(np.arange(len(index)), index.shape[1])
        operator = coo_matrix(
            (np.tile(weights, len(index)), (rows, index.ravel())), (len(index), count)
        ).tocsc()
        energy = energy + operator.T @ operator
    return energy.tocsc()


@lru_cache(maxsize=1)
def template() -> NDArray[np.float64]:
    """(V, 3) float, millimeters. The template face before it is given anyone's measurements."""
    mesh = face_mesh()
    skin = int(mesh.lower.max()) + 1
    targets = _targets(mesh)
    for vertex, position in list(targets.items()):
        targets[int(mesh.mirror[vertex])] = position * [-1, 1, 1]
    fixed = np.array(list(targets))
    pull = np.zeros(skin)
    pull[fixed] = FIRM
    for column in (18, 23, HALF):  # broad forms guide, they do not crease
        pull[np.r_[mesh.lower[:, HALF + column], mesh.lower[:, HALF - column]]] *= SOFT / FIRM
    pull[list(mesh.lids["L"][0]) + list(mesh.lids["R"][0])] = FIRM
    right = np.zeros((skin, 3))
    right[fixed] = pull[fixed, None] * np.array(list(targets.values()))
    vertices = np.zeros((mesh.count, 3))
    vertices[:skin] = splu((_plate_energy(mesh, skin) + diags(pull)).tocsc()).solve(right)
    return vertices
