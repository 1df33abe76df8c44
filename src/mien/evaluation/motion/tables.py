"""Rows of :mod:`mien.evaluation.motion.protocol` as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mien.evaluation.motion.classifier import OURS, PUBLISHED
from mien.evaluation.rows import Row
from mien.evaluation.tables import DASH, Table, digits

ERROR = "Mean vertex distance in mm between made and recorded frames of unseen people, lower is better"

RECOGNITION = {
    OURS: (
        "",
        "F1 of a classifier trained on recorded displacements from the neutral, higher is better. Where "
        "recorded clips are nearly all recognized, equal scores say little.",
    ),
    PUBLISHED: (
        ", by vertices",
        "F1 of one network on components of the meshes, the person included, as published. Recorded clips "
        "stand beside: it need not recognize them all.",
    ),
}


def sequence_tables(rows: Iterable[Row], published: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """Errors by expression and by phase, recognition, and who is taken for what."""
    rows = list(rows)
    values = {(row.system, row.metric): row for row in rows}
    systems = list(dict.fromkeys(row.system for row in rows))
    kinds = {row.system: row.kind for row in rows}

    def names(prefix: str) -> list[str]:
        found = dict.fromkeys(row.metric for row in rows if row.metric.startswith(prefix))
        return [name.removeprefix(prefix) for name in found]

    expressions = [name for name in names("seq_avd_") if name != "total"]
    tables = [
        _table(
            "Sequences by expression", f"{ERROR}; the total is over all frames, with its 95 % interval.",
            systems, kinds, values,
            [("total", "seq_avd_total"), *((n, f"seq_avd_{n}") for n in expressions)],
            interval="seq_avd_total",
        ),
        _table(
            "Sequences by phase", f"{ERROR}. `steps`: mean absolute error of coordinate changes a frame.",
            systems, kinds, values,
            [*((n, f"phase_avd_{n}") for n in names("phase_avd_")), ("steps", "temporal_l1")],
        ),
    ]  # fmt: skip
    for form, (title, note) in RECOGNITION.items():
        end, shown = form.suffix, names(f"seq_f1{form.suffix}/")
        columns = [(name, f"seq_{name.lower()}{end}") for name in ("precision", "recall", "F1")]
        columns += [(name, f"seq_f1{end}/{name}") for name in shown]
        tables.append(_table(f"Recognition of sequences{title}", note, systems, kinds, values, columns))
        tables += [
            _confusion(f"Taken for what{title}: {system}", f"confusion{end}", system, values, shown)
            for system in systems
            if kinds[system] == "model"
        ]
    if published:
        metrics = list(dict.fromkeys(metric for found in published.values() for metric in found))
        body = tuple((s, *(str(found.get(m, DASH)) for m in metrics)) for s, found in published.items())
        note = "Copied from the paper: other data, other people. Not to be ranked with the above."
        tables.append(Table("Published", note, ("system", *metrics), body))
    return [table for table in tables if table.rows]


def _table(
    title: str, note: str, systems: Sequence[str], kinds: Mapping[str, str],
    values: Mapping[tuple[str, str], Row], columns: Sequence[tuple[str, str]], interval: str = "",
) -> Table:  # fmt: skip
    body, reasons = [], list[str]()
    for system in systems:
        cells = []
        for _, metric in columns:
            row = values.get((system, metric))
            text = "" if row is None else DASH if row.mean is None else digits(row.mean)
            if row is not None and row.mean is None and row.reason:
                reasons += [row.reason] if row.reason not in reasons else []
                text += f" ({reasons.index(row.reason) + 1})"
            if row is not None and metric == interval and row.low is not None and row.high is not None:
                text += f" ({digits(row.low)} to {digits(row.high)})"
            cells.append(text)
        if any(cells):
            body.append((system if kinds[system] == "model" else f"*{system}*", *cells))
    header = ("system", *(name.replace("_", " ") for name, _ in columns))
    return Table(title, note, header, tuple(body), tuple(reasons))


def _confusion(
    title: str, metric: str, system: str, values: Mapping[tuple[str, str], Row], names: Sequence[str]
) -> Table:
    body = []
    for true in names:
        found = [values.get((system, f"{metric}/{true}/{taken}")) for taken in names]
        if all(row is not None and row.mean is not None for row in found):
            body.append((true, *(f"{row.mean:.0f}" for row in found if row and row.mean is not None)))
    note = "Clips of the row's expression that the classifier took for the column's."
    return Table(title, note, ("made", *names), tuple(body))


def sequence_conditions(facts: Mapping[str, Any]) -> str:
    """The conditions as sentences."""
    seen = f"{facts['people_seen_in_training'] or 'none'} of them seen in training"
    return (
        f"Data {facts['data']} ({facts['topology']}, {facts['vertices']:,} vertices, fingerprint "
        f"{str(facts['fingerprint'])[:12]}), {facts['part']} part of protocol {facts['protocol']!r}, seed "
        f"{facts['seed']}: {facts['clips']} clips ({facts['frames']:,} frames, {facts['fps']:g} a second) of "
        f"{facts['people']} people, {seen}; trained on {facts['training_clips']} clips of "
        f"{facts['training_people']} people. Neutral: "
        f"{facts['neutral']}. Alignment: {facts['alignment']}. Intervals: {facts['interval']}. In italics: "
        "controls."
    )
