"""Judging motion: known errors, relative time, the classifier, the report and its tables."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from clips import moving_data
from commands import run
from fixtures import tiny_data

from mien.data.clips import clip_neutral, clips_of
from mien.errors import BadSetting
from mien.evaluation import Report, evaluate_sequences
from mien.evaluation.motion.classifier import (
    OURS,
    PUBLISHED,
    SequenceClassifier,
    confusion_table,
    scores_of,
)
from mien.evaluation.motion.controls import GRID, MeanClips, warped, warped_mean
from mien.evaluation.motion.protocol import MEAN, REAL, SCALED, STATIC, JudgedClips, example_clips
from mien.figures import paper_motion
from mien.figures.paper_motion import draw_motion
from mien.machine import processor
from mien.models.files import save_model
from mien.models.mean_expression import MeanExpression
from mien.models.pca_lstm import PcaLSTM


@lru_cache
def report() -> Report:
    data = moving_data(people=8)
    train = data.split("train")
    models = {}
    for kind in (PcaLSTM, MeanExpression):
        model = kind(data.topology, data.expressions)
        model.prepare(train)
        model.eval()
        model.calibrate(train)
        models[kind.name] = model
    return evaluate_sequences(models, data)


def test_relative_time_puts_moments_where_they_belong() -> None:
    data = moving_data(people=2)
    for clip in clips_of(data, stills=False):
        place = warped(clip)
        assert (np.diff(place) >= 0).all() and place[0] == 0
        np.testing.assert_allclose(place[clip.phase >= 1][0], 1, atol=1e-6)
        np.testing.assert_allclose(place[clip.phase >= 1][-1], 2, atol=1e-5)
        # A value that is a function of relative time is recovered at all its times.
        np.testing.assert_allclose(warped_mean(place, place), GRID, atol=0.12)


def test_mean_clips_of_one_clip_are_that_clip() -> None:
    data = moving_data(people=2)
    clip = clips_of(data, stills=False)[2]
    means = MeanClips.measure(data, [clip])
    truth = data[clip.rows] - clip_neutral(data, clip)
    found = means.of(clip)
    assert np.linalg.norm(found - truth, axis=2).mean() < 0.06 * np.linalg.norm(truth, axis=2).mean()
    np.testing.assert_allclose(means.of(clip, 0.5), found, atol=1e-6)  # half way: the mean extremeness


def test_static_faces_cost_their_motion_and_the_recorded_clips_nothing() -> None:
    data = moving_data(people=8)
    judged = JudgedClips.of(data, part="test", protocol="subject", seed=0)
    moved = [np.linalg.norm(judged.data[c.rows] - clip_neutral(judged.data, c), axis=2).mean(1)
             for c in judged.clips]  # fmt: skip
    found = report()
    assert found.value(STATIC, "seq_avd_total") == pytest.approx(np.concatenate(moved).mean(), rel=1e-5)
    apex = np.concatenate([m[c.phases == 2] for m, c in zip(moved, judged.clips)]).mean()
    assert found.value(STATIC, "phase_avd_apex") == pytest.approx(apex, rel=1e-5)
    first = [m.mean() for m, c in zip(moved, judged.clips) if c.expression == 0]
    sizes = [len(m) for m, c in zip(moved, judged.clips) if c.expression == 0]
    assert found.value(STATIC, "seq_avd_smile") == pytest.approx(np.average(first, weights=sizes), rel=1e-5)
    assert {row.metric for row in found.rows if row.system == REAL} & {"seq_avd_total"} == set()


def test_controls_are_ordered_and_motion_is_recognized() -> None:
    found = report()
    error = {name: found.value(name, "seq_avd_total") for name in (STATIC, MEAN, SCALED, "mean_expression")}
    assert error[SCALED] < error[MEAN] < error[STATIC]
    assert error["mean_expression"] < error[STATIC]
    assert found.value(REAL, "seq_f1") == 1.0 and found.value(SCALED, "seq_f1") == 1.0
    assert found.value(STATIC, "seq_f1") < 0.2
    assert found.value(SCALED, "temporal_l1") < found.value(STATIC, "temporal_l1")


def test_curves_peak_where_the_error_is() -> None:
    static = np.array(report().curves[STATIC]["frame_l2"])
    assert len(static) == len(GRID) and static[12:18].min() > 2 * max(static[0], static[-1])
    assert (np.array(report().curves[STATIC]["frame_l1"]) < static).all()


def test_means_of_people_are_means_of_their_frames() -> None:
    found = report().by_person(STATIC, "seq_avd_total")
    data = moving_data(people=8)
    clips = clips_of(data, stills=False)
    for name, value in found.items():
        own = [c for c in clips if data.subjects[c.subject] == name]
        frames = np.concatenate([
            np.linalg.norm(data[c.rows] - clip_neutral(data, c), axis=2).mean(1) for c in own
        ])  # fmt: skip
        assert value == pytest.approx(frames.mean(), rel=1e-5)


def test_scores_of_a_known_confusion() -> None:
    table = confusion_table(np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 0]), 3)
    np.testing.assert_array_equal(table, [[2, 1, 0], [0, 2, 0], [1, 0, 0]])
    scores = scores_of(table)
    np.testing.assert_allclose(scores["precision"], [2 / 3, 2 / 3, 0])
    np.testing.assert_allclose(scores["recall"], [2 / 3, 1, 0])
    np.testing.assert_allclose(scores["f1"], [2 / 3, 0.8, 0])
    # The misprint of the publication: P .81 and R .59 give an F1 of .68, not .60.
    assert 2 * 0.81 * 0.59 / (0.81 + 0.59) == pytest.approx(0.68, abs=0.003)


def test_shuffled_labels_are_not_recognized() -> None:
    data = moving_data(people=8)
    clips = clips_of(data, stills=False)
    train, test = clips[:25], clips[25:]
    classifier = SequenceClassifier.train(data, train)
    codes = np.stack([classifier.seen(data[c.rows], clip_neutral(data, c)) for c in test])
    labels = np.array([c.expression for c in test])
    assert (classifier.predict(codes) == labels).mean() > 0.9
    flipped = codes[np.random.default_rng(0).permutation(len(codes))]
    assert (classifier.predict(flipped) == labels).mean() < 0.6


def test_the_published_form_reads_the_person_and_ours_only_what_moves() -> None:
    data = moving_data(people=8)
    clips = clips_of(data, stills=False)
    ours, published = (SequenceClassifier.train(data, clips[:25], form=form) for form in (OURS, PUBLISHED))
    assert len(ours.networks) > len(published.networks) == 1
    clip = clips[-1]
    frames, rest = data[clip.rows], clip_neutral(data, clip)
    other = clip_neutral(data, clips[0]) - rest  # the same performance on another person
    np.testing.assert_allclose(ours.seen(frames + other, rest + other), ours.seen(frames, rest), atol=0.02)
    moved = published.seen(frames + other, rest + other) - published.seen(frames, rest)
    assert np.abs(moved).max() > 1
    # Components of the meshes, in proportion: with all axes kept, distances are those of the meshes.
    near, far = published.seen(frames, rest), published.seen(data[clips[2].rows], rest)
    places = [np.linspace(0, len(c) - 1, 32).round().astype(int) for c in (clip, clips[2])]
    meshes = [data[c.rows[place]].reshape(32, -1) for c, place in zip((clip, clips[2]), places)]
    ratio = np.linalg.norm(near - far, axis=1) / np.linalg.norm(meshes[0] - meshes[1], axis=1)
    assert ratio.std() < 0.1 * ratio.mean()
    seen = np.concatenate([data[c.rows].reshape(len(c), -1) for c in clips[:25]])
    assert np.abs(published.axes.mean - seen.mean(axis=0)).max() < 1  # centered on the training mean


def test_both_forms_stand_in_the_report_for_every_system() -> None:
    found = report()
    for system in (REAL, STATIC, MEAN, SCALED, "pca_lstm", "mean_expression"):
        for name in ("", "/smile"):
            assert 0 <= found.value(system, f"seq_f1_vertices{name}") <= 1
        taken = [row for row in found.rows if row.system == system and "confusion_vertices/" in row.metric]
        assert len(taken) == 25
        assert sum(row.mean for row in taken) == found.conditions["clips"]
    assert found.by_person(REAL, "seq_accuracy_vertices")
    assert found.value(STATIC, "seq_f1_vertices") < 0.2 < found.value(REAL, "seq_f1_vertices")


def test_the_report_survives_its_file_and_prints(tmp_path: Path) -> None:
    found = report()
    found.save(tmp_path)
    again = Report.load(tmp_path / "report.json")
    assert again.rows == found.rows and again.curves == found.curves
    text = (tmp_path / "report.md").read_text()
    for title in ("Sequences by expression", "Sequences by phase", "Recognition", "Taken for what: pca_lstm"):
        assert title in text
    assert "Recognition of sequences, by vertices" in text and "Taken for what, by vertices: pca_lstm" in text
    assert "none of them seen in training" in text and f"*{STATIC}*" in text


def test_examples_are_what_was_judged() -> None:
    data = moving_data(people=8)
    clips = clips_of(data.split("test"), stills=False)[:2]
    model = MeanExpression(data.topology, data.expressions)
    model.prepare(data.split("train"))
    model.calibrate(data.split("train"))
    (made,) = example_clips([model], data.split("test"), clips)
    assert [len(frames) for frames in made] == [len(clip) for clip in clips]
    np.testing.assert_allclose(made[0][0], clip_neutral(data.split("test"), clips[0]), atol=1e-4)


def test_the_command_chooses_sequences_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = moving_data(people=8)
    data.save(tmp_path / "data")
    model = MeanExpression(data.topology, data.expressions)
    model.prepare(data)
    model.calibrate(data)
    save_model(model, tmp_path / "model")
    told = run(capsys, "evaluate", tmp_path / "model", "--data", tmp_path / "data", "--json", "--no-controls")
    assert (
        told.json["conditions"]["kind"] == "sequences" and told.json["conditions"]["evaluation_seconds"] > 0
    )
    assert f" s on {processor()}, " in (tmp_path / "model" / "metrics.json").read_text()
    assert (tmp_path / "model" / "metrics.json").read_text().count("seq_avd_total") == 1


def test_pictures_of_motion_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = np.outer(np.array([0, 1, 0]), np.eye(5)[0])
    monkeypatch.setattr(paper_motion, "signals_of", lambda model: {"smile": few, "jaw_open": few})
    pytest.importorskip("embreex"), pytest.importorskip("matplotlib")
    data = moving_data(people=8)
    model = MeanExpression(data.topology, data.expressions)
    model.prepare(data)
    model.calibrate(data)
    test = data.split("test")
    paths = draw_motion({"mean": model}, test, report(), tmp_path, seed=0)
    names = {path.name for path in paths}
    assert names >= {"clips-mean.png", "between-mean.png", "apex-errors.png", "phases.png", "phases-l1.png"}
    for path in paths:
        assert path.stat().st_size > 5000
    assert (tmp_path / "phases.png").read_bytes() != (tmp_path / "phases-l1.png").read_bytes()


def test_stills_are_refused() -> None:
    with pytest.raises(BadSetting, match="--sequences"):
        evaluate_sequences({}, tiny_data())
