"""Faces that commands are given, opened; and what is to be said about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cli.shell import say
from mien.errors import UnknownName

if TYPE_CHECKING:
    from mien.apply import OpenedFace
    from mien.models.base import FaceModel


class Marks(dict[Path, Path]):
    """Which landmark table belongs to which mesh."""

    def __missing__(self, mesh: Path) -> None:
        return None

    @staticmethod
    def of(given: Sequence[str], *meshes: Path | str | None) -> Marks:
        """Reads ``--landmarks``: ``TABLE.csv`` for the first mesh, ``MESH=TABLE.csv`` for any other.

        Args:
            given: What was written.
            meshes: Those of the command; a mesh may be named by its whole path or its file name.
        """
        known = [Path(mesh) for mesh in meshes if mesh is not None]
        found = Marks()
        for item in given:
            name, named, table = item.rpartition("=")
            fitting = [mesh for mesh in known if name in (str(mesh), mesh.name)] if named else known[:1]
            if not fitting:
                raise UnknownName("mesh with landmarks", name or item, [mesh.name for mesh in known])
            found |= dict.fromkeys(fitting, Path(table))
        return found


def tell(notes: Iterable[str]) -> None:
    """Says each of the notes that a function gave back."""
    for note in notes:
        say(note)


def read(path: Path, model: FaceModel, marks: Marks) -> OpenedFace:
    """Opens a face of any topology; says what was decided, and how well a registration fits."""
    from mien.apply import open_face

    face = open_face(path, model, marks[path])
    tell(face.notes)
    return face


def read_posed(
    path: Path, neutral: Path | None, model: FaceModel, marks: Marks
) -> tuple[OpenedFace, OpenedFace | None]:
    """A face, and the same person at rest if a neutral is given."""
    if neutral is None:
        return read(path, model, marks), None
    rest = read(neutral, model, marks)
    face = rest.posed(path, model, marks[path])
    tell(face.notes)
    return face, rest


def style_person(given: str | None, model: FaceModel, marks: Marks) -> Any:
    """Whose style: the name of a training person stays a name, the file of a face becomes (V, 3)."""
    if given is None or given in getattr(model, "people", ()):
        return given
    if not Path(given).suffix:
        return given  # a name; the model says which it knows
    return read(Path(given), model, marks).vertices
