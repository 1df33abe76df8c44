"""What a data set of the field looks like on disk: scans by name, what is there and what is not."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.inspect import DataCheck
from mien.errors import DataMissing
from mien.io.mesh import READERS
from mien.io.text import read_text

Faces = NDArray[np.float32]


@dataclass(frozen=True)
class Scan:
    """One mesh file, and what its name and place say about it.

    Args:
        path: The mesh file.
        subject: Name of the person.
        weights: Expression -> weight; empty is neutral.
        labeled: Whether the expression is known.
        clip: Name of the recording, unique within the person; empty for a single scan.
        frame: Frame number in the recording.
        texture: The scan's texture image, if there is one.
    """

    path: Path
    subject: str
    weights: Mapping[str, float] = field(default_factory=dict)
    labeled: bool = True
    clip: str = ""
    frame: int = 0
    texture: Path | None = None

    @property
    def neutral(self) -> bool:
        """Labeled, and no expression has a weight."""
        return self.labeled and not any(self.weights.values())


Labeler = Callable[[Sequence[Scan], Faces], list[Scan | None]]


@dataclass
class Tree:
    """What a reader found below a folder.

    Args:
        scans: Every mesh, people together and frames in order.
        expressions: E names of the columns of weights.
        check: What was found, is missing or is wrong.
        publishable: Who may be shown in pictures; None is everyone.
        label: For sets whose labels depend on the shapes of a whole recording: given its scans and their
            vertices (T, V, 3), millimeters, the scans with final labels, or None for frames to leave out.
        fps: Frames per second of the recordings, 0 if there are none.
        facts: JSON facts for the data set.
    """

    scans: list[Scan]
    expressions: tuple[str, ...]
    check: DataCheck = field(default_factory=DataCheck)
    publishable: frozenset[str] | None = None
    label: Labeler | None = None
    fps: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Names of all people, in order of appearance."""
        return tuple(dict.fromkeys(scan.subject for scan in self.scans))

    def groups(self) -> list[list[Scan]]:
        """Recordings, and single scans as groups of one, in order."""
        groups: dict[tuple[str, str, str], list[Scan]] = {}
        for scan in self.scans:
            key = (scan.subject, scan.clip, "" if scan.clip else str(scan.path))
            groups.setdefault(key, []).append(scan)
        return [sorted(group, key=lambda scan: scan.frame) for group in groups.values()]


@dataclass(frozen=True)
class TreeOptions:
    """What a user may choose about reading a tree.

    Args:
        selection: Which scans and labels; empty is the set's own default.
        publishable: A list of people who may be shown; None looks for the owner's list in the tree.
        picks: A table that corrects what the reader would select itself.
    """

    selection: str = ""
    publishable: Path | None = None
    picks: Path | None = None


@dataclass(frozen=True)
class FieldSet:
    """A data set of the field: its facts, and the function that reads its tree.

    Args:
        name: As in ``mien data prepare NAME``.
        title: Its own name.
        license: Terms in a few words, for model cards.
        citation: What to cite.
        apply: Where and how one gets it.
        layout: The tree that is expected, in one line.
        read: Lists the scans below a folder.
        selections: Names that ``selection`` may have, the default first.
        vertices: Vertices of the owner's registered meshes; None where users register the scans.
        upright: Whether the owner documents millimeters, centimeters or meters with +Y up, +Z out of the
            face; otherwise axes are judged by shape.
        restricted: Whether only listed people may be shown in pictures.
    """

    name: str
    title: str
    license: str
    citation: str
    apply: str
    layout: str
    read: Callable[[Path, TreeOptions], Tree]
    selections: tuple[str, ...] = ()
    vertices: int | None = None
    upright: bool = False
    restricted: bool = False

    def absent(self, folder: Path) -> DataMissing:
        """The error for a folder that does not hold this set."""
        return DataMissing(
            f"this folder does not hold {self.title} meshes",
            received=str(folder),
            remedy=f"expected: {self.layout}; {self.apply}",
        )


def natural(text: str) -> tuple[tuple[bool, int, str], ...]:
    """A sorting key by which 2 comes before 10, and numbers before letters."""
    parts = re.findall(r"\d+|\D+", text)
    return tuple((False, int(part), "") if part.isdigit() else (True, 0, part) for part in parts)


