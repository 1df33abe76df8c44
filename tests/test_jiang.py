"""Deformations of meshes and what Jiang et al. train on them, on numbers that can be computed by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fixtures import tiny_data, tiny_topology
from torch import Tensor

from mien.data.sampling import Batch
from mien.errors import BadSetting, MissingNeutral
from mien.models.jiang import Jiang
from mien.models.jiang.deformation import Deformation, nearest_rotation, rotation_of, rotation_vector

SMALL = {
    "identity_size": 4, "expression_size": 3, "channels": (8, 3), "hidden": 16, "fusion": (8, 8, 8),
    "residuals": 1,
}  # fmt: skip


def built() -> Deformation:
    deformation = Deformation()
    deformation.build(tiny_topology(), tiny_topology().template)
    return deformation


def prepared() -> Jiang:
    torch.manual_seed(0)
    model = Jiang(tiny_data().topology, tiny_data().expressions, **SMALL)  # type: ignore[arg-type]
    model.prepare(tiny_data())
    return model.eval()


def drawn(rows: list[int]) -> Batch:
    data = tiny_data()
    return Batch(
        torch.from_numpy(data[rows]), torch.from_numpy(data.row_subject[rows].astype(np.int64)),
        torch.from_numpy(data.row_weights[rows]), torch.from_numpy(data.neutral_of(rows)),
    )  # fmt: skip


def test_rotations_and_their_vectors() -> None:
    vectors = torch.randn(60, 3, generator=torch.Generator().manual_seed(0)).double()
    turns = rotation_of(vectors)
    torch.testing.assert_close(turns @ turns.mT, torch.eye(3).double().expand(60, 3, 3))
    torch.testing.assert_close(turns, torch.linalg.matrix_exp(torch.cross(
        vectors[:, None].expand(-1, 3, -1), torch.eye(3).double().expand(60, 3, 3), dim=2
    ).mT))  # fmt: skip
    short = vectors[vectors.norm(dim=1) < 3]
    torch.testing.assert_close(rotation_vector(rotation_of(short)), short)
    squeezed = turns @ torch.diag(torch.tensor([1.3, 0.8, 1.1]).double())
    torch.testing.assert_close(nearest_rotation(squeezed), turns, atol=1e-6, rtol=0)


def test_a_turned_and_stretched_mesh_has_these_numbers_everywhere() -> None:
    deformation, template = built(), torch.from_numpy(tiny_topology().template)
    torch.testing.assert_close(deformation.of(template[None]), torch.zeros(1, 120, 9), atol=2e-3, rtol=0)
    vector = torch.tensor([0.1, -0.4, 0.2])
    moved = template @ rotation_of(vector).T + torch.tensor([5.0, 0.0, -3.0])
    features = deformation.of(moved[None])[0]
    torch.testing.assert_close(features[:, :3], vector.expand(120, 3), atol=2e-3, rtol=0)
    torch.testing.assert_close(features[:, 3:], torch.zeros(120, 6), atol=2e-3, rtol=0)
    back = deformation.mesh(features[None], deformation.places(moved[None]))
    torch.testing.assert_close(back[0], moved, atol=0.2, rtol=0)


def test_faces_come_back_where_they_stood() -> None:
    deformation, data = built(), tiny_data()
    faces = torch.from_numpy(data[:])
    back = deformation.mesh(deformation.of(faces), deformation.places(faces))
    lost = (back - faces).norm(dim=2).mean()
    assert lost < 0.1 * (faces - torch.from_numpy(data.topology.template)).norm(dim=2).mean()
    torch.testing.assert_close(deformation.places(back), deformation.places(faces), atol=1e-3, rtol=1e-5)


def test_the_way_back_has_its_gradient() -> None:
    deformation = built()
    features = (0.1 * torch.randn(1, 120, 9)).requires_grad_()
    places, direction = torch.zeros(1, 2, 3), torch.randn(1, 120, 3)

    def value(given: Tensor) -> Tensor:
        return (deformation.mesh(given, places) * direction).sum()

    (slope,) = torch.autograd.grad(value(features), features)
    step = torch.randn_like(features)
    step = step / step.norm()
    difference = (value(features + 0.05 * step) - value(features - 0.05 * step)) / 0.1
    torch.testing.assert_close((slope * step).sum(), difference, rtol=2e-2, atol=0.5)


def test_targets_are_the_own_neutral_and_the_expression_on_the_mean_face() -> None:
    model, batch = prepared(), drawn([0, 1, 2, 7])
    targets = model._targets(batch)
    torch.testing.assert_close(targets["identity"], model.features(batch.neutral))
    torch.testing.assert_close(targets["expression"][0], torch.zeros(120, 9))  # a neutral scan
    data = tiny_data()
    mean = torch.from_numpy(np.stack([data.neutral_of([row])[0] for row in range(0, 48, 6)]).mean(0))
    shown = torch.from_numpy(data[1::6].mean(axis=0))  # everybody's first expression
    wanted = model.features(shown[None]) - model.features(mean[None])
    apart = (targets["expression"][1] - wanted[0]).norm() / wanted.norm()
    assert apart < 0.1  # means of deformations are nearly deformations of means
    assert model.features(torch.from_numpy(data[:])).abs().max() < 0.91


def test_each_part_is_to_see_nothing_in_the_other() -> None:
    model, settings = prepared(), Jiang.Settings(exchange=2.0)
    torch.manual_seed(3)
    losses = model._losses(settings, drawn([1, 8]))
    assert {"expression_of_identity", "identity_of_expression"} < set(losses)
    torch.manual_seed(3)
    person, _ = model._branch("identity", model.features(drawn([1, 8]).vertices), torch.zeros(2, 120, 9), 0)
    seen = model._decoded("expression", model._posterior("expression", person)[0])
    torch.testing.assert_close(losses["expression_of_identity"], 2 * seen.abs().mean())


def test_stages_train_one_part_after_the_other() -> None:
    model = prepared()
    names = [stage.name for stage in model.stages(tiny_data(), Jiang.Settings(batch_size=4), tiny_data())]
    assert names == ["identity", "expression", "fusion", "together"]
    stages = model.stages(tiny_data(), Jiang.Settings(batch_size=4))
    for part, stage in zip(("branches.identity", "branches.expression", "fusion"), stages, strict=False):
        model.zero_grad()
        ((_, losses),) = stage.step(drawn([1, 8, 9]), 0)
        sum(losses.values()).backward()  # type: ignore[union-attr]
        moved = {name.rsplit(".", 2)[0] for name, value in model.named_parameters() if value.grad is not None}
        assert moved and all(name.startswith(part) for name in moved)


def test_what_it_cannot_learn_from_is_told() -> None:
    data = tiny_data()
    with pytest.raises(MissingNeutral, match="learns the neutral of every person"):
        prepared().prepare(replace(data.take(~data.is_neutral), weights=data.weights + 1))
    nameless = replace(data, labeled={**data.labeled, "expression": data.is_neutral})
    with pytest.raises(BadSetting, match="no scan of an expression with a name"):
        prepared().prepare(nameless)
