"""What comes through the skin: teeth in front of lips, eyeballs in front of lids.

A place of an inner piece stands out if nothing of the skin is before it, and the outside of skin that is seen
at rest lies close behind it. Teeth in an open mouth have no such skin behind them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.head_rigs import LEFT_EYE, RIGHT_EYE, SKIN, HeadRig
from mien.geometry.differential import face_normals, vertex_normals
from mien.render.rays import ray_scene

CLOSE_MM = 8.0
"""Skin that lies farther behind a place is not what it came through."""
SUNK_MM = 0.05
"""What stands out less is rounding."""
_FRONT, _OUT, _OFF_MM = 0.2, 0.5, 0.3
_PIXEL_MM = 0.1
_AROUND_MM = 40.0  # skin farther from all pieces is not what they come through
_WAYS = np.array([(0, 0, 1), (0.6, 0, 0.8), (-0.6, 0, 0.8), (0, 0.6, 0.8), (0, -0.6, 0.8)])
_EYE_FRONT = 0.5  # cosine between out of the face and what of an eyeball is looked at
_ACTIVE = (3, 9)  # shapes that are active in a frame of a made-up take


def seen_skin(rig: HeadRig) -> NDArray[np.bool_]:
    """(N,) vertices of the skin that are seen at rest from the front or its sides, not in mouth or sockets.

    Args:
        rig: A head, at rest.
    """
    rows = np.flatnonzero(rig.skin)
    normals = vertex_normals(rig.vertices, rig.faces)[rows]
    start = rig.vertices[rows] + _OFF_MM * normals
    scene, free = ray_scene(rig.vertices, rig.faces), np.zeros(len(rows), bool)
    for way in _WAYS:
        free |= (_cast(scene, start, np.broadcast_to(way, start.shape))[0] < 0) & (normals @ way > 0)
    found = np.zeros(len(rig.vertices), bool)
    found[rows] = free
    return found


@dataclass(frozen=True, eq=False)
class Inside:
    """Pieces of a head that its skin covers.

    Args:
        rig: The head.
        piece: (N,) uint8. What its vertices belong to; pieces other than skin are looked at.
    """

    rig: HeadRig
    piece: NDArray[np.uint8]

    @cached_property
    def _watched(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Vertices of the pieces, and unit vectors (n, 3) out of the face there."""
        ways = np.tile([0.0, 0.0, 1.0], (len(self.piece), 1))
        watched = self.piece != SKIN
        for eye in (LEFT_EYE, RIGHT_EYE):
            ball = self.piece == eye
            if ball.any():
                center = (self.rig.vertices[ball].min(axis=0) + self.rig.vertices[ball].max(axis=0)) / 2
                offset = self.rig.vertices[ball] - center
                ways[ball] = offset / np.maximum(np.linalg.norm(offset, axis=1, keepdims=True), 1e-9)
                watched[ball] = ways[ball, 2] > _EYE_FRONT
        rows = np.flatnonzero(watched)
        return rows, ways[rows]

    @cached_property
    def _skin(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Triangles of the skin, and which of them are seen at rest and look out of the face.

        The edges of lids look up and down, and go on into flaps that lie inside eyeballs on purpose.
        """
        points, inner = self.rig.vertices, self.rig.vertices[self.piece != SKIN]
        near = np.zeros(len(points), bool)
        if len(inner):  # the back of the head and the neck cover nothing
            low, high = inner.min(axis=0) - _AROUND_MM, inner.max(axis=0) + _AROUND_MM
            near = ((points > low) & (points < high)).all(axis=1) & (self.piece == SKIN)
        faces = self.rig.faces[near[self.rig.faces].all(axis=1)].astype(np.int64)
        out = _unit_normals(points, faces)[:, 2] > _OUT
        return faces, seen_skin(self.rig)[faces].all(axis=1) & out

    @cached_property
    def _at_rest(self) -> NDArray[np.float64]:
        return self._standing_out(self.rig.vertices)

    def depth(self, change: NDArray) -> float:
        """How far a piece comes through the skin at most, millimeters; 0 if none does that did not at rest.

        Args:
            change: (N, 3) float, millimeters. Displacements of the head.
        """
        found = self._standing_out(self.rig.vertices + change)
        return float(np.where(self._at_rest > SUNK_MM, 0.0, found).max(initial=0.0))

    def _standing_out(self, posed: NDArray) -> NDArray[np.float64]:
        """(n,) how far each watched place stands out of the skin, millimeters."""
        rows, ways = self._watched
        if not len(rows):
            return np.zeros(0)
        faces, seen = self._skin
        outer, places = faces[seen], posed[rows]
        met, distance = _cast(ray_scene(posed, outer), places, -ways)
        toward = (_unit_normals(posed, outer)[np.maximum(met, 0)] * ways).sum(axis=1)
        out = (met >= 0) & (toward > _FRONT) & (distance < CLOSE_MM)
        if out.any():
            out[out] = _cast(ray_scene(posed, faces), places[out], ways[out])[0] < 0
        return np.where(out, distance, 0.0)


def _unit_normals(points: NDArray, faces: NDArray) -> NDArray[np.float64]:
    normals = face_normals(points, faces)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def _cast(scene: Any, start: NDArray, ways: NDArray) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of each ray the triangle that it meets first, or -1, and how far away."""
    found = scene.run(
        np.ascontiguousarray(start, np.float32), np.ascontiguousarray(ways, np.float32), output=1
    )
    return found["primID"].astype(np.int64), found["tfar"].astype(np.float64)


def tallest_slit(rig: HeadRig, change: NDArray, eye: int) -> float:
    """How high an eyeball is seen at most between its lids from the front, millimeters.

    Args:
        rig: A head.
        change: (N, 3) float, millimeters. Displacements, of a blink.
        eye: ``LEFT_EYE`` or ``RIGHT_EYE``.
    """
    ball, kind = rig.vertices[rig.piece == eye], rig.piece[rig.faces]
    faces = rig.faces[((kind == SKIN) | (kind == eye)).all(axis=1)].astype(np.int64)
    low, high = ball.min(axis=0), ball.max(axis=0)
    across, up = (np.arange(low[k], high[k], _PIXEL_MM) for k in (0, 1))
    start = np.stack(np.meshgrid(across, up, [high[2] + 10 * CLOSE_MM], indexing="ij"), -1).reshape(-1, 3)
    scene = ray_scene(rig.vertices + change, faces)
    met, _ = _cast(scene, start, np.broadcast_to(-_WAYS[0], start.shape))
    seen = (met >= 0) & (rig.piece[faces[np.maximum(met, 0), 0]] == eye)
    return float(seen.reshape(len(across), len(up)).sum(axis=1).max(initial=0) * _PIXEL_MM)


def made_up_take(names: Sequence[str], frames: int = 200, seed: int = 0) -> NDArray[np.float64]:
    """(T, E) random weights of named shapes: in each frame a few are active, both sides of a pair alike.

    Args:
        names: E names.
        frames: T.
        seed: The same seed gives the same take.
    """
    rng = np.random.default_rng(seed)
    stems = [name.removesuffix("Left").removesuffix("Right") for name in names]
    groups = list(dict.fromkeys(stems))
    weights = np.zeros((frames, len(names)))
    for frame in weights:
        active = rng.choice(len(groups), min(int(rng.integers(*_ACTIVE)), len(groups)), replace=False)
        for group in active:
            strength = rng.uniform(0.2, 1.0)
            for row in [row for row, stem in enumerate(stems) if stem == groups[group]]:
                frame[row] = np.clip(strength + rng.normal(0, 0.1), 0, 1)
        if "mouthClose" in names and "jawOpen" in names:  # it means nothing but over an open jaw
            close, jaw = names.index("mouthClose"), names.index("jawOpen")
            frame[close] = min(frame[close], frame[jaw])
    return weights


def through_the_skin(inside: Inside, shapes: Mapping[str, NDArray], frames: int = 200) -> dict[str, float]:
    """How far pieces come through the skin: name -> millimeters, and ``take`` of a made-up take's frames.

    Args:
        inside: The head.
        shapes: Name -> (N, 3) float, millimeters: displacements.
        frames: Of the take; its worst counts.
    """
    found = {name: inside.depth(shape) for name, shape in shapes.items()}
    stacked = np.stack([np.asarray(shape, np.float32) for shape in shapes.values()])
    take = made_up_take(tuple(shapes), frames)
    worst = [inside.depth(np.tensordot(weights, stacked, axes=1)) for weights in take]
    return {**found, "take": max(worst, default=0.0)}
