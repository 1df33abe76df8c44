"""``mien animate``: a neutral and a signal become a clip, in the form that the next program takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mien.cli.shell import choice, show, show_json
from mien.cli.signals import refuse_idle, way_of
from mien.cli.use import LANDMARKS, MOUTH_OPEN, PIECES, STYLE
from mien.io.endings import FILMS

if TYPE_CHECKING:
    from mien.apply import OpenedFace, Signal
    from mien.models.base import FaceModel


def animate(
    context: typer.Context,
    model_dir: Path = typer.Argument(..., metavar="MODEL_DIR", help="A finished run."),
    neutral: Path = typer.Argument(..., metavar="NEUTRAL", help="The person at rest."),
    expression: list[str] = typer.Option(
        [], "-e", help="smile, smile=0.8, joined by +, with own moments: smile=0.8+brow_raiser@0.2,0.6,1,1.4"
    ),
    onset: float = typer.Option(0.2, "--onset", min=0.0, help="Second at which the face starts to move."),
    apex: float = typer.Option(0.6, "--apex", min=0.0, help="Second at which the expression is complete."),
    release: float | None = typer.Option(None, "--release", help="Second until which it is held."),
    offset: float = typer.Option(1.0, "--offset", min=0.0, help="Second at which the face is neutral again."),
    length: float | None = typer.Option(None, "--length", help="Seconds of the clip."),
    curves: Path | None = typer.Option(
        None, "--curves", help="CSV of weights a frame, or of ARKit blendshapes (Live Link Face)."
    ),
    curves_fps: float | None = typer.Option(None, "--curves-fps", help="Of a CSV without times."),
    strength: float = typer.Option(1.0, "--strength", min=0.0, help="Factor on all weights."),
    between: str | None = typer.Option(
        None, "--between", help="Walk between two apexes instead: happy,surprise=0.8"
    ),
    steps: int = typer.Option(9, "--steps", min=2, help="Faces of that walk."),
    fps: float = typer.Option(30.0, "--fps", min=1.0, help="Frames per second."),
    targets: str = typer.Option(
        "auto", "--targets", help="Of a GLB: named, motion (few, of this clip) or frames (one each)."
    ),
    style: str | None = STYLE,
    landmarks: list[str] = LANDMARKS,
    piece: list[str] = PIECES,
    rest_mouth_open: bool = MOUTH_OPEN,
    size: int = typer.Option(420, "--size", min=64, help="Pixels of a film."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON only."),
    out: Path = typer.Option(
        ..., "-o", "--out", help="*.glb, *.usda, *.pc2, *.mp4, *.gif, *.npz, a mesh, or a folder."
    ),
) -> None:
    """Makes a clip of one person, or with a mesh as output the expression at its apex.

    The head may have any topology: OBJ, GLB and NPZ hold its own vertices.

    Signals are named expressions with their moments, one or several, or a CSV of curves.
    """
    way = way_of(expression, curves, between)
    refuse_idle(context, way)
    from mien import apply
    from mien.apply.clips import TARGETS
    from mien.cli.faces import read, style_person, tell
    from mien.cli.models import open_model
    from mien.data.motion import walk
    from mien.data.notation import Marks, parse_acts, parse_walk
    from mien.data.tracked import read_weights

    choice("kind of targets", targets, TARGETS)
    model, marks = open_model(model_dir), Marks.of(landmarks, neutral, style, pieces=piece)
    face = read(neutral, model, marks, rest_mouth_open)
    if between:
        weights = walk(model.expressions, *parse_walk(between, model.expressions), steps)
    elif curves:
        weights, notes = read_weights(curves, model.expressions, fps, curves_fps)
        tell(notes)
    else:
        moments = (onset, apex, apex if release is None else release, offset)
        acts = parse_acts(expression, model.expressions, moments)
        shape = "linear" if model.remembers else "minimum-jerk"
        weights = apply.score(model.expressions, acts, fps=fps, duration=length, shape=shape)
    person = style_person(style, model, marks)
    signal = apply.Signal(strength * weights, fps, person, walk=bool(between))
    if out.suffix.lower() in FILMS:
        facts = _write_film(out, model, face, signal, size)
    else:
        facts, told = apply.write_clip(out, model, face, signal, targets=targets)
        tell(told)
    return show_json(facts) if as_json else show(_sentence(facts))


def _write_film(out: Path, model: FaceModel, face: OpenedFace, signal: Signal, size: int) -> dict[str, Any]:
    from mien.apply.clips import frames_to_show
    from mien.figures.motion import film
    from mien.io.video import write_video

    pictures = film(
        frames_to_show(model, face, signal), face.shown_topology(), weights=signal.weights,
        names=model.expressions, fps=signal.fps, size=size,
    )  # fmt: skip
    write_video(out, pictures, signal.fps)
    return signal.facts(out)


def _sentence(facts: dict[str, Any]) -> str:
    if "weights" in facts:
        shown = ", ".join(f"{name} {value:.2f}" for name, value in facts["weights"].items() if value)
        return f"{facts['out']}: the apex, {shown}."
    text = f"{facts['out']}: {facts['frames']} frames at {facts['fps']:g} per second."
    if facts.get("walk"):
        text = f"{facts['out']}: {facts['frames']} faces between two apexes."
    if "targets" in facts:
        kind = {"named": "named", "motion": "of this motion", "frames": "one a frame"}[facts["kind"]]
        text += f" {facts['targets']} morph targets ({kind}), {facts['error_mm']:.3f} mm off the frames."
    return text
