"""Rigs of other heads beside a judged one: what a copy of the nearest, and the mean of all, are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mien.apply.heads import Head, open_head
from mien.apply.rig_people import rig_set
from mien.data.arkit import meets_of
from mien.data.head_rigs import HeadRig, find_head_rigs, read_head_rig
from mien.errors import BadSetting
from mien.geometry.procrustes import procrustes
from mien.io.record import Mesh
from mien.models.base import FaceModel

_SAME_MM = 0.5


def controls_beside(
    artist: HeadRig, name: str, place: Path | str, table: Path | None = None, general: FaceModel | None = None
) -> dict[str, HeadRig]:
    """Rigs to compare with, on an artist's head.

    A rig of this head is taken as it is. Rigs of other heads are laid on one topology and that on the head,
    which reads their shapes; of several the mean, and the one whose neutral is nearest. The head itself is
    left out of a folder.

    Args:
        artist: The artist's rig of the head.
        name: What to call them.
        place: A rig, or a folder of rigs.
        table: For names of no known scheme, see :func:`mien.data.rig_names.named_shapes`.
        general: Whose template brings rigs into correspondence; None for
            :func:`mien.apply.default_model.default_model`.

    Returns:
        Name -> rig of the artist's head.

    Raises:
        BadSetting: A folder holds no rig but that of the head itself.
        BadMesh: There is no face on a rig.
    """
    every = [read_head_rig(path).in_arkit_names(table) for path in find_head_rigs(place)]
    if len(every) == 1 and _is_of(every[0], artist):
        return {name: every[0]}
    others = [rig for rig in every if not _is_of(rig, artist)]
    if not others:
        raise BadSetting(
            "the folder holds no rig of another head", received=f"{name}={place}",
            remedy="name a rig of this head, or rigs of others",
        )  # fmt: skip
    together = rig_set(others, general=general)
    people = list(together.people())
    head = open_head(
        together.leader, Mesh(artist.vertices.astype(np.float32), artist.faces, name=artist.name)
    )
    if len(people) == 1:
        return {name: _on(head, artist, together.names, people[0].displacements)}
    shown = np.stack([person.shown for person in people])
    sums = np.sum([person.displacements for person in people], axis=0)
    mean = sums / np.maximum(shown.sum(axis=0), 1)[:, None, None]
    near = people[_nearest(head.vertices, [person.neutral for person in people])]
    names = tuple(item for item, has in zip(together.names, near.shown, strict=True) if has)
    return {
        f"{name}: mean of {len(people)}": _on(head, artist, together.names, mean),
        f"{name}: nearest, {near.name}": _on(head, artist, names, near.displacements[near.shown]),
    }


def _is_of(rig: HeadRig, artist: HeadRig) -> bool:
    """Whether a rig is of the artist's own head, whatever the order of its vertices."""
    return bool(cKDTree(rig.vertices).query(artist.vertices)[0].max() < _SAME_MM)


def _on(head: Head, artist: HeadRig, names: tuple[str, ...], displacements: NDArray) -> HeadRig:
    """Shapes (E, V, 3) of a template, carried to the artist's head."""
    moved = head.carry(head.vertices + displacements, meets=meets_of(names)).astype(np.float64)
    change: NDArray[np.float32] = (moved - artist.vertices).astype(np.float32)
    return replace(artist, names=names, displacements=change)


def _nearest(neutral: NDArray, others: Sequence[NDArray]) -> int:
    """Which of some faces (V, 3) is most like one, wherever they stand and however large they are."""
    apart = [procrustes(face, neutral, scale=True).apply(face) - neutral for face in others]
    return int(np.argmin([np.square(offset).sum() for offset in apart]))
