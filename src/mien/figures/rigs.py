"""A rig beside an artist's on the same head, shape by shape: theirs, ours, and how far apart they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from mien.data.head_rigs import LEFT_EYE, LOWER_TEETH, RIGHT_EYE, UPPER_TEETH, HeadRig
from mien.evaluation.rigs.judge import RigReport
from mien.figures.heat import heat, nice_maximum, with_bar
from mien.figures.sheets import grid
from mien.progress import track
from mien.render.clay import CLAY
from mien.render.stills import Image, View, render

TEETH, WHITE = (233, 227, 214), (238, 233, 226)
_CLOSE = ("eyeBlink", "jaw", "mouthClose")  # shapes that are looked at from close by, too
_MOVED_SHARE, _MARGIN, _FACE_SHARE = 0.25, 1.4, 1.1
_GLOSS = 0.35


def rig_sheet(report: RigReport, *, size: int = 160) -> Pictures.Image:
    """One row a shape: the whole face, and of blinks and jaw shapes what moves from close by.

    Args:
        report: Of a rig that was judged.
        size: Pixels of a face.
    """
    artist, made = report.artist, report.made
    apart = {name: np.linalg.norm(made[name] - artist.shape(name), axis=1) for name in report.shapes}
    maximum = nice_maximum(np.concatenate([values[artist.skin] for values in apart.values()]))
    whole = _around(artist, np.ones(len(artist.vertices), bool), _FACE_SHARE)
    rows: list[list[Image | None]] = []
    for name in track(report.shapes, "drawing shapes"):
        colors = heat(apart[name], maximum)
        row: list[Image | None] = list(_three(artist, made[name], name, colors, whole, size))
        if name.startswith(_CLOSE):
            moved = np.linalg.norm(artist.shape(name), axis=1)
            near = _around(artist, artist.skin & (moved > _MOVED_SHARE * moved[artist.skin].max()), _MARGIN)
            row += _three(artist, made[name], name, colors, near, size)
        rows.append(row)
    columns = ["ours", "theirs", "apart"]
    most = max(len(row) for row in rows)
    sheet = grid(
        [row + [None] * (most - len(row)) for row in rows], list(report.shapes),
        columns + columns[: most - 3], f"{next(iter(report.values))} on {report.head}",
    )  # fmt: skip
    return with_bar(sheet, maximum)


def _three(
    artist: HeadRig, change: NDArray, name: str, colors: NDArray, view: View, size: int
) -> list[Image]:
    """Ours, theirs, and the distance as heat on theirs."""
    theirs = artist.vertices + artist.shape(name)
    own = piece_colors(artist)
    return [
        render(artist.vertices + change, artist.faces, size=size, view=view, colors=own),
        render(theirs, artist.faces, size=size, view=view, colors=own),
        render(theirs, artist.faces, size=size, view=view, colors=colors, gloss=_GLOSS),
    ]


def piece_colors(rig: HeadRig) -> NDArray[np.uint8]:
    """(N, 3) sRGB: clay, white eyes, teeth."""
    colors = np.tile(np.array(CLAY, np.uint8), (len(rig.vertices), 1))
    colors[np.isin(rig.piece, (UPPER_TEETH, LOWER_TEETH))] = TEETH
    colors[np.isin(rig.piece, (LEFT_EYE, RIGHT_EYE))] = WHITE
    return colors


def _around(rig: HeadRig, chosen: NDArray, margin: float) -> View:
    """The camera that frames some vertices of a head and looks at its front."""
    view = View.around(rig.vertices[chosen], margin=margin)
    front = float(rig.vertices[chosen, 2].max())
    return replace(view, center=(view.center[0], view.center[1], front))
