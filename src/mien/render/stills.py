"""Stills of faces by ray casting: no display, no driver, the same picture on every machine.

Clay under a soft key light from the upper left, a cool fill and a rim. Occlusion and the key's shadow are
traced once per vertex and interpolated: as smooth as the mesh, at a tenth of the cost of tracing them per
pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadMesh
from mien.geometry.differential import vertex_normals
from mien.geometry.texels import lookup
from mien.render.clay import BACKGROUND, CLAY, clay_shade, fill_holes, linear_light, vertex_light
from mien.render.rays import Camera, Hits, ray_scene

Image = NDArray[np.uint8]


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
    scene = ray_scene(turned, faces)
    hit = Camera(np.eye(3), np.zeros(3), view.span_mm, size * samples).cast(scene)
    if texture is None:
        albedo = linear_light(CLAY) if colors is None else hit.of_vertices(linear_light(colors), faces)
    else:
        albedo = linear_light(lookup(texture, hit.coordinates(uv)))
    picture = _paint(turned, faces, scene, hit, albedo, background, gloss)
    height = size * samples
    picture = picture.reshape(height, height, 3).reshape(size, samples, size, samples, 3).mean(axis=(1, 3))
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def _paint(
    vertices: NDArray,
    faces: NDArray,
    scene: Any,
    hit: Hits,
    albedo: NDArray,
    background: Sequence[int],
    gloss: float,
) -> NDArray:
    """(pixels, 3) float sRGB 0..255; ``albedo`` is linear light, one color or (n, 3) of the hits."""
    picture = np.empty((hit.resolution**2, 3), np.float32)
    picture[:] = background
    fill_holes(picture, hit)
    if not len(hit.pixels):
        return picture
    normals = vertex_normals(vertices, faces).astype(np.float32)
    seen = np.zeros(len(vertices), bool)
    seen[faces[hit.triangles]] = True
    light = np.zeros((len(vertices), 2), np.float32)
    light[seen] = vertex_light(vertices[seen], normals[seen], scene)
    shown, light = hit.of_vertices(normals, faces), hit.of_vertices(light, faces)
    picture[hit.pixels] = clay_shade(shown, hit.toward_camera, albedo, light, gloss)
    return picture


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
    return vertex_light(points, normals, ray_scene(points, np.ascontiguousarray(faces, np.int32)))[:, 0]
