"""Which claims of the papers hold in a bench: its runs stand for the arms of the claims.

A system of the bench stands for an arm when it is of the arm's method and agrees with it in every setting
that tells arms of a paper from each other; schedules, sizes and seeds are those of the bench. Controls stand
for the arms that need no training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mien.claims import ARMS, CLAIMS, TRAINING_DATA, Arm, Claim, Results, Verdict, verdicts_of
from mien.errors import UnknownName
from mien.evaluation import Report
from mien.evaluation.motion.making import REAL
from mien.experiments.bench_file import Bench
from mien.training import plan_training

CLAIM_COLUMNS = (
    "id", "method", "claim", "metric", "arm", "against", "side", "value", "low", "high", "arm_mean",
    "against_mean", "published", "state", "people", "seeds",
)  # fmt: skip
"""What is kept of a verdict; ``value`` is a ratio, or a difference where ``against`` says so."""
Runs = Mapping[str, Sequence[Report]]
"""System of the bench -> one report a seed, each with the system under ``NAME/seed-N``."""


def claims_of(bench: Bench, data: str, runs: Runs, controls: Report | None) -> list[Verdict]:
    """The verdicts on all claims of which every arm has been run on one data set.

    Args:
        bench: What was run.
        data: Name of the data set.
        runs: The finished runs on it.
        controls: The report on what needs no training.
    """
    found: list[Verdict] = []
    for method, arms in ARMS.items():
        results = Results()
        for name, arm in arms.items():
            _add(results, name, arm, system_of(bench, data, method, name), runs, controls)
        claims = [claim for claim in CLAIMS if claim.method == method and _measured(claim, results)]
        found += verdicts_of(results, claims)
    return found


def claim_line(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain values, by :data:`CLAIM_COLUMNS`.

    Args:
        verdict: Any.
    """
    claim = verdict.claim
    against = claim.against if claim.against is not None else f"{claim.constant:g}"
    against += f", {claim.against_metric}" if claim.against_metric else ""
    against += " (difference)" if claim.difference else ""
    published = "; ".join(f"{name} {value:.4g}" for name, value in claim.published.items())
    shared = {name: getattr(claim, name) for name in ("id", "method", "metric", "arm", "side")}
    told = ("low", "high", "arm_mean", "against_mean", "state", "people", "seeds")
    own = {name: getattr(verdict, name) for name in told}
    more = {"claim": claim.text, "against": against, "value": verdict.ratio, "published": published}
    return {**shared, **own, **more}


def system_of(bench: Bench, data: str, method: str, arm: str) -> str | None:
    """The system of a bench that stands for an arm; None where none does.

    Args:
        bench: What is run.
        data: Name of the data set.
        method: Whose claims, as in :data:`mien.claims.ARMS`.
        arm: Its name there.
    """
    wanted = ARMS[method][arm]
    if not wanted.model:
        return None
    rivals = [other for other in ARMS[method].values() if other.model == wanted.model]
    telling = {key for other in rivals for key in other.settings}
    plan = plan_training(wanted.model, dict(wanted.settings), profile=bench.profile)
    needs = _told(plan, telling)
    for system in bench.runs_of(data):
        own = bench.plan(system, bench.seeds[0])
        if own.model == wanted.model and _told(own, telling) == needs:
            return system
    return None


def _told(plan: Any, names: set[str]) -> dict[str, Any]:
    """The settings of these names, in plain values."""
    settings = {**plan.arguments, **plan.settings}
    return {key: list(v) if isinstance(v := settings.get(key), tuple | list) else v for key in names}


def _add(
    results: Results, name: str, arm: Arm, system: str | None, runs: Runs, controls: Report | None
) -> None:
    """The reports that stand for an arm, if there are any."""
    for report in runs.get(system or "", ()):
        results.add(name, report, next(iter(report.systems)))
    if name not in results.reports and controls is not None:
        label = arm.model or {TRAINING_DATA: TRAINING_DATA, REAL: REAL}[name]
        if label in controls.people or label in controls.meshes:
            results.add(name, controls, label)


def _measured(claim: Claim, results: Results) -> bool:
    """Both sides of a claim have been run and have its metric."""
    sides = [(claim.arm, claim.metric)]
    if claim.against is not None:
        sides.append((claim.against, claim.against_metric or claim.metric))
    try:
        return all(len(results.per_person(arm, metric)) > 1 for arm, metric in sides)
    except UnknownName:
        return False
