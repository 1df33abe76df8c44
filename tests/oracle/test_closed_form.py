"""Closed-form methods on data whose factors are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fixtures import planted, sheet, tiny_topology

from mien import apply
from mien.data.dataset import FaceDataset
from mien.data.displacement import mean_displacements
from mien.errors import MissingNeutral
from mien.models.base import FaceModel
from mien.models.deformation_transfer import DeformationTransfer
from mien.models.displacement_transfer import DisplacementTransfer
from mien.models.mean_expression import MeanExpression
from mien.models.morphable import Morphable
from mien.models.nearest_identity import NearestIdentity
from mien.models.pca import PCA
from mien.nn.linear_split import LinearSplit


def ready(model: FaceModel, data: FaceDataset) -> FaceModel:
    model.prepare(data)
    model.eval()
    model.calibrate(data)
    return model


def build(kind: type[FaceModel], data: FaceDataset, **options: object) -> FaceModel:
    return ready(kind(data.topology, data.expressions, **options), data)


def rotation(seed: int) -> np.ndarray:
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return turn * np.sign(np.linalg.det(turn))


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b, axis=-1).mean())


# ---- morphable model


def test_morphable_recovers_the_planted_subspaces() -> None:
    truth = planted(subjects=12)
    model = build(Morphable, truth.data)
    assert model.identity_axes.shape[0] == truth.identity_axes.shape[0]
    assert model.expression_axes.shape[0] == truth.expression_axes.shape[0]
    for found, made in (
        (model.identity_axes, truth.identity_axes),
        (model.expression_axes, truth.expression_axes),
    ):
        basis = np.linalg.qr(found.double().numpy().T)[0]
        rest = made.reshape(len(made), -1)
        np.testing.assert_allclose(rest @ basis @ basis.T, rest, atol=1e-3)


def test_morphable_splits_unseen_people_exactly_when_faces_are_additive() -> None:
    data = planted(subjects=12).data
    train, test = data.take(data.row_subject < 9), data.take(data.row_subject >= 9)
    model = build(Morphable, train)
    rows = np.arange(len(test))
    assert distance(apply.reconstruct(model, test[:]), test[:]) < 1e-3
    assert distance(apply.neutralize(model, test[:]), test.neutral_of(rows)) < 2e-3
    performer, receiver = test.take(test.row_subject == 9), test.take(test.row_subject == 10)
    moved = apply.transfer(model, performer[:], receiver[0])
    assert distance(moved, receiver[:]) < 2e-3


def test_morphable_codes_are_in_standard_deviations() -> None:
    data = planted(subjects=40).data
    model = build(Morphable, data)
    codes = apply.codes_of(model, data[:])
    # The fit of 40 people: deviation 1 by construction, about zero for expressions.
    torch.testing.assert_close(codes.identity[::6].std(0), torch.ones(4), atol=2e-2, rtol=0)
    expressive = codes.expression[torch.from_numpy(data.label >= 0)]
    torch.testing.assert_close(expressive.square().mean(0).sqrt(), torch.ones(5), atol=2e-2, rtol=0)


def test_ridge_is_the_prior_of_the_least_squares() -> None:
    data = planted().data
    model = build(Morphable, data, ridge=500.0)
    axes = torch.cat([model.identity_axes, model.expression_axes]).double().T
    target = torch.from_numpy(data[3]).double().flatten() - model.mean_face.double().flatten()
    stacked = torch.cat([axes, 500.0**0.5 * torch.eye(axes.shape[1]).double()])
    padded = torch.cat([target, torch.zeros(axes.shape[1]).double()])
    exact = torch.linalg.lstsq(stacked, padded[:, None]).solution[:, 0].float()
    codes = model.encode(torch.from_numpy(data[3])[None])
    torch.testing.assert_close(torch.cat([codes.identity, codes.expression], 1)[0], exact, atol=1e-4, rtol=0)


def test_a_morphable_rig_has_full_strength() -> None:
    truth = planted()
    model = build(Morphable, truth.data)
    made = apply.rig(model, truth.neutrals[0])
    np.testing.assert_allclose(made.targets - made.base, truth.expression_axes, atol=1e-3)
    assert made.linearity_mm < 1e-4


# ---- deformation transfer


def faces_of(seed: int = 0) -> tuple[np.ndarray, np.ndarray, FaceModel]:
    truth = planted()
    model = build(DeformationTransfer, truth.data)
    return truth.neutrals.astype(np.float32), truth.data[:].reshape(8, 6, -1, 3), model


def test_deformation_onto_the_same_neutral_is_the_identity() -> None:
    neutrals, faces, model = faces_of()
    result = apply.transfer(model, faces[2], neutrals[2], expression_neutral=neutrals[2][None])
    np.testing.assert_allclose(result, faces[2], atol=1e-3)
    np.testing.assert_array_equal(apply.animate(model, neutrals[2], np.zeros((2, 5)))[0], neutrals[2])


def test_deformation_transfer_is_exact_under_a_rotation_of_the_expression() -> None:
    neutrals, _, model = faces_of()
    turn = rotation(1).astype(np.float32)
    shift = np.array([5, -3, 12], np.float32)
    turned = neutrals[0] @ turn.T + shift
    result = apply.transfer(model, turned, neutrals[1], expression_neutral=neutrals[0])
    # Every triangle of the target turns alike; its parts shift as the source's rigid vertices did.
    for part in (slice(0, 100), slice(100, 120)):
        own = result[part] - result[part].mean(axis=0)
        want = (neutrals[1][part] - neutrals[1][part].mean(axis=0)) @ turn.T
        np.testing.assert_allclose(own, want, atol=1e-3)
    rigid = model.topology.region("rigid")
    moved = result[rigid].mean(axis=0) - neutrals[1][rigid].mean(axis=0)
    np.testing.assert_allclose(moved, turned[rigid].mean(axis=0) - neutrals[0][rigid].mean(axis=0), atol=1e-3)


def test_deformation_transfer_is_equivariant_when_the_target_is_turned() -> None:
    neutrals, faces, model = faces_of()
    turn = rotation(2).astype(np.float32)
    source = {"expression_neutral": neutrals[0]}
    straight = apply.transfer(model, faces[0, 1], neutrals[1], **source)
    turned_source = {"expression_neutral": neutrals[0] @ turn.T}
    turned = apply.transfer(model, faces[0, 1] @ turn.T, neutrals[1] @ turn.T, **turned_source)
    np.testing.assert_allclose(turned, straight @ turn.T, atol=2e-3)


def test_deformation_scales_with_the_target() -> None:
    neutrals, faces, model = faces_of()
    giant = 2 * neutrals[0]
    result = apply.transfer(model, faces[0, 1], giant, expression_neutral=neutrals[0])
    for part in (slice(0, 100), slice(100, 120)):
        own = result[part] - result[part].mean(axis=0)
        want = 2 * (faces[0, 1, part] - faces[0, 1, part].mean(axis=0))
        np.testing.assert_allclose(own, want, atol=2e-3)


# ---- the other controls


def test_displacement_transfer_adds_the_difference() -> None:
    truth = planted()
    model = build(DisplacementTransfer, truth.data)
    faces = truth.data[:].reshape(8, 6, -1, 3)
    result = apply.transfer(model, faces[0], faces[3, 0], expression_neutral=faces[0, :1])
    np.testing.assert_allclose(result, faces[3, 0] + faces[0] - faces[0, 0], atol=1e-4)
    np.testing.assert_allclose(result, faces[3], atol=1e-3)  # because these faces are additive
    scaled = build(DisplacementTransfer, truth.data, scaled=True)
    giant = apply.transfer(scaled, faces[0, 1], 2 * faces[0, 0], expression_neutral=faces[0, 0])
    np.testing.assert_allclose(giant, 2 * faces[0, 1], atol=1e-3)


def test_mean_displacements_are_class_means() -> None:
    truth = planted(interaction=0.3)
    data = truth.data
    found = mean_displacements(data)
    offsets = data[:] - data.neutral_of(np.arange(len(data)))
    for expression in range(5):
        np.testing.assert_allclose(
            found[expression], offsets[data.label == expression].mean(axis=0), atol=1e-3
        )
    half = replace(data, weights=data.weights * 0.5)
    np.testing.assert_allclose(mean_displacements(half), 2 * found, atol=2e-3)
    # Few people an expression: whose face it is must drop out.
    few = data.is_neutral | (data.row_subject % 5 == data.label)
    for expression, shown in enumerate(mean_displacements(data.take(few))):
        own = offsets[few & (data.label == expression)].mean(axis=0)
        np.testing.assert_allclose(shown, own, atol=1e-3)
    unseen = data.take(data.label != 2)
    assert np.abs(mean_displacements(unseen)[2]).max() < 1e-4
    with pytest.raises(MissingNeutral, match="displacements need labeled expressive scans"):
        mean_displacements(data.take(data.is_neutral))


def test_mean_expression_reads_weights_back() -> None:
    truth = planted()
    model = build(MeanExpression, truth.data)
    weights = np.random.default_rng(0).uniform(0, 1, (6, 5)).astype(np.float32)
    face = truth.neutrals[0] + np.einsum("te,evc->tvc", weights, truth.expression_axes)
    codes = apply.codes_of(model, face, truth.neutrals[0])
    np.testing.assert_allclose(codes.expression.numpy(), weights, atol=1e-3)
    np.testing.assert_allclose(apply.animate(model, truth.neutrals[0], weights), face, atol=1e-3)


def test_nearest_identity_remembers() -> None:
    data = planted(interaction=0.2).data
    model = build(NearestIdentity, data)
    np.testing.assert_allclose(apply.reconstruct(model, data[:]), data[:], atol=0.02)
    np.testing.assert_allclose(
        apply.neutralize(model, data[:]), data.neutral_of(np.arange(len(data))), atol=1e-4
    )
    few = build(NearestIdentity, data, people=3)
    assert len(few.neutrals) == 3
    neutral = data.take(data.is_neutral)[:]
    own = apply.neutralize(few, neutral)
    distances = np.linalg.norm(neutral[:, None] - few.neutrals.view(1, 3, -1, 3).numpy(), axis=-1).mean(-1)
    np.testing.assert_allclose(np.linalg.norm(own - neutral, axis=-1).mean(-1), distances.min(1), atol=1e-3)


def test_nearest_identity_lends_the_expression_of_the_nearest_person() -> None:
    truth = planted(interaction=0.4)
    data = truth.data
    model = build(NearestIdentity, data.take(data.row_subject > 0))
    stranger = data[0] + 0.01
    smile = apply.transfer(model, data[1], stranger, expression_neutral=data[0], onto_neutral=stranger)
    lenders = data.take((data.row_subject > 0) & data.is_neutral)
    lender = int(np.linalg.norm(lenders[:] - stranger, axis=-1).mean(-1).argmin())
    offset = data[6 * (lender + 1) + 1] - data[6 * (lender + 1)]
    np.testing.assert_allclose(smile, stranger + offset, atol=0.02)


def test_people_without_an_expression_borrow_the_mean() -> None:
    data = planted().data
    left_out = ~((data.row_subject == 0) & (data.label == 2))
    model = build(NearestIdentity, data.take(left_out))
    assert not model.shown[0, 2] and model.shown[1:].all()
    borrowed = model.displacements[0, 2].float().view(-1, 3).numpy()
    np.testing.assert_allclose(borrowed, mean_displacements(data)[2], atol=0.01)


def test_pca_is_the_floor_of_linear_reconstruction() -> None:
    data = planted(interaction=0.3, noise=0.2).data
    model = build(PCA, data, size=6, expression_size=3)
    faces = data[:].reshape(len(data), -1).astype(np.float64)
    left = np.linalg.svd(faces - faces.mean(0))[1][6:]
    rebuilt = apply.reconstruct(model, data[:]).reshape(len(data), -1)
    np.testing.assert_allclose(((rebuilt - faces) ** 2).sum(), (left**2).sum(), rtol=1e-2)


# ---- linear split


def test_random_codes_have_the_covariance_of_the_training_codes() -> None:
    data = planted(subjects=12).data
    model = build(PCA, data, size=9, expression_size=5)
    drawn = model.sample(40_000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        real = model.encode(torch.from_numpy(data[:]))
    for factor in ("identity", "expression"):
        made, wanted = drawn.factor(factor), real.factor(factor)
        scale = float(wanted.var(0).max())
        torch.testing.assert_close(made.mean(0), wanted.mean(0), rtol=0, atol=0.03 * scale**0.5)
        torch.testing.assert_close(
            torch.cov(made.T), torch.cov(wanted.T, correction=0), rtol=0, atol=0.03 * scale
        )


def test_linear_split_finds_orthogonal_factors_and_loses_nothing() -> None:
    generator = np.random.default_rng(0)
    turn = np.linalg.qr(generator.normal(size=(7, 7)))[0]
    people = np.repeat(generator.normal(size=(30, 4)) * 3, 6, axis=0)
    states = generator.normal(size=(180, 3))
    codes = torch.from_numpy(np.concatenate([people, states], axis=1) @ turn.T).float()
    split = LinearSplit(7, 3)
    split.fit(codes, torch.arange(30).repeat_interleave(6))
    identity, expression = split.split(codes)
    torch.testing.assert_close(split.join(identity, expression), codes, atol=1e-4, rtol=0)
    within = identity.view(30, 6, 4) - identity.view(30, 6, 4).mean(1, keepdim=True)
    assert within.abs().max() < 1e-3
    assert expression.shape == (180, 3)


def test_linear_split_keeps_no_axis_that_nobody_moves_along() -> None:
    codes = torch.zeros(12, 6)
    codes[:, 0] = torch.arange(12.0) % 3
    codes[:, 1:4] = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).repeat_interleave(3, 0)
    split = LinearSplit(6, 4)
    split.fit(codes, torch.arange(4).repeat_interleave(3))
    assert split.expression_axes.shape == (6, 1) and split.identity_axes.shape == (6, 5)
    for size in (0, 6, 7):
        with pytest.raises(Exception, match="cannot be split"):
            LinearSplit(6, size)


def test_the_tiny_topology_is_two_sheets() -> None:
    points, faces = sheet(3, 4, (2, 2))
    assert points.shape == (12, 2) and len(faces) == 12
    assert tiny_topology().vertex_count == 120
    assert tiny_topology().components.max() == 1
