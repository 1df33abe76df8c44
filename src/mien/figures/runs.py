"""Runs side by side: curves of their logs, and each test person's difference between two systems."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from mien.figures.plots import COLORS, axes_of, picture_of

Curve = tuple[Sequence[float], Sequence[float]]
"""Where, and how much."""


def training_curves(
    curves: Mapping[str, Mapping[str, Sequence[Curve]]], *, title: str = "", x_label: str = "step"
) -> Image.Image:
    """A panel for each logged quantity, a color for each system, a line for each of its runs.

    Args:
        curves: Quantity -> system -> one curve a run.
        title: Printed above.
        x_label: Horizontal axis.
    """
    columns = min(3, max(1, len(curves)))
    rows = math.ceil(len(curves) / columns)
    figure, panels = axes_of(
        title, width=4.4 * columns + 0.6, height=2.9 * rows + 0.6, columns=columns, rows=rows
    )
    panels = np.atleast_1d(panels)
    systems = list(dict.fromkeys(system for found in curves.values() for system in found))
    for panel, (quantity, found) in zip(panels, curves.items()):
        for system, runs in found.items():
            color = COLORS[systems.index(system) % len(COLORS)]
            for x, y in runs:
                panel.plot(x, y, color=color, linewidth=1.4, alpha=0.9, marker="." if len(x) == 1 else None)
        values = np.array([value for runs in found.values() for _, y in runs for value in y])
        if (values > 0).all() and values.max() > 20 * values.min():
            panel.set_yscale("log")
        panel.set_title(quantity, fontsize=9, loc="left")
        panel.set_xlabel(x_label, fontsize=8)
    for panel in panels[len(curves) :]:
        panel.set_axis_off()
    for number, system in enumerate(systems):
        panels[0].plot([], [], color=COLORS[number % len(COLORS)], label=system)
    panels[0].legend(frameon=False, fontsize=8)
    return picture_of(figure)


def paired_plot(
    differences: Mapping[str, Mapping[str, Sequence[float]]],
    intervals: Mapping[str, Mapping[str, tuple[float, float]]],
    *,
    title: str = "",
) -> Image.Image:
    """A panel for each metric: each person's difference to the best system, its mean and interval.

    Args:
        differences: Title of the panel -> system -> one difference a person, in the metric's unit.
        intervals: The same -> system -> low and high end of the mean's interval.
        title: Printed above.
    """
    most = max(len(found) for found in differences.values())
    columns = min(2, len(differences))
    rows = math.ceil(len(differences) / columns)
    height = rows * (0.42 * most + 1.1) + 0.4
    figure, panels = axes_of(title, width=5.6 * columns, height=height, columns=columns, rows=rows)
    panels = np.atleast_1d(panels)
    spread = np.random.default_rng(7)
    for panel, (name, found) in zip(panels, differences.items()):
        panel.axvline(0, color="#8d877e", linewidth=1)
        for row, (system, values) in enumerate(found.items()):
            color = COLORS[row % len(COLORS)]
            at = row + spread.uniform(-0.22, 0.22, len(values))
            panel.scatter(values, at, s=9, color=color, alpha=0.45, linewidths=0)
            low, high = intervals[name][system]
            panel.plot([low, high], [row, row], color="#2c2a28", linewidth=2.4)
            panel.plot([float(np.mean(values))], [row], "o", color="#2c2a28", markersize=5)
        panel.set_yticks(range(len(found)), [system.replace("_", " ") for system in found], fontsize=8)
        panel.set_ylim(len(found) - 0.5, -0.5)
        panel.set_title(name, fontsize=9, loc="left")
        panel.grid(axis="y", visible=False)
    for panel in panels[len(differences) :]:
        panel.set_axis_off()
    return picture_of(figure)
