"""Meshes to try the commands on: unseen people, as an artist would hand them over."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.data.dataset import FaceDataset
from mien.errors import MienError
from mien.io.mesh import write_obj


def write_examples(
    dataset: FaceDataset, folder: Path | str, *, people: int = 3, expressions: int = 4
) -> list[Path]:
    """Writes a neutral and a few expressive meshes of people that training never sees.

    Files are named ``<subject>_<expression>.obj`` and keep the topology's polygons and texture coordinates.
    Sets too small to be split by subject give examples of anyone.

    Args:
        dataset: The whole set.
        folder: Where to write, e.g. ``D/examples``.
        people: Most people to show.
        expressions: Most expressive meshes of each, spread over the set's expressions.

    Returns:
        The written files.
    """
    try:
        unseen = dataset.split("test")
    except MienError:
        unseen = dataset
    folder = Path(folder)
    paths = []
    shown = [person for person in np.unique(unseen.row_subject) if dataset.publishable[person]]  # type: ignore[index]
    for person in shown[:people]:
        for row, name in _chosen_rows(unseen, int(person), expressions):
            paths.append(folder / f"{_file_name(dataset.subjects[person])}_{_file_name(name)}.obj")
            write_obj(paths[-1], unseen[row], dataset.topology)
    return paths


def add_examples(folder: Path) -> None:
    """Puts examples, see :func:`write_examples`, into the folder of a data set, under ``examples``."""
    write_examples(FaceDataset.load(folder), folder / "examples")


def _chosen_rows(data: FaceDataset, person: int, count: int) -> list[tuple[int, str]]:
    """(row, expression) of a person's neutral and of the strongest row of some expressions."""
    mine = data.row_subject == person
    neutral = np.flatnonzero(mine & data.is_neutral)[:1]
    rows = [(int(row), "neutral") for row in neutral]
    weights = np.where((mine & data.row_labeled("expression"))[:, None], data.row_weights, 0.0)
    performed = np.flatnonzero(weights.max(axis=0, initial=0.0) > 0)
    picks = performed[np.linspace(0, len(performed) - 1, min(count, len(performed))).astype(int)]
    return rows + [(int(weights[:, pick].argmax()), data.expressions[pick]) for pick in picks]


def _file_name(text: str) -> str:
    """The text as a plain file name."""
    return (
        "".join(letter if letter.isalnum() or letter in "-." else "_" for letter in text).strip(".") or "face"
    )
