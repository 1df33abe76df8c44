"""One number of a report: which system, which metric, how sure, and why not if there is none."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.evaluation.metrics import Statistics
from mien.evaluation.probes import bootstrap

KINDS = ("model", "control")


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

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON and CSV."""
        return asdict(self)


@dataclass(frozen=True)
class Maker:
    """Makes the rows of one system."""

    system: str
    kind: str
    seed: int = 0

    def over_meshes(
        self, metric: str, values: NDArray, person: NDArray, *, unit: str = "mm", reason: str = ""
    ) -> Row:
        """A row of (n,) values a mesh, nan left out, with the interval over persons."""
        known = np.isfinite(values)
        if not known.any():
            return self.absent(metric, reason or "nothing to measure", unit=unit)
        low, high = bootstrap(values[known], person[known], seed=self.seed)
        return self._row(metric, Statistics.of(values[known]), low, high, unit, reason)

    def over_people(self, metric: str, values: NDArray, *, unit: str = "mm", reason: str = "") -> Row:
        """A row of (S,) values a person (or expression)."""
        return self.over_meshes(metric, values, np.arange(len(values)), unit=unit, reason=reason)

    def number(self, metric: str, value: float, *, unit: str = "mm", count: int = 1, reason: str = "") -> Row:
        """A row of one number without spread."""
        if not np.isfinite(value):
            return self.absent(metric, reason or "undefined here", unit=unit)
        return Row(self.system, self.kind, metric, float(value), count=count, unit=unit, reason=reason)

    def pooled(self, metric: str, values: NDArray) -> Row:
        """Statistics over all vertices of all meshes (n, V); no interval: vertices are not independent."""
        known = np.isfinite(values[:, 0])
        nan = float("nan")
        return self._row(metric, Statistics.of(values[known]), nan, nan, "mm", "")

    def absent(self, metric: str, reason: str, *, unit: str = "mm") -> Row:
        """A dash with its reason."""
        return Row(self.system, self.kind, metric, unit=unit, reason=reason)

    def _row(self, metric: str, found: Statistics, low: float, high: float, unit: str, reason: str) -> Row:
        bounds = (low, high) if np.isfinite(low) else (None, None)
        return Row(
            self.system, self.kind, metric, found.mean, found.std, found.median, bounds[0], bounds[1],
            found.count, unit, reason,
        )  # fmt: skip
