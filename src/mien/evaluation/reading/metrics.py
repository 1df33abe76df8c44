"""What is printed of scores that an outside judge reads off faces: arrays in, one value a face out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHOWN = 0.15
"""Length of a rise in scores below which a face shows nothing that the judge reads."""


def read_error(truth: NDArray, predicted: NDArray) -> NDArray[np.float64]:
    """Mean difference of the scores of two faces; 0 is perfect. Without a face no score is 0 or 1.

    Args:
        truth: (n, 52) float, scores of the true faces.
        predicted: (n, 52) float, of the predicted ones; NaN where no face is seen.

    Returns:
        (n,) float, scores; NaN where no face is seen.
    """
    found: NDArray[np.float64] = np.abs(np.asarray(predicted, np.float64) - truth).mean(axis=1)
    return found


def read_share(rest: NDArray, truth: NDArray, predicted: NDArray) -> NDArray[np.float64]:
    """How much of the true face's expression a predicted face shows: 1 as much, 0 nothing of it.

    With the rises over the person's face at rest t (truth) and p (predicted): <p, t> / <t, t>.

    Args:
        rest: (n, 52) float, scores of the same people at rest.
        truth: (n, 52) float, of the true faces.
        predicted: (n, 52) float, of the predicted ones.

    Returns:
        (n,) float; NaN where the true face shows nothing (``SHOWN``), or no face is seen.
    """
    rise, made = truth - rest, predicted - rest
    length = np.square(rise).sum(axis=1)
    shown = length >= SHOWN**2
    return np.divide((made * rise).sum(axis=1), length, out=np.full(len(rise), np.nan), where=shown)


def read_left(rest: NDArray, truth: NDArray, neutral: NDArray) -> NDArray[np.float64]:
    """How much of the expression is left in a predicted neutral: 0 nothing, 1 all; see :func:`read_share`.

    Args:
        rest: (n, 52) float, scores of the same people at rest.
        truth: (n, 52) float, of the faces whose neutral is predicted.
        neutral: (n, 52) float, of the predicted neutrals.

    Returns:
        (n,) float, see :func:`read_share`.
    """
    return read_share(rest, truth, neutral)


def read_found(predicted: NDArray) -> NDArray[np.float64]:
    """On which faces the judge sees a face at all, percent.

    Args:
        predicted: (n, 52) float, scores; NaN where no face is seen.

    Returns:
        (n,) float, 100 or 0.
    """
    return 100.0 * np.isfinite(predicted).all(axis=1)
