"""FaceCAM through the loop: exact resume in both stages, averages, and what a short run must learn."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures import planted

from mien import apply
from mien.data.dataset import FaceDataset
from mien.models.facecam.model import FaceCAM
from mien.training import fit_model, loop, plan_training

pytest.importorskip("lightning_fabric", reason="needs the extra mien[train]")

SMALL = {
    "pca_dim": 30, "hidden": [48, 32], "generator_hidden": [48, 48], "batch_size": 24,
    "latent_batch_size": 24, "seen_vertices": 40,
}  # fmt: skip


class Killed(Exception):
    """Stands for a power cut."""


@lru_cache
def data() -> FaceDataset:
    return planted(subjects=20, interaction=0.2, noise=0.05).data


def train(out: Path, resume: bool = False, save_seconds: float = 30.0, **changes: object) -> FaceCAM:
    plan = plan_training("facecam", SMALL | changes, profile="smoke")
    options = {"accelerator": "cpu", "progress": False, "save_seconds": save_seconds}
    model = fit_model(plan, data(), out, resume=resume, **options)  # type: ignore[arg-type]
    assert isinstance(model, FaceCAM)
    return model


def test_cuts_in_both_stages_change_no_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = {"steps": 8, "latent_steps": 8, "validate_every": 4}
    whole = train(tmp_path / "whole", **short).state_dict()
    for cut in (5, 6):  # in stage I, then in stage II of the resumed run
        calls, step = 0, loop.Loop._step

        def stop(self: loop.Loop, *args: object, step: object = step, cut: int = cut) -> object:
            nonlocal calls
            calls += 1
            if calls > cut:
                raise Killed
            return step(self, *args)  # type: ignore[operator]

        monkeypatch.setattr(loop.Loop, "_step", stop)
        with pytest.raises(Killed):
            train(tmp_path / "cut", resume=cut == 6, save_seconds=0.0, **short)
        monkeypatch.undo()
    again = train(tmp_path / "cut", resume=True, **short).state_dict()
    assert all(torch.equal(again[name], value) for name, value in whole.items())


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> FaceCAM:
    options = {"steps": 150, "latent_steps": 150, "latent_rate": 3e-3, "rate": 4e-3, "average": 0.96}
    return train(tmp_path_factory.mktemp("runs") / "run", **options)


def test_new_people_perform_what_they_are_asked(learned: FaceCAM) -> None:
    """The planted field of each expression is found again in what new people do, also beyond full weight."""
    fields = planted(subjects=20, interaction=0.2, noise=0.05).expression_axes
    lengths = (fields**2).sum((1, 2))
    for number, name in enumerate(learned.expressions):
        rest, full, beyond = (
            apply.generate(learned, 12, seed=2, weights={name: level}) for level in (0.0, 1.0, 1.5)
        )
        along = np.einsum("pvc,evc->pe", full - rest, fields) / lengths
        assert (along.argmax(axis=1) == number).all(), name
        assert 0.5 < along[:, number].mean() < 1.5, name
        further = np.einsum("pvc,vc->p", beyond - rest, fields[number]) / lengths[number]
        assert (further > along[:, number]).all(), name


def test_people_stay_themselves_and_differ(learned: FaceCAM) -> None:
    faces = np.stack([apply.generate(learned, 12, seed=4, weights={n: 1.0}) for n in learned.expressions])
    means = faces.mean(axis=0)  # (12, V, 3): each person over all expressions
    within = np.linalg.norm(faces - faces.mean(axis=1, keepdims=True) - means + means.mean(0), axis=-1).mean()
    between = np.linalg.norm(means - means.mean(axis=0), axis=-1).mean()
    real = data().neutral_of(np.arange(len(data())))
    assert within < 0.5 * between  # a person with another expression is the same person
    assert between > 0.4 * np.linalg.norm(real - real.mean(axis=0), axis=-1).mean()


def test_training_people_are_regenerated(learned: FaceCAM) -> None:
    rows = np.flatnonzero(np.isin([data().subjects[s] for s in data().row_subject], learned.people))[:60]
    people = learned.training_people([data().subjects[s] for s in data().row_subject[rows]])
    weights = torch.from_numpy(data().row_weights[rows])
    with torch.no_grad():
        made = learned.decode(people.replace(expression=learned.express(weights))).numpy()
        # Nobody's code: the same expressions by the mean of all people's vectors.
        codes = people.replace(expression=learned.express(weights))
        middle = codes.identity.clone()
        middle[:, 100:120] = 0.0
        other = learned.decode(codes.replace(identity=middle)).numpy()
    own, wrong = (np.linalg.norm(faces - data()[rows], axis=-1).mean() for faces in (made, other))
    assert own < 0.6 * wrong
