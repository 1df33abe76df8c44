"""Whether a stronger weight makes a stronger expression, also beyond full strength."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.codes import Codes
from mien.evaluation.generation.classifier import Classifier
from mien.evaluation.generation.draws import performed
from mien.evaluation.metrics import Meshes, avd
from mien.evaluation.subjects import TestScans
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


def spearman(values: NDArray) -> float:
    """Rank correlation of (n,) values with their order; ties share their mean rank; 0 if all are equal.

    A class that collapsed to one face has no defined correlation and counts as 0.
    """
    kinds, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(kinds) < 2:
        return 0.0
    ranks = (np.cumsum(counts) - (counts + 1) / 2)[inverse]
    return float(np.corrcoef(ranks, np.arange(len(values)))[0, 1])


def measure_intensity(
    model: FaceModel, people: Codes, classifier: Classifier | None, *, levels: NDArray = LEVELS
) -> Intensity:
    """Every person performs every expression at every level.

    Args:
        model: A model that can express.
        people: P rows of codes.
        classifier: Learned from real faces.
        levels: Asked intensities, ascending, beginning with 0.
    """
    count = len(model.expressions)
    shape = len(people), count
    disp, prob, ratio = np.zeros(shape), np.zeros(shape), np.full(shape, np.nan)
    walks = _walks(model, people, np.append(levels, 1.0))
    for number, walk in enumerate(track(walks, "intensities", total=shape[0] * count)):
        where = divmod(number, count)
        moved = avd(walk, walk[0])
        disp[where] = spearman(np.round(moved[:-1], 6))  # a nanometer is rounding
        if moved[-1] > 1e-6:
            ratio[where] = moved[-2] / moved[-1]
        if classifier is not None and moved.max() > 1e-6:
            prob[where] = spearman(classifier.log_odds(walk[:-1], where[1]))
    return Intensity(disp, prob if classifier is not None else None, ratio)


def measure_real_intensity(judged: TestScans, classifier: Classifier) -> NDArray[np.float64]:
    """(P, E) rank correlation of probability and intensity of real expressions, scaled along their own lines.

    Each real expression is a line from the person's neutral; what a perfect model that only scales could
    reach. nan where a person lacks the expression or the neutral, or the classifier never saw it.

    Args:
        judged: Scans of unseen people.
        classifier: Learned from the faces of others.
    """
    found = np.full((len(judged.people), len(judged.data.expressions)), np.nan)
    for row in np.flatnonzero(judged.performed & np.isin(judged.label, classifier.kinds)):
        person, label = judged.person[row], judged.label[row]
        neutral = judged.neutrals[person]
        walk = neutral + LEVELS[:, None, None] * (judged.data[int(row)] - neutral)
        found[person, label] = spearman(classifier.log_odds(walk, label))
    return found


def _walks(model: FaceModel, people: Codes, levels: NDArray) -> Iterator[Meshes]:
    """(len(levels), V, 3) faces for each person and each expression."""
    count = len(model.expressions)
    weights = (levels[None, :, None] * np.eye(count)[:, None]).reshape(-1, count)
    for faces in performed(model, people, weights):
        yield from faces.reshape(count, len(levels), *faces.shape[1:])
