"""Abilities, rigs and timing; what every model promises is in ``tests/contract``."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from fixtures import planted, tiny_data
from torch import Generator, Tensor, nn

from mien import apply
from mien.codes import Codes
from mien.errors import BadSetting, Note, UnknownName, Unsupported, WrongTopology
from mien.models import model_class
from mien.models.base import FaceModel
from mien.models.morphable import Morphable
from mien.topology import Topology


@pytest.fixture(scope="module")
def morphable() -> FaceModel:
    data = tiny_data()
    model = Morphable(data.topology, data.expressions)
    model.prepare(data)
    model.calibrate(data)
    return model.eval()


class Decoder(FaceModel):
    """A generator without an encoder: bends as codes grow, so that targets do not simply add up."""

    name = "decoder"

    def __init__(self, topology: Topology, expressions: Sequence[str]) -> None:
        super().__init__(topology, expressions)
        truth = planted()
        self.who = nn.Parameter(torch.from_numpy(truth.identity_axes).float())
        self.register_buffer("what", torch.from_numpy(truth.expression_axes).float())
        self.register_buffer("mean", torch.from_numpy(topology.template.copy()))
        self.calibration.rest, self.calibration.offsets = torch.zeros(5), torch.eye(5)
        self.calibration.identity_mean, self.calibration.identity_std = torch.zeros(4), torch.ones(4)
        self.calibration.expression_mean = torch.zeros(5)
        self.calibration.expression_std = 0.4 * torch.ones(5)

    def decode(self, codes: Codes) -> Tensor:
        bent = codes.expression + 0.2 * codes.expression.sum(1, keepdim=True) * codes.expression
        who = torch.einsum("bi,ivc->bvc", codes.identity, self.who)
        return self.mean + who + torch.einsum("be,evc->bvc", bent, self.what)

    def sample(self, count: int, *, generator: Generator | None = None) -> Codes:
        return Codes(torch.randn(count, 4, generator=generator), torch.rand(count, 5, generator=generator))


@pytest.fixture
def decoder() -> Decoder:
    return Decoder(tiny_data().topology, tiny_data().expressions)


# ---- abilities


def test_abilities_of_the_methods() -> None:
    table = {
        "morphable": "nnnnnddnn",
        "pca": "nddndddnd",
        "displacement_transfer": "drndrddrr",
        "deformation_transfer": "drndrddrr",
        "mean_expression": "drddrnnrr",
        "nearest_identity": "dddddddrn",
    }
    table["pca"] = "ndddnddnd"
    for name, row in table.items():
        found = "".join(apply.ability(model_class(name), ability)[0] for ability in apply.ABILITIES)
        assert found == row, f"{name}: {dict(zip(apply.ABILITIES, found, strict=True))}"


def test_a_refusal_names_model_and_reason() -> None:
    data = tiny_data()
    model = model_class("displacement_transfer")(data.topology, data.expressions)
    with pytest.raises(Unsupported, match="displacement_transfer cannot generate: it has no identity space"):
        apply.generate(model, 1, seed=0)
    with pytest.raises(Unsupported, match="cannot neutralize: it is given the person's neutral"):
        apply.neutralize(model, data[0])
    with pytest.raises(UnknownName, match="did you mean 'transfer'"):
        apply.ability(Morphable, "transfers")


def test_a_model_may_refuse_what_its_verbs_would_give(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Decoder, "refused", {"rig": "it has no stable rest pose"})
    with pytest.raises(Unsupported, match="decoder cannot rig: it has no stable rest pose"):
        apply.rig(decoder, tiny_data()[0])
    assert apply.ability(Decoder, "rig") == "refused"
    assert apply.ability(Decoder, "reconstruct") == "derived"


# ---- models without an encoder


def test_an_encoderless_model_does_everything_by_inversion(decoder: Decoder) -> None:
    truth = planted()
    faces = truth.data[:][[0, 2, 9]]
    np.testing.assert_allclose(apply.reconstruct(decoder, faces), faces, atol=0.05)
    np.testing.assert_allclose(apply.neutralize(decoder, faces), truth.neutrals[[0, 0, 1]], atol=0.1)
    moved = apply.transfer(decoder, faces[1], faces[2])
    np.testing.assert_allclose(moved, truth.data[6 + 2], atol=0.1)
    assert decoder.who.requires_grad, "inversion must hand trained parameters back as they were"


# ---- rigs


def test_rigs_add_up_and_broadcast(morphable: FaceModel) -> None:
    neutral = tiny_data()[0].astype(np.float64)
    rig = apply.rig(morphable, neutral)
    weights = np.random.default_rng(0).uniform(0, 1, (2, 3, 5))
    faces = rig.apply(weights)
    assert faces.shape == (2, 3, 120, 3) and faces.dtype == np.float32
    one = neutral + np.tensordot(weights[1, 2], rig.targets - rig.base, axes=1)
    np.testing.assert_allclose(faces[1, 2], one, atol=1e-4)
    np.testing.assert_array_equal(rig.apply({}), rig.base)
    assert rig.linearity_mm < 1e-3
    with pytest.raises(UnknownName, match="did you mean 'jaw_open'"):
        rig.apply({"jaw_opne": 1})
    with pytest.raises(BadSetting, match="for each of 5 expressions"):
        rig.apply([1.0, 0.0])


def test_a_rig_says_how_far_it_is_from_a_bent_model(decoder: Decoder) -> None:
    neutral = planted().neutrals[2]
    rig = apply.rig(decoder, neutral)
    weights = torch.zeros(1, 5)
    weights[0, :2] = torch.tensor([0.5, 0.9])
    mixed = apply.animate(decoder, neutral, weights)[0]
    gap = np.linalg.norm(mixed - rig.apply(weights)[0], axis=1).mean()
    assert 0.2 < rig.linearity_mm < 3 and gap > 0.2
    np.testing.assert_array_equal(rig.apply(np.zeros(5)), np.float32(neutral))
    with pytest.raises(BadSetting, match="at least one expression"):
        apply.rig(decoder, neutral, names=[])


def test_faces_of_other_shapes_are_refused(morphable: FaceModel) -> None:
    with pytest.raises(WrongTopology):
        apply.reconstruct(morphable, np.zeros((2, 2, 120, 3)))
    with pytest.raises(WrongTopology):
        apply.reconstruct(morphable, np.zeros((0, 120, 3)))


# ---- timing


@pytest.mark.parametrize("shape", ["minimum-jerk", "raised-cosine", "linear"])
def test_timing_curves(shape: str) -> None:
    curve = apply.timing_curve(0.2, 0.6, 1.4, duration=2.0, fps=100, shape=shape)
    assert curve.shape == (201,) and curve.dtype == np.float32
    assert not curve[:21].any() and not curve[140:].any()
    assert curve[60] == 1 and (np.delete(curve, 60) < 1).all()
    assert (np.diff(curve[20:61]) > 0).all() and (np.diff(curve[60:141]) < 0).all()
    np.testing.assert_allclose([curve[40], curve[100]], 0.5, atol=1e-4)
    if shape != "linear":
        assert np.abs(np.diff(curve, 2)).max() < 0.01, "no jump in speed"


def test_curves_name_the_expressions() -> None:
    names = ("smile", "anger", "brow_raiser")
    curves = apply.curves(names, {"anger": 0.5, "smile": 1.0}, onset=0.2, apex=0.6, offset=1.0)
    assert curves.shape == (37, 3)  # ends as long after offset as onset is after the start
    np.testing.assert_allclose(curves[18], [1.0, 0.5, 0.0])
    assert not curves[[0, -1]].any()
    assert len(apply.curves(names, {}, onset=0, apex=0.5, offset=1, duration=3, fps=25)) == 76


@pytest.mark.parametrize(
    ("times", "cause"),
    [
        ({"onset": 0.6, "apex": 0.2, "offset": 1.0}, "onset < apex < offset"),
        ({"onset": 0.2, "apex": 0.6, "offset": 0.5}, "onset < apex < offset"),
        ({"onset": -0.1, "apex": 0.6, "offset": 1.0}, "onset < apex < offset"),
        ({"onset": 0.2, "apex": 0.6, "offset": float("nan")}, "onset < apex < offset"),
        ({"onset": 0.2, "apex": 0.6, "offset": 1.0, "fps": 0}, "positive duration and frame rate"),
        ({"onset": 0.2, "apex": 0.6, "offset": 1.0, "duration": -1}, "positive duration and frame rate"),
        ({"onset": 0.2, "apex": 0.6, "offset": 1.0, "shape": "liner"}, "did you mean 'linear'"),
    ],
)
def test_impossible_timing_gets_one_sentence(times: dict, cause: str) -> None:
    with pytest.raises((BadSetting, UnknownName), match=cause):
        apply.curves(("smile",), {"smile": 1}, **times)


def test_named_weights() -> None:
    names = ("smile", "anger")
    np.testing.assert_allclose(apply.named_weights(names, {"anger": 0.25}), [0, 0.25])
    with pytest.raises(UnknownName, match="did you mean 'smile'"):
        apply.named_weights(names, {"smlie": 1})
    with pytest.raises(BadSetting, match="finite"):
        apply.named_weights(names, {"smile": float("inf")})


def test_expressions_that_the_axes_do_not_hold_are_told() -> None:
    data = planted(subjects=4).data
    narrow, wide = (Morphable(data.topology, data.expressions, expression_size=size) for size in (1, 20))
    for model in (narrow, wide):
        model.prepare(data)
    with pytest.warns(Note, match="1 expression axes do not hold") as told:
        narrow.calibrate(data)
    sentence = str(told[0].message)
    assert f"expression_size={len(data.expressions)}" in sentence
    shapes = apply.rig(narrow, data.neutral_of([0])[0]).targets - data.neutral_of([0])[0]
    for name, shape in zip(data.expressions, shapes, strict=True):
        row = int(np.flatnonzero(data.row_weights[:, data.expressions.index(name)] == 1)[0])
        size = np.linalg.norm(shape) / np.linalg.norm(data[[row]][0] - data.neutral_of([row])[0])
        assert (name in sentence) == (size < 0.7) and (size >= 0.7 or f"{name} {size:.0%}" in sentence)
    with warnings.catch_warnings():
        warnings.simplefilter("error", Note)
        wide.calibrate(data)
