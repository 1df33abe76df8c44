"""Clips in a data set: their frames, phases, signal, neutral and extremeness.

A clip is the frames of one clip number in order. Its rows carry weights: zero at rest, a held peak, ramps in
between. Where a data set labels a sequence only as a whole (the same weight on all frames) or by how far the
face has moved, the moments are found in the motion itself. A single expressive scan counts as a clip of which
only rest and peak were seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.errors import MissingNeutral, UnknownName
from mien.progress import track

PHASES = ("neutral", "onset", "apex", "offset")
SCALES = ("paper", "proportional", "off")

STILL_RAMP, STILL_HOLD = 8, 4
"""Frames in which a single scan's expression rises or falls, and is held; then as long at rest."""

LEAST_FRAMES = 8
"""Fewer labeled frames of a recording say nothing about its pace."""

LEAST_EXTREMENESS = 0.1
_MOVING, _AT_PEAK = 0.1, 0.9
_BENT = 0.15  # weights that are farther from straight lines are no annotation of moments


@dataclass(frozen=True, eq=False)
class Clip:
    """One performance.

    Args:
        rows: (T,) int. The view's row of each frame; -1 where the frame was not seen.
        phase: (T,) float. 0 at rest, 1 at the apex, linear in between: the annotation.
        peak: (E,) float. Weights at the apex; their sum is 1 unless several expressions are shown at once.
        subject: Index of the person.
        neutral: (n,) int. Rows whose mean is the clip's own neutral.
        number: The clip number of the data set, -1 for a single scan.
    """

    rows: NDArray[np.int64]
    phase: NDArray[np.float32]
    peak: NDArray[np.float32]
    subject: int
    neutral: NDArray[np.int64]
    number: int

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def expression(self) -> int:
        """Index of the strongest expression."""
        return int(self.peak.argmax())

    @property
    def known(self) -> NDArray[np.int64]:
        """(n,) int. Frames that were seen."""
        return np.flatnonzero(self.rows >= 0)

    @property
    def apex(self) -> NDArray[np.int64]:
        """(n,) int. Frames that were seen at the apex."""
        return np.flatnonzero((self.phase >= 1 - 1e-3) & (self.rows >= 0))

    @property
    def phases(self) -> NDArray[np.int64]:
        """(T,) int index into ``PHASES``."""
        top = np.flatnonzero(self.phase >= 1 - 1e-3)
        place = np.arange(len(self))
        moving = np.where(place < top[0], 1, np.where(place > top[-1], 3, 2))
        return np.where(self.phase <= 0, 0, moving)

    def signal(self, extremeness: float) -> NDArray[np.float32]:
        """(T, E) e: what a clip of the data performs at each frame, this extreme at the apex."""
        return (extremeness * self.phase[:, None] * self.peak).astype(np.float32)


def clips_of(data: FaceDataset, *, stills: bool = True) -> list[Clip]:
    """The labeled performances of people whose neutral is known, in the order of the data set.

    Args:
        data: A data set or a view of it that keeps clips whole.
        stills: Take single scans too, as clips of which only rest and peak were seen.

    Raises:
        MissingNeutral: There is no such performance.
    """
    number, labeled = data.row_clip, data.row_labeled("expression")
    order = np.lexsort((data.row_frame, number))
    order = order[(number[order] >= 0) & labeled[order]]
    starts = np.flatnonzero(np.diff(number[order], prepend=-1))
    found = [_moving(data, rows) for rows in np.split(order, starts[1:]) if len(rows) >= LEAST_FRAMES]
    if stills:
        single = (number < 0) & labeled & ~data.is_neutral & data.has_neutral
        rest = _neutral_rows(data) if single.any() else {}
        found += [_still(data, int(row), rest) for row in np.flatnonzero(single)]
    clips = [clip for clip in found if clip is not None]
    if not clips:
        raise MissingNeutral(
            "motion is learned from labeled clips that begin at rest, or from scans of people with a neutral",
            received=f"{len(data)} faces, {len(starts) if len(order) else 0} clips",
            remedy="build the data with --sequences",
        )
    return clips


