"""The decoupled GAN against its paper: sizes, codes, terms, pairs, missing labels, any number of factors."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures import planted, run_stage, tiny_data, tiny_topology
from torch.nn import functional

from mien.data.dataset import FaceDataset
from mien.data.displacement import mean_displacements
from mien.data.labels import hide_labels, labels_of
from mien.errors import BadSetting, UnknownName
from mien.fit import fit_landmarks
from mien.models.base import Stage
from mien.models.decoupled_gan.losses import DecouplingLosses, Settings
from mien.models.decoupled_gan.model import DecoupledGAN
from mien.models.decoupled_gan.networks import ImageDiscriminator, gradient_penalty
from mien.models.files import load_model, save_model
from mien.nn.average import follow
from mien.nn.laplacian import MeshLaplacian
from mien.topology import Topology

TINY: dict[str, Any] = {"identity_size": 6, "expression_size": 4, "noise_size": 2, "hidden": 48}
SMALL: dict[str, Any] = {"image_size": 16, "batch_size": 8}


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@lru_cache
def three_factors() -> FaceDataset:
    """48 faces with a viseme each; a third of the visemes and two thirds of the expressions are hidden."""
    data = tiny_data()
    row = np.arange(len(data))
    viseme = ((row + row // 6) % 3).astype(np.int32)  # every person says something else with an expression
    return dataclasses.replace(
        data, factors={"viseme": ("rest", "open", "round")}, classes={"viseme": viseme},
        labeled=data.labeled | {"viseme": viseme != 1, "expression": row % 3 == 0},
    )  # fmt: skip


def made(data: FaceDataset | None = None, **arguments: Any) -> DecoupledGAN:
    data = data or tiny_data()
    torch.manual_seed(0)
    model = DecoupledGAN(data.topology, data.expressions, **(TINY | arguments))
    model.prepare(data)
    return model


def stage_of(model: DecoupledGAN, data: FaceDataset | None = None, **settings: Any) -> Stage:
    (stage,) = model.stages(data or tiny_data(), Settings(**(SMALL | settings)))
    return stage


def losses_of(model: DecoupledGAN, data: FaceDataset | None = None, **settings: Any) -> DecouplingLosses:
    step: Any = stage_of(model, data, **settings).step
    return step.__self__


# ---- sizes


def test_paper_sizes() -> None:
    """The supplement's figure 12, at 22,129 vertices and 7 expressions."""
    strip = np.arange(22129 - 2)[:, None] + np.arange(3)
    topology = Topology("strip", strip, np.random.default_rng(0).normal(size=(22129, 3)))
    with torch.device("meta"):
        model = DecoupledGAN(topology, tuple("abcdef"))
    shapes = [tuple(p.shape) for p in model.parameters()]
    assert shapes == [(512, 85), (512,), (66387, 512), (66387,)]
    assert model.parameter_count == 85 * 512 + 512 + 512 * 66387 + 66387 == 34_100_563


def test_paper_sizes_of_the_discriminator() -> None:
    net = ImageDiscriminator({"identity": 300, "expression": 7}, 64)
    common, branch = (3 * 9 + 1) * 16 + (16 * 9 + 1) * 32, (32 * 9 + 1) * 64 + (64 * 9 + 1) * 128
    assert count(net.common) == common == 5088 and count(net.real.features) == branch == 92_352
    assert count(net) == common + 3 * branch + (2048 + 1) * (1 + 300 + 7)
    image, seen = torch.zeros(2, 3, 64, 64), []
    for layer in [*net.common, *net.real.features[:2]]:
        image = layer(image)
        seen.append(tuple(image.shape[1:]))
    assert seen == [(16, 32, 32), (32, 16, 16), (64, 8, 8), (128, 4, 4)]
    assert net.classes["expression"].features(torch.zeros(2, 32, 16, 16)).shape == (2, 2048)
    assert count(ImageDiscriminator({}, 128).real.head) == 128 * 64 + 1
    with pytest.raises(BadSetting, match="multiple of 16"):
        ImageDiscriminator({}, 40)


# ---- the generator


