"""Procrustes recovers what was planted; units and axes are decided, said or refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meshes import ict_folder, mask, random_rotation

from mien.errors import BadMesh, WrongTopology
from mien.geometry.alignment import detect_frame, procrustes, quarter_turns

SEEDS = st.integers(0, 2**31)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.floats(0.05, 20), st.booleans(), st.integers(4, 40))
def test_procrustes_recovers_a_planted_transform(seed: int, scale: float, batched: bool, count: int) -> None:
    generator = np.random.default_rng(seed)
    source = generator.normal(size=(count, 3)) * (30, 20, 10) + generator.normal(size=3) * 100
    rotation, translation = random_rotation(generator), generator.normal(size=3) * 50
    target = scale * source @ rotation.T + translation
    found = procrustes(source[None] if batched else source, target, scale=True)
    np.testing.assert_allclose(found.rotation.reshape(3, 3), rotation, atol=1e-7)
    np.testing.assert_allclose(found.scale.ravel(), scale, rtol=1e-8)
    np.testing.assert_allclose(
        found.apply(source).reshape(target.shape), target, atol=1e-7 * max(1, scale * 100)
    )


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_procrustes_is_the_best_and_never_a_reflection(seed: int) -> None:
    """No nearby rigid transform does better, even for a mirrored target; and the weights are obeyed."""
    generator = np.random.default_rng(seed)
    source = generator.normal(size=(2, 12, 3))
    target = source * (-1, 1, 1) + 0.3 * generator.normal(size=source.shape)
    weights = generator.random(12)
    found = procrustes(source, target, weights=weights)
    np.testing.assert_allclose(np.linalg.det(found.rotation), 1, atol=1e-9)
    np.testing.assert_array_equal(found.scale, 1)

    def cost(moved: np.ndarray) -> np.ndarray:
        return (weights[:, None] * (moved - target) ** 2).sum(axis=(1, 2))

    best = cost(found.apply(source))
    for _ in range(20):
        axis = 1e-3 * generator.normal(size=3)
        skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
        turn = np.linalg.qr(np.eye(3) + skew)[0]
        turn *= np.sign(np.diag(turn))
        nearby = found.apply(source) @ turn.T + 1e-3 * generator.normal(size=3)
        assert (cost(nearby) >= best - 1e-9).all()


def test_masked_vertices_do_not_count() -> None:
    generator = np.random.default_rng(0)
    source = generator.normal(size=(20, 3))
    target = source @ random_rotation(generator).T + 3
    target[10:] += 100 * generator.normal(size=(10, 3))
    found = procrustes(source, target, weights=np.arange(20) < 10)
    np.testing.assert_allclose(found.apply(source)[:10], target[:10], atol=1e-9)
    with pytest.raises(WrongTopology, match="same vertices"):
        procrustes(source, target[1:])


def test_there_are_24_quarter_turns() -> None:
    turns = quarter_turns()
    assert len(np.unique(turns, axis=0)) == 24
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.broadcast_to(np.eye(3), turns.shape))
    np.testing.assert_array_equal(turns[0], np.eye(3))


def person(seed: int = 0) -> np.ndarray:
    """Another person with the mask's topology: somewhat wider, with bumps, head turned by 8 degrees."""
    vertices = mask().template.astype(np.float64)
    generator = np.random.default_rng(seed)
    angle = np.radians(8)
    pose = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    wave = 4 * np.sin(vertices @ (0.05 * generator.normal(size=(3, 3))))
    return (vertices * (1.1, 0.95, 1.0) + wave) @ pose.T


@pytest.mark.parametrize("turn", range(24))
@pytest.mark.parametrize("scale", [1.0, 0.1, 0.001])
def test_units_and_quarter_turns_are_undone_exactly(turn: int, scale: float) -> None:
    face, template = person(), mask().template
    given_mesh = scale * face @ quarter_turns()[turn]
    decision = detect_frame(given_mesh, template, name="anna.obj")
    np.testing.assert_allclose(decision.apply(given_mesh), face, atol=1e-4)
    assert decision.unit == {1.0: "millimeters", 0.1: "centimeters", 0.001: "meters"}[scale]
    assert decision.unit in decision.sentence and decision.sentence.startswith("anna.obj")
    assert decision.changed == (turn > 0 or scale != 1)


@pytest.mark.parametrize("turn", range(24))
def test_axes_are_found_without_a_template_and_with_another(turn: int) -> None:
    topology = mask()
    face = person() - (0, 0, 40)
    given_mesh = 0.1 * face @ quarter_turns()[turn]
    alone = detect_frame(given_mesh, faces=topology.faces)
    np.testing.assert_allclose(alone.apply(given_mesh), face, atol=1e-4)
    if turn in (0, 17):
        other = detect_frame(given_mesh, topology.template[::3])
        np.testing.assert_allclose(other.apply(given_mesh), face, atol=1e-4)


def test_lying_on_its_back_is_said() -> None:
    lying = person() @ np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], float)
    decision = detect_frame(lying, mask().template, name="scan.obj")
    assert "-Z was up and +Y came out of the face" in decision.sentence
    assert "pose of" in decision.sentence  # the head's own 8 degrees stay, and are said


@pytest.mark.parametrize("with_template", [True, False])
@pytest.mark.parametrize("scale", [0.00001, 0.02, 15.0, 1e6])
def test_nonsense_sizes_are_refused(scale: float, with_template: bool) -> None:
    topology = mask()
    options = {"template": topology.template} if with_template else {"faces": topology.faces}
    with pytest.raises(BadMesh, match="no face in millimeters, centimeters or meters"):
        detect_frame(person() * scale, **options)


def test_unclear_orientations_are_refused() -> None:
    topology = mask()
    generator = np.random.default_rng(1)
    with pytest.raises(BadMesh, match="mirrored"):
        detect_frame(person() * (-1, 1, 1), topology.template)
    angle = np.radians(50)
    tilt = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    with pytest.raises(BadMesh, match="no axis convention.*degrees"):
        detect_frame(person() @ tilt.T, topology.template)
    with pytest.raises(WrongTopology, match="do not correspond"):
        detect_frame(generator.permutation(person()), topology.template)
    ball = generator.normal(size=(500, 3))
    ball *= 90 / np.linalg.norm(ball, axis=1, keepdims=True)
    with pytest.raises(BadMesh, match="axes of .* are not clear"):
        detect_frame(ball, topology.template)
    with pytest.raises(BadMesh, match="axes of .* are not clear"):
        detect_frame(ball, faces=topology.faces[topology.faces.max(axis=1) < 500])
    with pytest.raises(BadMesh, match="without faces"):
        detect_frame(person())
    with pytest.raises(BadMesh, match="no extent"):
        detect_frame(np.zeros((10, 3)), topology.template)


def test_ict_head_against_the_narrow_face() -> None:
    from mien.io.mesh import read_mesh

    head = read_mesh(ict_folder() / "identity003.obj").vertices
    template = read_mesh(ict_folder() / "generic_neutral_mesh.obj").vertices[:6706] * 10.0
    for turn in quarter_turns()[[17]]:
        decision = detect_frame(head @ turn, template)
        np.testing.assert_allclose(decision.apply(head @ turn), head * 10, atol=1e-3)
