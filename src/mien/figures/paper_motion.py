"""``mien evaluate --pictures`` on clips: sheets, films, error maps and curves of models that move."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.io.atomic import atomic_file

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from mien.data.clips import Clip
    from mien.data.dataset import FaceDataset
    from mien.evaluation import Report
    from mien.models.base import FaceModel

MOMENTS = (0.15, 0.6, 1.2, 1.9)
"""Onset, apex, release and offset of the clips of a sheet, seconds."""

SECONDS, FPS = 2.1, 30.0

CURVES = (
    ("phases", "frame_l2", "mean vertex distance (mm)"),
    ("phases-l1", "frame_l1", "mean absolute error of coordinates (mm)"),
)
"""Picture, curve and axis; the publication's figure 5 is called L1 there."""


def draw_motion(
    models: Mapping[str, FaceModel], data: FaceDataset, report: Report, folder: Path, *, seed: int
) -> list[Path]:
    """Draws every figure that the models can fill, and returns the files.

    Args:
        models: Name -> model.
        data: Clips of unseen people.
        report: Their evaluation, for the curves.
        folder: Where the files go.
        seed: Of the choice of people.
    """
    from mien import apply

    able = {name: model for name, model in models.items() if not apply.refusal(type(model), "animate")}
    clips = _cast(data, seed)
    folder.mkdir(parents=True, exist_ok=True)
    paths, drawn = [], dict[str, "Image"]()
    for name, model in able.items():
        drawn[f"clips-{name}"], film = _sheet(name, model, data, clips[0])
        if importlib.util.find_spec("av"):
            paths.append(folder / f"clips-{name}.mp4")
            film(paths[-1])
        drawn[f"between-{name}"] = _between(name, model, data, clips[0])
    if able:
        drawn["apex-errors"] = _apex_errors(able, data, clips)
    if report.curves and importlib.util.find_spec("matplotlib"):
        from mien.evaluation.motion.making import STATIC
        from mien.figures.motion import phase_curves

        # Beside a face that does not move at all, models would be one line.
        curves = {name: found for name, found in report.curves.items() if name != STATIC}
        for name, metric, label in CURVES:
            shown = {system: np.array(found[metric]) for system, found in curves.items()}
            title = "Error over the phases of unseen people's clips"
            drawn[name] = phase_curves(shown, title=title, label=label)
    for name, image in drawn.items():
        paths.append(folder / f"{name}.png")
        with atomic_file(paths[-1]) as file:
            image.save(file, "PNG", optimize=True)
    return paths


def _cast(data: FaceDataset, seed: int) -> list[Clip]:
    """One clip an expression, of different people who may be shown."""
    from mien.data.clips import clips_of
    from mien.errors import BadSetting

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


def _signals(model: FaceModel) -> dict[str, NDArray[np.float32]]:
    """Every expression of the model (the first six) with the same moments."""
    from mien import apply

    shape = "linear" if model.remembers else "minimum-jerk"
    acts = {name: apply.Act({name: 0.9}, *MOMENTS) for name in model.expressions[:6]}
    return {
        name: apply.score(model.expressions, [act], fps=FPS, duration=SECONDS, shape=shape)
        for name, act in acts.items()
    }


def _sheet(
    name: str, model: FaceModel, data: FaceDataset, clip: Clip
) -> tuple[Image, Callable[[Path], None]]:
    """Expressions by time on one unseen neutral, and what writes the same as a film."""
    from mien import apply
    from mien.data.clips import clip_neutral
    from mien.figures.motion import clip_sheet, sheet_film
    from mien.io.video import write_video

    neutral, signals = clip_neutral(data, clip), _signals(model)
    made = {key: apply.animate(model, neutral, weights, fps=FPS) for key, weights in signals.items()}
    strength = {key: weights.max(axis=1) for key, weights in signals.items()}
    sheet = clip_sheet(
        made, model.topology, weights=strength, fps=FPS,
        title=f"One unseen person, moved by {name}",
        note=f"{data.subjects[clip.subject]}. The curve is the signal: which expression, how strong, when.",
    )  # fmt: skip

    def film(path: Path) -> None:
        write_video(path, sheet_film(made, model.topology, weights=strength, fps=FPS), FPS)

    return sheet, film


def _between(name: str, model: FaceModel, data: FaceDataset, clip: Clip) -> Image:
    """Straight lines in code between the apexes of neighboring expressions."""
    from mien import apply
    from mien.data.clips import clip_neutral
    from mien.figures.faces import face_sheet

    neutral, names = clip_neutral(data, clip), model.expressions[:6]
    pairs = list(zip(names[::2], names[1::2], strict=False))
    rows = [apply.between_poses(model, neutral, {a: 0.9}, {b: 0.9}, 7) for a, b in pairs]
    labels = [f"{a} to {b}".replace("_", " ") for a, b in pairs]
    return face_sheet(
        [list(row) for row in rows], model.topology, labels, title=f"Between apexes, {name}", size=150
    )


def _apex_errors(models: Mapping[str, FaceModel], data: FaceDataset, clips: list[Clip]) -> Image:
    """Recorded apexes of unseen people, what the models make of neutral and signal, and the error."""
    from mien.evaluation.motion.making import example_clips
    from mien.figures.faces import error_maps

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
