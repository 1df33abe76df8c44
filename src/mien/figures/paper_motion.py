"""The figures of an evaluation on clips: sheets, films, error maps and curves of models that move."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from mien import apply
from mien.data.clips import Clip, clip_neutral, clips_of
from mien.data.dataset import FaceDataset
from mien.errors import BadSetting
from mien.evaluation import Report
from mien.evaluation.motion.protocol import STATIC, example_clips
from mien.figures.faces import error_maps, face_sheet
from mien.figures.motion import clip_sheet, phase_curves, sheet_film
from mien.figures.sheets import save_pictures
from mien.io.video import write_video
from mien.models.base import FaceModel

MOMENTS = (0.15, 0.6, 1.2, 1.9)
"""Onset, apex, release and offset of the clips of a sheet, seconds."""

SECONDS, FPS = 2.1, 30.0

CURVES = (
    ("phases", "frame_l2", "mean vertex distance (mm)"),
    ("phases-l1", "frame_l1", "mean absolute error of coordinates (mm)"),
)
"""Picture, curve and axis; the publication's figure 5 is called L1 there."""

_EXPRESSIONS = 6  # on a sheet
_STRENGTH = 0.9
_STEPS = 7  # between two apexes


def draw_motion(
    models: Mapping[str, FaceModel], data: FaceDataset, report: Report, folder: Path, *, seed: int
) -> list[Path]:
    """Draws every figure that the models can fill, and returns the files.

    Films need the extra ``video``, curves the extra ``analysis``; they are left out without.

    Args:
        models: Name -> model.
        data: Clips of unseen people.
        report: Their evaluation, for the curves.
        folder: Where the files go.
        seed: Of the choice of people.
    """
    able = {name: model for name, model in models.items() if not apply.refusal(type(model), "animate")}
    clips = shown_clips(data, seed)
    films, drawn = list[Path](), dict[str, Image]()
    for name, model in able.items():
        moving = _Performance(model, data, clips[0])
        drawn[f"clips-{name}"] = moving.sheet(f"One unseen person, moved by {name}")
        drawn[f"between-{name}"] = moving.between_apexes(f"Between apexes, {name}")
        if importlib.util.find_spec("av"):
            films.append(folder / f"clips-{name}.mp4")
            moving.write_film(films[-1])
    if able:
        drawn["apex-errors"] = _apex_errors(able, data, clips)
    if report.curves and importlib.util.find_spec("matplotlib"):
        drawn |= _curves(report)
    return [*films, *save_pictures(folder, drawn)]


def shown_clips(data: FaceDataset, seed: int) -> list[Clip]:
    """One clip an expression, of different people who may be shown."""
    shown = [clip for clip in clips_of(data, stills=False) if np.asarray(data.publishable)[clip.subject]]
    if not shown:
        raise BadSetting(
            "no picture can be drawn: nobody may be shown who has a clip", received=f"{len(data)} frames",
            remedy="leave out --pictures or choose another part",
        )  # fmt: skip
    people = np.random.default_rng([seed, 61]).permutation(np.unique([clip.subject for clip in shown]))
    chosen = []
    for place, index in enumerate(sorted({clip.expression for clip in shown})):
        same = [clip for clip in shown if clip.expression == index]
        wanted = people[place % len(people)]
        chosen.append(next((clip for clip in same if clip.subject == wanted), same[0]))
    return chosen


def signals_of(model: FaceModel) -> dict[str, NDArray[np.float32]]:
    """The first expressions of the model, each with the same moments: name -> (T, E) weights."""
    shape = "linear" if model.remembers else "minimum-jerk"
    return {
        name: apply.score(
            model.expressions,
            [apply.Act({name: _STRENGTH}, *MOMENTS)],
            fps=FPS,
            duration=SECONDS,
            shape=shape,
        )
        for name in model.expressions[:_EXPRESSIONS]
    }


class _Performance:
    """One unseen person, moved by a model: every expression with the same moments.

    Args:
        model: A model that can animate.
        data: Clips of unseen people.
        clip: Whose neutral is moved.
    """

    def __init__(self, model: FaceModel, data: FaceDataset, clip: Clip) -> None:
        self.model, self.person = model, data.subjects[clip.subject]
        self.neutral = clip_neutral(data, clip)
        signals = signals_of(model)
        self.frames = {
            name: apply.animate(model, self.neutral, weights, fps=FPS) for name, weights in signals.items()
        }
        self.strength = {name: weights.max(axis=1) for name, weights in signals.items()}

    def sheet(self, title: str) -> Image:
        """Expressions by time."""
        note = f"{self.person}. The curve is the signal: which expression, how strong, when."
        return clip_sheet(
            self.frames, self.model.topology, weights=self.strength, fps=FPS, title=title, note=note
        )

    def write_film(self, path: Path) -> None:
        """The same, moving."""
        write_video(path, sheet_film(self.frames, self.model.topology, weights=self.strength, fps=FPS), FPS)

    def between_apexes(self, title: str) -> Image:
        """Straight lines in code between the apexes of neighboring expressions."""
        names = self.model.expressions[:_EXPRESSIONS]
        pairs = list(zip(names[::2], names[1::2], strict=False))
        rows = [
            list(apply.between_poses(self.model, self.neutral, {a: _STRENGTH}, {b: _STRENGTH}, _STEPS))
            for a, b in pairs
        ]
        labels = [f"{a} to {b}".replace("_", " ") for a, b in pairs]
        return face_sheet(rows, self.model.topology, labels, title=title, size=150)


def _apex_errors(models: Mapping[str, FaceModel], data: FaceDataset, clips: list[Clip]) -> Image:
    """Recorded apexes of unseen people, what the models make of neutral and signal, and the error."""
    middle = [int(clip.apex[len(clip.apex) // 2]) for clip in clips]
    truth = np.stack([data[int(clip.rows[frame])] for clip, frame in zip(clips, middle, strict=True)])
    made = example_clips(list(models.values()), data, clips)
    frames = {
        name: np.stack([clip[frame] for clip, frame in zip(found, middle, strict=True)])
        for name, found in zip(models, made, strict=True)
    }
    labels = [data.expressions[clip.expression].replace("_", " ") for clip in clips]
    title = "Apex of unseen people: recorded, made from neutral and signal, error"
    return error_maps(truth, frames, data.topology, labels, title=title, size=170)


def _curves(report: Report) -> dict[str, Image]:
    """Errors over the phases; beside a face that does not move at all, models would be one line."""
    moving = {name: found for name, found in report.curves.items() if name != STATIC}
    title = "Error over the phases of unseen people's clips"
    return {
        name: phase_curves(
            {system: np.array(found[metric]) for system, found in moving.items()}, title=title, label=label
        )
        for name, metric, label in CURVES
    }
