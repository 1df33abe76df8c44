"""Meshes of any topology: found, registered against known truth, and carried back vertex by vertex."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fixtures import tiny_topology
from heads import Z_UP, ball, block, joined
from meshes import icosphere, random_rotation
from numpy.typing import NDArray
from strangers import on_template, registered, stranger, template

from mien.data.sources.procedural.topology import procedural_topology
from mien.errors import BadMesh
from mien.figures.registration import registration_sheet
from mien.geometry.eyeballs import Ball, turned
from mien.geometry.nonrigid import Schedule, Smoothness
from mien.geometry.openings import openings
from mien.geometry.placement import Placement
from mien.geometry.procrustes import procrustes
from mien.geometry.registration import Guides, main_piece, register
from mien.geometry.rims import shared_rims
from mien.geometry.surface import Surface, rim_vertices


def test_the_template_comes_close_to_the_known_truth() -> None:
    topology, _ = template()
    kept, main = main_piece(topology)
    found, head = registered(), stranger()
    truth = on_template(head.neutral)
    at = found.placement.back(found.vertices)
    error = np.linalg.norm(at - truth, axis=1)[kept]
    aligned = procrustes(topology.template[kept], truth[kept], scale=True).apply(topology.template[kept])
    before = np.linalg.norm(aligned - truth[kept], axis=1)
    assert error.mean() < 1.6 and error.mean() < 0.6 * before.mean()
    assert found.quality.mean_mm < 0.1 and found.quality.covered > 0.97
    assert found.quality.flipped <= 5 and found.quality.triangles == len(main.faces)
    names, points = found.landmarks()
    truth_points = topology.landmarks.positions(truth)
    mouth = [names.index(f"ibug_{k}") for k in (48, 51, 54, 57, 36, 39, 42, 45, 30)]
    assert np.linalg.norm(points - truth_points, axis=1)[mouth].mean() < 2.0


def test_brows_that_were_seen_yield_to_lids_and_brows_that_a_person_set_do_not() -> None:
    """Guides 9 mm too low on the brows: who says so counts; without lids on the mesh all but the irises."""
    topology, _ = template()
    kept, main = main_piece(topology)
    rest = topology.template.astype(np.float64)
    named = topology.landmarks
    names = [f"ibug_{k}" for k in (*range(17, 27), *range(27, 48), 48, 51, 54, 57)]
    rows = [named.names.index(name) for name in names]
    targets = named.positions(rest)[rows]
    targets[:10] -= (0, 9.0, 0)
    brows = named.corners[rows[:10]].ravel()
    lids = openings(main)
    closed = np.concatenate([main.faces, *(fan(eye.outline) for eye in lids if eye.kind == "eye")])
    place = Placement(np.eye(3), 1.0, np.zeros(3))
    dropped = {}
    for seen, faces, irises in (
        (True, main.faces, 0), (False, main.faces, 10), (True, closed, 0), (True, closed, 10)
    ):  # fmt: skip
        gaze = np.arange(len(rows)) < irises
        guides = Guides(named.corners[rows], named.weights[rows], targets, seen=seen, gaze=gaze)
        found = register(
            rest[kept],
            faces,
            topology,
            placement=place,
            guides=guides,
            schedule=Schedule(mode_steps=6, vertex_steps=2),
        )
        dropped[seen, len(faces), irises] = (rest - found.vertices)[brows, 1].mean()
    whole, healed = len(main.faces), len(closed)
    assert max(dropped[True, whole, 0], dropped[True, healed, 10]) < 0.5
    assert min(dropped[False, whole, 10], dropped[True, healed, 0]) > 4


def fan(outline: NDArray) -> NDArray[np.int64]:
    """(n - 2, 3) triangles that close a rim."""
    return np.stack([np.full(len(outline) - 2, outline[0]), outline[2:], outline[1:-1]], axis=1)


@pytest.mark.parametrize(("scale", "unit"), [(0.001, "m"), (0.1, "cm"), (1 / 25.4, "inch")])
def test_unit_axes_and_place_do_not_matter(scale: float, unit: str) -> None:
    head, reference = stranger(), registered()
    moved = (head.vertices @ Z_UP.T + (300.0, -120.0, 1650.0)) * scale
    found = register(moved, head.faces, template()[0], schedule=Schedule(mode_steps=2, vertex_steps=1))
    back = found.placement.apply(moved)
    np.testing.assert_allclose(back, reference.placement.apply(head.vertices), atol=3.5)
    assert found.placement.scale * scale == pytest.approx(reference.placement.scale, rel=0.015), unit


def test_landmarks_place_a_head_that_is_turned_any_way() -> None:
    topology, _ = template()
    head = stranger()
    turn = random_rotation(np.random.default_rng(3))
    names = topology.landmarks.names
    points = topology.landmarks.positions(on_template(head.neutral))
    spots = {name: points[names.index(name)] @ turn.T for name in ("ibug_8", "ibug_30", "ibug_36", "ibug_45")}
    found = register(head.vertices @ turn.T, head.faces, topology, landmarks=spots | {"unknown": points[0]})
    assert found.quality.landmark_mm is not None and found.quality.landmark_mm < 1.0
    truth = on_template(head.neutral)
    kept, _ = main_piece(topology)
    error = np.linalg.norm(found.placement.back(found.vertices) @ turn - truth, axis=1)[kept]
    assert error.mean() < 1.6
    with pytest.raises(BadMesh, match="three or more"):
        register(head.vertices, head.faces, topology, landmarks=dict(list(spots.items())[:2]))
    swapped = dict(zip(spots, reversed(spots.values()), strict=True))
    with pytest.raises(BadMesh, match="do not lie like those of a face"):
        register(head.vertices, head.faces, topology, landmarks=swapped)


def test_the_rest_pose_is_the_input_bit_by_bit_in_its_own_unit() -> None:
    found, head = registered(), stranger()
    own = (head.vertices @ Z_UP.T * 0.001).astype(np.float32)
    placement = replace(
        found.placement, rotation=found.placement.rotation @ Z_UP.T, scale=found.placement.scale * 1000
    )
    there = replace(found, mesh_vertices=own, placement=placement)
    np.testing.assert_array_equal(there.carry(found.vertices[None])[0], own)


def test_an_open_jaw_is_carried_and_lips_part() -> None:
    """The truth's displacement on the template gives the truth's displacement on the head."""
    found, head = registered(), stranger()
    full_change = head.performed(jawOpen=1.0) - head.neutral
    moved = found.vertices + found.placement.scale * on_template(full_change) @ found.placement.rotation.T
    carried = found.carry(moved) - head.vertices.astype(np.float32)
    truth = head.remesh.of(head.neutral + full_change) - head.vertices
    error = np.linalg.norm(carried - truth, axis=1)
    assert error.mean() < 0.08 * np.linalg.norm(truth, axis=1)[np.linalg.norm(truth, axis=1) > 1].mean()
    assert np.quantile(error, 0.99) < 0.25 * np.linalg.norm(truth, axis=1).max()
    mouth = openings(procedural_topology())[0]
    inverse = {
        int(corner[0]): row for row, corner in enumerate(head.remesh.corners) if corner[0] == corner[2]
    }
    upper, lower = ([inverse[int(v)] for v in side] for side in (mouth.upper, mouth.lower))
    gap = truth[upper, 1].mean() - truth[lower, 1].mean()
    assert gap > 15 and carried[upper, 1].mean() - carried[lower, 1].mean() == pytest.approx(gap, rel=0.15)


def test_eyes_and_upper_teeth_stay_and_lower_teeth_turn_rigidly_with_the_jaw() -> None:
    head, topology = stranger(), procedural_topology()
    mouth = openings(topology)[0].on(head.neutral)
    deep = mouth.center - (0, 0, 14.0)
    pieces = [
        (head.vertices, head.faces), ball(head.person.eyes[0], 11.5), ball(head.person.eyes[1], 11.5),
        block(deep + (0, 7, 0), (38, 9, 8)), block(deep - (0, 9, 0), (36, 9, 8)),
    ]  # fmt: skip
    vertices, faces = joined(*pieces)
    found = register(vertices, faces, template()[0])
    assert found.skin.sum() == len(head.vertices)
    kinds = sorted(part.kind for part in found.carrier.parts)
    assert kinds == ["eye", "eye", "lower teeth", "upper teeth"]
    ends = np.cumsum([len(item) for item, _ in pieces])
    change = on_template(head.performed(jawOpen=1.0) - head.neutral)
    moved = found.carry(found.vertices + found.placement.scale * change @ found.placement.rotation.T)
    look = np.array([[30.0, 0.0], [0.0, 20.0]])  # the left eye to the left, the right one up
    looking = found.carry(found.vertices, look) - vertices
    left, right = (looking[ends[k] : ends[k + 1]] for k in np.argsort(-head.person.eyes[:, 0]))
    for turn, across, along in ((left, 0, 1), (right, 1, 0)):
        assert np.abs(turn[:, across]).max() > 3 > 0.5 > np.abs(turn[:, along]).max()
    front = [vertices[ends[k] : ends[k + 1], 2].argmax() for k in np.argsort(-head.person.eyes[:, 0])]
    assert left[front[0], 0] > 0 and right[front[1], 1] > 0
    still = slice(ends[0], ends[3])
    np.testing.assert_array_equal(moved[still], vertices[still].astype(np.float32))
    before, after = vertices[ends[3] :], moved[ends[3] :].astype(np.float64)
    assert np.linalg.norm(after - before, axis=1).min() > 4
    fit = procrustes(before, after)
    np.testing.assert_allclose(fit.apply(before), after, atol=1e-3)
    assert np.degrees(np.arccos((np.trace(fit.rotation) - 1) / 2)) > 5


def test_lids_that_end_belong_together() -> None:
    """A head whose eyes are open much wider: the template's lids come to lie on its lids, not beside them."""
    topology, head = template()[0], stranger()
    wide = head.remesh.of(head.performed(eyeWide_L=1.0, eyeWide_R=1.0)[main_piece(procedural_topology())[0]])
    skin = main_piece(topology)[1]
    found = shared_rims(skin, Surface(wide, head.faces))
    eyes = [opening for opening in openings(skin) if opening.kind == "eye" and opening.is_open]
    assert len(eyes) == 2 and len(found) == 8  # of each eye: upper and lower side, two corners
    registered = register(wide, head.faces, topology)
    kept, _ = main_piece(topology)
    placed = Surface(registered.placement.apply(wide), head.faces)
    rim = placed.vertices[rim_vertices(head.faces, len(wide))]
    for eye in eyes:
        lids = registered.vertices[kept][eye.outline]
        gap = np.linalg.norm(lids[:, None] - rim, axis=2).min(axis=1)
        assert gap.mean() < 1.0 and gap.max() < 2.5, (gap.mean(), gap.max())
    # A hole of the size of an eye elsewhere, or the back of a pocket, is no counterpart.
    assert not shared_rims(skin, Surface(wide - [0, 0, 12], head.faces))
    assert not shared_rims(skin, Surface(wide, np.zeros((0, 3), int), toward=np.array([0.0, 0, 1])))


