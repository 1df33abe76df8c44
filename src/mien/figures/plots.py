"""Curves and bars in the style of the sheets. Needs matplotlib (extra ``analysis``)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.errors import require
from mien.render.clay import BACKGROUND

COLORS = ("#c2593f", "#2f6f8f", "#7a9a3c", "#8a5aa3", "#d39a2d", "#4b4b4b", "#4fa39b", "#b0658c")


def cumulative_error(
    errors: Mapping[str, NDArray], *, title: str = "", maximum: float | None = None,
    label: str = "error of a vertex (mm)",
) -> Image.Image:  # fmt: skip
    """Share of the points whose error is below x, one curve a model.

    Args:
        errors: Name -> (...) float, millimeters.
        title: Printed above.
        maximum: Right end of the axis; None for the largest 99th percentile.
        label: What the horizontal axis measures.
    """
    figure, axes = axes_of(title)
    flat = {name: np.sort(np.ravel(values)) for name, values in errors.items()}
    maximum = maximum or max(float(np.percentile(values, 99)) for values in flat.values())
    at = np.linspace(0, maximum, 300)
    for number, (name, values) in enumerate(flat.items()):
        share = 100 * np.searchsorted(values, at, side="right") / len(values)
        axes.plot(at, share, color=COLORS[number % len(COLORS)], linewidth=2, label=name)
    axes.set(xlabel=label, ylabel="share below (%)", xlim=(0, maximum), ylim=(0, 100))
    axes.legend(frameon=False, loc="lower right")
    return picture_of(figure)


def bars(
    values: Mapping[str, Sequence[float]], groups: Sequence[str], *, title: str = "", label: str = "mm",
    intervals: Mapping[str, Sequence[tuple[float, float]]] | None = None,
) -> Image.Image:  # fmt: skip
    """Grouped bars: one group an expression or metric, one color a model.

    Args:
        values: Model -> one number a group; NaN leaves a gap.
        groups: Labels of the groups.
        title: Printed above.
        label: Vertical axis.
        intervals: Model -> (low, high) a group, drawn as whiskers.
    """
    width = max(6.4, 0.32 * len(groups) * max(len(values), 1) + 1.8)
    figure, axes = axes_of(title, width=min(width, 16), height=3.8 if width < 9 else 4.6)
    at, thickness = np.arange(len(groups)), 0.8 / max(len(values), 1)
    for number, (name, row) in enumerate(values.items()):
        x = at - 0.4 + (number + 0.5) * thickness
        color = COLORS[number % len(COLORS)]
        axes.bar(x, row, thickness * 0.92, color=color, label=name)
        if intervals and name in intervals:
            low, high = np.array(intervals[name], float).T
            reach = np.abs([np.subtract(row, low), np.subtract(high, row)])
            axes.errorbar(x, row, reach, fmt="none", ecolor="#2c2a28", elinewidth=1)
    axes.set_xticks(at, [group.replace("_", " ") for group in groups], rotation=35 if len(groups) > 6 else 0,
                    ha="right" if len(groups) > 6 else "center")  # fmt: skip
    axes.set_ylabel(label)
    axes.legend(
        frameon=False,
        ncols=min(6 if width > 9 else 4, max(len(values), 1)),
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
    )
    return picture_of(figure)


def lines(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, title: str = "",
    x_label: str = "", y_label: str = "", logarithmic: bool = False,
) -> Image.Image:  # fmt: skip
    """Plain curves, e.g. losses over steps: name -> (x, y)."""
    figure, axes = axes_of(title)
    for number, (name, (x, y)) in enumerate(curves.items()):
        axes.plot(x, y, color=COLORS[number % len(COLORS)], linewidth=1.8, label=name)
    axes.set(xlabel=x_label, ylabel=y_label)
    if logarithmic:
        axes.set_yscale("log")
    axes.legend(frameon=False)
    return picture_of(figure)


def axes_of(
    title: str, width: float = 6.4, height: float = 3.8, columns: int = 1, rows: int = 1
) -> tuple[Any, Any]:
    """A figure that belongs to no window system, with one panel, or several in the order of reading."""
    require("matplotlib", "analysis")
    from matplotlib.figure import Figure

    background = "#{:02x}{:02x}{:02x}".format(*BACKGROUND)
    figure = Figure(figsize=(width, height), dpi=144, facecolor=background)
    figure.set_layout_engine("constrained", w_pad=0.14, h_pad=0.12)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel in panels:
        panel.set_facecolor(background)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(axis="y", color="#dcd8d2", linewidth=0.8)
        panel.set_axisbelow(True)
    if title:
        figure.suptitle(title, x=0.02, ha="left", fontsize=12)
    return figure, panels[0] if len(panels) == 1 else panels


def picture_of(figure: Any) -> Image.Image:
    """A figure as a picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    buffer.seek(0)
    return Image.open(buffer).convert("RGB")
