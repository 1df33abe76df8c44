"""Split files and folds: what runs write is what they read, and a list that fits badly is refused."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from commands import Studio, run, tree
from fixtures import planted

from mien.data.dataset import FaceDataset
from mien.data.split_files import split_names, split_text, with_split
from mien.data.splits import PARTS, PROTOCOLS
from mien.errors import BadFile, BadSetting, DataMissing, MienError, UnknownName
from mien.experiments.division import divided
from mien.training import train

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def data() -> FaceDataset:
    return planted(subjects=13).data


def people(data: FaceDataset, protocol: str, seed: int = 0) -> dict[str, set[int]]:
    return {part: set(data.split(part, protocol=protocol, seed=seed).row_subject.tolist()) for part in PARTS}


def rows(data: FaceDataset, protocol: str) -> dict[str, list[int]]:
    return {part: list(data.split(part, protocol=protocol).rows) for part in PARTS}


# ---- folds


@pytest.mark.parametrize("count", [2, 5, 13])
def test_every_person_is_tested_once_over_the_folds(data: FaceDataset, count: int) -> None:
    folds = [people(data, f"fold-{number}-of-{count}") for number in range(1, count + 1)]
    tested = [person for fold in folds for person in fold["test"]]
    assert sorted(tested) == list(range(13))
    sizes = [len(fold["test"]) for fold in folds]
    assert max(sizes) - min(sizes) <= 1
    for fold in folds:
        assert all(fold.values())
        assert len(set.union(*fold.values())) == sum(map(len, fold.values())) == 13
    assert people(data, "fold-1-of-5", seed=1)["test"] != people(data, "fold-1-of-5")["test"]


@pytest.mark.parametrize("name", ["fold-0-of-5", "fold-6-of-5", "fold-1-of-1", "fold-1-of-14"])
def test_folds_that_there_are_not(data: FaceDataset, name: str) -> None:
    with pytest.raises(BadSetting, match="folds count from 1.*13 people"):
        data.split("test", protocol=name)


def test_a_fold_is_suggested_for_a_name_that_is_nearly_one(data: FaceDataset) -> None:
    with pytest.raises(UnknownName, match="did you mean 'fold-K-of-N'"):
        data.split("test", protocol="fold-2-5")


# ---- lists


@pytest.mark.parametrize("protocol", [*sorted({*PROTOCOLS} - {"first-ten"}), "fold-2-of-3", "first-ten"])
def test_what_is_written_is_read_again(data: FaceDataset, protocol: str, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(split_text(data, protocol=protocol))
    listed, name = with_split(data, path)
    assert rows(listed, name) == rows(data, protocol)
    again, same = with_split(data, path)
    assert same == name and split_text(again, protocol=name) == path.read_text()
    assert ("row" in path.read_text().splitlines()[0]) == (protocol in ("interleaved", "nine-to-one"))


def edited(data: FaceDataset, path: Path, *changes: tuple[str, str]) -> Path:
    text = split_text(data)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


BROKEN = {
    "two parts": ("puts a person in two parts.*{a}", lambda a: (f"{a},train\n", f"{a},train\n{a},test\n")),
    "twice": ("names a person twice.*{a}", lambda a: (f"{a},train\n", f"{a},train\n{a},train\n")),
    "unknown": ("whom the data does not have; received nobody", lambda a: (f"{a},", "nobody,")),
    "not mentioned": ("does not mention a person.*{a}, one of 1", lambda a: (f"{a},train\n", "")),
    "another part": ("unknown part in line.*'tests'.*did you mean 'test'", lambda a: (",test\n", ",tests\n")),
    "empty": ("leaves the part 'test' empty", lambda a: (",test\n", ",train\n")),
    "no validation": ("leaves the part 'validation' empty", lambda a: (",validation\n", ",train\n")),
    "columns": ("has the columns person and part", lambda a: ("person,part", "subject,part")),
    "short": ("line . of the split file is incomplete", lambda a: (f"{a},train", a)),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_list_that_does_not_fit_is_refused(data: FaceDataset, case: str, tmp_path: Path) -> None:
    trained = data.subjects[min(people(data, "subject")["train"])]
    pattern, change = BROKEN[case]
    path = edited(data, tmp_path / "list.csv", change(trained))
    with pytest.raises(MienError, match=pattern.format(a=trained)) as told:
        with_split(data, path)
    assert "list.csv" in str(told.value)


def test_people_may_be_left_out_and_parts_be_empty_on_purpose(data: FaceDataset, tmp_path: Path) -> None:
    who = data.subjects[min(people(data, "subject")["train"])]
    lines = (
        (f"{who},train", f"{who},none"),
        (",validation", ",train"),
        ("person,part", "person,part\n,validation"),
    )
    listed, name = with_split(data, edited(data, tmp_path / "list.csv", *lines))
    found = people(listed, name)
    assert found["validation"] == set() and len(found["train"] | found["test"]) == 12
    assert data.subjects.index(who) not in found["train"] | found["test"]


def test_rows_of_another_set_are_refused(data: FaceDataset, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    text = split_text(data, protocol="interleaved")
    for broken in (
        text.replace(",5\n", ",99999\n"),
        text.replace(",5\n", ",6\n"),
        text.replace(",5\n", ",x\n"),
    ):
        path.write_text(broken)
        with pytest.raises(BadFile, match="comes twice, or is not one of this person"):
            with_split(data, path)
    path.write_text("".join(line for line in text.splitlines(keepends=True) if not line.endswith(",5\n")))
    with pytest.raises(BadFile, match="does not mention a row.*row 5, one of 1"):
        with_split(data, path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadFile, match="the split file"):
        with_split(data, path)


def test_a_division_without_its_list(data: FaceDataset) -> None:
    with pytest.raises(DataMissing, match="listed in a file that was not given; received listed-0a1b"):
        data.split("test", protocol="listed-0a1b")


# ---- lists that come with Mien


def test_the_lists_are_what_their_script_writes() -> None:
    spec = importlib.util.spec_from_file_location("split_lists", ROOT / "tools" / "split_lists.py")
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    lists = script.lists()
    assert split_names() == sorted(lists)
    for name, text in lists.items():
        assert (script.FOLDER / f"{name}.csv").read_text() == text, "run tools/split_lists.py"
    lines = list(csv.DictReader(lists["gu2023_facescape"].splitlines()))
    parts = {line["person"]: line["part"] for line in lines}
    assert sum(part == "test" for part in parts.values()) == 84 and parts["603"] == "none"
    assert {parts[str(number)] for number in (122, 212, 340, 344, 393, 395, 421, 527, 594, 610)} == {"test"}
    with pytest.raises(UnknownName, match="unknown split; received 'ict-200'; did you mean 'ict_200'"):
        with_split(planted().data, "ict-200")


def test_the_procedural_list_is_its_default_division() -> None:
    world = planted(subjects=40).data
    named = FaceDataset(
        world.topology, world.expressions, world.vertices, world.weights, world.subject,
        tuple(f"person_{number:04d}" for number in range(40)),
    )  # fmt: skip
    listed, name = with_split(named, "procedural_40")
    assert people(listed, name) == people(named, "subject")


# ---- runs


def test_a_run_keeps_its_list_and_is_judged_by_it(studio: Studio, capsys, tmp_path: Path) -> None:
    data = studio.faces
    path = tmp_path / "mine.csv"
    tests = {0, 3, 7}
    lines = [f"{name},{'test' if number in tests else 'validation' if number == 1 else 'train'}"
             for number, name in enumerate(data.subjects)]  # fmt: skip
    path.write_text("person,part\n" + "\n".join(lines) + "\n")
    out = tmp_path / "run"
    assert run(capsys, "train", "pca", "--data", studio.data, "--out", out, "--split", path).code == 0
    assert (out / "split.csv").read_text() == path.read_text()
    path.unlink()
    told = run(capsys, "evaluate", out, "--data", studio.data, "--json")
    assert {scan["subject"] for scan in told.json["scans"]} == {data.subjects[number] for number in tests}
    assert told.json["conditions"]["people_seen_in_training"] == 0
    plan = json.loads((out / "run.json").read_text())["plan"]
    assert plan["protocol"] == told.json["conditions"]["protocol"] and plan["protocol"].startswith("listed-")
    # The list that somebody else's method needs is the same one.
    rows = run(capsys, "data", "rows", studio.data, "--split", out / "split.csv").out.splitlines()
    assert {line.split(",")[2] for line in rows if line.startswith("scan,")} == {
        data.subjects[n] for n in tests
    }
    # A run's list that was changed since is not the one it was trained with.
    (out / "split.csv").write_text((out / "split.csv").read_text().replace("validation", "train").replace(
        f"{data.subjects[0]},test", f"{data.subjects[0]},validation"))  # fmt: skip
    assert (
        "not the one that it was trained with" in run(capsys, "evaluate", out, "--data", studio.data).sentence
    )


def test_named_divisions_are_written_too(studio: Studio) -> None:
    assert (studio.model / "split.csv").read_text() == split_text(studio.faces)


def test_a_list_and_a_protocol_are_too_much(studio: Studio, capsys, tmp_path: Path) -> None:
    split = studio.model / "split.csv"
    with pytest.raises(BadSetting, match="both divide the data"):
        train("pca", studio.faces, out=tmp_path / "run", split=split, protocol="subject")
    with pytest.raises(BadSetting, match="both divide the data"):
        divided(studio.faces, split=split, protocol="subject")
    assert tree(tmp_path) == []
    options = ("--data", studio.data, "--out", tmp_path / "run", "--split", tmp_path / "none.csv")
    assert "the split file does not exist" in run(capsys, "train", "pca", *options).sentence
    assert tree(tmp_path) == []


def test_parts_of_a_list_have_the_rows_of_their_people(data: FaceDataset, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(split_text(data))
    listed, name = with_split(data, path)
    view = listed.take(np.arange(0, len(data), 2)).split("test", protocol=name)
    assert set(view.row_subject.tolist()) == people(data, "subject")["test"] and (view.rows % 2 == 0).all()
