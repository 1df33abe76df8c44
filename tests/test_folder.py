"""A folder of anyone's meshes with a table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import run
from fixtures import tiny_data

from mien.data.dataset import FaceDataset
from mien.data.sources.folder import prepare_folder
from mien.data.sources.labels import find_table, read_table
from mien.errors import BadFile, BadMesh, BadSetting, DataMissing, MienError, UnknownName, WrongTopology
from mien.geometry.alignment import unit_named
from mien.io.mesh import write_mesh

HEADER = "file,subject,expression,weight,clip,frame"


def chinned() -> FaceDataset:
    """The tiny data set with a chin narrower than the forehead, by which a reader knows what is up."""
    data = tiny_data()
    taper = np.array([1.0, 0, 0]) * 0.002 * data.topology.template[:, 1:2] + 1.0
    return replace(data, vertices=(np.array(data.vertices) * taper).astype(np.float32))


def fill(
    folder: Path, *, factor: float = 1.0, turn: np.ndarray | None = None, suffix: str = "obj",
    data: FaceDataset | None = None,
) -> list[str]:  # fmt: skip
    """Meshes of a data set, and the rows of their table."""
    data, rows = data or chinned(), []
    folder.mkdir()
    for row in range(len(data)):
        subject, label = data.subjects[data.row_subject[row]], int(data.label[row])
        name = "neutral" if label < 0 else data.expressions[label]
        vertices = data[row] * factor
        write_mesh(
            folder / f"{row:02d}.{suffix}", vertices if turn is None else vertices @ turn.T, data.topology
        )
        rows.append(f"{row:02d}.{suffix},{subject},{name},1,,")
    (folder / "labels.csv").write_text("\n".join([HEADER, *rows]))
    return rows


def table(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join([header, *rows]))
    return path


@pytest.mark.parametrize("suffix", ["obj", "ply"])
def test_meshes_come_back_with_their_labels(tmp_path: Path, suffix: str) -> None:
    fill(tmp_path / "scans", suffix=suffix)
    found, data = prepare_folder(tmp_path / "scans", tmp_path / "out"), chinned()
    np.testing.assert_allclose(found[:], data[:], atol=1e-3)
    assert found.subjects == data.subjects and set(found.expressions) == set(data.expressions)
    order = [found.expressions.index(name) for name in data.expressions]
    np.testing.assert_array_equal(found.row_weights[:, order], data.row_weights)
    np.testing.assert_array_equal(found.topology.faces, data.topology.faces)
    assert "millimeters" in found.facts["units"] and found.topology.regions["rigid"].any()
    assert list((tmp_path / "out" / "examples").glob("*_neutral.obj"))


def test_units_and_axes_are_decided_once_and_said(tmp_path: Path) -> None:
    data = chinned()
    lying = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    fill(tmp_path / "scans", factor=0.001, turn=lying)
    found = prepare_folder(tmp_path / "scans", tmp_path / "out")
    np.testing.assert_allclose(found[:], data[:], atol=2e-3)
    assert "meters" in found.facts["units"] and "+Z was up" in found.facts["units"]


def test_soft_weights_clips_and_unknown_labels(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    fill(folder)
    table(
        folder, "00.obj,anna,,,,", "01.obj,anna,smile=0.7;jaw_open=0.2,,,", "02.obj,anna,smile,0.25,walk,3",
        "02.obj,anna,jaw_open,0.5,walk,3", "03.obj,ben,?,,,", "04.obj,?,smile,,,", "05.obj,ben,smile,0,,",
        "06.obj,ben,smile,1,walk,0", "07.obj,?,neutral,,,",
    )  # fmt: skip
    found = prepare_folder(folder, tmp_path / "out", fps=25)
    assert found.expressions == ("smile", "jaw_open")
    np.testing.assert_allclose(
        found.weights, [[0, 0], [0.7, 0.2], [0.25, 0.5], [0, 0], [1, 0], [0, 0], [1, 0], [0, 0]], atol=1e-6
    )
    assert found.labeled["expression"].tolist() == [True, True, True, False, True, True, True, True]
    assert found.labeled["identity"].tolist() == [True] * 4 + [False, True, True, False]
    assert found.subjects == ("anna", "ben", "unnamed line 7", "unnamed line 10")
    assert np.asarray(found.clip).tolist() == [-1, -1, 0, -1, -1, -1, 1, -1] and found.fps == 25
    assert np.asarray(found.frame)[2] == 3
    assert found.is_neutral.tolist() == [True, False, False, False, False, True, False, True]


def test_other_separators_orders_and_columns(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    fill(folder)
    table(
        folder,
        "anna\t00.obj\tneutral\told",
        "ben\t01.obj\tsmile\told",
        header="Subject\tFile\tExpression\tNote",
    )
    read = read_table(folder / "labels.csv")
    assert [entry.subject for entry in read.files] == ["anna", "ben"]
    assert read.notes == ["ignored the columns 'note' of labels.csv"]
    table(folder, "00.obj;anna;", "01.obj;ben;smile", header="file;subject;expression")
    assert read_table(folder / "labels.csv").files[1].weights == {"smile": 1.0}


def test_landmarks_by_vertex(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    fill(folder)
    (folder / "landmarks.csv").write_text("name,vertex\nnose,44\nchin,5\n")
    found = prepare_folder(folder, tmp_path / "out")
    assert found.topology.landmarks.names == ("nose", "chin")
    (folder / "landmarks.csv").write_text("name,vertex\nnose,120\n")
    with pytest.raises(BadFile, match="no vertex from 0 to 119; received '120' in line 2"):
        prepare_folder(folder, tmp_path / "other")


def test_alignment_removes_pose(tmp_path: Path) -> None:
    folder, data = tmp_path / "scans", chinned()
    fill(folder)
    for row in range(0, len(data), 2):
        write_mesh(folder / f"{row:02d}.obj", data[row] + [3, 0, 0], data.topology)
    loose = prepare_folder(folder, tmp_path / "loose")
    tight = prepare_folder(folder, tmp_path / "tight", align=True)
    middle = tight.topology.template[tight.topology.regions["rigid"]].mean(axis=0)
    centers = {
        name: d[:][:, d.topology.regions["rigid"]].mean(axis=1) - middle
        for name, d in (("l", loose), ("t", tight))
    }
    assert centers["t"][:, 0].std() < 0.2 < centers["l"][:, 0].std()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("99.obj,anna,smile,1,,", "names a mesh that is not there; received '99.obj' in line 2"),
        ("../x.obj,anna,smile,1,,", "lies outside the folder; received '../x.obj' in line 2"),
        ("01.obj,anna,smile,much,,", "weight is no number.*received 'much' in line 2"),
        ("01.obj,anna,smile,-1,,", "weight is no number"),
        ("01.obj,anna,smile,nan,,", "weight is no number"),
        ("01.obj,anna,=0.5,,,", "weight has no expression"),
        ("01.obj,anna,smile,1,a,1.5", "frame is not a whole number"),
        ("01.obj,,smile,1,,", "a row has no subject; received line 2"),
        (",anna,smile,1,,", "a row has no file"),
        ("01.obj,anna,smile", "incomplete; received 3 cells under 6 columns in line 2"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: str, message: str) -> None:
    folder = tmp_path / "scans"
    fill(folder)
    table(folder, row, "00.obj,anna,neutral,,,")
    with pytest.raises(MienError, match=message):
        prepare_folder(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bad_tables(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    rows = fill(folder)
    for header, message in (
        ("file,person,expression,weight,clip,frame", "no column 'subject'.*known columns"),
        ("file,subject,expresion,weight,clip,frame", "unknown column 'expresion'.*did you mean 'expression'"),
        ("file,subject,subject,weight,clip,frame", "appears twice"),
        ("file,subject" + ",x" * 100_000, "received 100,002 in "),
    ):
        table(folder, *rows, header=header)
        with pytest.raises(BadFile, match=message):
            read_table(folder / "labels.csv")
    table(folder, "00.obj,anna,smile,1,,", "00.obj,ben,smile,1,,")
    with pytest.raises(BadFile, match="disagree on the subject.*lines 2 and 3"):
        read_table(folder / "labels.csv")
    table(folder)
    with pytest.raises(BadFile, match="names no mesh"):
        read_table(folder / "labels.csv")
    (folder / "labels.csv").write_bytes(b"\xff\xfe\x00\x01\x00")
    with pytest.raises(BadFile, match="not text"):
        read_table(folder / "labels.csv")
    (folder / "labels.csv").unlink()
    with pytest.raises(DataMissing, match="needs one CSV.*received 0 CSV"):
        find_table(folder)
    with pytest.raises(DataMissing, match="no such folder"):
        prepare_folder(tmp_path / "nowhere", tmp_path / "out")


def test_the_user_may_name_the_unit_instead(tmp_path: Path) -> None:
    fill(tmp_path / "scans", data=tiny_data(), factor=0.1)
    with pytest.raises(BadMesh, match="axes of 'scans' are not clear.*--units"):
        prepare_folder(tmp_path / "scans", tmp_path / "out")
    found = prepare_folder(tmp_path / "scans", tmp_path / "out", units="centimeters")
    np.testing.assert_allclose(found[:], tiny_data()[:], atol=2e-3)
    assert found.facts["units"] == "scans: in centimeters, with +Y up and +Z out of the face (as given)."
    with pytest.raises(UnknownName, match="did you mean 'meters'"):
        prepare_folder(tmp_path / "scans", tmp_path / "other", units="metres")


def spoil(folder: Path, what: str) -> None:
    """Damages mesh 07 of a folder."""
    data, path = chinned(), folder / "07.obj"
    if what == "NaN":
        path.write_text(path.read_text().replace("v ", "v nan ", 1))
    elif what == "cut":
        path.write_bytes(path.read_bytes()[:-300])
    elif what == "empty":
        path.write_bytes(b"")
    elif what == "other":
        write_mesh(path, data[7][:100], data.topology.faces[:162])
    elif what == "order":
        flipped = data.topology.faces[:, [0, 1, 2]].copy()
        flipped[0] = [0, 50, 99]
        write_mesh(path, data[7], flipped)
    elif what == "unit":
        write_mesh(path, data[7] * 0.1, data.topology)


@pytest.mark.parametrize(
    ("what", "kind"),
    [("NaN", MienError), ("cut", MienError), ("empty", BadFile), ("other", WrongTopology),
     ("order", WrongTopology), ("unit", BadMesh)],
)  # fmt: skip
def test_bad_meshes_are_named_by_row_and_file(tmp_path: Path, what: str, kind: type[MienError]) -> None:
    folder = tmp_path / "scans"
    fill(folder)
    spoil(folder, what)
    with pytest.raises(kind) as caught:
        prepare_folder(folder, tmp_path / "out")
    assert "line 9 of labels.csv" in str(caught.value) and "07.obj" in str(caught.value)
    assert not (tmp_path / "out").exists() and "\n" not in str(caught.value)


def test_a_missing_file_of_the_result_is_named(tmp_path: Path) -> None:
    fill(tmp_path / "scans")
    prepare_folder(tmp_path / "scans", tmp_path / "out")
    (tmp_path / "out" / "topology.npz").unlink()
    with pytest.raises(DataMissing, match="has no topology.npz"):
        FaceDataset.load(tmp_path / "out")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_tables_from_spreadsheets(tmp_path: Path, encoding: str) -> None:
    folder = tmp_path / "scans"
    fill(folder)
    rows = ["File\tSubject\tExpression", "00.OBJ\tJürgen\tNeutral ", "01.obj\tJürgen\tsmile", "\t\t"]
    text = "".join(row + "\t\t\r\n" for row in rows)
    (folder / "labels.csv").unlink()
    (folder / "Meine.CSV").write_bytes(text.encode(encoding))
    (folder / "._Meine.CSV").write_bytes(b"\0\5\x16\7")
    found = prepare_folder(folder, tmp_path / "out")
    assert found.subjects == ("Jürgen",) and found.expressions == ("smile",)
    assert found.is_neutral.tolist() == [True, False]


def test_folders_written_with_backslashes(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    fill(folder)
    (folder / "Anna").mkdir()
    (folder / "00.obj").rename(folder / "Anna" / "00.obj")
    table(folder, "anna\\00.obj,anna,,,,", "01.obj,anna,smile,1,,")
    assert len(prepare_folder(folder, tmp_path / "out")) == 2


def test_percentages_are_questioned(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    fill(folder)
    table(folder, "00.obj,anna,neutral,,,", "01.obj,anna,smile,100,,")
    with pytest.raises(BadFile, match="above 10, where 1 is the whole expression.*'100' in line 3"):
        read_table(folder / "labels.csv")
    table(folder, "00.obj,anna,neutral,,,", "01.obj,anna,AU_12,5,,")
    assert read_table(folder / "labels.csv").expressions == ("AU_12",)


def test_an_open_quotation_mark(tmp_path: Path) -> None:
    path = table(tmp_path, '"' + "a" * 200_000)
    with pytest.raises(BadFile) as caught:
        read_table(path)
    assert len(str(caught.value)) < 300


def test_options_are_looked_at_first(tmp_path: Path) -> None:
    missing, out = tmp_path / "nowhere", tmp_path / "out"
    with pytest.raises(UnknownName, match="unit.*inch"):
        prepare_folder(missing, out, units="inch")
    with pytest.raises(BadSetting, match="size in pixels"):
        prepare_folder(missing, out, textures=0)
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(BadSetting, match="exists already"):
        prepare_folder(missing, out)
    assert [unit_named(name) for name in ("mm", "CM", "m", "meter", "meters")] == [
        "millimeters", "centimeters", "meters", "meters", "meters"
    ]  # fmt: skip


def head_set(folder: Path, turn: np.ndarray, *, inside_out: bool = False) -> None:
    """Closed heads in meters: the embedded face before a skull, with eyeballs and teeth in pieces."""
    from heads import ball, block, joined

    from mien.data.sources.procedural.topology import procedural_topology

    face = procedural_topology()
    middle = face.template.mean(axis=0)
    skull, shell = ball(np.zeros(3), 1.0)
    skull = skull * [78, 115, 95] + middle + [0, 15, -75]
    pieces = joined(
        (face.template, face.faces), (skull, shell), ball(middle + [32, 25, 0], 12),
        ball(middle + [-32, 25, 0], 12), block(middle + [0, -35, 5], (40.0, 8.0, 8.0)),
    )  # fmt: skip
    vertices, faces = pieces
    faces = faces[:, ::-1] if inside_out else faces
    folder.mkdir()
    for number in range(2):
        write_mesh(folder / f"{number}.ply", (vertices + [0, 0, number]) @ turn.T * 0.001, faces)
    table(folder, "0.ply,anna,,,,", "1.ply,ben,,,,")


@pytest.mark.parametrize("inside_out", [False, True])
def test_closed_heads_are_data_too(tmp_path: Path, inside_out: bool) -> None:
    turn = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
    head_set(tmp_path / "scans", turn, inside_out=inside_out)
    found = prepare_folder(tmp_path / "scans", tmp_path / "out")
    head_set(tmp_path / "upright", np.eye(3), inside_out=inside_out)
    upright = prepare_folder(tmp_path / "upright", tmp_path / "given", units="m")
    np.testing.assert_allclose(found[:], upright[:], atol=1e-3)
    assert "meters" in found.facts["units"] and ("inside out" in found.facts["units"]) == inside_out
    np.testing.assert_array_equal(found.topology.faces, upright.topology.faces)


def test_a_folder_with_its_table_is_checked_before_it_is_prepared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scans = tmp_path / "scans"
    rows = fill(scans)
    told = run(capsys, "data", "check", scans)
    assert told.code == 0 and "sound, read as folder" in told.out and f"{len(rows)} meshes" in told.out
    (scans / "01.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    told = run(capsys, "data", "check", scans, "--json")
    assert told.code == 2 and [line for line in told.json["wrong"] if "line 3 of labels.csv" in line]
    (scans / "00.obj").unlink()
    told = run(capsys, "data", "check", scans, "--json")
    assert told.code == 2 and "names a mesh that is not there" in told.json["missing"][0]
    fill(tmp_path / "fresh")
    prepare_folder(tmp_path / "fresh", tmp_path / "out")
    assert run(capsys, "data", "check", tmp_path / "out", "--json").json["missing"] == []
