"""Pictures of faces and of numbers."""

from mien.figures.heat import color_bar, color_table, heat, nice_maximum, with_bar
from mien.figures.plots import bars, cumulative_error, lines
from mien.figures.render import View, render
from mien.figures.sheets import grid, strip

__all__ = [
    "View", "bars", "color_bar", "color_table", "cumulative_error", "grid", "heat", "lines", "nice_maximum",
    "render", "strip", "with_bar",
]  # fmt: skip
