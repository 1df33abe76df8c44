"""A finished evaluation: rows and the conditions they were measured under."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mien.errors import BadFile, UnknownName, Unsupported
from mien.evaluation.layouts import kind_of
from mien.evaluation.paired import comparison_tables
from mien.evaluation.rows import Row
from mien.evaluation.tables import Table
from mien.io.atomic import write_bytes
from mien.io.schema import parse_bounded_json
from mien.machine import machine_text

FORMATS = ("json", "csv", "md", "tex")
#: Conditions that each line of the CSV states.
REPEATED = (
    "data", "fingerprint", "protocol", "part", "seed", "processor", "threads", "evaluation_seconds",
)  # fmt: skip


@dataclass(frozen=True)
class Report:
    """Rows, conditions, and what was evaluated.

    Args:
        rows: One number each.
        conditions: What every row states: kind, data, fingerprint, split, people, meshes, alignment, seed.
        systems: Label -> facts of the model: method, latent size, whether it needs neutrals.
        published: System -> metric -> value printed in a paper, kept apart.
        meshes: System -> metric -> one value a test scan, in the order of ``scans``.
        scans: The test scans: subject, expression, row of the data set.
        people: System -> metric -> subject -> value, for metrics that have one value a person.
        curves: System -> metric -> values over relative time, for clips.
    """

    rows: tuple[Row, ...]
    conditions: Mapping[str, Any]
    systems: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    published: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    meshes: Mapping[str, Mapping[str, list[float | None]]] = field(default_factory=dict)
    scans: tuple[Mapping[str, Any], ...] = ()
    people: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    curves: Mapping[str, Mapping[str, list[float]]] = field(default_factory=dict)

    def row(self, system: str, metric: str) -> Row:
        """The row of a system and metric.

        Raises:
            UnknownName: No such system, or it has no such metric.
        """
        for row in self.rows:
            if row.system == system and row.metric == metric:
                return row
        if system not in {row.system for row in self.rows}:
            raise UnknownName("system", system, dict.fromkeys(row.system for row in self.rows))
        raise UnknownName("metric", metric, (row.metric for row in self.rows if row.system == system))

    def value(self, system: str, metric: str) -> float:
        """The mean of a row; nan for a dash."""
        mean = self.row(system, metric).mean
        return float("nan") if mean is None else mean

    def by_person(self, system: str, metric: str) -> dict[str, float]:
        """Mean of a metric for each person: ``rec_avd_mesh``, ``neu_avd``, and the consistency variants."""
        if metric in self.people.get(system, {}):
            return dict(self.people[system][metric])
        if metric not in self.meshes.get(system, {}):
            kept = [*self.people.get(system, {}), *self.meshes.get(system, {})]
            raise UnknownName("metric with one value a person", metric, kept)
        found: dict[str, list[float]] = {}
        for scan, value in zip(self.scans, self.meshes[system][metric]):
            if value is not None:
                found.setdefault(scan["subject"], []).append(value)
        return {person: sum(values) / len(values) for person, values in found.items()}

    @cached_property
    def tables(self) -> list[Table]:
        """Models or seeds side by side, then a few themed tables as the kind of evaluation lays them out."""
        sizes = {label: str(facts["latent"]) for label, facts in self.systems.items() if "latent" in facts}
        seed = int(self.conditions.get("seed", 0))
        compared = comparison_tables(self.rows, self.by_person, self.systems, seed=seed)
        return compared + kind_of(self.conditions).tables(self.rows, sizes, self.published)

    def to_json(self) -> str:
        """Everything, as JSON text."""
        return json.dumps(
            {
                "conditions": self.conditions, "systems": self.systems, "published": self.published,
                "rows": [row.as_dict() for row in self.rows], "scans": self.scans, "meshes": self.meshes,
                "people": self.people, "curves": self.curves,
            },
            indent=1, ensure_ascii=False, default=str,
        )  # fmt: skip

    def to_csv(self) -> str:
        """One line a row, with the conditions that matter repeated: lines of reports can be merged."""
        shared = {name: self.conditions.get(name) for name in REPEATED}
        text = io.StringIO()
        records = [{**row.as_dict(), **shared} for row in self.rows]
        writer = csv.DictWriter(text, list(records[0]) if records else list(shared), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
        return text.getvalue()

    def per_mesh_csv(self) -> str:
        """One line a system and test scan: whose, what it shows, its row of the data set, its errors.

        Raises:
            Unsupported: The report is not of single scans.
        """
        if not self.scans:
            raise Unsupported("errors by mesh are of single scans, and this evaluation has none")
        metrics = list(dict.fromkeys(metric for values in self.meshes.values() for metric in values))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("system", *self.scans[0], *metrics))
        for system, values in self.meshes.items():
            absent = [None] * len(self.scans)
            columns = [values.get(metric, absent) for metric in metrics]
            for scan, *errors in zip(self.scans, *columns):
                writer.writerow((system, *scan.values(), *errors))
        return text.getvalue()

    def to_markdown(self) -> str:
        """Conditions and tables."""
        return self.conditions_text + "\n\n" + "\n".join(table.markdown() for table in self.tables)

    def to_latex(self) -> str:
        """All tables as booktabs tabulars, the conditions as a comment."""
        needs = "% \\usepackage{booktabs}, and \\usepackage[utf8]{inputenc} for older engines\n"
        return f"% {self.conditions_text}\n{needs}\n" + "\n".join(table.latex() for table in self.tables)

    @property
    def conditions_text(self) -> str:
        """The conditions as a few sentences, the machine last."""
        facts = self.conditions
        if not facts:
            return ""
        told = kind_of(facts).conditions(facts)
        return f"{told} {machine_text(facts)}" if "processor" in facts else told

    def save(self, folder: Path | str, name: str = "report") -> list[Path]:
        """Writes ``report.json``, ``.csv``, ``.md`` and ``.tex`` and returns their paths."""
        folder = Path(folder)
        texts = dict(zip(FORMATS, (self.to_json(), self.to_csv(), self.to_markdown(), self.to_latex())))
        paths = []
        for ending, text in texts.items():
            path = folder / f"{name}.{ending}"
            write_bytes(path, text.encode())
            paths.append(path)
        return paths

    @staticmethod
    def of(found: Mapping[str, Any]) -> Report:
        """The report of what :meth:`to_json` wrote, once it is read."""
        known = dict(found)
        rows = tuple(Row(**row) for row in known.pop("rows"))
        return Report(rows, scans=tuple(known.pop("scans")), **known)

    @staticmethod
    def load(path: Path | str) -> Report:
        """Reads ``report.json``."""
        try:
            text = Path(path).read_bytes()
            found = parse_bounded_json(text, "the evaluation report", Path(path), "evaluate again")
            return Report.of(found)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadFile(
                "the evaluation report cannot be read", received=str(path), remedy=str(error)
            ) from error
