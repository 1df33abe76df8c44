"""Batches: virtual people are mixtures that keep each scan's own expression."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fixtures import tiny_data

from mien.data.dataset import FaceDataset
from mien.data.sampling import faces, mixed_pairs, same_subject_pairs, virtual_people
from mien.errors import BadSetting

DATA = tiny_data()


def span(data: FaceDataset, neutral: bool) -> np.ndarray:
    """(P, 3V) the faces that virtual people are made of."""
    if neutral:
        return data[np.flatnonzero(data.is_neutral)].reshape(len(data.subjects), -1)
    people = [data[np.flatnonzero(data.row_subject == p)].mean(0) for p in range(len(data.subjects))]
    return np.stack(people).reshape(len(people), -1)


@pytest.mark.parametrize("neutral", [True, False])
def test_only_the_person_changes(neutral: bool) -> None:
    sampler = same_subject_pairs(DATA, 12, neutral=neutral)
    virtual = virtual_people(sampler, DATA, 1.0, neutral=neutral)(torch.Generator().manual_seed(3))
    real = sampler(torch.Generator().manual_seed(3))
    shift = virtual.vertices - real.vertices
    torch.testing.assert_close(virtual.partner - real.partner, shift, atol=1e-4, rtol=0)
    if neutral:
        torch.testing.assert_close(virtual.neutral - real.neutral, shift, atol=1e-4, rtol=0)
    assert torch.equal(virtual.weights, real.weights)
    own = span(DATA, neutral)
    # own face + shift = sum of w_k * face_k with sum w = 1 and sum w^2 = 1
    made = own[real.subject.numpy()] + shift.flatten(1).numpy()
    system = np.vstack([own.T, np.full(len(own), 1e3)])
    weights, *_ = np.linalg.lstsq(system, np.vstack([made.T, np.full(len(made), 1e3)]), rcond=None)
    np.testing.assert_allclose(own.T @ weights, made.T, atol=1e-3)
    if np.linalg.matrix_rank(system, tol=1e-2) == len(own):  # else the weights are not unique
        np.testing.assert_allclose((weights**2).sum(0), 1.0, atol=1e-2)


def test_virtual_people_vary_as_real_ones_do() -> None:
    batch = virtual_people(faces(DATA, 4000, neutral=True), DATA, 1.0, neutral=True)
    made = batch(torch.Generator().manual_seed(0)).neutral.flatten(1).numpy()
    own = span(DATA, True)
    np.testing.assert_allclose(made.mean(0), own.mean(0), atol=0.1 * own.std(0).max())
    assert made.var(0).sum() == pytest.approx(own.var(0).sum(), rel=0.05)


def test_a_share_stays_real_and_other_people_stay_themselves() -> None:
    half = virtual_people(faces(DATA, 2000), DATA, 0.25)(torch.Generator().manual_seed(1))
    real = faces(DATA, 2000)(torch.Generator().manual_seed(1))
    changed = (half.vertices - real.vertices).abs().amax((1, 2)) > 0
    assert 0.2 < changed.float().mean() < 0.3
    assert torch.equal(half.subject, torch.where(changed, -1, real.subject))
    pairs = mixed_pairs(DATA, 16)
    virtual = virtual_people(pairs, DATA, 1.0)(torch.Generator().manual_seed(2))
    before = pairs(torch.Generator().manual_seed(2))
    moved = (virtual.partner - before.partner).abs().amax((1, 2)) > 0
    assert torch.equal(moved, before.same.bool())


def test_unlabeled_people_stay_real() -> None:
    labeled = DATA.row_subject < 3
    data = replace(DATA, labeled={**DATA.labeled, "identity": labeled})
    batch = virtual_people(faces(data, 64), data, 1.0)(torch.Generator().manual_seed(0))
    real = faces(data, 64)(torch.Generator().manual_seed(0))
    moved = (batch.vertices - real.vertices).abs().amax((1, 2)) > 0
    assert torch.equal(moved, real.subject < 3)


def test_one_person_cannot_be_mixed() -> None:
    with pytest.raises(BadSetting, match="two people with an identity.*received 1.*--set virtual_people=0"):
        virtual_people(faces(DATA, 4), DATA.take(DATA.row_subject == 0), 0.5)
