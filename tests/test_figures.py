"""Pictures: framing, shading that means something, color scales, and sheets that hold what they should."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from fixtures import EXPRESSIONS, planted, tiny_topology
from PIL import Image

from mien import figures
from mien.errors import BadMesh, MissingPackage, UnknownName
from mien.models import model_class
from mien.render.clay import BACKGROUND, HOLLOW
from mien.render.stills import rotation


def dome(size: int = 41) -> tuple[np.ndarray, np.ndarray]:
    """A bulging square of 100 mm that looks along +Z."""
    x, y = np.meshgrid(np.linspace(-50, 50, size), np.linspace(-50, 50, size))
    vertices = np.stack([x.ravel(), y.ravel(), (40 - (x**2 + y**2) / 100).ravel()], axis=1)
    corner = (np.arange(size - 1)[:, None] * size + np.arange(size - 1)).ravel()
    faces = np.concatenate(
        [
            np.stack([corner, corner + 1, corner + size + 1], 1),
            np.stack([corner, corner + size + 1, corner + size], 1),
        ]
    )
    return vertices, faces


def background(picture: np.ndarray) -> np.ndarray:
    return (np.abs(picture.astype(int) - BACKGROUND) <= 1).all(axis=-1)


def test_the_mesh_fills_the_picture_and_the_rest_is_background() -> None:
    picture = figures.render(*dome(), size=80)
    assert picture.shape == (80, 80, 3)
    assert picture.dtype == np.uint8
    assert background(picture)[0].all()
    assert not background(picture)[8:-8, 8:-8].any()


def test_span_and_view_fix_the_scale() -> None:
    vertices, faces = dome()
    half = figures.render(vertices, faces, size=80, span_mm=200)
    inside = ~background(half)
    assert np.flatnonzero(inside.any(axis=1))[[0, -1]] == pytest.approx([20, 59], abs=2)
    view = figures.View.around(vertices, margin=2.0)
    moved = figures.render(vertices + [25, 0, 0], faces, size=80, view=view)
    assert np.flatnonzero(~background(moved).all(axis=0))[0] == pytest.approx(30, abs=2)


def test_light_comes_from_the_upper_left_and_yaw_turns_to_the_right() -> None:
    vertices, faces = dome()
    picture = figures.render(vertices, faces, size=80).mean(axis=-1)
    assert picture[25, 25] > picture[55, 55] + 10
    nose = vertices[np.argmax(vertices[:, 2])]
    view = figures.View.around(vertices, yaw=30)
    turned = (nose - view.center) @ rotation(30, 0).T
    assert turned[0] > 5


def test_backs_are_dark_and_holes_are_hollow() -> None:
    vertices, faces = dome()
    front = figures.render(vertices, faces, size=60)[30, 30].mean()
    back = figures.render(vertices * [-1, 1, -1], faces, size=60)[30, 30].mean()
    assert back < 0.7 * front
    center = vertices[faces].mean(axis=1)
    opened = faces[np.hypot(center[:, 0], center[:, 1]) > 12]
    assert np.abs(figures.render(vertices, opened, size=60)[30, 30].astype(int) - HOLLOW).max() <= 1


def test_vertex_colors_show() -> None:
    vertices, faces = dome()
    colors = np.zeros((len(vertices), 3), np.uint8)
    colors[vertices[:, 0] > 0] = (230, 40, 40)
    colors[vertices[:, 0] <= 0] = (40, 40, 230)
    picture = figures.render(vertices, faces, size=60, colors=colors)
    assert picture[30, 45, 0] > picture[30, 45, 2] + 60
    assert picture[30, 15, 2] > picture[30, 15, 0] + 60


def test_the_same_mesh_gives_the_same_pixels() -> None:
    np.testing.assert_array_equal(figures.render(*dome(), size=50), figures.render(*dome(), size=50))


def test_bad_meshes_and_missing_packages_are_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    vertices, faces = dome(5)
    with pytest.raises(BadMesh):
        figures.render(vertices * np.nan, faces)
    monkeypatch.setitem(sys.modules, "embreex.rtcore_scene", None)
    with pytest.raises(MissingPackage, match=r"mien\[render\]"):
        figures.render(vertices, faces)


def test_the_color_scale_darkens_steadily_and_saturates() -> None:
    light = figures.color_table().astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light) <= 0.6).all()
    assert light[0] > 220
    assert light[-1] < 30
    colors = figures.heat(np.array([0.0, 1.0, 5.0, np.nan]), maximum=1.0)
    np.testing.assert_array_equal(colors[1], colors[2])
    np.testing.assert_array_equal(colors[3], 0)


@pytest.mark.parametrize(
    ("largest", "expected"), [(0.83, 0.8), (1.0, 1.0), (4.7, 5.0), (13.0, 15.0), (0.031, 0.03)]
)
def test_nice_maximum(largest: float, expected: float) -> None:
    assert figures.nice_maximum(np.full(100, largest)) == pytest.approx(expected)


def test_grid_places_pictures_and_leaves_gaps() -> None:
    red, blue = np.zeros((2, 30, 40, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    sheet = figures.grid([[red, None], [None, blue]], ["one", "two"], ["a", "b"], "Title", note="note")
    pixels = np.asarray(sheet)
    assert (pixels == [255, 0, 0]).all(axis=-1).sum() == (pixels == [0, 0, 255]).all(axis=-1).sum() == 1200
    assert figures.strip([red, blue]).width < sheet.width


def test_long_labels_are_shortened() -> None:
    picture = np.zeros((40, 40, 3), np.uint8)
    wide = figures.grid([[picture]], column_labels=["a label that is far too long for its column"])
    assert wide.width == figures.grid([[picture]], column_labels=["a"]).width


def test_bars_curves_and_lines_are_pictures() -> None:
    values = np.random.default_rng(0).gamma(2, 1, 500)
    pictures = [
        figures.cumulative_error({"one": values, "two": 2 * values}, title="t"),
        figures.bars({"one": [1, np.nan]}, ["smile", "jaw_open"], intervals={"one": [(0.5, 1.5), (1, 2)]}),
        figures.lines({"loss": ([1, 2, 3], [3, 2, 1])}, logarithmic=True),
        figures.color_bar(2.0),
    ]
    for picture in pictures:
        assert isinstance(picture, Image.Image)
        assert np.asarray(picture).std() > 5


def test_expression_sheet_shows_who_may_be_shown() -> None:
    data = planted().data
    sheet = figures.expression_sheet(data, people=2, expressions=["neutral", "smile"], size=40)
    assert sheet.width < 300
    with pytest.raises(UnknownName, match="smile"):
        figures.expression_sheet(data, expressions=["smlie"])


def test_error_maps_and_disentanglement_figure() -> None:
    data, topology = planted().data, tiny_topology()
    train = data.split("train")
    model = model_class("morphable")(topology, EXPRESSIONS, identity_size=4, expression_size=5)
    model.prepare(train)
    model.calibrate(train)
    rows = figures.best_average_worst(np.array([3.0, np.nan, 1.0, 2.1]))
    assert rows == {"best": 2, "average": 3, "worst": 0}
    splits = figures.splits_of(model, data.split("test"), rows)
    assert splits[0].label.startswith("best, ")
    figure = figures.disentanglement_figure(splits, topology, title="t", size=40)
    maps = figures.error_maps(data[:2], {"shifted": data[:2] + 1.0}, topology, ["a", "b"], size=40)
    assert figure.width > 3 * 3 * 40
    assert maps.height > 80
