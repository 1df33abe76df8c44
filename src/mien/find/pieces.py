"""The pieces of a mesh: which to look at alone when the whole hides the face, and which hide it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.find.known_points import KnownPoints
from mien.geometry.placement import Placement
from mien.geometry.surface import connected, welded

_SMALLEST = 150  # vertices of a piece that can be a head
_MOST = 4
_EYE_SMALLEST = 20  # vertices of an eyeball
_EYE_MM, _EYE_ROUNDNESS = 48.0, 1.7
_REACH_MM = 120.0  # from the middle of the face


@dataclass(frozen=True, eq=False)
class MeshPieces:
    """A mesh by its connected pieces, seams closed.

    Args:
        vertices: (N, 3) float.
        faces: (F, 3) int.
        label: (N,) int. The piece of each vertex; 0 is the one with most triangles' corners.
    """

    vertices: NDArray
    faces: NDArray
    label: NDArray[np.int64]

    @staticmethod
    def of(vertices: NDArray, faces: NDArray) -> MeshPieces:
        """Splits a mesh of vertices (N, 3) float, any unit, and triangles (F, 3) int."""
        place = welded(np.asarray(vertices, np.float32))
        return MeshPieces(
            vertices, faces, connected(place[faces], int(place.max()) + 1)[place].astype(np.int64)
        )

    def large(self) -> list[NDArray[np.bool_]]:
        """(N,) masks of the pieces that could be a head, the largest first; none when there is one piece."""
        count = np.bincount(self.label)
        order = [int(item) for item in np.argsort(-count) if count[item] >= _SMALLEST][:_MOST]
        return [self.label == item for item in order] if (count > 0).sum() > 1 else []

    def part(self, mask: NDArray) -> NDArray:
        """(f, 3) the triangles of some vertices, (N,) bool."""
        return self.faces[mask[self.faces].all(axis=1)]

    def face_alone(self, placement: Placement, known: KnownPoints, points: NDArray) -> NDArray[np.bool_]:
        """(N,) the piece that most points of a face lie on, and what is shaped like eyeballs near it.

        Glasses, hair and helmets are left out.

        Args:
            placement: Of the mesh in the template's frame.
            known: Where the points are on the template.
            points: (K, 3) float, the mesh's unit. Where they were seen; NaN where they were not.
        """
        from scipy.spatial import cKDTree

        seen = points[np.isfinite(points).all(axis=1)]
        owner = self.label[cKDTree(self.vertices).query(seen)[1]]
        mask = self.label == np.bincount(owner).argmax()
        placed = placement.apply(self.vertices)
        near = np.linalg.norm(placed - known.center, axis=1) < _REACH_MM
        count = np.bincount(self.label)
        for item in np.flatnonzero(count >= _EYE_SMALLEST):
            members = self.label == item
            size = np.ptp(placed[members], axis=0)
            round_enough = size.max() < min(_EYE_MM, _EYE_ROUNDNESS * size.min())
            if near[members].all() and round_enough:
                mask |= members
        return mask
