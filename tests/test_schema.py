"""Facts, settings and tables of files: types, ranges, lengths and depth, each in one sentence."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures import planted

from mien.data.dataset import FaceDataset
from mien.data.notation import parse_settings
from mien.errors import BadFile, BadMesh, BadSetting, DataMissing, UnknownName
from mien.io.bounds import depth_of, first_twice
from mien.io.schema import DEEPEST, parse_bounded_yaml
from mien.io.table import table_rows
from mien.training.recipes import read_recipe


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder as it should be."""
    folder = tmp_path_factory.mktemp("whole") / "data"
    planted(subjects=4).data.save(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "data")
    return tmp_path / "data"


def told(folder: Path, **changes: Any) -> str:
    """The sentence about a dataset.json with some of its values exchanged; None leaves one out."""
    path = folder / "dataset.json"
    about = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in about.items() if value is not ...}))
    with pytest.raises(BadFile) as caught:
        FaceDataset.load(folder)
    assert "dataset.json" in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def test_facts_of_a_data_set_have_types_and_ranges(folder: Path) -> None:
    for changes, words in (
        ({"expressions": 5}, "expressions"), ({"expressions": ["smile", 3]}, "expressions[1]"),
        ({"expressions": ["a", "a"]}, "'a' stands twice"), ({"expressions": ["clip"]}, "'clip' stands twice"),
        ({"expressions": ["a\nb"]}, "expressions"), ({"expressions": ["\ud800"]}, "expressions"),
        ({"subjects": ["", "b", "c", "d"]}, "subjects"), ({"publishable": [True]}, "4 people and 1 marks"),
        ({"publishable": [1, 1, 1, 1]}, "publishable"), ({"fps": -1}, "fps"), ({"fps": float("nan")}, "fps"),
        ({"fps": ...}, "fps"), ({"facts": ...}, "facts"), ({"facts": []}, "facts"),
            ({"factors": 0}, "factors"),
        ({"factors": {"viseme": ["a", "a"]}}, "'a' stands twice"), ({"source": None}, "source"),
    ):  # fmt: skip
        copy = folder.parent / "copy"
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        assert words in told(copy, **changes), changes


@pytest.mark.parametrize("text", ["null", "[]", "NaN", "[" * 10_000, '{"a":' * 3000 + "1" + "}" * 3000, "{"])
def test_a_file_of_facts_is_json_of_bounded_depth(folder: Path, text: str) -> None:
    (folder / "dataset.json").write_text(text)
    with pytest.raises(BadFile, match="dataset.json is damaged"):
        FaceDataset.load(folder)


@pytest.mark.parametrize(
    ("column", "cell", "words"),
    [
        ("smile", "nan", "line 2 of samples.csv has nan as 'smile'"), ("smile", "1e39", "line 2"),
        ("jaw_open", "-inf", "'jaw_open'"), ("smile", "x", "damaged"), ("clip", "99999999999", "as clip"),
        ("frame", "1.5", "as frame"), ("clip", "-2", "as clip"), ("identity_labeled", "", "identity_labeled"),
        ("texture", "a" * 2000, "texture by 2000"), ("subject", "nobody", "unknown subject"),
        ("texture", '"' + "x" * 200_000, "damaged"),
    ],
)  # fmt: skip
def test_samples_are_numbers_in_range(folder: Path, column: str, cell: str, words: str) -> None:
    path = folder / "samples.csv"
    lines = [line.split(",") for line in path.read_text().splitlines()]
    lines[1][lines[0].index(column)] = cell
    path.write_text("\n".join(",".join(cells) for cells in lines) + "\n")
    with pytest.raises(BadFile) as caught:
        FaceDataset.load(folder)
    assert words in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e30])
def test_faces_that_cannot_be_ones_are_found_where_they_are_used(folder: Path, value: float) -> None:
    vertices = np.load(folder / "vertices.npy")
    vertices[7, 3, 1] = value
    np.save(folder / "vertices.npy", vertices)
    data = FaceDataset.load(folder)
    assert np.isfinite(data[:7]).all()
    for use in (lambda: data[[3, 7]], lambda: data[7], lambda: data.fingerprint):
        with pytest.raises(BadMesh, match="face 7 of the data set"):
            use()


def test_arrays_of_other_shapes_or_numbers_are_no_faces(folder: Path) -> None:
    vertices = np.load(folder / "vertices.npy")
    for wrong in (vertices.astype("f8"), vertices[:, :-1], vertices[..., 0], vertices[:0], vertices[:-1]):
        np.save(folder / "vertices.npy", wrong)
        with pytest.raises(BadFile):
            FaceDataset.load(folder)


