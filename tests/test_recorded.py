"""Recorded performances: every form gives the same clip, gaps are said, nonsense is one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import takes
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data.action_units import UNITS, shape_curves, unit_curves, unit_intensities
from mien.data.expressions import ARKIT, SHAPES, expression_set
from mien.data.recorded import Handling, performance_of, read_performance
from mien.errors import BadFile, BadSetting, MienError
from mien.io.curve_record import Curves
from mien.io.curves import read_curves
from mien.io.timecode import read_timecodes

EXPRESSIONS = tuple(ARKIT)
FORMS = (
    "phone at 60.csv", "phone at 30.csv", "phone with drops.csv", "phone that lost the face.csv", "sided.csv",
    "snake.csv", "capitals.csv", "prefixed.csv", "percent.csv", "semicolons.csv", "decimal commas.csv",
    "tabs.csv", "milliseconds.csv", "named milliseconds.csv", "sep.csv", "media pipe.json",
    "audio2face.json", "open face.csv", "columns.json", "lines.jsonl",
)  # fmt: skip


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return takes.write_forms(tmp_path_factory.mktemp("takes"))


def test_the_list_of_forms_is_whole(forms: dict[str, Path]) -> None:
    assert set(forms) == set(FORMS)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fps", [30.0, 60.0, 24.0])
def test_every_form_gives_the_same_clip(forms: dict[str, Path], form: str, fps: float) -> None:
    made, notes = read_performance(forms[form], EXPRESSIONS, fps)
    truth = takes.performed(takes.even(fps))
    assert made.dtype == np.float32 and abs(len(made) - len(truth)) <= 1
    count = min(len(made), len(truth))
    assert np.abs(made[:count] - truth[:count]).max() < 0.02
    assert made.max() > 0.97, "the blink is lost"
    told = " ".join(notes)
    assert ("without a face" in told) == (
        form in ("phone that lost the face.csv", "media pipe.json", "open face.csv")
    )
    assert ("missing frames" in told) == (form == "phone with drops.csv")


def test_plain_and_odd_cells_are_read_alike(tmp_path: Path) -> None:
    """Tables of numbers alone are read at once, others cell by cell: with the same result."""
    head, rows = "time,Success,jawOpen,mouthSmileLeft\n", ["0,1,0.25,0.5", "0.1,0,9,9", "0.2,yes,1e-1,0"]
    (tmp_path / "plain.csv").write_text(head + "\n".join(rows) + "\n0.3,1,0.125,1\n")
    (tmp_path / "odd.csv").write_text(
        head.replace(",", ";") + ";".join("\n".join(rows).split(",")) + '\n0.3;1;"0,125";1\n'
    )
    plain, odd = read_curves(tmp_path / "plain.csv"), read_curves(tmp_path / "odd.csv")
    expected = [[0.25, 0.5], [np.nan, np.nan], [0.1, 0.0], [0.125, 1.0]]
    for curves in (plain, odd):
        np.testing.assert_array_equal(curves.values, expected)
        np.testing.assert_allclose(curves.times, [0, 0.1, 0.2, 0.3])
    (tmp_path / "wide.csv").write_text(head + "0,1,0.25,0.5\n0.1,1,1_0,inf\n")
    with pytest.raises(BadFile, match=r"line 3, column 'mouthSmileLeft': 'inf'"):
        read_curves(tmp_path / "wide.csv")


def test_what_was_understood_is_said(forms: dict[str, Path]) -> None:
    def told(form: str) -> str:
        return " ".join(read_performance(forms[form], EXPRESSIONS)[1])

    assert told("phone at 30.csv").startswith(
        "Live Link Face: 91 frames, 3.00 s, 30 a second. 91 frames at 30"
    )
    assert "181 frames, 3.00 s, 60 a second" in told("phone at 60.csv")
    known = "51 of 52 curves are known (turns of head and eyes are left out); left out: TongueOut."
    assert known in told("phone at 60.csv")
    assert "4 missing frames, at most 0.08 s at once: interpolated" in told("phone with drops.csv")
    assert "7 frames without a face, at most 0.13 s at once" in told("phone that lost the face.csv")
    assert "divided by 100" in told("percent.csv") and "divided by 5" in told("open face.csv")
    assert "taken as milliseconds" in told("milliseconds.csv")
    assert "au_23 show in none" in told("open face.csv") and "au_28" not in told("open face.csv")
    assert told("media pipe.json").startswith("MediaPipe: 91 frames")


def test_gaps_are_held_on_demand(forms: dict[str, Path]) -> None:
    held, notes = read_performance(forms["phone that lost the face.csv"], EXPRESSIONS, 60.0, gaps="hold")
    assert "the face before is held" in " ".join(notes)
    truth = takes.performed(takes.even(60))
    for frame in range(100, 107):
        np.testing.assert_allclose(held[frame], truth[99], atol=1e-6)
    np.testing.assert_allclose(held[[98, 99, 107, 108]], truth[[98, 99, 107, 108]], atol=1e-6)


def test_an_actors_rest_is_subtracted(tmp_path: Path) -> None:
    rest, smile = np.full(40, 0.15), np.concatenate([np.zeros(20), np.full(20, 0.5)])
    path, still = tmp_path / "take.csv", tmp_path / "still.csv"
    rows = [f"{k / 30:.6f},{rest[k]},{rest[k] + smile[k]}" for k in range(40)]
    path.write_text("time,browInnerUp,mouthSmileLeft\n" + "\n".join(rows))
    still.write_text("time,mouthSmile_L,browInnerUp\n0,0.15,0.15\n0.1,0.15,0.15\n0.2,0.15,0.9\n")
    for how in ("20", "5-15", still):
        made, notes = read_performance(path, EXPRESSIONS, rest=how)
        assert "is subtracted" in " ".join(notes)
        np.testing.assert_allclose(made[:, EXPRESSIONS.index("mouthSmileLeft")], smile, atol=1e-5)
        assert np.abs(made[:, EXPRESSIONS.index("browInnerUp")]).max() < 1e-5
    for wrong in ("0", "0-3", "41", "9-5"):
        with pytest.raises(BadSetting, match="frames of the rest"):
            read_performance(path, EXPRESSIONS, rest=wrong)


def test_smoothing_takes_noise_and_leaves_motion() -> None:
    times = takes.even(60)
    truth = takes.performed(times)
    noise = np.random.default_rng(0).normal(0, 0.02, truth.shape)
    curves = Curves(takes.NAMES, np.clip(truth + noise, 0, None), times)
    rough = performance_of(curves, EXPRESSIONS, Handling(60.0))[0]
    smooth = performance_of(curves, EXPRESSIONS, Handling(60.0, smooth=0.2))[0]
    moving = truth > 0.1  # noise about rest is raised to it before
    off = [np.abs(made - truth)[moving].mean() for made in (rough, smooth)]
    assert off[1] < 0.6 * off[0] and smooth.min() >= 0
    assert np.abs(smooth.max(axis=0) - truth.max(axis=0))[moving.any(axis=0)].max() < 0.05
    with pytest.raises(BadSetting, match="window of 5 frames"):
        Handling(30.0, smooth=0.1)


@pytest.mark.parametrize(
    ("counted", "dropped"),
    [(24, False), (25, False), (30, False), (30, True), (60, False), (60, True), (50, False)],
)
def test_timecodes_keep_time(counted: int, dropped: bool) -> None:
    """Frame numbers as SMPTE 12M defines them, across minutes and midnight, give back the seconds."""
    count = 90 * counted
    rate = counted * 1000 / 1001 if dropped else counted
    left_out = 2 * round(counted / 30)
    first = (24 * 3600 - 71) * counted
    codes, number = [], first
    while len(codes) < count:
        minute, within = divmod(number, 60 * counted)
        if not (dropped and minute % 10 and within < left_out):
            seconds = number // counted % 86400
            codes.append(
                f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{number % counted:02d}"
            )
        number += 1
    clock = read_timecodes(codes)
    assert clock.dropped == dropped and clock.sure and clock.counted == pytest.approx(rate)
    np.testing.assert_allclose(clock.times, np.arange(count) / rate, atol=1e-6)
    marked = read_timecodes([code[:8] + ";" + code[9:] for code in codes[:40]], float(counted))
    assert marked.dropped and marked.counted == pytest.approx(counted * 1000 / 1001)


def test_parts_of_frames_and_shared_timecodes() -> None:
    halves = [f"01:00:{s:02d}:{f:02d}.{h}" for s in range(2) for f in range(30) for h in ("000", "500")]
    np.testing.assert_allclose(read_timecodes(halves).times, np.arange(120) / 60, atol=1e-9)
    shared = [f"01:00:{s:02d}:{f:02d}.000" for s in range(2) for f in range(30) for _ in range(2)]
    np.testing.assert_allclose(read_timecodes(shared).times, np.arange(120) / 60, atol=1e-9)
    # Parts that say nothing, as some writers put them there, make no frame late.
    random = np.random.default_rng(0).integers(0, 999, 60)
    noisy = [f"01:00:{k // 30:02d}:{k % 30:02d}.{p:03d}" for k, p in enumerate(random)]
    np.testing.assert_allclose(read_timecodes(noisy).times, np.arange(60) / 30, atol=1e-9)
    np.testing.assert_allclose(read_timecodes(["00:00:01.500", "00:00:01.533"]).times, [0, 0.033], atol=1e-9)
    np.testing.assert_allclose(read_timecodes(["0.5", "0.75"]).times, [0, 0.25])
    short = read_timecodes(["00:00:00:00", "00:00:00:01"])
    assert not short.sure and short.counted == 60
    assert read_timecodes(["00:00:00:00", "00:00:00:01"], 24.0).counted == 24


def test_short_phone_takes_say_what_they_assume(tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_text(
        "Timecode,BlendShapeCount,JawOpen\n" + "\n".join(f"10:00:00:{k:02d}.000,61,0.1" for k in range(12))
    )
    _, notes = read_performance(path, EXPRESSIONS)
    assert "60 frames a second are assumed" in " ".join(notes)
    made, notes = read_performance(path, EXPRESSIONS, file_fps=30.0)
    assert len(made) == 12 and "assumed" not in " ".join(notes)
    with pytest.raises(BadFile, match="timecode cannot be read at 10 frames"):
        read_performance(path, EXPRESSIONS, file_fps=10.0)


def test_frame_numbers_without_times(tmp_path: Path) -> None:
    path = tmp_path / "frames.csv"
    path.write_text("frame,jawOpen\n10,0\n11,0.2\n12,0.2\n15,0.8\n16,1\n")
    made, notes = read_performance(path, EXPRESSIONS, 30.0)
    np.testing.assert_allclose(made[[0, 1, 5, 6], EXPRESSIONS.index("jawOpen")], [0, 0.2, 0.8, 1], atol=1e-6)
    assert "assumed as it has no times" in notes[0] and "2 missing frames" in " ".join(notes)
    assert len(read_performance(path, EXPRESSIONS, 30.0, file_fps=15.0)[0]) == 13


def test_sides_of_what_arkit_does_not_split(tmp_path: Path) -> None:
    path = tmp_path / "ict.csv"
    path.write_text("time,browInnerUp_L,browInnerUp_R,jawOpen\n0,0.2,0.4,0\n1,1,0,1\n")
    made, _ = read_performance(path, EXPRESSIONS, 1.0)
    np.testing.assert_allclose(made[:, EXPRESSIONS.index("browInnerUp")], [0.3, 0.5], atol=1e-6)


def test_units_and_shapes_are_each_others_way_back() -> None:
    """What units can say survives the way through them; both sides become their mean."""
    rng = np.random.default_rng(0)
    given = {s: rng.uniform(0.2, 1, 20) for s in SHAPES if not s.startswith(("eyeLook", "cheekPuff"))}
    given |= {"mouthClose": np.zeros(20)}
    units = unit_curves(given)
    for frame in (0, 7):
        one = unit_intensities({shape: float(curve[frame]) for shape, curve in given.items()})
        assert one == pytest.approx({u: float(units[u][frame]) for u in UNITS if units[u][frame] >= 0.05})
    shapes, left = shape_curves(units)
    assert not left
    for stem in ("browDown", "mouthSmile", "eyeBlink", "mouthLowerDown", "noseSneer"):
        mean = (given[f"{stem}_L"] + given[f"{stem}_R"]) / 2
        np.testing.assert_allclose(shapes[f"{stem}_L"], mean, atol=1e-12)
        np.testing.assert_allclose(shapes[f"{stem}_R"], mean, atol=1e-12)
    np.testing.assert_allclose(shapes["jawOpen"], given["jawOpen"])
    # Without a unit of its own the lower lip takes what parts the lips beyond jaw and upper lip.
    parted = {"au_25": np.array([0.7, 0.5, 0.0]), "au_26": np.array([0.1, 0.5, 0.0]), "au_12": np.zeros(3)}
    np.testing.assert_allclose(shape_curves(parted)[0]["mouthLowerDown_L"], [0.7, 0, 0], atol=1e-12)
    shapes, left = shape_curves({"au_23": np.zeros(2), "au_45": np.ones(2)})
    assert left == ["au_23"] and set(shapes) == {"eyeBlink_L", "eyeBlink_R"}
    np.testing.assert_array_equal(shapes["eyeBlink_L"], 1)


def test_models_of_units_take_openface_and_phones(forms: dict[str, Path]) -> None:
    tracked, _ = read_performance(forms["open face.csv"], UNITS)
    phone, notes = read_performance(forms["phone at 60.csv"], UNITS)
    assert "told from its ARKit curves" in notes[-1]
    for unit in ("au_12", "au_43", "au_26", "au_4", "au_9"):
        column = UNITS.index(unit)
        assert phone[:, column].max() > 0.35
        assert np.abs(tracked[:, column] - phone[:, column]).max() < 0.02


def test_a_phone_drives_models_whose_names_look_alike(forms: dict[str, Path]) -> None:
    """``jaw_left`` is spelled like ``jawLeft``; five such names do not hide the other expressions."""
    expressions = expression_set("facescape20").names
    made, notes = read_performance(forms["phone at 60.csv"], expressions)
    assert "explained by the 19 expressions" in notes[-1]
    assert made[:, expressions.index("eye_closed")].max() == pytest.approx(1, abs=0.05)


BAD = {
    "negative": ("time,jawOpen\n0,0\n0.1,-0.4\n", "negative; received down to -0.4"),
    "NaN": ("time,jawOpen\n0,0\n0.1,nan\n", "line 3, column 'jawOpen': 'nan'"),
    "infinite": ("time,jawOpen\n0,0\n0.1,inf\n", "finite"),
    "a million seconds": ("time,jawOpen\n0,0\n1000000,1\n", "lasts too long"),
    "a span of 1e12": ("time,jawOpen\n0,0\n1e12,1\n", "lasts too long"),
    "the longest span": ("time,jawOpen\n-1.7e308,0\n1.7e308,1\n", "span more"),
    "no scale": ("time,jawOpen\n0,0\n0.1,4000\n", "neither of 0 to 1 nor of 0 to 100"),
    "no known name": ("time,jawOpeen,mouthSmlieLeft\n0,0,0\n0.1,1,1\n", "jawOpeen is near jawOpen"),
    "a repeated header": ("time,jawOpen\n0,0\n0.1,1\ntime,jawOpen\n0,0\n", "more than one performance"),
    "time starts again": ("time,jawOpen\n0,0\n0.1,1\n0,0\n0.1,1\n", "more than one performance"),
    "frames start again": ("frame,jawOpen\n1,0\n2,1\n1,0\n2,1\n", "more than one performance"),
    "two take names": ("take,time,jawOpen\na,0,0\na,0.1,1\nb,0.2,0\n", "more than one performance"),
    "two faces": ("face_id,timestamp,AU12_r\n0,0,0\n1,0.1,1\n", "more than one performance"),
    "one time twice": ("time,jawOpen\n0,0\n0.1,1\n0.1,1\n0.2,0\n", "must rise"),
    "one name in two spellings": ("time,jawOpen,JAW_OPEN\n0,0,0\n", "jawopen twice"),
    "a cell too many": ("time,jawOpen\n0,0\n0,1,5\n0.2,0\n", "more cells than the header"),
    "a hole": ("time,jawOpen,mouthLeft\n0,0,0\n0.1,,1\n0.2,0,0\n", "no cell"),
    "no frame": ("time,jawOpen\n", "at least one frame"),
    "no face": ("Timecode,BlendShapeCount,JawOpen\n10:00:00:00,0\n10:00:00:01,0\n", "no frame with a face"),
    "no timecode": ("Timecode,BlendShapeCount,JawOpen\n10:00:00:00,61,0\nsoon,61,0\n", "line 3: 'soon'"),
    "JSON of another frame count": (
        json.dumps({"facsNames": ["jawOpen"], "numFrames": 3, "weightMat": [[0], [1]]}), "3 frames of 1 names"
    ),
    "JSON rows too wide": (json.dumps({"facsNames": ["jawOpen"], "weightMat": [[0], [1, 2]]}), "as wide"),
    "JSON curves of two lengths": (
        json.dumps({"jawOpen": [0, 1], "mouthLeft": [0]}), "different numbers of frames"
    ),
    "JSON times too few": (
        json.dumps({"time": [0.1], "weights": {"jawOpen": [0, 1]}}), "another number of frames"
    ),
    "JSON NaN": ('{"facsNames": ["jawOpen"], "weightMat": [[NaN], [0]]}', "frame 1: nan"),
    "JSON huge": ('[{"jawOpen": 1' + "0" * 400 + "}]", "finite"),
    "JSON of two faces": (
        json.dumps([{"faceBlendshapes": [{"categories": [{"categoryName": "jawOpen", "score": 1}]}] * 2}]),
        "2 faces",
    ),
    "JSON with a hole": (json.dumps([{"jawOpen": 1, "mouthLeft": 0}, {"jawOpen": 0}]), "lacks a curve"),
    "JSON too deep": ("[" * 20_000, "JSON holds no curves"),
    "JSON of something else": ('{"a": {"b": "c"}}', "neither frames nor curves"),
    "JSON cut off": ('{"facsNames": ["jaw', "JSON holds no curves"),
    "nothing": ("", "at least one frame"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_nonsense_is_one_sentence(kind: str, tmp_path: Path) -> None:
    text, told = BAD[kind]
    path = tmp_path / "take.txt"
    path.write_text(text)
    with pytest.raises(MienError, match=told) as caught:
        read_performance(path, EXPRESSIONS)
    assert len(str(caught.value)) < 600 and "\n" not in str(caught.value)


def test_a_torn_last_line_is_dropped_and_noise_about_rest_raised(tmp_path: Path) -> None:
    path = tmp_path / "take.csv"
    path.write_text("time,jawOpen,mouthLeft\n0,0,-0.01\n0.5,1,0\n1.0,0\n")
    made, notes = read_performance(path, EXPRESSIONS, 2.0)
    assert len(made) == 2 and made.min() == 0
    assert "last line (4) is incomplete" in " ".join(notes) and "raised" in " ".join(notes)


@settings(max_examples=60, deadline=None)
@given(text=st.text(alphabet='time,jawOpen;\t\n0123456789.-eE"{}[]:AUTimecode_r', max_size=300))
def test_any_text_is_curves_or_one_sentence(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(text.encode())
    try:
        made, notes = read_performance(path, EXPRESSIONS)
    except MienError as error:
        assert "\n" not in str(error)
        return
    assert np.isfinite(made).all() and made.min() >= 0 and notes


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=2), min_size=2, max_size=30),
    mark=st.sampled_from([",", ";", "\t"]), comma=st.booleans(),
    bom=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    fps=st.sampled_from([24.0, 30.0, 60.0]),
)  # fmt: skip
def test_any_dialect_gives_back_its_numbers(
    values: list[list[float]], mark: str, comma: bool, bom: str, fps: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    path = tmp_path_factory.getbasetemp() / "dialect.csv"
    lines = [mark.join(("seconds", "JawOpen", "cheek_puff"))]
    for k, row in enumerate(values):
        line = mark.join(map(repr, [k / fps, *row]))
        lines.append(line.replace(".", ",") if comma and mark != "," else line)
    path.write_text("\n".join(lines), encoding=bom)
    curves = read_curves(path)
    np.testing.assert_array_equal(curves.values, np.array(values))
    made, _ = read_performance(path, EXPRESSIONS, fps)
    np.testing.assert_allclose(made[:, EXPRESSIONS.index("jawOpen")], np.array(values)[:, 0], atol=1e-5)


KEYS = ("time", "timestampMs", "fps", "facsNames", "weightMat", "numFrames", "frames", "faceBlendshapes",
        "categories", "categoryName", "score", "weights", "jawOpen", "EyeBlink_L", "names", "")  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(width=32) | st.sampled_from(KEYS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=24,
)


@settings(max_examples=150, deadline=None)
@given(found=VALUES)
def test_any_json_is_curves_or_one_sentence(found: object, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(found))
    try:
        made, notes = read_performance(path, EXPRESSIONS)
    except MienError as error:
        assert "\n" not in str(error)
        return
    assert np.isfinite(made).all() and made.min() >= 0 and notes
