"""Whether a stronger weight makes a stronger expression, also beyond full strength."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.codes import Codes
from mien.evaluation.distances import Meshes, avd
from mien.evaluation.generation import metrics
from mien.evaluation.generation.classifier import Classifier
from mien.evaluation.generation.draws import perform
from mien.evaluation.scans import TestScans
from mien.models.base import FaceModel
from mien.progress import track

LEVELS = np.linspace(0, 1.5, 15)
"""The asked intensities, as in Taherkhani et al. (WACV 2023), appendix."""


@dataclass(frozen=True)
class Intensity:
    """For each person p and expression e.

    Args:
        rho_disp: (P, E) Spearman correlation of asked intensity and mean displacement from intensity 0.
        rho_prob: (P, E) the same with the classifier's probability; None without a classifier.
        ratio: (P, E) displacement at 1.5 over that at 1; nan where nothing moves.
    """

    rho_disp: NDArray[np.float64]
    rho_prob: NDArray[np.float64] | None
    ratio: NDArray[np.float64]


def measure_intensity(
    model: FaceModel, people: Codes, classifier: Classifier | None, *, levels: NDArray = LEVELS
) -> Intensity:
    """Every person performs every expression at every level.

    Args:
        model: A model that can express.
        people: P rows of codes.
        classifier: Learned from real faces.
        levels: (L,) float. Asked intensities, ascending, beginning with 0.
    """
    count = len(model.expressions)
    shape = len(people), count
    disp, prob, ratio = np.zeros(shape), np.zeros(shape), np.full(shape, np.nan)
    walks = _walks(model, people, np.append(levels, 1.0))
    for number, walk in enumerate(track(walks, "intensities", total=shape[0] * count)):
        where = divmod(number, count)
        moved = avd(walk, walk[0])
        disp[where] = metrics.intensity_rho(np.round(moved[:-1], 6))  # a nanometer is rounding
        ratio[where] = metrics.disp_ratio(moved[-2], moved[-1])
        if classifier is not None and moved.max() > 1e-6:
            prob[where] = metrics.intensity_rho(classifier.log_odds(walk[:-1], where[1]))
    return Intensity(disp, prob if classifier is not None else None, ratio)


def measure_real_intensity(scans: TestScans, classifier: Classifier) -> NDArray[np.float64]:
    """Rank correlation of probability and intensity of real expressions, scaled along their own lines.

    Each real expression is a line from the person's neutral; what a perfect model that only scales could
    reach.

    Args:
        scans: Scans of unseen people.
        classifier: Learned from the faces of others.

    Returns:
        (S, E) float, without unit; nan where a person lacks the expression or the neutral, or the classifier
        never saw it.
    """
    found = np.full((len(scans.people), len(scans.data.expressions)), np.nan)
    for row in np.flatnonzero(scans.performed & np.isin(scans.label, classifier.kinds)):
        person, label = scans.person[row], scans.label[row]
        neutral = scans.neutrals[person]
        walk = neutral + LEVELS[:, None, None] * (scans.data[int(row)] - neutral)
        found[person, label] = metrics.intensity_rho(classifier.log_odds(walk, label))
    return found


def _walks(model: FaceModel, people: Codes, levels: NDArray) -> Iterator[Meshes]:
    """(len(levels), V, 3) faces for each person and each expression."""
    count = len(model.expressions)
    weights = (levels[None, :, None] * np.eye(count)[:, None]).reshape(-1, count)
    for faces in perform(model, people, weights):
        yield from faces.reshape(count, len(levels), *faces.shape[1:])
