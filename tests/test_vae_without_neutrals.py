"""The adversarial VAE without neutral scans: what stands for them, at the start and as a target."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from fixtures import planted

from mien.data.rest import median_faces
from mien.data.sampling import Batch
from mien.errors import Note, UnknownName
from mien.models.adversarial_vae.losses import IdentityDiscriminator, Settings, joint_training
from mien.models.adversarial_vae.model import AdversarialVAE
from mien.models.adversarial_vae.moving_rest import MovingRest
from mien.models.base import Stage, validation_errors

FREE = Settings(neutrals=False, identity_discriminator=False, batch_size=6, rest="median")
pytestmark = pytest.mark.filterwarnings("ignore::mien.errors.Note")


def made(settings: Settings) -> tuple[AdversarialVAE, Stage]:
    data = planted().data
    torch.manual_seed(0)
    model = AdversarialVAE(data.topology, data.expressions, 6, 5, hidden=24)
    model.prepare(data)
    return model, joint_training(model, IdentityDiscriminator(), data, settings, data)


def test_the_published_form_is_the_default() -> None:
    assert Settings(neutrals=False).rest == "none" and not Settings(neutrals=False).supervised
    with pytest.raises(UnknownName, match="did you mean 'found'"):
        Settings(rest="foundd")


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_target_is_the_persons_median_and_no_neutral_scan(share: float) -> None:
    data = planted().data
    medians = median_faces(data).faces
    _, stage = made(replace(FREE, virtual_people=share))
    batch = stage.batch(torch.Generator().manual_seed(0))
    terms = dict(stage.step(batch, 0))["vae"]
    assert {"neutral", "smoothness"} <= set(terms)
    assert batch.neutral is not None
    if not share:
        wanted = np.stack([medians[int(person)] for person in batch.subject])
        np.testing.assert_array_equal(batch.neutral.numpy(), wanted)
        assert not np.allclose(wanted, data.neutral_of(np.arange(len(data)))[:6], atol=1e-3)
    else:  # the row's own displacement is kept
        assert (batch.subject == -1).all() and (batch.origin >= 0).all()


def test_a_start_alone_sets_no_target() -> None:
    _, stage = made(replace(FREE, rest_target=False, closed_form_start=True))
    batch = stage.batch(torch.Generator().manual_seed(0))
    assert batch.neutral is None and "neutral" not in dict(stage.step(batch, 0))["vae"]


def test_the_start_knows_rest() -> None:
    """Without it both branches share the deviation; with it the identity shape is near the true neutrals."""
    errors = {}
    for rest in ("none", "median"):
        model, stage = made(replace(FREE, rest=rest, rest_target=False, closed_form_start=True))
        assert stage.begin is not None
        model.train()
        stage.begin()
        with torch.no_grad():  # batch statistics: the running ones of a single batch have not settled
            errors[rest] = validation_errors(model, planted().data, True)["neu_avd"]
    assert errors["median"] < 0.7 * errors["none"]


def test_true_neutrals_do_not_choose_the_weights() -> None:
    _, stage = made(FREE)
    assert stage.validate is not None
    found = stage.validate()
    assert found["criterion"] == found["rec_avd_mesh"] and "neu_avd" in found


def test_a_moving_target_follows_the_identity_shapes_of_its_person() -> None:
    data = planted().data
    model = AdversarialVAE(data.topology, data.expressions, 6, 5)
    model.prepare(data)
    bank = MovingRest(model, data, 0.75)
    faces, began = torch.from_numpy(data[[1, 2, 14]]), torch.from_numpy(data.neutral_of([1, 2, 14]))
    subject = torch.tensor([0, 0, 2])
    shapes = began + torch.tensor([1.0, 3.0, 8.0])[:, None, None]  # millimeters off, the same everywhere
    batch = Batch(faces, torch.tensor([-1, 0, 2]), torch.zeros(3, 5), began, origin=subject)
    first = bank.follow_shapes(batch, model.normalize(shapes))
    torch.testing.assert_close(first, began)
    second = bank.follow_shapes(batch, model.normalize(shapes))
    off = (second - began).mean((1, 2))
    torch.testing.assert_close(off, torch.tensor([0.5, 0.5, 2.0]), atol=1e-4, rtol=0)
    assert bank.moved[1].abs().max() == 0
    left = (bank.moved[2] - 8).mean()  # a quarter of the way at each visit
    assert float(left) == pytest.approx(-8 * 0.75**2, abs=1e-4)


def test_moving_targets_are_saved_with_the_run() -> None:
    model, stage = made(replace(FREE, rest_stays=0.9))
    assert isinstance(stage.modules["bank"], MovingRest)
    dict(stage.step(stage.batch(torch.Generator().manual_seed(0)), 0))
    assert stage.modules["bank"].state_dict()["moved"].abs().max() > 0
    assert "bank" not in made(FREE)[1].modules


def test_rest_is_told() -> None:
    with pytest.warns(Note, match="people"):
        made(replace(FREE, rest="found"))
