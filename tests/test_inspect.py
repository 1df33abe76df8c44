"""Facts and checks of data sets, against planted answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixtures import EXPRESSIONS, planted, tiny_data, tiny_topology
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mien.data.examples import write_examples
from mien.data.inspect import TwoWaySums, check_dataset, inspect_dataset
from mien.io.mesh import read_mesh


def interaction_fraction(vertices: NDArray, subject: NDArray, weights: NDArray) -> float:
    sums = TwoWaySums(int(np.max(subject)) + 1, weights.shape[1], np.asarray(vertices[0], np.float64))
    sums.add(vertices, subject, weights)
    return sums.facts()["interaction_fraction"]


def two_way(interaction: float, seed: int = 0, people: int = 12, actions: int = 6) -> tuple[np.ndarray, ...]:
    """Identity + expression + a doubly centered interaction with a known share of the variance."""
    rng = np.random.default_rng(seed)
    identity = 9 * rng.standard_normal((people, 1, 8, 3))
    action = rng.standard_normal((1, actions, 8, 3))
    action -= action.mean(axis=1, keepdims=True)
    both = rng.standard_normal((people, actions, 8, 3))
    both -= both.mean(axis=0) + both.mean(axis=1, keepdims=True) - both.mean(axis=(0, 1))
    action /= np.sqrt((action**2).sum() * people)
    both /= np.sqrt((both**2).sum())
    faces = identity + np.sqrt(1 - interaction) * action + np.sqrt(interaction) * both
    weights = np.tile(np.eye(actions)[:, 1:], (people, 1))
    return faces.reshape(-1, 8, 3), np.repeat(np.arange(people), actions), weights


@given(st.floats(0, 1), st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_planted_interaction_is_recovered(share: float, seed: int) -> None:
    assert interaction_fraction(*two_way(share, seed)) == pytest.approx(share, abs=1e-9)


def test_additive_data_has_none_with_missing_cells_and_soft_weights() -> None:
    faces, subject, weights = two_way(0.0)
    kept = np.random.default_rng(1).random(len(faces)) < 0.6
    assert interaction_fraction(faces[kept], subject[kept], weights[kept]) == pytest.approx(0, abs=1e-9)
    rng = np.random.default_rng(2)
    soft = rng.random((90, 4)) * (rng.random((90, 4)) < 0.5)
    subject = rng.integers(0, 10, 90)
    faces = rng.standard_normal((10, 7, 3))[subject] + np.einsum(
        "ne,evc->nvc", soft, rng.standard_normal((4, 7, 3))
    )
    assert interaction_fraction(faces, subject, soft) == pytest.approx(0, abs=1e-9)


def test_amplitudes_of_ones_own_are_interaction() -> None:
    additive, personal = planted().data, planted(interaction=0.3).data
    assert inspect_dataset(additive)["interaction_fraction"] < 1e-6
    assert 0.02 < inspect_dataset(personal)["interaction_fraction"] < 0.2


def test_only_the_view_counts_and_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiny_data()
    whole = inspect_dataset(data)
    monkeypatch.setattr("mien.data.inspect._CHUNK", 7)
    assert inspect_dataset(data)["interaction_fraction"] == pytest.approx(whole["interaction_fraction"])
    train = inspect_dataset(data.split("train"))
    assert train["people"] == 6 and train["meshes"] == 36


def test_facts() -> None:
    facts = inspect_dataset(tiny_data())
    assert facts["people"] == 8 and facts["meshes_per_person"] == {"least": 6, "median": 6, "most": 6}
    assert facts["meshes_per_class"] == {"neutral": 8} | dict.fromkeys(EXPRESSIONS, 8)
    assert facts["components"] == 2 and facts["label_coverage"] == {"identity": 1.0, "expression": 1.0}
    assert facts["extents_mm"][:2] == [140.0, 180.0] and "eye_distance_mm" not in facts
    json.dumps(facts)


def test_missing_labels_are_counted_apart() -> None:
    data = tiny_data()
    labeled = np.arange(len(data)) % 4 > 0
    facts = inspect_dataset(replace(data, labeled={"expression": labeled}))
    assert facts["label_coverage"]["expression"] == 0.75
    assert facts["meshes_per_class"]["unlabeled"] == 12
    assert sum(facts["meshes_per_class"].values()) == 48


def test_rigid_residual_is_half_of_what_two_scans_are_apart() -> None:
    data, twice = planted().data, np.repeat(np.arange(8) * 6, 2)
    faces = np.array(data.vertices[twice])
    faces[::2] += np.float32([2, 0, 0])
    moved = replace(
        data, vertices=faces, weights=data.weights[twice], subject=data.subject[twice], labeled={}, clip=None,
        frame=None, rows=None,
    )  # fmt: skip
    assert inspect_dataset(moved)["rigid_residual_mm"] == pytest.approx(1.0, rel=1e-3)


def test_a_sound_folder(tmp_path: Path) -> None:
    tiny_data().save(tmp_path / "data")
    check = check_dataset(tmp_path / "data")
    assert check.sound and "48 meshes of 8 people, 5 expressions" in check.found
    json.dumps(check.as_dict())


def test_damage_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    tiny_data().save(folder)
    vertices = (folder / "vertices.npy").read_bytes()
    (folder / "vertices.npy").write_bytes(vertices[:-500])
    assert "damaged" in check_dataset(folder).wrong[0]
    broken = bytearray(vertices)
    broken[-4:] = np.float32(np.nan).tobytes()
    (folder / "vertices.npy").write_bytes(broken)
    assert check_dataset(folder).wrong == ["mesh 47 has NaN or infinite vertices"]
    (folder / "samples.csv").unlink()
    check = check_dataset(folder)
    assert check.missing == ["samples.csv"] and not check.sound
    assert check_dataset(tmp_path / "nowhere").missing == [
        "vertices.npy", "samples.csv", "topology.npz", "dataset.json",
    ]  # fmt: skip


def test_labels_and_outliers_are_judged(tmp_path: Path) -> None:
    data = tiny_data()
    weights, faces, labeled = data.weights.copy(), np.array(data.vertices), np.ones(48, bool)
    weights[1, 0], labeled[2] = 7.0, False
    weights[:6, 4] = weights[6:, 4] = 0
    weights[0, 1] = 1.0
    faces[9] += 500
    replace(data, weights=weights, vertices=faces, labeled={"identity": labeled}).save(tmp_path / "data")
    check = check_dataset(tmp_path / "data")
    assert any("mesh 9 is 8" in text for text in check.wrong)
    assert "mesh 1 has an expression weight outside 0..1.5" in check.wrong
    assert "no mesh performs: eye_closed" in check.notes
    assert "1 meshes have no identity label" in check.notes


def test_examples_are_unseen_people(tmp_path: Path) -> None:
    data = tiny_data()
    paths = write_examples(data, tmp_path, people=2, expressions=3)
    unseen = {data.subjects[i] for i in data.split("test").row_subject}
    assert {path.name.split("_")[0] for path in paths} <= unseen
    assert any(path.name.endswith("_neutral.obj") for path in paths)
    mesh = read_mesh(paths[0])
    np.testing.assert_array_equal(mesh.faces, tiny_topology().faces)
    row = int(
        np.flatnonzero(
            (data.row_subject == data.subjects.index(paths[0].name.split("_")[0])) & data.is_neutral
        )[0]
    )
    np.testing.assert_allclose(mesh.vertices, data[row], atol=1e-3)


def test_private_people_are_no_examples(tmp_path: Path) -> None:
    data = replace(tiny_data(), publishable=np.zeros(8, bool))
    assert write_examples(data, tmp_path) == []


def test_data_and_topology_print_as_one_line() -> None:
    data = tiny_data()
    text = repr(data.take(data.row_subject < 2))
    assert "12 faces of 2 people, 5 expressions" in text and repr(data.topology) in text
    assert f"{data.topology.vertex_count} vertices, {data.topology.face_count} triangles" in text
    assert "\n" not in text and len(text) < 200
