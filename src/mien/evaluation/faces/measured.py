"""What was measured of one system on the test scans, metric by metric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mien.evaluation.distances import Meshes
from mien.evaluation.faces import metrics
from mien.evaluation.metrics import TRUTH
from mien.evaluation.scans import TestScans
from mien.geometry.openings import visible_openings
from mien.topology import Topology

REGIONS = ("mouth", "eyes", "brows")
"""Parts of the face with an error of their own, where the topology names them."""


@dataclass
class Measured:
    """Values by metric; nan where a scan or person was not measured.

    Args:
        test: The test scans: n of S people.
        scans: Metric -> (n,) float, or (n, V) for metrics of vertices, in the metric's unit.
        people: Metric -> (S,) float.
        expressions: Metric -> (E,) float.
        draws: Metric -> (draws,) float.
        numbers: Metric -> one float, and of how many things.
        codes: Factor -> (n, D) float, without unit.
        means: (S, V, 3) float, millimeters: the mean predicted neutral of each person, or None.
        refused: Metric -> why it has no value.
    """

    test: TestScans
    scans: dict[str, NDArray] = field(default_factory=dict)
    people: dict[str, NDArray] = field(default_factory=dict)
    expressions: dict[str, NDArray] = field(default_factory=dict)
    draws: dict[str, NDArray] = field(default_factory=dict)
    numbers: dict[str, tuple[float, int]] = field(default_factory=dict)
    codes: dict[str, NDArray] = field(default_factory=dict)
    means: Meshes | None = None
    refused: dict[str, str] = field(default_factory=dict)

    def put_scans(self, rows: NDArray[np.integer], values: Mapping[str, NDArray]) -> None:
        """Adds values of some scans.

        Args:
            rows: (k,) int. Which scans.
            values: Metric -> (k,) or (k, V) float, in the metric's unit.
        """
        for metric, found in values.items():
            _put(self.scans, metric, len(self.test.data), rows, found)

    def put_reconstruction(self, rows: NDArray[np.integer], predicted: Meshes) -> None:
        """Adds errors of reconstructions (k, V, 3) float, millimeters, of some scans (k,) int."""
        data = self.test.data
        self.put_scans(rows, reconstruction(data[rows], predicted, data.topology))
        if self.test.truth:
            found = reconstruction(data.true_faces(rows), predicted, data.topology)
            self.put_scans(rows, against_truth(found))

    def put_neutrals(self, number: int, rows: NDArray[np.integer], neutrals: Meshes) -> None:
        """Adds errors of one person's predicted neutrals.

        Args:
            number: Of the person.
            rows: (k,) int. Which scans.
            neutrals: (k, V, 3) float, millimeters.
        """
        self.put_scans(rows, neutralization(self.test.neutrals[number], neutrals))
        if self.test.truth:
            self.put_scans(rows, against_truth(neutralization(self.test.rests[number], neutrals)))

    def put_codes(self, rows: NDArray[np.integer], values: Mapping[str, NDArray]) -> None:
        """Adds codes of some scans.

        Args:
            rows: (k,) int. Which scans.
            values: Factor -> (k, D) float, without unit.
        """
        for factor, found in values.items():
            _put(self.codes, factor, len(self.test.data), rows, found)

    def put_person(self, number: int, values: Mapping[str, float], *, prefix: str = "") -> None:
        """Adds values of one person, by metric; the prefix stands before each metric's name."""
        for metric, found in values.items():
            _put(self.people, prefix + metric, len(self.test.people), np.array([number]), np.array([found]))

    def put_mean(self, number: int, neutrals: Meshes) -> None:
        """Keeps the mean of one person's predicted neutrals (k, V, 3) float, millimeters."""
        if self.means is None:
            self.means = np.full_like(self.test.neutrals, np.nan)
        self.means[number] = neutrals.mean(axis=0, dtype=np.float64)

    def refuse(self, names: Iterable[str], reason: str) -> None:
        """States why metrics have no value."""
        self.refused |= dict.fromkeys(names, reason)

    def compare_people(self) -> None:
        """How far apart different people's predicted neutrals lie, and consistency in that unit."""
        if self.means is None:
            return
        means = self.means[np.isfinite(self.means[:, 0, 0])]
        between = metrics.id_between_avd(means)
        self.numbers["id_between_avd"] = between, len(means)
        spread = self.people.get("id_mad", np.zeros(0))
        if not np.isfinite(spread).any():
            return self.refuse(["id_mad", "id_ratio"], "single scans")
        ratio = metrics.id_ratio(float(np.nanmean(spread)), between)
        self.numbers["id_ratio"] = ratio, 1
        return self.refuse(["id_ratio"], "people coincide")


