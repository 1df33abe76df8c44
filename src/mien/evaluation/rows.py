"""One number of a report: which system, which metric, how sure, and why not if there is none."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.evaluation.metrics import metric_named
from mien.evaluation.statistics import Statistics, bootstrap


@dataclass(frozen=True)
class Row:
    """A measured value.

    Args:
        system: The model's or control's label.
        kind: ``model`` or ``control``.
        metric: Name of the specification, e.g. ``rec_avd_mesh``.
        mean: The value; None where it cannot be had, with ``reason``.
        std: Standard deviation over meshes, persons or vertices, whichever the metric says.
        median: Likewise.
        low: Lower end of the 95 % interval over persons.
        high: Upper end.
        count: How many meshes, persons, vertices or draws.
        unit: ``mm``, ``%``, ``ms`` or empty.
        reason: Why there is no value, or what the reader must know about it.
        seeds: How many runs, which differ by their seeds, were averaged.
        seed_std: Standard deviation of their means.
    """

    system: str
    kind: str
    metric: str
    mean: float | None = None
    std: float | None = None
    median: float | None = None
    low: float | None = None
    high: float | None = None
    count: int = 0
    unit: str = "mm"
    reason: str = ""
    seeds: int = 1
    seed_std: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON and CSV."""
        return asdict(self)


@dataclass(frozen=True)
class RowMaker:
    """Makes the rows of one system; units are those of :data:`mien.evaluation.metrics.METRICS`.

    Args:
        system: The model's or control's label.
        kind: ``model`` or ``control``.
        seed: Of the bootstrap.
    """

    system: str
    kind: str
    seed: int = 0

    def over_scans(self, metric: str, values: NDArray, person: NDArray, *, reason: str = "") -> Row:
        """A row of one value a scan, nan left out, with the interval over persons.

        Args:
            metric: Its name.
            values: (n,) float, in the metric's unit.
            person: (n,) int. Whose scan it is.
            reason: Why there is no value, if all are nan; otherwise what the reader must know.
        """
        known = np.isfinite(values)
        if not known.any():
            return self.absent(metric, reason or "nothing to measure")
        interval = bootstrap(values[known], person[known], seed=self.seed)
        return self._row(metric, Statistics.of(values[known]), interval, reason)

    def over_people(self, metric: str, values: NDArray, *, reason: str = "") -> Row:
        """A row of one value a person, expression or drawn face, with the interval over them.

        Args:
            metric: Its name.
            values: (n,) float, in the metric's unit; nan is left out.
            reason: As above.
        """
        return self.over_scans(metric, values, np.arange(len(values)), reason=reason)

    def number(self, metric: str, value: float, *, count: int = 1, reason: str = "") -> Row:
        """A row of one number without spread."""
        if not np.isfinite(value):
            return self.absent(metric, reason or "undefined here")
        unit = metric_named(metric)[1]
        return Row(self.system, self.kind, metric, float(value), count=count, unit=unit, reason=reason)

    def pooled(self, metric: str, values: NDArray) -> Row:
        """Statistics over all vertices of all scans; no interval: vertices are not independent.

        Args:
            metric: Its name.
            values: (n, V) float, millimeters; scans that were not measured are nan.
        """
        known = np.isfinite(values[:, 0])
        return self._row(metric, Statistics.of(values[known]), (float("nan"), float("nan")), "")

    def absent(self, metric: str, reason: str) -> Row:
        """A dash with its reason."""
        return Row(self.system, self.kind, metric, unit=metric_named(metric)[1], reason=reason)

    def _row(self, metric: str, found: Statistics, interval: tuple[float, float], reason: str) -> Row:
        low, high = interval if np.isfinite(interval[0]) else (None, None)
        return Row(
            self.system, self.kind, metric, found.mean, found.std, found.median, low, high, found.count,
            metric_named(metric)[1], reason,
        )  # fmt: skip
