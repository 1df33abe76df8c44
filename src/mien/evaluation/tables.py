"""Rows arranged as a few readable tables, in Markdown, LaTeX and plain cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mien.evaluation.generation.tables import FURTHER, GENERATION
from mien.evaluation.rows import Row
from mien.evaluation.table_cells import (
    DASH,
    Column,
    center,
    count,
    digits,
    fixed,
    interval,
    mean,
    percent,
    spread,
)


@dataclass(frozen=True)
class Table:
    """A printed table.

    Args:
        title: Heading.
        note: What the numbers mean and which direction is better, in a sentence or two.
        header: Column titles.
        rows: Cells; the first is the label.
        footnotes: Reasons of dashes, numbered from 1 as they appear in cells.
    """

    title: str
    note: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    footnotes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """A heading, the note, a pipe table and the footnotes."""
        lines = [f"### {self.title}", "", self.note, ""] if self.note else [f"### {self.title}", ""]
        lines.append("| " + " | ".join(self.header) + " |")
        lines.append("|" + "|".join(["---"] + ["---:"] * (len(self.header) - 1)) + "|")
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in self.rows]
        if self.footnotes:
            lines += ["", *(f"({number}) {text}.  " for number, text in enumerate(self.footnotes, 1))]
        return "\n".join(lines) + "\n"

    def latex(self) -> str:
        """A booktabs tabular inside a table environment."""
        head = " & ".join(_escaped(cell) for cell in self.header)
        body = [" & ".join(_escaped(cell) for cell in row) + r" \\" for row in self.rows]
        notes = " ".join(f"({number}) {text}." for number, text in enumerate(self.footnotes, 1))
        caption = _escaped(" ".join(part for part in (f"{self.title}.", self.note, notes) if part))
        return "\n".join([
            r"\begin{table}", r"\centering", rf"\caption{{{caption}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(self.header) - 1)}}}", r"\toprule", head + r" \\", r"\midrule",
            *body, r"\bottomrule", r"\end{tabular}", r"\end{table}", "",
        ])  # fmt: skip


_LATEX = {
    "\\": r"\textbackslash{}", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#", "$": r"\$", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "±": r"$\pm$", "–": "--", "→": r"$\to$", "·": r"$\cdot$", "×": r"$\times$",
}  # fmt: skip


def _escaped(text: str) -> str:
    """Text of a cell or caption as LaTeX; Markdown's code and italics become LaTeX's."""
    escaped = "".join(_LATEX.get(letter, letter) for letter in text)
    return re.sub(r"\*([^*]+)\*", r"\\textit{\1}", re.sub(r"`([^`]+)`", r"\\texttt{\1}", escaped))


@dataclass
class _Cells:
    """Formats rows and collects the reasons of dashes."""

    rows: Mapping[tuple[str, str], Row]
    footnotes: list[str] = field(default_factory=list)

    def cell(self, system: str, metric: str, form: Callable[[Row], str]) -> str:
        row = self.rows.get((system, metric))
        if row is None:
            return ""
        if row.mean is None:
            return f"{DASH} ({self._number(row.reason)})" if row.reason else DASH
        return form(row)

    def _number(self, reason: str) -> int:
        if reason not in self.footnotes:
            self.footnotes.append(reason)
        return self.footnotes.index(reason) + 1


LAYOUT: Sequence[tuple[str, str, Sequence[Column]]] = (
    (
        "Reconstruction",
        "Average vertex distance in mm, lower is better. `per mesh` and `pooled` agree in the mean only: "
        "their spreads measure different things. `detail` is the loss of fine shape that distances hide. "
        "Systems whose expression code is a whole mesh reconstruct exactly by construction.",
        (
            ("rec_avd_mesh", "per mesh: mean ± std / median", spread),
            ("rec_avd_mesh", "95 %", interval),
            ("rec_avd_pooled", "pooled: mean ± std / median", spread), ("rec_detail", "detail", mean),
            ("rec_avd_mouth", "mouth", mean), ("rec_avd_eyes", "eyes", mean),
            ("rec_avd_brows", "brows", mean),
        ),
    ),
    (
        "Neutralization",
        "Distance of the predicted neutral to the person's true neutral in mm, lower is better. `triplet` "
        "takes the neutral expression from another person.",
        (
            ("neu_avd", "neu_avd: mean ± std / median", spread), ("neu_avd", "95 %", interval),
            ("neu_avd_aligned", "rigidly aligned", center), ("neu_avd_triplet", "triplet", center),
        ),
    ),
    (
        "Identity consistency",
        "How far apart one person's predicted neutrals lie, mm, mean / median over persons; lower is better "
        "only beside `neu_avd` and at equal `between`: a model that ignores its input scores 0. The columns "
        "are different quantities: `pooled` and `mesh` give the spread of the error's size, not the error.",
        (
            ("id_mad", "id_mad", center), ("id_mad", "95 %", interval),
            ("id_between_avd", "between people", mean),
            ("id_ratio", "id_ratio", mean), ("neu_avd", "neu_avd", mean),
            ("id_std_pooled", "id_std_pooled", center),
            ("id_std_vertex", "id_std_vertex", center), ("id_std_mesh", "id_std_mesh", center),
            ("id_std_avd", "id_std_avd", center),
        ),
    ),
    (
        "Identity decomposition",
        "The same for neutrals decoded with the neutral expression code of one other person per person.",
        tuple((f"decomposition_{name}", name, center) for name in
              ("id_mad", "id_std_pooled", "id_std_vertex", "id_std_mesh", "id_std_avd")),
    ),
    (
        "Expression consistency",
        "How far apart different people's expression-only meshes of one expression lie, mm, mean / median "
        "over expressions. People differ in how they perform, so 0 is not the goal.",
        tuple((name, name, center) for name in ("exp_mad", "exp_std_pooled", "exp_std_vertex")),
    ),
    (
        "Expression transfer",
        "Distance in mm to the person's own scan of an expression that was taken from another person, lower "
        "is better; means over all draws. Two people perform an expression differently, and that part cannot "
        "be removed; `self` takes the expression from the person's own scan instead (transfer_floor). "
        "`detail kept` adds what the receiver's codes lost of the neutral (`mien transfer --keep-detail`).",
        (
            ("transfer_avd", "transfer_avd: mean ± std / median", spread), ("transfer_avd", "95 %", interval),
            ("transfer_avd_detail", "detail kept", spread), ("transfer_floor", "self", mean),
        ),
    ),
    (
        "Interpolation",
        "From a scan of each person to another expression of the next person in ten steps, one code moving: "
        "length of the way over the distance of its ends (1 is straight), and deviation of the steps over "
        "their mean (0 is even); mean / median over persons.",
        tuple((f"{name}_{factor}", f"{factor}: {says}", center) for factor in ("identity", "expression")
              for name, says in (("path_length", "length"), ("path_step_cv", "unevenness"))),
    ),
    (
        "Recognition",
        "Rank-1 rate in % with the 95 % interval: gallery of neutralized neutrals, probes all other scans.",
        (("rank1_mesh", "by mesh", percent), ("rank1_code", "by identity code", percent)),
    ),
    (
        "Leakage",
        "How often a linear reader names a label from a code, % of held-out scans with the 95 % interval. "
        "Wanted: high for a code's own factor, chance for the other.",
        (
            ("leakage_person_from_identity", "person from identity", percent),
            ("leakage_person_from_expression", "person from expression", percent),
            ("leakage_expression_from_identity", "expression from identity", percent),
            ("leakage_expression_from_expression", "expression from expression", percent),
        ),
    ),
    (
        "Size and speed",
        "Milliseconds per mesh in batches, best of three, on the machine of this report.",
        (
            ("parameters", "parameters", count), ("encode_ms", "encode (ms)", mean),
            ("decode_ms", "decode (ms)", mean),
        ),
    ),
    *GENERATION,
)  # fmt: skip


def tables_of(
    rows: Iterable[Row], latent: Mapping[str, str], published: Mapping[str, Mapping[str, Any]]
) -> list[Table]:
    """All tables that have something to say.

    Args:
        rows: Of the report.
        latent: System -> its code sizes, printed beside its name.
        published: System -> metric -> printed value.
    """
    rows = list(rows)
    tables = [
        table for title, note, columns in LAYOUT if (table := _table(rows, latent, title, note, columns))
    ]
    by_expression = _by_expression(rows)
    if by_expression:
        position = 1 + next(k for k, table in enumerate(tables) if table.title == "Expression transfer")
        tables.insert(position, by_expression)
    known = {metric for _, _, columns in LAYOUT for metric, _, _ in columns}
    further = [
        metric for row in rows if (metric := row.metric).startswith(("dec_", "div_")) and metric not in known
    ]
    if further:
        columns = [(metric, metric, fixed) for metric in dict.fromkeys(further)]
        tables += [table for table in (_table(rows, latent, *FURTHER, columns),) if table]
    if published:
        tables.append(_published(published))
    return tables


def _table(
    rows: list[Row], latent: Mapping[str, str], title: str, note: str, columns: Sequence[Column]
) -> Table | None:
    wanted = {metric for metric, _, _ in columns}
    cells = _Cells({(row.system, row.metric): row for row in rows})
    own = wanted - {"neu_avd"} if len(wanted) > 4 else wanted
    systems = list(dict.fromkeys(row.system for row in rows if row.metric in own))
    if not systems:
        return None
    lines = []
    kinds = {row.system: row.kind for row in rows}
    for system in systems:
        label = system if kinds[system] == "model" else f"*{system}*"
        name = f"{label} ({latent[system]})" if system in latent else label
        lines.append((name, *(cells.cell(system, metric, form) for metric, _, form in columns)))
    # A column that nobody fills (regions without masks) is left out.
    kept = [k for k in range(len(columns)) if any(line[k + 1] for line in lines)]
    header = ("system", *(columns[k][1] for k in kept))
    body = tuple((line[0], *(line[k + 1] or "" for k in kept)) for line in lines)
    return Table(title, note, header, body, tuple(cells.footnotes))


def _by_expression(rows: list[Row]) -> Table | None:
    """Expressions down, systems across."""
    prefix = "transfer_avd/"
    found = [row for row in rows if row.metric.startswith(prefix) and row.mean is not None]
    if not found:
        return None
    systems = list(dict.fromkeys(row.system for row in found))
    values = {(row.system, row.metric): digits(row.mean) for row in found if row.mean is not None}
    body = tuple(
        (name.removeprefix(prefix), *(values.get((system, name), DASH) for system in systems))
        for name in dict.fromkeys(row.metric for row in found)
    )
    note = "transfer_avd in mm, mean over the draws of each expression."
    return Table("Expression transfer by expression", note, ("expression", *systems), body)


def _published(published: Mapping[str, Mapping[str, Any]]) -> Table:
    metrics = list(dict.fromkeys(metric for values in published.values() for metric in values))
    body = tuple(
        (system, *(str(values.get(metric, DASH)) for metric in metrics))
        for system, values in published.items()
    )
    note = "Copied from the papers: other data, other people, other splits. Not to be ranked with the above."
    return Table("Published", note, ("system", *metrics), body)