def recipe(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises((BadFile, UnknownName)) as caught:
        read_recipe(path)
    return str(caught.value)


def test_recipes_have_types(tmp_path: Path) -> None:
    head, path = "model: pca\ndata: {name: x}\n", tmp_path / "a.yaml"
    for text, words in (
        ("model: 5\ndata: {a: b}", "model"), ("model: pca\ndata:", "data"), ("model: pca\ndata: x", "data"),
        (head + "seeds:", "seeds"), (head + "seeds: [a]", "seeds"), (head + "seeds: [-1]", "seeds"),
        (head + "seeds: []", "seeds"), (head + "settings: [1]", "settings"),
        (head + "protocol: [1]", "protocol"),
        (head + "protocol: interleave", "did you mean 'interleaved'"), (head + "notes: [a]", "notes"),
        ("model: 2001-99-99\ndata: {a: b}", "month"), (head + "settings: {a: " + "9" * 5000 + "}", "limit"),
        ("[" * 5000, "levels"), ("- " * 3000, "levels"), (head + "settings: &a {x: *a}", "anchor 'a'"),
        ("!!python/object/apply:os.system [ls]", "tag"), ("? [a]\n: b", "not valid YAML"),
    ):  # fmt: skip
        assert words in recipe(path, text), text
    path.write_text(head + "seeds: [0, 2]\nsettings: {size: 3}\n")
    assert read_recipe(path).seeds == (0, 2) and read_recipe(path).settings == {"size": 3}


def test_settings_of_the_command_line_are_bounded_too() -> None:
    assert parse_settings(["a=1e-4", "b=[1, 2]"]) == {"a": 1e-4, "b": [1, 2]}
    for text in ("a=2001-99-99", "a=" + "[" * 500, "a=&b [*b]"):
        with pytest.raises(BadSetting):
            parse_settings([text])


def test_depth_is_that_of_json_outside_of_its_texts() -> None:
    deep = "[" * 100 + "1" + "]" * 100
    for text, depth in (
        ("[1, [2]]", 2), (deep, 100), (json.dumps(deep), 0), (json.dumps({"a": [deep, '\\"[[']}), 2),
        ('["]]]]", ' * 70 + "1" + "]" * 70, 70), ("", 0), ('"' + "\\" * 99_999, 0), ('"\\' * 50_000, 0),
    ):  # fmt: skip
        assert depth_of(text.encode()) == depth
    assert parse_bounded_yaml("[" * DEEPEST + "]" * DEEPEST) is not None


def test_names_are_compared_in_one_pass() -> None:
    assert first_twice(map(str, range(200_000))) is None
    assert first_twice(["a", "b", "b", "a"]) == "b"


def table(tmp_path: Path, content: bytes) -> list[dict[str, str]]:
    (tmp_path / "a.csv").write_bytes(content)
    rows = table_rows(tmp_path / "a.csv", "the table", ("name", "weight"), "write name,weight")
    return [row.cells for row in rows]


def test_tables_of_any_spreadsheet(tmp_path: Path) -> None:
    wanted = [{"name": "é", "weight": "1"}, {"name": "b", "weight": ""}]
    text = "name,weight\n# a comment\né,1\n\nb\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        found = table(tmp_path, text.encode(encoding))
        assert [dict(row) | {"weight": row.get("weight", "")} for row in found] == wanted
    assert table(tmp_path, b"weight;name;;\r\n1;a;;\r\n") == [{"weight": "1", "name": "a"}]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "needs the columns name, weight"), (b"name\na\n", "received .*name"),
        (b"name,name,weight\n", "twice"),
        (b"name,weight\na,1,2\n", "line 2 of"), (b'name,weight\n"' + b"x" * 200_000, "damaged"),
        (b"name,weight\n\0", "not text"),
    ],
)  # fmt: skip
def test_damaged_tables_are_one_sentence(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(BadFile, match=words):
        table(tmp_path, content)


def test_cells_are_finite_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,weight\na,nan\nb,\nc,2.5\n")
    rows = table_rows(tmp_path / "a.csv", "the table", ("name",), "")
    assert rows[1].number("weight", 1.0) == 1.0 and rows[2].number("weight") == 2.5
    with pytest.raises(BadFile, match=r"'weight' needs a finite number; received 'nan' in line 2"):
        rows[0].number("weight")
    with pytest.raises(DataMissing, match="the table does not exist"):
        table_rows(tmp_path / "b.csv", "the table", ("name",), "")


@pytest.mark.parametrize("call", ["import mien", "from mien.cli import command; command(['--help'])"])
def test_checking_costs_nothing_before_a_file_is_read(call: str) -> None:
    code = f"import sys\n{call}\nsys.exit(any(name in sys.modules for name in ('msgspec', 'numpy', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
