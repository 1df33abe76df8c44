"""Faces that commands are given, opened; and what is to be said about them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cli.shell import say
from mien.data.notation import Marks

if TYPE_CHECKING:
    from mien.apply import OpenedFace
    from mien.models.base import FaceModel


def tell(notes: Iterable[str]) -> None:
    """Says each of the notes that a function gave back."""
    for note in notes:
        say(note)


def read(path: Path, model: FaceModel, marks: Marks, mouth_open: bool = False) -> OpenedFace:
    """Opens a face of any topology; says what was decided, and how well a registration fits."""
    from mien.apply import open_face

    face = open_face(path, model, marks[path], pieces=marks.pieces.get(path), rest_mouth_open=mouth_open)
    tell(face.notes)
    return face


def read_posed(
    path: Path, neutral: Path | None, model: FaceModel, marks: Marks
) -> tuple[OpenedFace, OpenedFace | None]:
    """A face, and the same person at rest if a neutral is given."""
    if neutral is None:
        return read(path, model, marks), None
    rest = read(neutral, model, marks)
    face = rest.posed(path, model, marks[path], pieces=marks.pieces.get(path))
    tell(face.notes)
    return face, rest


def style_person(given: str | None, model: FaceModel, marks: Marks) -> Any:
    """Whose style: the name of a training person stays a name, the file of a face becomes (V, 3)."""
    if given is None or given in getattr(model, "people", ()):
        return given
    if not Path(given).suffix:
        return given  # a name; the model says which it knows
    return read(Path(given), model, marks).vertices
