"""The connected pieces of a mesh, their names, and what is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mien.errors import UnknownName
from mien.geometry.defects import standing_faces
from mien.geometry.piece_kinds import COVERS, kind_of_word, kinds_of_names
from mien.geometry.surface import connected, welded


@dataclass(frozen=True, eq=False)
class NamedTriangles:
    """The groups, objects or materials of a mesh.

    Args:
        names: All of one sort.
        of_triangle: (F,) int. The place in ``names`` of each triangle's; -1 where it has none.
    """

    names: tuple[str, ...]
    of_triangle: NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class NamedPieces:
    """A mesh by what is connected, seams closed.

    Args:
        label: (N,) int. The piece of each vertex; 0 is the one with most vertices.
        names: Of each piece: those of which it holds more than half, the most telling first; may be none.
        said: Piece -> kind, by the user.
        named: Piece -> kind, by its names.
    """

    label: NDArray[np.integer]
    names: tuple[tuple[str, ...], ...]
    said: Mapping[int, str] = field(default_factory=dict)
    named: Mapping[int, str] = field(default_factory=dict)

    @staticmethod
    def of(
        vertices: NDArray, faces: NDArray, naming: Sequence[NamedTriangles] = (),
        said: Mapping[str, str] | None = None,
    ) -> NamedPieces:  # fmt: skip
        """Splits a mesh.

        Args:
            vertices: (N, 3) float, any unit.
            faces: (F, 3) int; (0, 3) for a point scan, which is one piece.
            naming: Objects, groups, materials.
            said: Name of an object, group, material or piece -> a kind of :data:`KINDS`; the user's word.

        Raises:
            UnknownName: There is no such kind, or no such piece.
        """
        if not len(faces):
            label = np.zeros(len(vertices), np.int64)
        else:
            place = welded(np.asarray(vertices, np.float32))
            label = _connected(place[faces], int(place.max()) + 1)[place]
        count = int(label.max(initial=0)) + 1
        names = _names(label, faces, naming, count)
        told = {number: kind for number, kind in enumerate(kinds_of_names(names)) if kind}
        pieces = NamedPieces(label, names, named=told)
        chosen = {number: kind_of_word(kind) for name, kind in (said or {}).items()
                  for number in pieces.called(name)}  # fmt: skip
        return NamedPieces(label, names, chosen, told)

    def called(self, name: str) -> list[int]:
        """The numbers of the pieces of a name, case aside.

        Args:
            name: Of an object, group or material, or ``piece_3``.
        """
        wanted = name.strip().lower()
        found = [
            number
            for number, names in enumerate(self.names)
            if wanted in {item.lower() for item in names} | {self.title(number).lower()}
        ]
        if not found:
            titles = list(dict.fromkeys(self.title(number) for number in range(len(self.names))))
            raise UnknownName("piece of the mesh", name, titles)
        return found

    def title(self, number: int) -> str:
        """What to call a piece: its first name, or its number; the largest is 0."""
        return self.names[number][0] if self.names[number] else f"piece_{number}"

    def kind(self, number: int) -> str | None:
        """What a piece is by the user's word or its names; None where its form has to tell."""
        return self.said.get(number) or self.named.get(number)

    def uncovered(self, faces: NDArray) -> NDArray:
        """The triangles without those of pieces that are said to cover a face: hair, glasses, hats, clothes.

        Args:
            faces: (F, 3) int. Of the mesh.

        Returns:
            (f, 3) of them; all where nothing would be left.
        """
        covering = [number for number in range(len(self.names)) if self.kind(number) in COVERS]
        kept = faces[~np.isin(self.label[faces[:, 0]], covering)] if len(faces) else faces
        return kept if len(kept) else faces

    def may_be_skin(self, number: int) -> bool:
        """Whether nobody says that a piece is something else."""
        return self.kind(number) in (None, "skin")


def _connected(faces: NDArray, count: int) -> NDArray[np.int64]:
    """(N,) the piece of each vertex: what stands on pieces joins none and is of the largest it touches."""
    standing = standing_faces(faces)
    label = connected(faces[~standing], count).astype(np.int64)
    loose = np.ones(count, bool)
    loose[faces[~standing]] = False
    apart = faces[standing]
    while len(apart := apart[loose[apart].any(axis=1) & ~loose[apart].all(axis=1)]):
        piece = np.where(loose[apart], count, label[apart]).min(axis=1)
        own = loose[apart]
        label[apart[own]] = count
        np.minimum.at(label, apart[own], np.broadcast_to(piece[:, None], apart.shape)[own])
        loose[apart[own]] = False
    return label


def _names(
    label: NDArray, faces: NDArray, naming: Sequence[NamedTriangles], count: int
) -> tuple[tuple[str, ...], ...]:
    """For each piece the names that more than half of its triangles have."""
    found: list[list[str]] = [[] for _ in range(count)]
    for item in naming:
        there = item.of_triangle >= 0
        if not len(faces) or not there.any():
            continue
        piece = label[faces[:, 0]]
        pairs, held = np.unique(np.stack([piece[there], item.of_triangle[there]]), axis=1, return_counts=True)
        whole = np.bincount(piece, minlength=count)
        for number, name in pairs[:, 2 * held > whole[pairs[0]]].T:
            found[number].append(item.names[name])
    return tuple(tuple(dict.fromkeys(names)) for names in found)
