"""Relative time of clips, and the mean clip of each class: what knows the label and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.clips import Clip, Extremeness, clip_neutral, deformations
from mien.data.dataset import FaceDataset
from mien.progress import track

GRID = np.linspace(0, 3, 31)
"""Relative time: onset from 0 to 1, apex to 2, offset to 3."""


def warped(clip: Clip) -> NDArray[np.float64]:
    """(T,) float: relative time of each frame, 0 to 3; frames at rest are at 0 before and 3 after motion."""
    top = np.flatnonzero(clip.phase >= 1 - 1e-3)
    active = np.flatnonzero(clip.phase > 0)
    moments = np.array([active[0] - 1, top[0], top[-1], active[-1] + 1], float)
    moments += np.arange(4) * 1e-6  # an apex of one frame still takes its turn
    return np.interp(np.arange(len(clip)), moments, [0.0, 1.0, 2.0, 3.0])


def warped_mean(places: NDArray, values: NDArray) -> NDArray[np.float64]:
    """Values of a clip at the relative times of ``GRID``.

    Args:
        places: (T,) float. Relative time of each frame.
        values: (T, ...) float, in any unit.

    Returns:
        (31, ...) float, in the same unit.
    """
    moving = np.flatnonzero((places > 0) & (places < 3))
    first, last = max(moving[0] - 1, 0), min(moving[-1] + 1, len(places) - 1)
    at = np.interp(GRID, places[first : last + 1], np.arange(first, last + 1))
    low = np.minimum(at.astype(int), len(values) - 2)
    share = (at - low).reshape(-1, *[1] * (values.ndim - 1))
    return values[low] * (1 - share) + values[low + 1] * share


@dataclass(frozen=True, eq=False)
class MeanClips:
    """The mean motion of each class.

    Args:
        motion: (E, 31, V, 3) float32, millimeters. Mean displacement at the relative times of ``GRID``.
        extremeness: Of the training clips, in the published form.
    """

    motion: NDArray[np.float32]
    extremeness: Extremeness

    @staticmethod
    def measure(data: FaceDataset, clips: Sequence[Clip]) -> MeanClips:
        """Averages training clips at equal relative times."""
        total = np.zeros((len(data.expressions), len(GRID), data.topology.vertex_count, 3))
        count = np.zeros(len(data.expressions))
        for clip in track(clips, "mean clips"):
            moved = data[clip.rows] - clip_neutral(data, clip)
            total[clip.expression] += warped_mean(warped(clip), moved)
            count[clip.expression] += 1
        scale = Extremeness.measure(
            np.array([clip.expression for clip in clips]), deformations(data, clips), len(data.expressions)
        )
        mean = total / np.maximum(count, 1)[:, None, None, None]
        return MeanClips(mean.astype(np.float32), scale)

    def of(self, clip: Clip, extremeness: float | None = None) -> NDArray[np.float32]:
        """Displacements of a clip's class at its moments, scaled to its s_i if one is given.

        Returns:
            (T, V, 3) float, millimeters.
        """
        place = warped(clip) / GRID[1]
        low = np.minimum(place.astype(int), len(GRID) - 2)
        share = (place - low)[:, None, None].astype(np.float32)
        motion = self.motion[clip.expression]
        found = motion[low] * (1 - share) + motion[low + 1] * share
        if extremeness is None:
            return found
        mean, std = (float(x[clip.expression]) for x in (self.extremeness.mean, self.extremeness.std))
        return found * np.float32((mean + (2 * extremeness - 1) * std) / mean)
