"""The procedural face's template: feature points placed by hand, filled with the smoothest skin.

The points trace what an anatomist would trace: the profile, nose, lids, brows, lips, cheek, jaw line and rim.
Between them the skin minimizes the bending energy
of a thin plate on the slit grid, so lids and lips stay apart and everything else is smooth.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.sparse import coo_matrix, csc_matrix, diags
from scipy.sparse.linalg import splu

from mien.data.sources.procedural.features import (
    COLUMNS,
    EYE_CENTER,
    INNER_CANTHUS,
    LIP_LINE,
    LOWER_LID,
    OUTER_CANTHUS,
    POINTS,
    PROFILE,
    UPPER_LID,
)
from mien.data.sources.procedural.mesh import (
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
from mien.data.sources.procedural.parts import EYE_RADIUS, LID_THICKNESS

FIRM, SOFT = 30.0, 0.2  # pull of a feature point, and of a point on a broad form, against bending

# Lines where skin may turn: (row, first, last column) lid crease and borders of the lips;
# (column, first, last row) the groove beside the wings of the nose.
CREASES_ALONG_ROWS = [(EYE_ROW - 4, 8, 16), (50, 0, 11), (60, 0, 10)]
CREASES_ALONG_COLUMNS = [(5, 36, 43)]
CREASE = 0.15


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


def _along(points: list[tuple[float, ...]], at: NDArray) -> NDArray:
    """Shape-preserving cubic through (parameter, *values) rows."""
    table = np.array(points, float)
    return PchipInterpolator(table[:, 0], table[:, 1:])(at)


def _targets(mesh: FaceMesh) -> dict[int, NDArray]:
    """Vertex -> millimeters for the left half and the midline."""
    targets: dict[int, NDArray] = {}
    for row, (y, z) in enumerate(_along(PROFILE, np.arange(ROWS))):
        if row != MOUTH_ROW:
            targets[mesh.at(row, 0)] = np.array([0.0, y, z])
    for column, curve in COLUMNS.items():
        known = range(ROWS) if column == HALF else [int(point[0]) for point in curve]
        for row in known:
            targets[mesh.at(row, column)] = _along(curve, np.array([row]))[0]
    for row, points in POINTS.items():
        for place, *position in points:
            targets[mesh.at(row, int(place))] = np.array(position, float)
    for column, position in enumerate(_along(LIP_LINE, np.arange(MOUTH_CORNER + 1))):
        targets[mesh.at(MOUTH_ROW, column)] = position + np.array([0, 0.1, 0])
        targets[mesh.at(MOUTH_ROW, column, below=True)] = position - np.array([0, 0.1, 0])
    _lid_targets(mesh, targets)
    return targets


def _lid_targets(mesh: FaceMesh, targets: dict[int, NDArray]) -> None:
    """Lid margins, and the lids' skin rolled over the eyeball above and below them."""
    columns = np.arange(EYE_INNER, EYE_OUTER + 1)
    for margin, below, sign in ((UPPER_LID, False, 1), (LOWER_LID, True, -1)):
        x, y = _along(margin, columns).T
        z = _lid_depth(x, y)
        for column, position in zip(columns, np.stack([x, y, z], 1), strict=True):
            targets[mesh.at(EYE_ROW, int(column), below)] = position
        inside = np.sin(np.pi * (columns - EYE_INNER) / (EYE_OUTER - EYE_INNER))
        # Lid plate: two rows away from the margin, still on the eyeball; then the crease, tucked in.
        for step, rise, tuck in ((2, 1.9, 0.1), (4, 3.2, -1.6)) if sign > 0 else ((2, 3.0, 0.5),):
            yy = y + sign * (rise * inside + 0.8 * (step / 2))
            zz = _lid_depth(x, yy) + tuck * inside
            for k in range(2, len(columns) - 2, 2):
                row = EYE_ROW - step if sign > 0 else EYE_ROW + step
                targets[mesh.at(row, int(columns[k]))] = np.array([x[k], yy[k], zz[k]])


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
    for index, weights, factor in (
        (bend, [1, -2, 1], firm),
        (twist, [1.4, -1.4, 1.4, -1.4], np.ones(len(twist))),
    ):
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

    brow = (
        np.exp(-(((row - 15.5) / 1.2) ** 2))
        * np.clip((away - 2.5) / 2, 0, 1)
        * np.clip((20 - away) / 3, 0, 1)
    )
    line = 6.6 + (row - 41) * 0.42
    fold = (
        np.exp(-(((away - line) / 1.6) ** 2)) * np.clip((row - 40) / 3, 0, 1) * np.clip((53 - row) / 4, 0, 1)
    )
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
    beside_mouth = np.clip((away - MOUTH_CORNER) / 2, 0, 1) * np.clip(
        (10 - np.abs(row - MOUTH_ROW)) / 4, 0, 1
    )
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