def test_faces_are_the_mean_face_plus_displacements() -> None:
    model, data = made(), tiny_data()
    np.testing.assert_allclose(model.mean_face, data[:].mean(axis=0), atol=1e-4)
    assert float(model.scale) == pytest.approx(
        np.sqrt(((data[:] - data[:].mean(axis=0)) ** 2).mean()), rel=1e-4
    )
    codes = model.sample(3, generator=torch.Generator().manual_seed(1))
    u = model.displacements(model.join(codes))
    torch.testing.assert_close(model.decode(codes), model.mean_face + model.scale * u, atol=1e-4, rtol=0)
    assert float(made(unit=10.0).scale) == 10.0


def test_missing_factors_are_at_their_mean() -> None:
    model = made(three_factors(), further=("viseme",), further_size=3)
    codes = model.sample(2)
    assert set(codes.others) == {"viseme", "noise"} and codes.others["viseme"].shape == (2, 3)
    bare = dataclasses.replace(codes, others={})
    still = codes.replace(viseme=torch.zeros(2, 3), noise=torch.zeros(2, 2))
    torch.testing.assert_close(model.decode(bare), model.decode(still))
    torch.testing.assert_close(model.split(model.join(codes)).others["noise"], codes.others["noise"])
    assert not model.join(model.origin(2)).any()


