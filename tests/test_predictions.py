"""Predictions of other programs: measured like models, and refused in one sentence where they are wrong."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import run
from fixtures import tiny_data

from mien import apply
from mien.data.dataset import FaceDataset
from mien.errors import BadSetting
from mien.evaluation import evaluate, evaluate_by_kind
from mien.evaluation.generation.protocol import evaluate_generation
from mien.evaluation.generation.settings import settings_of
from mien.evaluation.predictions import rows_to_predict
from mien.models.base import FaceModel
from mien.models.morphable import Morphable

COMPARED = (
    "rec_avd_mesh", "rec_avd_pooled", "rec_detail", "neu_avd", "neu_avd_aligned", "id_mad", "id_ratio",
    "id_between_avd", "rank1_mesh", "transfer_avd",
)  # fmt: skip


@lru_cache
def people() -> FaceDataset:
    return tiny_data(subjects=20)


@lru_cache
def model() -> FaceModel:
    made = Morphable(people().topology, people().expressions, identity_size=3, expression_size=3).eval()
    made.prepare(people().split("train"))
    made.calibrate(people().split("train"))
    return made


@lru_cache
def asked() -> tuple[dict[str, str], ...]:
    return tuple(csv.DictReader(io.StringIO(rows_to_predict(people(), part="train"))))


@lru_cache
def predicted() -> Mapping[str, np.ndarray]:
    """What the model makes of every row, in a random order, as another program would write it."""
    data, generator = people(), np.random.default_rng(0)
    scans = np.array([int(line["row"]) for line in asked() if line["task"] == "scan"])
    pairs = np.array([(int(k["row"]), int(k["from"])) for k in asked() if k["task"] == "transfer"])
    scans, pairs = generator.permutation(scans), generator.permutation(pairs)
    onto = data.neutral_of(pairs[:, 0])
    with torch.no_grad():
        samples = model().decode(model().sample(12, generator=torch.Generator().manual_seed(0))).numpy()
    return {
        "rows": scans,
        "reconstructions": apply.reconstruct(model(), data[scans]),
        "neutrals": apply.neutralize(model(), data[scans]),
        "transfer_rows": pairs,
        "transfers": apply.transfer(model(), data[pairs[:, 1]], onto, onto_neutral=onto),
        "samples": samples,
    }


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "other.npz"
    np.savez(path, **{name: value for name, value in (predicted() | changes).items() if value is not None})
    return path


def test_predictions_of_a_model_score_what_the_model_scores(tmp_path: Path) -> None:
    report = evaluate(
        {"model": model()}, people(), part="train", predictions={"other": written(tmp_path)}, controls=()
    )
    for metric in COMPARED:
        ours, theirs = report.row("model", metric), report.row("other", metric)
        assert theirs.mean == pytest.approx(ours.mean, rel=1e-4, abs=1e-5), metric
        assert (theirs.low or 0) == pytest.approx(ours.low or 0, rel=1e-3, abs=1e-4), metric
        assert theirs.count == ours.count, metric
    assert report.by_person("other", "neu_avd") == pytest.approx(
        report.by_person("model", "neu_avd"), rel=1e-4
    )
    assert report.row("other", "rank1_code").reason == "it takes codes"
    assert report.systems["other"]["file"] == "other.npz" and len(report.systems["other"]["sha256"]) == 64
    assert report.value("mean face", "rec_avd_mesh") > 0


def test_what_is_not_given_is_a_dash(tmp_path: Path) -> None:
    some = written(tmp_path, reconstructions=None, transfers=None, transfer_rows=None)
    report = evaluate({}, people(), part="train", predictions={"other": some}, controls=(), speed=False)
    assert report.row("other", "rec_avd_mesh").reason == "no reconstructions were given"
    assert report.row("other", "transfer_avd").reason == "no transfers were given"
    assert report.value("other", "neu_avd") > 0


def test_samples_are_judged_like_drawn_faces(tmp_path: Path) -> None:
    small = {"pairs": 8, "faces": 2, "resamples": 2, "samples": 4, "networks": "lite", "components": 6,
             "lite_steps": 10, "people": 1, "sparse_scans": 1, "sparse_steps": 2}  # fmt: skip
    settings = settings_of("smoke", small)
    files = {"same": written(tmp_path, samples=np.repeat(people()[:1], 5, axis=0))}
    report, _ = evaluate_generation({}, people(), settings=settings, part="train", predictions=files)
    assert report.value("same", "div_all") == 0
    assert report.value("same", "specificity") == pytest.approx(0, abs=1e-4)  # a training face


def test_the_rows_are_those_that_are_judged() -> None:
    data = people()
    every = {int(line["row"]) for line in asked() if line["task"] == "scan"}
    assert every == set(data.split("train").rows.tolist())
    assert {line["task"] for line in asked()} == {"validation", "scan", "transfer"}
    for line in asked():
        row = int(line["row"])
        assert data.subjects[data.subject[row]] == line["subject"]
        shown = data.expressions[data.label[row]] if data.label[row] >= 0 else "neutral"
        assert shown == line["expression"]
        if line["task"] == "transfer":
            source = int(line["from"])
            assert data.label[source] == data.label[row] and data.subject[source] != data.subject[row]
    whole = list(csv.DictReader(io.StringIO(rows_to_predict(data))))
    assert {line["task"] for line in whole} >= {"train", "validation", "scan"}


def nan() -> np.ndarray:
    faces = predicted()["neutrals"].copy()
    faces[2, 5, 1] = np.nan
    return faces


WRONG: dict[str, tuple[Any, str]] = {
    "missing": (lambda p: {"rows": p["rows"][:-1], "reconstructions": p["reconstructions"][:-1],
                           "neutrals": p["neutrals"][:-1]}, "predictions are missing"),
    "twice": (lambda p: {"rows": np.append(p["rows"][:-1], p["rows"][0])}, "predictions come twice"),
    "an empty axis": (lambda p: {"rows": np.zeros(0, np.int64)}, "predictions are missing"),
    "unknown": (lambda p: {"rows": np.append(p["rows"][:-1], 9999)}, "such as 9999"),
    "vertices": (lambda p: {"neutrals": p["neutrals"][:, :-1]}, "'neutrals' .* wrong shape"),
    "infinite": (lambda p: {"neutrals": nan()}, "not finite; received mesh 2"),
    "no rows": (lambda p: {"rows": None}, "need the array 'rows'"),
    "a typo": (lambda p: {"neutral": p["neutrals"]}, "did you mean 'neutrals'"),
    "pairs": (lambda p: {"transfer_rows": p["transfer_rows"][:, ::-1]}, "'transfer_rows'"),
    "objects": (lambda p: {"rows": np.array([{}] * len(p["rows"]))}, "no .npz file of numbers"),
    "nothing": (lambda p: dict.fromkeys([*p, "samples"]) | {"rows": p["rows"]}, "predicts nothing"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_predictions_are_refused_in_one_sentence(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes, says = WRONG[case]
    path = written(tmp_path, **changes(predicted()))
    people().save(tmp_path / "faces")
    line = ("evaluate", "--data", tmp_path / "faces", "--part", "train", "--no-controls")
    told = run(capsys, *line, "--predictions", f"other={path}")
    assert told.code == 2 and told.out == ""
    assert re.search(says, told.sentence), told.sentence


def test_names_and_data_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="nothing to evaluate"):
        evaluate_by_kind({}, people())
    with pytest.raises(BadSetting, match="called like another system"):
        evaluate({"model": model()}, people(), part="train", predictions={"model": written(tmp_path)})
    (tmp_path / "torn.npz").write_bytes(written(tmp_path).read_bytes()[:900])
    with pytest.raises(Exception, match="no .npz file"):
        evaluate({}, people(), part="train", predictions={"torn": tmp_path / "torn.npz"})
    clips = FaceDataset(
        people().topology, people().expressions, people()[:4], people().weights[:4], people().subject[:4],
        people().subjects, clip=np.zeros(4, np.int32), frame=np.arange(4, dtype=np.int32), fps=10.0,
    )  # fmt: skip
    with pytest.raises(BadSetting, match="single scans"):
        evaluate_by_kind({}, clips, predictions={"other": "x.npz"})


def test_rows_and_table_by_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people().save(tmp_path / "faces")
    told = run(capsys, "data", "rows", tmp_path / "faces", "--part", "train")
    assert told.out == rows_to_predict(people(), part="train") and told.code == 0
    line = ("evaluate", "--data", tmp_path / "faces", "--part", "train", "--no-controls", "--json")
    report = run(capsys, *line, "--predictions", f"other={written(tmp_path)}").json
    assert {row["system"] for row in report["rows"]} >= {"other", "mean face"}
