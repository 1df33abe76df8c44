"""Whole faces from a few landmarks: how much a model knows about faces beyond what it is shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mien.errors import Unsupported
from mien.evaluation.metrics import Meshes
from mien.evaluation.subjects import TestScans
from mien.fit import fit_landmark_sets
from mien.geometry.closest import surface_distances
from mien.models.base import FaceModel
from mien.progress import track

WEIGHTS = (0.0, 0.01, 10.0)
"""Weights of the prior in the paper's table 2."""


@dataclass(frozen=True)
class SparseFit:
    """Faces fitted to landmarks with one weight of the prior.

    Args:
        rmse: (n,) root of the mean squared distance of the fitted vertices to the true surface, millimeters.
        residual: (n,) mean distance of the fitted landmarks to the given ones, millimeters.
    """

    rmse: NDArray[np.float64]
    residual: NDArray[np.float64]


def targets(judged: TestScans, count: int) -> NDArray[np.int64]:
    """Rows of expressive test scans, evenly over people and expressions.

    Raises:
        Unsupported: The topology has no landmarks, or nobody performs an expression.
    """
    if len(judged.data.topology.landmarks) < 4:
        raise Unsupported("the topology names fewer than four landmarks")
    rows = np.flatnonzero(judged.label >= 0)
    if not len(rows):
        raise Unsupported("no test scan shows a labeled expression")
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))]


def sparse_fit(
    model: FaceModel,
    judged: TestScans,
    rows: NDArray,
    prior_weight: float,
    *,
    steps: int = 100,
    seed: int = 0,
) -> SparseFit:
    """Fits test scans from their landmarks alone, in the frame of the data, from random codes.

    Minimizes the sum of squared landmark distances plus ``prior_weight`` times the squared standardized codes
    (Abrevaya et al., ICCV 2019, eq. 13).

    Args:
        model: A model that can be fitted.
        judged: The test scans.
        rows: (n,) int. Which of them.
        prior_weight: lambda of the paper.
        steps: Updates of the quasi-Newton descent.
        seed: Of the random codes.
    """
    truth, marks = judged.data[rows], judged.data.topology.landmarks
    goals = marks.positions(truth)
    generator = torch.Generator().manual_seed(seed)
    codes = fit_landmark_sets(model, goals, prior_weight=prior_weight, steps=steps, generator=generator)
    with torch.no_grad():
        parts = [model.decode(codes[k : k + 32]).cpu().numpy() for k in range(0, len(rows), 32)]
    return against(np.concatenate(parts), truth, judged)


def against(fitted: Meshes, truth: Meshes, judged: TestScans) -> SparseFit:
    """Fitted faces (n, V, 3) against the surfaces of the true ones."""
    topology = judged.data.topology
    rmse = [
        np.sqrt((surface_distances(one, other, topology.faces) ** 2).mean())
        for one, other in track(list(zip(fitted, truth)), "distances to surfaces")
    ]
    apart = topology.landmarks.positions(fitted) - topology.landmarks.positions(truth)
    return SparseFit(np.array(rmse), np.linalg.norm(apart, axis=-1).mean(axis=1))
