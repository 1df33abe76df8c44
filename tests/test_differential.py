"""Normals, Laplacians and deformation gradients against what geometry says they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meshes import flat_grid, icosphere, mask, random_rotation
from scipy.sparse import diags

from mien.errors import MissingPackage, WrongTopology
from mien.geometry.differential import (
    adjacency,
    cotangent_laplacian,
    face_areas,
    laplacian,
    to_torch,
    uniform_laplacian,
    vertex_areas,
    vertex_normals,
)
from mien.geometry.gradients import DeformationSolver, deformation_gradients
from mien.geometry.sparse_solver import factored
from mien.topology import Topology

SEEDS = st.integers(0, 2**31)


def rim(faces: np.ndarray, count: int) -> np.ndarray:
    """(V,) whether a vertex is on a boundary."""
    edges, counts = np.unique(
        np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1),
        axis=0, return_counts=True,
    )  # fmt: skip
    found = np.zeros(count, bool)
    found[edges[counts == 1]] = True
    return found


def random_triangulation(seed: int, count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """A Delaunay triangulation of random points of the plane."""
    from scipy.spatial import Delaunay

    points = np.random.default_rng(seed).random((count, 2)) * 100
    triangulation = Delaunay(points)
    triangles = triangulation.simplices
    flipped = np.cross(points[triangles[:, 1]] - points[triangles[:, 0]],
                       points[triangles[:, 2]] - points[triangles[:, 0]]) < 0  # fmt: skip
    triangles[flipped] = triangles[flipped][:, ::-1]
    return np.column_stack([points, np.zeros(count)]), triangles.astype(np.int32)


def test_areas_sum_to_the_surface() -> None:
    corners = np.array([[0, 0, 0], [2, 0, 0], [2, 2, 0], [0, 2, 0]], float)
    areas = vertex_areas(corners, np.array([[0, 1, 2], [0, 2, 3]]))
    assert areas.sum() == pytest.approx(4.0) and areas[0] == pytest.approx(4 / 3)


def test_sphere_normals_areas_and_curvature() -> None:
    vertices, faces = icosphere(4, radius=50.0)
    radial = vertices / 50
    assert (vertex_normals(vertices, faces) * radial).sum(axis=1).min() > 0.999
    assert face_areas(vertices, faces).sum() == pytest.approx(4 * np.pi * 50**2, rel=0.01)
    assert vertex_areas(vertices, faces).sum() == pytest.approx(face_areas(vertices, faces).sum())
    # The Laplacian of position is mean curvature times normal: 2 / radius on a sphere.
    mean_curvature = cotangent_laplacian(vertices, faces) @ vertices / vertex_areas(vertices, faces)[:, None]
    right = np.isclose(np.linalg.norm(mean_curvature, axis=1), 2 / 50, rtol=0.05)
    assert right.mean() > 0.99  # all but the six corners of the octahedron, whose neighborhoods are lopsided


def test_batched_normals_and_vertices_without_area() -> None:
    vertices, faces = flat_grid()
    vertices = np.concatenate([vertices, [[500.0, 0, 0]]])
    normals = vertex_normals(np.stack([vertices, vertices @ np.diag([1.0, 1, -1])]), faces)
    np.testing.assert_allclose(normals, np.broadcast_to([0.0, 0, 1], normals.shape))


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_laplacian_of_planar_coordinates_is_zero_inside(seed: int) -> None:
    vertices, faces = random_triangulation(seed)
    matrix = cotangent_laplacian(vertices, faces)
    inside = ~rim(faces, len(vertices))
    np.testing.assert_allclose((matrix @ vertices)[inside], 0, atol=1e-9 * max(1.0, abs(matrix).max() * 100))
    np.testing.assert_allclose(matrix @ np.ones(len(vertices)), 0, atol=1e-9 * max(1.0, abs(matrix).max()))
    assert abs(matrix - matrix.T).max() <= 1e-9 * abs(matrix).max()
    smallest = np.linalg.eigvalsh(matrix.toarray())
    assert smallest[0] > -1e-9 * smallest[-1]


def test_uniform_laplacian_is_vertex_minus_mean_of_neighbors() -> None:
    topology = mask()
    matrix = uniform_laplacian(topology.faces, topology.vertex_count)
    near = adjacency(topology.faces, topology.vertex_count).toarray() > 0
    expected = topology.template - np.stack([topology.template[row].mean(axis=0) for row in near])
    np.testing.assert_allclose(matrix @ topology.template, expected, atol=1e-4)
    cached = laplacian(topology, "uniform")
    assert abs(cached - matrix).max() == 0
    values = np.random.default_rng(0).normal(size=(topology.vertex_count, 3)).astype(np.float32)
    import torch

    np.testing.assert_allclose(to_torch(cached) @ torch.from_numpy(values), matrix @ values, atol=1e-5)


def test_regular_grid_has_zero_uniform_laplacian_inside() -> None:
    vertices, faces = flat_grid(8, 8)
    inside = ~rim(faces, len(vertices))
    np.testing.assert_allclose((uniform_laplacian(faces, len(vertices)) @ vertices)[inside], 0, atol=1e-12)


def test_holes_components_and_lone_vertices_do_no_harm() -> None:
    topology = mask()
    assert topology.components.max() == 1
    matrix = laplacian(topology, "cotangent")
    kernel = np.linalg.eigvalsh(matrix.toarray())[:3]
    assert abs(kernel[1]) < 1e-6 < kernel[2]  # one constant per component
    vertices, faces = flat_grid(4, 4)
    alone = np.concatenate([vertices, [[0, 0, 9.0]]])
    flat = np.concatenate([faces, [[0, 0, 1], [0, 1, 2]]])  # a triangle of two points and one without area
    for matrix in (cotangent_laplacian(alone, flat), uniform_laplacian(flat, len(alone))):
        assert np.isfinite(matrix.data).all()
        assert abs(matrix[len(vertices)]).sum() == 0


def test_robust_laplacian_has_no_negative_weights() -> None:
    pytest.importorskip("robust_laplacian")
    vertices = np.array([[0, 0, 0], [10, 0, 0], [5, 0.5, 0], [5, -0.5, 0]], float)
    faces = np.array([[0, 1, 2], [1, 0, 3]])
    plain, robust = cotangent_laplacian(vertices, faces), cotangent_laplacian(vertices, faces, robust=True)
    off = ~np.eye(4, dtype=bool)
    assert plain.toarray()[off].max() > 0.1
    assert robust.toarray()[off].max() < 1e-9


def test_robust_laplacian_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "robust_laplacian", None)
    with pytest.raises(MissingPackage, match=r"mien\[geometry\]"):
        cotangent_laplacian(*flat_grid(), robust=True)


@settings(max_examples=25, deadline=None)
@given(SEEDS)
def test_gradients_of_an_affine_map_are_its_matrix(seed: int) -> None:
    """In the triangle's plane any affine map; along the normal what the fourth vertex says."""
    generator = np.random.default_rng(seed)
    topology = mask()
    rotation, scale = random_rotation(generator), generator.uniform(0.5, 2)
    gradients = deformation_gradients(
        topology.template, scale * topology.template @ rotation.T, topology.faces
    )
    plain = np.broadcast_to(rotation, gradients.shape).copy()
    # v4 = v1 + n / sqrt|n| scales like a length, so a similarity comes back whole.
    np.testing.assert_allclose(gradients, scale * plain, atol=1e-4)
    matrix = generator.normal(size=(3, 3))
    template = topology.template.astype(np.float64)
    sheared = deformation_gradients(template, np.stack([template @ matrix.T + 7] * 2), topology.faces)
    edges = template[topology.faces[:, 1:]] - template[topology.faces[:, :1]]
    np.testing.assert_allclose(
        np.einsum("bfij,fkj->bfki", sheared, edges), np.stack([edges @ matrix.T] * 2), atol=1e-6
    )


