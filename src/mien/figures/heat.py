"""Millimeters as color, with a bar that says how many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mien.figures.sheets import INK, font, text_width
from mien.render.clay import BACKGROUND

ANCHORS = np.array(
    [
        (238, 236, 230), (252, 229, 170), (252, 190, 104), (244, 136, 73),
        (220, 80, 66), (171, 40, 84), (106, 22, 88), (45, 10, 62),
    ],
    np.float64,
)  # fmt: skip
"""Zero is the color of plaster and lightness falls steadily to the maximum: printed gray it still reads."""


def color_table(count: int = 256) -> NDArray[np.uint8]:
    """(count, 3) sRGB from no error to the maximum."""
    at = np.linspace(0, len(ANCHORS) - 1, count)
    table = [np.interp(at, np.arange(len(ANCHORS)), ANCHORS[:, channel]) for channel in range(3)]
    return np.stack(table, axis=1).round().astype(np.uint8)


def heat(values: NDArray, maximum: float) -> NDArray[np.uint8]:
    """Colors of errors.

    Args:
        values: (...) float, millimeters.
        maximum: Millimeters that get the last color; larger values share it.

    Returns:
        (..., 3) uint8 sRGB; what is not finite is black.
    """
    values = np.asarray(values, np.float64)
    index = np.clip(np.nan_to_num(values) / max(maximum, 1e-12) * 255, 0, 255).round().astype(int)
    colors = color_table()[index]
    colors[~np.isfinite(values)] = 0
    return colors


def nice_maximum(values: NDArray) -> float:
    """A round number of millimeters near the 98th percentile, for a bar that people can read.

    Args:
        values: Any shape, float, millimeters.
    """
    target = float(np.percentile(np.asarray(values, np.float64), 98)) or 1.0
    scale = 10 ** np.floor(np.log10(target))
    return float(
        next(step * scale for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * scale >= target * 0.95)
    )


def color_bar(
    maximum: float, *, width: int = 360, height: int = 64, background: Sequence[int] = BACKGROUND
) -> Image.Image:
    """A horizontal bar from 0 to ``maximum`` millimeters."""
    picture = Image.new("RGB", (width, height), tuple(background))
    draw = ImageDraw.Draw(picture)
    text = max(11, height // 4)
    face = font(text)
    last = f"{maximum:g}+ mm"
    left, right = text, width - text - text_width(last, face) // 2
    bar = Image.fromarray(np.repeat(color_table(right - left)[None], height // 3, axis=0))
    picture.paste(bar, (left, height // 8))
    for fraction in (0.0, 0.5, 1.0):
        label = last if fraction == 1 else f"{fraction * maximum:g}"
        at = (left + fraction * (right - left), height // 8 + height // 3 + 4)
        draw.text(at, label, INK, face, anchor="mt" if fraction else "lt")
    return picture


def with_bar(sheet: Image.Image, maximum: float) -> Image.Image:
    """The sheet with a color bar in its lower right corner, on a line of its own."""
    bar = color_bar(maximum, width=min(360, sheet.width), height=60)
    background = sheet.getpixel((0, 0))
    taller = Image.new("RGB", (sheet.width, sheet.height + bar.height), background)
    taller.paste(sheet, (0, 0))
    taller.paste(bar, (sheet.width - bar.width, sheet.height))
    return taller
