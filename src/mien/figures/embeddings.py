"""Where generated faces lie in a model's codes: t-SNE pictures, each with the silhouettes of the codes.

A t-SNE picture illustrates; no number is taken from its coordinates. The silhouettes are computed on the
codes themselves, in their own space. Needs scikit-learn and matplotlib (extra ``analysis``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from mien.codes import Codes
from mien.errors import require
from mien.evaluation.generation.metrics import silhouette
from mien.figures.plots import axes_of, picture_of
from mien.models.base import FaceModel

PERPLEXITY = 30
LEVELS = tuple(float(level) for level in np.linspace(0, 1.5, 15))
"""Intensities of the appendix of FaceCAM (Taherkhani et al. 2023)."""


@dataclass(frozen=True)
class Embedded:
    """Codes of generated faces and what they were asked to be.

    Args:
        identity: (N, D) float. Identity embeddings.
        expression: (N, D') float. Expression embeddings.
        person: (N,) int.
        label: (N,) int. 0 neutral, 1 + k expression k.
        level: (N,) float. Intensity that was asked for.
    """

    identity: NDArray[np.float32]
    expression: NDArray[np.float32]
    person: NDArray[np.int64]
    label: NDArray[np.int64]
    level: NDArray[np.float64]


@torch.no_grad()
def embedded(model: FaceModel, people: int, levels: Sequence[float], *, neutral: bool, seed: int) -> Embedded:
    """Embeddings of sampled people under all expressions at each level.

    Args:
        model: A model that samples and expresses.
        people: How many.
        levels: Intensities.
        neutral: Also at rest.
        seed: Of the people, and of the noise of each face.
    """
    generator = torch.Generator().manual_seed(seed)
    people_drawn = model.sample(people, generator=generator)
    labels = [(0, 1.0)] * neutral + [
        (1 + k, level) for k in range(len(model.expressions)) for level in levels
    ]
    parts = list(_shown(model, people_drawn, labels, generator))
    identity, expression = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    return Embedded(
        identity, expression, np.tile(np.arange(people), len(labels)),
        np.repeat([label for label, _ in labels], people), np.repeat([level for _, level in labels], people),
    )  # fmt: skip


def _shown(
    model: FaceModel, people_drawn: Codes, labels: Sequence[tuple[int, float]], generator: torch.Generator
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Everybody's embeddings with one label after the other, noise drawn anew for each face."""
    weights = torch.cat([torch.zeros(1, len(model.expressions)), torch.eye(len(model.expressions))])
    for label, level in labels:
        shown = model.express((level * weights[label])[None].to(model.device))
        codes = people_drawn.replace(expression=shown.expand(len(people_drawn), *shown.shape[1:]))
        if "noise" in codes.others:
            noise = model.sample(len(people_drawn), generator=generator).others["noise"]
            codes = codes.replace(noise=noise)
        identity, expression = model.embeddings(codes)
        yield identity.float().cpu().numpy(), expression.float().cpu().numpy()


def mean_silhouette(codes: NDArray, labels: NDArray) -> float:
    """Mean silhouette: 1 where every label is a tight cluster of its own, about 0 where labels say nothing.

    Args:
        codes: (N, D) float.
        labels: (N,) int.
    """
    if np.ptp(codes, axis=0).max() == 0:
        return 0.0  # a constant code tells nothing apart
    return float(silhouette(codes, labels).mean())


def silhouettes(found: Embedded) -> dict[str, float]:
    """``identity_by_person`` (wanted high), ``identity_by_expression`` (near 0), and the reverse."""
    return {
        "identity_by_person": mean_silhouette(found.identity, found.person),
        "identity_by_expression": mean_silhouette(found.identity, found.label),
        "expression_by_expression": mean_silhouette(found.expression, found.label),
        "expression_by_person": mean_silhouette(found.expression, found.person),
    }


def silhouettes_by_level(found: Embedded) -> dict[float, float]:
    """Level -> silhouette of the expression embeddings of that level by expression."""
    return {
        float(level): mean_silhouette(
            found.expression[found.level == level], found.label[found.level == level]
        )
        for level in np.unique(found.level)
    }


def flattened(codes: NDArray, seed: int) -> NDArray[np.float32]:
    """(N, 2) t-SNE coordinates of codes (N, D)."""
    manifold = require("sklearn.manifold", "analysis")
    perplexity = min(PERPLEXITY, (len(codes) - 1) / 3)
    return manifold.TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(codes)


def cluster_picture(
    found: Embedded, names: Sequence[str], scores: Mapping[str, float], *, seed: int = 0
) -> Image.Image:
    """Identity and expression embeddings side by side, colored by expression (the appendix's figure 2).

    Args:
        found: Embeddings.
        names: E expression names.
        scores: Of :func:`silhouettes`; printed above.
        seed: Of t-SNE.
    """
    figure, axes = axes_of("", columns=2, width=12.6, height=6.2)
    titles = (
        f"identity codes: silhouette by person {scores['identity_by_person']:.2f}, "
        f"by expression {scores['identity_by_expression']:.2f}",
        f"expression codes: silhouette by expression {scores['expression_by_expression']:.2f}, "
        f"by person {scores['expression_by_person']:.2f}",
    )
    for panel, codes, title in zip(axes, (found.identity, found.expression), titles, strict=True):
        _cloud(panel, flattened(codes, seed), _colors(len(names))[found.label], title)
    _legend(figure, names, found)
    return picture_of(figure)


def level_picture(
    found: Embedded, names: Sequence[str], scores: Mapping[float, float], *, seed: int = 0
) -> Image.Image:
    """Expression embeddings of all intensities, and two zooms with the levels (the appendix's figure 3).

    Args:
        found: Embeddings.
        names: E expression names.
        scores: Of :func:`silhouettes_by_level`; some are printed above.
        seed: Of t-SNE.
    """
    points = flattened(found.expression, seed)
    figure, axes = axes_of("", columns=3, width=16.5, height=6.0)
    colors = _colors(len(names))[found.label]
    told = sorted({sorted(scores)[round(k * (len(scores) - 1) / 3)] for k in range(4)})
    printed = ", ".join(f"{scores[level]:.2f} at {level:.1f}" for level in told)
    title = f"levels 0 to 1.5; below 0.5 grayed. Silhouette by expression:\n{printed}"
    _cloud(axes[0], points, colors, title)
    axes[0].scatter(*points[found.level < 0.5].T, s=3, color="#4b4b4b55", linewidths=0)
    strong, weak = _densest(points, found.level > 1.0), _densest(points, found.level < 0.3)
    for panel, center, title in ((axes[1], strong, "A: strong levels"), (axes[2], weak, "B: weak levels")):
        radius = np.sort(np.abs(points - center).max(axis=1))[min(70, len(points) - 1)]
        near = np.abs(points - center).max(axis=1) <= radius
        _cloud(panel, points[near], colors[near], title, size=26)
        for point, level in zip(points[near], found.level[near], strict=True):
            panel.annotate(f"{level:.1f}", point, fontsize=6.5, xytext=(3, 2), textcoords="offset points")
        corner = center - radius
        frame = require("matplotlib.patches", "analysis").Rectangle(
            corner, 2 * radius, 2 * radius, fill=False
        )
        axes[0].add_patch(frame)
        axes[0].annotate(title[0], corner, fontsize=12, fontweight="bold", ha="right", va="top")
    _legend(figure, names, found)
    return picture_of(figure)


def _densest(points: NDArray, mask: NDArray) -> NDArray:
    """The chosen point whose tenth nearest neighbor among the chosen is nearest."""
    chosen = points[mask][:1500]
    distance = np.linalg.norm(chosen[:, None] - chosen, axis=2)
    tenth = np.partition(distance, min(10, len(chosen) - 1), axis=1)[:, min(10, len(chosen) - 1)]
    return chosen[tenth.argmin()]


def _colors(count: int) -> NDArray[np.float64]:
    """(1 + count, 4) colors: gray for neutral, then hues in two lightnesses."""
    colormaps = require("matplotlib", "analysis").colormaps
    hues = colormaps["tab20"](np.arange(max(count, 1)) % 20)
    return np.concatenate([[[0.25, 0.25, 0.25, 1.0]], hues])


def _cloud(panel: Any, points: NDArray, colors: NDArray, title: str, size: float = 5) -> None:
    panel.scatter(*points.T, s=size, c=colors, linewidths=0)
    panel.set(xticks=[], yticks=[])
    panel.set_title(title, fontsize=10, loc="left")
    panel.spines[["left", "bottom"]].set_visible(False)


def _legend(figure: Any, names: Sequence[str], found: Embedded) -> None:
    """One row of names under the panels."""
    lines = require("matplotlib.lines", "analysis")
    colors, present = _colors(len(names)), set(found.label.tolist())
    spoken = ["neutral", *(name.replace("_", " ") for name in names)]
    handles = [
        lines.Line2D([], [], marker="o", linestyle="", color=colors[k], label=spoken[k], markersize=5)
        for k in range(len(spoken))
        if k in present
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=10, frameon=False, fontsize=8)
