"""What a table of an evaluation says: who wins each column, and what that means for the trained system."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from mien.evaluation.tables import Table

LOWER, HIGHER, ONE = "lower", "higher", "nearest to 1"
NO_SYSTEMS = ("chance", "raw scans")
"""Lines of reference that are nobody's answer."""
#: Title -> column -> which value is good. Other columns have no winner: intervals, or read beside others.
WANTED: Mapping[str, Mapping[str, str]] = {
    "Systems side by side": {
        "reconstruction": LOWER, "neutralization": LOWER, "transfer": LOWER, "recognition (%)": HIGHER,
    },
    "Reconstruction": {
        "per mesh: mean ± std / median": LOWER, "detail": LOWER, "mouth": LOWER, "eyes": LOWER,
        "brows": LOWER,
    },
    "Neutralization": {
        "neu_avd: mean ± std / median": LOWER, "rigidly aligned": LOWER, "triplet": LOWER,
    },
    "Identity consistency": {"id_mad": LOWER, "neu_avd": LOWER, "id_ratio": LOWER},
    "Identity decomposition": {"id_mad": LOWER},
    "Expression transfer": {"transfer_avd: mean ± std / median": LOWER, "detail kept": LOWER, "self": LOWER},
    "Interpolation": {
        "identity: length": ONE, "identity: unevenness": LOWER, "expression: length": ONE,
        "expression: unevenness": LOWER,
    },
    "Recognition": {"by mesh": HIGHER, "by identity code": HIGHER},
    "Leakage": {
        "person from identity": HIGHER, "person from expression": LOWER,
        "expression from identity": LOWER, "expression from expression": HIGHER,
    },
    "Size and speed": {"parameters": LOWER, "encode (ms)": LOWER, "decode (ms)": LOWER},
}  # fmt: skip
_OTHERWISE = {
    "Expression consistency": "No winner: people differ in how they perform, so good is as far apart as true "
    "people are, not 0.",
    "Published": "No winner: other data, other people.",
}
_NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*")


def verdict(table: Table, main: str, advice: str, given: Collection[str] = ()) -> str:
    """Who wins each column of a table, and what to do where the trained system does not.

    Args:
        table: Of an evaluation's report.
        main: The trained system that the page is about.
        advice: What to say where it does not win, e.g. how long it was trained and how to train longer.
        given: Systems that are handed the neutral, and so reconstruct for nothing.
    """
    if table.title in _OTHERWISE:
        return _OTHERWISE[table.title]
    if table.title == "Paired differences":
        return _of_differences(table)
    if table.title == "Expression transfer by expression":
        winners = {
            row[0]: _winners(dict(zip(table.header[1:], row[1:], strict=True)), LOWER) for row in table.rows
        }
    else:
        winners = winners_of(table, given)
    winners = {column: names for column, names in winners.items() if names}
    if not winners:
        return "No winner: too few people or labels for a number here."
    columns: dict[str, list[str]] = {}
    for column, names in winners.items():
        columns.setdefault(" and ".join(names), []).append(column.split(": mean")[0])
    said = "; ".join(
        f"**{who}** {'win' if ' and ' in who else 'wins'} {_listed(where)}" for who, where in columns.items()
    )
    won = sum(main in names for names in winners.values())
    total = len(winners)
    if won == total or table.title == "Size and speed":  # which training does not change
        return f"{said}."
    return f"{said}. `{main}` wins {won} of {total}: {advice}"


def winners_of(table: Table, given: Collection[str] = ()) -> dict[str, tuple[str, ...]]:
    """Column -> the systems with its best printed value; none where no line has a number.

    Args:
        table: Systems down, metrics across.
        given: Systems that are handed the neutral: they are left out where faces are reconstructed.
    """
    found = {}
    for column, good in WANTED.get(table.title, {}).items():
        if column not in table.header:
            continue
        rebuilt = "reconstruction" in (table.title.lower(), column)
        without = {*NO_SYSTEMS, *(given if rebuilt else ())}
        place = table.header.index(column)
        cells = {row[0]: row[place] for row in table.rows if _plain(row[0]) not in without}
        found[column] = _winners(cells, good)
    return found


def _winners(cells: Mapping[str, str], good: str) -> tuple[str, ...]:
    """Whose number is best; several where they are printed alike."""
    values = {label: value for label, cell in cells.items() if (value := _number(cell)) is not None}
    if not values:
        return ()
    away = {
        label: abs(value - 1) if good == ONE else -value if good == HIGHER else value
        for label, value in values.items()
    }
    best = min(away.values())
    return tuple(_plain(label) for label, value in away.items() if value == best)


def _number(cell: str) -> float | None:
    """The first number of a cell; None for a dash with its footnote."""
    text = cell.strip().strip("*")
    found = _NUMBER.match(text)
    return float(found.group().replace(",", "")) if found else None


def _plain(label: str) -> str:
    """The name of a line without its code sizes and marks."""
    return re.sub(r" \([^)]*\)$", "", label).strip("*`")


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _of_differences(table: Table) -> str:
    """How many differences a test would call real."""
    place = table.header.index("p, corrected")
    values = [value for row in table.rows if (value := _number(row[place])) is not None]
    real = sum(value < 0.05 for value in values)
    return (
        f"{real} of {len(values)} differences are significant at 5 %; the others may be chance, and more "
        "test people would tell."
    )
