"""``mien bench``: every system of a bench file on every data set, through a queue, into one table."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.claims import Verdict, table_of
from mien.data.dataset import FaceDataset
from mien.errors import BadSetting, UnknownName
from mien.evaluation import Report, Row, Table
from mien.evaluation.paired import HEADLINES, paired_differences
from mien.evaluation.predictions import file_digest
from mien.evaluation.seeds import pooled
from mien.evaluation.table_cells import mean_interval
from mien.evaluation.tables import Layout, arranged
from mien.evaluation.variants import variant_table
from mien.experiments.bench_claims import CLAIM_COLUMNS, claim_line, claims_of
from mien.experiments.bench_file import Bench
from mien.experiments.bench_jobs import CONTROLS, bench_job, data_folder
from mien.experiments.queue import DONE, FAILED, WAITING, QueuedRun, result_of, run_queue
from mien.io.atomic import write_bytes
from mien.io.lock import alone
from mien.machine import machine, machine_text

COLUMNS = ("data", "manner", "foretold", "minutes", "people", "vertices", "fingerprint", "training_seconds",
           "steps", "gain", "gain_low", "gain_high")  # fmt: skip
"""What the CSV states beside the fields of a row. ``foretold`` is the share of the variance between people,
within expressions, that the face decides; ``gain`` is how much better a system is than ``against``, person by
person."""
COLUMN_TITLES = {metric: title for metric, title, _ in HEADLINES} | {
    "id_ratio": "consistency over distance of people",
    "transfer_floor": "self transfer",
    "div_all": "diversity",
    "specificity": "specificity",
    "dec_id_own": "identity kept (%)",
    "dec_exp_own": "expression kept (%)",
    "dec_id_lite_own": "identity kept, lite (%)",
    "dec_exp_lite_own": "expression kept, lite (%)",
}
"""Metric -> title of its column in the table with intervals."""


@dataclass(frozen=True)
class BenchResult:
    """What came of a bench so far.

    Args:
        bench: What was asked for.
        reports: Data set -> report, seeds pooled; of all runs that are done.
        facts: Data set -> system -> ``training_seconds`` and ``steps`` of its runs.
        states: Run -> ``done``, ``failed`` or ``waiting``, and the sentence of a failed one.
        foretold: Data set -> the share of manner that its faces decide, where it was performed.
        verdicts: Data set -> the papers' claims that its finished runs can test.
    """

    bench: Bench
    reports: Mapping[str, Report]
    facts: Mapping[str, Mapping[str, Mapping[str, Any]]]
    states: Mapping[str, Mapping[str, Any]]
    foretold: Mapping[str, float | None]
    verdicts: Mapping[str, Sequence[Verdict]]

    @property
    def tables(self) -> list[Table]:
        """For each data set: systems side by side with the best marked, differences, and intervals."""
        found = []
        for name, report in self.reports.items():
            columns = [(metric, title, mean_interval) for metric, title in COLUMN_TITLES.items()]
            note = "Means with 95 % intervals over people, seeds averaged. In italics: controls."
            shown = [*report.tables[:2], *arranged(report.rows, Layout("With intervals", note, columns))]
            if variants := variant_table(report.rows):
                shown.append(variants)
            if self.verdicts.get(name):
                shown.append(table_of(self.verdicts[name]))
            found += [dataclasses.replace(table, title=f"{name}: {table.title}") for table in shown]
        return found

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the states of all runs, and the rows of each data set."""
        rows = {name: [row.as_dict() for row in report.rows] for name, report in self.reports.items()}
        claims = {name: [verdict.as_dict() for verdict in found] for name, found in self.verdicts.items()}
        return {"title": self.bench.title, "states": self.states, "rows": rows, "claims": claims}

    def to_markdown(self) -> str:
        """Title, what was run, conditions, tables, and the sentences of failed runs."""
        bench = self.bench
        spent = "all steps of its profile" if bench.minutes is None else f"{bench.minutes:g} minutes"
        lines = [f"# {bench.title}", "", bench.notes.strip(), ""] if bench.notes else [f"# {bench.title}", ""]
        lines += [
            f"{len(bench.systems)} systems, seeds {', '.join(map(str, bench.seeds))}. Training takes {spent} "
            f"of one core's time a run. {machine_text(machine())}", "",
        ]  # fmt: skip
        lines += [f"- {name}: {report.conditions_text}" for name, report in self.reports.items()]
        lines += ["", "\n".join(table.markdown() for table in self.tables)]
        failed = {name: state for name, state in self.states.items() if state["state"] == FAILED}
        if failed:
            lines += [
                "### Failed",
                "",
                *(f"- {name}: {s.get('sentence', '')}" for name, s in failed.items()),
                "",
            ]
        if waiting := [name for name, state in self.states.items() if state["state"] == WAITING]:
            lines += ["### Not run yet", "", *(f"- {name}" for name in waiting), ""]
        return "\n".join(lines)

    def to_csv(self) -> str:
        """One line a data set, system and metric, with what it was measured under; none by expression."""
        text = io.StringIO()
        names = [*COLUMNS, *(item.name for item in dataclasses.fields(Row))]
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        for name, report in self.reports.items():
            shared = {key: report.conditions.get(key) for key in ("people", "vertices", "fingerprint")}
            shared |= {"data": name, "manner": self.bench.data[name].get("manner", 0)}
            shared |= {"minutes": self.bench.minutes, "foretold": self.foretold.get(name)}
            shared["fingerprint"] = str(shared["fingerprint"])[:16]
            for row in (row for row in report.rows if "/" not in row.metric):
                own = self.facts.get(name, {}).get(row.system, {})
                writer.writerow({**shared, **own, **self._gain(report, row), **row.as_dict()})
        return text.getvalue()

    def claims_csv(self) -> str:
        """One line a data set and claim: what was compared, and the verdict."""
        text = io.StringIO()
        writer = csv.DictWriter(text, ["data", *CLAIM_COLUMNS], lineterminator="\n")
        writer.writeheader()
        for name, found in self.verdicts.items():
            writer.writerows({"data": name, **claim_line(verdict)} for verdict in found)
        return text.getvalue()

    def _gain(self, report: Report, row: Row) -> dict[str, float]:
        """How much better than the system to compare against, person by person; or nothing."""
        higher = {metric: more for metric, _, more in HEADLINES}
        against = self.bench.against
        if row.metric not in higher or row.system == against or row.kind != "model":
            return {}
        try:
            values = {name: report.by_person(name, row.metric) for name in (against, row.system)}
        except UnknownName:
            return {}
        found = paired_differences(row.metric, against, values, seed=int(report.conditions.get("seed", 0)))
        if not found:
            return {}
        sign = 1 if higher[row.metric] else -1
        ends = sorted((sign * found[0].low, sign * found[0].high))
        return {"gain": sign * found[0].difference, "gain_low": ends[0], "gain_high": ends[1]}


