"""Several runs of one system, which differ by their seeds only, as one row a metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mien.evaluation.report import Report
from mien.evaluation.rows import Row
from mien.evaluation.statistics import bootstrap


def pooled(report: Report, groups: Mapping[str, Sequence[str]]) -> Report:
    """The report with the runs of each group as one system.

    ``mean``, ``std`` and ``median`` are the means of those of the runs; ``seed_std`` is the deviation of the
    runs' means (divided by their number less one), and the interval is over people, whose values are averaged
    over the runs first.

    Args:
        report: Every run as a system of its own.
        groups: System -> its runs, as the report calls them; systems in no group stay as they are.
    """
    whose = {run: system for system, runs in groups.items() for run in runs}
    meshes = _merged(report.meshes, groups, _mean_of_scans)
    people = _merged(report.people, groups, _mean_of_people)
    curves = _merged(report.curves, groups, lambda found: np.mean(found, axis=0).tolist())
    merged = replace(report, meshes=meshes, people=people, curves=curves)
    lines: dict[tuple[str, str], list[Row]] = {}
    for row in report.rows:
        lines.setdefault((whose.get(row.system, row.system), row.metric), []).append(row)
    rows = tuple(
        _pooled_row(system, found, merged) if system in groups else found[0]
        for (system, _), found in lines.items()
    )
    systems: dict[str, Mapping[str, Any]] = {}
    for system, facts in report.systems.items():
        name = whose.get(system, system)
        systems.setdefault(name, facts if name not in groups else {**facts, "runs": list(groups[name])})
    return replace(merged, rows=rows, systems=systems)


def _pooled_row(system: str, found: Sequence[Row], merged: Report) -> Row:
    """One row of several runs'; a dash if one of them has no value."""
    missing = [row for row in found if row.mean is None]
    if missing:
        return replace(missing[0], system=system)
    means = [row.mean for row in found if row.mean is not None]
    low, high = _interval(system, found[0].metric, merged)
    spread = float(np.std(means, ddof=1)) if len(means) > 1 else None
    return replace(
        found[0], system=system, mean=float(np.mean(means)), std=_mean(row.std for row in found),
        median=_mean(row.median for row in found), low=low, high=high, seeds=len(found), seed_std=spread,
    )  # fmt: skip


def _interval(system: str, metric: str, merged: Report) -> tuple[float | None, float | None]:
    """The interval over people of the averaged values; none where the report does not keep them."""
    if metric in merged.meshes.get(system, {}):
        pairs = zip(merged.scans, merged.meshes[system][metric])
        known = [(scan["subject"], value) for scan, value in pairs if value is not None]
        person = np.unique([subject for subject, _ in known], return_inverse=True)[1]
        values = np.array([value for _, value in known])
    elif metric in merged.people.get(system, {}):
        values = np.array(list(merged.people[system][metric].values()))
        person = np.arange(len(values))
    else:
        return None, None
    low, high = bootstrap(values, person, seed=int(merged.conditions.get("seed", 0)))
    return (low, high) if np.isfinite(low) else (None, None)


def _mean(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _merged(kept: Mapping[str, Any], groups: Mapping[str, Sequence[str]], mean: Any) -> dict[str, Any]:
    """System -> metric -> values, those of a group's runs averaged where all of them have the metric."""
    runs = {run for members in groups.values() for run in members}
    found = {system: values for system, values in kept.items() if system not in runs}
    for system, members in groups.items():
        own = [kept[run] for run in members if run in kept]
        if len(own) == len(members):
            shared = [metric for metric in own[0] if all(metric in values for values in own)]
            found[system] = {metric: mean([values[metric] for values in own]) for metric in shared}
    return found


def _mean_of_scans(found: Sequence[Sequence[float | None]]) -> list[float | None]:
    return [_mean(values) if None not in values else None for values in zip(*found)]


def _mean_of_people(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    shared = [person for person in found[0] if all(person in values for values in found)]
    return {person: float(np.mean([values[person] for values in found])) for person in shared}