def test_labels_have_fixed_codes_that_are_saved(tmp_path: Path) -> None:
    model, data = made(), tiny_data()
    assert model.label_codes("identity").shape == (8, 6) and model.label_codes("expression").shape == (6, 4)
    model.calibrate(data)
    before = {name: value.clone() for name, value in model.named_buffers()}
    stage = stage_of(model)
    run_stage(stage, torch.Generator().manual_seed(0), 1)
    for name, value in model.named_buffers():
        assert torch.equal(value, before[name]), f"{name} was trained"
    save_model(model.eval(), tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert isinstance(again, DecoupledGAN)
    torch.testing.assert_close(again.label_codes("identity"), model.label_codes("identity"))
    with pytest.raises(UnknownName):
        model.label_codes("viseme")


def shown(model: DecoupledGAN, weights: torch.Tensor) -> torch.Tensor:
    """Named expressions of the mean person."""
    return model.decode(model.origin(len(weights)).replace(expression=model.express(weights))).detach()


def test_named_expressions_are_those_of_the_labels() -> None:
    data = planted(subjects=24).data
    model = made(data, hidden=64, expression_size=6)
    stage = stage_of(model, data, start="additive")
    assert stage.begin is not None
    stage.begin()
    model.eval().calibrate(data)
    names = torch.eye(len(data.expressions))
    rest = shown(model, 0 * names[:1])[0].numpy()
    first = np.unique(data.row_subject, return_index=True)[1]
    assert np.linalg.norm(rest - data.neutral_of(first).mean(axis=0), axis=1).mean() < 0.15
    moved, wanted = shown(model, names).numpy() - rest, mean_displacements(data)
    for found, mean in zip(moved, wanted, strict=True):
        assert np.linalg.norm(found - mean) < 0.15 * np.linalg.norm(mean)


def test_named_expressions_do_not_look_at_hidden_labels() -> None:
    data = planted(subjects=24, interaction=0.2, noise=0.05).data
    model = made(data, hidden=64)
    stage = stage_of(model, data, start="additive", expression_labels=0.5)
    assert stage.begin is not None
    stage.begin()
    model.eval().calibrate(data)
    visible = hide_labels(data, "expression", 0.5).row_labeled("expression")
    mixed = data.weights.copy()
    mixed[~visible] = np.roll(mixed[~visible], 1, axis=1)
    again = copy.deepcopy(model)
    again.calibrate(replace(data, weights=mixed))
    torch.testing.assert_close(again.calibration.offsets, model.calibration.offsets)
    again.label_share.fill_(1.0)
    again.calibrate(data)
    assert (again.calibration.offsets - model.calibration.offsets).abs().max() > 1e-3


def test_an_expression_without_labels_does_nothing() -> None:
    data = tiny_data().take(tiny_data().label != 1)
    model = made(data)
    model.calibrate(data)
    assert not model.calibration.offsets[1].any() and model.calibration.offsets[0].any()


def test_an_additive_start_has_the_spread_of_the_data() -> None:
    data = planted(subjects=24, interaction=0.1).data
    model = made(data, hidden=64)
    stage = stage_of(model, data, start="additive")
    assert stage.begin is not None
    stage.begin()
    faces = model.decode(model.sample(400, generator=torch.Generator().manual_seed(0))).detach()
    vertices = torch.from_numpy(data[:])
    ratio = float(faces.std(0).square().mean() / vertices.std(0).square().mean())
    assert 0.85 < ratio < 1.15
    a, b = (
        model.sample(2, generator=torch.Generator().manual_seed(1))
        .map(lambda x: x[:, None])
        .map(torch.unbind)
        .identity
    )
    zero = model.origin(1)
    face = [model.decode(zero.replace(identity=code)) - model.decode(zero) for code in (a, b, a + b)]
    torch.testing.assert_close(face[0] + face[1], face[2], atol=1e-3, rtol=0)
    # Identity codes move along what people differ in, and nothing else does.
    means = np.stack([data[data.row_subject == person].mean(axis=0) for person in range(24)])
    basis = np.linalg.svd((means - means.mean(axis=0)).reshape(24, -1), full_matrices=False)[2][:6]
    moved = face[0].detach().numpy().ravel()
    assert np.linalg.norm(moved - basis.T @ (basis @ moved)) < 1e-2 * np.linalg.norm(moved)


def test_an_additive_start_knows_further_factors() -> None:
    """Visemes of known shape: the codes of their labels make them, and expressions are free of them."""
    data, generator = three_factors(), np.random.default_rng(0)
    shapes = 4 * generator.normal(size=(3, *data.topology.template.shape)).astype(np.float32)
    shown = replace(
        data, vertices=data[:] + shapes[data.classes["viseme"]], labeled={"viseme": np.arange(48) % 5 != 0}
    )
    model = made(shown, further=("viseme",), further_size=3)
    stage = stage_of(model, shown, start="additive")
    assert stage.begin is not None
    stage.begin()
    still = model.origin(3)
    moved = model.decode(still.replace(viseme=model.label_codes("viseme"))) - model.decode(still)
    moved = moved.detach().numpy().reshape(3, -1)
    wanted = (shapes - shapes.mean(axis=0)).reshape(3, -1)
    likeness = np.corrcoef(moved, wanted)[:3, 3:]
    assert (likeness.argmax(axis=1) == [0, 1, 2]).all() and likeness.diagonal().min() > 0.3
    basis = np.linalg.svd(wanted, full_matrices=False)[2][:2]
    for factor, share in (("viseme", 0.95), ("expression", 0.0)):
        codes = model.origin(20).replace(**{factor: torch.randn(20, model.sizes[factor])})
        change = (model.decode(codes) - model.decode(model.origin(20))).detach().numpy().reshape(20, -1)
        found = np.square(change @ basis.T).sum() / np.square(change).sum()
        assert abs(found - share) < 0.08


# ---- codes of a step


def test_pairs_share_one_factor_and_differ_in_the_label_of_the_other() -> None:
    model = made()
    objective = losses_of(model)
    assert objective.modes == [("identity", "expression"), ("expression", "identity")]
    torch.manual_seed(3)
    z, labels = objective.draw(400, ("identity", "expression"))
    codes = model.split(z)
    assert labels is not None and torch.equal(codes.identity, model.label_codes("identity")[labels])
    assert (labels[::2] != labels[1::2]).all() and torch.bincount(labels).min() > 25
    assert torch.equal(codes.expression[::2], codes.expression[1::2])
    assert not torch.equal(codes.expression[0], codes.expression[2])
    assert (codes.others["noise"][::2] != codes.others["noise"][1::2]).all()
    assert abs(float(codes.expression.std()) - 1) < 0.1


def test_three_updates_of_the_discriminator_then_one_of_the_generator() -> None:
    model = made()
    stage = stage_of(model)
    batch = stage.batch(torch.Generator().manual_seed(0))
    assert len(batch.vertices) == 24 and batch.labels is not None and batch.labels.shape == (24, 2)
    for index, terms in (
        (0, {"label_identity", "feature_expression"}),
        (1, {"label_expression", "feature_identity"}),
    ):
        updates = list(stage.step(batch, index))
        assert [name for name, _ in updates] == ["discriminator"] * 3 + ["generator"]
        assert set(updates[0][1]) == {"critic", "real_identity", "real_expression", "gradient_penalty"}
        assert set(updates[-1][1]) == {"adversarial", "laplacian"} | terms
    lazy = [
        set(u) for n, u in stage_of(model, gradient_penalty_every=4).step(batch, 1) if n == "discriminator"
    ]
    assert ["gradient_penalty" in terms for terms in lazy] == [False, True, False]  # updates 3, 4 and 5


def test_each_player_moves_alone() -> None:
    model = made()
    stage = stage_of(model)
    objective: Any = stage.step.__self__  # type: ignore[attr-defined]
    for name, losses in stage.step(stage.batch(torch.Generator().manual_seed(0)), 0):
        for module in (model, objective.discriminator):
            module.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        mine, other = (
            (model, objective.discriminator) if name == "generator" else (objective.discriminator, model)
        )
        assert all(p.grad is None for p in other.parameters())
        moved = {key: p.grad is not None and bool(p.grad.any()) for key, p in mine.named_parameters()}
        # The critic's own bias cancels between real and generated faces.
        assert {key for key, value in moved.items() if not value} <= {"real.head.bias"}


# ---- terms


def test_terms_are_those_of_the_paper() -> None:
    """Recomputed from scratch without noise; the class weights are N / (classes N_c)."""
    data = hide_labels(tiny_data(), "expression", 0.5)
    model = made(data)
    objective = losses_of(model, data, instance_noise=0.0, start="random")
    net, settings = objective.discriminator, objective.settings
    torch.manual_seed(5)
    losses = objective.deceive(8, ("expression", "identity"), 0.0)
    torch.manual_seed(5)
    z, labels = objective.draw(8, ("expression", "identity"))
    assert labels is not None
    u = model.displacements(z)
    common = net.common(objective.mapping(u))
    torch.testing.assert_close(losses["adversarial"], -net.real(common).mean())
    chance = net.classes["expression"](common).log_softmax(1)
    torch.testing.assert_close(losses["label_expression"], -chance[torch.arange(8), labels].mean())
    f = net.classes["identity"].features(common)
    f = f / f.norm(dim=1, keepdim=True)
    unlike = 2 / 8 * (1 - (f[::2] * f[1::2]).sum(1)).sum()
    torch.testing.assert_close(losses["feature_identity"], settings.feature * unlike, atol=1e-6, rtol=1e-4)
    smooth = (objective.laplacian.matrix.to_dense() @ u).square().sum(2).mean()
    torch.testing.assert_close(losses["laplacian"], 100 * smooth)
    rows = np.arange(16)
    shown, known = labels_of(data, "expression"), torch.from_numpy(labels_of(data, "expression").index[rows])
    real = objective.mapping((torch.from_numpy(data[rows]) - model.mean_face) / model.scale)
    seen = [objective.columns.index(name) for name in ("identity", "expression")]
    assert seen == [0, 1]
    table = torch.stack([torch.from_numpy(labels_of(data, "identity").index[rows]), known], dim=1)
    judged = objective.discriminate(torch.from_numpy(data[rows]), table, 0.0, True)
    has = known >= 0
    counts = np.bincount(shown.index[shown.index >= 0])
    weight = torch.tensor(counts.sum() / (len(counts) * counts), dtype=torch.float32).clamp(0.1, 10)
    chance = net.classes["expression"](net.common(real))[has].log_softmax(1)[
        torch.arange(int(has.sum())), known[has]
    ]
    torch.testing.assert_close(judged["real_expression"], 0.1 * -(weight[known[has]] * chance).mean())


def test_faces_without_a_label_leave_the_classifiers_alone() -> None:
    model, data = made(), tiny_data()
    objective = losses_of(model, instance_noise=0.0)
    vertices, none = torch.from_numpy(data[:8]), torch.full((8, 2), -1)
    some = none.clone()
    some[0] = torch.tensor([2, 3])
    first = objective.discriminate(vertices, some, 0.0, False)
    changed = vertices.clone()
    changed[1:] += 5
    second = objective.discriminate(changed, some, 0.0, False)
    torch.testing.assert_close(first["real_identity"], second["real_identity"])
    torch.testing.assert_close(first["real_expression"], second["real_expression"])
    without = objective.discriminate(vertices, none, 0.0, False)
    assert without["real_identity"].item() == without["real_expression"].item() == 0.0
    torch.stack(list(without.values())).sum().backward()


def test_seven_percent_of_the_labels_are_enough() -> None:
    data = planted(subjects=20).data
    stage = stage_of(made(data), data, expression_labels=0.07)
    batch = stage.batch(torch.Generator().manual_seed(0))
    assert batch.labels is not None and (batch.labels[:, 0] >= 0).all()
    everything = stage_of(made(data), data, expression_labels=0.07, batch_size=40).batch
    labels = everything(torch.Generator().manual_seed(0)).labels
    assert labels is not None and int((labels[:, 1] >= 0).sum()) == round(0.07 * len(data))
    for _, losses in stage.step(batch, 0):
        assert all(torch.isfinite(value) for value in losses.values())


def test_the_penalty_of_a_linear_critic_is_known() -> None:
    slope = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0))
    real, fake = torch.randn(2, 5, 3, 4, 4)
    penalty = gradient_penalty(lambda x: (x * slope).sum((1, 2, 3)), real, fake)
    torch.testing.assert_close(penalty, (slope.norm() - 1).square())