def run_bench(bench: Bench, out: Path | str, *, workers: int | None = None) -> BenchResult:
    """Runs what is missing; writes ``table.md``, ``table.csv`` and ``claims.csv``; the same call goes on.

    Args:
        bench: What to run.
        out: Folder of the bench: data sets, runs, results, table.
        workers: Processes at a time; None for one a core.

    Raises:
        BadSetting: Another process works in the folder, or a data set could not be built.
    """
    out = Path(out)
    with alone(out, "bench folder"):
        built, runs = jobs_of(bench)
        run_queue(built, bench_job, out, workers=workers)
        for job in built:
            found = result_of(job, out)
            if found["state"] == FAILED:
                (out / "results" / f"{job.key}.json").unlink()  # so that it is tried again, once it can work
                raise BadSetting(f"the data {job.task['data']!r} of the bench could not be built",
                                 received=found["sentence"])  # fmt: skip
        # Controls first: what they train to judge random faces with serves all systems.
        run_queue([job for job in runs if "controls" in job.task], bench_job, out, workers=workers)
        run_queue(runs, bench_job, out, workers=workers)
        result = bench_result(bench, out)
        write_bytes(out / "table.md", result.to_markdown().encode())
        write_bytes(out / "table.csv", result.to_csv().encode())
        write_bytes(out / "claims.csv", result.claims_csv().encode())
    return result


def jobs_of(bench: Bench) -> tuple[list[QueuedRun], list[QueuedRun]]:
    """The jobs that build data sets, and those that train and judge; a job is its task.

    Args:
        bench: What to run.
    """
    built = [
        QueuedRun(f"data {name}", {"data": name, "told": bench.told_of(name)})
        for name, told in bench.data.items() if told["source"] != "folder"
    ]  # fmt: skip

    def task(data: str) -> dict[str, Any]:
        shared = {"data": data, "told": bench.told_of(data), "protocol": bench.protocol}
        return shared | ({} if bench.generation is None else {"generation": dict(bench.generation)})

    used = [data for data in bench.data if any(data in bench.data_of(name) for name in bench.systems)]
    runs = [
        QueuedRun(f"{data} {CONTROLS}", task(data) | {"controls": True}) for data in used if bench.controls
    ]
    for system, told in bench.systems.items():
        if "predictions" in told:
            file, data = os.path.expandvars(told["predictions"]), told["data"]
            own = task(data) | {"predictions": file, "label": f"{system}/seed-{bench.seeds_of(data)[0]}"}
            digest = file_digest(Path(file)) if Path(file).is_file() else ""  # then the run says so
            runs.append(QueuedRun(f"{data} {own['label']}", own, {"file": digest}))
    seeds = dict.fromkeys(seed for data in used for seed in bench.seeds_of(data))
    # A whole table of one seed first, set by set: what is cut has something to show.
    for seed, data in ((seed, data) for seed in seeds for data in used if seed in bench.seeds_of(data)):
        for system in bench.runs_of(data):
            label, told = f"{system}/seed-{seed}", bench.systems[system]
            asked = {"model": told.get("model", system), "settings": told.get("settings", {}), "seed": seed,
                     "profile": told.get("profile", bench.profile), "minutes": bench.minutes}  # fmt: skip
            own = task(data) | {"asked": asked, "label": label}
            own["key"] = QueuedRun(f"{data} {system}", own).key
            plan = dataclasses.asdict(bench.plan(system, seed))
            runs.append(QueuedRun(f"{data} {label}", own, {"plan": plan}))
    return built, runs


