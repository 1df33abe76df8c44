"""What ``mien animate`` is told: expressions, a file of curves or a walk, and no option in vain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from mien.cli.shell import existing
from mien.errors import BadSetting
from mien.io.endings import FILMS, MESHES, RIGS

MOMENTS = ("onset", "apex", "release", "offset", "length")
RECORDED = ("curves_fps", "rest", "smooth", "gaps")
IDLE = {"-e": ("steps", *RECORDED), "--curves": ("steps", *MOMENTS), "--between": (*RECORDED, *MOMENTS)}
IDLE["--video"] = ("curves_fps", *IDLE["--curves"])
"""Options that say nothing about a signal of each kind."""


def way_of(
    expression: Sequence[str], curves: Path | None, between: str | None, video: Path | None = None
) -> str:
    """Which of the kinds of signals was given."""
    given = {"-e": expression, "--curves": curves, "--video": video, "--between": between}
    asked = [flag for flag, value in given.items() if value]
    if len(asked) != 1:
        raise BadSetting(
            "a clip needs either expressions (-e), a recording (--curves, --video) or a walk (--between)",
            received=" and ".join(asked) or "none of them",
            remedy="give one of them" if asked else "add -e smile",
        )
    if curves or video:
        existing(curves or video or Path(), "file of curves" if curves else "video")
    return asked[0]


def refuse_idle(context: typer.Context, way: str) -> None:
    """Options that would change nothing are refused, lest they be believed."""
    given = context.params
    out, targets, own = Path(given["out"]), given["targets"], all("@" in item for item in given["expression"])
    ending, reasons = out.suffix.lower(), dict.fromkeys(IDLE[way], (f"a signal given with {way}", way))
    if way == "-e" and own:
        reasons |= dict.fromkeys(MOMENTS[:-1], ("expressions with moments of their own", way))
    if ending not in RIGS:
        reasons |= dict.fromkeys(("targets", "correctives"), ("this output", str(out)))
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
