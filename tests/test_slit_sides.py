"""Lips that touch are told apart along the mesh, and what was read on the other lip is mended."""

from __future__ import annotations

import numpy as np
import pytest

from mien.data.sources.procedural.topology import procedural_topology
from mien.geometry.openings import openings
from mien.geometry.slit_sides import Sides, sides_of_slits, without_strays
from mien.geometry.surface import Surface
from mien.topology import Topology


@pytest.fixture(scope="module")
def template() -> Topology:
    return procedural_topology()


def mouth_of(topology: Topology, points: np.ndarray) -> Sides:
    """The sides of the mouth of a template, and of a mesh that has its triangles."""
    assert openings(topology)[0].kind == "mouth"
    rest = topology.template.astype(np.float64)
    place = Surface(rest, topology.faces.astype(np.int64)).located(points, np.zeros(points.shape))
    moving = np.ones(len(points), bool)
    return sides_of_slits(points, topology.faces, moving, rest, topology, place)[0]


def test_lips_that_lie_on_the_wrong_side_are_told_along_the_mesh(template: Topology) -> None:
    """A mesh whose lips overlap by a millimeter: closest places of its lower lip lie on the upper one."""
    mouth = openings(template)[0]
    points = template.template.astype(np.float64)
    points[mouth.lower, 1] += 1.5
    sides = mouth_of(template, points)
    assert (sides.here[mouth.lower] > 2).sum() >= 3  # so it is worth asking
    middle = np.abs(points[mouth.lower, 0] - mouth.center[0]) < 0.3 * mouth.width
    assert (sides.label[mouth.lower][middle] < -0.5).all()
    assert (sides.label[mouth.upper] > -0.2).all()


def test_strays_take_the_movement_of_their_own_side(template: Topology) -> None:
    mouth = mouth_of(template, template.template.astype(np.float64))
    lower = np.where(mouth.near, mouth.lead, 0.0) < 0
    moved = np.zeros((2, *template.template.shape))
    moved[0, lower, 1] = -20.0
    moved[1, :, 2] = 3.0
    clean = moved.copy()
    strays = [openings(template)[0].lower[k] for k in (0, 2)]
    moved[0, strays] = 0.0
    found = without_strays(moved, template.faces, [mouth])
    np.testing.assert_array_equal(found, clean)
    assert (moved[0, strays] == 0).all()  # what was given is left alone
