"""Whole faces from a few landmarks: how much a model knows about faces beyond what it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mien.errors import Unsupported
from mien.evaluation.distances import Meshes
from mien.evaluation.generation import metrics
from mien.evaluation.generation.setup import GenerationSetup
from mien.evaluation.rows import Row, RowMaker
from mien.evaluation.scans import TestScans
from mien.fit import fit_landmark_sets
from mien.models.base import FaceModel
from mien.progress import track

WEIGHTS = (0.0, 0.01, 10.0)
"""Weights of the prior in the paper's table 2."""


@dataclass(frozen=True)
class SparseFit:
    """Faces fitted to landmarks with one weight of the prior.

    Args:
        rmse: (n,) float, millimeters. Root mean squared distance of the fitted vertices to the true surface.
        residual: (n,) float, millimeters. Mean distance of the fitted landmarks to the given ones.
    """

    rmse: NDArray[np.float64]
    residual: NDArray[np.float64]


def landmark_rows(
    maker: RowMaker, model: FaceModel, setup: GenerationSetup, people: dict[str, dict[str, float]]
) -> Iterator[Row]:
    """Table 2 of the paper: whole faces from landmarks, for three weights of the prior.

    Args:
        maker: Of the model's rows.
        model: A model that can be fitted.
        setup: The test scans, and how many of them to fit.
        people: Filled with values by metric and scan.
    """
    s, scans = setup.settings, setup.scans
    rows = fitted_scans(scans, s.sparse_scans)
    person, fits = scans.person[rows], dict[float, SparseFit]()
    for weight in WEIGHTS:
        fit = sparse_fit(model, scans, rows, weight, steps=s.sparse_steps, seed=s.seed)
        fits[weight] = fit
        people[f"sparse_rmse_{weight:g}"] = _by_scan(rows, fit.rmse)
        yield maker.over_scans(f"sparse_rmse_{weight:g}", fit.rmse, person)
        yield maker.over_scans(f"sparse_residual_{weight:g}", fit.residual, person)
    gain = metrics.sparse_gain(fits[WEIGHTS[0]].rmse, fits[WEIGHTS[-1]].rmse)
    people["sparse_gain"] = _by_scan(rows, gain)
    yield maker.over_scans("sparse_gain", gain, person)


def _by_scan(rows: NDArray, values: NDArray) -> dict[str, float]:
    return {f"scan-{row:05}": float(value) for row, value in zip(rows, values)}


def fitted_scans(scans: TestScans, count: int) -> NDArray[np.int64]:
    """Rows of expressive test scans, (n,) int, evenly over people and expressions.

    Raises:
        Unsupported: The topology has no landmarks, or nobody performs an expression.
    """
    if len(scans.data.topology.landmarks) < 4:
        raise Unsupported("the topology names fewer than four landmarks")
    rows = np.flatnonzero(scans.label >= 0)
    if not len(rows):
        raise Unsupported("no test scan shows a labeled expression")
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))]


def sparse_fit(
    model: FaceModel, scans: TestScans, rows: NDArray, prior_weight: float, *, steps: int = 100, seed: int = 0
) -> SparseFit:
    """Fits test scans from their landmarks alone, in the frame of the data, from random codes.

    Minimizes the sum of squared landmark distances plus ``prior_weight`` times the squared standardized codes
    (Abrevaya et al., ICCV 2019, eq. 13).

    Args:
        model: A model that can be fitted.
        scans: The test scans.
        rows: (n,) int. Which of them.
        prior_weight: lambda of the paper.
        steps: Updates of the quasi-Newton descent.
        seed: Of the random codes.
    """
    truth, marks = scans.data[rows], scans.data.topology.landmarks
    goals = marks.positions(truth)
    generator = torch.Generator().manual_seed(seed)
    codes = fit_landmark_sets(model, goals, prior_weight=prior_weight, steps=steps, generator=generator)
    with torch.no_grad():
        parts = [model.decode(codes[k : k + 32]).cpu().numpy() for k in range(0, len(rows), 32)]
    return against(np.concatenate(parts), truth, scans)


def against(fitted: Meshes, truth: Meshes, scans: TestScans) -> SparseFit:
    """Fitted faces against the surfaces of the true ones.

    Args:
        fitted: (n, V, 3) float, millimeters.
        truth: (n, V, 3) float, millimeters.
        scans: The test scans, for triangles and landmarks.
    """
    topology = scans.data.topology
    rmse = [
        metrics.sparse_rmse(one, other, topology.faces)
        for one, other in track(list(zip(fitted, truth)), "distances to surfaces")
    ]
    marks = topology.landmarks
    residual = metrics.sparse_residual(marks.positions(fitted), marks.positions(truth))
    return SparseFit(np.array(rmse), residual)
