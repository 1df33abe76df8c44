"""Rays against triangles: what a camera's pixels meet, and where that is on the mesh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadMesh, require

CAMERA_DISTANCE = 6.0  # in spans: about a 135 mm portrait lens, nearly orthographic


@dataclass(frozen=True)
class Hits:
    """What the camera's rays met.

    Args:
        pixels: (n,) int. Which rays met something.
        triangles: (n,) int. The triangle of each.
        u: (n,) float. Barycentric weight of the triangle's second corner.
        v: (n,) float. Of its third.
        toward_camera: (n, 3) float. Unit directions from the place to the camera, in the scene's axes.
        resolution: Pixels of a side of the picture.
    """

    pixels: NDArray
    triangles: NDArray
    u: NDArray
    v: NDArray
    toward_camera: NDArray
    resolution: int

    def interpolate(self, corners: NDArray) -> NDArray:
        """(n, C) values from (n, 3, C) values at the corners of each hit's triangle."""
        return self._weighted(lambda k: corners[:, k])

    def of_vertices(self, values: NDArray, faces: NDArray) -> NDArray:
        """(n, C) values from (V, C) float32 values of vertices and the (F, 3) int triangles of the scene."""
        corners = faces[self.triangles]
        return self._weighted(lambda k: values.take(corners[:, k], axis=0))

    def _weighted(self, at_corner: Callable[[int], NDArray]) -> NDArray:
        """The weighted sum of (n, C) values at the first, second and third corners."""
        weights = [part.astype(np.float32)[:, None] for part in (1 - self.u - self.v, self.u, self.v)]
        total = weights[0] * at_corner(0)
        for k in (1, 2):
            total += weights[k] * at_corner(k)
        return total

    def coordinates(self, uv: NDArray | None) -> NDArray:
        """(n, 2) texture coordinates of hits on triangles with (F, 3, 2) float at their corners."""
        if uv is None:
            raise BadMesh("a texture needs texture coordinates", remedy="use a topology that has uv")
        return self.interpolate(np.asarray(uv, np.float32)[self.triangles])


def ray_scene(vertices: NDArray, faces: NDArray) -> Any:
    """What rays are cast at: triangles (F, 3) int of vertices (V, 3) float, any unit."""
    scenes = require("embreex.rtcore_scene", "render")
    meshes = require("embreex.mesh_construction", "render")
    scene = scenes.EmbreeScene()
    meshes.TriangleMesh(
        scene, np.ascontiguousarray(vertices, np.float32), np.ascontiguousarray(faces, np.int32)
    )
    return scene


@dataclass(frozen=True, eq=False)
class Camera:
    """A square picture of what lies around a point.

    Args:
        turn: (3, 3) float. The rotation that brings the scene's axes to the picture's: +X right, +Y up, +Z
            toward the camera.
        center: (3,) float, the scene's unit. What is in the middle of the picture.
        span: Height of the picture at the center, in the scene's unit.
        size: Pixels of a side.
    """

    turn: NDArray[np.float64]
    center: NDArray[np.float64]
    span: float
    size: int

    def rays(self, pixels: NDArray) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Origins and unit directions (n, 3) of rays through places (n, 2) of the picture, right and down."""
        across = ((np.asarray(pixels, np.float64) / self.size - 0.5) * self.span).astype(np.float32)
        eye = np.array([0, 0, CAMERA_DISTANCE * self.span], np.float32)
        directions = np.empty((len(across), 3), np.float32)
        directions[:, 0], directions[:, 1], directions[:, 2] = across[:, 0], -across[:, 1], -eye[2]
        directions /= lengths(directions)[:, None]
        turn = np.asarray(self.turn, np.float32)
        origin = eye @ turn + np.asarray(self.center, np.float32)
        return np.broadcast_to(origin, directions.shape).copy(), directions @ turn

    def cast(self, scene: Any) -> Hits:
        """What one ray through the middle of each pixel meets, row 0 at the top."""
        return self.cast_at(scene, _middles(self.size))

    def cast_at(self, scene: Any, pixels: NDArray) -> Hits:
        """What rays through places (n, 2) of the picture meet."""
        origins, directions = self.rays(pixels)
        found = scene.run(origins, directions, output=1)
        met = np.flatnonzero(found["primID"] >= 0)
        return Hits(met, found["primID"][met], found["u"][met], found["v"][met], -directions[met], self.size)


@lru_cache(maxsize=4)
def _middles(size: int) -> NDArray[np.float64]:
    """(size * size, 2) the middle of every pixel, row by row; pictures of one size share it."""
    middle = np.arange(size) + 0.5
    pixels = np.stack(np.meshgrid(middle, middle), axis=-1).reshape(-1, 2)
    pixels.setflags(write=False)
    return pixels


def lengths(vectors: NDArray) -> NDArray:
    """(n,) lengths of (n, 3) float vectors, any unit; column by column, many times faster than row by row."""
    x, y, z = vectors.T
    return np.sqrt(x * x + y * y + z * z)


@lru_cache(maxsize=8)
def hemisphere(count: int) -> NDArray:
    """(count, 3) cosine-weighted directions about +Z on a Fibonacci spiral: even, and always the same."""
    index = np.arange(count)
    radius = np.sqrt((index + 0.5) / count)
    angle = index * np.pi * (3 - np.sqrt(5))
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1 - radius**2)], axis=1)
    return points.astype(np.float32)


def tangents(normals: NDArray) -> tuple[NDArray, NDArray]:
    """Two unit tangents (n, 3) each, for unit normals (n, 3)."""
    helper = np.where(np.abs(normals[:, [0]]) < 0.8, [[1.0, 0, 0]], [[0, 1.0, 0]])
    tangent = np.cross(normals, helper)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    return tangent.astype(np.float32), np.cross(normals, tangent).astype(np.float32)
