"""FaceCAM against its appendix: sizes, terms, labels, who gets which gradient, and what codes mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fixtures import tiny_data
from torch import Tensor, nn
from torch.nn import functional

from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch
from mien.errors import BadSetting
from mien.models.facecam.losses import LatentLosses, Settings, SupervisedLosses
from mien.models.facecam.model import FaceCAM
from mien.models.facecam.networks import (
    UNKNOWN,
    EmbeddingDecoder,
    Heads,
    LabelMap,
    LatentDiscriminator,
    class_loss,
)
from mien.topology import Topology

DATA = tiny_data()
SMALL = {"hidden": (32, 16), "generator_hidden": (24, 16), "identity_size": 7, "expression_size": 5}


def strip(count: int) -> Topology:
    template = np.column_stack([np.arange(count), np.arange(count) % 2, np.zeros(count)])
    faces = np.stack([np.arange(count - 2), np.arange(count - 2) + 1, np.arange(count - 2) + 2], axis=1)
    return Topology("strip", faces, template.astype(np.float32))


def linear(*sizes: int) -> int:
    return sum(a * b + b for a, b in zip(sizes, sizes[1:], strict=False))


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def model(data: FaceDataset = DATA, **options: object) -> FaceCAM:
    torch.manual_seed(0)
    made = FaceCAM(data.topology, data.expressions, **(SMALL | options))  # type: ignore[arg-type]
    made.prepare(data)
    return made


def batch(data: FaceDataset = DATA, rows: slice = slice(0, 24)) -> Batch:
    return Batch(
        torch.from_numpy(data[rows]), torch.from_numpy(data.row_subject[rows].astype(np.int64)),
        torch.from_numpy(data.row_weights[rows]), partner=torch.from_numpy(data[rows]).flip(0),
    )  # fmt: skip


# ---- sizes


FACESCAPE = ("neutral is no name", *(f"expression_{k}" for k in range(18)))


@pytest.mark.parametrize("form", ["joint", "split_sum"])
def test_parameters_at_the_papers_sizes(form: str) -> None:
    big, wide = strip(26_317), 3 * 26_317
    with torch.device("meta"):
        net = FaceCAM(big, FACESCAPE, decoder=form)
        heads, discriminator = Heads(100, 30, 847, 20), LatentDiscriminator(100, 30, 847, 20)
    assert net.class_count == 20
    assert count(net.encoders["identity"]) == linear(wide, 1024, 512, 100)
    assert count(net.encoders["expression"]) == linear(wide, 1024, 512, 30)
    both = linear(130, 512, 1024, wide)
    apart = linear(100, 512, 1024, wide) + linear(30, 512, 1024, wide)
    assert count(net.decoder) == (both if form == "joint" else apart)
    assert count(net.generators["identity"]) == linear(20 + 5, 512, 512, 1024, 100)
    assert count(net.generators["expression"]) == linear(20 + 20 + 5, 512, 512, 1024, 30)
    assert count(heads) == linear(100, 847) + linear(30, 20)
    shared = linear(1024, 512, 256) + linear(256, 1) + linear(256, 847) + linear(256, 20)
    assert count(discriminator) == linear(130, 1024) + linear(100, 1024) + linear(30, 1024) + shared
    if form == "joint":
        shape = count(net.encoders) + count(net.decoder)
        assert 3 * wide * 1024 < shape < 1.01 * 243e6  # three layers of 3V x 1024 hold almost all
        with torch.device("meta"):
            lean = FaceCAM(big, FACESCAPE, pca_dim=256)
        assert count(lean) < 0.02 * count(net) and lean.axes.shape == (256, wide)


def test_the_joint_discriminator_is_table_4() -> None:
    discriminator = LatentDiscriminator(100, 30, 847, 20, inputs="joint", dropout=0.0)
    heads = linear(256, 1) + linear(256, 847) + linear(256, 20)
    assert count(discriminator) == linear(130, 1024, 512, 256) + heads
    assert not [m for m in discriminator.modules() if isinstance(m, nn.Dropout)]
    assert sum(isinstance(m, nn.LeakyReLU) and m.negative_slope == 0.2 for m in discriminator.modules()) == 3


def test_full_profile_is_the_published_training() -> None:
    published = Settings()
    assert (published.rate, published.batch_size) == (1e-4, 128)
    assert (published.latent_rate, published.latent_batch_size, published.dropout) == (2e-4, 100, 0.5)
    ours = ("swap", "virtual_people", "matching", "new_people", "zero_is_neutral", "average")
    assert [getattr(published, name) for name in ours] == [0] * len(ours)
    as_published = {"raw_codes": True, "batch_labels": True, "redrawn_noise": True}
    assert FaceCAM.profiles["full"] == as_published


# ---- the discriminator's entries


def dependence(output: Tensor, source: Tensor) -> bool:
    gradient = torch.autograd.grad(output.sum(), source, retain_graph=True, allow_unused=True)[0]
    return gradient is not None and bool(gradient.abs().max() > 0)


def test_split_class_heads_are_blind_to_the_other_code() -> None:
    torch.manual_seed(0)
    w_id, w_exp = torch.randn(6, 100, requires_grad=True), torch.randn(6, 30, requires_grad=True)
    real, person, expression = LatentDiscriminator(100, 30, 9, 4).eval()(w_id, w_exp)
    seen = [(dependence(out, w_id), dependence(out, w_exp)) for out in (real, person, expression)]
    assert seen == [(True, True), (True, False), (False, True)]
    joint = LatentDiscriminator(100, 30, 9, 4, inputs="joint").eval()(w_id, w_exp)
    assert all(dependence(out, code) for out in joint for code in (w_id, w_exp))


def test_split_sum_is_additive_and_joint_is_not() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 1, 4), torch.randn(2, 1, 3)
    for form, additive in (("split_sum", True), ("joint", False)):
        net = EmbeddingDecoder(4, 3, (16, 8), 12, form)
        corner = [net(x, y) for x in a for y in b]
        mixed = corner[0] - corner[1] - corner[2] + corner[3]
        assert (float(mixed.detach().abs().max()) < 1e-6) == additive
    with pytest.raises(BadSetting, match="split_sum"):
        EmbeddingDecoder(4, 3, (8,), 12, "sum")


# ---- labels


def test_labels_are_mapped_once() -> None:
    some = DATA.take(np.isin(DATA.row_subject, [1, 4, 6]))
    labels = LabelMap(some, intensities=False)
    assert labels.people == ("person-1", "person-4", "person-6")
    assert labels.person(torch.tensor([1, 4, 6, 0, -1])).tolist() == [0, 1, 2, -1, -1]
    weights = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 0.4]])
    assert labels.expression(weights).tolist() == [0, 1, 2]
    # The strongest weight is the class, as in the data set.
    classes = LabelMap(DATA, False).expression(torch.from_numpy(DATA.row_weights))
    np.testing.assert_array_equal(classes.numpy(), DATA.label + 1)
    intensities = LabelMap(DATA, True).expression(torch.tensor([[0.3, 0.0, 1.7, 0.0, 0.0]]))
    torch.testing.assert_close(intensities, torch.tensor([[0.3, 0.0, 1.0, 0.0, 0.0]]))


def test_unknown_people_do_not_count_in_the_class_loss() -> None:
    logits, labels = torch.randn(4, 3), torch.tensor([2, -1, 0, -1])
    expected = functional.cross_entropy(logits[[0, 2]], labels[[0, 2]])
    torch.testing.assert_close(class_loss(logits, labels), expected)
    assert float(class_loss(logits, torch.full((4,), -1))) == 0.0


class Recorder(nn.Module):
    """A discriminator that remembers nothing of what it sees but gives chosen logits."""

    def __init__(self, people: int, classes: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.person = nn.Parameter(torch.randn(1, people))
        self.expression = nn.Parameter(torch.randn(1, classes))

    def forward(self, w_id: Tensor, w_exp: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows = len(w_id)
        return self.scale * w_id[:, 0], self.person.expand(rows, -1), self.expression.expand(rows, -1)


def test_the_discriminator_learns_people_from_people_and_expressions_from_expressions() -> None:
    net, shown = model(), batch(rows=slice(0, 24))
    labels = LabelMap(DATA, False)
    discriminator = Recorder(8, 6)
    game = LatentLosses(net, net.generators, discriminator, labels, Settings())
    game.measure(DATA)
    every = torch.cat(game.standardized(torch.from_numpy(DATA[:])), dim=1)
    torch.testing.assert_close(every.mean(0), torch.zeros(12), atol=1e-3, rtol=0)
    torch.testing.assert_close(every.std(0), torch.ones(12), atol=1e-2, rtol=0)
    _, losses = next(game.step(shown, 0))
    with torch.no_grad():
        w_id, _ = game.standardized(shown.vertices)
        person = functional.cross_entropy(discriminator.person.expand(24, -1), shown.subject)
        label = torch.from_numpy(DATA.label[:24]) + 1
        expression = functional.cross_entropy(discriminator.expression.expand(24, -1), label)
        real = functional.binary_cross_entropy_with_logits(w_id[:, 0], torch.ones(24))
    torch.testing.assert_close(losses["real_identity"], person)
    torch.testing.assert_close(losses["real_expression"], expression)
    torch.testing.assert_close(losses["real"], real)
    assert not torch.isclose(person, functional.cross_entropy(discriminator.person.expand(24, -1), label))


def test_generators_are_asked_for_labels_in_proportion_and_by_their_own_people() -> None:
    torch.manual_seed(0)
    net = model()
    game = LatentLosses(net, net.generators, Recorder(8, 6), LabelMap(DATA, False), Settings(new_people=0.25))
    seen: dict[str, Tensor] = {}

    def spy(z_id: Tensor, z_exp: Tensor) -> tuple[Tensor, Tensor]:
        seen.update(z_id=z_id, z_exp=z_exp)
        return z_id, z_exp

    game.made = spy  # type: ignore[method-assign]
    _, who, what = game.draw(4000, torch.zeros(4000))
    assert 0.22 < (who == -1).float().mean() < 0.28
    known = who >= 0
    assert torch.equal(seen["z_id"][known], net.z_people[who[known]])
    assert (seen["z_id"][~known][:, None] - net.z_people).abs().amax(2).min() > 0.05
    assert torch.equal(seen["z_exp"].argmax(1), what) and torch.equal(seen["z_exp"].sum(1), torch.ones(4000))
    assert (torch.bincount(what, minlength=6) / 4000 - 1 / 6).abs().max() < 0.03


def test_nobody_is_asked_for_what_the_data_never_shows() -> None:
    net, moving = model(), DATA.take(DATA.label != -1)
    game = LatentLosses(net, net.generators, Recorder(8, 6), LabelMap(moving, False), Settings())
    assert set(game.draw(500, torch.zeros(500))[2].tolist()) == {1, 2, 3, 4, 5}


def test_made_codes_bear_the_labels_of_the_batch_as_in_the_authors_code() -> None:
    """Every face's own person and expression, twice, with another noise each time; codes as they are."""
    net = model()
    settings = Settings(raw_codes=True, batch_labels=True, redrawn_noise=True, zero_is_neutral=0.0)
    game = LatentLosses(net, net.generators, Recorder(8, 6), LabelMap(DATA, False), settings)
    net.code_mean.fill_(3.0)
    game.measure(DATA)
    assert not net.code_mean.any() and (net.code_std == 1).all()
    seen: list[tuple[Tensor, Tensor]] = []
    made, shown = game.made, batch(DATA, slice(1, 24, 7))

    def spy(z_id: Tensor, z_exp: Tensor) -> tuple[Tensor, Tensor]:
        seen.append((z_id, *made(z_id, z_exp)))  # type: ignore[arg-type]
        return seen[-1][1:]  # type: ignore[return-value]

    game.made = spy  # type: ignore[method-assign]
    dict(game.step(shown, 0))
    assert len(seen) == 2
    for z_id, *_ in seen:
        torch.testing.assert_close(z_id, net.z_people[game.labels.person(shown.subject)])
    assert not torch.equal(seen[0][1], seen[1][1])
    _, who, what = game.draw(3, torch.tensor([2, 0, 5]), torch.tensor([4, UNKNOWN, 1]))
    assert who.tolist() == [4, UNKNOWN, 1] and what.tolist() == [2, 0, 5]
    game.settings = Settings()
    dict(game.step(shown, 0))
    assert len(seen) == 4  # the draw above, and one for both games


