"""Logs of runs and systems of a report side by side, and logs in the form of other programs."""

from __future__ import annotations

import csv
import io
import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Studio, run, tree
from PIL import Image

from mien.errors import BadFile, BadSetting, DataMissing
from mien.evaluation import Report, Row
from mien.experiments.compare import compare_runs, read_log, send_logs

PEOPLE = [f"person {number}" for number in range(12)]


def log_of(run_folder: Path, values: list[float], *, torn: str = "") -> Path:
    """A run folder with a log: a loss at every 50th step, and one validation."""
    run_folder.mkdir(parents=True)
    lines = [{"stage": "autoencoder", "step": 50 * k, "kind": "losses", "seconds": k, "faces_per_second": 9.0,
              "reconstruction": value} for k, value in enumerate(values)]  # fmt: skip
    lines.append(
        {"stage": "autoencoder", "step": 100, "kind": "validation", "seconds": 3, "rec_avd_mesh": 2.5}
    )
    (run_folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + torn)
    return run_folder


def test_curves_of_runs_and_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra mien[analysis]")
    alone = log_of(tmp_path / "alone", [3.0, 2.0])
    for seed in (0, 1):
        log_of(tmp_path / "vae" / f"seed-{seed}", [5.0 + seed, 4.0, 1.0])
    told = run(capsys, "compare", alone, tmp_path / "vae", "--out", tmp_path / "compared")
    assert told.code == 0 and sorted(tree(tmp_path / "compared")) == ["curves.csv", "curves.png"]
    lines = list(csv.DictReader((tmp_path / "compared" / "curves.csv").open()))
    of = {(line["system"], line["run"]) for line in lines}
    assert of == {("alone", "alone"), ("vae", "seed-0"), ("vae", "seed-1")}
    found = [float(line["value"]) for line in lines
             if line["run"] == "seed-1" and line["name"] == "reconstruction"]  # fmt: skip
    assert found == [6.0, 4.0, 1.0]
    picture = np.asarray(Image.open(tmp_path / "compared" / "curves.png"), float)
    background = picture[0, 0]
    assert (np.abs(picture - background).sum(axis=2) > 60).mean() > 0.01  # something is drawn


def test_a_log_that_is_none_or_damaged(tmp_path: Path, studio: Studio) -> None:
    with pytest.raises(DataMissing, match="closed forms write none"):
        read_log(studio.model)
    with pytest.raises(BadFile, match="the log of a run is damaged; received line 4 of"):
        read_log(log_of(tmp_path / "torn", [1.0, 2.0], torn='{"stage": '))
    with pytest.raises(BadSetting, match="nothing to compare"):
        compare_runs([], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_people_side_by_side(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs the extra mien[analysis]")
    good, bad = np.linspace(1, 2, 12), np.linspace(1, 2, 12) + np.linspace(0.1, 0.4, 12)
    people = {"good": good, "bad": bad}
    report = Report(
        tuple(Row(name, "model", "id_mad", float(values.mean())) for name, values in people.items()),
        {"kind": "faces"}, people={n: {"id_mad": dict(zip(PEOPLE, v.tolist()))} for n, v in people.items()},
    )  # fmt: skip
    (tmp_path / "report.json").write_text(report.to_json())
    written = compare_runs([], tmp_path / "out", report=tmp_path / "report.json")
    assert [path.name for path in written] == ["paired.csv", "paired.png"]
    lines = list(csv.DictReader(io.StringIO((tmp_path / "out" / "paired.csv").read_text())))
    assert {line["system"] for line in lines} == {"bad"} and len(lines) == 12
    gaps = {line["person"]: float(line["difference"]) for line in lines}
    assert [gaps[person] for person in PEOPLE] == pytest.approx(bad - good)
    alone = Report((Row("good", "model", "id_mad", 1.0),), {"kind": "faces"})
    (tmp_path / "one.json").write_text(alone.to_json())
    with pytest.raises(BadSetting, match="no two models"):
        compare_runs([], tmp_path / "other", report=tmp_path / "one.json")


# ---- other programs


def test_a_missing_program_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = log_of(tmp_path / "alone", [3.0, 2.0])
    before = tree(tmp_path)
    for board in ("tensorboard", "wandb"):
        monkeypatch.setitem(sys.modules, board, None)
        assert 'pip install "mien[log]"' in run(capsys, "compare", alone, "--log-to", board).sentence
    assert "tensorboard or wandb" in run(capsys, "compare", alone, "--log-to", "comet").sentence
    assert tree(tmp_path) == before


def test_logs_go_to_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of the package: a run that stays on the machine, with every value under its name."""
    told: list[Any] = []
    board = types.SimpleNamespace(log=lambda values: told.append(values), finish=lambda: told.append("end"))
    package: Any = types.ModuleType("wandb")
    package.init = lambda **options: told.append(options) or board
    monkeypatch.setitem(sys.modules, "wandb", package)
    alone = log_of(tmp_path / "alone", [3.0, 2.0])
    assert send_logs([alone], "wandb") == [alone / "wandb"]
    assert told[0]["mode"] == "offline" and told[0]["dir"] == str(alone)
    assert told[1] == {
        "autoencoder/losses/faces_per_second": 9.0, "autoencoder/losses/reconstruction": 3.0, "step": 0
    }  # fmt: skip
    assert told[-2] == {"autoencoder/validation/rec_avd_mesh": 2.5, "step": 100} and told[-1] == "end"


def test_logs_go_to_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[tuple[str, int], float] = {}
    places: list[str] = []

    class Writer:
        def __init__(self, folder: str) -> None:
            places.append(folder)

        def add_scalar(self, name: str, value: float, step: int) -> None:
            told[name, step] = value

        def close(self) -> None:
            places.append("closed")

    package: Any = types.ModuleType("torch.utils.tensorboard")
    package.SummaryWriter = Writer
    monkeypatch.setitem(sys.modules, "tensorboard", types.ModuleType("tensorboard"))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", package)
    alone = log_of(tmp_path / "alone", [3.0, 2.0])
    send_logs([alone], "tensorboard")
    assert places == [str(alone / "tensorboard"), "closed"]
    assert told["autoencoder/losses/reconstruction", 50] == 2.0
    assert told["autoencoder/validation/rec_avd_mesh", 100] == 2.5
