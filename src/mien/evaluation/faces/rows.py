"""One system on the test scans: its sweep turned into rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadSetting, MienError
from mien.evaluation.faces.controls import consistency_rows, reconstruction_rows, transfer_rows
from mien.evaluation.faces.sweep import (
    Runner,
    Sweep,
    measure_speed,
    sweep_expressions,
    sweep_paths,
    sweep_people,
    sweep_transfer,
)
from mien.evaluation.probes import folds_of, leakage
from mien.evaluation.rows import Maker, Row
from mien.evaluation.subjects import TestScans, TransferDraws
from mien.models import model_class
from mien.models.base import FaceModel


@dataclass
class SystemResult:
    """Rows of a system, its errors scan by scan, its consistency person by person, and what it is."""

    system: str
    rows: list[Row]
    scans: dict[str, list[float | None]] = field(default_factory=dict)
    people: dict[str, dict[str, float]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def judge_control(name: str, judged: TestScans, batch: int, draws: TransferDraws | str) -> SystemResult:
    """Prepares a method without training on the training part and judges it like a model."""
    maker = Maker(name, "control", judged.seed)
    if not judged.train.has_neutral.any():
        return SystemResult(name, [maker.absent("transfer_avd", "no training person has a neutral scan")])
    try:
        model = model_class(name)(judged.data.topology, judged.data.expressions)
        model.prepare(judged.train)
        model.calibrate(judged.train)
    except MienError as error:
        return SystemResult(name, [maker.absent("transfer_avd", error.cause)])
    return judge(maker, Runner(model, judged, batch), draws=draws, speed=False)


def judge(maker: Maker, runner: Runner, *, draws: TransferDraws | str, speed: bool) -> SystemResult:
    """All rows of one model and its errors scan by scan. What one test refuses does not stop the next."""
    sweep, rows = Sweep(), list[Row]()
    ways: dict[str, NDArray] = {}
    tests: list[tuple[str, Callable[[], None]]] = [
        ("reconstruction", lambda: sweep_people(runner, sweep)),
        ("expression_consistency", lambda: sweep_expressions(runner, sweep)),
        ("interpolation", lambda: ways.update(sweep_paths(runner))),
    ]
    if isinstance(draws, TransferDraws):
        tests.append(("transfer", lambda: sweep_transfer(runner, sweep, draws)))
    else:
        sweep.refused["transfer"] = draws
    if speed:
        tests.append(("speed", lambda: measure_speed(runner, sweep)))
    for name, test in tests:
        try:
            test()
        except MienError as error:
            sweep.refused[name] = error.cause
    judged = runner.judged
    rows += _rows_of_scans(maker, judged, sweep)
    rows += _rows_of_identity(maker, judged, sweep)
    rows += _rows_of_transfer(maker, judged, sweep, draws)
    rows += _rows_of_codes(maker, judged, sweep)
    rows += [maker.over_people(name, values, unit="") for name, values in ways.items()]
    rows += [maker.number("parameters", runner.model.parameter_count, unit="")]
    for name in ("encode_ms", "decode_ms"):
        if name in sweep.facts:
            rows.append(maker.number(name, sweep.facts[name], unit="ms"))
    scans, people = _kept(judged, sweep, draws, ways)
    return SystemResult(maker.system, rows, scans, people, system_facts(runner.model))


def _kept(
    judged: TestScans, sweep: Sweep, draws: TransferDraws | str, ways: dict[str, NDArray]
) -> tuple[dict[str, list[float | None]], dict[str, dict[str, float]]]:
    """Metric -> values scan by scan, and metric -> person -> value: what claims are tested on."""
    rec = None if sweep.rec is None else sweep.rec.mean(axis=1, dtype=np.float64)
    kept = {
        "rec_avd_mesh": rec, "rec_detail": sweep.detail, "neu_avd": sweep.neutral,
        "neu_avd_triplet": sweep.neutral_triplet,
    }  # fmt: skip
    scans = {name: _plain(values) for name, values in kept.items() if values is not None}
    names = [judged.data.subjects[person] for person in judged.people]
    each = sweep.consistency | {f"decomposition_{k}": v for k, v in sweep.decomposition.items()} | ways
    if isinstance(draws, TransferDraws) and sweep.transfer is not None:
        each |= _transfer_by_person(judged, draws, sweep.transfer)
    people = {
        metric: {name: float(value) for name, value in zip(names, values) if np.isfinite(value)}
        for metric, values in each.items()
    }
    return scans, people


def _transfer_by_person(judged: TestScans, draws: TransferDraws, errors: NDArray) -> dict[str, NDArray]:
    """(S,) mean over the draws onto each person, for all expressions and for each."""
    person, label = judged.person[draws.target], judged.label[draws.target]
    groups = {"transfer_avd": np.ones(len(label), bool)}
    groups |= {f"transfer_avd/{judged.data.expressions[k]}": label == k for k in np.unique(label)}
    found = {}
    for name, chosen in groups.items():
        count = np.bincount(person[chosen], minlength=len(judged.people))
        total = np.bincount(person[chosen], errors[chosen], minlength=len(judged.people))
        found[name] = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    return found


def _plain(values: NDArray) -> list[float | None]:
    """Numbers for JSON: rounded to a micrometer, null where there is none."""
    return [round(float(value), 6) if np.isfinite(value) else None for value in values]


def _rows_of_scans(maker: Maker, judged: TestScans, sweep: Sweep) -> Iterator[Row]:
    if sweep.rec is None or sweep.detail is None or "reconstruction" in sweep.refused:
        yield maker.absent("rec_avd_mesh", sweep.refused.get("reconstruction", "no reconstruction"))
        return
    yield from reconstruction_rows(maker, judged, sweep.rec, sweep.detail)
    without = "" if judged.with_neutral.any() else "no person has a neutral scan"
    for metric in ("neutral", "neutral_aligned", "neutral_triplet"):
        name, values = metric.replace("neutral", "neu_avd"), getattr(sweep, metric)
        if values is None:
            yield maker.absent(name, sweep.refused.get("neutral", ""))
        else:
            yield maker.over_meshes(name, values, judged.person, reason=without)


def _rows_of_identity(maker: Maker, judged: TestScans, sweep: Sweep) -> Iterator[Row]:
    if sweep.means is None:
        yield maker.absent("id_mad", sweep.refused.get("identity", sweep.refused.get("reconstruction", "")))
    else:
        yield from consistency_rows(maker, sweep.consistency, sweep.means)
        yield from consistency_rows(maker, sweep.decomposition, sweep.means, prefix="decomposition_")
    if sweep.expression_consistency:
        for name, values in sweep.expression_consistency.items():
            yield maker.over_people(name, values)
    else:
        yield maker.absent("exp_mad", sweep.refused.get("expression_consistency", ""))
    for name in ("rank1_mesh", "rank1_code"):
        found = getattr(sweep, name)
        if found is None:
            yield maker.absent(name, sweep.refused.get("recognition", ""), unit="%")
        else:
            assert sweep.probe_rows is not None
            person = judged.person[sweep.probe_rows]
            yield maker.over_meshes(name, 100.0 * found, person, unit="%")


def _rows_of_transfer(
    maker: Maker, judged: TestScans, sweep: Sweep, draws: TransferDraws | str
) -> Iterator[Row]:
    if (
        sweep.transfer is None
        or sweep.kept is None
        or sweep.floor is None
        or not isinstance(draws, TransferDraws)
    ):
        yield maker.absent("transfer_avd", sweep.refused.get("transfer", ""))
        return
    yield from transfer_rows(maker, judged, draws, sweep.transfer)
    yield from transfer_rows(maker, judged, draws, sweep.kept, metric="transfer_avd_detail")
    yield from transfer_rows(maker, judged, draws, sweep.floor, metric="transfer_floor")


def _rows_of_codes(maker: Maker, judged: TestScans, sweep: Sweep) -> Iterator[Row]:
    """Each label read from each code: wanted is high on the diagonal and chance off it."""
    for code in ("identity", "expression"):
        values = getattr(sweep, code)
        for label in ("person", "expression"):
            metric = f"leakage_{label}_from_{code}"
            if values is None:
                yield maker.absent(metric, sweep.refused.get("identity_code", "no code"), unit="%")
            else:
                yield _leakage_row(maker, judged, metric, values, label)


def _leakage_row(maker: Maker, judged: TestScans, metric: str, codes: NDArray, label: str) -> Row:
    known = np.isfinite(codes[:, 0]) & (judged.label != -2 if label == "expression" else True)
    person, shown = judged.person[known], judged.label[known]
    target, groups = (person, shown) if label == "person" else (shown, person)
    if label == "person":  # unlabeled scans: each on its own
        groups = np.where(groups == -2, groups.max(initial=0) + 1 + np.arange(len(groups)), groups)
    try:
        found = leakage(codes[known], target, folds_of(groups, seed=judged.seed))
    except BadSetting as error:
        return maker.absent(metric, error.cause, unit="%")
    return maker.over_meshes(metric, 100.0 * found.correct, person, unit="%")


def raw_scans(judged: TestScans) -> Iterator[Row]:
    """The same readers on the scans themselves, which hold both labels; and chance."""
    maker = Maker("raw scans", "control", judged.seed)
    count = min(len(judged.data), 2000)  # one array of whole meshes: bounded
    rows = np.linspace(0, len(judged.data) - 1, count).round().astype(int)
    scans = np.full((len(judged.data), judged.data.topology.vertex_count * 3), np.nan, np.float32)
    scans[rows] = judged.data[rows].reshape(count, -1)
    chance = Maker("chance", "control")
    for label, target in (("person", judged.person), ("expression", judged.label[judged.label != -2])):
        row = _leakage_row(maker, judged, "", scans, label)
        share = 100 * np.unique(target, return_counts=True)[1].max() / len(target) if len(target) else np.nan
        for code in ("identity", "expression"):
            metric = f"leakage_{label}_from_{code}"
            yield replace(row, metric=metric)
            yield chance.number(metric, float(share), unit="%", reason="no expression labels")
    gallery = int(np.isin(np.arange(len(judged.people)), judged.person[judged.label == -1]).sum())
    for metric in ("rank1_mesh", "rank1_code"):
        yield chance.number(
            metric, 100 / gallery if gallery else np.nan, unit="%", reason="nobody has a neutral"
        )


def code_size(model: FaceModel) -> int:
    """Total numbers of a code; 0 for models whose codes are meshes."""
    if model.anchored:
        return 0
    sizes = [model.calibration.identity_mean.numel(), model.calibration.expression_mean.numel()]
    return sum(sizes) if max(sizes) < 3 * model.topology.vertex_count else 0


def system_facts(model: FaceModel) -> dict[str, Any]:
    mesh = 3 * model.topology.vertex_count
    sizes = [model.calibration.identity_mean.numel(), model.calibration.expression_mean.numel()]
    identity, expression = (str(size) if size < mesh else "mesh" for size in sizes)
    return {
        "method": model.name,
        "latent": f"{'neutral given' if model.anchored else identity} + {expression}",
        "anchored": model.anchored,
        "needs_neutrals": model.needs_neutrals,
        "config": model.config,
    }
