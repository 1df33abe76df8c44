"""The kinds of evaluation, and how the report of each is printed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mien.errors import UnknownName
from mien.evaluation.faces.tables import face_conditions, face_tables
from mien.evaluation.generation.tables import generation_conditions, generation_tables
from mien.evaluation.motion.tables import sequence_conditions, sequence_tables
from mien.evaluation.rows import Row
from mien.evaluation.tables import Table

Published = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Kind:
    """How reports of one kind are printed.

    Args:
        tables: Rows, system -> code sizes, and system -> metric -> printed value of papers, as tables.
        conditions: What every row states, as sentences.
    """

    tables: Callable[[Sequence[Row], Mapping[str, str], Published], list[Table]]
    conditions: Callable[[Mapping[str, Any]], str]


KINDS: Mapping[str, Kind] = {
    "faces": Kind(face_tables, face_conditions),
    "generation": Kind(generation_tables, generation_conditions),
    "sequences": Kind(sequence_tables, sequence_conditions),
}
"""What the condition ``kind`` of a report may be."""


def kind_of(conditions: Mapping[str, Any]) -> Kind:
    """The kind of a report; files from before kinds had names tell it by what they state.

    Raises:
        UnknownName: The file names a kind that there is not.
    """
    kind = conditions.get("kind", "generation" if "generation" in conditions else "faces")
    if kind not in KINDS:
        raise UnknownName("kind of evaluation", kind, KINDS)
    return KINDS[kind]
