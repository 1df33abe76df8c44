"""The square map is one-to-one, upright and fills the square; images of geometry give it back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meshes import cut, flat_grid, icosphere, ict_folder, mask, without

from mien.errors import BadMesh
from mien.geometry.parameterize import boundary_loops, geometry_image, parameterize, square_map
from mien.topology import Topology


def areas(uv: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (uv[faces[:, k]] for k in range(3))
    return ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2


def test_flat_square_maps_to_itself() -> None:
    """Positions are harmonic for cotangent weights, so a square must come back as it is."""
    vertices, faces = flat_grid(9, 9)
    inner = (vertices[:, :2] > 0).all(axis=1) & (vertices[:, :2] < 80).all(axis=1)
    vertices[inner, :2] += np.random.default_rng(0).uniform(-3, 3, size=(inner.sum(), 2))
    found = square_map(vertices, faces, np.zeros(81, int))
    assert found.weights == "cotangent" and found.flips == found.flat == 0 and found.loops == 1
    np.testing.assert_allclose(found.uv, vertices[:, :2] / 80, atol=1e-9)


def test_mask_with_eyes_slit_and_teeth() -> None:
    topology = mask()
    found = parameterize(topology)
    assert found.loops == 4 and found.flips == 0
    np.testing.assert_array_equal(found.inside, topology.components == topology.components[0])
    patch = topology.faces[found.inside[topology.faces[:, 0]]]
    twice = areas(found.uv, patch)
    assert (twice > 0).sum() == len(patch) - found.flat
    # Patch and holes together cover the square once: the holes are what is left, and the slit has opened.
    assert 0.8 < twice.sum() < 0.995
    x, y = topology.template[found.inside, :2].T
    assert np.corrcoef(found.uv[found.inside, 0], x)[0, 1] > 0.9
    assert np.corrcoef(found.uv[found.inside, 1], y)[0, 1] > 0.9
    again = parameterize(topology)
    np.testing.assert_array_equal(again.uv, found.uv)
    assert again.sentence == found.sentence and "4 boundary loops, 0 flipped" in found.sentence


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_rough_surfaces_never_stay_flipped(seed: int) -> None:
    """Long thin triangles flip with cotangent weights; the map that is returned has none."""
    generator = np.random.default_rng(seed)
    vertices, faces = flat_grid(12, 12)
    vertices += generator.normal(size=vertices.shape) * (8, 8, 25)
    faces = without(faces, flat_grid(12, 12)[0], (55.0, 65.0), 12.0)
    used = np.unique(faces)
    number = np.full(len(vertices), -1)
    number[used] = np.arange(len(used))
    found = square_map(vertices[used], number[faces], np.zeros(len(used), int))
    assert found.flips == 0
    assert (found.weights == "uniform") or found.cotangent_flips == 0


def test_some_rough_surface_makes_it_fall_back() -> None:
    kinds = set()
    for seed in range(8):
        vertices, faces = flat_grid(12, 12)
        vertices += np.random.default_rng(seed).normal(size=vertices.shape) * (8, 8, 25)
        found = square_map(vertices, faces, np.zeros(len(vertices), int))
        kinds.add((found.weights, found.cotangent_flips > 0))
    assert ("uniform", True) in kinds


def test_boundary_loops_of_holes_slits_and_touching_rims() -> None:
    vertices, faces = flat_grid(9, 9)
    assert [len(loop) for loop in boundary_loops(faces)] == [32]
    holed = faces[
        [k for k in range(len(faces)) if k // 2 not in (20, 29)]
    ]  # two quads that touch in a corner
    loops = sorted(boundary_loops(holed), key=len)
    assert [len(loop) for loop in loops] == [4, 4, 32]
    opened, split = cut(vertices, faces, np.arange(39, 43), faces.min(axis=1) >= 36)
    loops = sorted(boundary_loops(split), key=len)
    assert [len(loop) for loop in loops] == [10, 32]
    for loop in loops:
        following = {(int(a), int(b)) for face in split for a, b in zip(face, np.roll(face, -1))}
        assert all((int(a), int(b)) in following for a, b in zip(loop, np.roll(loop, -1)))


def test_closed_meshes_are_refused() -> None:
    vertices, faces = icosphere(1)
    with pytest.raises(BadMesh, match="closed mesh"):
        parameterize(Topology("ball", faces, vertices))
    with pytest.raises(BadMesh, match="too few vertices"):
        square_map(np.eye(3), np.array([[0, 1, 2]]), np.zeros(3, int))


@pytest.mark.parametrize("size", [16, 64])
def test_pixels_lie_in_their_triangles(size: int) -> None:
    topology = mask()
    found = parameterize(topology)
    patch = topology.faces[found.inside[topology.faces[:, 0]]]
    image = geometry_image(found.uv, patch, size)
    weights = image.weights.sum(axis=-1)
    np.testing.assert_allclose(weights[image.inside], 1, atol=1e-6)
    assert (image.weights[~image.inside] == 0).all() and image.weights.min() >= 0
    places = image.sample(found.uv)
    column, row = np.meshgrid((np.arange(size) + 0.5) / size, 1 - (np.arange(size) + 0.5) / size)
    expected = np.stack([column, row], axis=-1)
    np.testing.assert_allclose(places[image.inside], expected[image.inside], atol=1e-6)
    assert image.inside.mean() == pytest.approx(areas(found.uv, patch).sum(), abs=0.02)
    # A face in the picture stands upright: the top row is the forehead.
    picture = image.sample(topology.template)
    assert picture[1, size // 2, 1] > 60 and picture[-2, size // 2, 1] < -60
    batch = image.sample(np.stack([topology.template, topology.template + 1]))
    np.testing.assert_allclose(batch[1][image.inside] - batch[0][image.inside], 1, atol=1e-4)
    np.testing.assert_allclose(image.matrix() @ topology.template, picture.reshape(-1, 3), atol=1e-4)
    assert image.seen[found.inside].mean() > (0.3 if size == 16 else 0.99)


def test_a_large_image_gives_the_vertices_back() -> None:
    """Looking the picture up at a vertex's place gives the vertex, to the size of a pixel."""
    topology = mask()
    found = parameterize(topology)
    patch = topology.faces[found.inside[topology.faces[:, 0]]]
    size = 256
    image = geometry_image(found.uv, patch, size)
    inner = np.flatnonzero(found.inside & (found.uv > 0.02).all(axis=1) & (found.uv < 0.98).all(axis=1))
    column = np.clip((found.uv[inner, 0] * size).astype(int), 0, size - 1)
    row = np.clip(((1 - found.uv[inner, 1]) * size).astype(int), 0, size - 1)
    good = image.inside[row, column]
    assert good.mean() > 0.9
    error = np.linalg.norm(image.sample(topology.template)[row, column] - topology.template[inner], axis=1)[
        good
    ]
    assert np.median(error) < 0.5 and error.max() < 3


def test_ict_face_patch() -> None:
    """The known case: cotangent weights flip some of its triangles, uniform weights none."""
    from mien.io.mesh import read_mesh

    mesh = read_mesh(ict_folder() / "generic_neutral_mesh.obj")
    inside = (mesh.faces < 9409).all(axis=1)
    topology = Topology("ict-face", mesh.faces[inside], mesh.vertices[:9409] * 10)
    found = parameterize(topology)
    assert found.loops == 4 and found.flips == 0
    assert found.weights == "uniform" and 0 < found.cotangent_flips < 100
