"""The adversarial VAE against its paper: sizes, equations, ablations."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from fixtures import planted
from torch import nn

from mien.geometry.farthest_points import farthest_points
from mien.models.adversarial_vae.losses import (
    IdentityDiscriminator,
    Objective,
    Settings,
    joint_training,
    shown,
)
from mien.models.adversarial_vae.model import AdversarialVAE
from mien.models.adversarial_vae.pointnet import thin
from mien.models.base import validation_errors
from mien.nn.gaussian import kl_divergence
from mien.topology import Topology

CONV = (3 * 64 + 64) + 2 * (64 * 64 + 64) + (64 * 128 + 128) + (128 * 1024 + 1024)
NORM = 2 * (64 + 64 + 64 + 128 + 1024)


def flat_topology(count: int) -> Topology:
    """A strip of triangles with a given number of vertices."""
    template = np.column_stack([np.arange(count), np.arange(count) % 2, np.zeros(count)])
    faces = np.stack([np.arange(count - 2), np.arange(count - 2) + 1, np.arange(count - 2) + 2], axis=1)
    return Topology("strip", faces, template.astype(np.float32))


@pytest.mark.parametrize(("vertices", "size"), [(4547, 64), (5023, 4), (1200, 40)])
def test_parameters_at_the_papers_sizes(vertices: int, size: int) -> None:
    model = AdversarialVAE(flat_topology(vertices), (), identity_size=size, expression_size=size)
    heads = 4 * (1024 * size + size)
    decoders = 2 * (size * 256 + 256 + 256 * 3 * vertices + 3 * vertices)
    trained = sum(p.numel() for p in model.parameters())
    assert trained == CONV + NORM + heads + decoders
    if (vertices, size) == (4547, 64):
        assert trained == 7_458_834
    assert model.parameter_count == trained


def test_discriminator_has_the_papers_sizes() -> None:
    point = (6 * 64 + 64) + (64 * 128 + 128) + (128 * 1024 + 1024) + 2 * (64 + 128 + 1024)
    hidden = (1024 * 512 + 512) + 2 * 512 + (512 * 256 + 256) + 2 * 256
    expected = 2 * point + 2 * hidden + (256 * 36 + 36) + (256 * 2 + 2)
    discriminator = IdentityDiscriminator()
    assert sum(p.numel() for p in discriminator.parameters()) == expected
    assert discriminator.compare(torch.randn(3, 50, 3), torch.randn(3, 50, 3)).shape == (3, 2)


def test_full_profile_is_the_papers_schedule() -> None:
    settings = Settings()
    assert (settings.rate, settings.weight_decay, settings.decay, settings.batch_size) == (
        1e-4,
        1e-4,
        0.7,
        32,
    )
    assert AdversarialVAE.profiles["full"] == {}


def test_face_is_identity_shape_plus_offset_and_units_are_millimeters() -> None:
    data = planted().data
    torch.manual_seed(0)
    model = AdversarialVAE(data.topology, data.expressions, 6, 5).eval()
    model.prepare(data)
    torch.testing.assert_close(model.mean_face, torch.from_numpy(data[:].mean(axis=0)))
    codes = model.encode(torch.from_numpy(data[:4]))
    assert codes.identity.shape == (4, 6) and codes.expression.shape == (4, 5)
    face = model.neutral_face(codes) + model.expression_offset(codes)
    torch.testing.assert_close(model.decode(codes), face)
    normalized = model.normalize(model.mean_face)
    assert abs(float(normalized.mean())) < 1e-6 and float(normalized.abs().max()) < 3


def test_a_copy_is_a_model_of_its_own() -> None:
    model = AdversarialVAE(flat_topology(60), ("smile",), 4, 3)
    twin = copy.deepcopy(model)
    assert twin.config == model.config and twin.topology.fingerprint == model.topology.fingerprint
    with torch.no_grad():
        twin.mean_face.add_(1.0)
    assert not torch.equal(twin.mean_face, model.mean_face)


def test_divergence_is_the_closed_form() -> None:
    mean, log_variance = torch.randn(5, 7), torch.randn(5, 7)
    normal = torch.distributions.Normal(mean, torch.exp(0.5 * log_variance))
    expected = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(kl_divergence(mean, log_variance), expected)


CELLS = {
    (True, True): {"neutral", "adversarial", "identity_code"},
    (True, False): {"neutral", "identity_code"},
    (False, True): {"adversarial", "identity_code", "smoothness"},
    (False, False): {"identity_code", "smoothness"},
}


@pytest.mark.parametrize("cell", CELLS)
def test_ablations_are_settings(cell: tuple[bool, bool]) -> None:
    """The paper's four cells differ in exactly the terms that the equations name."""
    data = planted().data
    model = AdversarialVAE(data.topology, data.expressions, 6, 5)
    model.prepare(data)
    settings = Settings(neutrals=cell[0], identity_discriminator=cell[1], batch_size=6)
    stage = joint_training(model, IdentityDiscriminator(), data, settings, None)
    batch = stage.batch(torch.Generator().manual_seed(0))
    assert (batch.neutral is not None) == cell[0]
    updates = dict(stage.step(batch, 0))
    assert ("discriminator" in updates) == cell[1]
    always = {"reconstruction", "divergence_identity", "divergence_expression"}
    assert set(updates["vae"]) == always | CELLS[cell]