def sphere(count: int = 4000) -> NDArray[np.float64]:
    """Unit directions, evenly spread."""
    height = 1 - 2 * (np.arange(count) + 0.5) / count
    turn = np.pi * (1 + 5**0.5) * np.arange(count)
    return np.stack([*(np.sqrt(1 - height**2) * np.array([np.cos(turn), np.sin(turn)])), height], axis=1)


def test_lids_slide_over_the_eyeball() -> None:
    rng = np.random.default_rng(0)
    center, radius = np.array([30.0, 20.0, 80.0]), 12.0
    directions = sphere()
    cornea = 1 + 0.08 * np.clip((directions[:, 2] - 0.9) / 0.1, 0, 1)  # stands out by one millimeter
    ball = Ball(center, radius, radius * cornea[:, None] * directions)
    front = directions[directions[:, 2] > 0][::8]
    height = ball.reach(front) + rng.uniform(0.1, 4.0, len(front))
    lids = center + front * height[:, None]
    moves = np.stack([np.zeros_like(lids), np.full_like(lids, -5.0)])
    pushed = ball.slid_over(lids, moves, np.full(len(lids), 1.0))
    np.testing.assert_array_equal(pushed[0], 0)
    before, after = lids - 5.0 - center, lids + pushed[1] - center
    assert (np.linalg.norm(before, axis=1) < ball.reach(before)).sum() > 20
    assert (np.linalg.norm(after, axis=1) > ball.reach(after)).all()
    free = np.linalg.norm(before, axis=1) > 1.05 * ball.reach(before)
    assert free.sum() > 20
    np.testing.assert_array_equal(pushed[1][free], -5.0)
    # Long triangles dip below their corners, so these stay farther out: by e^2 / 6 r for equal edges.
    coarse = np.linalg.norm(lids + ball.slid_over(lids, moves, np.full(len(lids), 10.0))[1] - center, axis=1)
    outer = ~free & (height > ball.reach(front) + 2)
    assert outer.sum() > 5
    assert (np.sqrt(coarse[outer] ** 2 - 10.0**2 / 3) > ball.reach(after[outer]) - 0.05).all()


