"""Whether lids of a template end where those of a mesh do, as one sees them from the front.

Many heads go on inward behind their lids, as far as a socket, and neither end nor fold where a template does.
What can be compared there is the slit between the lids: that of the mesh, and that of the template on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.geometry.contact import find_eyes
from mien.geometry.eyeballs import Ball
from mien.geometry.lids import Lids
from mien.geometry.openings import Opening, openings
from mien.geometry.piece_forms import FacePlan, eyeball_of
from mien.geometry.surface import Surface
from mien.topology import Topology

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
    if surface.is_scan:
        return []
    bent, plan = np.asarray(bent, np.float64), FacePlan.of(bent, topology)
    round_ones = ((cloud, eyeball_of(cloud, plan)) for cloud in others)
    balls = [Ball(ball[0], ball[1], cloud - ball[0]) for cloud, ball in round_ones if ball is not None]
    found = []
    for opening in openings(topology):
        mesh = find_eyes(surface.vertices, surface.faces, bent, [opening], balls)
        template = find_eyes(bent, topology.faces, bent, [opening], balls)
        if mesh and template:
            found.append(SeenEye(opening, mesh[0].lids, template[0].lids))
    return found
