"""FaceTuneGAN's switches beyond its paper: styles named first, named all along, swapped between people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from fixtures import EXPRESSIONS, planted, run_stage, tiny_topology
from torch import nn

from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch, style_pairs
from mien.models.facetunegan.losses import Settings, TranslationLosses
from mien.models.facetunegan.model import FaceTuneGAN
from mien.models.facetunegan.networks import StyleDiscriminator

TINY = {"content_size": 6, "style_size": 4, "channels": (8, 16), "mapping": (12,), "style_pooled": False}
NEUTRAL = len(EXPRESSIONS)


def loud_and_soft() -> FaceDataset:
    """Eight people, each at rest and with every expression at half and at full strength."""
    made = planted()
    weights = np.concatenate([np.zeros((1, NEUTRAL)), 0.5 * np.eye(NEUTRAL), np.eye(NEUTRAL)])
    faces = made.neutrals[:, None] + np.einsum("ke,evc->kvc", weights, made.expression_axes)
    subject = np.repeat(np.arange(len(faces)), len(weights))
    return FaceDataset(
        tiny_topology(), EXPRESSIONS, faces.reshape(-1, *faces.shape[2:]).astype(np.float32),
        np.tile(weights, (len(faces), 1)), subject, tuple(f"person-{k}" for k in range(len(faces))),
    )  # fmt: skip


DATA = loud_and_soft()


def made(data: FaceDataset = DATA) -> FaceTuneGAN:
    torch.manual_seed(0)
    model = FaceTuneGAN(data.topology, data.expressions, **TINY)
    model.prepare(data)
    return model


def played(batch: Batch, **changes: object) -> dict[str, torch.Tensor]:
    """The generator's terms of one step."""
    model = made()
    reader = nn.Linear(4, NEUTRAL + 1)
    objective = TranslationLosses(model, model, StyleDiscriminator(model), Settings(**changes), reader)
    return dict(objective.step(batch, 0))["generator"]


def drawn(data: FaceDataset, size: int = 40) -> Batch:
    return style_pairs(data, size, twins=True)(torch.Generator().manual_seed(0))


def row_of(data: FaceDataset, face: torch.Tensor) -> int:
    return int(np.abs(data[:] - face.numpy()).max(axis=(1, 2)).argmin())


def test_twins_are_somebody_else_who_does_the_same_as_strongly() -> None:
    batch = drawn(DATA)
    assert batch.twin is not None and batch.labels is not None
    twins = [row_of(DATA, face) for face in batch.twin]
    np.testing.assert_array_equal(DATA.row_weights[twins], batch.weights)
    assert (DATA.row_subject[twins] != batch.subject.numpy()).all()
    wanted = np.where(batch.weights.amax(1) > 0, batch.weights.argmax(1), NEUTRAL)
    np.testing.assert_array_equal(batch.labels[:, 0], wanted)


def test_who_has_no_twin_is_their_own_and_unlabeled_faces_have_no_class() -> None:
    known = np.arange(len(DATA)) % 2 == 0
    batch = drawn(replace(DATA, labeled=dict(DATA.labeled) | {"expression": known}))
    rows = np.array([row_of(DATA, face) for face in batch.vertices])
    assert (batch.labels[~known[rows], 0] == -1).all() and (batch.labels[known[rows], 0] >= 0).all()
    hidden = torch.from_numpy(~known[rows])
    assert hidden.any() and torch.equal(batch.twin[hidden], batch.vertices[hidden])
    lonely = DATA.take(
        np.r_[np.arange(11), 11, 13:15]
    )  # two people; nobody else does most of it at full strength
    batch = drawn(lonely)
    loudest = batch.weights.amax(1) == 1
    assert loudest.any() and torch.equal(batch.twin[loudest], batch.vertices[loudest])


def test_pairs_are_drawn_as_before_where_no_twins_are_asked_for() -> None:
    plain = style_pairs(DATA, 6)(torch.Generator().manual_seed(3))
    assert plain.twin is None and plain.labels is None
    twinned = style_pairs(DATA, 6, twins=True)(torch.Generator().manual_seed(3))
    assert torch.equal(plain.vertices, twinned.vertices) and torch.equal(plain.partner, twinned.partner)


def test_the_swap_takes_the_style_of_the_twin_in_reconstruction_and_cycle() -> None:
    batch = drawn(DATA, 6)
    plain, swapped = played(batch), played(batch, swap=True)
    assert set(swapped) == {*plain, "swap"}
    assert not torch.equal(swapped["cycle"], plain["cycle"])
    batch.twin = batch.vertices  # whoever is their own twin loses nothing by the swap
    own = played(batch, swap=True)
    torch.testing.assert_close(own["swap"], own["reconstruction"])
    torch.testing.assert_close(own["cycle"], plain["cycle"])


def test_the_label_term_is_the_cross_entropy_of_labeled_faces() -> None:
    batch = drawn(DATA, 6)
    batch.labels[2:4] = -1
    terms = played(batch, label=2.0)
    assert set(terms) == {*played(batch), "label"}
    model = made()
    reader = nn.Linear(4, NEUTRAL + 1)
    styles = [model.mean_code(model.style, model.normalize(x)) for x in (batch.vertices, batch.partner)]
    own, theirs = (reader(codes).log_softmax(1) for codes in styles)
    kept = [0, 1, 4, 5]
    partner = np.where(batch.partner_weights.amax(1) > 0, batch.partner_weights.argmax(1), NEUTRAL)
    surprise = -torch.cat([own[kept, batch.labels[kept, 0]], theirs[np.arange(6), partner]]).mean()
    torch.testing.assert_close(terms["label"], 2 * surprise)


def test_styles_are_named_first_and_nothing_else_moves() -> None:
    model = made()
    before = {name: p.clone() for name, p in model.named_parameters()}
    first, second = model.stages(DATA, Settings(style_first=60, batch_size=16))
    losses = [step["label"] for step in run_stage(first, torch.Generator().manual_seed(0))]
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:5])
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved and all(name.startswith("style.") for name in moved)
    assert second.modules["reader"] is first.modules["reader"]
    trained = {id(p) for group in second.optimizers["generator"].param_groups for p in group["params"]}
    assert {id(p) for p in second.modules["reader"].parameters()} <= trained


def test_a_louder_expression_stays_louder() -> None:
    """What is named and swapped is the kind of expression; how strong it is must survive."""
    model = made()
    settings = Settings(
        steps=50, rate=3e-3, optimizer="muon", style_rate=3e-3, batch_size=16, average=0.0, weight_decay=0.0,
        reconstruction_first=50, style_first=30, label=1.0, swap=True,
    )  # fmt: skip
    for stage in model.stages(DATA, settings):
        run_stage(stage, torch.Generator().manual_seed(0))
    with torch.no_grad():
        codes = model.encode(torch.from_numpy(DATA[:]))
        onto = codes.identity[DATA.is_neutral][:1].expand(len(DATA), -1)
        faces = model.decode(codes.replace(identity=onto)).unflatten(0, (-1, 1 + 2 * NEUTRAL))
    size = (faces[:, 1:] - faces[:, :1]).norm(dim=3).mean((0, 2))  # from the same person's style at rest
    soft, loud = size[:NEUTRAL], size[NEUTRAL:]
    assert (loud > 1.25 * soft).all(), (soft, loud)
