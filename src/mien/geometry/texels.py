"""Texture maps: which triangle each texel lies in, and the color at texture coordinates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_TOGETHER = 1 << 14  # texels that are looked at together


def texels(
    uv: NDArray, uv_faces: NDArray, size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """The texels that a uv map covers, row 0 at the top (v = 1), as pictures are stored.

    Args:
        uv: (U, 2) float texture coordinates.
        uv_faces: (F, 3) int.
        size: Texels of a side.

    Returns:
        (P,) flat texel numbers (ascending), (P,) triangle of each, (P, 3) barycentric weights of its center.
    """
    corners = uv[uv_faces] * [1.0, -1.0] + [0.0, 1.0]
    corners = corners * size - 0.5  # texel centers at whole numbers
    owner = np.full(size * size, -1, np.int64)
    low = np.clip(np.ceil(corners.min(axis=1) - 1e-9).astype(int), 0, size - 1)
    high = np.clip(np.floor(corners.max(axis=1) + 1e-9).astype(int), -1, size - 1)
    weights = np.zeros((size * size, 3))
    counts = np.maximum(high - low + 1, 0).prod(axis=1)  # texels of each triangle's box
    counts[np.abs(_areas(corners)) < 1e-12] = 0
    for some in _groups(counts):
        triangle = np.repeat(some, counts[some])
        step = np.arange(len(triangle)) - np.repeat(np.cumsum(counts[some]) - counts[some], counts[some])
        down, across = np.divmod(step, (high - low + 1)[triangle, 0])
        x, y = low[triangle, 0] + across, low[triangle, 1] + down
        inside = _barycentric(corners[triangle], x, y)
        hit = (inside > -1e-9).all(axis=1)
        flat = (y * size + x)[hit]
        # Of triangles that overlap, the last one stays.
        owner[flat], weights[flat] = triangle[hit], inside[hit]
    covered = np.flatnonzero(owner >= 0)
    return covered, owner[covered], weights[covered]


def _groups(counts: NDArray) -> list[NDArray[np.int64]]:
    """Numbers of triangles, in order, by groups with about as many texels as fit a processor's cache."""
    some = np.flatnonzero(counts)
    group = np.cumsum(counts[some]) // _TOGETHER
    return np.split(some, np.flatnonzero(np.diff(group)) + 1) if len(some) else []


def _areas(corners: NDArray) -> NDArray[np.float64]:
    """(n,) twice the signed areas of triangles (n, 3, 2)."""
    (ax, ay), (bx, by), (cx, cy) = corners.transpose(1, 2, 0)
    return (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)


def _barycentric(corners: NDArray, x: NDArray, y: NDArray) -> NDArray[np.float64]:
    """(n, 3) weights of a point (n,), (n,) in each triangle (n, 3, 2), which has an area."""
    (ax, ay), (bx, by), (cx, cy) = corners.transpose(1, 2, 0)
    area = _areas(corners)
    second = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) / area
    third = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) / area
    return np.stack([1 - second - third, second, third], axis=-1)


def nearest_texels(covered: NDArray, size: int) -> NDArray[np.int64]:
    """The nearest covered texel of each: filled with it, no seam shows.

    Args:
        covered: (n,) int. Flat numbers of the texels that some triangle covers.
        size: Texels of a side.

    Returns:
        (size * size,) int64 flat numbers.
    """
    from scipy.ndimage import distance_transform_edt

    empty = np.ones(size * size, bool)
    empty[covered] = False
    rows, columns = distance_transform_edt(
        empty.reshape(size, size), return_distances=False, return_indices=True
    )
    return (rows * size + columns).ravel()


def lookup(texture: NDArray, uv: NDArray) -> NDArray[np.float32]:
    """Colors at texture coordinates, bilinear between texel centers.

    Args:
        texture: (H, W, 3) uint8 or float 0..255, row 0 at v = 1.
        uv: (n, 2) float.

    Returns:
        (n, 3) float32 0..255.
    """
    height, width = texture.shape[:2]
    x = np.clip(uv[:, 0] * width - 0.5, 0, width - 1)
    y = np.clip((1 - uv[:, 1]) * height - 0.5, 0, height - 1)
    left, top = np.minimum(x.astype(int), max(width - 2, 0)), np.minimum(y.astype(int), max(height - 2, 0))
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = (x - left)[:, None], (y - top)[:, None]
    above = (1 - across) * texture[top, left] + across * texture[top, right]
    below = (1 - across) * texture[bottom, left] + across * texture[bottom, right]
    return ((1 - down) * above + down * below).astype(np.float32)
