"""What every model gives a person through :mod:`mien.apply`, or refuses with a reason."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from contract.cases import NAMES, data, lacks, precise, trained
from mien import apply
from mien.errors import BadMesh, MienError, MissingNeutral, Unsupported, WrongTopology
from mien.fit import fit_landmarks, invert
from mien.models.base import FaceModel
from mien.models.files import load_model, save_model

pytestmark = pytest.mark.parametrize("name", NAMES)
ROWS = np.array([1, 10, 21])

#: How far "once more" may move a face, in millimeters. Learned models approximate; formulas do not.
LEARNED_MM = 2.5
EXACT_MM = 0.05


def faces() -> np.ndarray:
    return data()[ROWS]


def neutrals() -> np.ndarray:
    return data().neutral_of(ROWS)


@lru_cache
def rebuilt(name: str) -> np.ndarray:
    """What a model makes of the scans; tests share it, because some models take seconds."""
    return apply.reconstruct(trained(name), faces(), neutrals())


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b, axis=-1).mean())


def tolerance(name: str) -> float:
    return LEARNED_MM if list(trained(name).parameters()) else EXACT_MM


def seen(model: FaceModel, meshes: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """What a model makes of scans: the scans again, or the people at rest if it knows nothing else."""
    if lacks(model.name, "reconstruct"):
        return apply.neutralize(model, meshes)
    return apply.reconstruct(model, meshes, rest)


def refuses(name: str, ability: str, call: Any) -> bool:
    """Checks the refusal of an ability that a model lacks; True if it does."""
    reason = lacks(name, ability)
    if reason is None:
        return False
    with pytest.raises(Unsupported) as caught:
        call()
    assert name in str(caught.value) and reason in str(caught.value)
    return True


def test_reconstruct(name: str) -> None:
    model = trained(name)
    if refuses(name, "reconstruct", lambda: apply.reconstruct(model, faces(), neutrals())):
        return
    result = rebuilt(name)
    assert result.shape == faces().shape and result.dtype == np.float32
    single = apply.reconstruct(model, torch.from_numpy(faces()[0]).double(), neutrals()[0])
    assert single.shape == faces().shape[1:]
    np.testing.assert_allclose(single, result[0], atol=precise(name, 1e-3))


def test_neutralize_twice_is_once(name: str) -> None:
    model = trained(name)
    if refuses(name, "neutralize", lambda: apply.neutralize(model, faces())):
        return
    once = apply.neutralize(model, faces())
    assert once.shape == faces().shape and once.dtype == np.float32
    assert distance(apply.neutralize(model, once), once) < tolerance(name)


def test_neutralizing_helps_the_closed_forms_that_know_neutrals(name: str) -> None:
    if name not in ("morphable", "nearest_identity"):
        return
    error = distance(apply.neutralize(trained(name), faces()), neutrals())
    assert error < 0.5 * distance(faces(), neutrals())


def test_transfer_onto_oneself_is_reconstruction(name: str) -> None:
    model, own = trained(name), {"expression_neutral": neutrals(), "onto_neutral": neutrals()}
    if refuses(name, "transfer", lambda: apply.transfer(model, faces(), faces(), **own)):
        return
    result = apply.transfer(model, faces(), faces(), **own)
    np.testing.assert_allclose(result, rebuilt(name), atol=1e-4)


def test_transfer_from_one_to_many_and_back(name: str) -> None:
    model = trained(name)
    if lacks(name, "transfer"):
        return
    onto = neutrals()
    many = apply.transfer(model, faces()[0], onto, expression_neutral=neutrals()[0])
    assert many.shape == onto.shape
    one = apply.transfer(model, faces()[0], onto[1], expression_neutral=neutrals()[0])
    np.testing.assert_allclose(one, many[1], atol=precise(name, 1e-3))
    with pytest.raises(MienError, match="do not match"):
        apply.transfer(model, faces(), onto[:2], expression_neutral=neutrals())


def test_transfer_of_examples_by_degrees_and_with_detail(name: str) -> None:
    if lacks(name, "transfer"):
        return
    model, examples, onto = trained(name), faces()[:2], neutrals()[2]
    rest = {"expression_neutral": neutrals()[:2], "onto_neutral": onto, "average": True}
    mean = apply.transfer(model, examples, onto, **rest)
    source, target = apply.codes_of(model, examples, neutrals()[:2]), apply.codes_of(model, onto, onto)
    between = model.mix(source[:1], source[1:], 0.5)
    expected = model.decode(target.replace(expression=between.expression))[0].detach().numpy()
    np.testing.assert_allclose(mean, expected, atol=2e-3)
    none = apply.transfer(model, examples, onto, **rest, intensity=0.0, keep_detail=True)
    np.testing.assert_allclose(none, onto, atol=2e-3)
    detailed = apply.transfer(model, examples, onto, **rest, keep_detail=True)
    np.testing.assert_allclose(detailed - onto, mean - apply.reconstruct(model, onto, onto), atol=2e-3)


def test_interpolation_reaches_both_ends(name: str) -> None:
    model = trained(name)
    a, b = faces()[0], faces()[1]
    rest = {"a_neutral": neutrals()[0], "b_neutral": neutrals()[1]}
    if refuses(name, "interpolate", lambda: apply.interpolate(model, a, b, 5, **rest)):
        return
    both = apply.interpolate(model, a, b, 5, **rest)
    np.testing.assert_allclose(both[[0, -1]], rebuilt(name)[:2], atol=precise(name, 2e-3))
    who = apply.interpolate(model, a, b, 3, "identity", **rest)
    what = apply.interpolate(model, a, b, 3, "expression", **rest)
    np.testing.assert_allclose(who[0], what[0], atol=1e-3)
    swapped = apply.transfer(model, b, a, expression_neutral=neutrals()[1], onto_neutral=neutrals()[0])
    np.testing.assert_allclose(what[-1], swapped, atol=precise(name, 2e-3))
    with pytest.raises(MienError, match="2 steps"):
        apply.interpolate(model, a, b, 1, **rest)
    with pytest.raises(MienError, match="identity, expression,.* both"):
        apply.interpolate(model, a, b, 3, "identiti", **rest)


def test_a_blend_of_one_is_itself(name: str) -> None:
    model = trained(name)
    if refuses(name, "interpolate", lambda: apply.blend(model, faces(), identity=[1, 0, 0])):
        return
    result = apply.blend(model, faces(), identity=[0, 2, 0], neutrals=neutrals())
    np.testing.assert_allclose(result, rebuilt(name)[1], atol=precise(name, 2e-3))
    swapped = apply.transfer(
        model, faces()[2], faces()[0], expression_neutral=neutrals()[2], onto_neutral=neutrals()[0]
    )
    mixed = apply.blend(model, faces(), identity=[1, 0, 0], expression=[0, 0, 1], neutrals=neutrals())
    np.testing.assert_allclose(mixed, swapped, atol=precise(name, 2e-3))
    with pytest.raises(MienError, match="share of 0 or more"):
        apply.blend(model, faces(), identity=[1, -1, 1], neutrals=neutrals())


def test_generate(name: str) -> None:
    model = trained(name)
    if refuses(name, "generate", lambda: apply.generate(model, 2, seed=1)):
        return
    people = apply.generate(model, 3, seed=1)
    assert people.shape == (3, model.topology.vertex_count, 3) and people.dtype == np.float32
    np.testing.assert_array_equal(apply.generate(model, 3, seed=1), people)
    assert distance(apply.generate(model, 3, seed=2), people) > 0.1
    smiling = apply.generate(model, 3, seed=1, weights={"smile": 1.0})
    still = apply.generate(model, 3, seed=1, weights=np.zeros((3, len(model.expressions))))
    assert np.isfinite(smiling).all() and smiling.shape == still.shape
    with pytest.raises(MienError, match="did you mean 'smile'"):
        apply.generate(model, 2, seed=1, weights={"smiel": 1.0})
    with pytest.raises(MienError, match="one number for each"):
        apply.generate(model, 2, seed=1, weights=[1.0])


def test_a_rig_at_zero_is_the_neutral(name: str) -> None:
    model, neutral = trained(name), neutrals()[0]
    if refuses(name, "rig", lambda: apply.rig(model, neutral)):
        return
    made = apply.rig(model, neutral)
    assert made.names == model.expressions and made.topology is model.topology
    assert made.targets.shape == (len(made.names), *neutral.shape) and made.targets.dtype == np.float32
    np.testing.assert_array_equal(made.base, neutral)
    np.testing.assert_array_equal(made.apply(np.zeros(len(made.names))), neutral)
    np.testing.assert_allclose(made.apply({"jaw_open": 1.0}), made.targets[1], atol=1e-4)
    assert 0 <= made.linearity_mm < 20
    some = apply.rig(model, neutral, names=["jaw_open", "smile"])
    np.testing.assert_allclose(some.targets, made.targets[[1, 0]], atol=1e-3)
    with pytest.raises(MienError, match="unknown expression"):
        apply.rig(model, neutral, names=["grimace"])


def test_a_clip_is_what_the_rig_shows(name: str) -> None:
    model, neutral = trained(name), neutrals()[0]
    still = np.zeros((2, len(model.expressions)))
    if refuses(name, "animate", lambda: apply.animate(model, neutral, still)):
        return
    weights = apply.curves(model.expressions, {"smile": 1.0}, onset=0.1, apex=0.3, offset=0.6, fps=10)
    clip = apply.animate(model, neutral, weights)
    assert clip.shape == (len(weights), *neutral.shape) and clip.dtype == np.float32
    np.testing.assert_allclose(clip[0], neutral, atol=1e-3)
    if model.remembers:  # its pose at the apex depends on the way there, and it takes its time to rest
        longer = apply.animate(model, neutral, np.concatenate([weights, np.zeros((30, weights.shape[1]))]))
        away = np.linalg.norm(longer - neutral, axis=2).mean(axis=1)
        np.testing.assert_allclose(longer[: len(clip)], clip, atol=1e-3)
        assert away[-1] < 0.5 * away.max()
    else:
        np.testing.assert_allclose(clip[-1], neutral, atol=1e-3)
        np.testing.assert_allclose(clip[3], apply.rig(model, neutral).targets[0], atol=1e-3)
    with pytest.raises(MienError, match="T, E"):
        apply.animate(model, neutral, weights[0])
    with pytest.raises(MienError, match="one neutral face"):
        apply.animate(model, neutrals(), weights)


def test_landmarks(name: str) -> None:
    model, places = trained(name), data().topology.landmarks
    goal = places.positions(faces()[0])
    if refuses(name, "fit", lambda: fit_landmarks(model, goal, places.names)):
        return
    vertices, codes, residual = fit_landmarks(model, goal, places.names, prior_weight=0.01, steps=50)
    assert vertices.shape == faces()[0].shape and len(codes) == 1
    with torch.no_grad():
        middle = model.decode(model.origin(1))[0].numpy()
    assert residual < np.linalg.norm(places.positions(middle) - goal, axis=-1).mean()


def test_inversion_is_no_worse_than_the_encoder(name: str) -> None:
    model = trained(name)
    if lacks(name, "fit"):
        return
    steps = 100 if name == "flame" else 30  # its encoder is a descent, too, and near the end of it
    with torch.no_grad():
        found = model.decode(invert(model, faces(), steps=steps)).numpy()
    assert distance(found, faces()) < distance(rebuilt(name), faces()) + EXACT_MM


def test_wrong_faces_are_refused(name: str) -> None:
    model = trained(name)
    with pytest.raises(WrongTopology):
        seen(model, faces()[:, :-1], neutrals()[:, :-1])
    broken = faces()
    broken[0, 0, 0] = np.nan
    with pytest.raises(BadMesh, match="NaN"):
        seen(model, broken, neutrals())
    if lacks(name, "animate"):
        return
    with pytest.raises(BadMesh, match="neutral face has NaN"):
        apply.animate(model, broken[0], np.zeros((2, len(model.expressions))))
    if model.anchored:
        with pytest.raises(MissingNeutral):
            apply.reconstruct(model, faces())


def test_verbs_leave_the_model_and_the_faces_alone(name: str) -> None:
    model, given = trained(name), faces()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.train()
    try:
        first = seen(model, given, neutrals())
        assert model.training
    finally:
        model.eval()
    np.testing.assert_array_equal(given, faces())
    np.testing.assert_allclose(seen(model, given, neutrals()), first, atol=1e-4)
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]), f"{key} changed"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_same_and_its_files_open_without_one(name: str, tmp_path: Path) -> None:
    model = trained(name)
    save_model(model, tmp_path / "cpu")
    there = load_model(tmp_path / "cpu").to("cuda")
    near = {"atol": 0.05}  # millimeters: other devices add in another order
    expected = seen(model, faces(), neutrals())
    np.testing.assert_allclose(seen(there, faces(), neutrals()), expected, **near)
    if not lacks(name, "animate"):
        neutral, weights = neutrals()[0], np.eye(len(model.expressions))
        clip = apply.animate(model, neutral, weights)
        np.testing.assert_allclose(apply.animate(there, neutral, weights), clip, **near)
    if not lacks(name, "generate"):
        people = apply.generate(model, 2, seed=3)
        np.testing.assert_allclose(apply.generate(there, 2, seed=3), people, **near)
    save_model(there, tmp_path / "gpu")
    back = load_model(tmp_path / "gpu")
    assert back.device.type == "cpu"
    np.testing.assert_allclose(seen(back, faces(), neutrals()), expected, atol=1e-4)