def test_the_laplacian_ignores_shifts_and_matches_cotangents() -> None:
    topology = tiny_topology()
    layer = MeshLaplacian(topology, cotangent_of=topology.template)
    matrix = layer.matrix.to_dense()
    torch.testing.assert_close(matrix, matrix.T)
    assert (matrix - torch.diag(matrix.diag())).max() <= 0
    shift = torch.tensor([3.0, -2, 1]).expand(1, topology.vertex_count, 3)
    assert layer(shift).abs().max() < 1e-4
    a, b = topology.faces[0][:2]
    corners = [set(face) - {a, b} for face in topology.faces.tolist() if {a, b} <= set(face)]
    weight = 0.0
    for corner in corners:
        u, v = (topology.template[i].astype(float) - topology.template[next(iter(corner))] for i in (a, b))
        weight += 0.5 * u @ v / np.linalg.norm(np.cross(u, v))
    assert float(matrix[a, b]) == pytest.approx(-max(weight, 0), abs=1e-4)


# ---- configuration


def test_ablations_leave_terms_out() -> None:
    model, data = made(), tiny_data()
    batch = stage_of(model).batch(torch.Generator().manual_seed(0))
    for options, missing in (
        ({"classify": ["identity"]}, {"real_expression", "feature_expression", "label_expression"}),
        ({"classify": ["expression"]}, {"real_identity", "feature_identity", "label_identity"}),
        ({"feature": 0.0}, {"feature_identity", "feature_expression"}),
        ({"laplacian": 0.0}, {"laplacian"}),
    ):  # fmt: skip
        step = stage_of(model, **options).step
        seen = {term for index in (0, 1) for _, losses in step(batch, index) for term in losses}
        full = {"critic", "gradient_penalty", "adversarial", "laplacian"}
        full |= {
            f"{kind}_{name}" for kind in ("real", "label", "feature") for name in ("identity", "expression")
        }
        assert seen == full - missing
    with pytest.raises(UnknownName, match="did you mean 'expression'"):
        stage_of(model, classify=["expresion"])
    with pytest.raises(UnknownName, match="additive"):
        stage_of(model, start="warm")
    positions = losses_of(model, positions=True, instance_noise=0.0)
    shown = positions._image(torch.zeros(1, data.topology.vertex_count, 3), 0.0)
    torch.testing.assert_close(shown, positions.mapping((model.mean_face / model.scale)[None]))


