"""dataset.json: what a data set says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec

from mien.data.table import header
from mien.errors import BadFile
from mien.io.schema import Name, read_json, refuse_twice

_WHAT, _REMEDY = "dataset.json", "build or copy the data folder again"


class DatasetFile(msgspec.Struct):
    """The content of the file.

    Args:
        expressions: Names of the columns of weights.
        subjects: Names of people.
        publishable: Whose faces may be shown, one for each person.
        factors: Further factors and the names of their classes.
        fps: Frames per second of clips.
        source: Where the faces come from.
        license: Under which terms.
        citation: What to cite.
        facts: Options, seed, what was decided.
    """

    expressions: list[Name]
    subjects: list[Name]
    publishable: list[bool]
    fps: Annotated[float, msgspec.Meta(ge=0, le=10_000)]
    source: str
    license: str
    citation: str
    facts: dict[str, Any]
    factors: dict[Name, list[Name]] = {}


def read_dataset_file(path: Path) -> DatasetFile:
    """Reads and checks the file.

    Args:
        path: The ``dataset.json`` of a data folder.

    Raises:
        BadFile: It is damaged, or its lists disagree.
    """
    found = read_json(path, DatasetFile, _WHAT, _REMEDY)
    refuse_twice(header(found.expressions, found.factors), _WHAT, path, _REMEDY)
    for names in (found.subjects, *found.factors.values()):
        refuse_twice(names, _WHAT, path, _REMEDY)
    if len(found.publishable) != len(found.subjects):
        counts = f"{len(found.subjects)} people and {len(found.publishable)} marks of publishable ones"
        raise BadFile(f"{_WHAT} is damaged", received=f"{path}: {counts}", remedy=_REMEDY)
    return found
