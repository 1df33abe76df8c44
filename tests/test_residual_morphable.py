"""What the residual morphable model computes in closed form, on people whose manner is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fixtures import bumps, planted, run_stage, tiny_topology

from mien.data.dataset import FaceDataset
from mien.errors import BadSetting, UnknownName
from mien.models.residual_morphable import ResidualMorphable
from mien.models.residual_morphable.closed_form import Foretold, People, expression_code, strength_reader

NAMES = ("smile", "frown", "pucker")
SMALL = {"identity_size": 6, "manner_size": 2, "expression_size": 3, "hidden": 0, "vertex_axes": 40}


def performed(people: int = 48, *, foretold: bool = True, noise: float = 0.02) -> FaceDataset:
    """People whose faces decide how they make expressions, or chance does."""
    rng = np.random.default_rng(3)
    topology = tiny_topology()
    shapes, fields, turned = bumps(3, 4.0, rng), bumps(3, 4.0, rng), bumps(3, 2.5, rng)
    codes = rng.standard_normal((people, 3))
    told = np.tanh(codes[:, :1]) if foretold else np.tanh(rng.standard_normal((people, 1)))
    neutrals = topology.template + np.tensordot(codes, shapes, 1)
    weights = np.tile(np.concatenate([np.zeros((1, 3)), np.eye(3)]), (people, 1))
    own = fields + told[:, :, None, None] * turned
    faces = np.concatenate([neutrals[:, None], neutrals[:, None] + own], axis=1).reshape(-1, *shapes[0].shape)
    faces = faces + noise * rng.standard_normal(faces.shape)
    return FaceDataset(
        topology, NAMES, faces.astype(np.float32), weights, np.repeat(np.arange(people), 4),
        tuple(f"p{k}" for k in range(people)),
    )  # fmt: skip


def fitted(data: FaceDataset, **arguments: object) -> ResidualMorphable:
    torch.manual_seed(0)
    model = ResidualMorphable(data.topology, data.expressions, **SMALL | arguments)  # type: ignore[arg-type]
    model.prepare(data)
    model.eval()
    model.calibrate(data)
    return model


def transfer_error(model: ResidualMorphable, data: FaceDataset, shift: int = 1) -> float:
    """From each person's scans onto the next person, whose neutral alone is given, against that one's own."""
    faces = torch.from_numpy(data[:]).unflatten(0, (-1, 4))
    source = model.encode(
        faces[:, 1:].flatten(0, 1), neutral=faces[:, :1].expand(-1, 3, -1, -1).flatten(0, 1)
    )
    rest = faces.roll(-shift, 0)[:, :1].expand(-1, 3, -1, -1).flatten(0, 1)
    made = model.decode(source.replace(identity=model.encode(rest, neutral=rest).identity))
    return float((made - faces.roll(-shift, 0)[:, 1:].flatten(0, 1)).norm(dim=2).mean())


def test_rests_and_means_are_what_the_scans_agree_on() -> None:
    """Exactly, and without the neutral scans of half of the people."""
    world = planted(subjects=8, noise=0.0)
    keep = ~((world.data.row_subject < 4) & world.data.is_neutral)
    data = world.data.take(keep)
    known = np.ones(len(data), bool)
    found = People.of(data[:].reshape(len(data), -1), data.row_subject, data.row_weights, known, known)
    np.testing.assert_allclose(found.rests.reshape(world.neutrals.shape), world.neutrals, atol=2e-3)
    np.testing.assert_allclose(
        found.means.reshape(world.expression_axes.shape), world.expression_axes, atol=2e-3
    )
    unknown = np.where(np.arange(len(data)) % 3 == 0, False, known)
    partly = People.of(data[:].reshape(len(data), -1), data.row_subject, data.row_weights, unknown, known)
    np.testing.assert_allclose(partly.rests.reshape(world.neutrals.shape), world.neutrals, atol=2e-2)


def test_what_a_face_foretells_is_found_and_nothing_where_it_foretells_nothing() -> None:
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((60, 5))
    curved = (codes[:, 0] ** 2 - 1)[:, None, None] * rng.standard_normal((1, 2, 7))
    found = Foretold.of(codes[:40], curved[:40])
    assert found.length > 0 and found.answers.shape[1:] == (2, 7)  # a square: no plain product tells it
    chance = Foretold.of(codes[:40], rng.standard_normal((40, 2, 7)))
    assert np.abs(chance.duals).max() < np.abs(found.duals).max() / 10


def test_a_person_makes_the_expressions_that_the_face_foretells() -> None:
    data = performed()
    shown, others = data.take(data.row_subject < 36), data.take(data.row_subject >= 36)
    with_it, without = fitted(shown), fitted(shown, foretold=False)
    assert transfer_error(with_it, others) < 0.4 * transfer_error(without, others)
    chance = performed(foretold=False)
    shown, others = chance.take(chance.row_subject < 36), chance.take(chance.row_subject >= 36)
    errors = [transfer_error(fitted(shown, foretold=told), others) for told in (True, False)]
    assert errors[0] < 1.1 * errors[1]  # nothing to foretell: nothing is lost, either


def test_the_manner_belongs_to_the_person() -> None:
    """A scan is met with its manner; the manner does not travel with the expression, nor come from rest."""
    data = performed(foretold=False)
    model, plain = fitted(data, ridge=1.0), fitted(data, manner_size=0)
    faces = torch.from_numpy(data[:])
    errors = [float((m.decode(m.encode(faces)) - faces).norm(dim=2).mean()) for m in (model, plain)]
    assert errors[0] < 0.8 * errors[1]
    a = len(model.identity_axes)
    codes = model.encode(faces).identity[:, a:].norm(dim=1)
    rest = torch.from_numpy(data.is_neutral)
    assert codes[rest].max() < 0.2 * codes[~rest].mean()
    smile = model.encode(faces[1:2])
    moved = model.neutral_face(
        smile.replace(identity=torch.cat([smile.identity[:, :a], torch.ones(1, 2)], 1))
    )
    torch.testing.assert_close(moved, model.neutral_face(smile))


def test_the_rest_is_read_better_than_it_is_fitted_through_noise() -> None:
    data = performed(noise=1.0)
    shown, others = data.take(data.row_subject < 36), data.take(data.row_subject >= 36)
    clean = performed(noise=0.0).take(data.row_subject >= 36)
    truth = torch.from_numpy(np.repeat(clean[:][::4], 4, axis=0))
    wrong = []
    for rest in ("read", "fitted"):
        model = fitted(shown, rest=rest, ridge=1e-3)
        found = model.neutral_face(model.encode(torch.from_numpy(others[:])))
        wrong.append(float((found - truth).norm(dim=2).mean()))
    assert wrong[0] < wrong[1]


def test_codes_are_named_weights() -> None:
    data = performed()
    model = fitted(data)
    weights = torch.tensor([[0.0, 0.7, 0.2]])
    torch.testing.assert_close(model.express(weights) @ model.to_weights, weights, atol=1e-5, rtol=0)
    means = np.random.default_rng(0).standard_normal((6, 9))
    code, back = expression_code(means, 4)
    np.testing.assert_allclose((code @ back) @ means, means @ _leading(means, 4), atol=1e-9)
    apart = np.random.default_rng(1).uniform(size=(50, 6))
    reader = strength_reader(apart @ means, apart, means)
    assert np.abs(apart @ means @ reader - apart).mean() < 0.1


def _leading(rows: np.ndarray, count: int) -> np.ndarray:
    axes = np.linalg.svd(rows, full_matrices=False)[2][:count]
    return axes.T @ axes


def test_the_network_starts_at_the_closed_form_and_learns() -> None:
    data = performed(noise=6.0)
    closed = fitted(data)
    model = fitted(data, hidden=32)
    faces = torch.from_numpy(data[:])
    torch.testing.assert_close(model.decode(model.encode(faces)), closed.decode(closed.encode(faces)))
    settings = ResidualMorphable.Settings(steps=150, batch_size=32, rate=5e-3, noise=0.0)
    stage = next(model.stages(data, settings, data))
    before = stage.validate()["strength_error"]  # type: ignore[misc]
    run_stage(stage, torch.Generator().manual_seed(0))
    model.eval()
    assert stage.validate()["strength_error"] < 0.8 * before  # type: ignore[misc]


def test_what_it_cannot_learn_from_is_told() -> None:
    data = performed(8)
    nameless = replace(data, labeled={**data.labeled, "expression": np.zeros(len(data), bool)})
    with pytest.raises(BadSetting, match="no expressive scan with labels.*neutral_bank"):
        fitted(nameless)
    with pytest.raises(UnknownName, match="did you mean 'fitted'"):
        ResidualMorphable(data.topology, NAMES, rest="fited")
    for size in (6, 7):
        with pytest.raises(BadSetting, match="manner is part of the identity code"):
            ResidualMorphable(data.topology, NAMES, identity_size=6, manner_size=size)
    still = replace(data, vertices=np.tile(data.vertices[:1], (len(data), 1, 1)))
    with pytest.raises(BadSetting, match="move nothing|different faces"):
        fitted(still)
