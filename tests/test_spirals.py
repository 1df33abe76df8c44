"""Spirals: center first, ring by ring, one turn, and the same for a shuffled mesh."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meshes import flat_grid, icosphere, mask, random_rotation
from scipy.sparse.csgraph import shortest_path

from mien.errors import BadSetting
from mien.geometry.differential import adjacency
from mien.geometry.spirals import spiral_indices, spirals
from mien.topology import Landmarks, Topology


def hops(faces: np.ndarray, count: int) -> np.ndarray:
    """(V, V) number of edges between vertices."""
    return shortest_path(adjacency(faces, count), unweighted=True)


@pytest.mark.parametrize("dilation", [1, 2])
def test_rings_come_one_after_the_other(dilation: int) -> None:
    topology = mask()
    rows = spirals(topology, length=9, dilation=dilation)
    assert rows.shape == (topology.vertex_count, 9)
    np.testing.assert_array_equal(rows[:, 0], np.arange(topology.vertex_count))
    distance = hops(topology.faces, topology.vertex_count)[np.arange(len(rows))[:, None], rows]
    assert (np.diff(distance, axis=1) >= 0).all()  # also: the padding, distance 0, never occurs here
    assert distance.max() <= (3 if dilation == 1 else 5)
    assert all(len(set(row)) == 9 for row in rows.tolist())
    if dilation == 2:
        np.testing.assert_array_equal(rows, spirals(topology, length=17)[:, ::2])


def test_a_ring_is_a_closed_turn_counterclockwise() -> None:
    vertices, faces = flat_grid(9, 9)
    rows = spiral_indices(vertices, faces, length=19)
    center = 40
    ring, second = rows[center, 1:7], rows[center, 7:19]
    near = adjacency(faces, len(vertices))
    assert all(near[a, b] for a, b in zip(ring, np.roll(ring, -1)))
    assert all(near[a, b] for a, b in zip(second, second[1:]))
    for part in (ring, second):
        offset = vertices[part] - vertices[center]
        turn = np.diff(np.unwrap(np.arctan2(offset[:, 1], offset[:, 0])))
        assert (turn > 0).all() and turn.sum() < 2 * np.pi


def test_first_neighbor_leads_to_the_nose_in_each_component() -> None:
    topology = mask()
    first = spirals(topology, length=2)[:, 1]
    tip = topology.template[topology.template[:, 2].argmax()]
    for component in (0, 1):
        inside = np.flatnonzero(topology.components == component)
        reference = inside[((topology.template[inside] - tip) ** 2).sum(axis=1).argmin()]
        for start in inside[:: max(1, len(inside) // 40)]:
            at, steps = start, 0
            while at != reference and steps < topology.vertex_count:
                at, steps = first[at], steps + 1
            assert at == reference
    marked = Topology(
        "t", topology.faces, topology.template, landmarks=Landmarks.at_vertices({"nose_tip": 30})
    )
    at = 500
    for _ in range(topology.vertex_count):
        at = spirals(marked, length=2)[at, 1] if at != 30 else at
    assert at == 30


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from(["mask", "sphere", "grid"]))
def test_shuffled_meshes_have_the_same_spirals(seed: int, kind: str) -> None:
    """Vertices, faces and corners in another order; closed lips and symmetric ties included."""
    generator = np.random.default_rng(seed)
    if kind == "mask":
        vertices, faces = mask(17, 21).template.astype(float), mask(17, 21).faces
    else:
        vertices, faces = icosphere(2) if kind == "sphere" else flat_grid(8, 7)
    rows = spiral_indices(vertices, faces, length=12)
    order = generator.permutation(len(vertices))  # new number -> old number
    number = np.argsort(order)
    shuffled = number[faces][generator.permutation(len(faces))]
    shuffled = np.stack([np.roll(face, generator.integers(3)) for face in shuffled])
    again = spiral_indices(vertices[order], shuffled, length=12)
    np.testing.assert_array_equal(order[again], rows[order])


def test_spirals_turn_with_the_mesh() -> None:
    vertices, faces = icosphere(3)
    vertices = vertices + np.random.default_rng(0).normal(size=vertices.shape)
    tip = vertices[vertices[:, 2].argmax()]
    rotation = random_rotation(np.random.default_rng(1))
    one = spiral_indices(vertices, faces, length=9, tip=tip)
    two = spiral_indices(vertices @ rotation.T, faces, length=9, tip=rotation @ tip)
    assert (one == two).mean() > 0.999


def test_small_components_and_ring_limits_are_padded_with_the_vertex() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5]], float)
    rows = spiral_indices(vertices, np.array([[0, 1, 2]]), length=6)
    assert rows[0].tolist()[3:] == [0, 0, 0] and set(rows[0][:3]) == {0, 1, 2}
    assert rows[3].tolist() == [3] * 6
    grid, faces = flat_grid(9, 9)
    limited = spiral_indices(grid, faces, length=12, rings=1)
    assert set(limited[40, 7:]) == {40} and len(set(limited[40])) == 7
    with pytest.raises(BadSetting, match="at least 1"):
        spiral_indices(vertices, faces, length=0)


def test_touching_parts_and_flat_faces_do_no_harm() -> None:
    """Two triangles that share one vertex only, and a face with a repeated corner."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [-1, 0, 0], [-1, -1, 0]], float)
    rows = spiral_indices(vertices, np.array([[0, 1, 2], [0, 3, 4], [1, 1, 2]]), length=5)
    assert set(rows[0]) == {0, 1, 2, 3, 4}


def test_five_thousand_vertices_take_about_a_second() -> None:
    vertices, faces = flat_grid(71, 71)
    start = time.process_time()
    spiral_indices(vertices, faces, length=9, dilation=2)
    assert time.process_time() - start < 4  # measured: 0.5 s; the machine may be busy
