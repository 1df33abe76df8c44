"""The loop: exact resume after any cut, honest settings, logs that match the weights."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from clips import moving_data
from contract.cases import ARGUMENTS
from fixtures import planted
from meshes import mask

from mien.data.dataset import FaceDataset
from mien.errors import BadFile, BadSetting, Note, UnknownName
from mien.limits import LARGEST_NUMBER
from mien.machine import processor
from mien.models.files import load_model
from mien.topology import Topology
from mien.training import fit_model, loop, plan_training

pytest.importorskip("lightning_fabric", reason="needs the extra mien[train]")

OVERRIDES = {
    "identity_size": 4, "expression_size": 4, "hidden": 16, "steps": 8, "pretraining_steps": 3,
    "batch_size": 4, "validate_every": 3, "decay_every": 3, "discriminator_points": 40,
    "closed_form_finish": 2,
}  # fmt: skip
SHORT = {"steps": 7, "batch_size": 6, "validate_every": 3}


@pytest.fixture(scope="module")
def data() -> FaceDataset:
    return planted().data


def train(data: FaceDataset, out: Path, **options: object) -> dict[str, torch.Tensor]:
    plan = plan_training("adversarial_vae", OVERRIDES, profile="smoke")
    return fit_model(plan, data, out, accelerator="cpu", progress=False, **options).state_dict()


@pytest.fixture(scope="module")
def uninterrupted(data: FaceDataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    """The weights of a whole run, and its folder, in which no test writes."""
    out = tmp_path_factory.mktemp("whole") / "run"
    return train(data, out), out


def log_of(out: Path) -> list[dict]:
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


class Killed(BaseException):
    """Stands in for SIGKILL: nothing in the library may catch it."""


Run = Callable[..., dict[str, torch.Tensor]]


def cut_and_resumed(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch, *, count: int, latest: int = 3
) -> dict[str, torch.Tensor]:
    """The weights of a run that was cut ``count`` times inside batches, updates and saves."""
    rng = random.Random(20)
    cuts = 0
    names = ["_step", "_update", "_save", "_validate", "_log"]

    def arm() -> None:
        name, calls = rng.choice(names), rng.randint(1, latest)
        original = getattr(loop.Loop, name)

        def cut(self: loop.Loop, *args: object) -> object:
            nonlocal calls
            calls -= 1
            late = rng.random() < 0.5
            if calls == 0 and not late:
                raise Killed
            result = original(self, *args)
            if calls == 0:
                raise Killed
            return result

        monkeypatch.setattr(loop.Loop, name, cut)

    for attempt in range(60):
        if cuts < count:
            arm()
        try:
            weights = run(root / "run", resume=attempt > 0, save_seconds=0.0)
            if cuts >= count:
                return weights
            # It finished before the cut came: start over in a new folder.
            (root / "run").rename(root / f"done-{attempt}")
        except Killed:
            cuts += 1
        finally:
            monkeypatch.undo()
    raise AssertionError(f"{cuts} cuts")


def test_ten_cuts_at_random_moments_change_no_bit(
    data: FaceDataset, tmp_path: Path, uninterrupted: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every resume continues to bit-identical weights and logs."""
    weights = cut_and_resumed(partial(train, data), tmp_path, monkeypatch, count=10)
    whole, out = uninterrupted
    assert all(torch.equal(weights[name], whole[name]) for name in whole)
    kept = [row for row in log_of(tmp_path / "run") if row["kind"] == "validation"]
    assert kept == [row for row in log_of(out) if row["kind"] == "validation"]


