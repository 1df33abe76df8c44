"""What every model promises, whatever its method: verbs, units, files, determinism."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch

from contract.cases import NAMES, data, fresh, precise, run_stages, trained
from mien.apply import ABILITIES, ability, codes_of
from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.errors import MissingNeutral, Unsupported
from mien.models import model_class
from mien.models.base import FaceModel
from mien.models.calibration import LARGEST_DRAWN
from mien.models.files import load_model, save_model

pytestmark = pytest.mark.parametrize("name", NAMES)
ROWS = np.array([0, 1, 8, 9, 21])


def faces(shown: FaceDataset, rows: np.ndarray = ROWS) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(shown[rows]), torch.from_numpy(shown.neutral_of(rows))


def encoded(model: FaceModel, rows: np.ndarray = ROWS) -> Codes:
    vertices, neutral = faces(data(), rows)
    with torch.no_grad():
        return codes_of(model, vertices, neutral if model.anchored else None)


@lru_cache
def known(name: str) -> Codes:
    """The codes of a few scans; tests share them, because some models take seconds to find them."""
    return encoded(trained(name))


def assert_equal_codes(a: Codes, b: Codes, tolerance: float) -> None:
    for factor in ("identity", "expression", *a.others):
        torch.testing.assert_close(a.factor(factor), b.factor(factor), atol=tolerance, rtol=1e-5)


def test_it_says_what_it_is(name: str) -> None:
    kind = model_class(name)
    assert kind.name == name
    assert kind.reference.key in kind.reference.bibtex and str(kind.reference.year) in kind.reference.bibtex
    for section in ("Reference:", "Departures:", "Example", "Args:"):
        assert section in (kind.__doc__ or ""), f"{name} has no {section!r} in its docstring"
    assert kind.native <= set(ABILITIES)
    assert set(kind.refused) <= {*ABILITIES, "export"}
    assert not [item for item in kind.native if ability(kind, item) == "refused"]


def test_configuration_rebuilds_it(name: str) -> None:
    model = fresh(name)
    again = model_class(name)(model.topology, model.expressions, **json.loads(json.dumps(model.config)))
    assert again.config == model.config
    assert set(again.state_dict()) == set(model.state_dict())


def test_shapes_and_types(name: str) -> None:
    model = trained(name)
    codes = known(name)
    assert len(codes) == len(codes.expression) == len(ROWS)
    assert codes.identity.dtype == codes.expression.dtype == torch.float32
    decoded = model.decode(codes)
    assert decoded.shape == (len(ROWS), model.topology.vertex_count, 3)
    assert decoded.dtype == torch.float32 and decoded.device == model.device
    assert torch.isfinite(decoded).all()


def test_millimeters_in_millimeters_out(name: str) -> None:
    vertices, _ = faces(data())
    decoded = trained(name).decode(known(name))
    spread = (torch.from_numpy(data()[:].mean(axis=0)) - vertices).norm(dim=2).mean()
    assert (decoded - vertices).norm(dim=2).mean() < 1.5 * spread  # a wrong unit would be far outside
    torch.testing.assert_close(decoded.mean((0, 1)), vertices.mean((0, 1)), atol=3.0, rtol=0)


def test_a_face_does_not_depend_on_its_neighbors_in_a_batch(name: str) -> None:
    model = trained(name)
    together, alone = known(name), [encoded(model, ROWS[i : i + 1]) for i in range(len(ROWS))]
    if precise(name, 0.0):
        difference = model.decode(together) - model.decode(Codes.cat(alone))
        assert difference.norm(dim=2).mean() < precise(name, 0.0)
    else:
        assert_equal_codes(together, Codes.cat(alone), 1e-3)
    one_by_one = torch.cat([model.decode(together[i : i + 1]) for i in range(len(ROWS))])
    torch.testing.assert_close(model.decode(together), one_by_one, atol=1e-3, rtol=0)


def test_encoding_twice_gives_the_same(name: str) -> None:
    first, second = known(name), encoded(trained(name))
    assert_equal_codes(first, second, 0.0)


def test_sampling_follows_the_generator(name: str) -> None:
    model = trained(name)
    if ability(type(model), "generate") == "refused":
        with pytest.raises(Unsupported, match=name):
            model.sample(3)
        return
    draw = [model.sample(6, generator=torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)]
    assert_equal_codes(draw[0], draw[1], 0.0)
    assert not torch.equal(draw[0].identity, draw[2].identity)
    assert torch.isfinite(model.decode(draw[0])).all()
    assert draw[0].identity.shape[1:] == known(name).identity.shape[1:]
    assert draw[0].expression.shape[1:] == known(name).expression.shape[1:]


def test_named_weights_become_expression_codes(name: str) -> None:
    model = trained(name)
    count, shape = len(model.expressions), known(name).expression.shape[1:]
    still = model.express(torch.zeros(2, count))
    assert still.shape == (2, *shape)
    torch.testing.assert_close(still[0], model.calibration.rest)
    weights = torch.rand(2, 7, count, generator=torch.Generator().manual_seed(0))
    motion = model.express(weights)
    assert motion.shape == (2, 7, *shape)
    if not model.remembers:
        torch.testing.assert_close(motion[1, 3], model.express(weights[1, 3:4])[0], atol=1e-4, rtol=1e-4)
    # What is shown now does not depend on what comes later.
    torch.testing.assert_close(motion[:, :4], model.express(weights[:, :4]), atol=1e-5, rtol=1e-4)


def test_frame_by_frame_is_the_whole_motion(name: str) -> None:
    model, state, codes = trained(name), None, []
    weights = torch.rand(2, 9, len(model.expressions), generator=torch.Generator().manual_seed(0))
    for frame in weights.unbind(1):
        code, state = model.advance(frame, state)
        codes.append(code)
    torch.testing.assert_close(torch.stack(codes, dim=1), model.express(weights), atol=1e-5, rtol=1e-4)
    assert (state is not None) == model.remembers


def test_calibration_is_finite_and_named(name: str) -> None:
    model = trained(name)
    codes, calibration = known(name), model.calibration
    assert calibration.offsets.shape == (len(model.expressions), *codes.expression.shape[1:])
    assert calibration.rest.shape == codes.expression.shape[1:]
    assert calibration.identity_std.shape == codes.identity.shape[1:]
    for value in calibration.state_dict().values():
        assert torch.isfinite(value).all()
    assert (calibration.identity_std > 0).all() and (calibration.expression_std > 0).all()


def test_random_codes_vary_like_those_of_real_faces(name: str) -> None:
    model = trained(name)
    if type(model).encode is FaceModel.encode:
        pytest.skip("it has no encoder: its codes are drawn from the distribution that it was trained for")
    codes = encoded(model, np.arange(len(data())))
    for factor in ("identity", "expression"):
        real, root = codes.factor(factor).double(), getattr(model.calibration, f"{factor}_root").double()
        if real.ndim > 2 or not 0 < real.shape[1] <= LARGEST_DRAWN:
            assert not root.numel()
        else:
            covariance = torch.cov(real.T, correction=0).reshape(root.shape)
            torch.testing.assert_close(
                root @ root, covariance, rtol=1e-3, atol=1e-3 * float(covariance.abs().max())
            )


def test_origin_is_a_likely_face(name: str) -> None:
    model = trained(name)
    middle = model.decode(model.origin(2))
    assert middle.shape == (2, model.topology.vertex_count, 3)
    distance = (middle - torch.from_numpy(model.topology.template)).norm(dim=2).mean()
    assert distance < 8.0


def test_mixing_reaches_both_ends(name: str) -> None:
    codes = known(name)
    a, b = codes[:1], codes[1:2]
    assert_equal_codes(trained(name).mix(a, b, 0.0), a, 1e-5)
    assert_equal_codes(trained(name).mix(a, b, 1.0), b, 1e-4)


def test_neutral_faces_are_faces(name: str) -> None:
    model = trained(name)
    codes = known(name)
    neutral = model.neutral_face(codes)
    assert neutral.shape == (len(ROWS), model.topology.vertex_count, 3)
    changed = codes.replace(expression=codes.expression.roll(1, 0))
    torch.testing.assert_close(model.neutral_face(changed), neutral, atol=1e-4, rtol=0)


def test_anchored_models_ask_for_the_neutral(name: str) -> None:
    model, (vertices, neutral) = trained(name), faces(data())
    if model.anchored:
        with pytest.raises(MissingNeutral, match=name):
            codes_of(model, vertices)
        assert torch.equal(known(name).identity, neutral)
        torch.testing.assert_close(model.neutral_face(known(name)), neutral, atol=1e-3, rtol=0)
    else:
        assert len(known(name)) == len(vertices)  # and the scan alone is enough for the others


def test_saved_and_loaded_it_is_the_same(name: str, tmp_path: Path) -> None:
    model = trained(name)
    save_model(model, tmp_path / "model", facts={"seed": 1})
    again = load_model(tmp_path / "model")
    assert type(again) is type(model) and not again.training
    assert again.config == model.config and again.expressions == model.expressions
    assert again.topology.fingerprint == model.topology.fingerprint
    codes = known(name)
    assert_equal_codes(encoded(again), codes, 1e-6)
    torch.testing.assert_close(again.decode(codes), model.decode(codes), atol=1e-6, rtol=0)
    weights = torch.eye(len(model.expressions))
    torch.testing.assert_close(again.express(weights), model.express(weights), atol=1e-6, rtol=0)
    assert again.parameter_count == model.parameter_count


def test_no_scaffolding_ships(name: str) -> None:
    trained_state = set(trained(name).state_dict())
    assert trained_state == set(fresh(name).state_dict())
    assert not [key for key in trained_state if "discriminator" in key or "critic" in key]


def test_training_steps_stay_finite_and_move_the_model(name: str) -> None:
    model = fresh(name)
    model.prepare(data())
    before = {key: value.clone() for key, value in model.named_parameters()}
    losses = run_stages(model, data(), limit=2)
    assert all(np.isfinite(value) for step in losses for value in step.values())
    if before:
        assert any(not torch.equal(value, before[key]) for key, value in model.named_parameters())
    else:
        assert not losses, "a closed-form method yields no stage"


def test_preparing_twice_gives_the_same(name: str) -> None:
    first, second = fresh(name), fresh(name)
    for model in (first, second):
        model.prepare(data())
    for key, value in first.state_dict().items():
        torch.testing.assert_close(second.state_dict()[key], value, atol=0, rtol=0)


def test_neutrals_are_needed_only_where_announced(name: str) -> None:
    shown, kind = data(), model_class(name)
    left = shown.take(~shown.is_neutral)
    bare = FaceDataset(
        shown.topology, shown.expressions, left[:], left.row_weights, left.row_subject, shown.subjects
    )
    model = fresh(name)
    if kind.needs_neutrals:
        with pytest.raises(MissingNeutral):
            model.prepare(bare)
    else:
        model.prepare(bare)
        model.eval()
        model.calibrate(bare)
        assert torch.isfinite(model.decode(encoded(model))).all()
