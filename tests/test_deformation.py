"""Push-forward by local Jacobians and the jaw hinge."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures import tiny_topology

from mien.data.deformation import Hinge, JacobianField, Performer, rotate, turning_angles

NAMES = ("jawOpen", "jawLeft", "mouthSmile_L", "mouthClose", "jawForward")


def contour() -> dict[str, int]:
    """Vertices of the tiny mask where ears, cheeks and chin would be."""
    template = tiny_topology().template
    places = {
        "ibug_0": (-70, 40),
        "ibug_1": (-70, 20),
        "ibug_16": (70, 40),
        "ibug_15": (70, 20),
        "ibug_8": (0, -90),
    }
    distance = {n: np.linalg.norm(template[:100, :2] - p, axis=1) for n, p in places.items()}
    return {name: int(values.argmin()) for name, values in distance.items()}


def make_performer() -> tuple[Performer, np.ndarray]:
    topology = tiny_topology()
    template = topology.template.astype(float)
    hinge = Hinge.of({name: template[index] for name, index in contour().items()})
    jaw = np.clip(-template[:, 1] / 60, 0, 1)[:, None]
    opened = rotate(template - hinge.center, jaw * [0.35, 0, 0]) + hinge.center - template
    turned = rotate(template - hinge.center, jaw * [0, 0.1, 0]) + hinge.center - template
    smile = np.exp(-((template - [30, -40, 50]) ** 2).sum(1) / 800)[:, None] * [4.0, 5.0, -1.0]
    shapes = np.stack([opened + 0.1 * smile, turned, smile, -0.9 * opened, jaw * [0, 0, 8.0]])
    return Performer(template, topology.faces, shapes, NAMES, contour(), radius=25.0), shapes


def test_jacobian_of_an_affine_map_is_the_map() -> None:
    rng = np.random.default_rng(0)
    cloud = rng.uniform(-40, 40, (1500, 3))
    affine = np.eye(3) + 0.3 * rng.standard_normal((3, 3))
    field = JacobianField(cloud, np.ones(1500), stiffness=0.0)
    np.testing.assert_allclose(field.of(cloud @ affine.T + 5), np.tile(affine, (1500, 1, 1)), atol=1e-8)


def test_flat_neighborhoods_keep_lengths_across() -> None:
    flat = np.column_stack([np.random.default_rng(0).uniform(-40, 40, (800, 2)), np.zeros(800)])
    jacobian = JacobianField(flat, np.ones(800)).of(flat * [1.2, 0.9, 1.0])
    np.testing.assert_allclose(jacobian[:, 2, 2], 1.0)
    assert np.median(jacobian[:, 0, 0]) == pytest.approx(1.2, abs=0.02)


def test_lids_that_meet_on_the_template_meet_on_a_taller_face() -> None:
    x = np.linspace(-15, 15, 31)
    upper, lower = (np.column_stack([x, side * (5 - x**2 / 45), 0 * x]) for side in (1, -1))
    skin = np.column_stack([np.random.default_rng(0).uniform(-40, 40, (900, 2)), np.zeros(900)])
    skin = skin[np.abs(skin[:, 1]) > 6]
    template = np.concatenate([upper, lower, skin])
    closing = lower - upper
    taller = template * [1.0, 1.3, 1.0]
    jacobian = JacobianField(template, np.ones(len(template))).of(taller)
    closed = taller[:31] + np.einsum("vij,vj->vi", jacobian[:31], closing)
    assert np.abs(closed - taller[31:62]).max() < 0.3, "without the push-forward the gap is 3 mm"


def test_rotation_keeps_lengths_and_turning_angles_invert_it() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(0, 60, (50, 3))
    hinge = Hinge(np.array([1.0, 2, 3]), np.eye(3), 100.0)
    axis = np.array([0.6, 0.8, 0.0])
    angle = rng.uniform(-0.5, 0.5, 50)
    moved = rotate(points - hinge.center, angle[:, None] * axis) + hinge.center
    np.testing.assert_allclose(
        np.linalg.norm(moved - hinge.center, axis=1), np.linalg.norm(points - hinge.center, axis=1)
    )
    np.testing.assert_allclose(turning_angles(points, moved - points, hinge, axis), angle, atol=1e-9)


def test_the_template_performs_the_released_shapes_exactly() -> None:
    performer, shapes = make_performer()
    actor = performer.on(performer.template)
    for index, name in enumerate(NAMES):
        activations = np.eye(len(NAMES))[index]
        if name == "mouthClose":
            activations[NAMES.index("jawOpen")] = 1.0
        expected = performer.template + np.tensordot(activations, shapes, 1)
        np.testing.assert_allclose(actor.perform(activations), expected, atol=1e-9)
    np.testing.assert_array_equal(actor.perform(np.zeros(len(NAMES))), performer.template)


def test_the_jaw_turns_on_this_faces_hinge() -> None:
    performer, _ = make_performer()
    face = performer.template * [1.1, 1.25, 1.1] + [0, 10, -5]
    actor = performer.on(face)
    half = actor.perform(np.array([0.5, 0, 0, 0, 0]))
    chin = contour()["ibug_8"]
    radius = np.linalg.norm((face - actor.center)[chin, 1:])
    assert np.linalg.norm((half - actor.center)[chin, 1:]) == pytest.approx(radius, rel=0.01)
    assert (half - face)[chin, 1] < -1 and (half - face)[chin, 2] < -10


def test_performance_is_not_additive() -> None:
    performer, _ = make_performer()
    face = performer.template * [1.1, 1.0, 1.0]
    actor = performer.on(face)
    jaw, smile = np.eye(len(NAMES))[0], np.eye(len(NAMES))[2]
    together = actor.perform(jaw + smile) - face
    apart = actor.perform(jaw) + actor.perform(smile) - 2 * face
    assert np.linalg.norm(together - apart, axis=1).max() > 0.5


def test_some_vertices_perform_like_all() -> None:
    performer, _ = make_performer()
    face, rows = performer.template * 1.05, np.array([3, 50, 99])
    activations = np.full(len(NAMES), 0.4)
    found, whole = (performer.on(face, rows=part).perform(activations) for part in (rows, None))
    np.testing.assert_allclose(found, whole[rows])


def test_frames_at_once_are_frames_one_by_one() -> None:
    performer, _ = make_performer()
    actor = performer.on(performer.template * [1.1, 1.0, 0.9], rows=np.arange(0, 120, 3))
    activations = np.random.default_rng(0).uniform(0, 0.8, (7, len(NAMES)))
    expected = np.stack([actor.perform(frame) for frame in activations])
    np.testing.assert_allclose(actor.perform_frames(activations), expected, atol=1e-9)
