"""Sheets: grids and strips of pictures with quiet, readable labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mien.figures.render import BACKGROUND
from mien.io.atomic import atomic_file

INK = (44, 42, 40)
FAINT = (128, 122, 116)


def grid(
    images: Sequence[Sequence[Any]], row_labels: Sequence[str] = (), column_labels: Sequence[str] = (),
    title: str = "", *, note: str = "", gap: int = 0, background: Sequence[int] = BACKGROUND,
) -> Image.Image:  # fmt: skip
    """Lays out rows of pictures with labels left and above.

    Args:
        images: Rows of (H, W, 3) uint8 arrays or PIL images, all of one size; None leaves a cell empty.
        row_labels: One per row; set flush right beside the row.
        column_labels: One per column; centered above it.
        title: Printed large above everything.
        note: Printed small and gray at the foot: what the reader has to know to trust the picture.
        gap: Pixels between cells.
        background: sRGB of the sheet.

    Returns:
        A PIL image; ``.save("sheet.png")``.
    """
    cells = [[None if cell is None else _picture(cell) for cell in row] for row in images]
    width, height = next(cell.size for row in cells for cell in row if cell is not None)
    columns = max(len(row) for row in cells)
    text = min(24, max(12, round(min(width, height) / 13)))
    label_font, title_font, note_font = (font(s) for s in (text, round(text * 1.6), round(text * 0.85)))
    pad = text
    left = pad + max((text_width(label, label_font) for label in row_labels), default=0)
    left += pad if row_labels else 0
    head = pad + (round(text * 3.0) if title else 0)
    top = head + (round(text * 1.8) if column_labels else 0)
    foot = pad + (round(text * 1.8) if note else 0)
    full_width = left + columns * (width + gap) - gap + pad
    sheet = Image.new("RGB", (full_width, top + len(cells) * (height + gap) - gap + foot), tuple(background))
    draw = ImageDraw.Draw(sheet)
    if title:
        draw.text((pad, pad), title, INK, title_font)
    for column, label in enumerate(column_labels):
        center = left + column * (width + gap) + width // 2
        draw.text(
            (center, head + text * 0.6), fit_text(label, label_font, width), INK, label_font, anchor="mm"
        )
    for row, label in enumerate(row_labels):
        middle = top + row * (height + gap) + height // 2
        draw.text((left - pad, middle), label, INK, label_font, anchor="rm")
    for row, line in enumerate(cells):
        for column, cell in enumerate(line):
            if cell is not None:
                sheet.paste(cell, (left + column * (width + gap), top + row * (height + gap)))
    if note:
        draw.text((pad, sheet.height - pad), note, FAINT, note_font, anchor="ls")
    return sheet


def strip(images: Sequence[Any], labels: Sequence[str] = (), title: str = "") -> Image.Image:
    """One row of pictures, e.g. the frames of an animation or the steps of an interpolation."""
    return grid([images], column_labels=labels, title=title)


def stacked(images: Sequence[Image.Image]) -> Image.Image:
    """Sheets under one another, aligned at the left."""
    width, height = max(image.width for image in images), sum(image.height for image in images)
    joined = Image.new("RGB", (width, height), BACKGROUND)
    top = 0
    for image in images:
        joined.paste(image, (0, top))
        top += image.height
    return joined


def save_pictures(folder: str | Path, pictures: Mapping[str, Image.Image], *, prefix: str = "") -> list[Path]:
    """Writes each picture as ``<prefix><name>.png`` and gives the paths; a / of a name becomes a -.

    Args:
        folder: Where the files go.
        pictures: Name -> picture.
        prefix: What all file names begin with.
    """
    paths = [Path(folder) / f"{prefix}{name.replace('/', '-')}.png" for name in pictures]
    for path, picture in zip(paths, pictures.values(), strict=True):
        with atomic_file(path) as file:
            picture.save(file, "PNG", optimize=True)
    return paths


def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's built-in TrueType font: the same on every machine."""
    return ImageFont.load_default(size)  # type: ignore[return-value]


def text_width(text: str, face: ImageFont.FreeTypeFont) -> int:
    """Width of one line in pixels."""
    return round(face.getlength(text))


def fit_text(text: str, face: ImageFont.FreeTypeFont, width: int) -> str:
    """The text, shortened with an ellipsis until it is at most ``width`` pixels wide."""
    if text_width(text, face) <= width:
        return text
    while text and text_width(text + "…", face) > width:
        text = text[:-1]
    return text + "…"


def _picture(cell: Any) -> Image.Image:
    return cell if isinstance(cell, Image.Image) else Image.fromarray(np.asarray(cell, np.uint8))
