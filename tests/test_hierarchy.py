"""Decimation selects vertices, keeps rims and places, and its way back keeps affine functions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meshes import flat_grid, icosphere, ict_folder, mask, quad_topology

from mien.errors import BadSetting
from mien.geometry.closest import closest_on_triangles
from mien.geometry.collapse import EdgeCollapse
from mien.geometry.differential import face_areas, face_normals
from mien.geometry.hierarchy import decimate, hierarchy
from mien.topology import Landmarks, Topology


def rims(faces: np.ndarray) -> list[set[int]]:
    """The vertex sets of the boundary loops."""
    directed = {(int(a), int(b)) for face in faces for a, b in zip(face, np.roll(face, -1))}
    following = {a: b for a, b in directed if (b, a) not in directed}
    loops = []
    while following:
        start, at = next(iter(following.items()))
        loop = {start}
        del following[start]
        while at != start:
            loop.add(at)
            at = following.pop(at)
        loops.append(loop)
    return loops


def euler(faces: np.ndarray) -> int:
    edges = {tuple(sorted((int(a), int(b)))) for face in faces for a, b in zip(face, np.roll(face, -1))}
    return len(np.unique(faces)) - len(edges) + len(faces)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.integers(12, 60))
def test_down_then_up_keeps_affine_functions_of_the_plane(seed: int, target: int) -> None:
    generator = np.random.default_rng(seed)
    vertices, faces = flat_grid(10, 9)
    inside = (vertices[:, 0] > 0) & (vertices[:, 0] < 90) & (vertices[:, 1] > 0) & (vertices[:, 1] < 80)
    vertices[inside, :2] += generator.uniform(-3, 3, size=(inside.sum(), 2))
    collapse = EdgeCollapse(vertices, faces)
    collapse.run(target)
    kept, smaller, _, _ = collapse.result()
    result = decimate(Topology("plane", faces, vertices), target)
    np.testing.assert_array_equal(result.kept, kept)
    np.testing.assert_array_equal(result.topology.faces, smaller)
    affine = vertices @ generator.normal(size=(3, 2)) + generator.normal(size=2)
    np.testing.assert_allclose(result.up @ (result.down @ affine), affine, atol=2e-4)
    assert len(kept) == target
    assert (face_normals(vertices[kept], smaller)[:, 2] > 0).all()  # nothing flipped
    assert face_areas(vertices[kept], smaller).sum() == pytest.approx(90 * 80)


@pytest.mark.parametrize("target", [600, 250, 120])
def test_mask_keeps_loops_components_and_the_slit(target: int) -> None:
    topology = mask()
    result = decimate(topology, target)
    small = result.topology
    assert small.vertex_count == target and small.name == f"mask-{target}"
    assert len(rims(small.faces)) == len(rims(topology.faces)) == 5  # outline, two eyes, mouth, teeth
    assert euler(small.faces) == euler(topology.faces)
    assert small.components.max() == 1
    rows = np.asarray(result.up.sum(axis=1)).ravel()
    np.testing.assert_allclose(rows, 1, atol=1e-6)
    assert result.up.data.min() >= 0
    np.testing.assert_array_equal((result.up @ small.template)[result.kept], small.template)
    error = np.linalg.norm(result.up @ small.template - topology.template, axis=1)
    assert error.mean() < {600: 0.3, 250: 0.8, 120: 2.0}[target]


def test_lips_do_not_hang_on_each_other() -> None:
    """Where upper and lower lip touch, the way back must tell them apart: open the mouth and look."""
    topology = mask()
    small = decimate(topology, 300)
    pairs = [
        (i, j)
        for i in range(topology.vertex_count)
        for j in range(i)
        if np.array_equal(topology.template[i], topology.template[j])
    ]
    assert len(pairs) == 11
    lower = np.array([min(pair) for pair in pairs])
    near = np.abs(topology.template[:, 1] - topology.template[lower[0], 1]) < 30
    below = near & (topology.template[:, 1] < topology.template[lower[0], 1] + 0.01)
    below[[max(pair) for pair in pairs]] = False
    opened = topology.template - 10 * below[:, None] * np.array([0, 1, 0])
    back = small.up @ opened[small.kept]
    gaps = np.array([back[max(pair), 1] - back[min(pair), 1] for pair in pairs])
    assert (gaps[[0, -1]] > 4).all()  # next to the corners, which stay closed
    assert (gaps[1:-1] > 9.9).all()


def test_landmarks_regions_mirror_and_keep_are_carried_over() -> None:
    topology = mask()
    mirror = np.array(
        [np.argmin(((topology.template - p * [-1, 1, 1]) ** 2).sum(axis=1)) for p in topology.template]
    )
    marks = Landmarks.at_vertices({"nose": int(topology.template[:, 2].argmax()), "corner": 3})
    face = topology.faces[500]
    marks = Landmarks(
        (*marks.names, "cheek"),
        np.vstack([marks.corners, face]).astype(np.int32),
        np.vstack([marks.weights, [0.2, 0.3, 0.5]]).astype(np.float32),
    )
    left = topology.template[:, 0] > 0
    keep = np.array([7, 11, 200])
    full = replace(topology, landmarks=marks, regions={"left": left}, mirror=mirror.astype(np.int32))
    small = decimate(full, 300, keep=keep)
    assert set(keep) <= set(small.kept)
    old, new = marks.positions(topology.template), small.topology.landmarks.positions(small.topology.template)
    np.testing.assert_array_equal(new[:2], old[:2])
    assert np.linalg.norm(new[2] - old[2]) < 1.5
    np.testing.assert_array_equal(small.topology.regions["left"], left[small.kept])
    reflected = small.topology.template[small.topology.mirror] * (-1, 1, 1)
    distance = np.linalg.norm(reflected - small.topology.template, axis=1)
    # Both sides were collapsed alike, but for what was kept on one side and where diagonals differ.
    assert (distance < 1e-3).mean() > 0.85


def test_texture_coordinates_stay_on_their_side_of_the_seam() -> None:
    sheet = quad_topology(14, 12)
    small = decimate(sheet, 60).topology
    assert small.uv is not None and small.uv_faces is not None
    corners_uv, corners = small.uv[small.uv_faces], small.template[small.faces]
    true = corners[..., :2] / sheet.template[:, :2].max(axis=0)
    stretched = np.isclose(corners_uv[..., 0], true[..., 0] * 0.9, atol=1e-4)
    plain = np.isclose(corners_uv[..., 0], true[..., 0], atol=1e-4)
    assert (plain | stretched).all()
    at_seam = np.isclose(true[..., 0], 7 / 13, atol=1e-4)
    right = true[..., 0].mean(axis=1) > 7 / 13
    inner = true[..., 0] > 0  # at u = 0 stretched is plain
    assert (stretched == (at_seam & right[:, None]))[inner].all()


def test_hierarchy_levels_and_cache() -> None:
    topology = mask()
    levels = hierarchy(topology, (4, 4))
    assert [len(level.kept) for level in levels] == [
        -(-topology.vertex_count // 4),
        -(-topology.vertex_count // 16),
    ]
    finer = topology.template
    for level in levels:
        np.testing.assert_array_equal(level.down @ finer, level.template)
        np.testing.assert_allclose(np.asarray(level.up.sum(axis=1)).ravel(), 1, atol=1e-6)
        assert level.faces.max() == len(level.kept) - 1
        finer = level.template
    again = hierarchy(topology, (4, 4))
    assert abs(again[1].up - levels[1].up).max() == 0


def test_impossible_targets_are_refused() -> None:
    topology = mask()
    with pytest.raises(BadSetting, match=f"4 to {topology.vertex_count}"):
        decimate(topology, topology.vertex_count + 1)
    with pytest.raises(BadSetting, match="without breaking it.*are the least"):
        decimate(topology, 8)
    with pytest.raises(BadSetting, match="must stay"):
        decimate(topology, 50, keep=np.arange(60))
    with pytest.raises(BadSetting, match="fewer or smaller factors"):
        hierarchy(topology, (4, 4, 4, 4, 4, 4))


def test_sphere_stays_a_sphere() -> None:
    vertices, faces = icosphere(4, 50.0)
    small = decimate(Topology("ball", faces, vertices), 100)
    assert euler(small.topology.faces) == 2
    np.testing.assert_allclose(np.linalg.norm(small.topology.template, axis=1), 50, atol=1e-3)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31))
def test_closest_point_beats_random_points_of_the_triangle(seed: int) -> None:
    generator = np.random.default_rng(seed)
    triangle, point = generator.normal(size=(3, 3)), 2 * generator.normal(size=3)
    if seed % 5 == 0:
        triangle[2] = triangle[0]  # no area
    weights, squared = closest_on_triangles(point[None], triangle[None])
    assert weights.min() >= 0 and weights.sum() == pytest.approx(1)
    assert ((weights[0] @ triangle - point) ** 2).sum() == pytest.approx(squared[0])
    others = generator.dirichlet(np.ones(3) * 0.5, size=300) @ triangle
    assert squared[0] <= ((others - point) ** 2).sum(axis=1).min() + 1e-9


def test_ict_face_keeps_its_slits() -> None:
    from mien.io.mesh import read_mesh

    mesh = read_mesh(ict_folder() / "generic_neutral_mesh.obj")
    inside = (mesh.faces < 6706).all(axis=1)
    topology = Topology("ict-narrow", mesh.faces[inside], mesh.vertices[:6706] * 10)
    small = decimate(topology, 1500)
    assert len(rims(small.topology.faces)) == len(rims(topology.faces))
    assert euler(small.topology.faces) == euler(topology.faces)
    error = np.linalg.norm(small.up @ small.topology.template - topology.template, axis=1)
    assert error.mean() < 0.25 and error.max() < 2.5
