"""Several seeds as one system, and systems compared person by person."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from commands import Studio, run, tree

from mien.errors import BadSetting, Unsupported
from mien.evaluation import Report, Row, Table
from mien.evaluation.paired import comparisons, few_people, holm, paired_differences
from mien.evaluation.seeds import pooled
from mien.experiments.seeds import runs_of, train_seeds
from mien.report import table_html

PEOPLE = [f"person {number}" for number in range(12)]


def by_person(*values: float) -> dict[str, float]:
    return dict(zip(PEOPLE, values))


# ---- the test


def test_holm_by_hand() -> None:
    # Holm (1979): 4 x 0.01, 3 x 0.02, 2 x 0.03, and never less than the one before.
    assert holm(np.array([0.04, 0.01, 0.03, 0.02])) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm(np.array([0.5, 0.6])) == pytest.approx([1, 1])
    assert len(holm(np.array([]))) == 0


def test_the_signed_rank_test_is_the_exact_one() -> None:
    """All signs of the ranks are equally likely where nothing differs: 2^-n of them lie as far out."""
    one, other = by_person(*range(1, 9)), by_person(*(value + 0.1 * value for value in range(1, 9)))
    (found,) = paired_differences("neu_avd", "one", {"one": one, "other": other})
    outcomes = [sum(rank for rank, up in zip(range(1, 9), signs) if up)
                for signs in itertools.product((False, True), repeat=8)]  # fmt: skip
    assert found.p == pytest.approx(2 * np.mean([total >= 36 for total in outcomes]))
    assert found.difference == pytest.approx(0.45) and found.low > 0 and found.people == 8
    assert found.worse and found.best == "one" and found.system == "other"


def test_what_counts_is_each_persons_difference() -> None:
    """People differ by millimeters and systems by a tenth: intervals overlap, pairs do not."""
    base = np.linspace(1, 5, 12)
    noise = np.array([1, -1, 2, -2, 1, -1, 2, -2, 1, -1, 2, -2]) * 0.01
    values = {"best": by_person(*base), "worse": by_person(*(base + 0.1 + noise)),
              "tied": by_person(*(base + 3 * noise + 0.0001))}  # fmt: skip
    found = {item.system: item for item in paired_differences("neu_avd", "best", values)}
    assert found["worse"].worse and not found["tied"].worse
    assert found["worse"].corrected == pytest.approx(2 * found["worse"].p)
    assert 0.09 < found["worse"].low < 0.1 < found["worse"].high < 0.11
    same = paired_differences("neu_avd", "best", {"best": values["best"], "copy": values["best"]})
    assert same[0].p == 1 and same[0].difference == 0


# ---- reports


def planted_report(**errors: list[float]) -> Report:
    """A report of systems with the given errors by person, one scan each."""
    rows, people = [], {}
    for system, values in errors.items():
        recognized = [100.0 * (value < 2) for value in values]
        rows += [Row(system, "model", "neu_avd", float(np.mean(values)), 0.5, 1.0, 0.0, 9.0, len(values)),
                 Row(system, "model", "rank1_mesh", float(np.mean(recognized)), unit="%")]  # fmt: skip
        people[system] = {"id_mad": by_person(*values)}
    meshes = {system: {"neu_avd": list(values), "rank1_mesh": [100.0 * (value < 2) for value in values]}
              for system, values in errors.items()}  # fmt: skip
    scans = tuple(
        {"row": number, "subject": name, "expression": "smile"} for number, name in enumerate(PEOPLE)
    )
    return Report(tuple(rows), {}, meshes=meshes, scans=scans, people=people)


LOW, HIGH = [1.0 + 0.1 * k for k in range(12)], [2.0 + 0.11 * k for k in range(12)]


def test_seeds_become_one_row_with_their_deviation() -> None:
    runs = {"a": LOW, "b": [value + 0.2 for value in LOW], "c": [value + 0.7 for value in LOW], "other": HIGH}
    report = pooled(planted_report(**runs), {"mine": ["a", "b", "c"]})
    row = report.row("mine", "neu_avd")
    assert row.mean == pytest.approx(np.mean(LOW) + 0.3) and row.seeds == 3
    assert row.seed_std == pytest.approx(np.std([0, 0.2, 0.7], ddof=1))
    assert {row.system for row in report.rows} == {"mine", "other"}
    assert report.by_person("mine", "neu_avd") == pytest.approx(by_person(*(value + 0.3 for value in LOW)))
    # People are drawn anew, not seeds: the interval is that of the averaged values.
    assert row.low is not None and row.high is not None
    assert row.low == pytest.approx(1.85 - 1.96 * np.std(LOW) / np.sqrt(12), abs=0.03)
    assert row.high == pytest.approx(1.85 + 1.96 * np.std(LOW) / np.sqrt(12), abs=0.03)
    assert report.row("other", "neu_avd") == planted_report(**runs).row("other", "neu_avd")


def test_a_value_that_one_seed_lacks_is_a_dash() -> None:
    report = planted_report(a=LOW, b=HIGH)
    absent = Row("b", "model", "neu_avd", reason="it broke")
    rows = tuple(absent if row.system == "b" and row.metric == "neu_avd" else row for row in report.rows)
    row = pooled(Report(rows, {}), {"mine": ["a", "b"]}).row("mine", "neu_avd")
    assert row.mean is None and row.reason == "it broke"


def test_the_best_and_what_ties_with_it_are_marked_in_every_form() -> None:
    near = [value + (0.01 if k % 2 else -0.009) for k, value in enumerate(LOW)]
    report = planted_report(good=LOW, near=near, bad=HIGH)
    table = report.tables[0]
    column = table.header.index("neutralization")
    cells = {row[0]: row[column] for row in table.rows}
    assert cells == {"good": "**1.55**", "near": "*1.55*", "bad": "2.60"}
    assert "| good | **1.55** |" in table.markdown() and "| bad | 2.60 |" in table.markdown()
    assert r"good & \textbf{1.55}" in table.latex() and r"near & \textit{1.55}" in table.latex()
    assert "<strong>1.55</strong>" in table_html(table) and "<em>1.55</em>" in table_html(table)
    recognized = {row[0]: row[table.header.index("recognition (%)")] for row in table.rows}
    assert recognized["near"].startswith("**") and recognized["bad"] == "0.000"  # more is better
    differences = {row[:2]: row for row in report.tables[1].rows}
    assert differences["neutralization", "bad"][3] == "+1.055"
    assert float(differences["neutralization", "near"][6]) > 0.05
    assert "Note" not in table.note


def test_one_model_is_compared_with_nobody() -> None:
    assert "Systems side by side" not in {table.title for table in planted_report(good=LOW).tables}


def test_what_is_given_the_neutral_does_not_win_reconstruction() -> None:
    rows = [
        Row(system, "model", "rec_avd_mesh", mean) for system, mean in (("a", 0.0), ("b", 1.0), ("c", 2.0))
    ]
    found = comparisons(rows, lambda *_: by_person(*LOW), {"a": {"anchored": True}})
    assert found["rec_avd_mesh"][0] == "b"


def test_few_people_are_warned_of() -> None:
    assert "only 9 test people" in few_people(9) and few_people(10) == "" == few_people(None)
    assert "only 3 test people" in planted_report(a=LOW[:3], b=HIGH[:3]).tables[0].note


def test_bold_in_latex_is_no_italics() -> None:
    assert r"\textbf{1.2 $\pm$ 0.1}" in Table("T", "", ("a", "b"), (("x", "**1.2 ± 0.1**"),)).latex()


# ---- commands


@pytest.fixture(scope="module")
def seeded(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("lightning_fabric", reason="needs the extra mien[train]")
    out = tmp_path_factory.mktemp("seeds") / "coma"
    settings = {"steps": 6, "batch_size": 4, "validate_every": 6, "virtual_people": 0.0}
    train_seeds("coma", studio.data, out=out, seeds=(0, 1), profile="smoke", progress=False, **settings)
    return out


def test_seeds_are_runs_and_judged_as_one(seeded: Path, studio: Studio, capsys, tmp_path: Path) -> None:
    assert [path.name for path in runs_of(seeded)] == ["seed-0", "seed-1"]
    assert runs_of(seeded / "seed-1") == [seeded / "seed-1"]
    weights = [(run / "model.safetensors").read_bytes() for run in runs_of(seeded)]
    assert weights[0] != weights[1]
    csv_path = tmp_path / "meshes.csv"
    told = run(capsys, "evaluate", seeded, studio.model, "--data", studio.data, "--out", tmp_path / "tables",
               "--per-mesh", csv_path, "--no-controls")  # fmt: skip
    assert told.code == 0 and "only 1 test people" in told.err
    report = Report.load(tmp_path / "tables" / "report.json")
    row = report.row("coma", "rec_avd_mesh")
    lines = list(csv.DictReader(csv_path.open()))
    own = {name: [float(line["rec_avd_mesh"]) for line in lines if line["system"] == f"coma/{name}"]
           for name in ("seed-0", "seed-1")}  # fmt: skip
    means = [np.mean(values) for values in own.values()]
    assert row.seeds == 2 and row.mean == pytest.approx(np.mean(means), abs=1e-5)
    assert row.seed_std == pytest.approx(np.std(means, ddof=1), abs=1e-5)
    assert list(lines[0])[:4] == ["system", "row", "subject", "expression"] and "neu_avd" in lines[0]
    assert {int(line["row"]) for line in lines} == {scan["row"] for scan in report.scans}
    # Every run keeps its own numbers, in its own card.
    kept = json.loads((seeded / "seed-1" / "metrics.json").read_text())
    assert kept["rec_avd_mesh"]["mean"] == pytest.approx(means[1], abs=1e-5)


def test_finished_seeds_stay_and_new_ones_are_added(seeded: Path, studio: Studio) -> None:
    before = {path: path.stat().st_mtime_ns for path in seeded.rglob("model.safetensors")}
    settings = {"steps": 6, "batch_size": 4, "validate_every": 6, "virtual_people": 0.0}
    train_seeds("coma", studio.data, out=seeded, seeds=(1, 0), profile="smoke", progress=False, **settings)
    assert {path: path.stat().st_mtime_ns for path in seeded.rglob("model.safetensors")} == before
    with pytest.raises(BadSetting, match="other settings or other data"):
        train_seeds("coma", studio.data, out=seeded, seeds=(0,), profile="smoke", progress=False)


def test_seeds_that_repeat_are_refused(studio: Studio, capsys, tmp_path: Path) -> None:
    options = ("--data", studio.data, "--out", tmp_path / "runs")
    told = run(capsys, "train", "pca", *options, "--seeds", "0", "1", "0")
    assert "seeds repeat" in told.sentence and "0 1 0" in told.sentence
    assert (
        "one seed by --seed" in run(capsys, "train", "pca", *options, "--seeds", "0", "--seed", "1").sentence
    )
    assert "one seed by --seed" in run(capsys, "train", "pca", "3", *options).sentence
    assert tree(tmp_path) == []
    with pytest.raises(BadSetting, match="is a run itself"):
        train_seeds("pca", studio.data, out=studio.model, seeds=(0, 1))


def test_the_command_takes_seeds_as_they_are_written(studio: Studio, capsys, tmp_path: Path) -> None:
    out = tmp_path / "pca"
    assert run(capsys, "train", "pca", "--data", studio.data, "--out", out, "--seeds", "3", "1").code == 0
    assert [path.name for path in runs_of(out)] == ["seed-1", "seed-3"]
    assert json.loads((out / "seed-3" / "run.json").read_text())["plan"]["seed"] == 3


def test_errors_by_mesh_need_meshes() -> None:
    with pytest.raises(Unsupported, match="of single scans"):
        Report((), {}).per_mesh_csv()
