"""Labels of any factor: classes that occur, missing ones, shares, further factors on disk, speech."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixtures import tiny_data, tiny_topology

from mien.data.dataset import FaceDataset
from mien.data.expressions import expression_set
from mien.data.labels import classifiable, hide_labels, labels_of
from mien.data.sources.procedural.build import build_procedural
from mien.data.speech import VISEMES, label_marks, takes
from mien.data.writer import DatasetWriter
from mien.errors import BadFile, BadSetting, UnknownName


def test_expressions_are_classes_with_neutral_last() -> None:
    data = tiny_data()
    labels = labels_of(data, "expression")
    assert labels.names == (*data.expressions, "neutral")
    np.testing.assert_array_equal(labels.index[:6], [5, 0, 1, 2, 3, 4])
    weak = replace(data, weights=data.weights * np.where(np.arange(48) == 1, 0.3, 1)[:, None])
    assert labels_of(weak, "expression").index[1] == -1  # neither neutral nor clearly a smile


def test_only_classes_that_occur_are_counted() -> None:
    data = tiny_data().take(tiny_data().row_subject >= 5)
    people = labels_of(data, "identity")
    assert people.names == tiny_data().subjects[5:] and set(people.index) == {0, 1, 2}
    np.testing.assert_array_equal(people.places(tiny_data().subjects), [5, 6, 7])
    np.testing.assert_array_equal(people.among(tiny_data().subjects), data.row_subject)
    with pytest.raises(UnknownName):
        labels_of(data, "viseme")


def test_hidden_labels_are_missing_and_the_rest_stays() -> None:
    data = tiny_data()
    hidden = hide_labels(data, "expression", 0.25, seed=3)
    index, truth = labels_of(hidden, "expression").index, labels_of(data, "expression").index
    names = labels_of(hidden, "expression").names
    assert (index >= 0).sum() == 12
    for row in np.flatnonzero(index >= 0):
        assert names[index[row]] == labels_of(data, "expression").names[truth[row]]
    assert (labels_of(hidden, "identity").index >= 0).all() and data.row_labeled("expression").all()
    again = hide_labels(data, "expression", 0.25, seed=3)
    np.testing.assert_array_equal(again.row_labeled("expression"), hidden.row_labeled("expression"))
    assert hide_labels(data, "expression", 1.0) is data
    with pytest.raises(BadSetting, match="above 0"):
        hide_labels(data, "expression", 0.0)


def test_rare_classes_weigh_more_within_limits() -> None:
    data = tiny_data()
    keep = np.flatnonzero((data.label != 0) | (np.arange(48) == 1))  # one smile, eight of everything else
    labels = labels_of(data.take(keep), "expression")
    weights = labels.balance()
    counts = np.bincount(labels.index)
    np.testing.assert_allclose(weights, len(keep) / (6 * counts), rtol=1e-6)
    assert (weights * counts).sum() == pytest.approx(len(keep))
    assert labels.balance(most=2.0).max() == 2.0
    assert classifiable({"expression": labels}) == ["expression"]


def test_further_factors_survive_the_disk(tmp_path: Path) -> None:
    topology = tiny_topology()
    factors = {"viseme": ("rest", "aa", "ou")}
    with DatasetWriter(tmp_path / "set", topology, ("smile",), factors=factors) as writer:
        for number in range(6):
            writer.append(
                topology.template + number, {"smile": float(number % 2)}, subject=f"p{number // 3}",
                classes={"viseme": factors["viseme"][number % 3]}, labeled={"viseme": number != 4},
            )  # fmt: skip
    data = FaceDataset.load(tmp_path / "set")
    assert data.factors == factors
    np.testing.assert_array_equal(labels_of(data, "viseme").index, [0, 1, 2, 0, -1, 2])
    copied = data.take([1, 4, 5]).save(tmp_path / "copy")
    np.testing.assert_array_equal(copied.classes["viseme"], [1, 1, 2])
    np.testing.assert_array_equal(copied.row_labeled("viseme"), [True, False, True])
    assert copied.fingerprint != data.fingerprint
    with (
        pytest.raises(UnknownName, match="class of viseme"),
        DatasetWriter(tmp_path / "bad", topology, (), factors=factors) as writer,
    ):
        writer.append(topology.template, {}, subject="p", classes={"viseme": "oo"})
    table = tmp_path / "set" / "samples.csv"
    table.write_text(table.read_text().replace(",ou,", ",oi,", 1))
    with pytest.raises(BadFile, match="'oi'"):
        FaceDataset.load(tmp_path / "set")


def test_labels_are_left_on_the_share_that_was_asked_for() -> None:
    marks = list(itertools.islice(label_marks({"viseme": 0.3}, ("identity", "viseme"), 0, 1), 4000))
    assert all(mark["identity"] for mark in marks)
    assert np.mean([mark["viseme"] for mark in marks]) == pytest.approx(0.3, abs=0.03)
    with pytest.raises(UnknownName):
        next(label_marks({"visemes": 0.3}, ("identity",), 0, 1))
    with pytest.raises(BadSetting, match=r"0\.\.1"):
        next(label_marks({"identity": 3}, ("identity",), 0, 1))


def test_silent_takes_do_not_change_when_people_also_speak(tmp_path: Path) -> None:
    names = expression_set("emotion6")
    silent = [take for take in takes(names, True) if take[1] == "rest"]
    assert silent == list(takes(names, False)) and len(list(takes(names, True))) == 7 * len(VISEMES)
    options = {"subjects": 3, "expressions": "emotion6", "vertices": 400}
    speaking = build_procedural(tmp_path / "a", visemes=True, labels={"viseme": 0.5}, **options)
    mute = build_procedural(tmp_path / "b", **options)
    rest = speaking.classes["viseme"] == 0
    np.testing.assert_array_equal(speaking.vertices[rest], mute.vertices)
    # The mouth rounds for "ou" and opens for "aa", whatever the expression.
    index = {name: speaking.classes["viseme"] == number for number, name in enumerate(VISEMES)}
    assert {len(set(np.flatnonzero(mask))) for mask in index.values()} == {21}
    mouth = speaking.topology.region("lips")
    height = {
        name: np.ptp(speaking.vertices[mask][:, mouth, 1], axis=1).mean() for name, mask in index.items()
    }
    width = {
        name: np.ptp(speaking.vertices[mask][:, mouth, 0], axis=1).mean() for name, mask in index.items()
    }
    assert height["aa"] > 1.3 * height["rest"] and width["ou"] < 0.9 * width["rest"] < width["ee"]
    assert 0.3 < speaking.row_labeled("viseme").mean() < 0.7
    with pytest.raises(BadSetting, match="not for clips"):
        build_procedural(tmp_path / "c", subjects=3, sequences=True, visemes=True)
