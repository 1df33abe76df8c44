"""Recordings: BU-4DFE, BP4D-Spontaneous and 4DFAB, registered frame by frame."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from mien.data.expressions import expression_set
from mien.data.sources.levels import displacement_level, phase_weights
from mien.data.sources.tree import (
    Faces,
    FieldSet,
    Scan,
    Tree,
    TreeOptions,
    find_list,
    may_be_shown,
    mesh_files,
    refuse_empty,
    relabeled,
)
from mien.errors import BadFile
from mien.io.table import is_frame, table_cells, table_rows

EMOTIONS = {
    "angry": "angry", "anger": "angry", "disgust": "disgust", "fear": "fear", "happy": "happy",
    "happiness": "happy", "sad": "sad", "sadness": "sad", "surprise": "surprise",
}  # fmt: skip
"""Folder names of the owners -> the names of the set ``emotion6``."""

TASKS = tuple(f"T{number}" for number in range(1, 9))
PHASES = ("onset", "apex_start", "apex_end", "offset")
_PERSON = re.compile(r"[FM]\d{3}")
_NUMBER = re.compile(r"(\d+)(?!.*\d)")
_UNKNOWN = 9  # the coders' mark for a unit that could not be seen


def read_bu4dfe(folder: Path, options: TreeOptions) -> Tree:
    """Lists ``F001/Angry/000`` and so on: 101 people, six emotions, 25 frames a second."""
    tree = Tree([], expression_set("emotion6").names, fps=25.0)
    for path, parts, frame in _frames(folder):
        if len(parts) >= 2 and _PERSON.fullmatch(parts[-2]) and (name := EMOTIONS.get(parts[-1].lower())):
            tree.scans.append(Scan(path, parts[-2], {name: 1.0}, clip=name, frame=frame))
    _missing_clips(tree, tree.expressions)
    return _labeled(tree, BU4DFE, folder, options)


def read_4dfab(folder: Path, options: TreeOptions) -> Tree:
    """Lists ``<person>/[<session>/]<emotion>/<frame>``: 180 people, four sessions, 60 frames a second."""
    tree = Tree([], expression_set("emotion6").names, fps=60.0)
    for path, parts, frame in _frames(folder):
        if len(parts) >= 2 and (name := EMOTIONS.get(parts[-1].lower())):
            clip = "/".join([*parts[1:-1], name])
            tree.scans.append(Scan(path, parts[0], {name: 1.0}, clip=clip, frame=frame))
    return _labeled(tree, FDFAB, folder, options)


def read_bp4d(folder: Path, options: TreeOptions) -> Tree:
    """Lists ``F001/T1/<frame>``: 41 people, eight tasks, 25 frames a second.

    The tasks are no expressions. Where the coders' tables ``AU_OCC/F001_T1.csv`` are in the tree, frames
    carry the action units that occur (``au_12``; none is neutral); others are unlabeled. ``neutrals.csv``
    (columns subject, task, frame), if it is there, names neutral frames.
    """
    tree = Tree([], (), fps=25.0)
    tables = {path.stem: path for path in sorted(folder.rglob("[FM][0-9][0-9][0-9]_T[1-8].csv"))}
    neutral = _neutral_frames(folder)
    coded: dict[str, dict[int, dict[str, float]]] = {}
    for path, parts, frame in _frames(folder):
        if len(parts) < 2 or not _PERSON.fullmatch(parts[-2]) or parts[-1] not in TASKS:
            continue
        person, task = parts[-2:]
        key = f"{person}_{task}"
        if key in tables and key not in coded:
            coded[key] = read_action_units(tables[key])
        weights = {} if (person, task, frame) in neutral else coded.get(key, {}).get(frame)
        scan = Scan(path, person, clip=task, frame=frame)
        tree.scans.append(relabeled(scan, weights))
    names = {name for units in coded.values() for weights in units.values() for name in weights}
    tree.expressions = tuple(sorted(names, key=lambda name: int(name.split("_")[1])))
    tree.check.found.append(f"action units of {len(coded)} recordings")
    if not any(scan.neutral for scan in tree.scans):
        tree.check.notes.append("no frame is labeled neutral; name some in neutrals.csv (subject,task,frame)")
    _missing_clips(tree, TASKS)
    refuse_empty(tree, BP4D, folder)
    return may_be_shown(tree, folder, options, "*publishable*.txt")


def read_action_units(path: Path) -> dict[int, dict[str, float]]:
    """Frame -> action unit -> 1 where it occurs, of one table of occurrences.

    The first row holds the numbers of the units after a first cell, and each row begins with its frame. Units
    that were not coded at all (9 throughout) are ignored; frames in which a coded unit could not be seen are
    left out, as nobody knows whether they are neutral.
    """
    rows = [cells for _, cells in table_cells(path, "the table of action units")]
    try:
        numbers = [int(float(cell)) for cell in rows[0][1:]]
        values = [[int(float(cell)) for cell in row] for row in rows[1:]]
        table = {row[0]: dict(zip(numbers, row[1:], strict=True)) for row in values}
    except (ValueError, IndexError, OverflowError) as error:
        raise BadFile(
            "the table of action units is damaged",
            received=f"{path}: {error}",
            remedy="the first row numbers the units, every other row begins with its frame",
        ) from error
    coded = [unit for unit in numbers if any(units[unit] != _UNKNOWN for units in table.values())]
    return {
        frame: {f"au_{unit}": 1.0 for unit in coded if units[unit]}
        for frame, units in table.items()
        if all(units[unit] != _UNKNOWN for unit in coded)
    }


def label_by_level(scans: Sequence[Scan], frames: Faces) -> list[Scan | None]:
    """Every frame with its recording's expression, as strong as its displacement from the first frame.

    Args:
        scans: The T frames of a recording.
        frames: (T, V, 3) float, millimeters.
    """
    name = next(iter(scans[0].weights))
    level = displacement_level(frames)
    return [
        relabeled(scan, {name: float(level[row])} if level[row] else {}) for row, scan in enumerate(scans)
    ]


def label_peak(scans: Sequence[Scan], frames: Faces) -> list[Scan | None]:
    """First and last frame neutral, the frame of largest displacement the expression, the rest unlabeled.

    Source: Abrevaya, Boukhayma, Wuhrer and Boyer, ICCV 2019, section 5.2 (BU-4DFE).

    Args:
        scans: The T frames of a recording.
        frames: (T, V, 3) float, millimeters.
    """
    name, peak = next(iter(scans[0].weights)), int(displacement_level(frames).argmax())
    found: list[Scan | None] = [relabeled(scan, None) for scan in scans]
    found[0], found[-1] = relabeled(scans[0], {}), relabeled(scans[-1], {})
    found[peak] = relabeled(scans[peak], {name: 1.0})
    return found


def label_phases(
    scans: Sequence[Scan], frames: Faces, *, phases: dict[tuple[str, str], tuple[int, ...]]
) -> list[Scan | None]:
    """Ramps between the key frames of a table; recordings that it lacks are unlabeled.

    Args:
        scans: The T frames of a recording.
        frames: (T, V, 3) float, millimeters.
        phases: Subject and clip -> frame numbers of onset, apex begin, apex end and offset.
    """
    key = phases.get((scans[0].subject, scans[0].clip))
    if key is None:
        return [relabeled(scan, None) for scan in scans]
    numbers = np.array([scan.frame for scan in scans])
    place = [int(np.abs(numbers - frame).argmin()) for frame in key]
    name = next(iter(scans[0].weights))
    ramp = phase_weights(len(scans), *place)
    return [relabeled(scan, {name: float(ramp[row])} if ramp[row] else {}) for row, scan in enumerate(scans)]


def read_phases(path: Path) -> dict[tuple[str, str], tuple[int, ...]]:
    """Key frames of recordings: a table with the columns subject, clip and the four phases."""
    found: dict[tuple[str, str], tuple[int, ...]] = {}
    remedy = f"write the columns subject, clip, {', '.join(PHASES)}"
    for row in table_rows(path, "the table of key frames", ("subject", "clip", *PHASES), remedy):
        cells = [row[name] for name in PHASES]
        if not all(map(is_frame, cells)) or sorted(cells, key=int) != cells:
            raise BadFile(
                "key frames must be whole numbers in order",
                received=f"{', '.join(cells)[:80]} in {row.where}", remedy=remedy,
            )  # fmt: skip
        found[row["subject"], row["clip"]] = tuple(map(int, cells))
    return found


def _labeled(tree: Tree, kind: FieldSet, folder: Path, options: TreeOptions) -> Tree:
    """Chooses how frames get their weights."""
    selection = options.selection or kind.selections[0]
    table = options.picks or find_list(folder, "phases.csv")
    if selection == "phases":
        if table is None:
            raise BadFile(
                "the selection 'phases' needs a table of key frames", received=str(folder),
                remedy=f"write phases.csv with the columns subject, clip, {', '.join(PHASES)}",
            )  # fmt: skip
        tree.label = partial(label_phases, phases=read_phases(table))
    else:
        tree.label = label_peak if selection == "peak" else label_by_level
    tree.facts["selection"] = selection
    refuse_empty(tree, kind, folder)
    return may_be_shown(tree, folder, options, "*publishable*.txt")


def _frames(folder: Path) -> Iterator[tuple[Path, tuple[str, ...], int]]:
    """(file, folders above it, frame number) of every mesh whose name has a number."""
    for path in mesh_files(folder):
        number = _NUMBER.search(path.stem)
        if number:
            yield path, path.relative_to(folder).parts[:-1], int(number[1])


def _missing_clips(tree: Tree, names: Sequence[str]) -> None:
    """Recordings that a person lacks."""
    seen = {(scan.subject, scan.clip) for scan in tree.scans}
    tree.check.missing += [
        f"{who}/{name}" for who in tree.subjects for name in names if (who, name) not in seen
    ]


def _neutral_frames(folder: Path) -> set[tuple[str, str, int]]:
    path = find_list(folder, "neutrals.csv")
    if path is None:
        return set()
    remedy = "write one row for every neutral frame"
    rows = table_rows(path, "neutrals.csv", ("subject", "task", "frame"), remedy)
    if odd := [row for row in rows if not is_frame(row["frame"])]:
        received = f"{odd[0]['frame'][:80]!r} in {odd[0].where}"
        raise BadFile("a frame of neutrals.csv is no whole number", received=received, remedy=remedy)
    return {(row["subject"], row["task"], int(row["frame"])) for row in rows}


_BINGHAMTON = "Binghamton University agreement: non-commercial research, pictures only of people who agreed"
_APPLY = "apply to Lijun Yin at Binghamton University (cs.binghamton.edu/~lijun/Research/3DFE)"
_REGISTER = "bring the frames into correspondence and keep their folders and numbers"

BU4DFE = FieldSet(
    name="bu4dfe",
    title="registered BU-4DFE",
    license=_BINGHAMTON,
    citation="L. Yin, X. Chen, Y. Sun, T. Worm and M. Reale, A High-Resolution 3D Dynamic Facial Expression "
    "Database, FG 2008",
    apply=f"{_APPLY}, then {_REGISTER}",
    layout="F001/Angry/000.obj, 001.obj and so on, with Disgust, Fear, Happy, Sad and Surprise",
    read=read_bu4dfe,
    selections=("level", "peak", "phases"),
    restricted=True,
)
BP4D = FieldSet(
    name="bp4d",
    title="registered BP4D-Spontaneous",
    license=_BINGHAMTON,
    citation="X. Zhang et al., BP4D-Spontaneous: a high-resolution spontaneous 3D dynamic facial expression "
    "database, Image and Vision Computing 32, 2014",
    apply=f"{_APPLY}, then {_REGISTER}",
    layout="F001/T1/0000.obj and so on, with T2 to T8; AU_OCC/F001_T1.csv if you have the coding",
    read=read_bp4d,
    restricted=True,
)
FDFAB = FieldSet(
    name="4dfab",
    title="4DFAB",
    license="4DFAB agreement (Imperial College London): non-commercial research",
    citation="S. Cheng, I. Kotsia, M. Pantic and S. Zafeiriou, 4DFAB: A Large Scale 4D Database for Facial "
    "Expression Analysis and Biometric Applications, CVPR 2018",
    apply="apply to the iBUG group of Imperial College London (ibug.doc.ic.ac.uk/resources/4dfab)",
    layout="<person>/<session>/<emotion>/<frame>.ply; the session may be absent",
    read=read_4dfab,
    selections=("level", "phases", "peak"),
    restricted=True,
)
