"""Pictures of faces and of numbers."""

from mien.figures.faces import (
    Split,
    best_average_worst,
    disentanglement_figure,
    draw,
    error_maps,
    expression_sheet,
    face_colors,
    face_sheet,
    face_view,
    side_by_side,
    splits_of,
)
from mien.figures.heat import color_bar, color_table, heat, nice_maximum, with_bar
from mien.figures.motion import clip_sheet, film, sheet_film, signal_panel
from mien.figures.plots import bars, cumulative_error, lines
from mien.figures.sheets import grid, strip
from mien.figures.textures import textured_people, textured_sheet
from mien.render.stills import View, render

__all__ = [
    "Split", "View", "bars", "side_by_side", "best_average_worst", "clip_sheet", "color_bar", "color_table",
    "cumulative_error", "disentanglement_figure", "draw", "error_maps", "expression_sheet", "face_colors",
    "face_sheet", "face_view", "film", "grid", "heat", "lines", "nice_maximum", "render", "sheet_film",
    "signal_panel", "splits_of", "strip", "textured_people", "textured_sheet", "with_bar",
]  # fmt: skip
