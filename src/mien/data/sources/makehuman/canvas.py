"""Where paint goes on MakeHuman's head: skin by its landmarks, eyes, teeth and linings by their islands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.data.sources.makehuman.release import MakeHuman
from mien.data.sources.makehuman.template import ISLANDS, islands, makehuman_topology
from mien.data.sources.procedural.texture_canvas import Canvas, fitted_canvas
from mien.geometry.texels import texels
from mien.topology import Topology

LININGS = {"lids": ("left_socket", "right_socket"), "mouth": ("mouth", "tongue")}
IRIS_AT = 0.56
"""Where the painter's irises end, as a share of an eye's disc."""


def makehuman_canvas(head: MakeHuman, size: int) -> Canvas:
    """The canvas of MakeHuman's uv as :func:`makehuman_topology` lays it out, and of its decimations.

    Args:
        head: The release.
        size: Texels of a side.
    """
    whole = makehuman_topology(head)
    assert whole.uv is not None and whole.uv_faces is not None
    island = islands(head)[whole.uv_faces[:, 0]]
    skin = fitted_canvas(_only(whole, island, "head", "neck"), size)

    is_skin = np.zeros(skin.resolution**2, bool)
    is_skin[skin.skin] = True

    def covered(*names: str) -> NDArray[np.int64]:
        part = _only(whole, island, *names)
        assert part.uv is not None and part.uv_faces is not None
        found = texels(part.uv, part.uv_faces, skin.resolution)[0]
        return found[~is_skin[found]]

    fronts = [covered("right_eye"), covered("left_eye")]
    polar = [_polar(texel, skin.resolution, whole, name) for texel, name in zip(fronts, ("right", "left"))]
    backs = [covered("right_eye_back"), covered("left_eye_back")]
    balls = [np.concatenate(pair) for pair in zip(fronts, backs)]
    around = [np.concatenate([at, np.tile([1.0, 0.0], (len(back), 1))]) for at, back in zip(polar, backs)]
    teeth = [covered("upper_teeth"), covered("lower_teeth")]
    tooth = np.concatenate([_along(texel, skin.resolution, name) for texel, name in zip(teeth, _ARCHES)])
    linings = {name: covered(*parts) for name, parts in LININGS.items()}
    return replace(
        skin, balls=tuple(balls), polar=tuple(around), teeth=np.concatenate(teeth), tooth=tooth,
        linings=linings,
    )  # fmt: skip


_ARCHES = ("upper_teeth", "lower_teeth")


def _only(whole: Topology, island: NDArray, *names: str) -> Topology:
    """The topology with the triangles of some islands."""
    assert whole.uv_faces is not None
    kept = np.isin(island, [list(ISLANDS).index(name) for name in names])
    return replace(whole, faces=whole.faces[kept], uv_faces=whole.uv_faces[kept], polygons=None)


def _places(texel: NDArray, resolution: int) -> NDArray[np.float64]:
    """(n, 2) texture coordinates of texels."""
    row, column = np.divmod(texel, resolution)
    return np.stack([(column + 0.5) / resolution, 1 - (row + 0.5) / resolution], axis=1)


def _polar(texel: NDArray, resolution: int, whole: Topology, side: str) -> NDArray[np.float64]:
    """(n, 2) radius and angle of texels about the pupil, the iris ending where the painter's does."""
    assert whole.uv is not None and whole.uv_faces is not None
    named = np.unique(whole.uv_faces[whole.regions["iris"][whole.faces]])
    (left, low, right, high), corner, scale = ISLANDS[f"{side}_eye"]
    half = np.array([right - left, high - low]) / 2 * scale
    center = np.array(corner) + half
    iris = np.linalg.norm(whole.uv[named] - center, axis=1)
    edge = iris[iris < half.max()].max()
    offset = _places(texel, resolution) - center
    radius = np.linalg.norm(offset, axis=1) / edge * IRIS_AT
    return np.stack([np.minimum(radius, 1.0), np.arctan2(offset[:, 1], offset[:, 0])], axis=1)


def _along(texel: NDArray, resolution: int, name: str) -> NDArray[np.float64]:
    """(m,) 0..1 along a dental arch."""
    (left, _, right, _), corner, scale = ISLANDS[name]
    return (_places(texel, resolution)[:, 0] - corner[0]) / (scale * (right - left))
