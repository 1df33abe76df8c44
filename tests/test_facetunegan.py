"""FaceTuneGAN against its paper: sizes, equations, who gets which gradient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fixtures import tiny_data
from torch import Tensor

from mien.data.sampling import Batch, style_pairs
from mien.errors import UnknownName
from mien.models.facetunegan.losses import Settings, TranslationLosses, style_classes
from mien.models.facetunegan.model import FaceTuneGAN
from mien.models.facetunegan.networks import StyleDiscriminator, StyleParameters
from mien.nn.spiral_blocks import standardized
from mien.topology import Topology

COMA = {"content_size": 4, "style_size": 4, "channels": (32, 32, 32, 64), "mapping": (128, 128, 16)}
FACESCAPE = {
    "content_size": 20,
    "style_size": 5,
    "channels": (32, 32, 32, 64, 64),
    "mapping": (256,) * 6 + (16,),
}
TINY = {"content_size": 6, "style_size": 3, "channels": (8, 16), "mapping": (12,)}


def strip(count: int) -> Topology:
    template = np.column_stack([np.arange(count), np.arange(count) % 2, np.zeros(count)])
    faces = np.stack([np.arange(count - 2), np.arange(count - 2) + 1, np.arange(count - 2) + 2], axis=1)
    return Topology("strip", faces, template.astype(np.float32))


def linear(*sizes: int) -> int:
    return sum(a * b + b for a, b in zip(sizes, sizes[1:], strict=False))


@pytest.mark.parametrize(
    ("vertices", "coarsest", "options", "classes"), [(5023, 20, COMA, 17), (26317, 26, FACESCAPE, 20)]
)
def test_parameters_at_the_papers_sizes(vertices: int, coarsest: int, options: dict, classes: int) -> None:
    names = tuple(f"expression_{k}" for k in range(classes - 1))
    model = FaceTuneGAN(strip(vertices), names, **options, coarsest=coarsest)
    wide = (3, *options["channels"])
    conv = {(a, b): 9 * a * b + b for a in (3, 32, 64) for b in (3, 32, 64)}
    down = sum(conv[pair] for pair in zip(wide, wide[1:], strict=False))
    flat = coarsest * 64
    assert sum(p.numel() for p in model.content.parameters()) == (
        down + 4 * conv[64, 64] + linear(flat, 128, options["content_size"])
    )
    assert sum(p.numel() for p in model.style.parameters()) == down + linear(64, 64, options["style_size"])
    raised = (64, *reversed(options["channels"]))
    up = sum(conv[pair] for pair in zip(raised, raised[1:], strict=False))
    assert sum(p.numel() for p in model.decoder.parameters()) == (
        linear(options["content_size"], flat) + 4 * conv[64, 64] + up + conv[32, 3]
    )
    mapping = linear(
        options["style_size"], *options["mapping"], 640
    )  # N_A: five layers of 64, scale and shift
    assert sum(p.numel() for p in model.mapping.parameters()) == mapping
    parameters = sum(p.numel() for p in StyleDiscriminator(model).parameters())
    assert parameters == down + linear(flat, classes)


def test_full_profile_is_the_papers_schedule() -> None:
    settings = Settings()
    assert (settings.rate, settings.weight_decay, settings.batch_size) == (1e-4, 5e-5, 8)
    weights = (
        settings.adversarial,
        settings.feature,
        settings.style,
        settings.reconstruction,
        settings.cycle,
    )
    assert weights == (1, 1, 0.4, 1, 1) and FaceTuneGAN.profiles["full"] == {}


def test_adain_takes_scale_and_shift_in_turn() -> None:
    torch.manual_seed(0)
    h, y = 3 + 5 * torch.randn(2, 50, 4), torch.randn(2, 16)
    style = StyleParameters(y)
    first, second = style.apply(h), style.apply(h)
    plain = standardized(h)
    torch.testing.assert_close(plain.mean(1), torch.zeros(2, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(plain.var(1, correction=0), torch.ones(2, 4), atol=1e-4, rtol=0)
    torch.testing.assert_close(first.mean(1), y[:, 4:8], atol=1e-4, rtol=0)
    torch.testing.assert_close(second.std(1, correction=0), (1 + y[:, 8:12]).abs(), atol=1e-3, rtol=0)


def test_classes_of_weights() -> None:
    weights = torch.tensor([[0.2, 0.9, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    assert style_classes(weights).tolist() == [1, 3, 0]


def setting(**changes: object) -> tuple[FaceTuneGAN, TranslationLosses, Batch]:
    torch.manual_seed(0)
    data = tiny_data()
    model = FaceTuneGAN(data.topology, data.expressions, **TINY)
    model.prepare(data)
    settings = replace(Settings(), **changes)
    batch = style_pairs(data, 6)(torch.Generator().manual_seed(0))
    return (
        model,
        TranslationLosses(model, model, StyleDiscriminator(model, settings.feature_of), settings),
        batch,
    )


def played(**changes: object) -> dict[str, dict[str, Tensor]]:
    return dict(setting(**changes)[1].step(setting(**changes)[2], 0))


def test_terms_are_the_papers() -> None:
    losses = played()
    assert set(losses["discriminator"]) == {"discriminator", "gradient_penalty"}
    terms = {"reconstruction", "style", "cycle", "smoothness", "adversarial", "feature"}
    assert set(losses["generator"]) == terms
    doubled = played(style=0.8, cycle=2.0, smoothness=0.2, feature=2.0, adversarial=2.0, reconstruction=2.0)
    for name in terms:
        torch.testing.assert_close(doubled["generator"][name], 2 * losses["generator"][name])
    lazily = played(gradient_penalty_every=8)["discriminator"]["gradient_penalty"]
    torch.testing.assert_close(lazily, 8 * losses["discriminator"]["gradient_penalty"])


def test_the_penalty_falls_by_equal_ratios_to_its_end() -> None:
    objective = setting(gradient_penalty=10.0, gradient_penalty_end=0.1, steps=101)[1]
    np.testing.assert_allclose([objective.penalty(index) for index in (0, 50, 100)], [10.0, 1.0, 0.1])
    steady = setting(gradient_penalty=10.0, steps=101)[1]
    assert steady.penalty(0) == steady.penalty(100) == 10.0


def test_players_do_not_train_each_other() -> None:
    model, objective, batch = setting()
    for name, losses in objective.step(batch, 0):
        model.zero_grad(), objective.discriminator.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        touched = {
            "discriminator": any(p.grad is not None for p in objective.discriminator.parameters()),
            "generator": any(p.grad is not None for p in model.parameters()),
        }
        assert touched == {"discriminator": name == "discriminator", "generator": name == "generator"}


def test_penalty_is_the_squared_gradient_of_the_right_class() -> None:
    model, objective, batch = setting()
    x, s = (model.normalize(v) for v in (batch.vertices, batch.partner))
    classes = style_classes(batch.partner_weights)
    penalty = objective.discriminate(x, s, classes, 0)["gradient_penalty"]
    squares = []
    for row in range(len(s)):
        face = s[row : row + 1].clone().requires_grad_()
        objective.discriminator(face)[0][0, classes[row]].backward()
        squares.append(face.grad.square().sum())
    torch.testing.assert_close(penalty, 10 / 2 * torch.stack(squares).mean())


def test_training_starts_near_plain_instance_norm() -> None:
    """Scales and shifts of full size would be noise that training silences by killing the units of M."""
    data = tiny_data()
    model = FaceTuneGAN(data.topology, data.expressions, **{**TINY, "mapping": (256,) * 6 + (16,)})
    assert model.mapping(torch.randn(200, 3)).abs().mean().item() < 0.2


def test_style_learns_by_adam_at_its_own_rate() -> None:
    data = tiny_data()
    model = FaceTuneGAN(data.topology, data.expressions, **TINY)
    model.prepare(data)
    for kind in ("adam", "muon"):
        settings = Settings(optimizer=kind, rate=3e-3, style_rate=1e-3, average=0.0, batch_size=4)
        (stage,) = model.stages(data, settings)
        rates = {
            id(p): group["lr"]
            for group in stage.optimizers["generator"].param_groups
            for p in group["params"]
        }
        own = {id(p) for part in (model.style, model.mapping) for p in part.parameters()}
        assert all(rate == (1e-3 if key in own else 3e-3) for key, rate in rates.items())
        assert len(rates) == len(list(model.parameters()))


def test_reconstruction_alone_comes_first() -> None:
    _, objective, batch = setting(reconstruction_first=1)
    assert [name for name, _ in objective.step(batch, 0)] == ["generator"]
    assert [name for name, _ in objective.step(batch, 1)] == ["discriminator", "generator"]


def test_the_model_is_a_moving_average() -> None:
    data = tiny_data()
    model = FaceTuneGAN(data.topology, data.expressions, **TINY)
    model.prepare(data)
    (stage,) = model.stages(data, Settings(average=0.75, batch_size=4))
    trained = stage.modules["generator"]
    before = [p.clone() for p in model.parameters()]
    for _, losses in stage.step(stage.batch(torch.Generator().manual_seed(0)), 0):
        for optimizer in stage.optimizers.values():
            optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        for optimizer in stage.optimizers.values():
            optimizer.step()
    moved = 0.0
    for old, average, new in zip(before, model.parameters(), trained.parameters(), strict=True):
        torch.testing.assert_close(average, 0.75 * old + 0.25 * new)
        moved += float((new - old).abs().sum().detach())
    assert moved > 0
    (plain,) = model.stages(data, Settings(average=0.0, batch_size=4))
    assert plain.modules["generator"] is model


def test_variational_codes_are_means_and_are_pulled_to_normal() -> None:
    data = tiny_data()
    model = FaceTuneGAN(data.topology, data.expressions, **TINY, variational=True)
    model.prepare(data)
    codes = model.encode(torch.from_numpy(data[:3]))
    assert codes.identity.shape == (3, 6) and codes.expression.shape == (3, 3)
    assert torch.equal(codes.identity, model.encode(torch.from_numpy(data[:3])).identity)
    objective = TranslationLosses(model, model, StyleDiscriminator(model), Settings(divergence=1.0))
    losses = dict(objective.step(style_pairs(data, 4)(torch.Generator().manual_seed(0)), 0))
    assert float(losses["generator"]["divergence"].detach()) > 0


def test_style_faces_are_drawn_evenly() -> None:
    data = tiny_data()
    batch = style_pairs(data, 6000)(torch.Generator().manual_seed(0))
    counts = torch.bincount(style_classes(batch.partner_weights), minlength=len(data.expressions) + 1)
    assert (counts / 6000 - 1 / (len(data.expressions) + 1)).abs().max() < 0.02


def test_switches_of_the_sheet_do_what_they_say() -> None:
    _, objective, batch = setting()
    x = objective.model.normalize(batch.vertices)
    objective.settings = Settings(smoothness_of="change")
    assert float(objective.roughness(x, x)) == 0
    torch.testing.assert_close(objective.roughness(2 * x, x), objective.laplacian(x).norm(dim=2).mean())
    sample, mean = (
        played(gradient_penalty_reduction=kind)["discriminator"]["gradient_penalty"]
        for kind in ("sample", "batch_mean")
    )
    torch.testing.assert_close(sample, mean * len(x) ** 2)
    by_vertex = played(feature_of="vertex")["generator"]["feature"]
    assert by_vertex > played()["generator"]["feature"]  # a mean over vertices hides what cancels
    with pytest.raises(UnknownName, match="hinge"):
        Settings(gan="hinges")


def test_networks_without_norm_and_without_pooling() -> None:
    data = tiny_data()
    plain, changed = (
        FaceTuneGAN(data.topology, data.expressions, **TINY, content_norm=norm, style_pooled=norm)
        for norm in (True, False)
    )
    coarsest = plain.config["coarsest"]
    extra = sum(p.numel() for p in changed.style.parameters()) - sum(
        p.numel() for p in plain.style.parameters()
    )
    assert extra == 64 * 16 * (coarsest - 1)
    for model, blind in ((plain, True), (changed, False)):
        model.prepare(data)
        x = model.normalize(torch.from_numpy(data[:2]))
        once, thrice = (model.content.down(k * x, model.levels) for k in (1, 3))
        # Instance norm cannot see how large the deviation is (the first layer is linear).
        assert (float((once - thrice).abs().max()) < 0.05) == blind


def test_each_vertex_by_its_own_deviation() -> None:
    data = tiny_data()
    model = FaceTuneGAN(data.topology, data.expressions, **TINY, vertex_deviation=True)
    model.prepare(data)
    x = model.normalize(torch.from_numpy(data[:])).double()
    variance = x.var(0, correction=0)
    assert variance.max() < 1.01
    assert ((variance - 1).abs() < 1e-2).double().mean() > 0.5
    codes = model.encode(torch.from_numpy(data[:2]))
    assert model.decode(codes).shape == (2, data.topology.vertex_count, 3)
