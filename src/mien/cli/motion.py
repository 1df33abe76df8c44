"""``mien animate`` and ``mien convert``: signals become clips, and take the coefficients of other rigs."""

from __future__ import annotations

from pathlib import Path

import typer

from mien.cli.shell import choice, show, show_json
from mien.cli.signals import refuse_idle, way_of
from mien.cli.use import CORRECTIVES, LANDMARKS, MOUTH_OPEN, PIECES, STYLE
from mien.io.endings import FILMS

RIGS = "arkit, ict, makehuman, procedural, visemes"


def animate(
    context: typer.Context,
    model_dir: Path = typer.Argument(..., metavar="[MODEL_DIR]", help="A finished run, or textbook shapes."),
    neutral: Path | None = typer.Argument(None, metavar="NEUTRAL", help="The person at rest."),
    expression: list[str] = typer.Option(
        [], "-e", help="smile, smile=0.8, joined by +, with own moments: smile=0.8+brow_raiser@0.2,0.6,1,1.4"
    ),
    onset: float = typer.Option(0.2, "--onset", min=0.0, help="Second at which the face starts to move."),
    apex: float = typer.Option(0.6, "--apex", min=0.0, help="Second at which the expression is complete."),
    release: float | None = typer.Option(None, "--release", help="Second until which it is held."),
    offset: float = typer.Option(1.0, "--offset", min=0.0, help="Second at which the face is neutral again."),
    length: float | None = typer.Option(None, "--length", help="Seconds of the clip."),
    curves: Path | None = typer.Option(
        None, "--curves", help="A recording: Live Link Face, ARKit, MediaPipe, OpenFace, Audio2Face, any CSV."
    ),
    video: Path | None = typer.Option(None, "--video", help="A film of one face, which is read from it."),
    curves_fps: float | None = typer.Option(None, "--curves-fps", help="Of a recording without times."),
    rest: str | None = typer.Option(None, "--rest", help="The actor's rest: 30, 10-40 (frames) or a file."),
    smooth: float = typer.Option(0.0, "--smooth", min=0.0, help="Seconds of a smoothing window, like 0.2."),
    gaps: str = typer.Option("interpolate", "--gaps", help="Where the face was lost: interpolate, hold."),
    strength: float = typer.Option(1.0, "--strength", min=0.0, max=100.0, help="Factor on all weights."),
    between: str | None = typer.Option(None, "--between", help="Walk between apexes: happy,surprise=0.8"),
    steps: int = typer.Option(9, "--steps", min=2, max=10_000, help="Faces of that walk."),
    fps: float = typer.Option(30.0, "--fps", min=1.0, help="Frames per second."),
    targets: str = typer.Option(
        "auto", "--targets", help="Of a GLB: named, motion (few, of this clip) or frames (one each)."
    ),
    correctives: bool = CORRECTIVES,
    style: str | None = STYLE,
    source: list[str] = typer.Option([], "--source", help="Without a model: ict, makehuman, procedural."),
    landmarks: list[str] = LANDMARKS,
    piece: list[str] = PIECES,
    rest_mouth_open: bool = MOUTH_OPEN,
    size: int = typer.Option(420, "--size", min=64, max=4096, help="Pixels of a film."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON only."),
    out: Path = typer.Option(
        ..., "-o", "--out", help="*.glb, *.usda, *.pc2, *.mp4, *.gif, *.npz, mesh, folder."
    ),
) -> None:
    """Makes a clip of one person, or with a mesh as output the expression at its apex.

    The head may have any topology: OBJ, GLB and NPZ hold its own vertices.

    Signals are named expressions with their moments, one or several, or a recorded performance. Without a
    model the face moves by textbook ARKit shapes.
    """
    way = way_of(expression, curves, between, video)
    refuse_idle(context, way)
    from mien import apply
    from mien.apply.clips import TARGETS, clip_sentence
    from mien.apply.performances import performance_in
    from mien.cli.faces import read, style_person, tell
    from mien.cli.models import model_or_textbook
    from mien.data.motion import walk
    from mien.data.notation import Marks, parse_acts, parse_walk

    choice("kind of targets", targets, TARGETS)
    model = model_or_textbook(model_dir if neutral else None, source)
    neutral = neutral or model_dir
    marks = Marks.of(landmarks, neutral, style, pieces=piece)
    if recording := curves or video:
        weights, notes = performance_in(
            recording, model.expressions, fps, file_fps=curves_fps, rest=rest, smooth=smooth, gaps=gaps
        )
        tell(notes)
    face = read(neutral, model, marks, rest_mouth_open)
    if between:
        weights = walk(model.expressions, *parse_walk(between, model.expressions), steps)
    elif not recording:
        moments = (onset, apex, apex if release is None else release, offset)
        acts = parse_acts(expression, model.expressions, moments)
        shape = "linear" if model.remembers else "minimum-jerk"
        weights = apply.score(model.expressions, acts, fps=fps, duration=length, shape=shape)
    person = style_person(style, model, marks)
    signal = apply.Signal(strength * weights, fps, person, walk=bool(between))
    if out.suffix.lower() in FILMS:
        from mien.figures.motion import write_film

        facts = write_film(out, model, face, signal, size)
    else:
        facts, told = apply.write_clip(out, model, face, signal, targets=targets, correctives=correctives)
        tell(told)
    return show_json(facts) if as_json else show(clip_sentence(facts))


def convert(
    take: Path | None = typer.Argument(None, metavar="[TAKE]", help="A recording, or the table is written."),
    source: str | None = typer.Option(None, "--from", help=f"The take's rig: {RIGS}, or a rig's file."),
    target: str | None = typer.Option(None, "--to", help="The other rig."),
    table: Path | None = typer.Option(None, "--table", help="An edited table in place of --from and --to."),
    fps: float | None = typer.Option(None, "--fps", min=1.0, help="Of the result; else the recording's own."),
    out: Path = typer.Option(..., "-o", "--out", help="*.csv: the take, or the table from, to, weight."),
) -> None:
    """Turns coefficients of one rig into those of another, by their meshes; says what cannot be kept."""
    from mien.apply.conversion import convert_files
    from mien.cli.faces import tell

    tell(convert_files(out, take, source, target, table, fps))
    show(f"{out}: {'the take in its new coefficients' if take else 'the table of the conversion'}.")