def test_the_discriminator_gets_no_gradient_from_the_vae_and_the_reverse() -> None:
    data = planted().data
    model, discriminator = AdversarialVAE(data.topology, data.expressions, 6, 5), IdentityDiscriminator()
    stage = joint_training(model, discriminator, data, Settings(batch_size=6), None)
    step = stage.step(stage.batch(torch.Generator().manual_seed(0)), 0)
    _, losses = next(step)
    sum(losses.values()).backward()
    assert all(p.grad is None for p in model.parameters())
    for parameter in discriminator.parameters():
        parameter.grad = None
    _, losses = next(step)
    losses["adversarial"].backward(retain_graph=True)
    assert all(p.grad is None for p in discriminator.parameters())
    assert all(p.grad is not None for p in model.decoders["identity"].parameters())
    assert all(p.grad is None for p in model.decoders["expression"].parameters())


def test_weights_scale_their_terms() -> None:
    data = planted().data
    model = AdversarialVAE(data.topology, data.expressions, 6, 5)
    values = []
    base = Settings(batch_size=6, identity_discriminator=False, expression_offset=1.0)
    for settings in (base, replace(base, reconstruction=300.0, divergence=6e-5, identity_code=2e-2)):
        torch.manual_seed(3)
        stage = joint_training(model, IdentityDiscriminator(), data, settings, None)
        values.append(dict(stage.step(stage.batch(torch.Generator().manual_seed(0)), 0))["vae"])
    for name, value in values[0].items():
        torch.testing.assert_close(values[1][name], 2 * value, msg=name)


def test_the_divisor_changes_the_start_and_not_the_objective() -> None:
    """The same face in millimeters costs the same; untrained decoders are as rough as their unit is large."""
    data = planted().data
    fine, coarse = (AdversarialVAE(data.topology, data.expressions, 6, 5, divisor=d) for d in (100.0, 573.0))
    for model in (fine, coarse):
        model.prepare(data)
        for decoder in model.decoders.values():
            nn.init.zeros_(decoder[2].weight), nn.init.constant_(decoder[2].bias, 3.0 / model.unit)
    terms = []
    for model in (fine, coarse):
        settings = Settings(batch_size=6, identity_discriminator=False, identity_code=0.0, smoothness=0.1)
        stage = joint_training(model, IdentityDiscriminator(), data, settings, None)
        losses = dict(stage.step(stage.batch(torch.Generator().manual_seed(0)), 0))["vae"]
        terms.append({name: losses[name] for name in ("reconstruction", "neutral", "smoothness")})
    for name, value in terms[0].items():
        torch.testing.assert_close(terms[1][name], value, rtol=1e-4, atol=1e-6, msg=name)
    start = [AdversarialVAE(data.topology, data.expressions, 6, 5, divisor=d) for d in (100.0, 573.0)]
    rough = [(m.neutral_face(m.sample(64)) - m.mean_face).std() / m.unit for m in start]
    assert abs(rough[1] / rough[0] - 1).item() < 0.2


def test_layers_of_the_discriminator_that_joint_training_keeps_still() -> None:
    """As most runs of the paper, as its run on CoMA with neutrals, and each half of that alone."""
    pairs = torch.randn(4, 30, 6)
    for batch_norm, dropout in ((False, False), (True, True), (True, False), (False, True)):
        discriminator = IdentityDiscriminator().train()
        discriminator.settle(batch_norm, dropout)
        before = [
            norm.running_mean.clone() for norm in discriminator.modules() if hasattr(norm, "running_mean")
        ]
        logits = [discriminator(pairs) for _ in range(2)]
        after = [norm.running_mean for norm in discriminator.modules() if hasattr(norm, "running_mean")]
        moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
        assert all(moved) if batch_norm else not any(moved)
        assert torch.allclose(*logits) is not dropout


def test_noise_on_what_the_discriminator_sees_fades_geometrically() -> None:
    mesh = torch.zeros(1, 40_000, 3)
    settings = Settings(
        discriminator_noise=20.0, discriminator_noise_last=2.0, discriminator_noise_until=1000
    )
    for index, expected in ((0, 20.0), (500, 40.0**0.5), (1000, 2.0), (5000, 2.0)):
        (seen,) = shown([mesh], settings, 573.0, index)
        assert float(seen.std()) * 573 == pytest.approx(expected, rel=0.02)
    (same,) = shown([mesh], Settings(discriminator_noise=3.0), 100.0, 700)
    assert float(same.std()) * 100 == pytest.approx(3.0, rel=0.02)
    assert torch.equal(shown([mesh], Settings(), 100.0)[0], mesh)


