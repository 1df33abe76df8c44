"""Where paint goes: every texel of a uv map, and which place of the procedural face's grid it shows.

All painting is done in the procedural face's anatomy: rows from the hairline down, columns from the midline
out, and the millimeters of its template. On the procedural uv these are known exactly; another topology
with iBUG's 68 landmarks is laid over the template by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from mien.data.sources.procedural.mesh import BALL_AT, HALF, ROWS, SKIN_END, face_mesh
from mien.data.sources.procedural.template import template
from mien.data.sources.procedural.topology import procedural_topology
from mien.errors import BadSetting, Unsupported
from mien.geometry.texels import nearest_texels, texels
from mien.topology import Topology

Array = NDArray[np.float64]

#: Paint is laid at least this fine and then averaged down: thin lines fade in place of flickering.
FINEST = 256
SIZES = (8, 2048)


@dataclass(frozen=True, eq=False)
class Canvas:
    """The texels to paint.

    Args:
        size: Texels of a side of finished textures.
        resolution: R, texels of a side while painting, a multiple of ``size``.
        skin: (P,) int, flat numbers of the texels that show skin.
        row: (P,) float, the row of the procedural grid that each shows.
        column: (P,) float, the column; positive on the subject's left.
        places: (P, 3) float, millimeters, where that is on the procedural template.
        balls: For each eyeball (n,) flat numbers of the texels in the disc about its pupil.
        polar: For each eyeball (n, 2) radius 0..1 and angle of those.
        teeth: (m,) flat numbers, and their column 0..1 in ``tooth``.
        tooth: (m,) float.
        linings: What lines lids and lips -> (n,) flat numbers.
    """

    size: int
    resolution: int
    skin: NDArray[np.int64]
    row: Array
    column: Array
    places: Array
    balls: tuple[NDArray[np.int64], ...]
    polar: tuple[Array, ...]
    teeth: NDArray[np.int64]
    tooth: Array
    linings: dict[str, NDArray[np.int64]]

    @property
    def away(self) -> Array:
        """(P,) columns from the midline."""
        return np.abs(self.column)

    @cached_property
    def nearest(self) -> NDArray[np.int64]:
        """(R * R,) the painted texel nearest to each, which fills the rest."""
        covered = np.concatenate([self.skin, *self.balls, self.teeth, *self.linings.values()])
        return nearest_texels(covered, self.resolution)

    def finish(self, picture: NDArray) -> NDArray[np.uint8]:
        """The finished texture of a painted picture.

        Args:
            picture: (R * R, 3) float 0..255, R = ``resolution``.

        Returns:
            (size, size, 3) uint8.
        """
        factor = self.resolution // self.size
        full = picture[self.nearest].reshape(self.size, factor, self.size, factor, 3)
        return np.clip(full.mean(axis=(1, 3)) + 0.5, 0, 255).astype(np.uint8)


def where(row: NDArray, column: NDArray) -> Array:
    """Places on the template of fractional rows and columns; slits are respected.

    Args:
        row: (...) float.
        column: (...) float, positive on the subject's left.

    Returns:
        (..., 3) float64, millimeters.
    """
    mesh, skin = face_mesh(), template()
    row, column = np.clip(row, 0, ROWS - 1), np.clip(column + HALF, 0, 2 * HALF)
    r = np.minimum(np.floor(row).astype(int), ROWS - 2)
    c = np.minimum(np.floor(column).astype(int), 2 * HALF - 1)
    down, across = (row - r)[..., None], (column - c)[..., None]
    above = (1 - across) * skin[mesh.lower[r, c]] + across * skin[mesh.lower[r, c + 1]]
    below = (1 - across) * skin[mesh.upper[r + 1, c]] + across * skin[mesh.upper[r + 1, c + 1]]
    return (1 - down) * above + down * below


@lru_cache(maxsize=2)
def procedural_canvas(size: int) -> Canvas:
    """The canvas of the procedural uv, and of every decimation of it."""
    resolution = _resolution(size)
    steps = (np.arange(resolution) + 0.5) / resolution
    u, v = (axis.ravel() for axis in np.meshgrid(steps, 1 - steps))
    skin = np.flatnonzero(v >= SKIN_END)
    row, column = (1 - v[skin]) / (1 - SKIN_END) * (ROWS - 1), u[skin] * 2 * HALF - HALF
    balls, polar = _balls(u, v)
    boxes = {"lids": [(0.0, 0.0, 0.505, 0.065)], "mouth": [(0.505, 0.0, 1.0, 0.065)]}
    linings = {name: np.concatenate([_box(u, v, *box) for box in spots]) for name, spots in boxes.items()}
    upper, lower = _box(u, v, 0.24, 0.08, 0.59, 0.15), _box(u, v, 0.59, 0.08, 0.94, 0.15)
    teeth = np.concatenate([upper, lower])
    tooth = np.concatenate([(u[upper] - 0.25) / 0.33, (u[lower] - 0.60) / 0.33])
    return Canvas(
        size, resolution, skin, row, column, where(row, column), balls, polar, teeth, tooth, linings
    )


def _balls(u: NDArray, v: NDArray) -> tuple[tuple[NDArray[np.int64], ...], tuple[Array, ...]]:
    """Texels of both eyeballs' discs, and their polar coordinates."""
    discs, polar = [], []
    for center_u, center_v, radius in BALL_AT:
        x, y = (u - center_u) / radius, (v - center_v) / radius
        discs.append(np.flatnonzero(x * x + y * y <= 1.1))  # a rim more, for lookups between texels
        polar.append(np.stack([np.hypot(x, y), np.arctan2(y, x)], 1)[discs[-1]])
    return tuple(discs), tuple(polar)