def test_the_neutral_label_may_be_the_zero_vector() -> None:
    net = model()
    what = torch.arange(6).repeat(500)
    for share in (0.0, 0.5, 1.0):
        game = LatentLosses(net, net.generators, Recorder(8, 6), LabelMap(DATA, False),
                          Settings(zero_is_neutral=share))  # fmt: skip
        codes = game.one_hot(what)
        silent = codes.sum(1) == 0
        assert not silent[what != 0].any() and abs(float(silent[what == 0].float().mean()) - share) < 0.08


def test_one_draw_of_noise_enters_both_generators() -> None:
    net = model()
    seen = {}
    for name, generator in net.generators.items():
        generator.register_forward_pre_hook(lambda m, args, name=name: seen.update({name: args[0]}))
    game = LatentLosses(net, net.generators, Recorder(8, 6), LabelMap(DATA, False), Settings())
    game.made(net.z_people[:3], torch.eye(6)[:3])
    assert torch.equal(seen["identity"][:, -5:], seen["expression"][:, -5:])
    assert torch.equal(seen["identity"][:, :20], seen["expression"][:, :20])
    assert seen["identity"][:, -5:].std() > 0.3


def test_each_player_moves_only_its_own_weights() -> None:
    net, labels = model(), LabelMap(DATA, False)
    discriminator = LatentDiscriminator(7, 5, 8, 6, hidden=(16, 8, 8))
    steps = LatentLosses(net, net.generators, discriminator, labels, Settings(matching=1.0)).step(batch(), 0)
    for player, moved, still in (
        ("discriminator", [discriminator], [net]),
        ("generators", [net.generators], [discriminator, net.encoders, net.decoder]),
    ):
        for module in (net, discriminator):
            module.zero_grad(set_to_none=True)
        name, losses = next(steps)
        torch.stack(list(losses.values())).sum().backward()
        assert name == player
        assert all(p.grad is not None for module in moved for p in module.parameters())
        assert all(p.grad is None for module in still for p in module.parameters())


