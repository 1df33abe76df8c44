"""Which expressions become morph targets, and what they are called in the file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from mien.cli.shell import choice, say
from mien.errors import BadFile, BadSetting, DataMissing


def chosen_targets(names: str, expressions: Sequence[str]) -> dict[str, str]:
    """Expression of the model -> name of the morph target.

    Args:
        names: ``model`` keeps the model's names, ``arkit`` takes those that are ARKit's, a CSV file with the
            columns ``name`` and ``target`` takes and renames what it lists.
        expressions: E expression names of the model.
    """
    if names == "model":
        return {name: name for name in expressions}
    if names == "arkit":
        return _arkit(expressions)
    if names.lower().endswith(".csv"):
        return _from_table(Path(names), expressions)
    choice("kind of names", names, ("model", "arkit", "FILE.csv"))
    raise AssertionError


def _arkit(expressions: Sequence[str]) -> dict[str, str]:
    from mien.data.expressions import ARKIT, ARKIT_MISSING

    found = {name: name for name in expressions if name in ARKIT}
    if not found:
        raise BadSetting(
            "this model has no ARKit expressions", received=", ".join(expressions),
            remedy="train on data built with --expressions arkit, or rename with --names table.csv",
        )  # fmt: skip
    absent = [name for name in (*ARKIT, *ARKIT_MISSING) if name not in found]
    if absent:
        say(f"Of ARKit's {len(ARKIT) + len(ARKIT_MISSING)} names the model lacks: {', '.join(absent)}.")
    return found


def _from_table(path: Path, expressions: Sequence[str]) -> dict[str, str]:
    if not path.is_file():
        raise DataMissing("the table of names does not exist", received=str(path), remedy="check the path")
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if not {"name", "target"} <= set(rows.fieldnames or ()):
            raise BadFile(
                "the table of names needs the columns name and target", received=f"{path}: {rows.fieldnames}",
                remedy="the first line must be: name,target",
            )  # fmt: skip
        pairs = {choice("expression", row["name"], expressions): row["target"] for row in rows}
    if not pairs or not all(pairs.values()) or len(set(pairs.values())) < len(pairs):
        raise BadFile("the table of names is empty or names a target twice", received=str(path))
    return pairs
