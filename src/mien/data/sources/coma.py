"""CoMA: 12 people, 12 extreme expressions each, recorded and registered in the FLAME topology."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mien.data.sources.levels import displacement_level, moving_sides, outlying
from mien.data.sources.tree import (
    Faces,
    FieldSet,
    Scan,
    Tree,
    TreeOptions,
    mesh_files,
    refuse_empty,
    relabeled,
)
from mien.errors import BadFile
from mien.io.table import is_frame, table_rows

SEQUENCES = (
    "bareteeth", "cheeks_in", "eyebrow", "high_smile", "lips_back", "lips_up",
    "mouth_down", "mouth_extreme", "mouth_middle", "mouth_open", "mouth_side", "mouth_up",
)  # fmt: skip
ONE_SIDED = ("mouth_down", "mouth_middle", "mouth_side", "mouth_up")
"""Performed to the left and to the right in one recording. FaceTuneGAN names three of them and counts 17
classes with the neutral, Gu et al. count 16 without it: both need the fourth."""

AROUND = 10  # frames before and after the apex that FaceTuneGAN takes along
FRAMES_PER_SECOND = 60.0

_PERSON = re.compile(r"FaceTalk_\d+_\d+_TA")
_FRAME = re.compile(r"(\w+)\.(\d+)")


def class_names(split: bool) -> tuple[str, ...]:
    """The twelve expressions, or the sixteen after splitting the one-sided ones."""
    if not split:
        return SEQUENCES
    pairs = [(f"{name}_left", f"{name}_right") if name in ONE_SIDED else (name,) for name in SEQUENCES]
    return tuple(name for pair in pairs for name in pair)


def read_coma(folder: Path, options: TreeOptions) -> Tree:
    """Lists ``FaceTalk_<date>_<number>_TA/<expression>/<expression>.<frame>.ply``.

    Selections: ``frames`` (every frame, weight = level), ``sides`` (the same with one-sided expressions split
    by side, as in Gu et al. 2023) and ``facetunegan`` (first frames as neutrals, 10 frames around each apex).
    """
    selection = options.selection or COMA.selections[0]
    tree = Tree([], class_names(selection != "frames"), fps=FRAMES_PER_SECOND)
    seen: dict[str, set[str]] = {}
    for path in mesh_files(folder):
        person, match = path.parent.parent.name, _FRAME.fullmatch(path.stem)
        if not _PERSON.fullmatch(person):
            continue
        if path.parent.name not in SEQUENCES or match is None:
            tree.check.wrong.append(f"{path.relative_to(folder)} is no frame of the twelve expressions")
            continue
        seen.setdefault(person, set()).add(path.parent.name)
        tree.scans.append(Scan(path, person, clip=path.parent.name, frame=int(match[2])))
    for person, names in seen.items():
        tree.check.missing += [f"{person}/{name}" for name in SEQUENCES if name not in names]
    if selection == "facetunegan":
        picks = read_picks(options.picks, tree.expressions) if options.picks else {}
        tree.label, tree.fps = partial(select_apexes, picks=picks), 0.0
    else:
        tree.label = partial(label_frames, split=selection == "sides")
    tree.facts["selection"] = selection
    return refuse_empty(tree, COMA, folder)


def label_frames(scans: Sequence[Scan], frames: Faces, *, split: bool) -> list[Scan | None]:
    """Every frame with its recording's expression, as strong as its level.

    When sides are split, which is the preparation of Gu et al. (FG 2023), a frame of a one-sided expression
    that goes to neither side carries no label, and frames that outlie their recording are left out, as theirs
    are (:func:`~mien.data.sources.levels.outlying`; 4 of 20,466 by their paper).

    Args:
        scans: The T frames of a recording.
        frames: (T, V, 3) float, millimeters.
        split: Whether a one-sided expression becomes two, by the side that moves.
    """
    name = scans[0].clip
    found: list[Scan | None] = []
    kept = np.flatnonzero(~outlying(frames)) if split else np.arange(len(frames))
    level, side = np.zeros(len(frames)), [""] * len(frames)
    sided = split and name in ONE_SIDED
    level[kept] = displacement_level(frames[kept])
    if sided:
        for row, which in zip(kept.tolist(), moving_sides(frames[kept]), strict=True):
            side[row] = which
    for row, scan in enumerate(scans):
        if row not in kept:
            found.append(None)
        elif not sided or level[row] == 0:
            found.append(relabeled(scan, {name: float(level[row])} if level[row] else {}))
        else:
            found.append(relabeled(scan, {f"{name}_{side[row]}": float(level[row])} if side[row] else None))
    return found


def select_apexes(
    scans: Sequence[Scan], frames: Faces, *, picks: dict[tuple[str, str], int]
) -> list[Scan | None]:
    """The first frame as a neutral, and the frames around the apex of each class of the recording.

    The apex is the frame with the largest mean displacement from the first one; for one-sided expressions
    one apex is sought on each side, and a side to which the person does not go has none.

    Source: Olivier, Baert, Danieau, Multon and Avril, FaceTuneGAN, Computers & Graphics 2023, section 4.1.

    Args:
        scans: T scans of one recording.
        frames: (T, V, 3) float, millimeters.
        picks: (subject, class) -> frame number, for apexes that were corrected by hand.
    """
    name, level = scans[0].clip, displacement_level(frames)
    side = moving_sides(frames) if name in ONE_SIDED else None
    numbers = np.array([scan.frame for scan in scans])
    found: list[Scan | None] = [None] * len(scans)
    for ending in ("",) if side is None else ("left", "right"):
        label = f"{name}_{ending}" if ending else name
        inside = np.ones(len(scans), bool) if side is None else np.array([item == ending for item in side])
        picked = picks.get((scans[0].subject, label))
        if picked is None and not inside.any():
            continue
        apex = (
            int(np.where(inside, level, -1.0).argmax())
            if picked is None
            else int(np.abs(numbers - picked).argmin())
        )
        for row in range(max(apex - AROUND, 1), min(apex + AROUND + 1, len(scans))):
            if (
                found[row] is None
            ):  # apexes of two sides may lie close together: the first one keeps its frames
                found[row] = relabeled(scans[row], {label: 1.0}, single=True)
    found[0] = relabeled(scans[0], {}, single=True)
    return found


def read_picks(path: Path, classes: Sequence[str]) -> dict[tuple[str, str], int]:
    """A table with the columns subject, class and frame: apexes that somebody chose by eye."""
    picks: dict[tuple[str, str], int] = {}
    remedy = "the first line must be: subject,class,frame"
    for row in table_rows(path, "the table of apexes", ("subject", "class", "frame"), remedy):
        if row["class"] not in classes or not is_frame(row["frame"]) or not row["subject"]:
            raise BadFile(
                "a row of the table of apexes is no subject, class and frame",
                received=row.where,
                remedy=f"known classes: {', '.join(classes)}",
            )
        picks[row["subject"], row["class"]] = int(row["frame"])
    return picks


COMA = FieldSet(
    name="coma",
    title="CoMA",
    license="CoMA license: non-commercial scientific research, see coma.is.tue.mpg.de/license",
    citation="A. Ranjan, T. Bolkart, S. Sanyal and M. J. Black, Generating 3D faces using Convolutional Mesh "
    "Autoencoders, ECCV 2018",
    apply="register at coma.is.tue.mpg.de and unpack COMA_data.zip",
    layout="FaceTalk_170725_00137_TA/bareteeth/bareteeth.000001.ply and so on",
    read=read_coma,
    selections=("frames", "sides", "facetunegan"),
    vertices=5023,
    upright=True,
)
