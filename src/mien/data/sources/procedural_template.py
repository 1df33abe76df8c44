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
    (38, -34.8, 29.3), (39, -37.6, 28.7), (40, -39.9, 26.8), (42, -42.4, 21.8), (44, -43.4, 16.6),
    (45, -44.0, 14.2), (47, -48.8, 13.0), (50, -56.8, 14.8), (52, -59.9, 17.0), (54, -63.4, 15.0),
    (56, -65.9, 13.9), (58, -69.4, 15.8), (60, -73.8, 12.6), (62, -77.6, 9.0), (64, -82, 8.2),
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
        (64, 25.6, -80, -0.2), (69, 25, -95, -2.5), (73, 25, -106.5, -13),
        (75, 23.5, -111, -29),
    ],
    18: [
        (0, 52, 75, -40), (8, 54, 48, -23), (14, 52, 26.5, -14.5),
        (16, 51, 19.5, -12.4), (18, 50, 12.5, -13), (20, 48.6, 7.2, -15.2), (28, 48.5, -10, -17), (36, 50, -28, -16),
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
    35: [(1, 4.0, -29, 25.6), (2, 7.8, -28.8, 21.8), (3, 11.4, -28.8, 16.4), (4, 14.0, -29.2, 10.8), (5, 16.4, -29.6, 6.2), (6, 20.5, -30, 3.6)],
    37: [(1, 4.5, -32.6, 28.0), (2, 8.6, -32.4, 23.8), (3, 12.6, -32.4, 18.4), (4, 15.8, -33.0, 12.6), (5, 16.8, -33.6, 6.6)],
    38: [(1, 4.6, -34.6, 28.5), (2, 8.8, -33.8, 24.4), (3, 13.2, -34.0, 19.0), (4, 16.9, -35.4, 13.0), (5, 17.0, -36.0, 6.8), (6, 21, -36.5, 5.6)],
    40: [(1, 4.4, -39.4, 26.0), (2, 8.2, -36.4, 22.4), (3, 12.6, -36.6, 17.4), (4, 16.8, -39.8, 12.4), (5, 16.6, -41.2, 7.0), (6, 20.6, -41.6, 6.2)],
    42: [(1, 3.2, -41.8, 21.0), (2, 6.4, -36.4, 18.4), (3, 10.8, -37.6, 15.6), (4, 15.2, -42.8, 11.6), (5, 15.6, -44.0, 8.6), (6, 19.8, -45, 7.0)],
    44: [(1, 3.0, -42.6, 16.0), (2, 6.2, -42.2, 14.2), (3, 10.2, -42.8, 12.6), (4, 13.4, -44.0, 10.6), (5, 15.4, -45.6, 9.4), (6, 19, -48, 7.6)],
    47: [(2, 4.2, -48.4, 13.9), (4, 9.6, -49.4, 12.8), (6, 15.0, -51.5, 9.8), (9, 22.5, -53, 5.6)],
    50: [(1, 2.2, -56.2, 15.2), (3, 5.8, -55.2, 15.3), (6, 12.8, -58.2, 12.4), (9, 19.8, -61.2, 7.8), (11, 24.8, -63.3, 4.5), (12, 26.9, -62.4, 3.5)],
    52: [(3, 6, -59.0, 16.8), (6, 12.8, -60.5, 14.0), (9, 19.8, -62.8, 8.8), (11, 24.4, -63.9, 5.0)],
    54: [(3, 6, -62.8, 14.8), (6, 12.9, -62.9, 12.4), (9, 20, -64.0, 7.8)],
    56: [(3, 6, -65.4, 13.5), (6, 12.9, -65.2, 11.4), (9, 20, -65.3, 7.4)],
    58: [(3, 6, -69.1, 15.4), (6, 12.8, -68.3, 13.2), (9, 19.8, -67.1, 8.5), (11, 24.4, -66.2, 4.6)],
    60: [(3, 6, -73.4, 12.3), (6, 12.8, -71.8, 10.2), (9, 20, -69.4, 6.8), (11, 24.8, -67.3, 4.2), (12, 26.6, -68.4, 2.9)],
    62: [(6, 12.6, -76.2, 8.2)],
    64: [(6, 12.6, -81.2, 6.4)],
    69: [(5, 11, -97, 9.6)],
    73: [(5, 11.5, -110, -0.5)],
    75: [(5, 11.5, -113.3, -20)],
}  # fmt: skip

