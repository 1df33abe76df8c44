"""Rows arranged as a few readable tables, in Markdown, LaTeX and plain cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mien.evaluation.rows import Row
from mien.evaluation.table_cells import DASH, Column


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
    """Text of a cell or caption as LaTeX; Markdown's code, bold and italics become LaTeX's."""
    escaped = "".join(_LATEX.get(letter, letter) for letter in text)
    escaped = re.sub(r"\*\*([^*]+)\*\*", r"\\textbf{\1}", escaped)
    return re.sub(r"\*([^*]+)\*", r"\\textit{\1}", re.sub(r"`([^`]+)`", r"\\texttt{\1}", escaped))


@dataclass(frozen=True)
class Layout:
    """What one table shows of a report's rows.

    Args:
        title: Heading.
        note: What the numbers mean and which direction is better.
        columns: Metrics, the titles of their columns, and the forms of their cells.
        beside: Metrics that are shown for the systems in the table and bring no system into it.
    """

    title: str
    note: str
    columns: Sequence[Column]
    beside: Sequence[str] = ()


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


def arranged(rows: Sequence[Row], layout: Layout, sizes: Mapping[str, str] | None = None) -> list[Table]:
    """The table of a layout, or none if no row belongs in it.

    Args:
        rows: Of the report.
        layout: What to show.
        sizes: System -> its code sizes, printed beside its name.
    """
    own = {metric for metric, _, _ in layout.columns} - set(layout.beside)
    systems = list(dict.fromkeys(row.system for row in rows if row.metric in own))
    if not systems:
        return []
    cells, lines = _Cells({(row.system, row.metric): row for row in rows}), []
    kinds = {row.system: row.kind for row in rows}
    for system in systems:
        label = system if kinds[system] == "model" else f"*{system}*"
        name = f"{label} ({sizes[system]})" if sizes and system in sizes else label
        lines.append((name, *(cells.cell(system, metric, form) for metric, _, form in layout.columns)))
    # A column that nobody fills (regions without masks) is left out.
    kept = [k for k in range(len(layout.columns)) if any(line[k + 1] for line in lines)]
    header = ("system", *(layout.columns[k][1] for k in kept))
    body = tuple((line[0], *(line[k + 1] for k in kept)) for line in lines)
    return [Table(layout.title, layout.note, header, body, tuple(cells.footnotes))]


def published_table(published: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """The numbers that papers print, apart from ours; no table without any.

    Args:
        published: System -> metric or column -> printed value.
    """
    if not published:
        return []
    metrics = list(dict.fromkeys(metric for values in published.values() for metric in values))
    body = tuple(
        (system, *(str(values.get(metric, DASH)) for metric in metrics))
        for system, values in published.items()
    )
    note = "Copied from the papers: other data, other people, other splits. Not to be ranked with the above."
    return [Table("Published", note, ("system", *metrics), body)]
