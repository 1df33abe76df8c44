"""A person that no template knows, registered to a small template: with the known truth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from heads import Remesh, remeshed
from numpy.typing import NDArray

from mien.data.sources.procedural.person import ProceduralPerson
from mien.data.sources.procedural.topology import procedural_topology
from mien.geometry.hierarchy import decimate
from mien.geometry.registration import Registration, main_piece, register
from mien.topology import Topology


@lru_cache
def template() -> tuple[Topology, NDArray]:
    """A small template (700 vertices of skin, eyeballs and teeth), and which of the full one's they are."""
    found = decimate(procedural_topology(), 900)
    return found.topology, found.kept


@dataclass(frozen=True)
class Stranger:
    """A person that no template knows, as a head of a topology that no model knows.

    Args:
        neutral: (5203, 3) the person on the full procedural topology.
        remesh: Its skin, meshed in another way.
        vertices: (N, 3) millimeters.
    """

    neutral: NDArray
    remesh: Remesh
    vertices: NDArray
    person: ProceduralPerson

    @property
    def faces(self) -> NDArray:
        return self.remesh.faces

    def performed(self, **shapes: float) -> NDArray:
        """(5203, 3) the truth on the full topology."""
        return self.person.perform(shapes)


@lru_cache
def stranger() -> Stranger:
    full = procedural_topology()
    person = ProceduralPerson.draw(np.random.default_rng(5))
    kept, skin = main_piece(full)
    remesh = remeshed(skin, seed=1)
    remesh = replace(remesh, corners=kept[remesh.corners])
    return Stranger(person.neutral, remesh, remesh.of(person.neutral), person)


@lru_cache
def registered() -> Registration:
    return register(stranger().vertices, stranger().faces, template()[0])


def on_template(values: NDArray) -> NDArray:
    """(V, 3) of the small template, of values (5203, 3) on the full topology."""
    return values[template()[1]]
