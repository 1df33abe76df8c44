"""Pictures of a generative model: where codes lie, sheets of expressions, intensities and styles."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run
from contract.cases import trained
from PIL import Image

from mien.figures import embeddings, styles
from mien.figures.gallery import spread_names
from mien.models.files import save_model

Capture = pytest.CaptureFixture[str]


def test_silhouettes_of_planted_clusters() -> None:
    generator = np.random.default_rng(0)
    person, label = np.repeat(np.arange(6), 20), np.tile(np.arange(4), 30)
    identity = 10 * generator.normal(size=(6, 8))[person] + 0.1 * generator.normal(size=(120, 8))
    expression = 10 * generator.normal(size=(4, 5))[label] + 0.1 * generator.normal(size=(120, 5))
    found = embeddings.Embedded(identity, expression, person, label, np.ones(120))
    scores = embeddings.silhouettes(found)
    assert scores["identity_by_person"] > 0.95 and scores["expression_by_expression"] > 0.95
    assert scores["identity_by_expression"] < 0.05 and scores["expression_by_person"] < 0.05
    assert embeddings.silhouette(np.zeros((8, 3)), np.arange(8) % 2) == 0.0


def test_weak_levels_are_less_distinct() -> None:
    generator = np.random.default_rng(1)
    label, level = np.tile(np.arange(3), 40), np.repeat([0.0, 0.5, 1.0, 1.5], 30)
    directions = 10 * generator.normal(size=(3, 6))
    codes = level[:, None] * directions[label] + generator.normal(size=(120, 6))
    found = embeddings.Embedded(codes, codes, np.zeros(120, int), label, level)
    by_level = embeddings.silhouettes_by_level(found)
    assert list(by_level) == [0.0, 0.5, 1.0, 1.5] and abs(by_level[0.0]) < 0.1
    assert by_level[0.0] < by_level[0.5] < by_level[1.0] < by_level[1.5]


def test_embedded_faces_bear_the_labels_they_were_asked_for() -> None:
    model = trained("facecam")
    found = embeddings.embedded(model, 4, [0.5, 1.0], neutral=True, seed=3)
    count = len(model.expressions)
    assert found.identity.shape == (4 * (1 + 2 * count), 100)
    assert found.expression.shape == (4 * (1 + 2 * count), 30)
    row = 4 * (1 + 2 * 2 + 1) + 3  # neutral, then two expressions at both levels: the third one fully
    assert (found.person[row], found.label[row], found.level[row]) == (3, 3, 1.0)
    people = model.sample(4, generator=torch.Generator().manual_seed(3))
    weights = torch.eye(count)[2:3]
    alone = model.embeddings(people.replace(expression=model.express(weights).expand(4, -1)))[1][3]
    # The same person and label; only the noise is another draw.
    distance = np.linalg.norm(found.expression - alone.detach().numpy(), axis=1)
    assert distance[row] < np.median(distance)


def test_sheets_show_who_and_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    model, drawn = trained("facecam"), {}

    def note(meshes: list, topology: object, rows: list, columns: list, title: str = "", **_: object) -> None:
        drawn.update(meshes=np.array(meshes), rows=list(rows), columns=list(columns))

    monkeypatch.setattr(styles, "face_sheet", note)
    cast = styles.people_at_rest(model, 4, 0)
    styles.style_transfer_sheet(model, cast, ["smile", "jaw_open"])
    source, target, made = drawn["meshes"][0]
    assert drawn["rows"] == ["smile", "jaw open"] and drawn["meshes"].shape[:2] == (2, 3)
    assert np.abs(made - source).max() > 1e-2 and np.abs(made - target).max() > 1e-2
    styles.intensity_sheet(model, cast, ["smile"])
    still = model.decode(cast[:1]).detach().numpy()[0]
    np.testing.assert_allclose(drawn["meshes"][0, 0], still, atol=1e-3)
    moved = np.linalg.norm(drawn["meshes"][0] - still, axis=2).mean(1)
    assert len(drawn["columns"]) == 7 and (np.diff(moved) > 0).all()
    styles.people_sheet(model, cast, [None])
    ends = model.decode(cast[:2]).detach().numpy()
    np.testing.assert_allclose(drawn["meshes"][0, [1, 5]], ends, atol=1e-2)
    styles.style_sheet(model, cast[:2], "smile", cast[2:])
    assert drawn["meshes"].shape[:2] == (2, 3) and drawn["columns"][0] == "own style"


def test_shown_expressions_are_spread_over_the_list() -> None:
    assert spread_names("abcdefghijk", 3) == ["a", "f", "k"]
    assert spread_names(["smile"], 6) == ["smile"] and len(spread_names("abc", 6)) == 3


def test_the_command_draws(tmp_path: Path, capsys: Capture) -> None:
    save_model(trained("facecam"), tmp_path / "model", facts={})
    out = tmp_path / "pictures"
    only = [part for name in ("expressions", "clusters", "levels", "styles") for part in ("--only", name)]
    done = run(capsys, "gallery", tmp_path / "model", *only, "--people", "6", "--json", "-o", out)
    assert done.code == 0, done.err
    for name in ("expressions", "clusters", "levels", "styles"):
        assert min(Image.open(out / f"{name}.png").size) > 100
    scores = json.loads(done.out)
    assert scores == json.loads((out / "silhouettes.json").read_text())
    assert set(scores) == {"clusters", "expression by level"} and len(scores["expression by level"]) == 15
    wrong = run(capsys, "gallery", tmp_path / "model", "--only", "style", "-o", out)
    assert wrong.code == 2 and "did you mean 'styles'" in wrong.err
