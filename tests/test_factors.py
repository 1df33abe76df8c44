"""Any number of factors, as people use them: walks, transfers, training people, a real face's expression."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run
from contract.cases import trained
from fixtures import tiny_data
from numpy.typing import NDArray
from test_decoupled_gan import made, three_factors

from mien import apply
from mien.codes import Codes
from mien.errors import BadSetting, UnknownName, Unsupported
from mien.io.mesh import read_mesh, write_obj
from mien.models.decoupled_gan.model import DecoupledGAN
from mien.models.files import load_model, save_model

Capture = pytest.CaptureFixture[str]
#: Codes of meshes are found by descent.
NEAR_MM = 0.05


@lru_cache
def speaker() -> DecoupledGAN:
    """Three factors; untrained, so every code has faces of its own and a mesh leads back to its code."""
    model = made(three_factors(), further=("viseme",), further_size=3).eval()
    with torch.no_grad():
        model.generator[2].weight.mul_(4)
    model.calibrate(three_factors())
    return model


@lru_cache
def pair() -> Codes:
    return speaker().sample(2, generator=torch.Generator().manual_seed(5))


@torch.no_grad()
def face(codes: Codes) -> NDArray[np.float32]:
    """(V, 3) millimeters."""
    return speaker().decode(codes)[0].numpy()


def near(found: NDArray, codes: Codes) -> None:
    assert np.linalg.norm(found - face(codes), axis=1).max() < NEAR_MM


@pytest.mark.parametrize("factor", ["viseme", "noise", "expression", "both"])
def test_walks_go_along_any_factor_and_beyond_both_ends(factor: str) -> None:
    a, b = pair()[:1], pair()[1:]
    shares = (-0.5, 0.0, 0.4, 1.5)
    path = apply.interpolate(speaker(), face(a), face(b), shares, factor)
    for found, share in zip(path, shares, strict=True):
        mixed = {name: a.factor(name) + share * (b.factor(name) - a.factor(name)) for name in a.names}
        near(found, a.replace(**(mixed if factor == "both" else {factor: mixed[factor]})))


def test_transfers_carry_the_factors_that_are_named() -> None:
    source, target = pair()[:1], pair()[1:]
    said, both = target.replace(viseme=source.factor("viseme")), ("expression", "viseme")
    near(apply.transfer(speaker(), face(source), face(target), factors=["viseme"]), said)
    near(
        apply.transfer(speaker(), face(source), face(target), factors=both),
        said.replace(expression=source.expression),
    )
    added = {name: source.factor(name) + target.factor(name) for name in both}
    near(
        apply.transfer(speaker(), face(source), face(target), factors=both, add=True), target.replace(**added)
    )
    near(apply.transfer(speaker(), face(source), face(target)), target.replace(expression=source.expression))


def test_unknown_factors_are_told_the_known_ones() -> None:
    known = "did you mean 'viseme'.*identity, expression, viseme, noise"
    shown = face(pair())
    with pytest.raises(UnknownName, match=known):
        apply.transfer(speaker(), shown, shown, factors=["visem"])
    with pytest.raises(UnknownName, match=f"{known}, both"):
        apply.interpolate(speaker(), shown, shown, 2, "visem")
    with pytest.raises(UnknownName, match=known):
        apply.generate(speaker(), 2, seed=0, hold=["visem"])
    with pytest.raises(UnknownName, match="identity, expression, both"):
        apply.interpolate(trained("morphable"), tiny_data()[0], tiny_data()[1], 2, "viseme")


def test_training_people_have_the_codes_of_their_labels(tmp_path: Path) -> None:
    save_model(speaker(), tmp_path / "model")
    again = load_model(tmp_path / "model")
    people = again.training_people(["person-5", "person-2"])
    torch.testing.assert_close(people.identity, speaker().label_codes("identity")[[5, 2]])
    torch.testing.assert_close(people.expression, speaker().express(torch.zeros(2, len(again.expressions))))
    assert not people.factor("viseme").any() and not people.factor("noise").any()
    takes = apply.generate(again, 3, seed=1, person="person-5", hold=["noise", "viseme", "expression"])
    other = apply.generate(again, 3, seed=1, person="person-2", hold=["noise", "viseme", "expression"])
    assert np.ptp(takes, axis=0).max() < 1e-3 < np.abs(takes - other).max()
    with pytest.raises(UnknownName, match="did you mean 'person-5'"):
        apply.generate(again, 2, seed=1, person="persn-5")
    half = three_factors().take(three_factors().row_subject > 3)
    assert made(half, further=("viseme",)).class_names("identity") == tuple(
        f"person-{i}" for i in range(4, 8)
    )


def test_strangers_take_the_expression_of_a_face() -> None:
    shown = pair()[:1]
    found = apply.generate(speaker(), 3, seed=4, expression_of=face(shown))
    drawn = speaker().sample(3, generator=torch.Generator().manual_seed(4))
    for row in range(3):
        near(found[row], drawn[[row]].replace(expression=shown.expression))
    # A model with an encoder does the same, and others refuse with a reason.
    linear, real = trained("morphable"), tiny_data()[3]
    codes = linear.sample(2, generator=torch.Generator().manual_seed(0))
    wanted = codes.replace(expression=apply.codes_of(linear, real).expression.expand_as(codes.expression))
    shown_by = apply.generate(linear, 2, seed=0, expression_of=real)
    np.testing.assert_allclose(shown_by, linear.decode(wanted).detach(), atol=1e-3)
    with pytest.raises(BadSetting, match="received 2 faces"):
        apply.generate(linear, 2, seed=0, expression_of=tiny_data()[:2])
    with pytest.raises(Unsupported, match="no identity space"):
        apply.generate(trained("displacement_transfer"), 2, seed=0, expression_of=real)


def test_the_commands_know_the_factors(capsys: Capture, tmp_path: Path) -> None:
    source, target = pair()[:1], pair()[1:]
    model, a, b = tmp_path / "model", tmp_path / "a.obj", tmp_path / "b.obj"
    save_model(speaker(), model)
    for path, codes in ((a, source), (b, target)):
        write_obj(path, face(codes), speaker().topology)
    options = ("--expression", a, "--onto", b, "--factor", "viseme", "--factor", "noise")
    told = run(capsys, "transfer", model, *options, "-o", tmp_path / "said.obj")
    assert "b.obj with the viseme and noise of a.obj" in told.out
    carried = target.replace(viseme=source.factor("viseme"), noise=source.factor("noise"))
    near(read_mesh(tmp_path / "said.obj").vertices, carried)
    walk = ("--factor", "viseme", "--steps", 2, "--to", 2, "-o", tmp_path / "walk")
    assert run(capsys, "interpolate", model, a, b, *walk).code == 0
    beyond = 2 * target.factor("viseme") - source.factor("viseme")
    near(read_mesh(tmp_path / "walk" / "step_0001.obj").vertices, source.replace(viseme=beyond))
    crowd = ("generate", model, "-n", 2, "-o", tmp_path / "crowd")
    assert run(capsys, *crowd, "--expression-of", a, "--person", "person-3").code == 0
    drawn = speaker().sample(2, generator=torch.Generator().manual_seed(0))[1:]
    who = speaker().label_codes("identity")[3:4]
    found = read_mesh(tmp_path / "crowd" / "person_0001.obj").vertices
    near(found, drawn.replace(identity=who, expression=source.expression))
    styled = run(capsys, "transfer", model, *options, "--style", "smile", "-o", tmp_path / "x.obj").sentence
    assert "--factor mean nothing with --style" in styled
    assert "a.obj" in (tmp_path / "crowd" / "people.csv").read_text()
    assert "--varied and --expression-of" in run(capsys, *crowd, "--varied", "--expression-of", a).sentence
    assert (
        "did you mean 'viseme'"
        in run(capsys, "interpolate", model, a, b, "--factor", "visem", *walk[2:]).sentence
    )
