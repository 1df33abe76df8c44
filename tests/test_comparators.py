"""What the comparators are trained for, on numbers that can be computed by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from fixtures import run_stage, tiny_data
from torch import Tensor, nn

from mien.codes import Codes
from mien.data.sampling import Batch
from mien.errors import UnknownName
from mien.evaluation import evaluate
from mien.models.conv_mesh_ae import ONLY_REST, ConvMeshAE
from mien.models.deep_flame import DeepFLAME
from mien.models.di_meshencoder import DIMeshEncoder
from mien.models.multilinear import Multilinear
from mien.models.multilinear_autoencoder import MultilinearAutoencoder, spread_within
from mien.models.neutral_bank import NeutralBank, PersonBank

BANK = {
    "identity_size": 3, "expression_size": 3, "coupled_size": 8, "hidden": (16,), "channels": (8,),
}  # fmt: skip


def prepared(kind: type, **arguments: object) -> nn.Module:
    torch.manual_seed(0)
    model = kind(tiny_data().topology, tiny_data().expressions, **arguments)
    model.prepare(tiny_data())
    return model


def drawn(rows: list[int]) -> Batch:
    data = tiny_data()
    return Batch(
        torch.from_numpy(data[rows]), torch.from_numpy(data.row_subject[rows].astype(np.int64)),
        torch.from_numpy(data.row_weights[rows]), torch.from_numpy(data.neutral_of(rows)),
    )  # fmt: skip


def test_the_bank_moves_toward_the_mean_of_each_person() -> None:
    model, data = prepared(NeutralBank, **BANK), tiny_data()
    settings = NeutralBank.Settings(bank_decay=0.75)
    bank = PersonBank(model, data.take(np.arange(3, len(data))), settings)
    # Person 0 has three scans left and is not believed; the others have six, one more than five.
    np.testing.assert_allclose(bank.belief.numpy(), [0.0] + [1 - np.exp(-1)] * 7, rtol=1e-6)
    found = torch.arange(3.0)[:, None, None].expand(3, 120, 3)
    bank.follow_people(torch.tensor([4, 2, 4]), found)
    expected = {4: 0.25 * 1.0, 2: 0.25 * 1.0, 0: 0.0}  # means of 0 and 2, and 1; a quarter of the way
    for person, value in expected.items():
        torch.testing.assert_close(bank.faces[person], torch.full((120, 3), value))
    with pytest.raises(UnknownName, match="did you mean 'scans'"):
        PersonBank(model, data, dataclasses.replace(settings, bank_of="scan"))


def test_the_bank_is_what_the_face_without_expression_follows() -> None:
    model, data = prepared(NeutralBank, **BANK), tiny_data()
    settings = NeutralBank.Settings(batch_size=8, steps=1, second_order=0.0)
    stage = next(model.stages(data, settings))
    bank = stage.modules["bank"]
    before = bank.faces.clone()
    losses = model._losses(bank, settings, drawn([0, 7]))
    assert losses["neutral"].requires_grad and not bank.faces.requires_grad
    changed = (bank.faces != before).flatten(1).any(1)
    assert changed.tolist() == [True, True] + [False] * 6  # of the two people in the batch alone
    assert float(losses["neutral"].detach()) > 0


def test_coupled_codes_are_normal_and_the_second_order_term_is_the_derivative() -> None:
    model = prepared(NeutralBank, **BANK)
    z = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    product = torch.special.ndtr(z).prod(1)
    normal = torch.special.ndtri(product * (1 - product.log()))
    assert abs(float(normal.mean())) < 0.03 and abs(float(normal.std()) - 1) < 0.03
    z_id, z_exp = torch.randn(4, 3), torch.randn(4, 3)

    def moved(scale: float) -> Tensor:
        face = model.join(z_id, scale * z_exp) - model.join(z_id, 0 * z_exp)
        return 0.5 * (face * model.deviation).square().flatten(1).sum(1)

    slope = (moved(1.005) - moved(0.995)) / 0.01  # of half the squared displacement: g itself
    expected = ((-slope).relu() + (slope - 2.0 * z_exp.square().sum(1)).relu()).mean()
    torch.testing.assert_close(model.second_order(z_id, z_exp, 2.0), expected, rtol=2e-2, atol=1e-3)


def test_independence_is_the_log_of_the_density_ratio() -> None:
    """A discriminator that reads whether z_exp belongs to z_id raises the loss by exactly its logits."""
    model = prepared(DIMeshEncoder, identity_size=2, expression_size=2, channels=(8,))
    settings = DIMeshEncoder.Settings(independence=1.0, steps=1)

    class Judge(nn.Module):
        def forward(self, codes: Tensor) -> Tensor:
            return torch.stack([codes[:, 0] * codes[:, 2], -codes[:, 1]], dim=1)

    steps = dict(model._step(Judge(), settings, drawn([0, 7, 14, 22]), 0))
    assert set(steps) == {"branches", "discriminator"}
    torch.manual_seed(5)
    losses = dict(model._step(Judge(), settings, drawn([0, 7, 14, 22]), 0))["branches"]
    torch.manual_seed(5)
    x = model.normalize(drawn([0, 7, 14, 22]).vertices)
    (m, v), (n, w) = (model.posterior(name, x) for name in ("identity", "expression"))
    z_id, z_exp = m + torch.exp(v / 2) * torch.randn_like(m), n + torch.exp(w / 2) * torch.randn_like(n)
    torch.testing.assert_close(losses["independence"], (z_id[:, 0] * z_exp[:, 0] + z_id[:, 1]).mean())


def test_deep_flame_adds_and_uses_the_neutral_where_it_is_given() -> None:
    model, data = prepared(DeepFLAME, expression_size=4, channels=(8,), order=3).eval(), tiny_data()
    vertices, neutral = torch.from_numpy(data[:6]), torch.from_numpy(data.neutral_of(slice(0, 6)))
    with torch.no_grad():
        exact = model.encode(vertices, neutral=neutral)
        alone = model.encode(vertices)
        person, mean = model.neutral_face(exact), model.neutral_face(alone)
        sum_of_both = person + model.expand(exact.expression)
    torch.testing.assert_close(model.decode(exact), sum_of_both, atol=1e-4, rtol=0)
    assert float((person - neutral).norm(dim=2).mean()) < 0.2  # all axes of all people are kept
    assert float((mean - person).norm(dim=2).mean()) > 1e-3
    torch.testing.assert_close(exact.expression, model.compress(vertices - neutral))


def test_codes_of_one_label_are_pulled_to_their_mean() -> None:
    codes = torch.tensor([[1.0, 0.0], [3.0, 0.0], [9.0, 9.0], [5.0, 4.0]])
    apart = spread_within(codes, torch.tensor([4, 4, -1, 7]))  # 1 and 1 of six numbers; one label is alone
    assert float(apart) == pytest.approx(2 / 6)
    assert float(spread_within(codes, torch.full((4,), -1))) == 0.0


def test_the_multilinear_decoder_starts_at_the_closed_form() -> None:
    data = tiny_data()
    learned = prepared(MultilinearAutoencoder, image_size=8, channels=(4,), vertex_axes=60).eval()
    closed = prepared(Multilinear).eval()
    codes = closed.encode(torch.from_numpy(data[:4]))
    padded = Codes(
        torch.nn.functional.pad(codes.identity, (0, 65 - codes.identity.shape[1])),
        torch.nn.functional.pad(codes.expression, (0, 20 - codes.expression.shape[1])),
    )
    with torch.no_grad():
        torch.testing.assert_close(learned.decode(padded), closed.decode(codes), atol=1e-2, rtol=0)


def test_a_model_of_people_at_rest_has_dashes_with_the_reason() -> None:
    model, data = prepared(ConvMeshAE, size=4, channels=(8,), order=2).eval(), tiny_data()
    run_stage(next(model.stages(data, ConvMeshAE.Settings(batch_size=8), data)), torch.Generator(), steps=2)
    model.calibrate(data)
    report = evaluate({"rest": model}, data, part="all", speed=False, controls=())
    rows = {row.metric: row for row in report.rows if row.system == "rest"}
    for metric in ("rec_avd_mesh", "transfer_avd", "exp_mad", "path_length_identity"):
        assert rows[metric].mean is None and rows[metric].reason == ONLY_REST
    assert rows["neu_avd"].mean > 0 and rows["rank1_mesh"].mean is not None
    codes = model.encode(torch.from_numpy(data[:2]))
    assert codes.expression.shape == (2, 0)
    torch.testing.assert_close(model.decode(codes), model.neutral_face(codes))