def _put(store: dict[str, NDArray], name: str, count: int, rows: NDArray, values: NDArray) -> None:
    values = np.asarray(values)
    if name not in store:
        store[name] = np.full((count, *values.shape[1:]), np.nan, values.dtype)
    store[name][rows] = values


def against_truth(values: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """Values under the names of a comparison with the face without capture noise.

    Args:
        values: Metric -> (k,) float, or (k, V) for metrics of vertices, in the metric's unit.

    Returns:
        Metric -> the same arrays, (k,) or (k, V) float.
    """
    return {f"{metric}{TRUTH}": found for metric, found in values.items()}


def reconstruction(truth: Meshes, predicted: Meshes, topology: Topology) -> dict[str, NDArray]:
    """Errors of reconstructed meshes.

    Args:
        truth: (k, V, 3) float, millimeters.
        predicted: (k, V, 3) float, millimeters.
        topology: What the meshes share.

    Returns:
        Metric -> (k,) float, or (k, V) for metrics of vertices.
    """
    found: dict[str, NDArray] = {
        "rec_avd_mesh": metrics.rec_avd_mesh(truth, predicted),
        "rec_avd_pooled": metrics.rec_avd_pooled(truth, predicted),
        "rec_detail": metrics.rec_detail(truth, predicted, topology.faces),
    }
    for region in REGIONS:
        if region in topology.regions:
            found[f"rec_avd_{region}"] = metrics.rec_avd_region(truth, predicted, topology.regions[region])
    return found | contact(truth, predicted, topology, "rec")


def contact(truth: Meshes, predicted: Meshes, topology: Topology, test: str) -> dict[str, NDArray]:
    """How wrongly mouth and eyes stand open, where the topology shows where they are.

    Args:
        truth: (k, V, 3) float, millimeters.
        predicted: (k, V, 3) float, millimeters.
        topology: What the meshes share.
        test: Begins the names: ``rec`` or ``transfer``.

    Returns:
        Metric -> (k,) float, millimeters; for the eyes, the mean of both.
    """
    found: dict[str, list[NDArray]] = {}
    for kind, upper, lower in _gaps(topology):
        error = metrics.gap_error(truth, predicted, upper, lower)
        found.setdefault(f"{test}_gap_{'eyes' if kind == 'eye' else kind}", []).append(error)
    return {metric: np.mean(errors, axis=0) for metric, errors in found.items()}


@lru_cache(maxsize=8)
def _gaps(topology: Topology) -> list[tuple[str, NDArray[np.int64], NDArray[np.int64]]]:
    """Kind of each opening that has two sides, the vertices of its upper and of its lower one."""
    found = [(opening.kind, opening.upper, opening.lower) for opening in visible_openings(topology)]
    return [item for item in found if len(item[1]) and len(item[2])]


def neutralization(neutral: Meshes, predicted: Meshes) -> dict[str, NDArray]:
    """Errors of predicted neutrals of one person.

    Args:
        neutral: (V, 3) float, millimeters; nan where the person has none.
        predicted: (k, V, 3) float, millimeters.

    Returns:
        Metric -> (k,) float, millimeters.
    """
    return {
        "neu_avd": metrics.neu_avd(neutral, predicted),
        "neu_avd_aligned": metrics.neu_avd_aligned(neutral, predicted),
    }