def bench_result(bench: Bench, out: Path | str) -> BenchResult:
    """What came of a bench so far; nothing is run.

    Args:
        bench: What was asked for.
        out: Its folder.
    """
    out = Path(out)
    built, runs = jobs_of(bench)
    found = {job.name: result_of(job, out) for job in runs}
    reports, facts, foretold, verdicts = {}, {}, {}, {}
    for data in bench.data:
        own = [job for job in runs if job.task["data"] == data]
        done = [Report.of(found[job.name]["report"]) for job in own if found[job.name]["state"] == DONE]
        if done:
            failed = [_failed_row(job, found[job.name]) for job in own if found[job.name]["state"] == FAILED]
            facts[data] = _facts(own, found)
            foretold[data] = FaceDataset.load(data_folder(out, own[0].task)).facts.get("foretold_ceiling")
            systems = [name for name in bench.systems if data in bench.data_of(name)]
            reports[data] = _merged(done, failed, bench.seeds_of(data), systems)
            verdicts[data] = claims_of(bench, data, *_by_system(done, systems))
    built_states = {job.name: result_of(job, out) for job in built}
    told = ("state", "sentence", "processor_seconds")
    states = {name: {key: state[key] for key in told if key in state}
              for name, state in {**built_states, **found}.items()}  # fmt: skip
    return BenchResult(bench, reports, facts, states, foretold, verdicts)


def _by_system(
    reports: Sequence[Report], systems: Sequence[str]
) -> tuple[dict[str, list[Report]], Report | None]:
    """The reports of each system's runs, and the one on what needs no training."""
    runs: dict[str, list[Report]] = {name: [] for name in systems}
    controls = None
    for report in reports:
        named = [label for label in report.systems if label.rpartition("/")[0] in runs]
        if named:
            runs[named[0].rpartition("/")[0]].append(report)
        else:
            controls = report
    return runs, controls


def _failed_row(job: QueuedRun, found: Mapping[str, Any]) -> Row:
    """A failed run as a row: a dash, and its sentence."""
    metric = HEADLINES[8 if job.task["told"].get("sequences") else 0][0]
    return Row(job.task.get("label", CONTROLS), "model", metric, reason=found.get("sentence", "").rstrip("."))


def _facts(jobs: Sequence[QueuedRun], found: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """System -> mean seconds of its training, and where its stages ended."""
    facts: dict[str, dict[str, Any]] = {}
    for job in jobs:
        state = found[job.name]
        if state["state"] != DONE or "label" not in job.task:
            continue
        own = facts.setdefault(job.task["label"].rpartition("/")[0], {"seconds": [], "steps": ""})
        own["seconds"].append(state.get("training_seconds", 0.0))
        own["steps"] = "; ".join(f"{stage}: {step}" for stage, step in state.get("stopped_at", {}).items())
    return {
        system: {
            "training_seconds": round(sum(own["seconds"]) / len(own["seconds"]), 1),
            "steps": own["steps"],
        }
        for system, own in facts.items()
    }


def _merged(
    reports: Sequence[Report], failed: Sequence[Row], seeds: Sequence[int], systems: Sequence[str]
) -> Report:
    """Reports on the same scans as one, the seeds of each system pooled."""
    first = reports[0]
    scans = next((report.scans for report in reports if report.scans), ())
    joined = Report(
        tuple(row for report in reports for row in report.rows) + tuple(failed), first.conditions,
        {name: facts for report in reports for name, facts in report.systems.items()},
        meshes={name: values for report in reports for name, values in report.meshes.items()}, scans=scans,
        people={name: values for report in reports for name, values in report.people.items()},
    )  # fmt: skip
    shown = {row.system for row in joined.rows}
    groups = {name: [run for seed in seeds if (run := f"{name}/seed-{seed}") in shown] for name in systems}
    return pooled(joined, {name: runs for name, runs in groups.items() if runs})
