"""Sheets of faces: people by expressions, error maps, and the split of a face into who and what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures

from mien.cores import at_once
from mien.data.dataset import FaceDataset
from mien.data.sources.procedural.region_colors import COLORS, region_colors
from mien.data.texture_files import read_texture
from mien.data.textures import texture_paths
from mien.errors import BadMesh, BadSetting, UnknownName
from mien.figures.heat import heat, nice_maximum, with_bar
from mien.figures.sheets import grid
from mien.progress import track
from mien.render.clay import CLAY
from mien.render.stills import Image, View, render
from mien.topology import Topology

if TYPE_CHECKING:
    from mien.models.base import FaceModel

CHIN = "ibug_8"


def face_sheet(
    meshes: Sequence[Sequence[NDArray | None]], topology: Topology, row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (), title: str = "", *, note: str = "", size: int = 220, yaw: float = 0.0,
    view: View | None = None, maps: Sequence[Sequence[NDArray | None]] | None = None,
) -> Pictures.Image:  # fmt: skip
    """Rows of faces, all seen by one camera.

    Args:
        meshes: Rows of (V, 3) float, millimeters; None leaves a cell empty.
        topology: What the faces share.
        row_labels: One a row.
        column_labels: One a column.
        title: Heading.
        note: Small print at the foot.
        size: Pixels of a face.
        yaw: Degrees that all faces turn to their left.
        view: The camera; None frames the template with room for open jaws.
        maps: A texture (H, W, 3) uint8 for each face that is shown with one.
    """
    view = view or face_view(topology, yaw=yaw)
    cells = [(r, c) for r, row in enumerate(meshes) for c, mesh in enumerate(row) if mesh is not None]
    pictures: list[list[NDArray | None]] = [[None] * len(row) for row in meshes]
    draws = (
        partial(
            draw, np.asarray(meshes[r][c]), topology, size=size, view=view,
            texture=None if maps is None else maps[r][c],
        )
        for r, c in cells
    )  # fmt: skip
    drawn = track(at_once(draws), "drawing faces", total=len(cells))
    for (row, column), picture in zip(cells, drawn, strict=True):
        pictures[row][column] = picture
    return grid(pictures, row_labels, column_labels, title, note=note)


def draw(
    vertices: NDArray, topology: Topology, *, size: int = 512, view: View | None = None,
    errors: NDArray | None = None, maximum: float = 1.0, texture: NDArray | None = None,
) -> Image:  # fmt: skip
    """One face: clay, with eyes, lips and teeth in their colors where the topology names them, or errors.

    Args:
        vertices: (V, 3) float, millimeters.
        topology: What the vertices belong to.
        size: Pixels.
        view: The camera; None for the one of :func:`face_view`.
        errors: (V,) float, millimeters, shown as heat; None for the face itself.
        maximum: Millimeters of the last color.
        texture: (H, W, 3) uint8 sRGB in the topology's texture coordinates, in place of clay.

    Returns:
        (size, size, 3) uint8 sRGB.
    """
    view = view or face_view(topology)
    if texture is not None:
        if topology.uv is None or topology.uv_faces is None:
            raise BadMesh("a texture needs texture coordinates", received=f"topology {topology.name!r}")
        corners = topology.uv[topology.uv_faces]
        return render(vertices, topology.faces, size=size, view=view, texture=texture, uv=corners, gloss=0.7)
    if errors is not None:
        colors = heat(errors, maximum)
        return render(vertices, topology.faces, size=size, view=view, colors=colors, gloss=0.35)
    return render(vertices, topology.faces, size=size, view=view, colors=face_colors(topology))


def draw_row(data: FaceDataset, row: int, *, size: int = 512, view: View | None = None) -> Image:
    """A face of a data set, with its texture if it has one.

    Args:
        data: A data set.
        row: Number of the face.
        size: Pixels.
        view: The camera; None for the one of :func:`face_view`.

    Returns:
        (size, size, 3) uint8 sRGB.
    """
    return draw(data[row], data.topology, size=size, view=view, texture=_texture(data, row))


def face_colors(topology: Topology) -> NDArray[np.uint8] | None:
    """(V, 3) sRGB: clay with eyes, lips and teeth in their colors; None where the topology names none."""
    if not any(region in topology.regions for region in COLORS):
        return None
    return region_colors(topology, CLAY)


def face_view(topology: Topology, *, yaw: float = 0.0, pitch: float = 0.0) -> View:
    """A camera for all faces of a topology: the template, with room for open jaws and other people."""
    if _has_neck(topology):  # what is below the chin is room enough
        return View.around(topology.template, yaw=yaw, pitch=pitch, margin=1.08)
    view = View.around(topology.template, yaw=yaw, pitch=pitch, margin=1.25)
    x, y, z = view.center
    return replace(view, center=(x, y - 0.035 * view.span_mm, z))  # jaws drop, foreheads do not rise


def _has_neck(topology: Topology) -> bool:
    """Whether a template goes on well below the landmark of its chin."""
    if CHIN not in topology.landmarks.names:
        return False
    height = topology.template[:, 1]
    chin = topology.landmarks.positions(topology.template)[topology.landmarks.names.index(CHIN), 1]
    return bool(chin - height.min() > 0.1 * np.ptp(height))


def expression_sheet(
    data: FaceDataset, *, people: int = 8, expressions: Sequence[str] | None = None, title: str = "",
    note: str = "", size: int = 200,
) -> Pictures.Image:  # fmt: skip
    """People of a data set down, their neutral and expressions across, with their textures if they have some.

    Args:
        data: A data set with labels; only people who may be published are shown.
        people: How many.
        expressions: Which; None for the first eight columns that fit, the neutral first.
        title: Heading.
        note: Small print.
        size: Pixels of a face.
    """
    names = ["neutral", *data.expressions]
    wanted = list(expressions) if expressions is not None else names[:8]
    for name in wanted:
        if name not in names:
            raise UnknownName("expression", name, names)
    publishable = np.flatnonzero(np.asarray(data.publishable))
    subjects = np.intersect1d(np.unique(data.row_subject), publishable)[:people]
    if not len(subjects):
        raise BadSetting("nobody in this view may be shown", received=f"{len(data)} scans")
    label = np.where(data.row_labeled("expression"), data.label, -2)
    meshes: list[list[NDArray | None]] = []
    maps: list[list[NDArray | None]] = []
    for subject in subjects:
        rows = [
            _strongest(data, (data.row_subject == subject) & (label == names.index(n) - 1)) for n in wanted
        ]
        meshes.append([None if row is None else data[row] for row in rows])
        maps.append([None if row is None else _texture(data, row) for row in rows])
    labels = [data.subjects[subject] for subject in subjects]
    return face_sheet(
        meshes, data.topology, labels, [_spoken(n) for n in wanted], title, note=note, size=size, maps=maps
    )


def _texture(data: FaceDataset, row: int) -> NDArray | None:
    """The texture of a row of a view, if it has one that its topology can show."""
    if data.topology.uv is None or not data.has_textures[row]:
        return None
    return read_texture(texture_paths(data.take([row]))[0])


def _strongest(data: FaceDataset, mask: NDArray) -> int | None:
    """Of the rows in a mask, the one with the largest weights (for clips: the apex)."""
    rows = np.flatnonzero(mask)
    return int(rows[data.row_weights[rows].sum(axis=1).argmax()]) if len(rows) else None


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def error_maps(
    truth: NDArray, predicted: Mapping[str, NDArray], topology: Topology, labels: Sequence[str] = (), *,
    title: str = "", maximum: float | None = None, size: int = 240,
) -> Pictures.Image:  # fmt: skip
    """Truth, and for each model its prediction and its error in color, on one scale with a bar.

    Args:
        truth: (N, V, 3) float, millimeters: one row each.
        predicted: Model -> (N, V, 3) float, millimeters.
        topology: What the faces share.
        labels: One a row.
        title: Heading.
        maximum: Millimeters of the last color; None for a round number near the 98th percentile.
        size: Pixels of a face.
    """
    errors = {name: np.linalg.norm(mesh - truth, axis=-1) for name, mesh in predicted.items()}
    maximum = maximum or nice_maximum(np.stack(list(errors.values())))
    view, columns, rows = face_view(topology), ["truth"], []
    for name in predicted:
        columns += [name, "error"]
    face = partial(draw, topology=topology, size=size, view=view)
    for row in track(range(len(truth)), "drawing faces"):
        cells = [partial(face, truth[row])]
        for name, meshes in predicted.items():
            cells.append(partial(face, meshes[row]))
            cells.append(partial(face, truth[row], errors=errors[name][row], maximum=maximum))
        rows.append(list(at_once(cells)))
    return with_bar(grid(rows, labels, columns, title), maximum)


@dataclass(frozen=True)
class Split:
    """A face, its neutral, and a model's version of both.

    Args:
        label: Shown above, e.g. ``worst, 2.31 mm``.
        truth: (V, 3) float, millimeters.
        neutral: (V, 3) the same person's true neutral.
        predicted: (V, 3) reconstruction.
        predicted_neutral: (V, 3) predicted neutral.
    """

    label: str
    truth: NDArray
    neutral: NDArray
    predicted: NDArray
    predicted_neutral: NDArray


def splits_of(model: FaceModel, data: FaceDataset, rows: Mapping[str, int]) -> list[Split]:
    """Splits of some rows of a view, labeled with name and reconstruction error.

    Args:
        model: Any model; one without an encoder is inverted.
        data: The view that the rows belong to.
        rows: Name -> row, e.g. of :func:`best_average_worst`.
    """
    import torch

    from mien.apply import codes_of

    index = np.array(list(rows.values()))
    truth, neutral = data[index], data.neutral_of(index)
    codes = codes_of(model, truth, neutral if model.anchored else None)
    with torch.no_grad():
        predicted, rest = model.decode(codes).cpu().numpy(), model.neutral_face(codes).cpu().numpy()
    error = np.linalg.norm(predicted - truth, axis=-1).mean(axis=-1)
    labels = [f"{name}, {value:.2f} mm" for name, value in zip(rows, error)]
    return [Split(*parts) for parts in zip(labels, truth, neutral, predicted, rest)]


def best_average_worst(errors: NDArray) -> dict[str, int]:
    """Rows with the smallest error, the error nearest to the mean, and the largest.

    Args:
        errors: (n,) float, millimeters; nan is left out.
    """
    errors = np.asarray(errors, float)
    return {
        "best": int(np.nanargmin(errors)),
        "average": int(np.nanargmin(np.abs(errors - np.nanmean(errors)))),
        "worst": int(np.nanargmax(errors)),
    }


def disentanglement_figure(
    splits: Sequence[Split],
    topology: Topology,
    *,
    title: str = "",
    maximum: float | None = None,
    size: int = 200,
) -> Pictures.Image:
    """Ground truth, prediction and error of full face, neutral and expression, as in the paper's figure.

    The expression is shown as its offset on the template.

    Args:
        splits: Best, average and worst face, say; set side by side.
        topology: What the faces share.
        title: Heading.
        maximum: Millimeters of the last color; None for a round number.
        size: Pixels of a face.
    """
    pairs = [_pairs(split, topology.template) for split in splits]
    errors = [[np.linalg.norm(b - a, axis=-1) for a, b in pair] for pair in pairs]
    maximum = maximum or nice_maximum(np.array(errors))
    face = partial(draw, topology=topology, size=size, view=face_view(topology))
    blocks = []
    for number, pair in enumerate(track(pairs, "drawing faces")):
        cells = [partial(face, parts[k]) for k in (0, 1) for parts in pair]
        cells += [partial(face, a, errors=e, maximum=maximum) for (a, _), e in zip(pair, errors[number])]
        drawn = list(at_once(cells))
        rows = [drawn[k : k + len(pair)] for k in range(0, len(drawn), len(pair))]
        side = ("truth", "prediction", "error") if number == 0 else ()
        blocks.append(grid(rows, side, ("full face", "neutral", "expression"), splits[number].label))
    return with_bar(side_by_side(blocks, title), maximum)


def _pairs(split: Split, template: NDArray) -> list[tuple[NDArray, NDArray]]:
    """(truth, prediction) of full face, neutral and expression offset on the template."""
    true, found = split.truth - split.neutral, split.predicted - split.predicted_neutral
    return [
        (split.truth, split.predicted),
        (split.neutral, split.predicted_neutral),
        (template + true, template + found),
    ]


def side_by_side(images: Sequence[Pictures.Image], title: str = "") -> Pictures.Image:
    """Sheets side by side, aligned at the top, under one heading."""
    width, height = sum(image.width for image in images), max(image.height for image in images)
    joined = Pictures.new("RGB", (width, height), images[0].getpixel((0, 0)))
    left = 0
    for image in images:
        joined.paste(image, (left, 0))
        left += image.width
    return grid([[joined]], title=title) if title else joined
