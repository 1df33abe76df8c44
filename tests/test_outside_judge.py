"""An outside judge of faces and rigs: known scores give known answers, and the network finds wrong names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from clips import moving_data
from commands import run
from fixtures import EXPRESSIONS, planted
from numpy.typing import NDArray
from test_evaluate import Anchored, Oracle, Refusing, calibrated
from test_rig_judging import bump, head

from mien.apply.default_model import default_model
from mien.data.head_rigs import HeadRig
from mien.errors import BadMesh, BadSetting, DataMissing
from mien.evaluation import evaluate
from mien.evaluation.kinds import evaluate_by_kind
from mien.evaluation.reading import metrics
from mien.evaluation.reading.shapes import BLIND, NOTHING, OTHER, READ, read_shapes
from mien.evaluation.rigs import compare_rig_files
from mien.find.reader import FaceReader
from mien.find.scores import SCORED
from mien.find.weights import landmarker_file
from mien.render.stills import View

PLACES = {"jawOpen": (30.0, 20.0), "mouthSmileLeft": (90.0, 30.0), "eyeBlinkLeft": (90.0, 90.0),
          "cheekPuff": (30.0, 90.0)}  # fmt: skip


class KnownPlaces:
    """Scores a sheet: how far it stands out at the place of each name, in tenths of a millimeter."""

    def read(self, meshes: Sequence[NDArray], faces: NDArray, view: View) -> NDArray[np.float64]:
        rest = head(jawOpen=bump((30, 20), 1.0)).vertices
        found = np.full((len(meshes), 52), 0.05)
        for row, mesh in zip(found, meshes, strict=True):
            for name, place in PLACES.items():
                nearest = int(np.linalg.norm(rest[:, :2] - place, axis=1).argmin())
                row[SCORED.index(name)] += (mesh - rest)[nearest, 2] / 10
        return found


def named(**heights: tuple[str, float]) -> HeadRig:
    """A sheet whose shapes bump at the places of other names: own name -> (name of the place, height)."""
    return head(**{name: bump(PLACES[at], height, 15.0) for name, (at, height) in heights.items()})


def test_shapes_that_raise_their_own_score_are_read() -> None:
    right = named(
        jawOpen=("jawOpen", 6.0), mouthSmileLeft=("mouthSmileLeft", 0.5), cheekPuff=("cheekPuff", 9)
    )
    found = read_shapes(right, KnownPlaces())
    assert found.own("jawOpen") == pytest.approx(0.6) and found.own("mouthSmileLeft") == pytest.approx(0.05)
    assert [found.verdict(name) for name in found.shapes] == [READ, NOTHING, BLIND]
    assert found.row("jawOpen") == ("0.60", "jawOpen 0.60", "jawOpen", READ)
    assert found.exchanged == () and "reads 1 of 2 shapes" in found.sentences[0]


def test_a_shape_whose_score_another_raises_further_is_told() -> None:
    both = named(jawOpen=("jawOpen", 2.0), eyeBlinkLeft=("jawOpen", 7.0))
    found = read_shapes(both, KnownPlaces())
    assert found.verdict("jawOpen") == OTHER and found.raised_by("jawOpen") == "eyeBlinkLeft"
    assert found.exchanged == ()  # the other one's score is raised by nobody: no exchange mends that


def test_exchanged_names_are_found_two_or_three_at_a_time() -> None:
    two = named(
        jawOpen=("mouthSmileLeft", 6.0), mouthSmileLeft=("jawOpen", 5.0), eyeBlinkLeft=("eyeBlinkLeft", 4)
    )
    (pair,) = read_shapes(two, KnownPlaces()).exchanged
    assert set(pair) == {"jawOpen", "mouthSmileLeft"}
    ring = named(
        jawOpen=("mouthSmileLeft", 6), mouthSmileLeft=("eyeBlinkLeft", 5), eyeBlinkLeft=("jawOpen", 4)
    )
    found = read_shapes(ring, KnownPlaces())
    (group,) = found.exchanged
    following = dict(zip(group, (*group[1:], group[0]), strict=True))
    assert following == {
        "jawOpen": "mouthSmileLeft",
        "mouthSmileLeft": "eyeBlinkLeft",
        "eyeBlinkLeft": "jawOpen",
    }
    assert "jawOpen looks like mouthSmileLeft" in found.sentences[1]


def test_a_rig_without_known_names_or_face_is_refused() -> None:
    with pytest.raises(BadSetting, match="no shape that the judge has a score for"):
        read_shapes(head(tongueOut=bump((30, 20), 5.0)), KnownPlaces())

    class Blind(KnownPlaces):
        def read(self, meshes: Sequence[NDArray], faces: NDArray, view: View) -> NDArray[np.float64]:
            return np.full((len(meshes), 52), np.nan)

    with pytest.raises(BadMesh, match="sees no face on the head at rest"):
        read_shapes(head(jawOpen=bump((30, 20), 5.0)), Blind())


def test_metrics_of_known_scores() -> None:
    rest, truth = np.zeros((3, 52)), np.zeros((3, 52))
    truth[0, 3], truth[1, 3] = 0.8, 0.05  # the second shows nothing, the third no face
    truth[2, 3] = 0.8
    made = 0.5 * truth
    made[2] = np.nan
    share = metrics.read_share(rest, truth, made)
    assert share[0] == pytest.approx(0.5) and np.isnan(share[1:]).all()
    assert metrics.read_left(rest, truth, rest)[0] == 0 and metrics.read_left(rest, truth, truth)[0] == 1
    assert metrics.read_error(truth, made)[0] == pytest.approx(0.4 / 52)
    assert metrics.read_found(made).tolist() == [100, 100, 0]


class PlantedScores:
    """Scores planted faces: the weights of their expressions."""

    def read(self, meshes: Sequence[NDArray], faces: NDArray, view: View) -> NDArray[np.float64]:
        world = planted(subjects=20)
        axes = np.concatenate([world.identity_axes, world.expression_axes])
        flat = np.stack([np.asarray(mesh, np.float64) for mesh in meshes]) - world.data.topology.template
        codes = np.linalg.lstsq(axes.reshape(len(axes), -1).T, flat.reshape(len(flat), -1).T, rcond=None)[0].T
        scores = np.zeros((len(flat), 52))
        scores[:, 1 : 1 + len(EXPRESSIONS)] = codes[:, len(world.identity_axes) :]
        return scores


class Half(Oracle):
    """Shows half of every expression."""

    def decode(self, codes):  # type: ignore[no-untyped-def]
        return super().decode(codes.replace(expression=codes.expression / 2))


def test_a_perfect_model_shows_all_and_leaves_nothing() -> None:
    data = planted(subjects=20).data
    face = data.topology, EXPRESSIONS
    models = {"perfect": calibrated(Oracle(*face)), "half": calibrated(Half(*face)),
              "anchored": calibrated(Anchored(*face)), "refusing": Refusing(*face)}  # fmt: skip
    report = evaluate(models, data, speed=False, controls=(), judge=PlantedScores())
    found = {(row.system, row.metric): row for row in report.rows if row.metric.startswith("read_")}
    assert found["perfect", "read_share"].mean == pytest.approx(1, abs=1e-3)
    assert found["perfect", "read_left"].mean == pytest.approx(0, abs=1e-3)
    assert found["perfect", "read_error"].mean == pytest.approx(0, abs=1e-4)
    assert found["half", "read_share"].mean == pytest.approx(0.5, abs=1e-3)
    assert found["half", "read_error"].mean == pytest.approx(0.5 / 52, abs=1e-4)
    assert ("anchored", "read_left") not in found  # its neutral is given
    assert found["refusing", "read_share"].mean is None and found["refusing", "read_share"].reason
    assert found["the neutral itself", "read_share"].mean == pytest.approx(0, abs=1e-6)
    assert found["the scan, turned by 5 degrees", "read_error"].mean == pytest.approx(0, abs=1e-6)
    assert found["class mean, label given", "read_share"].mean == pytest.approx(1, abs=1e-3)
    assert "Read by an outside judge" in report.to_markdown()


def test_judges_need_single_faces_with_transfers() -> None:
    data = planted(subjects=20).data
    model = {"perfect": calibrated(Oracle(data.topology, EXPRESSIONS))}
    with pytest.raises(BadSetting, match="single faces"):
        evaluate_by_kind(model, moving_data(people=4), judge=PlantedScores())
    alone = data.take(np.flatnonzero(data.row_subject < 3))
    at_rest = alone.take(np.flatnonzero(alone.label == -1))
    with pytest.raises(BadSetting, match="outside judges look at transferred expressions"):
        evaluate(model, at_rest, part="all", controls=(), judge=PlantedScores())


def test_a_rig_alone_needs_a_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                   monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    told = run(capsys, "evaluate-rig", tmp_path / "rig.glb")
    assert told.code == 2 and "no artist's rig to compare with" in told.err
    monkeypatch.setenv("MIEN_LANDMARKER", str(tmp_path / "nowhere.task"))
    with pytest.raises(DataMissing, match="names no file"):
        FaceReader.open()
    told = run(capsys, "evaluate-rig", tmp_path / "rig.glb", "--judges")
    assert told.code == 2 and "MIEN_LANDMARKER names no file" in told.err


@pytest.fixture(scope="module")
def generated() -> HeadRig:
    """Three shapes of the generated head, two of them with exchanged names."""
    pytest.importorskip("flatbuffers", reason="networks are read by flatbuffers (mien[find])")
    if landmarker_file() is None:
        pytest.skip("the face landmarker's networks are not on this machine")
    model = default_model(["procedural"])
    rest, faces = model.topology.template, model.topology.faces
    names = ("jawOpen", "eyeBlinkLeft", "mouthPucker")
    moved = model.shapes.numpy()[[model.expressions.index(name) for name in names]].reshape(3, -1, 3)
    wrong = ("eyeBlinkLeft", "jawOpen", "mouthPucker")
    return HeadRig("generated", rest, faces, wrong, moved, np.zeros(len(rest), np.uint8))


def test_the_network_finds_two_exchanged_names(
    generated: HeadRig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "generated.npz"
    np.savez(path, vertices=generated.vertices, faces=generated.faces, names=np.array(generated.names),
             targets=generated.displacements, piece=generated.piece)  # fmt: skip
    told = run(capsys, "evaluate-rig", path, "--judges", "--out", tmp_path / "out")
    assert told.code == 0 and "are these names exchanged?" in told.out
    read = json.loads((tmp_path / "out" / "rig.json").read_text())["readings"][0]
    assert [set(group) for group in read["exchanged"]] == [{"jawOpen", "eyeBlinkLeft"}]
    assert read["verdicts"] == {"eyeBlinkLeft": NOTHING, "jawOpen": NOTHING, "mouthPucker": READ}
    assert "looks like" in (tmp_path / "out" / "rig.md").read_text()


def test_the_artists_reading_stands_beside(tmp_path: Path) -> None:
    path = tmp_path / "sheet.npz"
    rig = named(jawOpen=("jawOpen", 6.0), mouthSmileLeft=("mouthSmileLeft", 3.0))
    np.savez(path, vertices=rig.vertices, faces=rig.faces, names=np.array(rig.names),
             targets=rig.displacements, piece=rig.piece)  # fmt: skip
    report = compare_rig_files(path, path, judge=KnownPlaces())
    assert [reading.name for reading in report.readings] == ["sheet", "the artist"]
    table = report.tables[-1]
    assert table.header[1] == "sheet: own" and table.header[5] == "the artist: own"
    assert table.rows[0][1] == table.rows[0][5] == "0.60"