def test_noise_can_fade_and_the_model_can_follow() -> None:
    model = made()
    objective = losses_of(model, instance_noise=0.2, instance_noise_end=0.0, steps=11)
    assert [round(objective._noise(i), 3) for i in (0, 5, 10)] == [0.2, 0.1, 0.0]
    torch.manual_seed(0)
    image = objective._image(torch.zeros(64, 120, 3), 0.3)
    assert float(image.std()) == pytest.approx(0.3, rel=0.05)
    averaged = losses_of(model, average=0.75)
    assert averaged.generator is not model
    before = [p.clone() for p in model.parameters()]
    with torch.no_grad():
        for parameter in averaged.generator.parameters():
            parameter += 1
    follow(model, averaged.generator, 0.75)
    for old, new in zip(before, model.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.25)


def test_a_single_class_has_no_classifier_and_says_so() -> None:
    data = tiny_data().take(tiny_data().is_neutral)
    with pytest.warns(UserWarning, match="expression has 1 labeled classes"):
        objective = losses_of(made(data), data)
    assert list(objective.discriminator.classes) == ["identity"]
    losses = objective.deceive(4, ("expression", "identity"), 0.1)
    assert "label_expression" not in losses and "feature_identity" in losses


def test_three_factors_with_partial_labels() -> None:
    data = three_factors()
    model = made(data, further=("viseme",), further_size=3)
    assert model.class_names("viseme") == ("rest", "round")  # "open" is never labeled
    assert model.label_codes("viseme").shape == (2, 3)
    objective = losses_of(model, data)
    assert len(objective.modes) == 6 and ("viseme", "expression") in objective.modes
    assert count(objective.discriminator.classes["viseme"].head) == 2 * 129
    stage = stage_of(model, data)
    seen = {
        term
        for index in range(6)
        for _, losses in stage.step(stage.batch(torch.Generator().manual_seed(index)), index)
        for term in losses
    }
    assert {"real_viseme", "label_viseme", "feature_viseme"} <= seen
    z, labels = objective.draw(12, ("viseme", "identity"))
    codes = model.split(z)
    assert labels is not None and torch.equal(codes.others["viseme"], model.label_codes("viseme")[labels])
    assert torch.equal(codes.identity[::2], codes.identity[1::2])
    assert not torch.equal(codes.expression[::2], codes.expression[1::2])


