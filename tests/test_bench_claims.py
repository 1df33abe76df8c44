"""Claims of the papers, decided by the runs of a bench that stand for their arms."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from commands import tree

from mien.claims import ARMS
from mien.errors import UnknownName
from mien.evaluation import Report, Row
from mien.evaluation.variants import variant_table
from mien.experiments.bench import BenchResult, jobs_of
from mien.experiments.bench_claims import CLAIM_COLUMNS, claims_of, system_of
from mien.experiments.bench_file import Bench, read_bench

FILE = """
title: Two forms
data:
  faces: {source: procedural, subjects: 12}
  few: {source: procedural, subjects: 12, seeds: [4]}
seeds: [0, 1]
systems:
  rough: {model: facetunegan, settings: {smoothness: 0.0, steps: 7}}
  smooth: {model: facetunegan, settings: {content_size: 3}}
  bilinear: {model: morphable}
"""
PEOPLE = [f"person-{k}" for k in range(12)]


def bench(tmp_path: Path, text: str = FILE) -> Bench:
    path = tmp_path / "bench.yaml"
    path.write_text(text)
    return read_bench(path)


def report(label: str, metric: str, value: float) -> Report:
    values = {name: value * (1 + 0.01 * k) for k, name in enumerate(PEOPLE)}
    return Report((), {}, {label: {}}, people={label: {metric: values}})


def test_a_system_stands_for_an_arm_that_it_agrees_with(tmp_path: Path) -> None:
    """Sizes and schedules are free, what tells arms from each other is not."""
    asked = bench(tmp_path)
    found = {arm: system_of(asked, "faces", "facetunegan", arm) for arm in ARMS["facetunegan"]}
    assert {arm: system for arm, system in found.items() if system} == {
        "facetunegan": "smooth", "facetunegan without smoothing": "rough", "additive face model": "bilinear",
    }  # fmt: skip


def test_claims_are_decided_by_runs_and_controls(tmp_path: Path) -> None:
    metric = "transfer_avd"
    runs = {
        "smooth": [report(f"smooth/seed-{seed}", metric, 1.0 + 0.1 * seed) for seed in (0, 1)],
        "rough": [report(f"rough/seed-{seed}", "rec_avd_mesh", 0.5) for seed in (0, 1)],
    }
    controls = report("deformation_transfer", metric, 2.0)
    (verdict,) = claims_of(bench(tmp_path), "faces", runs, controls)
    assert (verdict.claim.id, verdict.claim.metric, verdict.state) == ("F1", metric, "held")
    assert verdict.ratio == pytest.approx(1.05 / 2.0)  # both seeds
    assert (verdict.people, verdict.seeds) == (12, 1)  # the control has one run
    assert claims_of(bench(tmp_path), "faces", runs, None) == []
    result = BenchResult(bench(tmp_path), {}, {}, {}, {}, {"faces": [verdict]})
    (line,) = csv.DictReader(io.StringIO(result.claims_csv()))
    assert list(line) == ["data", *CLAIM_COLUMNS]
    assert (line["data"], line["against"], line["state"]) == ("faces", "deformation transfer", "held")
    assert float(line["value"]) == pytest.approx(0.525)


def test_a_set_may_have_seeds_of_its_own_and_one_seed_is_finished_first(tmp_path: Path) -> None:
    asked = bench(tmp_path)
    runs = [job.name for job in jobs_of(asked)[1] if "controls" not in job.task]
    assert runs == [f"{data} {system}/seed-{seed}" for seed, data in ((0, "faces"), (1, "faces"), (4, "few"))
                    for system in asked.systems]  # fmt: skip
    assert all("seeds" not in job.task["told"] for jobs in jobs_of(asked) for job in jobs)


def test_a_bench_that_extends_another_shares_its_runs(tmp_path: Path) -> None:
    field, more = read_bench("field"), read_bench("claims")
    shared = {job.key for job in jobs_of(field)[1]} - {job.key for job in jobs_of(more)[1]}
    assert not shared and more.title != field.title and more.minutes == field.minutes
    arms = [(method, arm) for method, known in ARMS.items() for arm in known if known[arm].model]
    without = {
        arm for method, arm in arms
        if system_of(more, "clips" if method == "expression_lstm" else "ict, manner 0", method, arm) is None
    }  # fmt: skip
    assert without == {"deformation transfer"}  # a control
    before = tree(tmp_path)
    with pytest.raises(UnknownName, match="field"):
        bench(tmp_path, FILE + "extends: feild\n")
    assert set(tree(tmp_path)) - set(before) == {"bench.yaml"}


def test_variants_of_consistency_are_told_apart_by_their_orders() -> None:
    """X1: a variant that ranks the other way round has an agreement of -1."""
    values = {"id_mad": (1.0, 2.0, 3.0), "id_std_mesh": (0.3, 0.2, 0.1), "id_std_avd": (5.0, 6.0, 7.0)}
    rows = [
        Row(system, "model", metric, mean=value)
        for metric, found in values.items() for system, value in zip("abc", found, strict=True)
    ]  # fmt: skip
    rows.append(Row("doing nothing", "control", "id_mad", mean=0.5))
    table = variant_table(rows)
    assert table is not None and table.header == ("system", "id_mad", "id_std_mesh", "id_std_avd")
    assert table.rows[:3] == (("a", "1", "3", "1"), ("b", "2", "2", "2"), ("c", "3", "1", "3"))
    assert table.rows[3][2:] == ("-1.00", "1.00")
    assert variant_table([row for row in rows if row.system != "c"]) is None