def test_eyeballs_turn_about_their_center() -> None:
    center = np.array([30.0, 20.0, 80.0])
    looking = center + np.array([[0.0, 0, 12], [0, 12, 0]])
    left, up, both = turned(looking, center, np.array([[30.0, 0], [0, 20.0], [-30.0, 20.0]]))
    np.testing.assert_allclose(looking[0] + left[0] - center, [6, 0, 12 * 0.75**0.5], atol=1e-9)
    np.testing.assert_allclose(left[1], 0, atol=1e-9)
    pitch = np.radians(20)
    np.testing.assert_allclose(
        looking[0] + up[0] - center, [0, 12 * np.sin(pitch), 12 * np.cos(pitch)], atol=1e-9
    )
    moved = looking + both - center
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 12)
    np.testing.assert_allclose(np.degrees(np.arcsin(moved[0, 1] / 12)), 20)
    assert moved[0, 0] < 0


def test_holes_and_point_scans() -> None:
    head, (topology, _) = stranger(), template()
    middle = head.vertices[head.faces].mean(axis=1)
    spot = head.neutral[int(np.argmax(head.neutral[:, 2]))] + (32, -18, -20)
    whole = np.linalg.norm(middle - spot, axis=1) > 13
    assert 20 < (~whole).sum() < 0.1 * len(whole)
    kept, _ = main_piece(topology)
    truth = on_template(head.neutral)
    for faces in (head.faces[whole], np.zeros((0, 3), int)):
        noise = 0.0 if len(faces) else 0.1
        cloud = head.vertices + noise * np.random.default_rng(0).normal(size=head.vertices.shape)
        found = register(cloud, faces, topology)
        error = np.linalg.norm(found.placement.back(found.vertices) - truth, axis=1)[kept]
        assert error.mean() < 2.7
        carried = found.carry(found.vertices + np.float32((0, 3, 0)))
        lifted = np.linalg.norm(carried - cloud - found.placement.back_vectors(np.array([0, 3, 0])), axis=1)
        assert np.median(lifted) < 0.05


