"""Rims of lids and lips that a mesh shares with a template: where both end, they belong together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.geometry.openings import Opening, opening_of_loop, openings, rim_loops
from mien.geometry.surface import Surface
from mien.topology import Topology

_NEAR = 0.6  # widths of an opening between its center and that of its counterpart
_DEPTH = 0.35  # widths that the counterpart may lie deeper: farther in it is the end of a pocket
_SIZE = (0.5, 1.8)  # the counterpart's width over the opening's


@dataclass(frozen=True, eq=False)
class Rim:
    """One side of an opening of a template, and the line on the mesh that it belongs to.

    Args:
        members: (n,) vertices of the template.
        line: (p, 3) float, millimeters. Points of the mesh's rim in order, from corner to corner.
        length: Of the template's rim, millimeters a vertex.
    """

    members: NDArray[np.int64]
    line: NDArray[np.float64]
    length: float

    def targets(self, points: NDArray) -> NDArray[np.float64]:
        """(n, 3) the places of the line that lie closest to (n, 3) points."""
        if len(self.line) == 1:
            return np.broadcast_to(self.line, points.shape)
        start, along = self.line[:-1], np.diff(self.line, axis=0)
        share = ((points[:, None] - start) * along).sum(axis=2) / np.maximum((along**2).sum(axis=1), 1e-12)
        places = start + np.clip(share, 0, 1)[..., None] * along
        nearest = ((places - points[:, None]) ** 2).sum(axis=2).argmin(axis=1)
        return places[np.arange(len(points)), nearest]


def shared_rims(topology: Topology, surface: Surface) -> list[Rim]:
    """Upper side, lower side and corners of each opening that a mesh has as well.

    Closest points say little where a surface ends: a lid that is open wider than the template's, or that is
    rolled in, attracts the template's lid to its outside. But where both surfaces end at an opening, the ends
    belong together, side to side. A mesh that goes on inward behind lids or lips has no such rim; what ends
    far behind them is the back of a pocket.

    Args:
        topology: The template's.
        surface: The mesh, with the template placed on it.
    """
    own = [opening for opening in openings(topology) if opening.is_open]
    if not own or surface.is_scan:
        return []
    loops = [loop for loop in rim_loops(surface.faces, len(surface.vertices)) if len(loop) >= 6]
    there = [opening_of_loop("hole", loop, surface.vertices) for loop in loops]
    found: list[Rim] = []
    for opening in own:
        fitting = [other for other in there if _belongs(opening, other)]
        if fitting:
            nearest = min(fitting, key=lambda other: float(np.linalg.norm(other.center - opening.center)))
            around = topology.template[opening.outline].astype(np.float64)
            length = np.linalg.norm(around - np.roll(around, 1, axis=0), axis=1).mean()
            found += _pairs(opening, nearest, surface.vertices, float(length))
    return found


def _belongs(opening: Opening, other: Opening) -> bool:
    """Whether a rim of the mesh can be the counterpart of an opening of the template."""
    offset = (other.center - opening.center) / opening.width
    size = other.width / opening.width
    return bool(np.linalg.norm(offset) < _NEAR and abs(offset[2]) < _DEPTH and _SIZE[0] < size < _SIZE[1])


def _pairs(opening: Opening, other: Opening, vertices: NDArray, length: float) -> list[Rim]:
    """The upper and the lower side with their lines, and the two corners with theirs."""
    left, right = other.corners
    pairs = [
        Rim(members, vertices[_in_order(side, left, right, vertices)], length)
        for members, side in ((opening.upper, other.upper), (opening.lower, other.lower))
        if len(members) and len(side)
    ]
    corners = zip(opening.corners, (left, right), strict=True)
    return pairs + [Rim(np.array([mine]), vertices[[theirs]], length) for mine, theirs in corners]


def _in_order(side: NDArray, left: int, right: int, vertices: NDArray) -> NDArray[np.int64]:
    """A side with both corners, from the left one to the right one."""
    ends = np.linalg.norm(vertices[side[[0, -1]]] - vertices[left], axis=1)
    ordered = side if ends[0] <= ends[1] else side[::-1]
    return np.concatenate([[left], ordered, [right]])