def mesh_files(folder: Path) -> list[Path]:
    """Every mesh file below a folder in natural order; of one scan in several forms the first known form.

    Forms are preferred as :data:`mien.io.mesh.READERS` lists them (OBJ, PLY, STL, GLB, VRML), so registered
    meshes saved as OBJ beside an owner's VRML scans win.
    """
    rank = {suffix: place for place, suffix in enumerate(READERS)}
    chosen: dict[str, Path] = {}
    for root, folders, files in os.walk(folder, followlinks=True):
        folders.sort(key=natural)
        for name in files:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() not in rank or name.startswith("."):
                continue
            known = chosen.get(key := os.path.join(root, stem))
            if known is None or rank[suffix.lower()] < rank[known.suffix.lower()]:
                chosen[key] = Path(root) / name
    return sorted(chosen.values(), key=lambda path: natural(path.relative_to(folder).as_posix()))


def find_list(folder: Path, pattern: str) -> Path | None:
    """A text file of the owner, in the folder or up to two levels below."""
    for depth in ("", "*/", "*/*/"):
        found = sorted(path for path in folder.glob(depth + pattern) if not path.name.startswith("."))
        if found:
            return found[-1]  # the newest version: publishable_list_v2 after v1
    return None


def read_names(path: Path) -> frozenset[str]:
    """Names in a text file, separated by commas, semicolons or white space; # begins a comment."""
    lines = read_text(path, "the list").splitlines()
    words = [word for line in lines for word in re.split(r"[\s,;]+", line.split("#")[0]) if word]
    return frozenset(words)


def refuse_empty(tree: Tree, kind: FieldSet, folder: Path) -> Tree:
    """The tree if it has a scan; otherwise where to apply and what was expected."""
    if not tree.scans:
        raise kind.absent(folder)
    people = len(tree.subjects)
    clips = len({(scan.subject, scan.clip) for scan in tree.scans if scan.clip})
    recordings = f" in {clips} recordings" if clips else ""
    tree.check.found.insert(0, f"{len(tree.scans)} meshes of {people} people{recordings}")
    empty = [scan.path for scan in tree.scans if scan.path.stat().st_size == 0]
    tree.check.wrong += [f"{path.relative_to(folder)} is empty" for path in empty]
    return tree


def may_be_shown(tree: Tree, folder: Path, options: TreeOptions, pattern: str) -> Tree:
    """Fills in who may be published, from the user's or the owner's list; nobody when there is none."""
    path = options.publishable or find_list(folder, pattern)
    if path is None:
        tree.publishable = frozenset()
        tree.check.notes.append(
            "no list of publishable people was found, so nobody is shown in pictures (--publishable FILE)"
        )
        return tree
    listed = read_names(path)
    plain = {name.lstrip("0") or "0" for name in listed}
    tree.publishable = frozenset(
        name for name in tree.subjects if name in listed or (name.lstrip("0") or "0") in plain
    )
    tree.check.found.append(f"{len(tree.publishable)} people may be shown in pictures ({path.name})")
    return tree


def leave_out(scans: Iterable[Scan], names: frozenset[str], folder: Path) -> tuple[list[Scan], list[str]]:
    """Scans without those a user lists, by subject, by ``subject/clip`` or by path.

    Returns:
        The scans that stay, and the listed names that matched something.
    """
    kept, used = [], set()
    for scan in scans:
        path = scan.path.relative_to(folder)
        keys = {scan.subject, f"{scan.subject}/{scan.clip}", path.as_posix(), path.with_suffix("").as_posix()}
        hit = keys & names
        used |= hit
        if not hit:
            kept.append(scan)
    return kept, sorted(used)


def relabeled(scan: Scan, weights: Mapping[str, float] | None, *, single: bool = False) -> Scan:
    """The scan with other weights (None: unlabeled); ``single`` takes it out of its recording."""
    known = weights is not None
    changed = replace(scan, weights=dict(weights or {}), labeled=known)
    return replace(changed, clip="", frame=0) if single else changed