def test_divergence_fades_where_the_preset_says() -> None:
    data = planted().data
    model = AdversarialVAE(data.topology, data.expressions, 6, 5)
    settings = Settings(batch_size=6, identity_discriminator=False, divergence_until=100)
    objective = Objective(model, IdentityDiscriminator(), settings)
    batch = joint_training(model, IdentityDiscriminator(), data, settings, None).batch(torch.Generator())
    torch.manual_seed(0)
    start = dict(objective.step(batch, 0))["vae"]["divergence_identity"]
    torch.manual_seed(0)
    half = dict(objective.step(batch, 50))["vae"]["divergence_identity"]
    torch.testing.assert_close(half, start / 2)


def test_second_encoding_leaves_running_statistics_alone() -> None:
    data = planted().data
    model = AdversarialVAE(data.topology, data.expressions, 6, 5)
    objective = Objective(model, IdentityDiscriminator(), Settings(identity_discriminator=False))
    before = [norm.running_mean.clone() for norm in model.features.norms]
    objective.code_distance(torch.zeros(4, 6), torch.randn(4, data.topology.vertex_count, 3))
    assert all(torch.equal(a, norm.running_mean) for a, norm in zip(before, model.features.norms))


def test_thinned_pairs_keep_correspondence() -> None:
    mesh = torch.arange(60.0).view(1, 20, 3)
    first, second = thin([mesh, mesh + 100], 7)
    assert first.shape == (1, 7, 3)
    torch.testing.assert_close(second - first, torch.full_like(first, 100))
    assert thin([mesh], None)[0] is mesh


def test_the_encoder_sees_only_the_chosen_vertices() -> None:
    data = planted().data
    model = AdversarialVAE(data.topology, data.expressions, encoder_points=16).eval()
    model.prepare(data)
    assert model.seen.tolist() == farthest_points(model.mean_face.numpy(), 16).tolist()
    vertices = torch.from_numpy(data[:4])
    hidden = torch.ones(data.topology.vertex_count, dtype=torch.bool)
    hidden[model.seen] = False
    changed = vertices.clone()
    changed[:, hidden] += 5.0
    assert torch.equal(model.encode(vertices).identity, model.encode(changed).identity)
    changed[:, model.seen[3]] += 5.0
    assert not torch.equal(model.encode(vertices).identity, model.encode(changed).identity)


def test_more_points_than_vertices_are_all_vertices() -> None:
    model = AdversarialVAE(flat_topology(9), (), encoder_points=128)
    assert model.seen.tolist() == list(range(9))


def test_decoders_may_learn_slower() -> None:
    data = planted().data
    model = AdversarialVAE(data.topology, data.expressions)
    settings = Settings(rate=1e-3, decoder_rate=0.1, identity_discriminator=False)
    (stage,) = model.stages(data, settings)
    rate_of = {p: group["lr"] for group in stage.optimizers["vae"].param_groups for p in group["params"]}
    assert rate_of.keys() == set(model.parameters())
    slow = {p for p, rate in rate_of.items() if rate == pytest.approx(1e-4)}
    assert slow == set(model.decoders.parameters())


@pytest.mark.parametrize("neutrals", [True, False])
def test_the_finish_is_least_squares_on_the_features(neutrals: bool) -> None:
    data = planted().data
    torch.manual_seed(0)
    model = AdversarialVAE(data.topology, data.expressions, identity_size=8, expression_size=8)
    model.prepare(data)
    settings = Settings(
        neutrals=neutrals, identity_discriminator=False, steps=20, rate=1e-3, closed_form_start=True,
        closed_form_finish=40, batch_size=12,
    )  # fmt: skip
    (stage,) = model.stages(data, settings)
    assert stage.begin is not None and stage.finish is not None
    model.train()
    stage.begin()
    model.eval()
    faces = torch.from_numpy(data[:])
    shape = model.neutral_face(model.encode(faces))
    before = validation_errors(model, data, True)
    stage.finish()
    after = validation_errors(model, data, True)
    assert after["rec_avd_mesh"] < before["rec_avd_mesh"]
    if neutrals:
        assert after["neu_avd"] < before["neu_avd"]
        # Least squares with an intercept meets the mean of what it fits, here but for the draws.
        truth = torch.from_numpy(data.neutral_of(np.arange(len(data))))
        errors = model.neutral_face(model.encode(faces)) - truth
        assert errors.mean(0).norm(dim=1).mean() < 0.25 * errors.norm(dim=2).mean()
    else:
        torch.testing.assert_close(model.neutral_face(model.encode(faces)), shape)
