"""Style and intensity as people use them: through the verbs and the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from commands import Studio, run
from contract.cases import trained
from fixtures import tiny_data

from mien import apply
from mien.errors import BadSetting, UnknownName, Unsupported
from mien.io.mesh import read_mesh
from mien.models.facecam.model import FaceCAM
from mien.models.files import save_model

DATA = tiny_data()
NEUTRAL, OTHER = DATA[0], DATA[42]
SMILE = {"smile": 1.0}
Capture = pytest.CaptureFixture[str]


def net() -> FaceCAM:
    model = trained("facecam")
    assert isinstance(model, FaceCAM)
    return model


def test_a_named_expression_depends_on_who_performs_it() -> None:
    model = net()
    people = model.training_people(["person-1", "person-5"])
    smile = model.express(torch.eye(5)[:1]).expand(2, -1)
    _, w_exp = model.embeddings(people.replace(expression=smile))
    assert (w_exp[0] - w_exp[1]).abs().max() > 1e-3
    taken = model.restyle(people, people[:1]).replace(expression=smile)
    w_id, styled = model.embeddings(taken)
    torch.testing.assert_close(styled[1], styled[0])  # the first person's style on both ...
    torch.testing.assert_close(w_id, model.embeddings(people)[0])  # ... who stay who they are
    with pytest.raises(UnknownName, match="person-1"):
        model.training_people(["persom-1"])


def test_intensity_scales_the_label_and_blends_add_labels() -> None:
    model = net()
    weights = torch.tensor([[1.5, 0, 0, 0, 0], [0.4, 0.0, 0.7, 0, 0], [0, 0, 0, 0, 0]])
    codes = model.express(weights)
    w_exp, z_exp, gate = codes.split([30, 6, 1], dim=1)
    torch.testing.assert_close(z_exp[:, 1:], weights)
    assert not w_exp.any() and not z_exp[:, 0].any() and torch.equal(gate, torch.ones(3, 1))


def test_encoded_faces_and_generated_expressions_mix() -> None:
    model = net()
    person = apply.codes_of(model, DATA[3])
    smiling = person.replace(expression=model.express(torch.eye(5)[:1]))
    (_, start), (_, end) = (model.embeddings(codes) for codes in (person, smiling))
    middle = (
        model.embeddings(model.mix(person, smiling, 0.0))[1],
        model.embeddings(model.mix(person, smiling, 1.0))[1],
    )
    torch.testing.assert_close(middle[0], start, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(middle[1], end, atol=1e-4, rtol=1e-4)
    styled = model.restyle(smiling, model.training_people(["person-2"]))
    ends = [model.mix(smiling, styled, t) for t in (0.0, 1.0)]
    for codes, same in zip(ends, (smiling, styled), strict=True):
        torch.testing.assert_close(model.decode(codes), model.decode(same), atol=1e-3, rtol=0)


def test_a_fitted_person_is_found_again() -> None:
    model = net()
    z_id = torch.randn(6, 20, generator=torch.Generator().manual_seed(4))
    made = model.generators["identity"](torch.cat([z_id, torch.zeros(6, 5)], dim=1))
    made = model.code_mean[:100] + model.code_std[:100] * made
    found = model.person_of(made)
    again = model.embeddings(model.to_generate(found, torch.zeros(6, 6), torch.zeros(6, 5)))[0]
    spread = (model.generators["identity"](torch.randn(200, 25)).std(0) * model.code_std[:100]).norm()
    assert (again - made).norm(dim=1).max() < 0.2 * spread
    # Every row by itself, whatever stands beside it.
    torch.testing.assert_close(model.person_of(made[2:3]), found[2:3], atol=1e-4, rtol=1e-4)


def test_rigs_take_the_style_of_another() -> None:
    model = net()
    own, other, named = (
        apply.rig(model, NEUTRAL, style=style).targets for style in (None, OTHER, "person-7")
    )
    np.testing.assert_allclose(apply.rig(model, NEUTRAL, style=NEUTRAL).targets, own, atol=1e-3)
    assert np.abs(other - own).max() > 1e-2 and np.abs(named - own).max() > 1e-2
    clip = apply.animate(model, NEUTRAL, apply.named_weights(model.expressions, SMILE)[None], style=OTHER)
    np.testing.assert_allclose(clip[0], other[0], atol=1e-3)
    people = apply.generate(model, 2, seed=1, weights=SMILE, style="person-7")
    assert np.abs(people - apply.generate(model, 2, seed=1, weights=SMILE)).max() > 1e-2
    with pytest.raises(BadSetting, match="one person"):
        apply.rig(model, NEUTRAL, style=DATA[:2])


def test_training_people_perform_again() -> None:
    model = net()
    takes = apply.generate(model, 3, seed=1, weights=SMILE, person="person-4")
    own = model.training_people(["person-4"])
    smile = model.decode(own.replace(expression=model.express(torch.eye(5)[:1]))).detach().numpy()[0]
    apart = apply.generate(model, 3, seed=1, weights=SMILE)
    near, far = (np.linalg.norm(faces - smile, axis=-1).mean(1) for faces in (takes, apart))
    assert (near < far).all() and np.ptp(takes, axis=0).max() > 1e-3  # takes differ by their noise
    with pytest.raises(Unsupported, match="training people"):
        apply.generate(trained("pca"), 1, seed=0, person="person-4")


def test_models_without_styles_say_so() -> None:
    with pytest.raises(Unsupported, match="style"):
        apply.rig(trained("pca"), NEUTRAL, style=OTHER)
    with pytest.raises(Unsupported, match="training people"):
        apply.generate(trained("pca"), 1, seed=0, weights=SMILE, style="person-1")
    off = FaceCAM(DATA.topology, DATA.expressions, hidden=(8,), generator_hidden=(8,), g_exp_identity=False)
    assert off.generators["expression"][0].in_features == 6 + 5
    with pytest.raises(Unsupported, match="g_exp_identity"):
        off.restyle(off.sample(1), off.sample(1))


def test_styles_on_the_command_line(studio: Studio, tmp_path: Path, capsys: Capture) -> None:
    save_model(net(), tmp_path / "model", facts={})
    faces = {}
    for name, row in (("neutral", 0), ("other", 42)):
        from mien.io.mesh import write_mesh

        faces[name] = tmp_path / f"{name}.obj"
        write_mesh(faces[name], DATA[row], DATA.topology)
    model = tmp_path / "model"
    for person in ("person-7", faces["other"]):
        out = tmp_path / f"people-{Path(person).stem}"
        done = run(capsys, "generate", model, "-n", 1, "-e", "smile=1.2", "--style-of", person, "-o", out)
        assert done.code == 0, done
    onto = ("--expression", faces["other"], "--onto", faces["neutral"])
    out = tmp_path / "styled.obj"
    assert run(capsys, "transfer", model, *onto, "--style", "smile", "-o", out).code == 0
    expected = apply.rig(net(), NEUTRAL, ["smile"], style=OTHER).targets[0]
    np.testing.assert_allclose(read_mesh(out).vertices, expected, atol=1e-2)
    start = ("animate", model, faces["neutral"], "-e", "smile", "--style-of", faces["other"])
    assert run(capsys, *start, "-o", tmp_path / "apex.obj").code == 0
    np.testing.assert_allclose(read_mesh(tmp_path / "apex.obj").vertices, expected, atol=1e-2)
    rig = run(capsys, "rig", model, faces["neutral"], "--style-of", "nobody", "-o", tmp_path / "a.glb")
    assert rig.code == 2 and "training person" in rig.err
    refused = run(
        capsys, "rig", studio.model, studio.neutral, "--style-of", studio.smile, "-o", tmp_path / "b.glb"
    )
    assert refused.code == 2 and "style" in refused.err
