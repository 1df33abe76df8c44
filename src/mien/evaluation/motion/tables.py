"""How the report on motion is printed: conditions, errors by expression and phase, recognition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mien.evaluation.motion.classifier import OURS, PUBLISHED
from mien.evaluation.rows import Row
from mien.evaluation.table_cells import Column, mean, mean_interval
from mien.evaluation.tables import Layout, Table, arranged, published_table

RECOGNIZED = "Recognition of sequences"
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


def sequence_tables(
    rows: Sequence[Row], sizes: Mapping[str, str], published: Mapping[str, Mapping[str, Any]]
) -> list[Table]:
    """Errors by expression and by phase, recognition, and which expression is taken for which.

    Args:
        rows: Of the report.
        sizes: System -> its code sizes; not printed, as clips are made from signals.
        published: System -> metric -> printed value.
    """
    tables = []
    for layout in _layouts(rows):
        tables += arranged(rows, layout)
        if layout.title.startswith(RECOGNIZED):
            tables += _confusions(rows, layout.title.removeprefix(RECOGNIZED))
    return tables + published_table(published)


def _layouts(rows: Sequence[Row]) -> list[Layout]:
    """The tables for the expressions and phases that the rows are about."""
    expressions = [(name, f"seq_avd_{name}", mean) for name in _ends(rows, "seq_avd_") if name != "total"]
    phases = [(name, f"phase_avd_{name}", mean) for name in _ends(rows, "phase_avd_")]
    found = [
        Layout(
            "Sequences by expression", f"{ERROR}; the total is over all frames, with its 95 % interval.",
            _columns([("total", "seq_avd_total", mean_interval), *expressions]),
        ),
        Layout(
            "Sequences by phase", f"{ERROR}. `steps`: mean absolute error of coordinate changes a frame.",
            _columns([*phases, ("steps", "temporal_l1", mean)]),
        ),
    ]  # fmt: skip
    for form, (title, note) in RECOGNITION.items():
        end = form.suffix
        means = [(name, f"seq_{name.lower()}{end}", mean) for name in ("precision", "recall", "F1")]
        each = [(name, f"seq_f1{end}/{name}", mean) for name in _ends(rows, f"seq_f1{end}/")]
        found.append(Layout(f"{RECOGNIZED}{title}", note, _columns([*means, *each])))
    return found


def _columns(titled: Sequence[tuple[str, str, Any]]) -> list[Column]:
    return [(metric, title.replace("_", " "), form) for title, metric, form in titled]


def _ends(rows: Sequence[Row], prefix: str) -> list[str]:
    """What follows the prefix in the names of metrics, each once, in their order."""
    found = dict.fromkeys(row.metric for row in rows if row.metric.startswith(prefix))
    return [name.removeprefix(prefix) for name in found]


def _confusions(rows: Sequence[Row], form: str) -> list[Table]:
    """One table a model: its clips' expressions down, what they are taken for across."""
    suffix = next(known.suffix for known, (title, _) in RECOGNITION.items() if title == form)
    names = _ends(rows, f"seq_f1{suffix}/")
    values = {(row.system, row.metric): row.mean for row in rows}
    tables = []
    for system in dict.fromkeys(row.system for row in rows if row.kind == "model"):
        body = []
        for true in names:
            line = [values.get((system, f"confusion{suffix}/{true}/{taken}")) for taken in names]
            if None not in line:
                body.append((true, *(f"{value:.0f}" for value in line)))
        note = "Clips of the row's expression that the classifier took for the column's."
        if body:
            tables.append(Table(f"Taken for what{form}: {system}", note, ("made", *names), tuple(body)))
    return tables


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
