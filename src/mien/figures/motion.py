"""Moving faces on paper and on film: the signal beside its frames, and expressions by time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mien.apply.clips import Signal, frames_to_show
from mien.apply.files import OpenedFace
from mien.cores import at_once
from mien.figures.faces import draw, face_view
from mien.figures.plots import COLORS, axes_of, picture_of
from mien.figures.sheets import FAINT, INK, font, grid
from mien.io.video import write_video
from mien.models.base import FaceModel
from mien.progress import track
from mien.render.clay import BACKGROUND
from mien.render.stills import View
from mien.topology import Topology


def signal_panel(
    weights: NDArray, names: Sequence[str], *, fps: float, width: int = 480, height: int = 110,
    now: float | None = None,
) -> Image.Image:  # fmt: skip
    """Weights over time, as curves that carry their names.

    Args:
        weights: (T, E) float.
        names: E names; those that stay zero are left out.
        fps: Frames per second.
        width: Pixels.
        height: Pixels.
        now: Frame at which a cursor stands, or None.
    """
    values, panel = np.asarray(weights, np.float64), Image.new("RGB", (width, height), BACKGROUND)
    pen, text = ImageDraw.Draw(panel), font(max(11, height // 8))
    letter = round(text.size)
    left, right, top, bottom = 12, width - 12, letter + 8, height - letter - 10
    high = max(1.0, float(values.max(initial=0)))
    span = max(len(values) - 1, 1)

    def place(frame: float, value: float) -> tuple[float, float]:
        return left + frame / span * (right - left), bottom - value / high * (bottom - top)

    pen.line([place(0, 0), place(span, 0)], FAINT, 1)
    for second in np.arange(0, span / fps + 1e-6, _tick(span / fps)):
        x, y = place(second * fps, 0)
        pen.line([(x, y), (x, y + 4)], FAINT, 1)
        pen.text((x, y + 6), f"{second:g} s", FAINT, text, anchor="lt" if second == 0 else "mt")
    active = np.flatnonzero(np.abs(values).max(axis=0, initial=0) > 0)
    for number, index in enumerate(active):
        color = COLORS[number % len(COLORS)]
        for frame in np.flatnonzero(np.abs(values[:-1, index]) + np.abs(values[1:, index]) > 0).tolist():
            pen.line([place(k, float(values[k, index])) for k in (frame, frame + 1)], color, 3)
        peak = np.flatnonzero(values[:, index] >= values[:, index].max() - 1e-6)
        x, y = place(float(peak.mean()), float(values[:, index].max()))
        label = names[int(index)].replace("_", " ")
        half = text.getlength(label) / 2 + 4
        pen.text((min(max(x, half), width - half), y - 4), label, color, text, anchor="ms")
    if now is not None:
        pen.line([place(now, 0), (place(now, 0)[0], top - 4)], INK, 2)
    return panel


def _tick(seconds: float) -> float:
    """A round step that gives at most eight ticks."""
    return next(step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 1e9) if seconds / step <= 8)


def film(
    frames: NDArray, topology: Topology, *, weights: NDArray | None = None, names: Sequence[str] = (),
    fps: float = 30.0, size: int = 420, view: View | None = None,
) -> Iterator[Image.Image]:  # fmt: skip
    """Pictures of a clip, the signal below with a cursor.

    Args:
        frames: (T, V, 3) float, millimeters.
        topology: What the frames share.
        weights: (T, E) float, or None for faces alone.
        names: E names of the weights.
        fps: Frames per second.
        size: Pixels of the face.
        view: The camera; None for the usual one.
    """
    view = view or face_view(topology)
    draws = (partial(draw, frame, topology, size=size, view=view) for frame in frames)
    for number, drawn in enumerate(track(at_once(draws), "drawing frames", total=len(frames))):
        face = Image.fromarray(drawn)
        if weights is None:
            yield face
            continue
        panel = signal_panel(weights, names, fps=fps, width=size, height=round(size * 0.28), now=number)
        both = Image.new("RGB", (size, size + panel.height), BACKGROUND)
        both.paste(face, (0, 0))
        both.paste(panel, (0, size))
        yield both


def write_film(path: Path, model: FaceModel, face: OpenedFace, signal: Signal, size: int) -> dict[str, Any]:
    """Writes a clip as MP4 or GIF, its signal below; gives back what was written.

    Args:
        path: ``*.mp4`` or ``*.gif``.
        model: Any model that can animate.
        face: The person at rest, opened for the model.
        signal: What the person performs.
        size: Pixels of the face.
    """
    pictures = film(
        frames_to_show(model, face, signal), face.shown_topology(), weights=signal.weights,
        names=model.expressions, fps=signal.fps, size=size,
    )  # fmt: skip
    write_video(path, pictures, signal.fps)
    return signal.facts(path)


def clip_sheet(
    clips: Mapping[str, NDArray], topology: Topology, *, weights: Mapping[str, NDArray], fps: float,
    columns: int = 8, size: int = 200, title: str = "", note: str = "",
) -> Image.Image:  # fmt: skip
    """Expressions down, time across: evenly spread frames of each clip, its signal above them.

    Args:
        clips: Expression -> (T, V, 3) float, millimeters.
        topology: What the frames share.
        weights: Expression -> (T,) float, the signal of each clip.
        fps: Frames per second.
        columns: Frames a clip.
        size: Pixels of a face.
        title: Heading.
        note: Small print.
    """
    (view, edge), rows = _portrait(np.concatenate(list(clips.values())), size), []
    for name, frames in track(clips.items(), "drawing clips", total=len(clips)):
        chosen = np.linspace(0, len(frames) - 1, columns).round().astype(int)
        faces = [
            Image.fromarray(draw(frames[k], topology, size=size, view=view)[:, edge : size - edge])
            for k in chosen
        ]
        rows.append(_under_signal(faces, weights[name], chosen, fps))
    labels = [name.replace("_", " ") for name in clips]
    return grid([[row] for row in rows], row_labels=labels, title=title, note=note, gap=10)


def _portrait(frames: NDArray, size: int) -> tuple[View, int]:
    """A camera that shows all of every frame, and how many columns at either side it leaves empty."""
    view = View.around(frames, margin=1.08)
    width = float(np.ptp(frames[..., 0])) / view.span_mm
    return view, max(0, int(size * (1 - 1.08 * width) / 2))


def _under_signal(faces: Sequence[Image.Image], signal: NDArray, chosen: NDArray, fps: float) -> Image.Image:
    """One strip: the signal as a filled curve over the faces, a dot and the time at each of them."""
    size, count = faces[0].width, len(faces)
    band, text = round(size * 0.36), font(max(10, size // 10))
    strip = Image.new("RGB", (size * count, faces[0].height + band), BACKGROUND)
    pen = ImageDraw.Draw(strip)
    low, high = band - round(text.size) - 7, 5

    def place(frame: float) -> tuple[float, float]:
        x = size / 2 + (frame - chosen[0]) / max(chosen[-1] - chosen[0], 1) * size * (count - 1)
        value = float(np.interp(frame, np.arange(len(signal)), signal))
        return x, low - (low - high) * value

    curve = [place(frame) for frame in np.linspace(chosen[0], chosen[-1], 4 * size)]
    pen.polygon([(curve[0][0], low), *curve, (curve[-1][0], low)], fill=(236, 208, 192))
    pen.line(curve, COLORS[0], 2)
    for number, frame in enumerate(chosen):
        x, y = place(frame)
        pen.ellipse([x - 4, y - 4, x + 4, y + 4], COLORS[0])
        pen.text((x, band - 2), f"{frame / fps:.2f} s", FAINT, text, anchor="ms")
        strip.paste(faces[number], (number * size, band))
    return strip


def sheet_film(
    clips: Mapping[str, NDArray], topology: Topology, *, weights: Mapping[str, NDArray], fps: float,
    size: int = 200, columns: int = 3, frames: int | None = None,
) -> Iterator[Image.Image]:  # fmt: skip
    """All clips side by side, moving: each expression with its name and signal.

    Args:
        clips: Expression -> (T, V, 3) float, millimeters.
        topology: What the frames share.
        weights: Expression -> (T,) float.
        fps: Frames per second.
        size: Pixels of a face.
        columns: Clips a row.
        frames: How many pictures; shorter clips rest at their last frame. None: as long as the longest.
    """
    view, text = face_view(topology), font(max(13, size // 12))
    head = max(13, size // 12) + 8
    height, names = round(size * 0.3), list(clips)
    lines = -(-len(names) // columns)
    for number in track(range(frames or max(map(len, clips.values()))), "drawing the film"):
        page = Image.new("RGB", (columns * size, lines * (size + height + head)), BACKGROUND)
        pen = ImageDraw.Draw(page)
        for place, name in enumerate(names):
            x, y = place % columns * size, place // columns * (size + height + head)
            now = min(number, len(clips[name]) - 1)
            pen.text((x + size // 2, y + 6), name.replace("_", " "), INK, text, anchor="mt")
            face = draw(clips[name][now], topology, size=size, view=view)
            page.paste(Image.fromarray(face), (x, y + head))
            panel = signal_panel(weights[name][:, None], [""], fps=fps, width=size, height=height, now=now)
            page.paste(panel, (x, y + head + size))
        yield page


def phase_curves(
    curves: Mapping[str, NDArray], *, title: str = "", label: str = "mean vertex distance (mm)"
) -> Image.Image:  # fmt: skip
    """Errors over relative time, phase by phase (the publication's figure 5). Needs matplotlib.

    Args:
        curves: Name -> (n,) float values from onset (0) over apex (1 to 2) to the end of offset (3), at even
            distances.
        title: Printed above.
        label: Vertical axis.
    """
    figure, axes = axes_of(title)
    for number, (name, values) in enumerate(curves.items()):
        at = np.linspace(0, 3, len(values))
        axes.plot(at, values, color=COLORS[number % len(COLORS)], linewidth=2, label=name)
    axes.axvspan(1, 2, color="#ece6dd", zorder=0)
    axes.set(xlim=(0, 3), ylabel=label)
    axes.set_ylim(bottom=0)
    axes.set_xticks([0.5, 1.5, 2.5], ["onset", "apex", "offset"])
    axes.tick_params(axis="x", length=0)
    axes.legend(frameon=False, fontsize=9)
    return picture_of(figure)
