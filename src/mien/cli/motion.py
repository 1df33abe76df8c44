"""``mien animate``: a neutral and a signal become a clip, in the form that the next program takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mien.cli.shell import choice, examples, show, show_json
from mien.cli.signals import FILMS, MESHES, RIGS, file_weights, parse_acts, refuse_idle, walk_weights, way_of
from mien.cli.use import LANDMARKS, STYLE
from mien.errors import BadSetting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.cli.faces import Face
    from mien.models.base import FaceModel

PANEL = "Use a model"
TARGETS = ("auto", "named", "motion", "frames")


@dataclass(frozen=True)
class Wish:
    """What was asked for besides the face.

    Args:
        weights: (T, E) float32.
        fps: Frames per second.
        targets: One of ``TARGETS``.
        size: Pixels of a film.
        style: Whose way of performing, or None.
        walk: The weights lead from one apex straight to another; faces lie on the line between their codes.
    """

    weights: NDArray[np.float32]
    fps: float
    targets: str
    size: int
    style: Any = None
    walk: bool = False


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
    choice("kind of targets", targets, TARGETS)
    way = way_of(expression, curves, between)
    refuse_idle(context, way)
    from mien import apply
    from mien.cli.faces import Marks, read, style_person
    from mien.cli.models import open_model

    model, marks = open_model(model_dir), Marks.of(landmarks, neutral, style)
    face = read(neutral, model, marks)
    if between:
        weights = walk_weights(between, model.expressions, steps)
    elif curves:
        weights = file_weights(curves, model, fps, curves_fps)
    else:
        moments = (onset, apex, apex if release is None else release, offset)
        acts = parse_acts(expression, model.expressions, moments)
        shape = "linear" if model.remembers else "minimum-jerk"
        weights = apply.score(model.expressions, acts, fps=fps, duration=length, shape=shape)
    person = style_person(style, model, marks)
    wish = Wish(strength * weights, fps, targets, size, person, walk=bool(between))
    facts = write_clip(out, model, face, wish)
    return _told(facts, _sentence(facts), as_json)


def write_clip(out: Path, model: FaceModel, face: Face, wish: Wish) -> dict[str, Any]:
    """Makes the clip and writes it as the ending of ``out`` says; what was written, for JSON."""
    import numpy as np

    from mien import apply
    from mien.data.arkit import gaze_of

    ending = out.suffix.lower()
    facts: dict[str, Any] = {"out": str(out), "frames": len(wish.weights), "fps": wish.fps}
    if ending in MESHES:
        strongest = wish.weights[wish.weights.sum(axis=1).argmax()]
        apexes = apply.between_poses(model, face.vertices, strongest, strongest, 2, style=wish.style)
        face.write(out, apexes[0], gaze_of(model.expressions, strongest))
        return {"out": str(out), "weights": dict(zip(model.expressions, strongest.tolist(), strict=True))}
    facts |= {"walk": True} if wish.walk else {}
    frames, looks = _frames(model, face, wish), gaze_of(model.expressions, wish.weights)
    if ending in RIGS:
        return facts | _write_glb(out, model, face, frames, wish)
    if ending in FILMS:
        _film(out, face, face.shown(frames, looks), model.expressions, wish)
    elif ending == ".npz":
        names = np.array(model.expressions)
        np.savez(
            out, vertices=face.shown(frames, looks), weights=wish.weights, expressions=names, fps=wish.fps
        )
    elif ending == ".pc2":
        from mien.io.pc2 import write_pc2

        write_pc2(out, face.restored(frames, looks))
    elif ending:
        raise BadSetting(
            "a clip is written as GLB, USD, PC2, MP4, GIF, NPZ, a mesh or a folder of OBJ files",
            received=str(out),
            remedy="name it *.glb, *.usda, *.pc2, *.mp4, *.gif, *.npz or *.obj, or give a folder",
        )  # fmt: skip
    else:
        face.write_frames(out, frames, "step" if wish.walk else "clip", looks)
    return facts


def _frames(model: FaceModel, face: Face, wish: Wish) -> NDArray[np.float32]:
    """(T, V, 3) the clip or the walk, millimeters."""
    from mien import apply

    if not wish.walk:
        return apply.animate(model, face.vertices, wish.weights, fps=wish.fps, style=wish.style)
    ends = wish.weights[0], wish.weights[-1]
    return apply.between_poses(model, face.vertices, *ends, len(wish.weights), style=wish.style)


def _film(out: Path, face: Face, frames: NDArray, names: Sequence[str], wish: Wish) -> None:
    from mien.figures.motion import film
    from mien.io.video import write_video

    pictures = film(frames, face.stage(), weights=wish.weights, names=names, fps=wish.fps, size=wish.size)
    write_video(out, pictures, wish.fps)


def _write_glb(
    out: Path, model: FaceModel, face: Face, frames: NDArray[np.float32], wish: Wish
) -> dict[str, Any]:
    """Morph targets with curves; how many, and how far their sum is off the clip."""
    import numpy as np

    from mien import apply
    from mien.data.arkit import gaze_of

    kind, looks = wish.targets, None
    if kind == "auto":
        kind = "motion" if model.remembers or wish.walk else "named"
    if kind == "named":
        made, curve = apply.rig(model, face.vertices, style=wish.style), wish.weights
        shown = np.stack([made.apply(weights) for weights in curve])
        error = float(np.linalg.norm(shown - frames, axis=2).mean())
    else:
        curve, error = np.eye(len(frames), dtype=np.float32), 0.0
        targets = frames
        if kind == "motion":
            targets, curve, error = apply.few_targets(frames, face.vertices)
        if (turns := gaze_of(model.expressions, wish.weights)) is not None:
            solved = np.linalg.lstsq(curve, turns.reshape(len(turns), 4), rcond=None)[0]
            looks = solved.reshape(-1, 2, 2)
        names = tuple(f"{kind.rstrip('s')}_{number}" for number in range(1, len(targets) + 1))
        made = apply.Rig(model.topology, face.vertices, targets, names)
    face.write_rig(out, made, gaze=looks, clip=curve, fps=wish.fps)
    return {"targets": len(made.names), "kind": kind, "error_mm": error}


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


def _told(facts: dict[str, Any], sentence: str, as_json: bool) -> None:
    if as_json:
        return show_json(facts)
    show(sentence)


def add_to(app: typer.Typer) -> None:
    """Adds the command to ``mien``."""
    lines = (
        "mien animate runs/first neutral.obj -e smile --onset 0.2 --apex 0.6 --offset 1.0 -o smile.glb",
        "mien animate runs/first neutral.obj -e happy=0.8@0.2,0.6,1.2 -e surprise@1.4,1.7,2.5 -o both.mp4",
        "mien animate runs/first neutral.obj --curves take.csv --fps 60 -o take.glb",
        "mien animate runs/first neutral.obj --between happy,sad --steps 7 -o walk",
        "mien animate runs/first neutral.obj --between happy,sad --steps 31 -o walk.glb",
        "mien animate runs/first neutral.obj -e anger=0.7 --fps 25 -o frames",
    )
    app.command(epilog=examples(*lines), rich_help_panel=PANEL)(animate)
