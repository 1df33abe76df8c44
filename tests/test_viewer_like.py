"""The studio without a model, and moved like rigged heads: what comes of the shapes that a head brings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import test_like
import torch
from commands import run
from strangers import template
from test_like import NAMES, made_up, written
from viewers import faces_of, small_studio, world

from mien.data.expressions import ARKIT
from mien.data.head_rigs import SKIN, HeadRig
from mien.data.sources.procedural.person import ProceduralPerson
from mien.errors import MienError
from mien.evaluation.rigs import measures
from mien.io.glb import Morphs
from mien.io.gltf import read_glb_targets, write_glb
from mien.models.base import FaceModel
from mien.models.textbook import Textbook
from mien.viewer import Engine, Studio, StudioServer
from mien.viewer.wire import unpack

Capture = pytest.CaptureFixture[str]
general, by_shape = test_like.general, test_like.by_shape
SMILE, JAW = world().expression_axes[:2]
HEAD = world().neutrals[4].astype(np.float32)


def studio_of(model: FaceModel) -> Studio:
    """A studio whose model has ``NAMES`` for sliders, and moves nobody."""
    still = Textbook(model.topology, NAMES)
    still.set_shapes(torch.zeros(len(NAMES), model.topology.vertex_count, 3), model.people_modes())
    return Studio([Engine("still", still)])


def tiny_rig(names: tuple[str, ...] = ("mouthSmileLeft", "jawOpen")) -> HeadRig:
    """A rig of the planted topology."""
    topology = world().data.topology
    shapes = np.stack([SMILE, JAW]).astype(np.float32)
    piece = np.full(len(HEAD), SKIN, np.uint8)
    return HeadRig("her", HEAD.astype(np.float64), topology.faces, names, shapes, piece)


def test_everybody_moves_like_a_head_that_was_dropped(general: FaceModel, tmp_path: Path) -> None:
    studio, rig = studio_of(general), made_up(21)
    head, _ = unpack(studio.load("her rig.glb", written(rig, tmp_path / "r.glb").read_bytes()))
    assert head["state"]["people"][-1]["shapes"] == len(NAMES)
    studio.act("pick", {"key": "average"})
    studio.act("set_pose", {"pose": {"jawOpen": 1.0}})
    answer = studio.move_like("loaded-1")
    head, _ = unpack(answer)
    assert head["state"]["shown"] == [0, 1] and "like her rig" in head["told"]
    before, after = faces_of(studio, answer)
    neutral = studio.engines[0].rest(studio.history.state)
    assert np.abs(before - neutral).max() < 1e-5, "the first model moves nothing, and is still there"
    rows = template()[1]
    person = ProceduralPerson.draw(np.random.default_rng(21))
    wanted = (person.perform(dict(ARKIT["jawOpen"])) - person.neutral)[rows]
    skin = np.linalg.norm(wanted, axis=1) > 0.3
    assert measures.cosine((after - neutral)[skin], wanted[skin]) > 0.89  # with the inside of the mouth
    morphs = _exported(studio, tmp_path)
    assert set(morphs.names) == set(NAMES)


def _exported(studio: Studio, folder: Path) -> Morphs:
    studio.act("set_shown", {"models": [1]})
    (folder / "out.glb").write_bytes(studio.export("rig").data)
    return read_glb_targets(folder / "out.glb")


def test_new_names_get_sliders_and_undo_takes_them_away() -> None:
    studio = small_studio()
    lines = ["smile"] + [f"{min(k, 30) / 30:.3f}" for k in range(61)]
    studio.load("take.csv", "\n".join(lines).encode())
    person = studio.add_head("her", HEAD, rig=tiny_rig())
    studio.act("set_weight", {"name": "smile", "value": 0.5})
    before = studio.history.state
    head, _ = unpack(studio.move_like(person.key))
    assert head["state"]["names"][-2:] == ["jawOpen", "mouthSmileLeft"]
    labels = [s["name"] for group in unpack(studio.sliders())[0]["groups"] for s in group["sliders"]]
    assert set(labels) == set(head["state"]["names"])
    faces = faces_of(studio, studio.act("set_pose", {"pose": {"mouthSmileLeft": 1.0, "jawOpen": 0.5}}))
    assert np.allclose(faces[0], HEAD, atol=1e-3), "the first model does not know these names"
    assert np.allclose(faces[1] - HEAD, SMILE + 0.5 * JAW, atol=1e-3), "copied on the same topology"
    frames = unpack(studio.clip())[1]
    assert np.isfinite(frames).all(), "the recording goes on"
    studio.act("undo", {})
    head, _ = unpack(studio.act("undo", {}))
    assert studio.history.state is before and head["state"]["models"] == [0]
    assert len(unpack(studio.sliders())[0]["groups"]) == 4
    with pytest.raises(MienError, match="numbered 0"):
        studio.act("set_shown", {"models": [0, 1]})
    head, _ = unpack(studio.act("redo", {}))
    assert head["state"]["shown"] == [0, 1] and len(head["panes"]) == 2
    assert len(head["state"]["take"]["drawn"]) == 61


def test_heads_that_nobody_can_move_like_are_refused(tmp_path: Path) -> None:
    studio = small_studio()
    plain = studio.add_head("plain", HEAD)
    with pytest.raises(MienError, match="no named shapes"):
        studio.move_like(plain.key)
    odd = studio.add_head("odd", HEAD, rig=tiny_rig(("Smirk_x", "jawOpn")))
    with pytest.raises(MienError, match="jawOpen.*columns arkit and shape"):
        studio.move_like(odd.key)
    with pytest.raises(MienError, match="unknown person"):
        studio.move_like("nobody")
    assert studio.history.state.models == (0,) and len(studio.engines) == 1
    still = HEAD + np.zeros((1, *HEAD.shape), np.float32)
    write_glb(tmp_path / "still.glb", HEAD, world().data.topology, still, ("jawOpen",))
    head, _ = unpack(studio.load("still.glb", (tmp_path / "still.glb").read_bytes()))
    assert "moves anything" in head["state"]["people"][-1]["note"]
    assert head["state"]["people"][-1]["shapes"] == 0


def test_a_head_is_viewed_without_a_model(
    general: FaceModel,
    capsys: Capture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[Studio] = []

    def serve(server: StudioServer) -> None:
        opened.append(server.studio)
        raise KeyboardInterrupt

    monkeypatch.setattr(StudioServer, "serve_forever", serve)
    monkeypatch.setattr("mien.apply.default_model.default_model", lambda *_: general)
    rest = general.topology.template
    write_glb(tmp_path / "head.glb", rest, general.topology)
    told = run(capsys, "view", tmp_path / "head.glb", "--no-browser", "--port", "0")
    assert told.code == 0 and "Shapes:" in told.err
    assert opened[0].history.state.somebody.name == "head" and opened[0].engines[0].label == "textbook"
    asked: list[tuple[object, ...]] = []

    def like(rigs: list[Path], head: object, **_: object) -> tuple[FaceModel, tuple[str, ...]]:
        asked.append((*rigs, head))
        return general, ("As they do.",)

    monkeypatch.setattr("mien.apply.like.model_like", like)
    told = run(
        capsys, "view", tmp_path / "head.glb", "--like", "a.glb", "--like", "b.glb", "--no-browser",
        "--port", "0",
    )  # fmt: skip
    assert told.code == 0 and "As they do." in told.err and opened[1].engines[0].label == "like a"
    assert asked == [(Path("a.glb"), Path("b.glb"), None)], "the rigs' skin serves every head of the session"
    assert "does not exist" in run(capsys, "view", tmp_path / "none.glb", "--no-browser").sentence
