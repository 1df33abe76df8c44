"""What a claim is, and how measured values decide it.

A claim compares a metric of two arms (settings of a method), of an arm with the training data, of an arm with
another metric of its own, or of an arm with a constant. It is *held* when the 95 % bootstrap interval of the
ratio (or difference) over persons, seeds pooled, lies on the stated side; *reversed* when it lies on the
other; *open* otherwise. For metrics of generated faces the drawn faces take the place of persons. Published
values are shown beside; they are no thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mien.errors import BadSetting, UnknownName
from mien.evaluation import Report, Table

SIMILAR = 0.15
"""Two arms are similar when their ratio and its inverse stay below 1 + this."""
TRAINING_DATA = "training data"
"""The arm that is not trained: the same metric of the real faces."""
SIDES = {"lower": "lower", "higher": "higher", "similar": "the same", "not lower": "not lower"}


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
        against: Name of the arm below it; None to compare with ``constant``.
        side: ``lower``, ``higher``, ``similar`` or ``not lower``: where the arm should lie.
        published: Data set -> published ratio or difference.
        against_metric: Metric of ``against``; None for the same one.
        constant: What the arm is compared with if there is no other arm.
        difference: Compare by difference, for metrics that may be 0 or negative; else by ratio.
        tolerance: How far the ratio may be from 1 to be similar.
    """

    id: str
    source: str
    text: str
    method: str
    metric: str
    arm: str
    against: str | None
    side: str
    published: Mapping[str, float] = field(default_factory=dict)
    against_metric: str | None = None
    constant: float = float("nan")
    difference: bool = False
    tolerance: float = SIMILAR


@dataclass(frozen=True)
class Verdict:
    """What came out.

    Args:
        claim: What was tested.
        ratio: Mean of the arm over (or minus) the mean of the other.
        low: Lower end of the 95 % interval over persons.
        high: Upper end.
        state: ``held``, ``reversed``, ``open``, or ``untested`` where an arm has no such value.
        arm_mean: Mean of the arm, in the metric's unit.
        against_mean: Mean of the other.
        people: How many persons (or draws) were measured.
        seeds: How many runs an arm were pooled.
        reason: Why it is untested.
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
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        claim = self.claim
        other = claim.against or f"{claim.constant:g}"
        if claim.against_metric:
            other = f"{other}: {claim.against_metric}"
        return {
            "id": claim.id, "metric": claim.metric, "claim": claim.text, "state": self.state,
            "difference" if claim.difference else "ratio": self.ratio, "low": self.low, "high": self.high,
            "published": dict(claim.published), "means": {claim.arm: self.arm_mean, other: self.against_mean},
            "people": self.people, "seeds": self.seeds, "reason": self.reason,
        }  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """What is trained and evaluated on one side of a claim.

    Args:
        model: Name of the method; empty for what needs no training and stands beside the others.
        settings: Constructor arguments and training settings over those of the profile.
    """

    model: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Results:
    """Reports by arm: one a seed, each with the name that the arm has in it."""

    reports: dict[str, list[tuple[Report, str]]] = field(default_factory=dict)

    def add(self, arm: str, report: Report, system: str | None = None) -> None:
        """Adds one seed's report of an arm, which is called ``system`` there; None: as the arm."""
        self.reports.setdefault(arm, []).append((report, system or arm))

    def per_person(self, arm: str, metric: str) -> dict[str, float]:
        """Mean of a metric for each person (or draw), over seeds and scans."""
        if arm not in self.reports:
            raise UnknownName("arm", arm, self.reports)
        runs = [report.by_person(system, metric) for report, system in self.reports[arm]]
        shared = set.intersection(*(set(run) for run in runs))
        return {person: float(np.mean([run[person] for run in runs])) for person in sorted(shared)}


def verdicts_of(results: Results, claims: Sequence[Claim], *, resamples: int = 4000) -> list[Verdict]:
    """Tests claims on results; persons are drawn together for both arms, as the same people were tested."""
    return [_verdict(results, claim, resamples) for claim in claims]


