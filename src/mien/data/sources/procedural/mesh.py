"""Connectivity of the procedural face: a slit grid, linings of lids and lips, eyeballs and teeth.

The skin is one grid of quads, rows from the hairline down, columns from the right ear (negative) to the
left ear. Along three slits (two lid lines, one lip line) its vertices are doubled, and each slit's loop is
drawn inwards as rings: the lid edges behind the lashes, the inside of the lips and the mouth's pocket. So
there are no holes to see through, no poles in the visible skin and every vertex has a row and a column to
name it by. Eyeballs and two dental arches are rigid components of their own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

ROWS, HALF = 76, 28
EYE_ROW, EYE_INNER, EYE_OUTER = 24, 6, 18
MOUTH_ROW, MOUTH_CORNER = 55, 12
EYE_RINGS, MOUTH_RINGS = 2, 5
BALL_SEGMENTS, BALL_RINGS = 16, 8
TOOTH_COLUMNS, TOOTH_ROWS = 29, 4
SKIN_END = 0.16  # v of the skin's last row; linings, eyeballs and teeth lie below
#: u and v of the pupils and the radius of the eyeballs' discs in the uv, right and left.
BALL_AT = ((0.065, 0.112, 0.045), (0.175, 0.112, 0.045))


@dataclass
class FaceMesh:
    """Vertex numbers and quads of the procedural face.

    Args:
        upper: (ROWS, 2 HALF + 1) int. Grid vertices; on a slit row, those of the upper side.
        lower: (ROWS, 2 HALF + 1) int. The same, with those of the lower side on the slit rows.
        lids: Side (``L``, ``R``) -> (EYE_RINGS + 1, 24) int. The lid loop (inner corner, upper lid, outer
            corner, lower lid backwards) and its rings inwards.
        lips: (MOUTH_RINGS + 1, 48) int. Likewise: right corner, upper lip, left corner, lower lip backwards.
        balls: Side -> (1 + BALL_RINGS * BALL_SEGMENTS,) int. Pole at the pupil, then ring after ring.
        teeth: ``upper`` and ``lower`` -> (R, C) int, R = TOOTH_ROWS and C = TOOTH_COLUMNS.
        quads: (Q, 4) int, corner order counter-clockwise from outside; a triangle repeats its last corner.
        uv_quads: (Q, 4, 2) float. Texture coordinates of each quad's corners.
        mirror: (V,) int. Each vertex's counterpart on the other side.
    """

    upper: NDArray[np.int64]
    lower: NDArray[np.int64]
    lids: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    lips: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 48), np.int64))
    balls: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    teeth: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    quads: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 4), np.int64))
    uv_quads: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4, 2)))
    mirror: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    count: int = 0

    def at(self, row: int, column: int, below: bool = False) -> int:
        """The vertex of a row (0 at the hairline) and a column (0 at the midline, left side positive)."""
        return int((self.lower if below else self.upper)[row, column + HALF])


@lru_cache(maxsize=1)
def face_mesh() -> FaceMesh:
    """The connectivity, built once."""
    width = 2 * HALF + 1
    upper = np.arange(ROWS * width).reshape(ROWS, width)
    mesh = FaceMesh(upper, upper.copy(), count=upper.size)
    for row, first, last in _slits():
        columns = np.arange(first + 1, last) + HALF
        mesh.lower[row, columns] = mesh.count + np.arange(len(columns))
        mesh.count += len(columns)
    patches = [_grid_patch(mesh)]
    for side, sign in (("R", -1), ("L", 1)):
        loop = _loop(mesh, EYE_ROW, sign * EYE_INNER, sign * EYE_OUTER)
        mesh.lids[side] = _rings(mesh, loop, EYE_RINGS)
        patches.append(_ring_patch(mesh.lids[side], flip=sign < 0, corner=(0.02 + 0.25 * (sign > 0), 0.01)))
    mesh.lips = _rings(mesh, _loop(mesh, MOUTH_ROW, -MOUTH_CORNER, MOUTH_CORNER), MOUTH_RINGS)
    patches.append(_ring_patch(mesh.lips, flip=False, corner=(0.52, 0.01)))
    for side, disc in zip("RL", BALL_AT, strict=True):
        mesh.balls[side] = _take(mesh, 1 + BALL_RINGS * BALL_SEGMENTS)
        patches.append(_ball_patch(mesh.balls[side], disc))
    for arch, u in (("upper", 0.25), ("lower", 0.60)):
        mesh.teeth[arch] = _take(mesh, TOOTH_ROWS * TOOTH_COLUMNS).reshape(TOOTH_ROWS, TOOTH_COLUMNS)
        patches.append(_strip_patch(mesh.teeth[arch], (u, 0.09), (0.33, 0.05)))
    mesh.quads = np.concatenate([quads for quads, _ in patches])
    mesh.uv_quads = np.concatenate([uv for _, uv in patches])
    mesh.mirror = _mirror(mesh)
    return mesh


def _slits() -> list[tuple[int, int, int]]:
    """Row, first and last column of the three slits."""
    return [
        (EYE_ROW, -EYE_OUTER, -EYE_INNER),
        (EYE_ROW, EYE_INNER, EYE_OUTER),
        (MOUTH_ROW, -MOUTH_CORNER, MOUTH_CORNER),
    ]


def _take(mesh: FaceMesh, count: int) -> NDArray[np.int64]:
    numbers = mesh.count + np.arange(count)
    mesh.count += count
    return numbers


def _loop(mesh: FaceMesh, row: int, start: int, end: int) -> NDArray[np.int64]:
    """A slit's loop: from ``start`` along the upper side to ``end``, back along the lower side."""
    step = 1 if end > start else -1
    columns = np.arange(start, end + step, step) + HALF
    return np.concatenate([mesh.upper[row, columns], mesh.lower[row, columns[-2:0:-1]]])