def test_the_template_follows_a_mesh_that_takes_a_pose() -> None:
    found, head = registered(), stranger()
    posed = head.performed(jawOpen=1.0)
    template_then = found.follow(head.remesh.of(posed))
    moved = found.placement.scale * on_template(posed - head.neutral) @ found.placement.rotation.T
    kept, _ = main_piece(template()[0])
    error = np.linalg.norm(template_then - found.vertices - moved, axis=1)[kept]
    assert error.mean() < 0.1 * np.linalg.norm(moved, axis=1)[kept].max()
    # The same mesh in meters and with +Z up.
    own = replace(
        found.placement, rotation=found.placement.rotation @ Z_UP.T, scale=found.placement.scale * 1000
    )
    there = replace(found, mesh_vertices=0.001 * head.vertices @ Z_UP.T, placement=own)
    turned_pose = 0.001 * head.remesh.of(posed) @ Z_UP.T
    np.testing.assert_allclose(there.follow(turned_pose), template_then, atol=1e-3)


def test_what_is_no_face_is_refused() -> None:
    topology, _ = template()
    vertices, faces = icosphere(4, 95.0)
    with pytest.raises(BadMesh, match="no face can be found"):
        register(vertices, faces, topology)
    with pytest.raises(BadMesh, match="finite"):
        register(vertices * np.nan, faces, topology)


