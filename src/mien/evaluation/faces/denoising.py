"""A person's neutral as their other scans show it: how much of every error is noise of one neutral scan.

Each scan of a person less the mean displacement of its expression is another noisy look at the same neutral.
A linear map from the neutral scan to the mean of these looks, learned on the training people, leaves out what
one scan does not share with the others: registration drift, rigid residual, slack.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.ridge import leading_axes, leave_one_out

AXES = 60
LEAST_PEOPLE = 8

Denoise = Callable[[NDArray], NDArray]


def denoiser(train: FaceDataset, means: NDArray) -> Denoise | None:
    """Learns to denoise neutral scans.

    Args:
        train: Training scans with neutrals and expressions.
        means: (E, V, 3) float, millimeters. Mean displacement of each expression at full weight.

    Returns:
        A function from neutral scans (n, V, 3) to denoised ones, millimeters; None with fewer than eight
        people who have a neutral and other scans.
    """
    neutrals, looks = _looks(train, means)
    if len(neutrals) < LEAST_PEOPLE:
        return None
    center, target = neutrals.mean(axis=0), looks.mean(axis=0)
    both = (neutrals + looks) / 2
    axes = leading_axes(both - both.mean(axis=0), AXES)
    seen, wanted = (neutrals - center) @ axes.T, (looks - target) @ axes.T
    seen /= (scale := np.maximum(seen.std(axis=0), 1e-9))
    readout = seen.T @ leave_one_out(seen @ seen.T, wanted)[0]

    def denoise(faces: NDArray) -> NDArray:
        codes = (np.asarray(faces, np.float64).reshape(len(faces), -1) - center) @ axes.T / scale
        return (target + codes @ readout @ axes).reshape(np.shape(faces)).astype(np.float32)

    return denoise


def _looks(train: FaceDataset, means: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n, 3 V) neutral scans, and the mean of each person's other scans less their expressions."""
    performed = train.has_neutral & ~train.is_neutral & train.row_labeled("expression")
    neutrals, looks = [], []
    for person in np.unique(train.row_subject[performed]):
        rows = np.flatnonzero(performed & (train.row_subject == person))
        shown = np.tensordot(train.row_weights[rows].mean(axis=0), means, axes=1)
        looks.append((train[rows].mean(axis=0, dtype=np.float64) - shown).ravel())
        neutrals.append(train.neutral_of(rows[:1])[0].ravel())
    return np.array(neutrals, np.float64), np.array(looks, np.float64)