def test_flat_triangles_have_the_identity_as_gradient() -> None:
    vertices, faces = flat_grid(4, 4)
    faces = np.concatenate([faces, [[0, 1, 2], [5, 5, 6]]])
    gradients = deformation_gradients(vertices, vertices * 2, faces)
    np.testing.assert_allclose(gradients[:-2], np.broadcast_to(2 * np.eye(3), (18, 3, 3)), atol=1e-12)
    np.testing.assert_array_equal(gradients[-2:], np.broadcast_to(np.eye(3), (2, 3, 3)))
    solver = DeformationSolver(vertices, faces, np.zeros(len(vertices), int))
    np.testing.assert_allclose(solver.solve(gradients), vertices * 2 - vertices.mean(axis=0), atol=1e-9)


def test_identity_gradients_return_the_rest_pose() -> None:
    topology = mask()
    solver = DeformationSolver(topology.template, topology.faces, topology.components)
    still = np.broadcast_to(np.eye(3), (topology.face_count, 3, 3))
    np.testing.assert_allclose(solver.solve(still), topology.template, atol=1e-6)


def test_own_gradients_return_the_deformed_face_and_pins_place_each_component() -> None:
    topology = mask()
    generator = np.random.default_rng(0)
    wave = 6 * np.sin(topology.template @ (0.05 * generator.normal(size=(2, 3, 3))))
    deformed = topology.template + wave
    deformed[:, topology.components == 1] += (0, -30, 0)  # the teeth go down with the jaw
    gradients = deformation_gradients(topology.template, deformed, topology.faces)
    solver = DeformationSolver(topology.template, topology.faces, topology.components)
    np.testing.assert_allclose(solver.solve(gradients, deformed), deformed, atol=1e-6)
    anchors = np.zeros(topology.vertex_count, bool)
    anchors[:5] = True  # on the mask only: the teeth then follow their own mean
    pinned = DeformationSolver(topology.template, topology.faces, topology.components, anchors)
    np.testing.assert_allclose(pinned.solve(gradients, deformed), deformed, atol=1e-6)
    at_rest = pinned.solve(gradients)
    np.testing.assert_allclose(
        at_rest[:, :5].mean(axis=1), np.stack([topology.template[:5].mean(axis=0)] * 2), atol=1e-6
    )
    with pytest.raises(WrongTopology, match="gradients need shape"):
        solver.solve(gradients[:, 1:])