def test_a_template_of_several_pieces_has_a_distance_and_a_picture() -> None:
    """Distances are of all vertices: the pieces that are not laid on have none."""
    topology = tiny_topology()
    skin = topology.components == topology.components[0]
    mesh = topology.template[skin] * 0.01
    points = topology.landmarks.positions(topology.template) * 0.01
    marks = dict(zip(topology.landmarks.names, points, strict=True))
    found = register(mesh, topology.faces[skin[topology.faces].all(axis=1)], topology, landmarks=marks)
    assert found.quality.distance.shape == (120,)
    assert (found.quality.distance[skin] < 1e-3).all() and np.isnan(found.quality.distance[~skin]).all()
    assert registration_sheet(found, "tiny", size=64).size[0] > 3 * 64


@pytest.mark.parametrize(
    ("extent", "spun"),
    [((0, 0, 0), 0), ((100, 0, 0), 1), ((0, 100, 0), 0), ((80, 120, 0), 1), ((80, 0, 120), 0)],
)
def test_what_has_no_depth_is_refused_before_it_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, extent: tuple[int, int, int], spun: int
) -> None:
    """A point, lines and planes, also at an angle and far from the origin."""
    monkeypatch.setattr("mien.geometry.registration.place_by_shape", None)  # it would be called
    rng = np.random.default_rng(0)
    turn = random_rotation(rng) if spun else np.eye(3)
    vertices = (rng.uniform(-1, 1, (600, 3)) * extent @ turn.T + 500).astype(np.float32)
    faces = np.arange(600).reshape(-1, 3)
    with pytest.raises(
        BadMesh, match="'mesh' is no head; received vertices that lie in one place, on a line"
    ):
        register(vertices, faces, template()[0])


def test_a_head_of_too_many_vertices_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    head = stranger()
    monkeypatch.setattr("mien.limits.MOST_HEAD_VERTICES", len(head.vertices) - 1)
    monkeypatch.setattr("mien.geometry.registration.place_by_shape", None)
    words = f"received {len(head.vertices):,}; allowed are {len(head.vertices) - 1:,}; decimate a copy"
    with pytest.raises(BadMesh, match=words):
        register(head.vertices, head.faces, template()[0])
    monkeypatch.setattr("mien.limits.MOST_HEAD_VERTICES", len(head.vertices))
    with pytest.raises(TypeError, match="NoneType"):
        register(head.vertices, head.faces, template()[0])


def test_collapsed_triangles_of_a_template_outweigh_nothing() -> None:
    main = main_piece(procedural_topology())[1]
    edges = main.template[main.faces] - main.template[np.roll(main.faces, 1, axis=1)]
    assert (np.linalg.norm(edges, axis=2) == 0).any()  # at the corners of eyes
    strength = np.abs(Smoothness(main).energy.diagonal())
    assert strength.max() < 1e4 * np.median(strength)
