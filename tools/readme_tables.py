"""Writes tables of README and pages: capabilities from the code, results from ``benchmarks/results``.

``--check`` fails when a table is not current.

python tools/readme_tables.py [--check]
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable
from pathlib import Path

from mien import hub

README = Path(__file__).parent.parent / "README.md"
DOCS = README.parent / "docs"
PAGES = (
    README, DOCS / "your_own_head.md", DOCS / "metrics.md", DOCS / "data" / "ict.md",
    DOCS / "data" / "makehuman.md", DOCS / "experiments.md", DOCS / "models" / "adversarial_vae.md",
    DOCS / "models" / "residual_morphable.md", DOCS / "security.md",
)  # fmt: skip
RESULTS = README.parent / "benchmarks" / "results"
CAPABILITIES = re.compile(r"(<!-- capabilities:[^>]*-->\n).*?(<!-- end -->)", re.DOTALL)
FACE_LENGTHS = ("spread_mm", "registration_mm")
BENCH_COLUMNS = {
    "rec_avd_mesh_truth": "reconstruction", "neu_avd_truth": "neutralization", "id_mad": "consistency",
    "transfer_avd_truth": "transfer", "rank1_mesh": "recognition",
}  # fmt: skip
ARMS_COLUMNS = (
    "rest_avd", "rest_confidence", "neu_avd", "neu_avd_truth", "id_mad", "id_between_avd", "rec_avd_mesh",
)  # fmt: skip
RESIDUAL_COLUMNS = (
    "rec_avd_mesh", "rec_avd_mesh_truth", "neu_avd", "neu_avd_truth", "id_mad", "id_ratio", "id_std_pooled",
    "transfer_avd", "transfer_avd_truth",
)  # fmt: skip
FIELD_COLUMNS = ("neu_avd_truth", "transfer_avd_truth")
FIELD_CONTROLS = ("input as prediction", "deformation_transfer", "class mean, label given")
RIG_COLUMNS = {
    "error": "error", "cosine": "cosine", "size": "size", "leak": "leak", "stretch": "stretch",
    "lid_gap": "lid gap", "lid_slit": "slit of closed eyes", "lip_gap": "lips apart in jawOpen",
    "mouth_close_gap": "lips in mouthClose over it",
}  # fmt: skip
COLUMNS = ("rec_avd_mesh", "neu_avd", "id_mad", "id_ratio", "id_std_pooled", "transfer_avd")


def results_table(path: Path, columns: tuple[str, ...] = COLUMNS) -> str:
    """One line a system of an evaluation's CSV: mean and 95 % interval over persons; a dash where refused."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = {(row["system"], row["metric"]): row for row in csv.DictReader(file)}
    lines = [f"| system | {' | '.join(columns)} |", "|---" * (1 + len(columns)) + "|"]
    for system in dict.fromkeys(system for system, _ in rows):
        cells = [_cell(rows.get((system, metric))) for metric in columns]
        if any(cell != "–" for cell in cells):
            lines.append(f"| {system.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(row: dict[str, str] | None) -> str:
    if row is None or not row["mean"]:
        return "–"
    interval = f" ({float(row['low']):.2f} to {float(row['high']):.2f})" if row["low"] else ""
    return f"{float(row['mean']):.2f}{interval}"


def rigs_table(path: Path) -> str:
    """One line a system of a CSV of ``benchmarks/artist_heads.py`` and its like: means over heads."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = {name: title for name, title in RIG_COLUMNS.items() if any(row.get(name) for row in rows)}
    counts = {row["heads"] for row in rows}
    first = f"{counts.pop()} heads" if len(counts) == 1 else "| heads"
    lines = [
        f"| {first} | {' | '.join(columns.values())} |",
        "|---" * (len(columns) + first.count("|") + 1) + "|",
    ]
    for row in rows:
        cells = [f"{float(row[name]):.2f}" if row.get(name) else "–" for name in columns]
        cells[:0] = [row["heads"]] if "|" in first else []
        lines.append(f"| {row['system'].replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def faces_table(path: Path) -> str:
    """One line a head with a source in a CSV of ``benchmarks/find_faces.py``."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["source"]]
    header = ("head", "from", "found by", "views of 9", "they differ", "template off", "processor time")
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for row in rows:
        found = row["found_by"] if row["registration_mm"] else "refused"
        spread, off = (f"{float(row[key]):.2f} mm" if row[key] else "–" for key in FACE_LENGTHS)
        name, seconds = row["head"].replace("_", " "), f"{float(row['seconds']):.1f} s"
        lines.append(
            f"| {' | '.join((name, row['source'], found, row['views'] or '–', spread, off, seconds))} |"
        )
    return "\n".join(lines)


def worlds_table(path: Path) -> str:
    """One line a measure, one column a setting of the dial."""
    with path.open(newline="", encoding="utf-8") as file:
        values = {(row["measure"], row["manner"]): row["value"] for row in csv.DictReader(file)}
    dials = list(dict.fromkeys(manner for _, manner in values))
    head = " | ".join(f"{float(dial):g}" for dial in dials)
    lines = [f"| manner | {head} |", "|---" * (1 + len(dials)) + "|"]
    for measure in dict.fromkeys(measure for measure, _ in values):
        digits = 2 if measure.endswith("mm") else 0 if "axes" in measure else 3
        cells = (f"{float(values[measure, dial]):.{digits}f}" for dial in dials)
        lines.append(f"| {measure} | {' | '.join(cells)} |")
    return "\n".join(lines)


def bench_table(path: Path) -> str:
    """One line a data set and system of a bench's CSV: means and intervals, and the gain in transfer."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = {(row["data"], row["system"], row["metric"]): row for row in csv.DictReader(file)}
    lines = [f"| data | system | {' | '.join(BENCH_COLUMNS.values())} | gain in transfer | ended at |"]
    lines.append("|---" * (4 + len(BENCH_COLUMNS)) + "|")
    for data, system in dict.fromkeys((data, system) for data, system, _ in rows):
        found = {metric: rows.get((data, system, metric)) for metric in BENCH_COLUMNS}
        if any(row is not None and row["mean"] for row in found.values()):
            shown = found["transfer_avd_truth"]
            gain = "–" if shown is None or not shown["gain"] else _gain(shown)
            name = system.replace("_", " ") if _kind(found) == "model" else f"*{system.replace('_', ' ')}*"
            cells = [_cell(found[metric]) for metric in BENCH_COLUMNS]
            ended = next((row["steps"] for row in found.values() if row is not None), "") or "–"
            lines.append(f"| {data} | {name} | {' | '.join(cells)} | {gain} | {ended} |")
    return "\n".join(lines)


def _kind(found: dict[str, dict[str, str] | None]) -> str:
    return next(row["kind"] for row in found.values() if row is not None)


def _gain(row: dict[str, str]) -> str:
    return f"{float(row['gain']):+.2f} ({float(row['gain_low']):+.2f} to {float(row['gain_high']):+.2f})"


def read_table(path: Path) -> str:
    """One line an expression of a CSV of ``benchmarks/read_faces.py``."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    header = ("expression", "faces found", "read from", "score rises by, median", "least", "scores")
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for row in rows:
        found, read = (f"{row[key]} of {row['people']}" if row[key] else "–" for key in ("found", "read"))
        rises = (f"{float(row[key]):.2f}" if row[key] else "–" for key in ("median_rise", "least_rise"))
        name = row["expression"].replace("_", " ")
        lines.append(
            f"| {' | '.join((name, found, read, *rises, row['scores'].replace(' ', ', ') or '–'))} |"
        )
    return "\n".join(lines)


def judge_table(path: Path) -> str:
    """One line a shape that the outside judge tells, of the CSVs of ``benchmarks/read_shapes.py``."""
    start = path.with_suffix("")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with Path(f"{start}-exchanged.csv").open(newline="", encoding="utf-8") as file:
        (wrong,) = csv.DictReader(file)
    lines = ["| shape | told on | own score rises by, median |", "|---|---|---|"]
    for row in rows:
        if row["telling"] == "1":
            lines.append(f"| {row['shape']} | {row['told']} of {row['heads']} heads | {row['median_own']} |")
    told = (
        f"On {wrong['heads']} heads that this list was not chosen on, {wrong['found']} of {wrong['planted']} "
        "exchanges of two such names are found; with right names an exchange is seen on "
        f"{wrong['false_alarms']} of them."
    )
    return "\n".join([*lines, "", told, ""])


def residuals_table(path: Path) -> str:
    """One line a system of each setting of the dial: the mean, and the paired difference's interval."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = {(row["manner"], row["system"], row["metric"]): row for row in csv.DictReader(file)}
    header = ("manner", "system", *RESIDUAL_COLUMNS)
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    for manner, system in dict.fromkeys((manner, system) for manner, system, _ in rows):
        cells = [_apart(rows.get((manner, system, metric))) for metric in RESIDUAL_COLUMNS]
        lines.append(f"| {float(manner):g} | {system.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _apart(row: dict[str, str] | None) -> str:
    if row is None:
        return "–"
    low = row.get("difference_low") or ""
    between = f" ({float(low):+.2f} to {float(row['difference_high']):+.2f})" if low else ""
    return f"{float(row['mean']):.2f}{between}"


def field_table(path: Path) -> str:
    """One line a system of a bench's CSV: two columns a set of scans, in millimeters against the truth."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = {(row["data"], row["system"], row["metric"]): row for row in csv.DictReader(file)}
    whats = ("neutral face", "transfer")
    dials = {
        name: float(row["manner"]) for (name, system, _), row in rows.items() if system in FIELD_CONTROLS
    }
    sets = sorted(dials, key=lambda name: dials[name])
    titles = [f"{name.removeprefix('ict, ')}: {what}" for name in sets for what in whats]
    lines = [f"| system | {' | '.join(titles)} |", "|---" * (1 + len(titles)) + "|"]
    models = [system for (_, system, _), row in rows.items() if row["kind"] == "model"]
    for system in [*FIELD_CONTROLS, *dict.fromkeys(models)]:
        cells = [_cell(rows.get((name, system, metric))) for name in sets for metric in FIELD_COLUMNS]
        if any(cell != "–" for cell in cells):
            name = system.replace("_", " ")
            lines.append(f"| {f'*{name}*' if system in FIELD_CONTROLS else name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def claims_table(path: Path) -> str:
    """One line a claim that a bench has decided: what was found, what was printed, and the verdict."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = ["| claim | says | data | measured | claimed | published | verdict |", "|---" * 7 + "|"]
    for row in rows:
        found = f"{float(row['value']):.2f} ({float(row['low']):.2f} to {float(row['high']):.2f})"
        means = f"{float(row['arm_mean']):.2f} / {float(row['against_mean']):.2f}"
        says = f"{row['claim']} (`{row['metric']}`)"
        told = (row["id"], says, row["data"], f"{means}: {found}", row["side"], row["published"] or "–",
                row["state"])  # fmt: skip
        lines.append(f"| {' | '.join(told)} |")
    return "\n".join(lines)


def arms_table(path: Path) -> str:
    """The arms of the VAE without neutrals."""
    return results_table(path, ARMS_COLUMNS)


def totals_table(path: Path) -> str:
    """All lines of a record together: sums of its numbers, the largest of those that say what was most."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    kind, *columns = rows[0]
    cells = []
    for name in columns:
        values = [float(row[name]) for row in rows]
        cells.append(f"{max(values) if name.startswith('most_') else sum(values):,.10g}")
    header = " | ".join(name.replace("_", " ") for name in columns)
    lines = [f"| {kind} | {header} |", "|---" * (1 + len(columns)) + "|"]
    return "\n".join([*lines, f"| all {len(rows)} | {' | '.join(cells)} |"])


TABLES: dict[str, Callable[[Path], str]] = {
    "results": results_table, "rigs": rigs_table, "faces": faces_table, "worlds": worlds_table,
    "bench": bench_table, "read": read_table, "judge": judge_table, "arms": arms_table,
    "residuals": residuals_table, "field": field_table, "claims": claims_table, "totals": totals_table,
}  # fmt: skip
"""Word of a mark ``<!-- WORD: ... NAME.csv -->`` -> what writes the table below it."""
MARKS = re.compile(rf"(<!-- ({'|'.join(TABLES)}): [^>]*?(\S+\.csv) -->\n).*?(<!-- end -->)", re.DOTALL)


def current(text: str) -> str:
    """A page with the tables as the code and the committed results have them."""
    text = CAPABILITIES.sub(lambda m: f"{m[1]}{hub.capability_table()}\n{m[2]}", text, count=1)
    return MARKS.sub(lambda m: f"{m[1]}{TABLES[m[2]](RESULTS / m[3])}\n{m[4]}", text)


def main() -> int:
    stale = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if (wanted := current(text)) != text:
            stale.append(page)
            if "--check" not in sys.argv:
                page.write_text(wanted, encoding="utf-8")
    return int("--check" in sys.argv and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
