"""Looking at a mesh: pictures of it, faces in them, and their points back on the surface."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mien.find.landmarker import DETECTOR_SIZE, LANDMARK_SIZE, Square, square_around
from mien.geometry.alignment import quarter_turns
from mien.geometry.differential import vertex_normals
from mien.geometry.placement import Placement
from mien.geometry.surface import welded
from mien.render.clay import BACKGROUND, CLAY, clay_shade, fill_holes, linear_light, occlusion
from mien.render.rays import Camera, Hits, ray_scene

_LEAST = 1e-9  # of the size of a subject in its unit: what lies in one point is seen as one
_DIAGONAL = 1000.0  # a subject's own unit: single precision is enough for rays then
_NEAR_MM = 160.0  # vertices farther from the middle of the face keep full light
_GLOSS = 1.0
_SIDES_SIZE = 64  # pixels of pictures that tell which way triangles are wound


class Networks(Protocol):
    """What finds faces in pictures; tests put known points in its place."""

    def detect(self, picture: NDArray, least: float, most: int = 2) -> list[Square]:
        """Faces in a (128, 128, 3) picture."""

    def points(self, picture: NDArray) -> tuple[NDArray[np.float64], float]:
        """(478, 2) points in a (256, 256, 3) picture, and presence."""


class Subject:
    """A mesh that is looked at, brought to a size of its own.

    Args:
        vertices: (N, 3) float, any unit and axes.
        faces: (F, 3) int.
    """

    def __init__(self, vertices: NDArray, faces: NDArray) -> None:
        points, corners = np.asarray(vertices, np.float64), np.asarray(faces)
        place = welded(points.astype(np.float32))  # seams would show as edges
        _, first = np.unique(place, return_index=True)
        used, index = np.unique(place[corners], return_inverse=True)
        points = points[first[used]]
        low, high = points.min(axis=0), points.max(axis=0)
        self.middle, self.scale = (low + high) / 2, _DIAGONAL / max(float(np.linalg.norm(high - low)), _LEAST)
        self.vertices = ((points - self.middle) * self.scale).astype(np.float32)
        self.faces = np.ascontiguousarray(index.reshape(-1, 3), np.int32)
        self._scene = ray_scene(self.vertices, self.faces)
        self._light = np.ones((len(self.vertices), 2), np.float32)

    @cached_property
    def normals(self) -> NDArray[np.float32]:
        """(n, 3) unit normals."""
        return vertex_normals(self.vertices.astype(np.float64), self.faces).astype(np.float32)

    @cached_property
    def outward(self) -> float:
        """The share of what is seen from six sides that faces whoever looks.

        Near 1 where triangles are wound outward, near 0 where they are inside out, between for open meshes.
        """
        corners = self.vertices[self.faces].astype(np.float64)
        ways = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        facing = seen = 0
        for turn in {tuple(turn[2]): turn for turn in quarter_turns()}.values():
            camera = Camera(turn, np.zeros(3), _DIAGONAL, _SIDES_SIZE)
            hit = camera.cast(self._scene)
            facing += int(((ways[hit.triangles] * hit.toward_camera).sum(axis=1) > 0).sum())
            seen += len(hit.pixels)
        return facing / seen if seen else 1.0

    def on_mesh(self, points: NDArray) -> NDArray[np.float64]:
        """Points (..., 3) of the subject as (..., 3) in the mesh's own unit."""
        return points / self.scale + self.middle

    def of_mesh(self, points: NDArray) -> NDArray[np.float64]:
        """Points (..., 3) in the mesh's own unit as (..., 3) in the subject's."""
        return (points - self.middle) * self.scale

    def placed(self, placement: Placement) -> Placement:
        """The placement of the subject, in its unit, that is a placement of the mesh."""
        return Placement(
            placement.rotation, placement.scale / self.scale,
            placement.translation + placement.scale * placement.rotation @ self.middle,
        )  # fmt: skip

    def light_face(self, center: NDArray, millimeter: float) -> None:
        """Traces how open the surroundings of a face are; hollows of eyes and mouth are dark in pictures.

        Args:
            center: (3,) float, the subject's unit. Middle of the face.
            millimeter: Of the head, in the subject's unit.
        """
        near = np.linalg.norm(self.vertices - center, axis=1) < _NEAR_MM * millimeter
        self._light = np.ones((len(self.vertices), 2), np.float32)
        if near.any():
            rows = np.flatnonzero(near)
            reach = occlusion(self.vertices[rows], self.normals[rows], self._scene, millimeter)
            self._light[rows] = np.stack([reach, np.clip(1.4 * reach, 0, 1)], axis=1)

    def picture(self, camera: Camera) -> NDArray[np.float32]:
        """(size, size, 3) float, 0 to 255: clay with the normals' light, one ray a pixel."""
        hit = camera.cast(self._scene)
        picture = np.empty((camera.size**2, 3), np.float32)
        picture[:] = BACKGROUND
        fill_holes(picture, hit)
        if len(hit.pixels):
            turn = camera.turn.astype(np.float32)
            normals = hit.of_vertices(self.normals, self.faces) @ turn.T
            light = hit.of_vertices(self._light, self.faces)
            picture[hit.pixels] = clay_shade(
                normals, hit.toward_camera @ turn.T, linear_light(CLAY), light, _GLOSS
            )
        return picture.reshape(camera.size, camera.size, 3)

    def behind(self, camera: Camera, pixels: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where places of a picture are on the surface.

        Args:
            camera: Of the picture.
            pixels: (n, 2) float, pixels right and down.

        Returns:
            (n, 3) points in the subject's unit, NaN where nothing is, and (n,) cosines of the angle at which
            the surface is seen; negative from behind.
        """
        hit: Hits = camera.cast_at(self._scene, pixels)
        points, facing = np.full((len(pixels), 3), np.nan), np.zeros(len(pixels))
        points[hit.pixels] = hit.of_vertices(self.vertices, self.faces)
        normals = hit.of_vertices(self.normals, self.faces)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        facing[hit.pixels] = (normals * hit.toward_camera).sum(axis=1)
        return points, facing


@dataclass(frozen=True, eq=False)
class Sighting:
    """A face seen in one picture.

    Args:
        points: (478, 3) float, the subject's unit; NaN where a point is beside the mesh.
        facing: (478,) cosines of the angle at which the surface is seen there.
        score: The detector's, 0 to 1.
        presence: The landmark network's, 0 to 1.
        camera: That saw it, from near.
        pixels: (478, 2) where the points are in that picture.
    """

    points: NDArray[np.float64]
    facing: NDArray[np.float64]
    score: float
    presence: float
    camera: Camera
    pixels: NDArray[np.float64]


def look(
    subject: Subject, networks: Networks, camera: Camera, *, score: float, presence: float, most: int = 1
) -> list[Sighting]:
    """Faces that one camera sees; it comes near to each before its points are taken.

    Args:
        subject: What is looked at.
        networks: The detector and the landmarks.
        camera: From where; its size is the detector's, or a multiple of it.
        score: Smallest score of the detector.
        presence: Smallest presence that the landmark network finds.
        most: How many faces at most.
    """
    picture = subject.picture(camera)
    rays = camera.size // DETECTOR_SIZE
    coarse = picture.reshape(DETECTOR_SIZE, rays, DETECTOR_SIZE, rays, 3).mean(axis=(1, 3))
    found = []
    for square in networks.detect(coarse, score, most):
        near = _closer(camera, square)
        points, sure = networks.points(subject.picture(near))
        if sure < presence:
            continue
        near = _closer(near, square_around(points, square.score))
        points, sure = networks.points(subject.picture(near))
        if sure >= presence:
            pixels = points * LANDMARK_SIZE
            found.append(Sighting(*subject.behind(near, pixels), square.score, sure, near, pixels))
    return found


def camera_of(turn: NDArray, center: NDArray, span: float, *, rays: int = 2) -> Camera:
    """A camera whose picture the detector takes.

    Args:
        turn: (3, 3) float. From the subject's axes to the picture's.
        center: (3,) float, the subject's unit. In the middle of the picture.
        span: Height of the picture there.
        rays: A pixel's side.
    """
    return Camera(np.asarray(turn, np.float64), np.asarray(center, np.float64), span, rays * DETECTOR_SIZE)


def facing_camera(placement: Placement, turn: NDArray, center: NDArray, span: float) -> Camera:
    """A camera that looks at a placed template.

    Args:
        placement: Of the subject in the template's frame.
        turn: (3, 3) float. From the template's frame to the picture's.
        center: (3,) float, millimeters. In the middle of the picture.
        span: Millimeters.
    """
    return camera_of(turn @ placement.rotation, placement.back(center), span / placement.scale)


def _closer(camera: Camera, square: Square) -> Camera:
    """The camera whose picture is a tilted square of another's."""
    right, down = (np.asarray(square.center) - 0.5) * camera.span
    center = camera.center + np.array([right, -down, 0.0]) @ camera.turn
    cosine, sine = np.cos(square.angle), np.sin(square.angle)
    roll = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])
    return Camera(roll @ camera.turn, center, square.side * camera.span, LANDMARK_SIZE)
