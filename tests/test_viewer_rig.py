"""What became of a rig on the head shown: measured figures, the leak as colors, and the head's own paint."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from heads import remeshed
from scipy.spatial.distance import cdist
from test_viewer_studio import HEAD, foreign_head
from viewers import faces_of, small_studio, world

from mien import apply
from mien.apply.rig_report import FAR_MM, MOVED_MM
from mien.errors import MienError
from mien.io.materials import Material
from mien.render.clay import CLAY
from mien.viewer import paint_skin
from mien.viewer.appearance import OwnMesh
from mien.viewer.paint_skin import painted_head
from mien.viewer.studio import Studio
from mien.viewer.wire import unpack


@pytest.fixture
def studio() -> Studio:
    studio, face = small_studio(), foreign_head()
    studio.add_head("game head", face.vertices, "", face)
    return studio


def test_figures_are_those_of_the_report_and_kept(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def measured(face: Any, rig: Any) -> Any:
        asked.append(rig)
        return apply.report_rig(face, rig)

    monkeypatch.setattr("mien.viewer.studio.report_rig", measured)
    told, _ = unpack(studio.report("0"))
    state = studio.history.state
    truth = apply.report_rig(state.somebody.face, studio.engines[0].rig(state))  # type: ignore[arg-type]
    assert truth is not None and told["targets"] == truth.as_dict()["targets"]
    assert told["model"] == 0 and told["person"] == "loaded-1" and told["notes"] == truth.sentences
    smile = next(row for row in told["targets"] if row["name"] == "smile")
    assert smile["largest_mm"] > 1
    studio.act("set_weight", {"name": "smile", "value": 1})
    studio.act("set_size", {"name": "smile", "value": 2})
    assert unpack(studio.report("0"))[0] == told and len(asked) == 1, "sliders and sizes measure nothing anew"
    studio.act("set_intensity", {"value": 0.5})
    half = next(row for row in unpack(studio.report("0"))[0]["targets"] if row["name"] == "smile")
    assert len(asked) == 2 and half["largest_mm"] == pytest.approx(smile["largest_mm"] / 2, rel=0.02)
    studio.act("pick", {"key": "average"})
    with pytest.raises(MienError, match="mesh of its own"):
        studio.report("0")


def test_the_leak_is_motion_far_from_what_the_model_moves(studio: Studio) -> None:
    with pytest.raises(MienError, match="unknown heat map"):
        studio.act("set_heat", {"kind": "leek"})
    studio.act("set_weight", {"name": "smile", "value": 1})
    answer = studio.act("set_heat", {"kind": "leak"})
    head, numbers = unpack(answer)
    face = studio.history.state.somebody.face
    assert face is not None and face.head is not None
    sizes = dict(head["panes"][0]["arrays"])
    assert sizes["heat"] == len(face.mesh.vertices) and head["panes"][0]["appearance"] == "loaded-1"
    own = OwnMesh(face.head)
    rest = HEAD.copy()
    posed = HEAD.copy()
    posed[world().data.topology.template[:, 1] > np.percentile(HEAD[:, 1], 90)] += 2
    there = own.shown(rest)
    carried = own.shown(posed) - there
    plain = own.shown
    own.shown = lambda faces, gaze=None: plain(faces) + (faces is posed) * np.float32(0.7)  # type: ignore[assignment, method-assign]
    moved = np.linalg.norm(posed - rest, axis=1) > MOVED_MM
    far = cdist(there, rest[moved]).min(axis=1) > FAR_MM
    wanted = np.where(far, np.linalg.norm(carried + 0.7, axis=1), 0)
    assert far.any() and not far.all()
    assert np.allclose(own.leak(rest, posed), wanted, atol=1e-3) and wanted.max() > 1
    assert not own.leak(rest, rest).any()
    studio.act("pick", {"key": "average"})
    assert studio.history.state.heat == "none", "who has no mesh of their own has no leak"
    with pytest.raises(MienError, match="mesh of its own"):
        studio.act("set_heat", {"kind": "leak"})


def test_a_head_wears_the_colors_of_the_template(studio: Studio) -> None:
    face = foreign_head()
    assert face.registration is not None
    colors = (np.arange(3 * len(HEAD)).reshape(-1, 3) % 251).astype(np.float32)
    painted, eyes = painted_head(face.registration, colors)
    remesh = remeshed(world().data.topology)
    same = remesh.weights.max(axis=1) == 1  # vertices of the template itself
    kept = np.isin(remesh.corners[:, 0], face.registration.kept)
    there = same & kept & face.registration.skin
    assert there.sum() > 50 and not eyes.any()
    assert np.abs(painted[there] - colors[remesh.corners[there, 0]]).max() < 1
    own = OwnMesh(face.head, {}, colors)  # type: ignore[arg-type]
    assert np.array_equal(own.arrays[2], painted)
    one = OwnMesh(face.head, {"default": Material((0.8, 0.8, 0.8))}, colors)  # type: ignore[arg-type]
    assert np.array_equal(one.arrays[2], painted) and "tints" not in one.layout, "one gray is no paint"
    two = {"skin": Material((0.8, 0.6, 0.5)), "eyes": Material((1.0, 1.0, 1.0))}
    assert not np.array_equal(OwnMesh(face.head, two, colors).arrays[2], painted)  # type: ignore[arg-type]
    assert len(faces_of(studio, studio.act("refresh", {}))[0]) == len(painted)


def test_what_lies_under_the_skin_does_not_shine_through() -> None:
    sheet = np.array([[0, 0, 0], [10, 0, 0], [0, 10, 0]], float)
    over = np.concatenate([sheet - [0, 0, 1.5], sheet + [0, 0, 0.5]])  # a pocket, nearer at places, and skin
    faces = np.array([[0, 2, 1], [3, 4, 5]])  # the pocket faces inward
    skin_of = SimpleNamespace(faces=faces)
    carrier = SimpleNamespace(
        points=sheet - [0, 0, 0.9], parts=[], registered=over, unwelded=lambda v: v, topology=skin_of
    )
    registration: Any = SimpleNamespace(carrier=carrier, kept=np.arange(6), mesh_faces=np.array([[0, 1, 2]]))
    colors = np.repeat([[90, 20, 20], [220, 170, 150]], 3, axis=0).astype(np.float32)
    painted, _ = painted_head(registration, colors)
    assert np.abs(painted - colors[3:]).max() < 1


def test_eyes_look_out_of_the_face_and_teeth_are_white(monkeypatch: pytest.MonkeyPatch) -> None:
    ball = 12 * np.array([[0, 0, 1.0], [0.3, 0, 0.95], [0, 1.0, 0], [0, 0, -1.0]])
    points = np.concatenate([ball + [30, 0, 0], [[0, -40, 0], [500.0, 0, 0]]])
    parts = [
        SimpleNamespace(kind="eye", members=np.arange(4), center=np.array([30.0, 0, 0])),
        SimpleNamespace(kind="upper teeth", members=np.array([4]), center=None),
    ]
    flat = SimpleNamespace(faces=np.array([[0, 1, 2]]))
    carrier = SimpleNamespace(
        points=points, parts=parts, registered=np.eye(3) * 10, unwelded=lambda values: values, topology=flat
    )
    registration: Any = SimpleNamespace(carrier=carrier, kept=np.arange(3), mesh_faces=flat.faces)
    painted, eyes = painted_head(registration, np.full((3, 3), 100, np.float32))
    assert eyes.tolist() == [True] * 4 + [False] * 2
    brightness = painted.mean(axis=1)
    assert brightness[0] < 30 < brightness[1] < 120 < 200 < brightness[2] == brightness[3]
    assert tuple(painted[4]) == paint_skin._PIECES["upper teeth"]
    assert np.allclose(painted[5], CLAY), "far from the template a head is clay"
