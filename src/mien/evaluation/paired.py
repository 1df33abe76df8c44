"""Which system is best, and which are not worse for sure: the same test people, pair by pair.

Two systems are compared on the same people, so what counts is each person's difference, not the overlap of
two intervals. Wilcoxon's signed-rank test (1945) asks whether the differences lie around 0; Holm's correction
(1979) keeps one false alarm in twenty over all systems of a column; the interval of the mean difference draws
the people anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import UnknownName
from mien.evaluation.rows import Row
from mien.evaluation.statistics import bootstrap
from mien.evaluation.table_cells import over_seeds, shown_p
from mien.evaluation.tables import Table

LEVEL = 0.05
"""Corrected p-values from here on are no difference."""
LEAST_PEOPLE = 10
"""With fewer test people no test can tell much."""
HEADLINES: tuple[tuple[str, str, bool], ...] = (
    ("rec_avd_mesh", "reconstruction", False), ("rec_avd_mesh_truth", "reconstruction, truth", False),
    ("neu_avd", "neutralization", False), ("neu_avd_truth", "neutralization, truth", False),
    ("id_mad", "identity consistency", False), ("transfer_avd", "transfer", False),
    ("transfer_avd_truth", "transfer, truth", False), ("rank1_mesh", "recognition (%)", True),
    ("seq_avd_total", "clips", False), ("temporal_l1", "steps of clips", False),
    ("seq_accuracy", "recognized clips", True),
)  # fmt: skip
"""Metric, title of its column, and whether more of it is better."""

ByPerson = Callable[[str, str], Mapping[str, float]]
"""System and metric -> person -> value."""


@dataclass(frozen=True)
class Paired:
    """One system beside the best one.

    Args:
        metric: What was measured.
        system: Whose.
        best: The system with the best mean.
        difference: Mean over people of the system's value minus the best one's, in the metric's unit.
        low: Lower end of its 95 % interval over people.
        high: Upper end.
        p: Of Wilcoxon's signed-rank test, two-sided.
        corrected: The same after Holm's correction over the systems of the metric.
        people: How many people both were measured on.
    """

    metric: str
    system: str
    best: str
    difference: float
    low: float
    high: float
    p: float
    corrected: float
    people: int

    @property
    def worse(self) -> bool:
        """Whether the test tells the system from the best one."""
        return self.corrected < LEVEL


def paired_differences(
    metric: str, best: str, values: Mapping[str, Mapping[str, float]], *, seed: int = 0
) -> list[Paired]:
    """Compares all systems with the best one, person by person.

    Args:
        metric: What was measured.
        best: The system that the others are compared with.
        values: System -> person -> value, in the metric's unit.
        seed: Of the bootstrap.

    Returns:
        One comparison a system other than the best that shares a person with it.
    """
    from scipy.stats import wilcoxon

    found = []
    for system, own in values.items():
        people = sorted(set(own) & set(values[best]))
        if system == best or not people:
            continue
        difference = np.array([own[person] - values[best][person] for person in people])
        p = float(wilcoxon(difference).pvalue) if difference.any() else 1.0
        low, high = bootstrap(difference, np.arange(len(people)), seed=seed)
        found.append((system, float(difference.mean()), low, high, p, len(people)))
    corrected = holm(np.array([item[4] for item in found]))
    return [
        Paired(metric, system, best, mean, low, high, p, float(after), people)
        for (system, mean, low, high, p, people), after in zip(found, corrected)
    ]


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm's (1979) step-down correction: the smallest of m p-values times m, the next times m - 1, ...

    Args:
        p: (m,) float between 0 and 1.

    Returns:
        (m,) float, corrected p-values in the same order; none above 1.
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(stepped, 1)
    return corrected


def comparisons(
    rows: Sequence[Row], by_person: ByPerson, systems: Mapping[str, Mapping[str, Any]], *, seed: int = 0
) -> dict[str, tuple[str, list[Paired]]]:
    """Metric -> the best model, and the others beside it; for each headline metric of at least two models.

    Models that are given the neutral are left out of reconstruction, which they have for nothing.

    Args:
        rows: Of the report.
        by_person: Values of its people.
        systems: System -> facts, see :func:`mien.evaluation.systems.system_facts`.
        seed: Of the bootstrap.
    """
    found = {}
    for metric, _, higher in HEADLINES:
        values, means = {}, {}
        for row in rows:
            given = metric.startswith("rec_") and systems.get(row.system, {}).get("anchored")
            if row.metric == metric and row.kind == "model" and row.mean is not None and not given:
                try:
                    values[row.system] = by_person(row.system, metric)
                except UnknownName:  # a metric whose values by person the report does not keep
                    continue
                means[row.system] = row.mean
        if len(values) > 1:
            best = (max if higher else min)(means, key=lambda system: means[system])
            found[metric] = best, paired_differences(metric, best, values, seed=seed)
    return found


def comparison_tables(
    rows: Sequence[Row], by_person: ByPerson, systems: Mapping[str, Mapping[str, Any]], *, seed: int = 0
) -> list[Table]:
    """The headline metrics side by side with the best marked, and the differences; none for a single run.

    Args:
        rows: Of the report.
        by_person: Values of its people.
        systems: System -> facts.
        seed: Of the bootstrap.
    """
    found = comparisons(rows, by_person, systems, seed=seed)
    models = list(dict.fromkeys(row.system for row in rows if row.kind == "model"))
    cells = {(row.system, row.metric): row for row in rows if row.mean is not None}
    if not found and not any(row.seeds > 1 for row in rows):
        return []
    shown = [item for item in HEADLINES if any((model, item[0]) in cells for model in models)]
    lines = []
    for model in models:
        line = [model]
        for metric, _, _ in shown:
            row = cells.get((model, metric))
            best, others = found.get(metric, ("", []))
            line.append("" if row is None else _marked(over_seeds(row), model, best, others))
        lines.append(tuple(line))
    header = ("system", *(title for _, title, _ in shown))
    tables = [Table("Systems side by side", _note(cells.values(), found), header, tuple(lines))]
    return tables + ([_differences(found)] if found else [])


def few_people(people: int | None) -> str:
    """What to say of a test on few people, or nothing."""
    if people is None or people >= LEAST_PEOPLE:
        return ""
    return f"only {people} test people: below {LEAST_PEOPLE} no test can tell much, and marks mean little"


def _marked(text: str, system: str, best: str, others: Iterable[Paired]) -> str:
    if system == best:
        return f"**{text}**"
    tied = any(item.system == system and not item.worse for item in others)
    return f"*{text}*" if tied else text


def _note(rows: Iterable[Row], found: Mapping[str, tuple[str, list[Paired]]]) -> str:
    seeds = sorted({row.seeds for row in rows if row.kind == "model"})
    told = f"Means; ± is the deviation over {' or '.join(map(str, seeds))} seeds. " if max(seeds) > 1 else ""
    people = min((item.people for _, others in found.values() for item in others), default=None)
    warned = few_people(people)
    return (
        f"{told}Bold: the best model; italics: not significantly worse (Wilcoxon's signed-rank test over "
        f"the same test people, seeds averaged, Holm's correction over the models, {100 * LEVEL:g} %). Lower "
        "is better but for recognition; consistency is read beside neutralization: alike faces are "
        "consistent." + (f" Note: {warned}." if warned else "")
    )


def _differences(found: Mapping[str, tuple[str, list[Paired]]]) -> Table:
    titles = {metric: title for metric, title, _ in HEADLINES}
    lines = [
        (
            titles[metric], item.system, item.best, f"{item.difference:+.3f}",
            f"{item.low:+.3f} to {item.high:+.3f}" if np.isfinite(item.low) else "–", shown_p(item.p),
            shown_p(item.corrected), str(item.people),
        )
        for metric, (_, others) in found.items()
        for item in others
    ]  # fmt: skip
    header = ("column", "system", "best", "system minus best", "95 %", "p", "p, corrected", "people")
    note = (
        "Mean difference over the same people, its interval when people are drawn anew, and the test of it."
    )
    return Table("Paired differences", note, header, tuple(lines))
