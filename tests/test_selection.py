"""Linear judges of a generator: axes with closed forms, and models with known faults."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fixtures import planted

from mien.data.labels import hide_labels, labels_of
from mien.models.decoupled_gan.losses import Settings, falling
from mien.models.decoupled_gan.model import DecoupledGAN
from mien.models.decoupled_gan.selection import CheckpointSelector, discriminant, same_distance

FACTORS = ("identity", "expression")
SMALL = {"image_size": 16, "batch_size": 8, "start": "additive"}


def test_two_classes_are_told_apart_along_fishers_direction() -> None:
    generator = np.random.default_rng(0)
    root = np.array([[3.0, 0, 0], [2, 1, 0], [0, -1, 0.3]])
    label = np.arange(4000) % 2
    points = generator.normal(size=(4000, 3)) @ root.T + np.array([[0, 0, 0], [1.0, 2, -1]])[label]
    axes, means = discriminant(points, label, shrinkage=0)
    centers = np.stack([points[label == k].mean(axis=0) for k in (0, 1)])
    within = np.cov(points - centers[label], rowvar=False, bias=True)
    wanted = np.linalg.solve(within, centers[1] - centers[0])
    assert axes.shape == (3, 1) and means.shape == (2, 1)
    assert abs(axes[:, 0] @ wanted) == pytest.approx(np.linalg.norm(axes) * np.linalg.norm(wanted), rel=1e-5)
    assert float(axes[:, 0] @ within @ axes[:, 0]) == pytest.approx(1, rel=1e-4)
    # Mahalanobis' distance of both means.
    apart = float(np.sqrt((centers[1] - centers[0]) @ wanted))
    assert abs(float(means[1, 0] - means[0, 0])) == pytest.approx(apart, rel=1e-4)
    tied = discriminant(points, label, shrinkage=1.0)[0][:, 0]
    assert abs(tied @ (centers[1] - centers[0])) == pytest.approx(
        np.linalg.norm(tied) * np.linalg.norm(centers[1] - centers[0]), rel=1e-5
    )  # the plain direction between the means when all directions count the same


def test_the_distance_of_what_counts_as_the_same() -> None:
    label = np.repeat(np.arange(100), 2)
    points = np.zeros((200, 2), np.float32)
    points[:, 0] = 1000 * label
    points[::2, 1] = np.arange(1, 101)  # pairs are 1, 2, ... 100 apart
    for share, wanted in ((0.0, 1.0), (0.5, 50.5), (1.0, 100.0)):
        assert same_distance(points, label, share) == pytest.approx(wanted)
    assert same_distance(points, np.arange(200)) == 0.0


@pytest.fixture(scope="module")
def judged() -> tuple[DecoupledGAN, CheckpointSelector]:
    """A model that starts as the truth behind its data, and who judges it by a third of the labels."""
    data = planted(subjects=24).data
    torch.manual_seed(0)
    model = DecoupledGAN(data.topology, data.expressions, 6, 5, 2, hidden=64)
    model.prepare(data)
    (stage,) = model.stages(data, Settings(**SMALL, validate_every=10, expression_labels=0.5))
    assert stage.begin is not None and stage.validate is not None and stage.validate_every == 10
    stage.begin()
    shown = hide_labels(data, "expression", 0.5)
    selector = CheckpointSelector(shown, {name: labels_of(shown, name) for name in FACTORS}, FACTORS, size=12)
    values = stage.validate()
    assert next(iter(values)) == "confusion"
    named = {"diversity", "apart_identity", "apart_expression", "named_expression"}
    assert set(values) == {"confusion", *named}
    assert values["confusion"] == pytest.approx(np.mean([values[name] for name in named]))
    return model, selector


def fault(model: DecoupledGAN, change: str) -> DecoupledGAN:
    """The model with a known fault in its weights."""
    wrong = DecoupledGAN(model.topology, model.expressions, 6, 5, 2, hidden=64)
    for factor in FACTORS:
        codes = torch.zeros_like(model.label_codes(factor))
        setattr(wrong, f"label_codes_{factor}", codes)
    wrong.load_state_dict(model.state_dict())
    first, last = wrong.generator[0], wrong.generator[2]
    with torch.no_grad():
        if change == "collapsed":
            last.weight.zero_()
        if change == "half as far":
            last.weight.mul_(0.5)
        if change == "forgets who":  # noise in the place of two numbers of the identity code
            first.weight[:, 11:13] = first.weight[:, 0:2]
            first.weight[:, 0:2] = 0
        if change == "mixes labels":
            wrong.label_codes_expression.copy_(model.label_codes("expression").roll(1, 0))
    return wrong


def test_faults_are_told_by_their_own_numbers(judged) -> None:
    model, selector = judged
    before = torch.get_rng_state()
    good = selector.errors(model)
    assert selector.errors(model) == good and torch.equal(torch.get_rng_state(), before)
    assert good["apart_identity"] < 30 and good["apart_expression"] < 15 and good["named_expression"] < 25
    collapsed = selector.errors(fault(model, "collapsed"))
    assert collapsed["apart_identity"] == collapsed["apart_expression"] == 100
    assert collapsed["named_expression"] > 70 and collapsed["diversity"] == 100
    forgetful = selector.errors(fault(model, "forgets who"))
    assert forgetful["apart_identity"] > good["apart_identity"] + 40
    assert abs(forgetful["apart_expression"] - good["apart_expression"]) < 10
    mixed = selector.errors(fault(model, "mixes labels"))
    assert mixed["named_expression"] > good["named_expression"] + 40
    assert mixed["apart_identity"] == good["apart_identity"] and mixed["diversity"] == good["diversity"] < 15
    assert 40 < selector.errors(fault(model, "half as far"))["diversity"] < 60
    for wrong in (collapsed, forgetful, mixed):
        assert wrong["confusion"] > good["confusion"] + 10


def test_rates_stay_or_fall_to_zero() -> None:
    assert [falling(100, 1.0, index) for index in (0, 50, 99)] == [1, 1, 1]
    assert [falling(100, 0.0, index) for index in (0, 50, 99)] == pytest.approx([1, 0.5, 0.01])
    assert [falling(100, 0.25, index) for index in (0, 24, 25, 40, 70, 100)] == pytest.approx(
        [1, 1, 1, 0.8, 0.4, 0]
    )


def test_the_papers_schedule_is_untouched(judged) -> None:
    """``full``: constant rates, and the last weights are the model."""
    model, _ = judged
    data = planted(subjects=24).data
    (stage,) = model.stages(data, Settings(**SMALL))
    factors = {rate(index) for rate in stage.rates.values() for index in (0, 31831)}
    assert stage.validate is None and factors == {1.0}
    assert Settings().average == 0 and Settings().start == "random" and DecoupledGAN.profiles["full"] == {}


def test_noise_moves_nothing_when_training_begins(judged) -> None:
    model, _ = judged
    codes = model.sample(5, generator=torch.Generator().manual_seed(0))
    faces = [model.decode(codes.replace(noise=noise)) for noise in (codes.others["noise"], torch.ones(5, 2))]
    torch.testing.assert_close(*faces)
    model.decode(codes).square().sum().backward()
    spare = model.generator[2].weight.grad.square().sum(0)[22:]  # hidden units that carry no axis
    assert model.generator[0].weight[22:, 11:].abs().min() > 0 and spare.max() > 0  # but it can learn to
