"""One self-contained HTML page: tables, pictures and a rig to play with; no server, no network.

A content security policy in the page forbids every connection, so what is promised is also enforced.
"""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from mien.evaluation.tables import Table
from mien.io.atomic import write_bytes

if TYPE_CHECKING:
    from mien.data.dataset import FaceDataset
    from mien.evaluation import Report
    from mien.models.base import FaceModel

MAX_WIDTH = 2000  # pixels: wider pictures gain nothing on a page
PLOT_COLORS = 10_000  # a sheet of faces has more, a plot fewer
POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src data: blob:"
)


@dataclass(frozen=True)
class Figure:
    """A picture with its caption.

    Args:
        image: A PIL image or (H, W, 3) uint8 array.
        caption: Shown below; also the text for people who cannot see the picture.
    """

    image: Any
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """One part of the page; whatever it has is shown in this order.

    Args:
        title: Heading, also in the menu at the top.
        text: Paragraphs separated by blank lines; ``code``, **bold**, and fenced blocks are understood.
        facts: Name -> value, shown as large numbers.
        rig: The bytes of a GLB with morph targets, shown in 3D with sliders and its clip.
        rig_colors: (V, 3) uint8 sRGB of its vertices, e.g. of ``figures.face_colors``; None for clay.
        pictures: Shown one below the other.
        gallery: Shown side by side.
        tables: Of a report, or made for the page.
        verdicts: What the tables say, a sentence or two under each of the first ones.
    """

    title: str
    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    rig: bytes | None = None
    rig_colors: Any = None
    pictures: Sequence[Figure] = ()
    gallery: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    verdicts: Sequence[str] = ()


def write_report(
    path: Path | str, *, title: str, sections: Sequence[Section], lead: str = "", footer: str = ""
) -> Path:
    """Writes the page.

    Args:
        path: The ``.html`` file; it appears whole or not at all.
        title: Heading and window title.
        sections: In order.
        lead: A sentence or two below the heading.
        footer: How the page came about: version, command, licenses.

    Returns:
        The path.
    """
    path = Path(path)
    names = [_anchor(number, section.title) for number, section in enumerate(sections)]
    menu = "".join(
        f'<li><a href="#{name}">{html.escape(section.title)}</a></li>'
        for name, section in zip(names, sections)
    )
    viewer = any(section.rig is not None for section in sections)
    script = "".join(f"<script>{asset(name)}</script>" for name in ("three.min.js", "viewer.js"))
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<link rel="icon" href="data:,">
<title>{html.escape(title)}</title><style>{asset("page.css")}</style></head><body>
<header><h1>{html.escape(title)}</h1><p class="lead">{_inline(lead)}</p></header>
<nav aria-label="Sections"><ul>{menu}</ul></nav>
<main>{"".join(_section(name, section) for name, section in zip(names, sections))}</main>
<footer>{_prose(footer)}</footer>
{script if viewer else ""}</body></html>
"""
    write_bytes(path, page.encode())
    return path


def _section(name: str, section: Section) -> str:
    parts = [f'<section id="{name}"><h2>{html.escape(section.title)}</h2>', _prose(section.text)]
    if section.facts:
        items = "".join(
            f"<div><dt>{html.escape(str(key))}</dt><dd>{html.escape(str(value))}</dd></div>"
            for key, value in section.facts.items()
        )
        parts.append(f'<dl class="facts">{items}</dl>')
    if section.rig is not None:
        parts.append(_rig(section.rig, section.rig_colors))
    parts += [_figure(picture) for picture in section.pictures]
    if section.gallery:
        parts.append(f'<div class="gallery">{"".join(map(_figure, section.gallery))}</div>')
    for table, verdict in zip_longest(section.tables, section.verdicts[: len(section.tables)]):
        parts += [table_html(table), f'<p class="verdict">{_inline(verdict)}</p>' if verdict else ""]
    return "".join(parts) + "</section>"


def table_html(table: Table) -> str:
    """A table with its heading, note and footnotes."""
    head = "".join(f'<th scope="col">{_inline(cell)}</th>' for cell in table.header)
    body = "".join(
        "<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>" for row in table.rows
    )
    notes = "<br>".join(f"({number}) {_inline(text)}." for number, text in enumerate(table.footnotes, 1))
    return (
        f"<h3>{html.escape(table.title)}</h3>"
        + (f'<p class="note">{_inline(table.note)}</p>' if table.note else "")
        + f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        + (f'<p class="footnotes">{notes}</p>' if notes else "")
    )


def _rig(glb: bytes, colors: Any) -> str:
    data, paint = base64.b64encode(glb).decode(), ""
    if colors is not None:
        rows = base64.b64encode(np.ascontiguousarray(colors, np.uint8).tobytes()).decode()
        paint = f'<script type="text/plain" class="rig-colors">{rows}</script>'
    return f"""<div class="rig" data-state="loading"><div class="stage" role="img"
 aria-label="The rig in 3D: drag to turn, scroll to zoom"></div><div class="panel"><div class="transport">
