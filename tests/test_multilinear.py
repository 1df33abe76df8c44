"""The multilinear model finds a planted bilinear one, from a tensor with holes, on people it has not seen."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from fixtures import EXPRESSIONS, bumps, tiny_data, tiny_topology

from mien.data.dataset import FaceDataset
from mien.errors import BadSetting
from mien.models.multilinear import Multilinear
from mien.nn.tucker import incomplete_tucker

PEOPLE, SHOWN = 16, 1 + len(EXPRESSIONS)


def bilinear(holes: float = 0.0, seed: int = 0) -> tuple[FaceDataset, np.ndarray]:
    """x = m + sum a A + sum b B + sum a b C with two codes each; and all cells (S, 1 + E, V, 3)."""
    generator = np.random.default_rng(seed)
    who, what, both = (bumps(n, size, np.random.default_rng(n)) for n, size in ((2, 3.0), (3, 4.0), (6, 2.0)))
    a = generator.normal(size=(PEOPLE, 2))
    b = np.concatenate([np.zeros((1, 3)), np.random.default_rng(7).normal(size=(SHOWN - 1, 3))])
    cells = (
        tiny_topology().template
        + np.einsum("sk,kvc->svc", a, who)[:, None]
        + np.einsum("el,lvc->evc", b, what)
        + np.einsum("sk,el,klvc->sevc", a, b, both.reshape(2, 3, -1, 3))
    )
    kept = generator.random((PEOPLE, SHOWN)) >= holes
    weights = np.tile(np.concatenate([np.zeros((1, SHOWN - 1)), np.eye(SHOWN - 1)]), (PEOPLE, 1))
    data = FaceDataset(
        tiny_topology(), EXPRESSIONS, cells.reshape(-1, *cells.shape[2:]).astype(np.float32), weights,
        np.repeat(np.arange(PEOPLE), SHOWN), tuple(f"person-{k}" for k in range(PEOPLE)),
    )  # fmt: skip
    return data.take(kept.ravel()), cells


def fitted(data: FaceDataset, **arguments: float) -> Multilinear:
    model = Multilinear(data.topology, data.expressions, **arguments).eval()  # type: ignore[arg-type]
    model.prepare(data)
    model.calibrate(data)
    return model


def distance(a: torch.Tensor, b: np.ndarray) -> float:
    return float(np.linalg.norm(a.numpy() - b, axis=-1).mean())


def test_a_planted_model_is_found_through_holes_and_neutralizes_strangers() -> None:
    """One scan in five is missing; people of another draw are split without error, which no sum could."""
    data, _ = bilinear(holes=0.2)
    model = fitted(data, identity_size=3, expression_size=4, ridge=1e-6)
    strangers, cells = bilinear(seed=1)
    codes = model.encode(torch.from_numpy(strangers[:]))
    assert distance(model.decode(codes), strangers[:]) < 1e-2
    assert distance(model.neutral_face(codes), strangers.neutral_of(slice(None))) < 2e-2
    # Somebody else's expression, performed by each stranger in their own way.
    swapped = codes.replace(expression=codes.expression.view(PEOPLE, SHOWN, -1).roll(1, 0).flatten(0, 1))
    assert distance(model.decode(swapped), strangers[:]) < 2e-2
    named = model.express(torch.eye(SHOWN - 1))
    made = model.decode(codes[:1].repeat(SHOWN - 1).replace(expression=named))
    assert distance(made, cells[0, 1:]) < 2e-2


def test_missing_cells_are_recovered() -> None:
    data, cells = bilinear(holes=0.25)
    tensor = cells.reshape(PEOPLE, SHOWN, -1) - cells.mean(axis=(0, 1)).ravel()
    known = np.zeros((PEOPLE, SHOWN), bool)
    known.ravel()[data.rows] = True
    people, shown, core = incomplete_tucker(np.where(known[:, :, None], tensor, 1e6), known, (3, 4))
    error = np.abs(np.einsum("klc,sk,pl->spc", core, people, shown) - tensor)
    assert error[~known].max() < 0.02 and not known.all()
    np.testing.assert_allclose(people.T @ people, np.eye(3), atol=1e-9)


def test_codes_are_in_units_of_deviations() -> None:
    data, _ = bilinear()
    codes = fitted(data, ridge=1e-6).encode(torch.from_numpy(data[:]))
    for found in (codes.identity.view(PEOPLE, SHOWN, -1)[:, 0], codes.expression[:SHOWN]):
        torch.testing.assert_close(found.mean(0), torch.zeros(found.shape[1]), atol=5e-3, rtol=0)
        torch.testing.assert_close(
            torch.cov(found.T, correction=0), torch.eye(found.shape[1]), atol=1e-2, rtol=0
        )


def test_labels_are_needed_and_half_performed_scans_left_out() -> None:
    data = tiny_data()
    with pytest.raises(BadSetting, match="at least two of each"):
        fitted(data.take(data.row_subject == 0))
    with pytest.raises(BadSetting, match="ridge positive"):
        Multilinear(data.topology, data.expressions, ridge=0.0)
    weights = data.weights.copy()
    weights[1] = 0.2 * weights[1]  # person 0 hardly smiles: no cell, and no change of the others'
    faint = dataclasses.replace(data, weights=weights)
    without = fitted(data.take(np.arange(len(data)) != 1))
    torch.testing.assert_close(fitted(faint).shown, without.shown)
