"""What was measured of one system, as rows, and as the values that claims are tested on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mien.evaluation.faces.measured import Measured
from mien.evaluation.rows import Row, RowMaker
from mien.evaluation.scans import TransferDraws

BY_SCAN = ("rec_avd_mesh", "rec_detail", "neu_avd", "neu_avd_triplet", "rec_avd_mesh_truth", "neu_avd_truth",
           "neu_avd_triplet_truth", "rank1_mesh")  # fmt: skip
"""Metrics whose values a report keeps scan by scan."""
BY_EXPRESSION = ("transfer_avd", "transfer_avd_truth")
"""Metrics that have a row an expression."""


def rows_of(maker: RowMaker, found: Measured, draws: TransferDraws | None) -> Iterator[Row]:
    """A row for each metric that was measured or refused.

    Args:
        maker: Of the system's rows.
        found: Its values.
        draws: What the values of a transfer belong to.
    """
    test, why = found.test, found.refused
    for metric, values in found.scans.items():
        if values.ndim == 2:
            yield maker.pooled(metric, values)
        else:
            yield maker.over_scans(metric, values, test.person, reason=why.get(metric, ""))
    for metric, values in (found.people | found.expressions).items():
        yield maker.over_people(metric, values, reason=why.get(metric, ""))
    for metric, values in found.draws.items():
        assert draws is not None
        yield maker.over_scans(metric, values, test.person[draws.target])
        for name, chosen in _by_expression(found, draws, metric) if metric in BY_EXPRESSION else ():
            yield maker.over_scans(name, values[chosen], test.person[draws.target[chosen]])
    for metric, (value, count) in found.numbers.items():
        reason = why.get(metric, "") if not np.isfinite(value) else ""
        yield maker.number(metric, value, count=count, reason=reason)
    measured = {*found.scans, *found.people, *found.expressions, *found.draws, *found.numbers}
    for metric, reason in why.items():
        if metric not in measured:
            yield maker.absent(metric, reason)


def _by_expression(found: Measured, draws: TransferDraws, metric: str) -> list[tuple[str, NDArray[np.bool_]]]:
    """``transfer_avd/EXPRESSION`` and which draws are of it."""
    label, names = found.test.label[draws.target], found.test.data.expressions
    return [(f"{metric}/{names[index]}", label == index) for index in np.unique(label)]


def values_of_scans(found: Measured) -> dict[str, list[float | None]]:
    """Metric -> one value a scan for JSON: rounded to a nanometer, null where there is none."""
    return {
        metric: [
            round(float(value), 6) if np.isfinite(value) else None for value in found.scans[metric]
        ]
        for metric in BY_SCAN if metric in found.scans
    }  # fmt: skip


def values_of_people(found: Measured, draws: TransferDraws | None) -> dict[str, dict[str, float]]:
    """Metric -> person -> value: consistency, paths, and the mean transfer onto each person."""
    test = found.test
    each = dict(found.people)
    for metric in BY_EXPRESSION if draws is not None else ():
        if metric not in found.draws or draws is None:
            continue
        person, errors = test.person[draws.target], found.draws[metric]
        groups = [(metric, np.ones(len(person), bool)), *_by_expression(found, draws, metric)]
        for name, chosen in groups:
            count = np.bincount(person[chosen], minlength=len(test.people))
            total = np.bincount(person[chosen], errors[chosen], minlength=len(test.people))
            each[name] = np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)
    names = [test.data.subjects[person] for person in test.people]
    return {
        metric: {name: float(value) for name, value in zip(names, values) if np.isfinite(value)}
        for metric, values in each.items()
    }
