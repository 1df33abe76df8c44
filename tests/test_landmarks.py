"""Landmark tables: read back what was written, refuse the rest in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.errors import BadFile, DataMissing
from mien.io.landmarks import read_landmarks, write_landmarks
from mien.io.record import Mesh

GOOD = "name,x,y,z\nnose,0,0,50.5\nleft,30,10,20\nright,-30,10,20\n"


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "landmarks.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_round_trip(tmp_path: Path) -> None:
    names, positions = ("a", "b", "c"), np.array([[0, 0, 0], [40, -3.25, 1], [1, 60, 7]], np.float32)
    write_landmarks(tmp_path / "out.csv", names, positions)
    read = read_landmarks(tmp_path / "out.csv")
    assert read[0] == names
    np.testing.assert_allclose(read[1], positions, atol=1e-4)


def test_rows_that_are_not_filled_are_left_out(tmp_path: Path) -> None:
    names, positions = read_landmarks(write(tmp_path, GOOD + "chin,,,\nbrow\n"))
    assert names == ("nose", "left", "right") and positions.shape == (3, 3)
    by_json = (
        '{"nose": [0, 0, 50.5], "chin": null, "left": [30, 10, 20], "right": [-30, 10, 20], '
        '"brow": [null, null, null]}'
    )
    assert read_landmarks(write(tmp_path, by_json))[0] == names


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_what_spreadsheets_write_is_read(tmp_path: Path, separator: str) -> None:
    text = "\ufeff" + GOOD.replace("name,", "Note,name,").replace("\nn", "\nx,n").replace("\nl", "\n,l")
    text = text.replace("\nr", "\ny,r").replace(",", separator).replace("\n", "\r\n")
    names, positions = read_landmarks(write(tmp_path, text))
    assert names == ("nose", "left", "right")
    np.testing.assert_array_equal(positions[0], [0, 0, 50.5])


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "no column 'name'"),
        ("name,x,y\nnose,0,0\n", "no column 'z'"),
        ("name,x,y,z\n", "at least 3 landmarks"),
        (GOOD.replace("-30,10,20", ",,"), "received 2 of 3 filled in"),
        (GOOD + "brow,,,\nbrow,1,2,3\n", "named twice; received 'brow' in line 6"),
        (GOOD + "nose,1,2,3\n", "named twice; received 'nose' in line 5"),
        (GOOD + ",1,2,3\n", "no name"),
        (GOOD + "chin,1,2\n", "three numbers"),
        (GOOD + "chin,1,high,3\n", "three numbers"),
        (GOOD + "chin,1,nan,3\n", "not finite"),
        (GOOD.replace("30", ".03").replace("50.5", ".05").replace("10", "0").replace("20", "0"), "by 1000"),
        (GOOD.replace("30", "3.").replace("50.5", "5").replace("10", "1").replace("20", "2"), "by 10 if"),
        (GOOD.replace("30", "30000"), "check the unit"),
        (b"\xff\xfe\x00\x81\x00", "not text"),
    ],
)
def test_bad_tables_get_one_sentence(tmp_path: Path, text: str | bytes, cause: str) -> None:
    with pytest.raises(BadFile) as caught:
        read_landmarks(write(tmp_path, text))
    assert cause in str(caught.value)
    assert str(caught.value).count("\n") == 0


def test_a_missing_table(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="no such landmark table"):
        read_landmarks(tmp_path / "absent.csv")


POINTS = {"nose": (0.0, 0.5, 50.5), "left eye": (30.0, 10.25, 20.0), "right": (-30.0, 10.0, 20.0)}
ROWS = [(name, *(f"{value:g}" for value in at)) for name, at in POINTS.items()]


def lines(separator: str, *, comma: bool = False) -> str:
    rows = [[cell.replace(".", ",") if comma else cell for cell in row] for row in ROWS]
    return "".join(separator.join(row) + "\n" for row in rows)


FORMS = {
    "semicolons and decimal commas": "name;x;y;z\n" + lines(";", comma=True),
    "tabs and decimal commas": "Name\tX\tY\tZ\n" + lines("\t", comma=True),
    "quoted decimal commas": 'NAME,X,Y,Z\nnose,0,"0,5","50,5"\nleft eye,30,"10,25",20\nright,-30,10,20\n',
    "units and other columns": "Landmark,group,x_mm,y_mm,z_mm\n" + lines(",").replace("e,", "e,a,", 2)
    .replace("eye,30", "eye,a,30").replace("right,", "right,a,").replace("nose,a,", "nose,a,"),
    "no header": lines(","),
    "no header, semicolons": lines(";", comma=True),
    "spreadsheet's empty columns": "name,x,y,z,,\n" + lines(",").replace("\n", ",,\n"),
    "comments and empty lines": "# by hand\n\nname,x,y,z\n\n" + lines(","),
    "MeshLab": '<!DOCTYPE PickedPoints>\n<PickedPoints><DocumentData><User name="me"/></DocumentData>\n'
    + "".join(f'<point active="1" name="{n}" x="{x}" y="{y}" z="{z}"/>\n' for n, x, y, z in ROWS)
    + '<point active="0" name="off" x="0" y="0" z="0"/></PickedPoints>',
    "JSON of lists": str({name: list(at) for name, at in POINTS.items()}).replace("'", '"'),
    "JSON of axes": '{"landmarks": '
    + str({name: dict(zip("XYZ", at)) for name, at in POINTS.items()}).replace("'", '"') + "}",
    "JSON of records": str([{"name": n, "position": list(at)} for n, at in POINTS.items()]).replace("'", '"'),
    "names behind": "".join(f"{x} {y} {z} {n.replace(' ', '_')}\n" for n, x, y, z in ROWS),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_common_form(tmp_path: Path, form: str, encoding: str) -> None:
    names, positions = read_landmarks(write(tmp_path, FORMS[form].encode(encoding)))
    assert [name.replace("_", " ") for name in names] == list(POINTS)
    np.testing.assert_array_equal(positions, list(POINTS.values()))


def corners(count: int) -> str:
    return "".join(f"{20 * np.cos(k):.6f} {20 * np.sin(k):.6f} {k}.5\n" for k in range(count))


def test_point_lists_are_named_by_their_place(tmp_path: Path) -> None:
    path = tmp_path / "face.pts"
    for head, tail in (("version: 1\nn_points: 68\n{\n", "}\n"), ("", ""), ("68\n", "")):
        path.write_text(head + corners(68) + tail)
        names, positions = read_landmarks(path)
        assert names[0] == "ibug_0" and names[67] == "ibug_67" and positions[7, 2] == 7.5
    path.write_text(corners(51))
    assert read_landmarks(path)[0][0] == "ibug_17"
    path.write_text(corners(5))
    assert read_landmarks(path)[0] == tuple(f"point_{k}" for k in range(1, 6))
    path.write_text("version: 1\nn_points: 3\n{\n1 2\n3 4\n5 6\n}\n")
    with pytest.raises(BadFile, match="two coordinates.*picture"):
        read_landmarks(path)


@pytest.mark.parametrize(
    "text", ["name,vertex\na,3\nb,1\nc,0\n", "a;3\nb;1\nc;0\n", '{"a": 3, "b": 1, "c": 0}']
)
def test_vertices_by_number(tmp_path: Path, text: str) -> None:
    vertices = np.array([[0, 0, 0], [90, 0, 0], [0, 90, 0], [0, 0, 90]], np.float32)
    mesh = Mesh(vertices, np.array([[0, 1, 2]], np.int32), offset=np.array([1e6, 0, 0]))
    names, positions = read_landmarks(write(tmp_path, text), mesh=mesh, any_unit=True)
    assert names == ("a", "b", "c")
    np.testing.assert_array_equal(positions, [[1e6, 0, 90], [1e6 + 90, 0, 0], [1e6, 0, 0]])
    with pytest.raises(BadFile, match="need the mesh"):
        read_landmarks(write(tmp_path, text))
    with pytest.raises(BadFile, match="no vertex from 0 to 3"):
        read_landmarks(write(tmp_path, text.replace("3", "4")), mesh=mesh)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name,x,y,z\nnose,1,5,2,5,3,5\n" + lines(","), "more cells than the first line"),
        ("<html><body>no</body></html>", "XML of the kind 'html'"),
        ("<PickedPoints><point", "like XML and is damaged"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><PickedPoints/>', "like XML and is damaged"),
        ('{"nose": [1, 2', "like JSON and is damaged"),
        ("[" * 100_000, "like JSON and is damaged"),
        ('{"nose": "here", "a": [1, 2], "b": true}', "three numbers"),
        ('{"nose": {"at": 3}}', "three numbers"),
        ('name,x,y,z\n"' + "a" * 200_000, "0 of 1 filled"),
        (b"\x00\x01\x02\x03\x04", "not text"),
    ],
)
def test_what_is_no_form_is_one_short_sentence(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(BadFile, match=said) as caught:
        read_landmarks(write(tmp_path, text))
    assert len(str(caught.value)) < 500
