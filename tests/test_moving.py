"""Clips on any model: frame by frame, at other rates, as few targets, from files, as films."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from clips import FPS, moving_data
from commands import run
from fixtures import tiny_data, tiny_topology

from mien import apply
from mien.data.expressions import ARKIT, expression_set
from mien.data.motion import Act, resampled, score
from mien.data.notation import parse_acts
from mien.data.recorded import Handling, performance_of, read_performance
from mien.errors import BadSetting, MienError
from mien.figures.faces import draw
from mien.figures.motion import _portrait, clip_sheet, film, signal_panel
from mien.io.curve_record import Curves
from mien.io.gltf import read_glb_targets
from mien.io.mesh import read_mesh, write_mesh
from mien.io.video import write_video
from mien.models.base import FaceModel
from mien.models.files import save_model
from mien.models.mean_expression import MeanExpression
from mien.models.pca_lstm import PcaLSTM
from mien.render.clay import BACKGROUND

Capture = pytest.CaptureFixture[str]


@lru_cache
def model_of(kind: str) -> FaceModel:
    """A model that moves (untrained, but no two frames are alike), or one of settled poses."""
    torch.manual_seed(3)
    data = moving_data() if kind == "moving" else tiny_data()
    model: FaceModel = (PcaLSTM(data.topology, data.expressions, 10) if kind == "moving"
                        else MeanExpression(data.topology, data.expressions))  # fmt: skip
    model.prepare(data)
    model.eval()
    model.calibrate(data)
    return model


def neutral() -> np.ndarray:
    return moving_data()[0]


def weights(frames: int = 25) -> np.ndarray:
    generator = np.random.default_rng(0)
    rough = generator.uniform(0, 1, (frames, 5)) * (np.arange(frames) > 3)[:, None]
    return rough.astype(np.float32)


@pytest.mark.parametrize("kind", ["moving", "settled"])
def test_a_stream_shows_the_frames_of_the_whole_clip(kind: str) -> None:
    model = model_of(kind)
    whole = apply.animate(model, neutral(), weights())
    stream = apply.Stream(model, neutral())
    frames = np.stack([stream(frame) for frame in weights()])
    np.testing.assert_allclose(frames, whole, atol=2e-4)
    np.testing.assert_allclose(frames[0], neutral(), atol=1e-4)
    stream.reset()
    np.testing.assert_allclose(stream(np.zeros(5)), neutral(), atol=1e-4)
    assert np.abs(whole[-1] - neutral()).max() > 0.1


def test_a_stream_at_the_rate_of_its_sensor() -> None:
    model = model_of("moving")
    same = apply.Stream(model, neutral(), fps=FPS)
    whole = apply.animate(model, neutral(), weights())
    np.testing.assert_allclose([same(frame) for frame in weights()], whole, atol=2e-4)
    # At the model's own moments the frames are the whole clip's, whatever the signal does in between.
    acts = [Act({"smile": 1.0}, 0.2, 0.6, 1.0, 1.6)]
    smooth = apply.score(model.expressions, acts, fps=3 * FPS, duration=2.0, shape="linear")
    for curve, share in ((weights(), 1.0), (smooth, 0.1)):
        stream = apply.Stream(model, neutral(), fps=3 * FPS)
        frames = np.stack([stream(frame) for frame in curve])
        clip = apply.animate(model, neutral(), curve, fps=3 * FPS)
        np.testing.assert_allclose(frames[::3], clip[::3], atol=2e-4)
        assert 0 < np.abs(frames - clip).max() < share * np.abs(clip - neutral()).max()
    for fps in (13.0, 50.0):  # a held signal has no surprises: everything is the whole clip's
        held = np.tile([0.7, 0, 0.2, 0, 0], (20, 1)).astype(np.float32)
        stream, clip = apply.Stream(model, neutral(), fps=fps), apply.animate(model, neutral(), held, fps=fps)
        np.testing.assert_allclose([stream(frame) for frame in held][:-2], clip[:-2], atol=5e-4)
    stream.reset()
    np.testing.assert_allclose(stream(held[0]), clip[0], atol=2e-4)
    with pytest.raises(BadSetting, match="positive frame rate"):
        apply.Stream(model, neutral(), fps=0)


def test_other_frame_rates_keep_the_pace() -> None:
    model = model_of("moving")
    acts = [Act({"smile": 1.0}, 0.2, 0.6, 1.0, 1.6)]
    own = apply.score(model.expressions, acts, fps=FPS, duration=2.0, shape="linear")
    usual = apply.animate(model, neutral(), own)
    np.testing.assert_allclose(apply.animate(model, neutral(), own, fps=FPS), usual, atol=1e-5)
    for fps in (2 * FPS, 13.0):
        curve = apply.score(model.expressions, acts, fps=fps, duration=2.0, shape="linear")
        clip = apply.animate(model, neutral(), curve, fps=fps)
        assert len(clip) == len(curve)
        again = resampled(clip, fps, FPS)
        error = np.linalg.norm(again - usual[: len(again)], axis=2).mean()
        assert error < 0.15 * np.linalg.norm(usual - neutral(), axis=2).mean(), fps
    plain = apply.animate(model, neutral(), np.repeat(own, 2, axis=0))  # frames count, seconds do not
    assert len(plain) == 2 * len(usual)


def test_resampling_keeps_ends_and_lines() -> None:
    line = np.linspace(0, 1, 11)[:, None] * [1.0, 2.0]
    np.testing.assert_allclose(resampled(line, 10, 40), np.linspace(0, 1, 41)[:, None] * [1, 2], atol=1e-6)
    np.testing.assert_allclose(resampled(line, 10, 5), line[::2], atol=1e-6)


def test_acts_follow_and_blend() -> None:
    names = ("smile", "jaw_open", "brow_raiser")
    acts = [Act({"smile": 0.8, "jaw_open": 0.3}, 0.1, 0.3, 0.5, 0.8), Act({"brow_raiser": 1}, 0.6, 1, 1, 1.4)]
    curve = score(names, acts, fps=10, shape="linear")
    assert curve.shape == (16, 3)
    np.testing.assert_allclose(curve[2], [0.4, 0.15, 0], atol=1e-6)
    np.testing.assert_allclose(curve[3:6], [[0.8, 0.3, 0]] * 3, atol=1e-6)
    np.testing.assert_allclose(curve[7], [0.8 / 3, 0.1, 0.25], atol=1e-6)
    np.testing.assert_allclose(curve[[0, 14, 15]], 0)
    stronger = score(names, [acts[0], Act({"smile": 1}, 0.1, 0.3, 0.5, 0.8)], fps=10, shape="linear")
    np.testing.assert_allclose(stronger[4], [1.0, 0.3, 0], atol=1e-6)
    with pytest.raises(BadSetting, match="onset < apex"):
        score(names, [Act({"smile": 1}, 0.1, 0.5, 0.4, 0.8)])
    with pytest.raises(BadSetting, match="at least one"):
        score(names, [])


def test_acts_are_parsed() -> None:
    names = ("happy", "sad")
    usual = (0.2, 0.6, 0.7, 1.0)
    assert parse_acts(["happy=0.5", "sad"], names, usual) == [Act({"happy": 0.5, "sad": 1.0}, *usual)]
    own = parse_acts(["happy=0.5+sad=0.2@1,2,3", "sad@4,5,6,7"], names, usual)
    assert own == [Act({"happy": 0.5, "sad": 0.2}, 1, 2, 2, 3), Act({"sad": 1.0}, 4, 5, 6, 7)]
    for bad in ("happy@1,2", "happy@a,b,c"):
        with pytest.raises(BadSetting, match="own moments"):
            parse_acts([bad], names, usual)


@pytest.mark.parametrize("kind", ["moving", "settled"])
def test_walks_between_apexes_are_straight_in_code(kind: str) -> None:
    model = model_of(kind)
    walk = apply.between_poses(model, neutral(), {"smile": 1}, {"jaw_open": 0.8}, 5)
    rig = apply.rig(model, neutral())
    np.testing.assert_allclose(walk[0], rig.targets[0], atol=1e-3)
    np.testing.assert_allclose(walk[2], (walk[0] + walk[4]) / 2, atol=1e-3)  # both decoders are linear
    with pytest.raises(BadSetting, match="2 steps"):
        apply.between_poses(model, neutral(), {"smile": 1}, {"jaw_open": 1}, 1)


def test_few_targets_state_their_error_exactly() -> None:
    generator = np.random.default_rng(0)
    base, axes = generator.normal(size=(40, 3)), generator.normal(size=(3, 40, 3))
    frames = base + np.einsum("tk,kvc->tvc", generator.normal(size=(30, 3)), axes)
    targets, curve, error = apply.few_targets(frames, base, tolerance_mm=1e-4)
    assert len(targets) == 3 and error < 1e-4 and np.abs(curve).max() == pytest.approx(1.0)
    made = base + np.einsum("tk,kvc->tvc", curve, targets - base)
    np.testing.assert_allclose(made, frames, atol=1e-4)
    targets, curve, error = apply.few_targets(frames, base, most=2)
    made = base + np.einsum("tk,kvc->tvc", curve, targets - base)
    assert error == pytest.approx(np.linalg.norm(made - frames, axis=2).mean(), rel=1e-4) and error > 0.1


def test_curves_of_a_file_by_name_and_time(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("frame,Time,Smile,nose\n0,0.0,0,0\n1,0.5,1,0.2\n2,1.5,0.5,0.2\n")
    found, notes = read_performance(path, ("jaw_open", "smile"), 4.0)
    np.testing.assert_allclose(found[:, 1], [0, 0.5, 1, 0.875, 0.75, 0.625, 0.5], atol=1e-6)
    assert (found[:, 0] == 0).all() and "1 of 2 curves are known; left out: nose" in notes[1]
    path.write_text("smile\n0\n1\n0\n")
    found, notes = read_performance(path, ("smile",), 30.0, file_fps=15.0)
    np.testing.assert_allclose(found[:, 0], [0, 0.5, 1, 0.5, 0], atol=1e-6)
    assert len(notes) == 2


def test_tracked_arkit_curves_drive_models_of_other_expressions() -> None:
    emotions = expression_set("emotion6")
    header = tuple(name[0].upper() + name[1:] for name in ARKIT)
    truth = np.array([[0, 0, 0, 0.8, 0, 0], [0, 0, 0, 0, 0, 1.0], [0.2, 0, 0, 0, 0.5, 0]])
    from mien.data.expressions import arkit_weights

    recipes = np.array([[arkit_weights(e, of="emotion6").get(n, 0) for n in ARKIT] for e in emotions.names])
    values = np.column_stack([truth @ recipes, np.zeros(3)])
    curves = Curves((*header, "HeadYaw"), values, form="Live Link Face")
    found, notes = performance_of(curves, emotions.names, Handling(60.0))
    np.testing.assert_allclose(found, truth, atol=1e-5)
    assert "0 % of the motion" in notes[-1]
    half, _ = performance_of(curves, emotions.names, Handling(30.0))
    np.testing.assert_allclose(half, truth[::2], atol=1e-5)
    own, _ = performance_of(curves, tuple(ARKIT), Handling(60.0))
    np.testing.assert_allclose(own, truth @ recipes, atol=1e-6)
    with pytest.raises(BadSetting, match="no curve"):
        performance_of(curves, ("grimace",), Handling(60.0))


def test_films_have_their_frames(tmp_path: Path) -> None:
    from PIL import Image

    pictures = [np.full((51, 64, 3), 40 * k, np.uint8) for k in range(5)]
    assert write_video(tmp_path / "a.gif", pictures, 10) == 5
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 5 and gif.size == (64, 51) and gif.info["duration"] == 100
    av = pytest.importorskip("av")
    write_video(tmp_path / "a.mp4", pictures, 25)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert len(frames) == 5 and frames[0].shape == (50, 64, 3) and float(stream.average_rate) == 25
    assert np.abs(np.array([frame.mean() for frame in frames]) - [0, 40, 80, 120, 160]).max() < 4
    with pytest.raises(BadSetting, match="MP4 or GIF"):
        write_video(tmp_path / "a.avi", pictures, 10)
    with pytest.raises(BadSetting, match="one size"):
        write_video(tmp_path / "b.gif", [pictures[0], pictures[1][:10]], 10)


def test_the_signal_is_drawn_where_it_is() -> None:
    curve = np.zeros((101, 2))
    curve[:, 1] = np.clip((np.arange(101) - 50) / 10, 0, 1)
    panel = np.asarray(signal_panel(curve, ["sad", "happy"], fps=50, width=300, height=100)).astype(int)
    red = (panel[:, :, 0] - panel[:, :, 2]) > 80
    rows = [np.flatnonzero(red[:, x]) for x in (60, 157, 200)]
    assert not len(rows[0]) and rows[1].mean() > rows[2].mean() + 20  # nothing, on its way, high up
    moved = np.asarray(signal_panel(curve, ["sad", "happy"], fps=50, width=300, height=100, now=50))
    assert (np.asarray(panel) != moved).any(axis=(0, 2)).nonzero()[0].mean() == pytest.approx(150, abs=3)


def test_films_and_sheets_of_faces() -> None:
    pytest.importorskip("embreex")
    model = model_of("settled")
    frames = apply.animate(model, neutral(), np.eye(5)[[0, 1, 1]])
    pictures = list(
        film(frames, model.topology, weights=np.eye(5)[[0, 1, 1]], names=model.expressions, size=96)
    )
    assert len(pictures) == 3 and pictures[0].size == (96, 96 + 27)
    bare = list(film(frames[:1], model.topology, size=96))
    assert bare[0].size == (96, 96)
    clips, signals = {"smile": frames, "jaw_open": frames}, {"smile": np.ones(3), "jaw_open": np.zeros(3)}
    sheet = clip_sheet(clips, model.topology, weights=signals, fps=30, columns=3, size=80)
    assert sheet.width > 240 and sheet.height > 2 * 80
    view, edge = _portrait(frames, 80)  # all of the face, and little beside it
    face = (draw(frames[1], model.topology, size=80, view=view) != BACKGROUND).any(axis=2)
    assert not face[[0, -1]].any() and not face[:, :edge].any() and not face[:, 80 - edge :].any()
    assert face[:6].any() or face[-6:].any()
    assert face[:, : edge + 6].any() and face[:, 74 - edge :].any()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("motion")
    for kind in ("moving", "settled"):
        save_model(model_of(kind), path / kind)
    write_mesh(path / "rest.obj", neutral(), tiny_topology())
    return path


TIMING = ("--onset", "0.2", "--apex", "0.5", "--release", "0.7", "--offset", "1.2", "--fps", "20")


@pytest.mark.parametrize("kind", ["moving", "settled"])
def test_animate_writes_what_the_ending_says(
    kind: str, folder: Path, capsys: Capture, tmp_path: Path
) -> None:
    start = ("animate", folder / kind, folder / "rest.obj", "-e", "smile=0.8", *TIMING)
    told = run(capsys, *start, "-o", tmp_path / "a.npz", "--json")
    saved = np.load(tmp_path / "a.npz")
    assert told.json["frames"] == len(saved["vertices"]) == len(saved["weights"]) == 29
    assert saved["weights"].max() == pytest.approx(0.8) and str(saved["expressions"][0]) == "smile"
    for targets in ("auto", "named", "motion", "frames"):
        path = tmp_path / f"{targets}.glb"
        facts = run(capsys, *start, "--targets", targets, "-o", path, "--json").json
        morphs = read_glb_targets(path)
        assert facts["targets"] == len(morphs.names) and facts["frames"] == len(morphs.animation[0])
        made = morphs.base + np.einsum("tk,kvc->tvc", morphs.animation[0], morphs.targets - morphs.base)
        off = np.linalg.norm(made - saved["vertices"], axis=2).mean()
        assert off == pytest.approx(facts["error_mm"], abs=2e-3)
        assert facts["error_mm"] <= 0.051 or (targets == "named" and kind == "moving")
    assert run(capsys, *start, "-o", tmp_path / "frames").code == 0
    assert len(list((tmp_path / "frames").glob("*.obj"))) == 29
    assert "apex" in run(capsys, *start, "-o", tmp_path / "apex.obj").out
    apex = read_mesh(tmp_path / "apex.obj").vertices
    expected = apply.between_poses(model_of(kind), neutral(), {"smile": 0.8}, {"smile": 0.8}, 2)[0]
    np.testing.assert_allclose(apex, expected, atol=1e-3)
    assert (
        run(capsys, *start[:3], "--between", "smile,jaw_open=0.5", "--steps", "3", "-o", tmp_path / "w").code
        == 0
    )
    assert len(list((tmp_path / "w").glob("*.obj"))) == 3
    double = run(capsys, *start, "--strength", "0.5", "-o", tmp_path / "b.npz", "--json")
    assert double.code == 0 and np.load(tmp_path / "b.npz")["weights"].max() == pytest.approx(0.4)


def test_animate_reads_curves_and_refuses_nonsense(folder: Path, capsys: Capture, tmp_path: Path) -> None:
    path = tmp_path / "take.csv"
    path.write_text("smile,jaw_open\n0,0\n0.5,0\n1,0.25\n")
    start = ("animate", folder / "settled", folder / "rest.obj")
    told = run(capsys, *start, "--curves", path, "-o", tmp_path / "a.npz", "--json")
    assert told.json["frames"] == 3
    np.testing.assert_allclose(np.load(tmp_path / "a.npz")["weights"][:, :2], [[0, 0], [0.5, 0], [1, 0.25]])
    out = ("-o", tmp_path / "x.glb")
    assert "either expressions" in run(capsys, *start, *out).sentence
    assert "either expressions" in run(capsys, *start, "-e", "smile", "--curves", path, *out).sentence
    assert "did you mean 'smile'" in run(capsys, *start, "-e", "smiel", *out).sentence
    assert "between two expressions" in run(capsys, *start, "--between", "smile", *out).sentence
    assert "named, motion" in run(capsys, *start, "-e", "smile", "--targets", "few", *out).sentence
    assert "GLB, USD, PC2, MP4" in run(capsys, *start, "-e", "smile", "-o", tmp_path / "x.avi").sentence
    assert not list(tmp_path.glob("x*"))


def test_streams_refuse_whole_clips() -> None:
    stream = apply.Stream(model_of("moving"), neutral())
    with pytest.raises(MienError, match=r"weights \(E,\)"):
        stream(np.zeros((3, 5)))