def test_stage_one_compares_what_is_printed() -> None:
    net = model().eval()
    heads, shown, labels = Heads(7, 5, 8, 6), batch(), LabelMap(DATA, False)
    _, losses = next(SupervisedLosses(net, heads, labels, Settings(swap=1.0)).step(shown, 0))
    with torch.no_grad():
        w_id, w_exp = net.embed(shown.vertices)
        other, _ = net.embed(shown.partner)
        for name, identity in (("reconstruction", w_id), ("swap", other)):
            wrong = (net.face(identity, w_exp) - shown.vertices).abs().mean() / net.deviation
            torch.testing.assert_close(losses[name].detach(), wrong, rtol=1e-4, atol=1e-5)
        person = functional.cross_entropy(heads.identity(w_id), shown.subject)
    torch.testing.assert_close(losses["identity_class"].detach(), person)
    published = next(SupervisedLosses(net, heads, labels, Settings(identity_class=0.0)).step(shown, 0))[1]
    assert set(published) == {"reconstruction", "expression_class"}


def test_principal_coefficients_lose_only_what_the_axes_leave() -> None:
    lean = model(pca_dim=40)
    faces = torch.from_numpy(DATA[:])
    x = (faces - lean.mean_face).flatten(1)
    left = x - x @ lean.axes.T @ lean.axes
    assert left.abs().max() < 0.3 and x.abs().max() > 5  # 48 faces, 40 axes and 0.05 mm of noise
    torch.testing.assert_close(lean.axes @ lean.axes.T, torch.eye(40), atol=1e-4, rtol=0)
    # Stage I compares the same coordinates in both forms, some of them drawn anew for each step.
    for net in (lean, model()):
        shown = SupervisedLosses(net, Heads(7, 5, 8, 6), LabelMap(DATA, False), Settings(seen_vertices=30))
        seen, again = shown.draw(), shown.draw()
        assert len(seen) == 30 == len(seen.unique()) and not torch.equal(seen, again)
        w_id, w_exp = net.embed(faces[:4])
        expected = (net.face(w_id, w_exp) - net.mean_face)[:, seen] / net.deviation
        torch.testing.assert_close(shown.decoded(w_id, w_exp, seen), expected, atol=1e-4, rtol=1e-4)
        truth = (faces[:4] - net.mean_face)[:, seen] / net.deviation
        torch.testing.assert_close(shown.shown(faces[:4], seen), truth)