def test_solver_equals_the_published_system_with_fourth_vertices() -> None:
    """Sumner and Popovic's unknowns are V + F vertices; ours, V, must have the same minimum."""
    vertices, faces = flat_grid(5, 4)
    generator = np.random.default_rng(0)
    vertices = vertices + generator.normal(size=vertices.shape)
    gradients = np.eye(3) + 0.3 * generator.normal(size=(len(faces), 3, 3))
    count, total = len(vertices), len(vertices) + len(faces)
    normal = np.cross(
        vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]]
    )
    fourth = normal / np.sqrt(np.linalg.norm(normal, axis=1))[:, None]
    rows, right = [], []
    for t, (a, b, c) in enumerate(faces):
        frame = np.stack([vertices[b] - vertices[a], vertices[c] - vertices[a], fourth[t]], axis=1)
        inverse = np.linalg.inv(frame)
        for k in range(3):
            row = np.zeros(total)
            row[[b, c, count + t]] = inverse[:, k]
            row[a] -= inverse[:, k].sum()
            rows.append(row)
            right.append(gradients[t, :, k])
    dense = np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)[0][:count]
    solved = DeformationSolver(vertices, faces, np.zeros(count, int)).solve(gradients)
    np.testing.assert_allclose(solved - solved.mean(axis=0), dense - dense.mean(axis=0), atol=1e-8)


def test_transfer_to_another_person_moves_the_same_places() -> None:
    """A jaw-like bend taken to a face that is 1.2 times as large bends it 1.2 times as far."""
    topology = mask()
    bent = topology.template + np.exp(-(((topology.template[:, [1]] + 60) / 30) ** 2)) * (0, -8, -3)
    larger = topology.template * 1.2
    gradients = deformation_gradients(topology.template, bent, topology.faces)
    solver = DeformationSolver(larger, topology.faces, topology.components)
    np.testing.assert_allclose(solver.solve(gradients, bent * 1.2), bent * 1.2, atol=1e-4)


def test_topology_type_is_what_the_solver_needs() -> None:
    assert Topology("t", flat_grid()[1], flat_grid()[0]).components.tolist() == [0] * 63


def test_thin_triangles_neither_fill_the_factors_nor_weigh_without_end() -> None:
    vertices, faces = flat_grid(40, 40)
    vertices[:, 0] += 0.3 * vertices[:, 1]  # without right angles, whose cotangents are zero
    thin = vertices.copy()
    inner = np.flatnonzero(~rim(faces, len(vertices)))[::7]
    thin[inner] = thin[inner + 1] + 1e-6 * (thin[inner] - thin[inner + 1])  # almost on their neighbors
    sizes = []
    for points in (vertices, thin):
        stiff = cotangent_laplacian(points, faces)
        system = (stiff.T @ stiff + diags(np.ones(len(points)))).tocsr()
        found = factored(system)
        wanted = np.random.default_rng(0).normal(size=(len(points), 3))
        assert (
            np.abs(system @ found.solve(system @ wanted) - system @ wanted).max() < 1e-6 * abs(system).max()
        )
        sizes.append(found.L.nnz)
    assert sizes[1] <= 1.01 * sizes[0]
    heavy = cotangent_laplacian(thin, faces)
    light = cotangent_laplacian(thin, faces, smallest_sine=0.02)
    assert abs(heavy).max() > 1e4 > 300 > abs(light).max()
    assert np.abs(light @ np.ones(len(thin))).max() < 1e-9
    np.testing.assert_array_equal(
        cotangent_laplacian(vertices, faces, smallest_sine=0.02).toarray(),
        cotangent_laplacian(vertices, faces).toarray(),
    )
