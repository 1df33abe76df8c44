"""How each system makes a clip: models, the recording itself, and controls that know only the label."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from mien import apply
from mien.data.clips import Clip, clip_neutral
from mien.data.dataset import FaceDataset
from mien.errors import MienError
from mien.evaluation.motion.clips import TestClips
from mien.evaluation.motion.controls import MeanClips
from mien.models.base import FaceModel

Frames = NDArray[np.float32]
Make = Callable[[Clip, NDArray, float], Frames]
"""A clip, its neutral (V, 3) in millimeters, and its extremeness to frames (T, V, 3) in millimeters."""
REAL, STATIC, MEAN, SCALED = "recorded clips", "static neutral", "class mean", "class mean, scaled"


def made_by_model(model: FaceModel, clips: TestClips) -> Make | str:
    """How a model makes a clip, or why it cannot."""
    if reason := apply.refusal(type(model), "animate"):
        return reason
    try:
        signals = model.signals(clips.data, clips.clips) if model.remembers else clips.scale  # type: ignore[operator]
    except MienError as error:
        return error.cause
    number = {id(clip): k for k, clip in enumerate(clips.clips)}

    def make(clip: Clip, neutral: NDArray, scale: float) -> Frames:
        weights = clips.data.row_weights[clip.rows]
        if model.remembers:
            weights = clip.signal(float(signals[number[id(clip)]]))
        return apply.animate(model, neutral, weights, fps=clips.data.fps)

    return make


def recorded(clips: TestClips) -> Make:
    """The recording itself."""
    return lambda clip, neutral, scale: clips.data[clip.rows]


def made_without_model(clips: TestClips) -> dict[str, Make]:
    """Nothing moves; the mean clip of the class, as it is and scaled to the clip's extremeness."""
    means = MeanClips.measure(clips.train, clips.training_clips)
    return {
        STATIC: lambda clip, neutral, scale: np.repeat(neutral[None], len(clip), axis=0),
        MEAN: lambda clip, neutral, scale: neutral + means.of(clip),
        SCALED: lambda clip, neutral, scale: neutral + means.of(clip, scale),
    }


def example_clips(
    models: Sequence[FaceModel], data: FaceDataset, clips: Sequence[Clip]
) -> list[list[Frames]]:  # fmt: skip
    """For each model and clip, frames (T, V, 3) float, millimeters, made of the clip's neutral and signal."""
    examples = TestClips(data, list(clips), data, np.ones(len(clips)), {})
    made = []
    for model in models:
        make = made_by_model(model, examples)
        if isinstance(make, str):
            raise model.refusal("animate", make)
        made.append([make(clip, clip_neutral(data, clip), 1.0) for clip in clips])
    return made