def _moving(data: FaceDataset, rows: NDArray[np.int64]) -> Clip | None:
    """A clip of its frames; None if it shows no expression."""
    weights = data.row_weights[rows]
    strength = weights.max(axis=1)
    if strength.max() <= 0:
        return None
    peak = weights[strength.argmax()] / strength.max()
    phase = strength / strength.max()
    if np.ptp(phase) < 1e-6:
        phase = motion_phase(np.linalg.norm(data[rows] - data[rows[:1]], axis=2).mean(axis=1))
    elif np.abs(phase - _straight(phase)).max() > _BENT:
        phase = motion_phase(phase)  # labeled by how far the face has moved
    resting = int(np.argmax(phase > 0)) or 1
    # Half of the leading rest: muscles may move a little ahead of the annotated onset.
    neutral = rows[: max(1, resting // 2)]
    subject, number = int(data.row_subject[rows[0]]), int(data.row_clip[rows[0]])
    return Clip(rows, phase.astype(np.float32), peak.astype(np.float32), subject, neutral, number)


def motion_phase(moved: NDArray) -> NDArray[np.float64]:
    """(T,) phases of a sequence without key frames, from (T,) mean displacements of its first frame.

    Onset and offset are where the displacement passes a tenth of its maximum, the apex is where it is above
    nine tenths of it.
    """
    share = np.asarray(moved, np.float64) / max(float(np.max(moved)), 1e-12)
    active, top = np.flatnonzero(share > _MOVING), np.flatnonzero(share >= _AT_PEAK)
    places = [active[0] - 1, top[0], top[-1] + 1e-9, active[-1] + 1]
    return np.interp(np.arange(len(share)), places, [0.0, 1.0, 1.0, 0.0])


def _straight(phase: NDArray) -> NDArray[np.float64]:
    """Straight lines between the moments at which (T,) weights leave 0, reach 1, leave it and return."""
    active, top = np.flatnonzero(phase > 0), np.flatnonzero(phase >= 1 - 1e-3)
    places = [active[0] - 1, top[0], top[-1] + 1e-9, active[-1] + 1]
    return np.interp(np.arange(len(phase)), places, [0.0, 1.0, 1.0, 0.0])


def _neutral_rows(data: FaceDataset) -> dict[int, NDArray[np.int64]]:
    """Subject -> rows of the view that show the person at rest."""
    rows, subject = np.flatnonzero(data.is_neutral), data.row_subject
    return {int(person): rows[subject[rows] == person] for person in np.unique(subject[rows])}


def _still(data: FaceDataset, row: int, rest: dict[int, NDArray[np.int64]]) -> Clip | None:
    """A single scan, seen at the end of a held peak; before and after it the neutral."""
    subject = int(data.row_subject[row])
    if subject not in rest:
        return None
    weights = data.row_weights[row]
    moments = np.cumsum([STILL_RAMP, STILL_HOLD, STILL_RAMP, STILL_HOLD])
    rows = np.full(moments[-1] + 1, -1)
    rows[[0, -1]], rows[moments[1]] = rest[subject][0], row
    phase = np.interp(np.arange(len(rows)), [0, *moments[:3]], [0, 1, 1, 0]).astype(np.float32)
    return Clip(rows, phase, weights / weights.max(), subject, rest[subject], -1)


def clip_neutral(data: FaceDataset, clip: Clip) -> NDArray[np.float32]:
    """(V, 3) millimeters: the clip's own neutral."""
    return data[clip.neutral].mean(axis=0)


def deformations(data: FaceDataset, clips: Sequence[Clip]) -> NDArray[np.float64]:
    """(n,) m_i: mean distance from the own neutral over apex frames and vertices, millimeters."""
    found = np.empty(len(clips))
    for place, clip in enumerate(track(clips, "measuring extremeness")):
        moved = data[clip.rows[clip.apex]] - clip_neutral(data, clip)
        found[place] = np.linalg.norm(moved, axis=2).mean()
    return found


@dataclass(frozen=True, eq=False)
class Extremeness:
    """How strong a sequence is for its expression: s_i of its deformation m_i (Potamias et al., eq. 6).

    Args:
        mean: (E,) mu_e, mean deformation of the training sequences of an expression, millimeters.
        std: (E,) sigma_e, its standard deviation.
        kind: ``paper``: (clip((m - mu) / sigma, -1, 1) + 1) / 2; ``proportional``: m / (mu + sigma), so that
            half the signal asks for half the motion; ``off``: 1 for every sequence. All but the last are
            held to [0.1, 1]: the formula gives 0 for mild sequences, a motion paired with no signal.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    kind: str = "paper"

    @staticmethod
    def measure(expression: NDArray, deformation: NDArray, count: int, kind: str = "paper") -> Extremeness:
        """Statistics of (n,) training sequences with expressions (n,) of ``count`` known ones."""
        if kind not in SCALES:
            raise UnknownName("signal scale", kind, SCALES)
        mean, std = np.ones(count), np.ones(count)
        for index in np.unique(expression):
            values = deformation[expression == index]
            mean[index], std[index] = values.mean(), max(values.std(), 1e-6 * values.mean(), 1e-9)
        return Extremeness(mean, std, kind)

    def of(self, expression: NDArray, deformation: NDArray) -> NDArray[np.float64]:
        """(n,) s_i of sequences with expressions (n,) int and deformations (n,)."""
        mean, std = self.mean[expression], self.std[expression]
        if self.kind == "off":
            return np.ones(len(mean))
        standard = (np.clip((deformation - mean) / std, -1, 1) + 1) / 2
        share = standard if self.kind == "paper" else deformation / (mean + std)
        return np.clip(share, LEAST_EXTREMENESS, 1.0)


def with_neutral(clip: Clip, rows: NDArray[np.int64]) -> Clip:
    """The clip measured from another neutral: the mean of these rows (n,)."""
    return replace(clip, neutral=np.asarray(rows, np.int64))
