"""What ``mien animate`` is told: expressions with their moments, files of curves, walks; nothing in vain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien.cli.shell import existing, parse_weights, say
from mien.errors import BadSetting
from mien.io.endings import FILMS, MESHES, RIGS

if TYPE_CHECKING:
    from mien.data.motion import Act, Weights
    from mien.models.base import FaceModel

MOMENTS = ("onset", "apex", "release", "offset", "length")
IDLE = {
    "-e": ("steps", "curves_fps"),
    "--curves": ("steps", *MOMENTS),
    "--between": ("curves_fps", *MOMENTS),
}
"""Options that say nothing about a signal of each kind."""


def way_of(expression: Sequence[str], curves: Path | None, between: str | None) -> str:
    """Which of the three kinds of signals was given."""
    given = {"-e": expression, "--curves": curves, "--between": between}
    asked = [flag for flag, value in given.items() if value]
    if len(asked) != 1:
        raise BadSetting(
            "a clip needs either expressions (-e), a file of curves (--curves) or a walk (--between)",
            received=" and ".join(asked) or "none of them",
            remedy="give one of them" if asked else "add -e smile",
        )
    if curves:
        existing(curves, "file of curves")
    return asked[0]


def refuse_idle(context: typer.Context, way: str) -> None:
    """Options that would change nothing are refused, lest they be believed."""
    given = context.params
    out, targets, own = Path(given["out"]), given["targets"], all("@" in item for item in given["expression"])
    ending, reasons = out.suffix.lower(), dict.fromkeys(IDLE[way], (f"a signal given with {way}", way))
    if way == "-e" and own:
        reasons |= dict.fromkeys(MOMENTS[:-1], ("expressions with moments of their own", way))
    if ending not in RIGS:
        reasons["targets"] = ("this output", str(out))
    if ending not in FILMS:
        reasons["size"] = ("this output", str(out))
    for name, (reason, beside) in reasons.items():
        source, flag = context.get_parameter_source(name), f"--{name.replace('_', '-')}"
        if source is not None and source.name == "COMMANDLINE":
            raise BadSetting(
                f"{flag} says nothing about {reason}", received=f"{flag} and {beside}",
                remedy=f"leave out {flag}",
            )  # fmt: skip
    if way == "--between" and (ending in MESHES or targets == "named"):
        raise BadSetting(
            "the faces of a walk between two apexes are neither one mesh nor named targets",
            received=f"--between and {out if ending in MESHES else '--targets named'}",
            remedy="name the output *.glb, *.npz, *.mp4 or a folder; --targets is motion or frames",
        )


def parse_acts(
    items: Sequence[str], known: Sequence[str], moments: tuple[float, float, float, float]
) -> list[Act]:
    """``["happy=0.5", "sad=0.3", "surprise@2,2.3,3"]`` -> two acts: a blend with the usual moments, and one.

    Args:
        items: What was given with ``-e``.
        known: The E expression names of the model.
        moments: Onset, apex, release and offset of items that have none of their own.
    """
    from mien.data.motion import Act

    acts, shared = [], dict[str, float]()
    for item in items:
        names, timed, numbers = item.partition("@")
        weights = parse_weights(names.split("+"), known)
        if not timed:
            shared |= weights
            continue
        try:
            own = [float(number) for number in numbers.split(",")]
        except ValueError:
            own = []
        if len(own) not in (3, 4):
            raise BadSetting(
                "own moments are onset, apex and offset in seconds, or onset, apex, release and offset",
                received=repr(item), remedy="write -e happy=0.8@0.2,0.6,1.4",
            )  # fmt: skip
        onset, apex, offset = own[0], own[1], own[-1]
        acts.append(Act(weights, onset, apex, own[2] if len(own) == 4 else apex, offset))
    return [*([Act(shared, *moments)] if shared else []), *acts]


def parse_walk(text: str, known: Sequence[str]) -> tuple[dict[str, float], dict[str, float]]:
    """``"happy,sad=0.5+surprise"`` -> the named weights of two apexes.

    Args:
        text: What was given with ``--between``.
        known: The E expression names of the model.
    """
    parts = text.split(",")
    if len(parts) != 2:
        raise BadSetting(
            "a walk goes between two expressions", received=repr(text), remedy="--between happy,surprise"
        )
    first, second = (parse_weights(part.split("+"), known) for part in parts)
    return first, second


def file_weights(path: Path, model: FaceModel, fps: float, file_fps: float | None) -> Weights:
    """(T, E) weights of a CSV at the clip's frame rate; says what was made of its columns."""
    from mien.data.tracked import weights_of_curves
    from mien.io.curves import read_curves

    weights, notes = weights_of_curves(read_curves(path), model.expressions, fps, file_fps)
    for note in notes:
        say(note)
    return weights
