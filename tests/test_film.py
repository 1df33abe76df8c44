"""A face in a film as a performance: what it does is read, where it is missing is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import run
from PIL import Image

from mien.apply.default_model import default_model
from mien.apply.performances import performance_in
from mien.data.expressions import ARKIT
from mien.errors import BadFile, DataMissing
from mien.figures.faces import draw, face_view
from mien.find.film import curves_of_video
from mien.find.scores import SCORED, Scorer
from mien.find.weights import landmarker_file
from mien.io.video import read_video, write_video

pytest.importorskip("av", reason="films are read by av (mien[video])")
pytest.importorskip("flatbuffers", reason="networks are read by flatbuffers (mien[find])")
if landmarker_file() is None:
    pytest.skip("the face landmarker's networks are not on this machine", allow_module_level=True)

FRAMES, LOST = 20, (13, 14)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head of the default model that opens its jaw and closes it, off center; two frames are empty."""
    model = default_model(["procedural"])
    strength = np.sin(np.pi * np.linspace(0, 1, FRAMES)) ** 2
    jaw = model.shapes[model.expressions.index("jawOpen")].numpy().reshape(-1, 3)
    view, pictures = face_view(model.topology), []
    for number, weight in enumerate(strength):
        picture = Image.new("RGB", (480, 300), (90, 90, 90))
        if number not in LOST:
            face = draw(model.topology.template + weight * jaw, model.topology, size=240, view=view)
            picture.paste(Image.fromarray(face), (180, 40))
        pictures.append(picture)
    path = tmp_path_factory.mktemp("film") / "actor.mp4"
    write_video(path, pictures, 25)
    return path


def test_frames_come_with_their_times(film: Path) -> None:
    found = list(read_video(film))
    assert [picture.size for _, picture in found] == [(480, 300)] * FRAMES
    np.testing.assert_allclose([time for time, _ in found], np.arange(FRAMES) / 25, atol=1e-3)


def test_a_jaw_that_opens_is_read_from_the_film(film: Path) -> None:
    curves = curves_of_video(film)
    assert curves.names == SCORED and curves.form == "Video" and len(curves.values) == FRAMES
    assert np.flatnonzero(np.isnan(curves.values).any(axis=1)).tolist() == list(LOST)
    made, notes = performance_in(film, tuple(ARKIT), 25.0)
    assert "Video: 20 frames, 0.76 s, 25 a second" in notes[0]
    assert "2 frames without a face" in " ".join(notes)
    truth = np.sin(np.pi * np.linspace(0, 1, FRAMES)) ** 2
    jaw = made[:, tuple(ARKIT).index("jawOpen")]
    assert jaw.max() > 0.25 and jaw[[0, -1]].max() < 0.1
    assert np.corrcoef(jaw, truth)[0, 1] > 0.95
    still = [k for k, name in enumerate(ARKIT) if name.startswith(("brow", "noseSneer", "mouthSmile"))]
    assert np.ptp(made[:, still], axis=0).max() < 0.3 * np.ptp(jaw)


def test_scores_do_not_depend_on_place_and_size() -> None:
    path = landmarker_file()
    assert path is not None
    scorer, points = Scorer(path), np.random.default_rng(0).uniform(0, 1, (478, 2))
    first = scorer(points)
    assert first.shape == (52,) and 0 <= first.min() <= first.max() <= 1
    np.testing.assert_allclose(scorer(7 * points + [30, -4]), first, atol=1e-3)


def test_a_film_without_a_face_is_one_sentence(
    film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, torn = tmp_path / "empty.mp4", tmp_path / "torn.mp4"
    write_video(empty, [np.full((120, 160, 3), 80, np.uint8)] * 4, 25)
    torn.write_bytes(film.read_bytes()[:900])
    with pytest.raises(BadFile, match="no face is seen in the video; received empty.mp4: 4 frames"):
        curves_of_video(empty)
    with pytest.raises(BadFile, match="film"):
        curves_of_video(torn)
    with pytest.raises(DataMissing, match="video does not exist"):
        curves_of_video(tmp_path / "nowhere.mp4")
    head = ["animate", tmp_path / "head.obj", "--source", "procedural", "-o", tmp_path / "x.glb"]
    told = run(capsys, *head, "--video", empty)
    assert told.code == 2 and "no face is seen in the video" in told.err and not list(tmp_path.glob("x*"))
    assert run(capsys, *head, "--video", film, "--curves-fps", "30").code == 2
