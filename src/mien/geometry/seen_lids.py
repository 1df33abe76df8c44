"""Whether lids of a template end where those of a mesh do, as one sees them from the front.

Many heads go on inward behind their lids, as far as a socket, and neither end nor fold where a template does.
What can be compared there is the slit between the lids: that of the mesh, and that of the template on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.geometry.contact import imagined_ball
from mien.geometry.eyeballs import Ball, round_piece, sphere_radius
from mien.geometry.lids import Lids, find_lids
from mien.geometry.openings import Opening, openings
from mien.geometry.surface import Surface
from mien.topology import Topology

_OWN = 0.9  # widths of an eye between its middle and its eyeball's
_RADIUS = (0.25, 0.85)  # of an eyeball, over the width of the eye
_PLACES = 9  # along a slit where two of them are compared
_ORDINARY = 0.75  # of them: corners are where a sweep from the front sees least


@dataclass(frozen=True, eq=False)
class SeenEye:
    """An eye of a template and that of the mesh it lies on, as one sees them.

    Args:
        opening: The template's.
        mesh: The lids of the mesh.
        template: Those of the template.
    """

    opening: Opening
    mesh: Lids
    template: Lids

    def apart(self) -> float:
        """How far the slits differ, millimeters: all along but a quarter, on the worse side."""
        first = max(self.mesh.places[0], self.template.places[0])
        last = min(self.mesh.places[-1], self.template.places[-1])
        x = np.linspace(first, last, _PLACES)
        sides = [
            np.interp(x, self.template.places, here) - np.interp(x, self.mesh.places, there)
            for here, there in (
                (self.template.upper, self.mesh.upper), (self.template.lower, self.mesh.lower)
            )
        ]  # fmt: skip
        return float(max(np.quantile(np.abs(side), _ORDINARY) for side in sides))


def seen_eyes(
    bent: NDArray, topology: Topology, surface: Surface, others: Sequence[NDArray]
) -> list[SeenEye]:
    """The eyes that are seen open both on a mesh and on the template that lies on it.

    Args:
        bent: (V, 3) float, millimeters. The template's skin on the mesh.
        topology: Its topology.
        surface: The mesh's skin, in the template's frame.
        others: (n, 3) float, millimeters. Vertices of each piece of the mesh that is not skin.
    """
    found = []
    for opening in openings(topology):
        if opening.kind != "eye" or not len(opening.upper) or not len(opening.lower) or surface.is_scan:
            continue
        left, right = np.asarray(bent, np.float64)[list(opening.corners)]
        up = bent[opening.upper].mean(axis=0) - bent[opening.lower].mean(axis=0)
        ball = _eyeball(others, left, right) or imagined_ball(left, right, up)
        lids = [
            find_lids(points, faces, ball, left, right)
            for points, faces in ((surface.vertices, surface.faces), (bent, topology.faces))
        ]
        if lids[0] is not None and lids[1] is not None:
            found.append(SeenEye(opening, lids[0], lids[1]))
    return found


def _eyeball(others: Sequence[NDArray], left: NDArray, right: NDArray) -> Ball | None:
    """The eyeball behind two corners, of the pieces of a mesh."""
    middle, width = (left + right) / 2, float(np.linalg.norm(right - left))
    near = []
    for cloud in others:
        round_one = round_piece(cloud)
        if round_one is None or not _RADIUS[0] * width < round_one[1] < _RADIUS[1] * width:
            continue
        off = float(np.linalg.norm(round_one[0] - middle))
        if off < _OWN * width:
            near.append((off, round_one[0], cloud))
    if not near:
        return None
    _, center, cloud = min(near, key=lambda item: item[0])
    return Ball(center, sphere_radius(cloud, center), cloud - center)