<button class="play" type="button">Play</button>
<input class="scrub" type="range" min="0" max="1" step="any" value="0" aria-label="Time">
<button class="reset" type="button">Neutral</button></div><div class="sliders"></div></div>
<script type="text/plain" class="rig-data">{data}</script>{paint}</div>"""


def _figure(picture: Figure) -> str:
    kind, data, size = _encoded(picture.image)
    caption = f"<figcaption>{_inline(picture.caption)}</figcaption>" if picture.caption else ""
    alt = html.escape(re.sub(r"[`*]", "", picture.caption), quote=True)
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return (
        f'<figure><img src="{source}" alt="{alt}" width="{size[0]}" height="{size[1]}" loading="lazy">'
        f"{caption}</figure>"
    )


def _encoded(picture: Any) -> tuple[str, bytes, tuple[int, int]]:
    """The smaller of PNG (plots) and JPEG (faces); PNG takes long on what has many colors, and is larger."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.asarray(picture, np.uint8))
    image = image.convert("RGB")
    if image.width > MAX_WIDTH:
        image = image.resize(
            (MAX_WIDTH, round(image.height * MAX_WIDTH / image.width)), Image.Resampling.LANCZOS
        )
    results = {}
    forms: dict[str, dict[str, object]] = {"jpeg": {"quality": 88, "subsampling": 0}}
    if image.getcolors(PLOT_COLORS) is not None:
        forms["png"] = {"optimize": True}
    for kind, options in forms.items():
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)  # type: ignore[arg-type]
        results[kind] = buffer.getvalue()
    kind = min(results, key=lambda name: len(results[name]))
    return kind, results[kind], image.size


def _prose(text: str) -> str:
    """Paragraphs, and fenced blocks as they are."""
    parts = []
    for index, block in enumerate(re.split(r"```(?:\w*\n)?", text)):
        if index % 2:
            parts.append(f"<pre><code>{html.escape(block.rstrip())}</code></pre>")
        else:
            parts += [f"<p>{_inline(p.strip())}</p>" for p in re.split(r"\n\s*\n", block) if p.strip()]
    return "".join(parts)


def _inline(text: str) -> str:
    """Escaped text with ``code``, **bold** and *emphasis*."""
    pieces = re.split(r"`([^`]+)`", text)
    for index, piece in enumerate(pieces):
        safe = html.escape(piece)
        if index % 2:
            pieces[index] = f"<code>{safe}</code>"
        else:
            safe = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", safe)
            pieces[index] = re.sub(r"\*([^*\s][^*]*)\*", r"<em>\1</em>", safe)
    return "".join(pieces)


def _anchor(number: int, title: str) -> str:
    return f"s{number}-" + re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def asset(name: str) -> str:
    """A style sheet or script of ``report_page``; none of them holds a closing tag."""
    return (resources.files("mien") / "report_page" / name).read_text(encoding="utf-8")


def pictures_of(
    report: Report, models: Mapping[str, FaceModel], data: FaceDataset, *, size: int = 170
) -> dict[str, Figure]:
    """The pictures that belong to an evaluation, as far as the report has numbers for them.

    Args:
        report: Of :func:`mien.evaluation.evaluate`.
        models: The models that were evaluated, by their labels.
        data: The data set that was given to ``evaluate``.
        size: Pixels of a face.

    Returns:
        ``reconstruction`` and ``transfer`` (plots), and ``split-<model>`` for each model with an encoder of
        its own: best, average and worst face.
    """
    from mien import figures

    made = {}
    errors = {
        system: np.array([v for v in values["rec_avd_mesh"] if v is not None])
        for system, values in report.meshes.items()
        if system in models and "rec_avd_mesh" in values
    }
    errors = {system: values for system, values in errors.items() if len(values) and values.max() > 1e-3}
    if errors:
        title = "Reconstruction, unseen people"
        plot = figures.cumulative_error(errors, title=title, label="error of a mesh (mm)")
        made["reconstruction"] = Figure(plot, "Share of test meshes below an average vertex distance.")
    transfer = _transfer_bars(report)
    if transfer is not None:
        made["transfer"] = Figure(transfer, "Expression transfer by expression, 95 % interval over persons.")
    for label in errors:
        if models[label].anchored:
            continue
        values = np.array([np.nan if v is None else v for v in report.meshes[label]["rec_avd_mesh"]])
        rows = {
            name: int(report.scans[scan]["row"]) for name, scan in figures.best_average_worst(values).items()
        }
        splits = figures.splits_of(models[label], data, rows)
        sheet = figures.disentanglement_figure(splits, data.topology, title=label, size=size)
        made[f"split-{label}"] = Figure(
            sheet, f"`{label}` on unseen people: the face, its neutral, and its expression on the template."
        )
    return made


def _transfer_bars(report: Report) -> Image.Image | None:
    """Models first, then the two controls that matter most."""
    from mien import figures

    models = [row.system for row in report.rows if row.kind == "model"]
    kept = list(dict.fromkeys([*models, "mean_expression", "deformation_transfer"]))
    rows = {(r.system, r.metric): r for r in report.rows if r.metric.startswith("transfer_avd/") and r.mean}
    metrics = list(dict.fromkeys(metric for _, metric in rows))
    systems = [name for name in kept if any((name, metric) in rows for metric in metrics)]
    if not systems:
        return None
    none = float("nan")
    values: dict[str, list[float]] = {}
    whiskers: dict[str, list[tuple[float, float]]] = {}
    for name in systems:
        line = [rows.get((name, metric)) for metric in metrics]
        values[name] = [none if row is None else row.mean or none for row in line]
        whiskers[name] = [
            (none, none) if row is None else (row.low or none, row.high or none) for row in line
        ]
    groups = [metric.removeprefix("transfer_avd/") for metric in metrics]
    label = "transfer_avd (mm)"
    return figures.bars(values, groups, title="Expression transfer", label=label, intervals=whiskers)