def _verdict(results: Results, claim: Claim, resamples: int) -> Verdict:
    nan = float("nan")
    try:
        one = results.per_person(claim.arm, claim.metric)
        other = dict.fromkeys(one, claim.constant)
        if claim.against is not None:
            other = results.per_person(claim.against, claim.against_metric or claim.metric)
    except UnknownName as error:
        return Verdict(claim, nan, nan, nan, "untested", nan, nan, 0, 0, error.cause)
    people = sorted(set(one) & set(other))
    if len(people) < 2:
        raise BadSetting(
            f"claim {claim.id} needs {claim.metric} of at least two people in both arms",
            received=len(people), remedy="use a data set with neutrals and more test people",
        )  # fmt: skip
    above, below = np.array([one[p] for p in people]), np.array([other[p] for p in people])
    drawn = np.random.default_rng(581).integers(len(people), size=(resamples, len(people)))
    drawn_above, drawn_below = above[drawn].mean(axis=1), below[drawn].mean(axis=1)
    means = float(above.mean()), float(below.mean())
    with np.errstate(divide="ignore", invalid="ignore"):
        found = drawn_above - drawn_below if claim.difference else drawn_above / drawn_below
        value = means[0] - means[1] if claim.difference else float(np.divide(*means))
    low, high = (float(bound) for bound in np.nanquantile(found, [0.025, 0.975]))
    seeds = min(len(results.reports[arm]) for arm in (claim.arm, claim.against or claim.arm))
    state = state_of(claim.side, low, high, tolerance=claim.tolerance, difference=claim.difference)
    return Verdict(claim, value, low, high, state, *means, len(people), seeds)


def state_of(
    side: str, low: float, high: float, *, tolerance: float = SIMILAR, difference: bool = False
) -> str:
    """``held``, ``reversed`` or ``open`` for an interval of the ratio, or of the difference."""
    if difference:
        low, high = (float(np.exp(np.clip(bound, -700, 700))) for bound in (low, high))  # 0 becomes 1
    if side == "similar":
        inside = 1 / (1 + tolerance) <= low and high <= 1 + tolerance
        outside = high < 1 / (1 + tolerance) or low > 1 + tolerance
        return "held" if inside else "reversed" if outside else "open"
    if side == "not lower":
        edge = 1 / (1 + tolerance)
        return "held" if low >= edge else "reversed" if high < edge else "open"
    if side == "higher":
        return "held" if low > 1 else "reversed" if high < 1 else "open"
    return "held" if high < 1 else "reversed" if low > 1 else "open"


def table_of(verdicts: Sequence[Verdict]) -> Table:
    """The verdicts as a table, the published ratios beside."""
    rows = tuple(
        (
            verdict.claim.id, verdict.claim.text, verdict.claim.metric,
            f"{verdict.arm_mean:.3f} / {verdict.against_mean:.3f}",
            ("difference " if verdict.claim.difference else "")
            + f"{verdict.ratio:.2f} ({verdict.low:.2f} to {verdict.high:.2f})", SIDES[verdict.claim.side],
            ", ".join(f"{name} {value:.2f}" for name, value in verdict.claim.published.items()) or "–",
            verdict.state + (f": {verdict.reason}" if verdict.reason else ""),
        )
        for verdict in verdicts
    )  # fmt: skip
    note = (
        "Ratio (or difference) of two settings, of a setting and the training data, or of a value and a "
        "constant, with its 95 % interval over persons (over draws for generated faces), seeds pooled."
    )
    if tested := [verdict for verdict in verdicts if verdict.people]:
        note += f" {tested[0].people} people, {tested[0].seeds} seed(s)."
    header = ("claim", "says", "metric", "means", "ratio", "claimed", "published", "verdict")
    return Table("Claims", note, header, rows)