# Lines where skin may turn: (row, first, last column) lid crease and borders of the lips; (column, first, last
# row) the groove beside the wings of the nose.
CREASES_ALONG_ROWS = [(EYE_ROW - 4, 8, 16), (50, 0, 11), (60, 0, 10)]
CREASES_ALONG_COLUMNS = [(5, 36, 43)]
CREASE = 0.15

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
    across = np.unique(np.concatenate(triples), axis=0)
    soft = [_softness(vertical[:, 1], CREASES_ALONG_ROWS), _softness(across[:, 1], CREASES_ALONG_COLUMNS)]
    bend, firm = np.concatenate([vertical, across]), np.concatenate(soft)
    twist = np.stack(
        [mesh.lower[:-1, :-1], mesh.upper[1:, :-1], mesh.upper[1:, 1:], mesh.lower[:-1, 1:]], -1
    ).reshape(-1, 4)
    energy = csc_matrix((count, count))
    for index, weights, factor in ((bend, [1, -2, 1], firm), (twist, [1.4, -1.4, 1.4, -1.4], np.ones(len(twist)))):
        rows = np.repeat(np.arange(len(index)), index.shape[1])
        values = (factor[:, None] * np.array(weights, float)).ravel()
        operator = coo_matrix((values, (rows, index.ravel())), (len(index), count)).tocsc()
        energy = energy + operator.T @ operator
    return energy.tocsc()


def _softness(middle: NDArray, creases: list[tuple[int, int, int]]) -> NDArray[np.float64]:
    """(n,) factor of each second difference: small where the skin may turn sharply."""
    width = 2 * HALF + 1
    row, away = middle // width, np.abs(middle % width - HALF)
    factor = np.ones(len(middle))
    for line, first, last in creases:
        if creases is CREASES_ALONG_ROWS:
            factor[(row == line) & (away >= first) & (away <= last)] = CREASE
        else:
            factor[(away == line) & (row >= first) & (row <= last)] = CREASE
    return factor


def _sculpt(vertices: NDArray, mesh: FaceMesh) -> NDArray[np.float64]:
    """Forms too small for the feature points: nostrils, wings of the nose, brows, the nasolabial line."""
    row, column = np.indices(mesh.upper.shape)
    away, side = np.abs(column - HALF), np.sign(column - HALF)

    def spot(r: float, c: float, height: float, width: float) -> NDArray[np.float64]:
        return np.exp(-(((row - r) / height) ** 2) - ((away - c) / width) ** 2)

    brow = np.exp(-(((row - 15.5) / 1.2) ** 2)) * np.clip((away - 2.5) / 2, 0, 1) * np.clip((20 - away) / 3, 0, 1)
    line = 6.6 + (row - 41) * 0.42
    fold = np.exp(-(((away - line) / 1.6) ** 2)) * np.clip((row - 40) / 3, 0, 1) * np.clip((53 - row) / 4, 0, 1)
    pit, wing, groove = spot(42.4, 2.3, 1.1, 0.85), spot(39.5, 3.7, 2.2, 1.0), spot(39.5, 5.3, 2.6, 0.7)
    motion = np.stack([
        side * (0.9 * wing - 0.8 * groove + 0.3 * pit), 3.6 * pit - 0.5 * wing + 0.2 * brow,
        -2.4 * pit + 0.9 * wing - 1.3 * groove + 1.1 * brow - 0.6 * fold,
    ], -1)  # fmt: skip
    result = vertices.copy()
    result[mesh.upper] += motion
    return result


def _relax(vertices: NDArray, mesh: FaceMesh, steps: int = 30) -> NDArray[np.float64]:
    """Evens out temples, cheeks and jaw, where forms are broad, and the skin beside the mouth's corners."""
    row, column = np.indices(mesh.upper.shape)
    away = np.abs(column - HALF)
    beside_mouth = np.clip((away - MOUTH_CORNER) / 2, 0, 1) * np.clip((10 - np.abs(row - MOUTH_ROW)) / 4, 0, 1)
    share = np.maximum(np.clip((away - EYE_OUTER) / 5.0, 0, 1), 0.3 * beside_mouth)[..., None] / 2
    grid = vertices[mesh.upper]
    for _ in range(steps):
        middle = (grid[:-2, 1:-1] + grid[2:, 1:-1] + grid[1:-1, :-2] + grid[1:-1, 2:]) / 4
        grid[1:-1, 1:-1] += share[1:-1, 1:-1] * (middle - grid[1:-1, 1:-1])
    result = vertices.copy()
    eased = share[..., 0] > 0
    result[mesh.upper[eased]] = grid[eased]
    return result


@lru_cache(maxsize=1)
def template() -> NDArray[np.float64]:
    """(S, 3) float, millimeters. The template skin before it is given anyone's measurements."""
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
    vertices = splu((_plate_energy(mesh, skin) + diags(pull)).tocsc()).solve(right)
    return _sculpt(_relax(vertices, mesh), mesh)
