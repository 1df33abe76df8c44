"""Meshes to images and gradients back: exact where it can be, and honest about what it does not see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fixtures import tiny_topology
from meshes import flat_grid, mask

from mien.geometry.parameterize import geometry_image, parameterize
from mien.models.files import put_state
from mien.nn.geometry_image import GeometryMapping
from mien.topology import Topology


def grid(count: int) -> Topology:
    """A square whose vertices lie on pixel centers and pixel corners of a (count - 1) / 2 image."""
    vertices, faces = flat_grid(count, count)
    return Topology("grid", faces, vertices)


def faces(topology: Topology, count: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(count, *topology.template.shape, generator=generator, dtype=dtype)
    return torch.from_numpy(topology.template).to(dtype) + 3 * noise


@pytest.mark.parametrize("size", [4, 8, 16])
def test_pixels_that_lie_on_vertices_show_them_exactly(size: int) -> None:
    topology = grid(2 * size + 1)
    mapping, vertices = GeometryMapping(topology, size), faces(topology, 2)
    image = mapping(vertices)
    assert image.shape == (2, 3, size, size)
    # Vertex (row r, column c) lies at u = c / 2 size: odd ones are centers of pixels; the top row is +Y.
    index = np.arange((2 * size + 1) ** 2).reshape(2 * size + 1, -1)
    square = parameterize(topology).uv
    order = index[1::2, 1::2]
    order = order if square[order[0, 0], 1] > square[order[-1, 0], 1] else order[::-1]
    expected = vertices[:, torch.from_numpy(order.copy())].permute(0, 3, 1, 2)
    torch.testing.assert_close(image, expected, atol=1e-4, rtol=0)


def test_it_is_the_sampling_of_the_parameterization() -> None:
    topology = mask()
    square = parameterize(topology)
    patch = topology.faces[square.inside[topology.faces].all(axis=1)]
    for size in (16, 48):
        mapping, vertices = GeometryMapping(topology, size), faces(topology, 3)
        image = geometry_image(square.uv, patch, size)
        expected = image.sample(vertices.numpy()).transpose(0, 3, 1, 2)
        np.testing.assert_allclose(mapping(vertices).numpy(), expected, atol=1e-4)
        np.testing.assert_array_equal(mapping.seen, image.seen)
        assert mapping.unseen == (square.inside & ~image.seen).sum()
    assert f"{mapping.unseen} of {square.inside.sum()} vertices" in mapping.sentence


@pytest.mark.parametrize("options", [{}, {"samples": 2}, {"cover": True}, {"samples": 3, "cover": True}])
def test_gradients_are_those_of_a_linear_map(options: dict) -> None:
    topology = tiny_topology()
    mapping, vertices = GeometryMapping(topology, 16, **options), faces(topology, 2, torch.float64)
    vertices.requires_grad_(True)
    assert torch.autograd.gradcheck(mapping, vertices[:1, :, :1], eps=1e-4, atol=1e-4)
    (gradient,) = torch.autograd.grad((mapping(vertices) * 2).sum(), vertices)
    matrix = torch.zeros(256, topology.vertex_count, dtype=torch.float64)
    matrix.index_put_((mapping.pixels.long(), mapping.vertices.long()), mapping.weights.double())
    torch.testing.assert_close(gradient, (2 * matrix.sum(0))[None, :, None].expand(2, -1, 3))
    rows = matrix.sum(1)
    assert (((rows - 1).abs() < 1e-6) | (rows == 0)).all()  # a shift of the face shifts every pixel as much
    shifted = mapping(vertices + 5) - mapping(vertices)
    torch.testing.assert_close(shifted[0, 0].flatten(), 5 * rows, atol=1e-6, rtol=0)


def test_a_coarse_image_misses_vertices_unless_asked_to_cover_them() -> None:
    topology = mask()
    plain, covering = GeometryMapping(topology, 16), GeometryMapping(topology, 16, cover=True)
    assert plain.unseen > 50 and covering.unseen == 0
    assert GeometryMapping(topology, 16, samples=4).unseen < plain.unseen / 2
    for mapping in (plain, covering):
        vertices = faces(topology, 1).requires_grad_(True)
        weight = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)) + 0.1
        (gradient,) = torch.autograd.grad((mapping(vertices) * weight).sum(), vertices)
        moved = gradient[0].abs().sum(1) > 0
        np.testing.assert_array_equal(moved.numpy(), mapping.seen)
    # The average still shows the surface: near the plain picture, within about a pixel's extent.
    template = torch.from_numpy(topology.template)[None]
    difference = (covering(template) - plain(template)).norm(dim=1)
    assert float(difference.median()) < 3


def test_other_components_and_holes_are_left_out() -> None:
    topology = tiny_topology()
    mapping = GeometryMapping(topology, 16, cover=True)
    assert not mapping.seen[100:].any() and mapping.seen[:100].all()  # the teeth lie behind the mask
    assert "20 vertices of other parts are left out" in mapping.sentence
    holed = GeometryMapping(mask(), 48)
    empty = holed(torch.from_numpy(mask().template)[None] + 500)[0].abs().sum(0) == 0
    assert 0.005 < empty.float().mean() < 0.2


def test_it_travels_with_a_checkpoint_and_runs_in_half_precision() -> None:
    topology = tiny_topology()
    mapping, other = GeometryMapping(topology, 5), GeometryMapping(topology, 5, cover=True)
    vertices = faces(topology, 2)
    torch.testing.assert_close(mapping(vertices.bfloat16()), mapping(vertices), atol=1.0, rtol=0)
    assert not torch.allclose(other(vertices), mapping(vertices), atol=0.1)
    expected = other(vertices)
    put_state(mapping, other.state_dict())
    torch.testing.assert_close(mapping(vertices), expected)
