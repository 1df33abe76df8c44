"""Stills of faces by ray casting: no display, no driver, the same picture on every machine.

Clay under a soft key light from the upper left, a cool fill and a rim. Occlusion and the key's shadow are
traced once per vertex and interpolated: as smooth as the mesh, at a tenth of the cost of tracing them per
pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import BadMesh, require
from mien.geometry.differential import vertex_normals
from mien.geometry.texels import lookup

Image = NDArray[np.uint8]

BACKGROUND = (247, 246, 243)
CLAY = (206, 171, 148)
INSIDE = (92, 52, 46)
"""Color of surfaces seen from behind: the inside of a mouth."""
HOLLOW = (58, 38, 34)
"""Color of the space behind a hole: what shows through the slits of lids and lips."""

CAMERA_DISTANCE = 6.0  # in spans: about a 135 mm portrait lens, nearly orthographic
OCCLUSION_REACH = 35.0  # mm: surfaces farther than this barely darken each other
OCCLUSION_RAYS = 20
SHADOW_RAYS = 6


@dataclass(frozen=True)
class View:
    """Where the camera stands.

    Args:
        center: (3,) mm, the point in the middle of the picture.
        span_mm: The height of the picture at the center.
        yaw: Degrees the face turns to its left (the picture's right).
        pitch: Degrees the face tilts down.
    """

    center: tuple[float, float, float]
    span_mm: float
    yaw: float = 0.0
    pitch: float = 0.0

    @staticmethod
    def around(vertices: NDArray, *, yaw: float = 0.0, pitch: float = 0.0, margin: float = 1.08) -> View:
        """Frames meshes; give several at once, (..., V, 3), for pictures that are to be compared."""
        points = vertices.reshape(-1, 3).astype(np.float64)
        middle = (points.min(0) + points.max(0)) / 2
        turned = (points - middle) @ rotation(yaw, pitch).T
        span = float(np.ptp(turned, axis=0)[:2].max()) * margin
        return View((float(middle[0]), float(middle[1]), float(middle[2])), max(span, 1e-3), yaw, pitch)


def rotation(yaw: float, pitch: float) -> NDArray:
    """(3, 3) rotation of the face: first ``yaw`` degrees about +Y, then ``pitch`` about +X."""
    a, b = np.radians(yaw), np.radians(pitch)
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return about_x @ about_y


def render(
    vertices: NDArray, faces: NDArray, *, size: int = 512, colors: NDArray | None = None,
    yaw: float = 0.0, pitch: float = 0.0, span_mm: float | None = None, view: View | None = None,
    background: Sequence[int] = BACKGROUND, samples: int = 2, gloss: float = 1.0,
    texture: NDArray | None = None, uv: NDArray | None = None,
) -> Image:  # fmt: skip
    """Draws one mesh.

    Args:
        vertices: (V, 3) float, millimeters; +Y up, +Z toward the camera.
        faces: (F, 3) int.
        size: Side of the picture in pixels.
        colors: (V, 3) uint8, sRGB per vertex; None for clay.
        yaw: Degrees the face turns to its left.
        pitch: Degrees the face tilts down.
        span_mm: Height of the picture in millimeters; None to fit the mesh.
        view: A whole camera instead of the three above: use one for pictures that are to be compared.
        background: sRGB of what is behind the face.
        samples: Rays per pixel side; 2 is four rays a pixel.
        gloss: Strength of highlights; lower it where color carries numbers.
        texture: (H, W, 3) uint8, sRGB, row 0 at v = 1; in place of ``colors``.
        uv: (F, 3, 2) float, texture coordinates of every triangle's corners, for ``texture``.

    Returns:
        (size, size, 3) uint8.
    """
    vertices = np.asarray(vertices, np.float64)
    if vertices.ndim != 2 or not np.isfinite(vertices).all():
        raise BadMesh("a picture needs one finite mesh (V, 3)", received=vertices.shape)
    view = view or View.around(vertices, yaw=yaw, pitch=pitch)
    if span_mm is not None:
        view = View(view.center, span_mm, view.yaw, view.pitch)
    turned = ((vertices - view.center) @ rotation(view.yaw, view.pitch).T).astype(np.float32)
    faces = np.ascontiguousarray(faces, np.int32)
    scene = _scene(turned, faces)
    hit = _cast_pixels(scene, view.span_mm, size * samples)
    if texture is None:
        albedo = _linear(CLAY) if colors is None else hit.interpolate(_linear(colors)[faces[hit.triangles]])
    else:
        albedo = _linear(lookup(texture, hit.coordinates(uv)))
    picture = _paint(turned, faces, scene, hit, albedo, background, gloss)
    height = size * samples
    picture = picture.reshape(height, height, 3).reshape(size, samples, size, samples, 3).mean(axis=(1, 3))
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class _Hits:
    """What the camera's rays met: pixel rows that hit, the triangle, barycentric u and v, ray direction."""

    pixels: NDArray
    triangles: NDArray
    u: NDArray
    v: NDArray
    toward_camera: NDArray
    resolution: int

    def interpolate(self, corners: NDArray) -> NDArray:
        """(n, C) values from (n, 3, C) values at the corners of each hit's triangle."""
        weights = np.stack([1 - self.u - self.v, self.u, self.v], axis=1).astype(np.float32)
        return sum(weights[:, [k]] * corners[:, k] for k in range(3))  # type: ignore[return-value]

    def coordinates(self, uv: NDArray | None) -> NDArray:
        """(n, 2) texture coordinates."""
        if uv is None:
            raise BadMesh("a texture needs texture coordinates", remedy="use a topology that has uv")
        return self.interpolate(np.asarray(uv, np.float32)[self.triangles])


def _scene(vertices: NDArray, faces: NDArray) -> Any:
    scenes = require("embreex.rtcore_scene", "render")
    meshes = require("embreex.mesh_construction", "render")
    scene = scenes.EmbreeScene()
    meshes.TriangleMesh(scene, np.ascontiguousarray(vertices, np.float32), faces)
    return scene


def _cast_pixels(scene: Any, span: float, resolution: int) -> _Hits:
    """One ray through the middle of each (sub)pixel, row 0 at the top."""
    across = (((np.arange(resolution) + 0.5) / resolution - 0.5) * span).astype(np.float32)
    grid = np.zeros((resolution, resolution, 3), np.float32)
    grid[..., 0] = across
    grid[..., 1] = -across[:, None]
    eye = np.array([0, 0, CAMERA_DISTANCE * span], np.float32)
    directions = grid.reshape(-1, 3) - eye
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    found = scene.run(np.broadcast_to(eye, directions.shape).copy(), directions, output=1)
    pixels = np.flatnonzero(found["primID"] >= 0)
    return _Hits(
        pixels, found["primID"][pixels], found["u"][pixels], found["v"][pixels],
        -directions[pixels], resolution,
    )  # fmt: skip


def _paint(
    vertices: NDArray,
    faces: NDArray,
    scene: Any,
    hit: _Hits,
    albedo: NDArray,
    background: Sequence[int],
    gloss: float,
) -> NDArray:
    """(pixels, 3) float sRGB 0..255; ``albedo`` is linear light, one color or (n, 3) of the hits."""
    picture = np.empty((hit.resolution**2, 3), np.float32)
    picture[:] = background
    _fill_holes(picture, hit)
    if not len(hit.pixels):
        return picture
    corners = faces[hit.triangles]
    normals = vertex_normals(vertices, faces).astype(np.float32)
    light = hit.interpolate(_vertex_light(vertices, normals, scene)[corners])
    shaded = _shade(hit.interpolate(normals[corners]), hit.toward_camera, albedo, light, gloss)
    picture[hit.pixels] = shaded
    return picture


KEY = np.array([-0.50, 0.62, 0.60], np.float32) / np.float32(np.linalg.norm([-0.50, 0.62, 0.60]))
FILL = np.array([0.75, 0.05, 0.66], np.float32) / np.float32(np.linalg.norm([0.75, 0.05, 0.66]))
RIM = np.array([0.80, 0.35, -0.48], np.float32) / np.float32(np.linalg.norm([0.80, 0.35, -0.48]))


def _shade(normals: NDArray, toward: NDArray, albedo: NDArray, light: NDArray, gloss: float) -> NDArray:
    """sRGB 0..255 of hits from unit normals, view directions, linear albedo, and (occlusion, key) light."""
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    facing = np.einsum("nk,nk->n", normals, toward)
    behind = facing < -0.12  # smooth normals lean away a little along the silhouette: those are not backs
    normals = np.where(behind[:, None], -normals, normals)
    facing = np.abs(facing)
    albedo = np.where(behind[:, None], _linear(INSIDE), albedo)
    openness, key = light[:, 0], light[:, 1]
    openness = np.where(behind, 0.55, openness)

    wrapped = np.clip((normals @ KEY + 0.18) / 1.18, 0, 1) * np.where(behind, 0.4, key)
    fill = np.clip((normals @ FILL + 0.3) / 1.3, 0, 1)
    sky = 0.5 + 0.5 * normals[:, 1]
    diffuse = (
        wrapped[:, None] * np.array([1.02, 0.96, 0.88])
        + (fill * openness)[:, None] * np.array([0.20, 0.22, 0.26])
        + ((0.10 + 0.16 * sky) * openness)[:, None] * np.array([0.96, 1.0, 1.06])
    )
    color = albedo * diffuse
    edge = np.clip(1 - facing, 0, 1) ** 3
    color += (edge * (0.05 + 0.30 * np.clip(normals @ RIM, 0, 1)) * openness)[:, None] * (0.4 + 0.6 * albedo)
    half = KEY + toward
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    shine = np.clip(np.einsum("nk,nk->n", normals, half), 0, 1)
    strength = np.where(behind, 0.0, 1.0) * key * gloss
    color += ((0.05 * shine**14 + 0.05 * shine**60) * strength)[:, None]
    return 255 * _display(color)


def _vertex_light(vertices: NDArray, normals: NDArray, scene: Any) -> NDArray:
    """(V, 2) float: how open each vertex is to the surroundings, and how much of the key light reaches it."""
    count = len(vertices)
    hemisphere = _hemisphere(OCCLUSION_RAYS)
    tangent, bitangent = _frames(normals)
    rays = (
        hemisphere[None, :, 0, None] * tangent[:, None]
        + hemisphere[None, :, 1, None] * bitangent[:, None]
        + hemisphere[None, :, 2, None] * normals[:, None]
    )
    soft_key = KEY + 0.16 * _hemisphere(SHADOW_RAYS) @ np.stack([*_frames(KEY[None]), KEY[None]])[:, 0]
    rays = np.concatenate([rays, np.broadcast_to(soft_key[None], (count, SHADOW_RAYS, 3))], axis=1)
    starts = np.repeat((vertices + 0.4 * normals)[:, None], rays.shape[1], axis=1)
    directions = np.ascontiguousarray(rays.reshape(-1, 3), np.float32)
    found = scene.run(np.ascontiguousarray(starts.reshape(-1, 3), np.float32), directions, output=1)
    distance = np.where(found["primID"] >= 0, found["tfar"], np.inf).reshape(count, -1)
    blocked = np.exp(-distance[:, :OCCLUSION_RAYS] / OCCLUSION_REACH)
    openness = 1 - 0.9 * blocked.mean(axis=1)
    key = 1 - 0.75 * np.isfinite(distance[:, OCCLUSION_RAYS:]).mean(axis=1)
    return np.stack([openness, key], axis=1).astype(np.float32)


def openness(vertices: NDArray, faces: NDArray) -> NDArray[np.float32]:
    """How open each vertex of a mesh is to its surroundings.

    Args:
        vertices: (V, 3) float, millimeters.
        faces: (F, 3) int.

    Returns:
        (V,) float32, 0 (buried) to 1 (free on all sides).
    """
    points = np.asarray(vertices, np.float32)
    normals = vertex_normals(points, faces).astype(np.float32)
    return _vertex_light(points, normals, _scene(points, np.ascontiguousarray(faces, np.int32)))[:, 0]


@lru_cache(maxsize=8)
def _hemisphere(count: int) -> NDArray:
    """(count, 3) cosine-weighted directions about +Z on a Fibonacci spiral: even, and always the same."""
    index = np.arange(count)
    radius = np.sqrt((index + 0.5) / count)
    angle = index * np.pi * (3 - np.sqrt(5))
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1 - radius**2)], axis=1)
    return points.astype(np.float32)