def _box(u: NDArray, v: NDArray, left: float, low: float, right: float, high: float) -> NDArray[np.int64]:
    return np.flatnonzero((u >= left) & (u < right) & (v >= low) & (v < high))


def fitted_canvas(topology: Topology, size: int) -> Canvas:
    """The canvas of a topology that has texture coordinates and iBUG's 68 landmarks.

    A thin-plate warp carries its template onto the procedural one by the landmarks; each vertex then takes
    the place of the grid that it comes to lie on.

    Args:
        topology: The full topology; its decimations share the uv.
        size: Texels of a side.

    Raises:
        Unsupported: It has no texture coordinates, or not all 68 landmarks.
    """
    names = [f"ibug_{number}" for number in range(68)]
    own = dict(zip(topology.landmarks.names, topology.landmarks.positions(topology.template), strict=True))
    if topology.uv is None or topology.uv_faces is None or not set(names) <= set(own):
        raise Unsupported(
            f"textures cannot be painted on {topology.name!r}: it needs uv and the landmarks ibug_0..67",
            received=f"{len(own)} landmarks, {'no ' if topology.uv is None else ''}uv",
        )
    marks = procedural_topology().landmarks
    drawn = dict(zip(marks.names, template()[marks.corners[:, 0].clip(max=len(template()) - 1)], strict=True))
    places = _warped(
        topology.template, np.array([own[n] for n in names]), np.array([drawn[n] for n in names])
    )
    resolution = _resolution(size)
    skin, triangle, weights = texels(topology.uv, topology.uv_faces, resolution)
    corners = _grid_places(places)[topology.faces[triangle]]
    row, column = np.einsum("pkc,pk->cp", corners, weights)
    places, none = where(row, column), np.zeros(0, np.int64)
    return Canvas(size, resolution, skin, row, column, places, (), (), none, np.zeros(0), {})


def _warped(points: NDArray, source: NDArray, target: NDArray) -> Array:
    from scipy.interpolate import RBFInterpolator

    return RBFInterpolator(source, target, smoothing=5.0, kernel="thin_plate_spline")(points)


def _grid_places(points: Array) -> Array:
    """(n, 2) row and column of the template's nearest place to each point."""
    from scipy.spatial import cKDTree

    row, column = np.meshgrid(
        np.arange(0, ROWS - 1, 0.25), np.arange(-HALF, HALF + 0.01, 0.25), indexing="ij"
    )
    grid = np.stack([row.ravel(), column.ravel()], 1)
    return grid[cKDTree(where(grid[:, 0], grid[:, 1])).query(points)[1]]


def _resolution(size: int) -> int:
    if not SIZES[0] <= size <= SIZES[1]:
        raise BadSetting(f"textures have {SIZES[0]} to {SIZES[1]} pixels", received=size)
    return size * -(-FINEST // size)