@pytest.mark.parametrize("name", ["facetunegan", "expression_lstm", "coma"])
def test_cuts_change_no_bit_of_other_methods(
    name: str, data: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A game of two with a moving average, whole clips, and a split that is measured after training."""
    plan = plan_training(name, ARGUMENTS[name] | SHORT, profile="smoke")
    shown = moving_data(people=8) if name == "expression_lstm" else data

    def run(out: Path, **options: Any) -> dict[str, torch.Tensor]:
        model = fit_model(plan, shown, out, accelerator="cpu", progress=False, **options)
        return {key: value.clone() for key, value in model.state_dict().items()}

    whole, again = run(tmp_path / "whole"), cut_and_resumed(run, tmp_path, monkeypatch, count=3, latest=2)
    assert set(again) == set(whole) and all(torch.equal(again[key], whole[key]) for key in whole)
    logs = [
        [row for row in log_of(tmp_path / out) if row["kind"] == "validation"] for out in ("whole", "run")
    ]
    assert logs[0] == logs[1] and len(logs[0]) > 1


def test_finished_run_is_a_model_folder(data: FaceDataset, uninterrupted: tuple) -> None:
    weights, out = uninterrupted
    model = load_model(out)
    assert not model.training
    assert all(torch.equal(model.state_dict()[name], value) for name, value in weights.items())
    assert not (out / "checkpoint.safetensors").exists()
    facts = json.loads((out / "config.json").read_text())["facts"]
    assert facts["plan"]["settings"]["steps"] == 8
    assert facts["data"]["fingerprint"] == data.fingerprint
    assert facts["machine"]["processor"] == processor() and facts["machine"]["threads"] > 0
    assert facts["face_points"] in (out / "README.md").read_text(encoding="utf-8")
    assert (model.face_points is not None) == facts["face_points"][0].isdigit()


def test_training_reduces_the_error(data: FaceDataset, tmp_path: Path) -> None:
    settings = OVERRIDES | {"steps": 60, "rate": 3e-3, "decay_every": 60, "identity_discriminator": False}
    settings |= {"validate_every": 20, "batch_size": 8}
    plan = plan_training("adversarial_vae", settings, profile="smoke")
    fit_model(plan, data, tmp_path / "run", accelerator="cpu", progress=False)
    errors = [row["rec_avd_mesh"] for row in log_of(tmp_path / "run") if row["kind"] == "validation"]
    assert min(errors[1:]) < 0.6 * errors[0]


def test_two_processes_train_one_model(data: FaceDataset, tmp_path: Path) -> None:
    """Data-parallel on the CPU through the command line, as people start it."""
    faces = data.save(tmp_path / "faces").folder
    settings = [f"--set={name}={value}" for name, value in OVERRIDES.items()]
    command = [
        sys.executable,
        "-m",
        "mien",
        "train",
        "adversarial_vae",
        "--data",
        str(faces),
        "--profile",
        "smoke",
    ]
    command += ["--out", str(tmp_path / "run"), "--devices", "2", *settings, "--set=closed_form_start=false"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "run" / "config.json").read_text())["facts"]
    assert facts["machine"]["processes"] == 2
    assert done.stdout.count("trained with the profile") == 1
    assert all(value.isfinite().all() for value in load_model(tmp_path / "run").state_dict().values())


def test_unknown_setting_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="did you mean 'divergence'"):
        plan_training("adversarial_vae", {"divergance": 1})
    with pytest.raises(UnknownName, match="known: smoke, standard, full"):
        plan_training("adversarial_vae", profile="quick")


def test_a_run_in_use_and_a_run_of_other_settings_are_refused(
    data: FaceDataset, uninterrupted: tuple
) -> None:
    out = uninterrupted[1]
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(BadSetting, match="--resume"):
        train(data, out)
    plan = plan_training("adversarial_vae", OVERRIDES | {"rate": 0.5}, profile="smoke")
    with pytest.raises(BadSetting, match="other settings"):
        fit_model(plan, data, out, resume=True, progress=False)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_damaged_checkpoint_is_one_sentence(
    data: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop.Loop, "_step", lambda *_: (_ for _ in ()).throw(Killed()))
    with pytest.raises(Killed):
        train(data, tmp_path / "run")
    monkeypatch.undo()
    path = tmp_path / "run" / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BadFile, match="damaged"):
        train(data, tmp_path / "run", resume=True)


def test_diverging_losses_stop_with_their_values(data: FaceDataset, tmp_path: Path) -> None:
    plan = plan_training(
        "adversarial_vae", OVERRIDES | {"rate": LARGEST_NUMBER, "steps": 30}, profile="smoke"
    )
    with pytest.raises(BadSetting, match="no longer finite"):
        fit_model(plan, data, tmp_path / "run", accelerator="cpu", progress=False)


def test_speed_is_that_of_the_faces_since_the_last_record(
    data: FaceDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that is told what steps and validations take, and a cut with an hour of nothing."""
    clock = [0.0]
    step, validate, save = loop.Loop._step, loop.Loop._validate, loop.Loop._save
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def timed(function: Callable, seconds: float, *, fails_at: float = np.inf) -> Callable:
        def run(*args: object) -> object:
            clock[0] += seconds
            if clock[0] > fails_at:
                raise Killed
            return function(*args)

        return run

    monkeypatch.setattr(loop.Loop, "_validate", timed(validate, 60))
    monkeypatch.setattr(loop.Loop, "_step", timed(step, 0.25, fails_at=62))
    with pytest.raises(Killed):
        train(data, tmp_path / "run", save_seconds=0.0)
    clock[0] += 3600
    monkeypatch.setattr(loop.Loop, "_step", timed(step, 0.125))
    monkeypatch.setattr(loop.Loop, "_save", timed(save, 0.0))
    train(data, tmp_path / "run", resume=True, save_seconds=0.0)
    rows = [row for row in log_of(tmp_path / "run") if row["kind"] == "losses"]
    # Batches of four: 16 faces a second before the cut, 32 after it.
    assert {row["faces_per_second"] for row in rows} == {16.0, 32.0}
    assert not any("faces_per_second" in row for row in log_of(tmp_path / "run") if row not in rows)


def rough_faces() -> FaceDataset:
    """Six people at rest and smiling, on a mesh so rough that cotangent weights flip triangles."""
    smooth, generator = mask(), np.random.default_rng(0)
    template = smooth.template + generator.normal(scale=3, size=smooth.template.shape)
    topology = Topology("rough", smooth.faces, template.astype(np.float32))
    faces = topology.template + generator.normal(size=(12, *template.shape)).astype(np.float32)
    subject, smile = np.repeat(np.arange(6), 2), np.tile([[0.0], [1.0]], (6, 1))
    return FaceDataset(topology, ("smile",), faces, smile, subject, tuple("abcdef"), license="MIT")


def test_notes_of_a_method_are_shown_in_every_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The decoupled GAN tells of vertices that its image misses, unless an option covers them."""
    faces, told = rough_faces(), []
    small = {"identity_size": 3, "expression_size": 3, "hidden": 8, "batch_size": 4, "image_size": 16}
    small |= {"steps": 1, "validate_every": 0, "start": "random"}

    def gan(out: str, covers: bool, progress: bool) -> str:
        plan = plan_training("decoupled_gan", small | {"image_covers": covers}, profile="smoke")
        fit_model(plan, faces, tmp_path / out, accelerator="cpu", progress=progress)
        return " ".join(capsys.readouterr().err.split())

    for number, covers in enumerate((False, False, True)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what is shown as a note is no warning besides
            told.append(gan(str(number), covers, True))
    for text in told[:2]:
        assert text.count("seen by no pixel of the 16 x 16 image") == 1 and "image_covers=true" in text
        assert "flipped with cotangent weights" in text
    assert "no pixel" not in told[2] and "flipped" not in told[2]
    with pytest.warns(Note, match="seen by no pixel"):
        assert gan("quiet", False, False) == ""
