"""Curves from a file onto a model's expressions: by name, or by what the expressions are made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from mien.data.expressions import ARKIT, arkit_weights, expression_set, expression_sets
from mien.data.motion import resampled
from mien.errors import BadSetting
from mien.io.curves import Curves, read_curves

TRACKED_FPS = 60.0
"""Live Link Face records at this rate."""

HEAD = ("headyaw", "headpitch", "headroll", "lefteyeyaw", "lefteyepitch", "lefteyeroll", "righteyeyaw",
        "righteyepitch", "righteyeroll", "tongueout")  # fmt: skip
"""Columns of a recording that no expression of the skin answers to."""


def read_weights(
    path: str | Path, expressions: Sequence[str], fps: float, file_fps: float | None = None
) -> tuple[NDArray[np.float32], list[str]]:
    """(T, E) weights of a CSV at a frame rate, and sentences about its columns: :func:`weights_of_curves`."""
    return weights_of_curves(read_curves(path), expressions, fps, file_fps)


def weights_of_curves(
    curves: Curves, expressions: Sequence[str], fps: float, file_fps: float | None = None
) -> tuple[NDArray[np.float32], list[str]]:
    """(T, E) weights at a frame rate, and sentences about what was decided.

    Names match without regard to case. ARKit curves also drive models of other expressions: each frame is
    explained by nonnegative weights of their recipes (least squares).

    Args:
        curves: What a file holds.
        expressions: E expression names of the model.
        fps: Frames per second of the result.
        file_fps: Frames per second of a file without times; None: 60 for recordings, else ``fps``.
    """
    known = {name.lower(): index for index, name in enumerate(expressions)}
    matched = {k: known[name.lower()] for k, name in enumerate(curves.names) if name.lower() in known}
    notes: list[str] = []
    if matched:
        weights = np.zeros((len(curves.values), len(expressions)))
        weights[:, list(matched.values())] = curves.values[:, list(matched)]
        other = [n for k, n in enumerate(curves.names) if k not in matched and n.lower() not in HEAD]
        if other:
            notes.append(f"The model has no {', '.join(other)}; these curves are left out.")
    else:
        weights, note = _explained(curves, expressions)
        notes.append(note)
    if curves.times is not None:
        at = np.arange(int((curves.times[-1] - curves.times[0]) * fps + 1e-6) + 1) / fps + curves.times[0]
        even = [np.interp(at, curves.times, column) for column in weights.T]
        return np.stack(even, axis=1).astype(np.float32), notes
    rate = file_fps or (TRACKED_FPS if curves.tracked else fps)
    return resampled(weights, rate, fps), notes


def _explained(curves: Curves, expressions: Sequence[str]) -> tuple[NDArray[np.float64], str]:
    """Nonnegative weights whose recipes come nearest to ARKit curves."""
    lower = {name.lower(): name for name in ARKIT}
    columns = {lower[name.lower()]: k for k, name in enumerate(curves.names) if name.lower() in lower}
    names = next((s for s in expression_sets() if set(expressions) <= set(expression_set(s).names)), None)
    if not columns or names is None:
        raise BadSetting(
            "no curve of the file is an expression of the model",
            received=", ".join(curves.names[:8]),
            remedy=f"name the columns after the model's expressions: {', '.join(expressions)}",
        )
    recipes = np.array([[arkit_weights(e, of=names).get(name, 0.0) for e in expressions] for name in columns])
    goal = np.clip(curves.values[:, list(columns.values())], 0, None)
    weights = np.array([nnls(recipes, frame)[0] for frame in goal])
    left = np.square(goal - weights @ recipes.T).sum() / max(np.square(goal).sum(), 1e-12)
    return weights, (
        f"ARKit curves are explained by the {len(expressions)} expressions of the model; "
        f"{100 * left:.0f} % of the motion of the curves is beyond them."
    )
