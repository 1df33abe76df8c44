"""The pieces of a head as a sentence and as rows of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mien.geometry.parts import Part
from mien.geometry.piece_kinds import KINDS

_LISTED = 3  # names of one kind in a sentence


def pieces_sentence(parts: Sequence[Part]) -> str:
    """``Its pieces: 2 eyes (EyeLeft, EyeRight, by name); hair (piece_3, by form).``; empty without any."""
    kinds = dict.fromkeys(part.kind for part in parts)
    said = []
    for kind in sorted(kinds, key=list(KINDS).index):
        alike = [part for part in parts if part.kind == kind]
        titles = list(dict.fromkeys(part.title for part in alike))
        names = ", ".join(titles[:_LISTED]) + (", ..." if len(titles) > _LISTED else "")
        tellers = " and ".join(sorted({_TELLERS[part.told_by] for part in alike}))
        said.append(
            f"{len(alike)} x {kind} ({names}; {tellers})"
            if len(alike) > 1
            else f"{kind} ({names}; {tellers})"
        )
    return f"Its pieces: {', '.join(said)}. Correct them with --piece NAME=KIND." if said else ""


_TELLERS = {"user": "as you say", "name": "by name", "form": "by form"}


def piece_rows(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """For each kind and name what such pieces do, how many there are, and who says so."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    for part in parts:
        row = rows.setdefault(
            (part.kind, part.title, part.told_by),
            {"kind": part.kind, "name": part.title, "told_by": part.told_by, "behavior": KINDS[part.kind],
             "pieces": 0, "vertices": 0, "center_mm": [round(float(x), 1) for x in part.center]},
        )  # fmt: skip
        row["pieces"] += 1
        row["vertices"] += len(part.members)
    return list(rows.values())