def _frames(normals: NDArray) -> tuple[NDArray, NDArray]:
    """Two unit tangents for each unit normal."""
    helper = np.where(np.abs(normals[:, [0]]) < 0.8, [[1.0, 0, 0]], [[0, 1.0, 0]])
    tangent = np.cross(normals, helper)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    return tangent.astype(np.float32), np.cross(normals, tangent).astype(np.float32)


def _fill_holes(picture: NDArray, hit: _Hits) -> None:
    """Darkens what shows through holes of the mask; the background would glow through eyes and lips."""
    from scipy.ndimage import binary_fill_holes

    covered = np.zeros(hit.resolution**2, bool)
    covered[hit.pixels] = True
    filled = binary_fill_holes(covered.reshape(hit.resolution, -1)).ravel()
    picture[filled & ~covered] = HOLLOW


def _linear(color: ArrayLike) -> NDArray:
    """sRGB 0..255 to linear light."""
    return (np.asarray(color, np.float32) / 255) ** 2.2


def _display(color: NDArray) -> NDArray:
    """Linear light to sRGB 0..1, with a soft shoulder so that highlights do not clip."""
    color = np.clip(color, 0, None)
    color = np.where(color > 0.7, 0.7 + 0.3 * np.tanh((color - 0.7) / 0.3), color)
    return color ** (1 / 2.2)
