"""Training by processor time: it ends in time, shares it over stages, and says where it ended."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch
from fixtures import planted

from mien.errors import BadSetting
from mien.models.registry import model_class
from mien.training import plan_training, train
from mien.training.budget import Budget, ProcessorClock

pytest.importorskip("lightning_fabric", reason="needs the extra mien[train]")
SETTINGS = {
    "identity_size": 4, "expression_size": 4, "hidden": 8, "batch_size": 4, "discriminator_points": 20,
    "pretraining_steps": 100_000, "steps": 300_000, "closed_form_finish": 2,
}  # fmt: skip


def test_stages_share_the_time_in_proportion_to_their_steps() -> None:
    budget = Budget(100.0, (10, 30, 60))
    assert [budget.until(stage) for stage in range(3)] == pytest.approx([10, 40, 100])


def test_the_stages_are_counted_without_touching_the_model() -> None:
    plan = plan_training("adversarial_vae", SETTINGS, profile="smoke")
    data = planted(subjects=12).data
    kind = model_class("adversarial_vae")
    model = kind(data.topology, data.expressions, **plan.arguments)
    model.prepare(data.split("train"))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    parts = data.split("train"), kind.Settings(**plan.settings), data.split("validation")
    assert Budget.of(0.5, model, *parts) == Budget(30.0, (100_000, 300_000))
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_run_ends_in_time_and_says_where(tmp_path: Path) -> None:
    began = time.process_time()
    train("adversarial_vae", planted(subjects=12).data, out=tmp_path / "run", profile="smoke", minutes=0.02,
          progress=False, accelerator="cpu", **SETTINGS)  # fmt: skip
    assert time.process_time() - began < 10  # 1.2 seconds of steps; the rest is loading and calibrating
    facts = json.loads((tmp_path / "run" / "config.json").read_text())["facts"]
    assert facts["plan"]["minutes"] == 0.02
    ended = facts["stopped_at"]
    assert list(ended) == ["identity discriminator", "joint training"]
    done = [int(text.split()[1].replace(",", "")) for text in ended.values()]
    assert all(0 < steps < 100_000 for steps in done) and done[1] > 1
    assert ended["joint training"].endswith("of 300,000")
    assert "stopped_at" in (tmp_path / "run" / "README.md").read_text()
    # Both stages were logged at the very step at which they ended.
    log = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    last = {line["stage"]: line["step"] for line in log if line["kind"] == "losses"}
    assert list(last.values()) == done


def test_without_minutes_a_plan_is_what_it_was(tmp_path: Path) -> None:
    train("pca", planted().data, out=tmp_path / "run", profile="smoke")
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert "minutes" not in run["plan"]


def test_time_before_a_cut_counts() -> None:
    clock = ProcessorClock(100.0)
    assert 100 <= clock.seconds() < 101


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf")])
def test_minutes_that_are_none(minutes: float) -> None:
    with pytest.raises(BadSetting, match="positive number"):
        plan_training("pca", minutes=minutes)