def _rings(mesh: FaceMesh, loop: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return np.concatenate([loop[None], _take(mesh, count * len(loop)).reshape(count, -1)])


def _strip(grid: NDArray[np.int64]) -> NDArray[np.int64]:
    """Quads of a (rows, columns) block whose rows run downwards, seen from outside."""
    return np.stack([grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]], -1).reshape(-1, 4)


def _grid_patch(mesh: FaceMesh) -> tuple[NDArray, NDArray]:
    """The skin's quads: the row above a slit joins its upper side, the row below its lower side."""
    quads = np.stack(
        [mesh.lower[:-1, :-1], mesh.upper[1:, :-1], mesh.upper[1:, 1:], mesh.lower[:-1, 1:]], -1
    ).reshape(-1, 4)
    u, v = np.meshgrid(np.linspace(0, 1, 2 * HALF + 1), np.linspace(1, SKIN_END, ROWS))
    return quads, np.stack([u, v], -1).reshape(-1, 2)[_strip(np.arange(u.size).reshape(u.shape))]


def _strip_patch(
    grid: NDArray, corner: tuple[float, float], size: tuple[float, float]
) -> tuple[NDArray, NDArray]:
    u, v = np.meshgrid(np.linspace(0, size[0], grid.shape[1]), np.linspace(size[1], 0, grid.shape[0]))
    uv = np.stack([u, v], -1).reshape(-1, 2) + corner
    return _strip(grid), uv[_strip(np.arange(grid.size).reshape(grid.shape))]


def _ring_patch(rings: NDArray, flip: bool, corner: tuple[float, float]) -> tuple[NDArray, NDArray]:
    """Quads between the rings of a loop; ``flip`` for the loop that runs the other way round."""
    closed = np.concatenate([rings, rings[:, :1]], axis=1)
    quads, uv = _strip_patch(closed, corner, (0.22 if len(rings) < 5 else 0.46, 0.05))
    order = [3, 2, 1, 0] if flip else [0, 1, 2, 3]
    return quads[:, order], uv[:, order]


def _ball_patch(ball: NDArray, disc: tuple[float, float, float]) -> tuple[NDArray, NDArray]:
    """An eyeball's front: a fan of triangles at the pupil, then rings of quads."""
    rings = ball[1:].reshape(BALL_RINGS, BALL_SEGMENTS)
    closed = np.concatenate([rings, rings[:, :1]], axis=1)
    fan = np.stack([closed[0, :-1], closed[0, 1:], np.full(BALL_SEGMENTS, ball[0])], -1)
    quads = np.concatenate([np.concatenate([fan, fan[:, -1:]], 1), _strip(closed)])
    angle = 2 * np.pi * np.arange(BALL_SEGMENTS) / BALL_SEGMENTS
    radius = np.arange(1, BALL_RINGS + 1)[:, None] / BALL_RINGS
    flat = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1).reshape(-1, 2)
    uv = disc[2] * np.concatenate([[[0.0, 0.0]], flat]) + disc[:2]
    return quads, uv[quads - ball[0]]


def _mirror(mesh: FaceMesh) -> NDArray[np.int64]:
    mirror = np.arange(mesh.count)
    mirror[mesh.upper] = mesh.upper[:, ::-1]
    mirror[mesh.lower] = mesh.lower[:, ::-1]
    mirror[mesh.lids["R"]], mirror[mesh.lids["L"]] = mesh.lids["L"], mesh.lids["R"]
    half = mesh.lips.shape[1] // 2
    swap = (half - np.arange(mesh.lips.shape[1])) % mesh.lips.shape[1]
    mirror[mesh.lips] = mesh.lips[:, swap]
    rings = {side: ball[1:].reshape(BALL_RINGS, -1) for side, ball in mesh.balls.items()}
    swap = (BALL_SEGMENTS // 2 - np.arange(BALL_SEGMENTS)) % BALL_SEGMENTS
    mirror[rings["R"]], mirror[rings["L"]] = rings["L"][:, swap], rings["R"][:, swap]
    mirror[mesh.balls["R"][0]], mirror[mesh.balls["L"][0]] = mesh.balls["L"][0], mesh.balls["R"][0]
    for arch in mesh.teeth.values():
        mirror[arch] = arch[:, ::-1]
    return mirror


def skin_rows_and_columns(mesh: FaceMesh) -> tuple[NDArray, NDArray, NDArray]:
    """(S,) row and column of each skin vertex; (S,) -1 on a slit's upper side, +1 on its lower, else 0."""
    count = int(mesh.lower.max()) + 1
    row, column, side = np.zeros(count), np.zeros(count), np.zeros(count)
    rows, columns = np.indices(mesh.upper.shape)
    for grid in (mesh.lower, mesh.upper):
        row[grid], column[grid] = rows, columns - HALF
    slit = mesh.upper != mesh.lower
    side[mesh.upper[slit]], side[mesh.lower[slit]] = -1, 1
    return row, column, side
