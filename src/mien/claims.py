"""The papers' headline claims as ratios that any labeled data set can test again.

A claim compares one metric of two arms (settings of one method). It is *held* when the 95 % bootstrap
interval of the ratio over persons, seeds pooled, lies on the stated side of 1; *reversed* when it lies on the
other; *open* otherwise. Published ratios are shown beside; they are no thresholds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mien.data.dataset import FaceDataset
from mien.errors import BadSetting, UnknownName
from mien.evaluate import Report, Table, evaluate
from mien.train import fit_model, plan_training

SIMILAR = 0.15
"""Two arms are similar when their ratio and its inverse stay below 1 + this."""


@dataclass(frozen=True)
class Claim:
    """One claim.

    Args:
        id: As in the specification, e.g. ``G1``.
        source: The paper.
        text: What it claims.
        method: The method whose arms are compared.
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


PLAIN, FREE = "without neutrals, without discriminator", "without neutrals, with discriminator"
PAIRED, FULL = "with neutrals, without discriminator", "with neutrals, with discriminator"
ARMS: dict[str, dict[str, dict[str, Any]]] = {
    "adversarial_vae": {
        PLAIN: {"neutrals": False, "identity_discriminator": False},
        FREE: {"neutrals": False, "identity_discriminator": True},
        PAIRED: {"neutrals": True, "identity_discriminator": False},
        FULL: {"neutrals": True, "identity_discriminator": True},
    }
}
"""Method -> arm -> training settings."""


def _gu(id: str, text: str, metric: str, arm: str, against: str, side: str, **published: float) -> Claim:
    return Claim(id, "Gu et al., FG 2023", text, "adversarial_vae", metric, arm, against, side, published)


CLAIMS: tuple[Claim, ...] = (
    _gu("G1", "without neutrals the identity discriminator cuts the neutralization error", "neu_avd",
        FREE, PLAIN, "lower", FaceScape=0.259, BU3DFE=0.591, CoMA=0.551),
    _gu("G2", "and the spread of the identity", "id_std_pooled",
        FREE, PLAIN, "lower", FaceScape=0.427, BU3DFE=0.366, CoMA=0.122),
    _gu("G2", "and the spread of the identity", "id_mad", FREE, PLAIN, "lower"),
    _gu("G3", "at little cost in reconstruction", "rec_avd_mesh",
        FREE, PLAIN, "similar", FaceScape=0.975, BU3DFE=0.967, CoMA=1.141),
    _gu("G4", "with neutrals the discriminator changes little", "neu_avd",
        FULL, PAIRED, "similar", FaceScape=1.000, BU3DFE=1.005, CoMA=0.915),
    _gu("G4", "with neutrals the discriminator changes little", "id_std_pooled",
        FULL, PAIRED, "similar", FaceScape=0.978, BU3DFE=1.009, CoMA=0.875),
    _gu("G5", "having no neutrals has a price", "neu_avd",
        FREE, FULL, "higher", FaceScape=1.615, BU3DFE=1.283, CoMA=23.5),
)  # fmt: skip


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


def chosen(ids: Iterable[str] = ()) -> list[Claim]:
    """The claims of these ids; all without any.

    Raises:
        UnknownName: An id that no claim has.
    """
    known = list(dict.fromkeys(claim.id for claim in CLAIMS))
    wanted = list(ids) or known
    for id in wanted:
        if id not in known:
            raise UnknownName("claim", id, known)
    return [claim for claim in CLAIMS if claim.id in wanted]


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


def retest(
    data: FaceDataset, out: Path | str, *, ids: Sequence[str] = (), profile: str = "standard",
    seeds: Sequence[int] = (0, 1, 2), protocol: str = "subject", settings: Mapping[str, Any] | None = None,
    precision: str = "32-true",
) -> list[Verdict]:  # fmt: skip
    """Trains every arm that the claims need, judges it on unseen people, and tests the claims.

    Runs are kept in ``out`` and resumed, so a stopped test goes on where it was.

    Args:
        data: The whole data set.
        out: Folder of the runs.
        ids: Which claims; none for all.
        profile: Training profile.
        seeds: Of the runs; the paper averages three.
        protocol: How the data is divided.
        settings: Further training settings, the same for all arms.
        precision: Of the training.
    """
    claims, results = chosen(ids), Results()
    arms = dict.fromkeys((claim.method, arm) for claim in claims for arm in (claim.arm, claim.against))
    for method, arm in arms:
        for seed in seeds:
            overrides = {**(settings or {}), **ARMS[method][arm]}
            plan = plan_training(method, overrides, profile=profile, seed=seed, protocol=protocol)
            folder = Path(out) / f"{method}-{arm.replace(', ', '-').replace(' ', '-')}-seed-{seed}"
            model = fit_model(plan, data, folder, resume=(folder / "run.json").exists(), precision=precision)
            report = evaluate({arm: model}, data, protocol=protocol, controls=(), speed=False)
            results.add(arm, report)
    return judge(results, claims)
