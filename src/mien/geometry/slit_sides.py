"""Which side of lips and lids a place is on, told along a mesh and along a template registered to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import diags

from mien.geometry.differential import adjacency
from mien.geometry.openings import edge_lengths, openings, side_of
from mien.geometry.sparse_solver import factored
from mien.geometry.surface import Places, Surface
from mien.topology import Topology

_SURE_MM = 4.0  # a place is on one side of a slit if the other is so much farther along the surface
_STRAY = 4.0  # times as far from its neighbors' median as they are: what differs by more, and by more than
_STRAY_MM = 1.0  # this, was read on the wrong side
_STEPS = 3  # so often: where two strays are neighbors
_APART_MM = 2.5  # where both sides lie almost as near, as where lips touch, the nearer one says nothing


@dataclass(frozen=True, eq=False)
class Sides:
    """The two sides of a slit, of the template and of a mesh that it was registered to.

    Args:
        lead: (V,) float, millimeters along the template: how much nearer the upper side is, negative below.
        near: (V,) bool. What of the template lies around the slit.
        there: (M,) bool. What of the mesh does.
        here: (M,) float, millimeters. The lead of the closest place of the template.
        label: (M,) float from 1, the upper side, to -1. As told along the mesh itself.
    """

    lead: NDArray[np.float64]
    near: NDArray[np.bool_]
    there: NDArray[np.bool_]
    here: NDArray[np.float64]
    label: NDArray[np.float64]

    def triangles(self, faces: NDArray, sign: float) -> NDArray[np.bool_]:
        """(F,) which of the template's triangles (F, 3) are around the slit, above (1) or below (-1)."""
        return (sign * self.lead[faces] >= -1e-9).all(axis=1) & self.near[faces].any(axis=1)


def sides_of_slits(
    points: NDArray, faces: NDArray, moving: NDArray, registered: NDArray, topology: Topology,
    place: Places, told: NDArray | None = None,
) -> list[Sides]:  # fmt: skip
    """The sides of every slit of a template, and of the mesh that it was registered to.

    Args:
        points: (M, 3) float, millimeters. The mesh in the template's frame.
        faces: (F, 3) int. Its triangles.
        moving: (M,) bool. What of it moves with the face.
        registered: (V, 3) float, millimeters. The template on the mesh.
        topology: The template's.
        place: Where the mesh's M vertices lie on the template.
        told: (M,) bool. Whose place says on which side they are; None for all. The inside of a mouth lies
            next to either lip.
    """
    found = []
    for opening in openings(topology):
        upper, lower = side_of(topology, opening, registered)
        corners, weights = place.corners, place.weights
        near = np.minimum(upper, lower) < 0.45 * opening.width
        known = np.isfinite(upper) & np.isfinite(lower)
        lead = np.where(known, np.where(known, lower, 0) - np.where(known, upper, 0), 0.0)
        there = (weights * near[corners]).sum(axis=1) > 0.5
        there &= moving
        here = np.where(there, (weights * lead[corners]).sum(axis=1), 0.0)
        slit = Sides(lead, near, there, here, here)
        sides = [slit.triangles(topology.faces, sign) for sign in (1.0, -1.0)]
        sure = np.abs(here) > _SURE_MM if told is None else told & (np.abs(here) > _SURE_MM)
        if all(side.any() for side in sides):
            surfaces = [Surface(registered, topology.faces[side]) for side in sides]
            sure[sure] = _apart(points[sure], surfaces) > _APART_MM
        found.append(replace(slit, label=_spread(points, faces, there, here, sure)))
    return found


def _apart(points: NDArray, sides: list[Surface]) -> NDArray[np.float64]:
    """(n,) how much nearer one of two sides is to points (n, 3) than the other, whichever way they face."""
    anywhere = np.zeros(points.shape)
    first, second = (np.linalg.norm(side.located(points, anywhere).points - points, axis=1) for side in sides)
    return np.abs(first - second)


def _spread(
    points: NDArray, faces: NDArray, there: NDArray, seed: NDArray, known: NDArray
) -> NDArray[np.float64]:
    """(M,) labels spread from sure places over the mesh, so that a slit of the mesh keeps them apart."""
    graph = edge_lengths(faces, points)
    graph.data = 1 / graph.data
    near = np.flatnonzero(there)
    sure = known[near]
    if not sure.any():
        return seed
    weights = graph[near][:, near]
    laplacian = diags(np.asarray(weights.sum(axis=1)).ravel()) - weights
    system = laplacian + diags(np.where(sure, 1e3, 1e-6))
    right = np.where(sure, 1e3 * np.sign(seed[near]), 1e-6 * np.sign(seed[near]))
    result = np.zeros(len(points))
    result[near] = factored(system).solve(right)
    return result


def without_strays(moved: NDArray, faces: NDArray, slits: Sequence[Sides]) -> NDArray[np.float64]:
    """Movements of a template of which none at lips and lids differs much from all of its own side around it.

    Inside lips that touch, closest places now and then lie on the other lip; such a vertex takes the median
    movement of its neighbors, and theirs, on its own side.

    Args:
        moved: (..., V, 3) float, millimeters.
        faces: (F, 3) int. Of the template.
        slits: Of the template.

    Returns:
        (..., V, 3) float64, millimeters.
    """
    result = np.array(moved, np.float64)
    flat = result.reshape(-1, *result.shape[-2:])
    graph = adjacency(faces, flat.shape[1])
    for slit in slits:
        side = np.where(slit.near, np.sign(slit.lead), 0)
        rows = np.flatnonzero(side)
        ring = graph[rows]
        ring = (ring + ring @ graph).tocsr()
        around = [
            found[side[found] == side[row]]
            for row, found in zip(rows, np.split(ring.indices, ring.indptr[1:-1]))
        ]
        count = np.array([len(found) for found in around])
        # All rows with as many neighbors at once: medians of ragged lists take a second.
        alike = [(row, np.stack([around[k] for k in row])) for row in map(np.flatnonzero, _each(count))]
        for _ in range(_STEPS):
            changed = [(rows[row], *_strays(flat, rows[row], near)) for row, near in alike]
            if not any(stray.any() for _, stray, _ in changed):
                break
            for row, stray, middle in changed:
                flat[:, row] = np.where(stray[..., None], middle, flat[:, row])
    return result


def _each(values: NDArray) -> list[NDArray[np.bool_]]:
    """For each distinct value where it stands."""
    return [values == value for value in np.unique(values)]


def _strays(moved: NDArray, rows: NDArray, around: NDArray) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which of vertices (n,) in movements (B, V, 3) differ from those around them (n, k) as strays do.

    Returns:
        (B, n) bool, and (B, n, 3) the median movement around each.
    """
    near = moved[:, around]
    middle = np.median(near, axis=2)
    usual = np.median(np.linalg.norm(near - middle[:, :, None], axis=3), axis=2)
    off = np.linalg.norm(moved[:, rows] - middle, axis=2)
    return off > np.maximum(_STRAY_MM, _STRAY * usual), middle