def test_landmarks_are_fitted_by_the_papers_objective() -> None:
    """Equation 13, with the squared code itself: no step from where the fit ends lowers it."""
    model, data = made().eval(), tiny_data()
    with torch.no_grad():
        model.generator[2].weight.mul_(8)  # faces as different as people are
    model.calibrate(data)
    places = data.topology.landmarks
    goal, corners = places.positions(data[7]), torch.from_numpy(places.corners).long()

    def objective(z: torch.Tensor, weight: float) -> torch.Tensor:
        shown = (model.decode(model.split(z))[:, corners] * torch.from_numpy(places.weights)[..., None]).sum(
            2
        )
        return (shown - torch.from_numpy(goal)).square().sum((1, 2)) + weight * z.square().sum(1)

    generator = torch.Generator().manual_seed(0)
    for weight in (0.01, 10.0):
        _, codes, _ = fit_landmarks(model, goal, places.names, prior_weight=weight, steps=100)
        z = model.join(codes)
        near = z + 0.02 * torch.randn(2000, 12, generator=generator)
        least = float(objective(z, weight).detach())
        assert float(objective(near, weight).detach().min()) > least - 1e-4 * least
        assert least < 0.8 * float(objective(torch.zeros(1, 12), weight).detach())
    free = fit_landmarks(model, goal, places.names, prior_weight=0.0, steps=100)
    tied = fit_landmarks(model, goal, places.names, prior_weight=1e6, steps=100)
    assert free[2] < 0.9 * tied[2] and float(model.join(tied[1]).norm()) < 0.05


def rightly_named(model: DecoupledGAN, data: FaceDataset) -> float:
    """Share of faces, made from the codes of labels on people who do not exist, that move as labeled."""
    codes = model.sample(20, generator=torch.Generator().manual_seed(1))
    axes = torch.from_numpy(planted(subjects=16).expression_axes).float().flatten(1)
    *named, neutral = (
        model.decode(codes.replace(expression=code.expand(20, -1)))
        for code in model.label_codes("expression")
    )
    right = []
    for number in range(len(data.expressions)):
        moved = named[number] - neutral
        right.append((moved.flatten(1) @ functional.normalize(axes, dim=1).T).argmax(1) == number)
    return float(torch.stack(right).float().mean())


def diversity(faces: torch.Tensor) -> float:
    half = len(faces) // 2
    return float((faces[:half] - faces[half : 2 * half]).norm(dim=2).mean())


def test_training_teaches_the_labels_and_keeps_the_diversity() -> None:
    data = planted(subjects=16).data
    model = made(data, hidden=64)
    stage = stage_of(model, data, start="additive", batch_size=16, steps=50, rate=2e-3, laplacian=0.0)
    assert stage.begin is not None
    stage.begin()
    before = rightly_named(model, data)
    generator = torch.Generator().manual_seed(0)
    run_stage(stage, generator)
    assert rightly_named(model, data) >= before + 0.2  # one in five by chance
    made_up = model.decode(model.sample(400, generator=torch.Generator().manual_seed(2))).detach()
    real = torch.from_numpy(data[:])[torch.randperm(len(data), generator=generator)]
    assert diversity(made_up) > 0.8 * diversity(real)
