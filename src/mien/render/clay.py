"""Clay under three lights: the colors that a picture of a mesh has."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.render.rays import Hits, hemisphere, lengths, tangents

BACKGROUND = (247, 246, 243)
CLAY = (206, 171, 148)
INSIDE = (92, 52, 46)
"""Color of surfaces seen from behind: the inside of a mouth."""
HOLLOW = (58, 38, 34)
"""Color of the space behind a hole: what shows through the slits of lids and lips."""

OCCLUSION_REACH = 35.0  # mm: surfaces farther than this barely darken each other
OCCLUSION_RAYS = 20
QUICK_RAYS = 12
SHADOW_RAYS = 6
START_MM = 0.4  # above the surface, so that a ray does not meet where it starts
BLOCKED = 0.9  # of the light that full occlusion takes


KEY = np.array([-0.50, 0.62, 0.60], np.float32) / np.float32(np.linalg.norm([-0.50, 0.62, 0.60]))
FILL = np.array([0.75, 0.05, 0.66], np.float32) / np.float32(np.linalg.norm([0.75, 0.05, 0.66]))
RIM = np.array([0.80, 0.35, -0.48], np.float32) / np.float32(np.linalg.norm([0.80, 0.35, -0.48]))
KEY_COLOR = np.array([1.02, 0.96, 0.88], np.float32)
FILL_COLOR = np.array([0.20, 0.22, 0.26], np.float32)
SKY_COLOR = np.array([0.96, 1.0, 1.06], np.float32)


def clay_shade(normals: NDArray, toward: NDArray, albedo: NDArray, light: NDArray, gloss: float) -> NDArray:
    """The colors of what the camera's rays met.

    Args:
        normals: (n, 3) float. Of the surface, in the picture's axes.
        toward: (n, 3) float. Unit directions to the camera, in the same axes.
        albedo: (3,) or (n, 3) float, linear light.
        light: (n, 2) float. How open the place is, and how much of the key light reaches it.
        gloss: Strength of highlights.

    Returns:
        (n, 3) float, sRGB 0..255.
    """
    normals = normals / np.maximum(lengths(normals), 1e-9)[:, None]
    facing = np.einsum("nk,nk->n", normals, toward)
    behind = facing < -0.12  # smooth normals lean away a little along the silhouette: those are not backs
    openness, key = light[:, 0], light[:, 1]
    reached, shining = key, key * np.float32(gloss)
    if behind.any():
        normals = np.where(behind[:, None], -normals, normals)
        albedo = np.where(behind[:, None], linear_light(INSIDE), albedo)
        openness, reached = np.where(behind, 0.55, openness), np.where(behind, 0.4, key)
        shining = np.where(behind, 0.0, shining)
    facing = np.abs(facing)

    wrapped = np.clip((normals @ KEY + 0.18) / 1.18, 0, 1) * reached
    fill = np.clip((normals @ FILL + 0.3) / 1.3, 0, 1) * openness
    sky = (0.10 + 0.16 * (0.5 + 0.5 * normals[:, 1])) * openness
    edge = np.clip(1 - facing, 0, 1) ** 3
    edge *= (0.05 + 0.30 * np.clip(normals @ RIM, 0, 1)) * openness
    half = KEY + toward
    shine = np.clip(np.einsum("nk,nk->n", normals, half) / lengths(half), 0, 1)
    shine = (0.05 * shine**14 + 0.05 * shine**60) * shining
    color = np.empty((len(normals), 3), np.float32)
    for k, own in enumerate(np.broadcast_to(albedo, color.shape).T):  # by channel: rows of three are slow
        diffuse = wrapped * KEY_COLOR[k] + fill * FILL_COLOR[k] + sky * SKY_COLOR[k]
        color[:, k] = _display(own * diffuse + edge * (0.4 + 0.6 * own) + shine)
    color *= 255
    return color


def vertex_light(vertices: NDArray, normals: NDArray, scene: Any) -> NDArray:
    """How open each vertex is to the surroundings, and how much of the key light reaches it.

    Args:
        vertices: (V, 3) float, millimeters.
        normals: (V, 3) float, unit normals.
        scene: What rays are cast at.

    Returns:
        (V, 2) float32.
    """
    count = len(vertices)
    directions_around = hemisphere(OCCLUSION_RAYS)
    tangent, bitangent = tangents(normals)
    rays = (
        directions_around[None, :, 0, None] * tangent[:, None]
        + directions_around[None, :, 1, None] * bitangent[:, None]
        + directions_around[None, :, 2, None] * normals[:, None]
    )
    soft_key = KEY + 0.16 * hemisphere(SHADOW_RAYS) @ np.stack([*tangents(KEY[None]), KEY[None]])[:, 0]
    rays = np.concatenate([rays, np.broadcast_to(soft_key[None], (count, SHADOW_RAYS, 3))], axis=1)
    starts = np.repeat((vertices + START_MM * normals)[:, None], rays.shape[1], axis=1)
    directions = np.ascontiguousarray(rays.reshape(-1, 3), np.float32)
    found = scene.run(np.ascontiguousarray(starts.reshape(-1, 3), np.float32), directions, output=1)
    distance = np.where(found["primID"] >= 0, found["tfar"], np.inf).reshape(count, -1)
    blocked = np.exp(-distance[:, :OCCLUSION_RAYS] / OCCLUSION_REACH)
    openness = 1 - BLOCKED * blocked.mean(axis=1)
    key = 1 - 0.75 * np.isfinite(distance[:, OCCLUSION_RAYS:]).mean(axis=1)
    return np.stack([openness, key], axis=1).astype(np.float32)


def occlusion(vertices: NDArray, normals: NDArray, scene: Any, millimeter: float) -> NDArray[np.float32]:
    """(n,) 0..1 how open places of a scene are, however large a millimeter is there.

    Args:
        vertices: (n, 3) float32, the scene's unit.
        normals: (n, 3) float32, unit normals.
        scene: What rays are cast at.
        millimeter: In the scene's unit.
    """
    tangent, bitangent = tangents(normals)
    around = hemisphere(QUICK_RAYS)
    rays = sum(
        around[None, :, k, None] * frame[:, None] for k, frame in enumerate((tangent, bitangent, normals))
    )
    starts = np.repeat(vertices + START_MM * millimeter * normals, QUICK_RAYS, axis=0)
    found = scene.run(
        np.ascontiguousarray(starts, np.float32),
        np.ascontiguousarray(rays, np.float32).reshape(-1, 3),
        output=1,
    )
    distance = np.where(found["primID"] >= 0, found["tfar"], np.inf).reshape(len(vertices), -1)
    blocked = np.exp(-distance / (OCCLUSION_REACH * millimeter))
    return (1 - BLOCKED * blocked.mean(axis=1)).astype(np.float32)


def fill_holes(picture: NDArray, hit: Hits) -> None:
    """Darkens what shows through holes of the mask; the background would glow through eyes and lips.

    Args:
        picture: (size * size, 3) float, sRGB 0..255; changed in place.
        hit: What its rays met.
    """
    from scipy.ndimage import binary_fill_holes

    covered = np.zeros(hit.resolution**2, bool)
    covered[hit.pixels] = True
    filled = binary_fill_holes(covered.reshape(hit.resolution, -1)).ravel()
    picture[filled & ~covered] = HOLLOW


def linear_light(color: ArrayLike) -> NDArray:
    """Colors (..., 3), sRGB 0..255, as (..., 3) float32 linear light."""
    return (np.asarray(color, np.float32) / 255) ** 2.2


def _display(color: NDArray) -> NDArray:
    """Linear light to sRGB 0..1, with a soft shoulder so that highlights do not clip."""
    color = np.clip(color, 0, None)
    bright = color > 0.7
    color[bright] = 0.7 + 0.3 * np.tanh((color[bright] - 0.7) / 0.3)
    return color ** (1 / 2.2)
