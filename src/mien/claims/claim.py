"""The papers' headline claims as ratios that any labeled data set can test again.

A claim compares one metric of two arms (settings of one method). It is *held* when the 95 % bootstrap
interval of the ratio over persons, seeds pooled, lies on the stated side of 1; *reversed* when it lies on the
other; *open* otherwise. Published ratios are shown beside; they are no thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mien.errors import BadSetting, UnknownName
from mien.evaluate import Report, Table

SIMILAR = 0.15
"""Two arms are similar when their ratio and its inverse stay below 1 + this."""


@dataclass(frozen=True)
class Claim:
    """One claim.

    Args:
        id: As in the specification, e.g. ``G1``.
        source: The paper.
        text: What it claims.
        method: The method whose publication claims it.
        metric: What is measured.
        arm: Name of the arm above the fraction line.
        against: Name of the arm below it.
        side: ``lower``, ``higher`` or ``similar``: where the ratio should lie from 1.
        published: Data set -> published ratio.
    """

    id: str
    source: str
    text: str
    method: str
    metric: str
    arm: str
    against: str
    side: str
    published: Mapping[str, float]


@dataclass(frozen=True)
class Verdict:
    """What came out.

    Args:
        claim: What was tested.
        ratio: Mean of the arm over the mean of the other.
        low: Lower end of the 95 % interval over persons.
        high: Upper end.
        state: ``held``, ``reversed`` or ``open``.
        arm_mean: Mean of the arm, in the metric's unit.
        against_mean: Mean of the other.
        people: How many persons were measured.
        seeds: How many runs an arm were pooled.
    """

    claim: Claim
    ratio: float
    low: float
    high: float
    state: str
    arm_mean: float
    against_mean: float
    people: int
    seeds: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "id": self.claim.id, "metric": self.claim.metric, "claim": self.claim.text, "state": self.state,
            "ratio": self.ratio, "low": self.low, "high": self.high, "published": dict(self.claim.published),
            "means": {self.claim.arm: self.arm_mean, self.claim.against: self.against_mean},
            "people": self.people, "seeds": self.seeds,
        }  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """What is trained and judged on one side of a claim.

    Args:
        model: Name of the method; empty for what needs no training and is judged beside the others.
        settings: Constructor arguments and training settings over those of the profile.
    """

    model: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Results:
    """Reports by arm: one a seed. The system judged in a report carries the arm's name."""

    reports: dict[str, list[Report]] = field(default_factory=dict)

    def add(self, arm: str, report: Report) -> None:
        """Adds one seed's report of an arm."""
        self.reports.setdefault(arm, []).append(report)

    def per_person(self, arm: str, metric: str) -> dict[str, float]:
        """Mean of a metric for each person, over seeds and scans."""
        if arm not in self.reports:
            raise UnknownName("arm", arm, self.reports)
        runs = [report.by_person(arm, metric) for report in self.reports[arm]]
        shared = set.intersection(*(set(run) for run in runs))
        return {person: float(np.mean([run[person] for run in runs])) for person in sorted(shared)}


def judge(results: Results, claims: Sequence[Claim], *, resamples: int = 4000) -> list[Verdict]:
    """Tests claims on results; persons are drawn together for both arms, as the same people were judged."""
    return [_judge(results, claim, resamples) for claim in claims]


def _judge(results: Results, claim: Claim, resamples: int) -> Verdict:
    one, other = (results.per_person(arm, claim.metric) for arm in (claim.arm, claim.against))
    people = sorted(set(one) & set(other))
    if len(people) < 2:
        raise BadSetting(
            f"claim {claim.id} needs {claim.metric} of at least two people in both arms",
            received=len(people), remedy="use a data set with neutrals and more test people",
        )  # fmt: skip
    above, below = np.array([one[p] for p in people]), np.array([other[p] for p in people])
    drawn = np.random.default_rng(581).integers(len(people), size=(resamples, len(people)))
    low, high = np.quantile(above[drawn].mean(axis=1) / below[drawn].mean(axis=1), [0.025, 0.975])
    ratio = float(above.mean() / below.mean())
    seeds = min(len(results.reports[arm]) for arm in (claim.arm, claim.against))
    return Verdict(
        claim, ratio, float(low), float(high), state_of(claim.side, float(low), float(high)),
        float(above.mean()), float(below.mean()), len(people), seeds,
    )  # fmt: skip


def state_of(side: str, low: float, high: float) -> str:
    """``held``, ``reversed`` or ``open`` for an interval of the ratio."""
    if side == "similar":
        inside = 1 / (1 + SIMILAR) <= low and high <= 1 + SIMILAR
        outside = high < 1 / (1 + SIMILAR) or low > 1 + SIMILAR
        return "held" if inside else "reversed" if outside else "open"
    if side == "higher":
        low, high = 1 / high, 1 / low
    return "held" if high < 1 else "reversed" if low > 1 else "open"


def table_of(verdicts: Sequence[Verdict]) -> Table:
    """The verdicts as a table, the published ratios beside."""
    sides = {"lower": "< 1", "higher": "> 1", "similar": "about 1"}
    rows = tuple(
        (
            verdict.claim.id, verdict.claim.text, verdict.claim.metric,
            f"{verdict.arm_mean:.3f} / {verdict.against_mean:.3f}",
            f"{verdict.ratio:.2f} ({verdict.low:.2f} to {verdict.high:.2f})", sides[verdict.claim.side],
            ", ".join(f"{name} {value:.2f}" for name, value in verdict.claim.published.items()) or "–",
            verdict.state,
        )
        for verdict in verdicts
    )  # fmt: skip
    note = "Ratio of two settings of one method with its 95 % interval over persons, seeds pooled."
    if verdicts:
        note += f" {verdicts[0].people} people, {verdicts[0].seeds} seed(s)."
    header = ("claim", "says", "metric", "means (mm)", "ratio", "claimed", "published", "verdict")
    return Table("Claims", note, header, rows)
