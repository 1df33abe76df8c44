"""Textured people as files: one GLB with shape and texture, rigs, renders, figures."""

from __future__ import annotations

import base64
import csv
import gzip
import json
import struct
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from meshes import quad_topology
from PIL import Image
from test_gltf import validate

from mien import apply
from mien.apply.generation import new_people
from mien.cli import command
from mien.data.dataset import FaceDataset
from mien.data.writer import DatasetWriter
from mien.figures import draw, expression_sheet, textured_people, textured_sheet
from mien.io.gltf import png_bytes
from mien.io.mesh import write_obj
from mien.models.facecam.model import FaceCAM
from mien.models.files import save_model
from mien.viewer import Engine, Studio
from mien.viewer.share import share
from mien.viewer.wire import unpack


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> FaceDataset:
    """Four people on a sheet with a texture seam, each of one color."""
    topology, rng = quad_topology(), np.random.default_rng(0)
    with DatasetWriter(tmp_path_factory.mktemp("sheets") / "set", topology, ("smile", "anger")) as writer:
        for person in range(4):
            base = topology.template + rng.normal(size=3) + 2 * rng.normal(size=(1, 1, 3))[0]
            for k, weights in enumerate(([0, 0], [1, 0], [0, 1])):
                image = np.full((32, 32, 3), 60 + 40 * person, np.uint8)
                image[8 * k : 8 * k + 8, :, 0] += 30
                writer.append(base + [0, 0, 4 * k], np.array(weights), subject=f"p{person}", texture=image)
    return FaceDataset.load(writer.folder)


@pytest.fixture(scope="module")
def model(data: FaceDataset) -> FaceCAM:
    torch.manual_seed(0)
    options = {"hidden": (16, 8), "generator_hidden": (8, 8), "texture_size": 16, "texture_channels": 8}
    model = FaceCAM(data.topology, data.expressions, texture_noise=4, texture_centered=True, **options)
    model.prepare(data)
    model.eval()
    model.calibrate(data)
    return model


@pytest.fixture(scope="module")
def folder(model: FaceCAM, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("textured") / "model"
    save_model(model, path)
    return path


def image_in(path: Path) -> np.ndarray:
    """The texture that a GLB file holds."""
    content = path.read_bytes()
    size = struct.unpack_from("<I", content, 12)[0]
    document = json.loads(content[20 : 20 + size])
    view = document["bufferViews"][document["images"][0]["bufferView"]]
    start = 28 + size + view.get("byteOffset", 0)
    return np.asarray(Image.open(BytesIO(content[start : start + view["byteLength"]])))


def test_shape_and_texture_of_one_person_in_one_valid_glb(
    model: FaceCAM, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "people"
    arguments = ["generate", str(folder), "-n", "3", "--seed", "5", "-e", "smile=0.7", "--textured", "-o"]
    assert command([*arguments, str(out)]) == 0
    with (out / "people.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [f"person_000{k}.glb" for k in range(3)]
    weights = {"smile": 0.7}
    faces, maps = next(iter(apply.generate_textured(model, 3, seed=5, weights=weights)))
    np.testing.assert_array_equal(faces, apply.generate(model, 3, seed=5, weights=weights))
    for row, image in zip(rows, maps, strict=True):
        np.testing.assert_array_equal(image_in(out / row["file"]), image)
    assert len({image.tobytes() for image in maps}) == 3
    validate(out / "person_0000.glb")


def test_whoever_keeps_the_identity_keeps_the_texture_noise(model: FaceCAM) -> None:
    codes = new_people(model, 3, 0, None, None, ["identity"])
    assert (codes.others["texture"] == codes.others["texture"][:1]).all()
    assert (codes.others["noise"] != codes.others["noise"][:1]).any()
    named = new_people(model, 3, 0, None, None, [], "p2")
    assert (named.others["texture"] == named.others["texture"][:1]).all()
    free = new_people(model, 3, 0, None, None, [])
    assert (free.others["texture"][1:] != free.others["texture"][:1]).any()


def test_a_rig_with_the_texture_that_the_model_makes(
    model: FaceCAM, data: FaceDataset, folder: Path, tmp_path: Path
) -> None:
    write_obj(tmp_path / "anna.obj", data[0], data.topology)
    out = tmp_path / "rig.glb"
    assert (
        command(["rig", str(folder), str(tmp_path / "anna.obj"), "--texture", "model", "-o", str(out)]) == 0
    )
    np.testing.assert_array_equal(image_in(out), apply.texture(model, data[0])[0])
    validate(out)
    folds = apply.texture(model, data[0], {"anger": 1.0})
    assert folds.shape == (1, 256, 256, 3) and (folds != apply.texture(model, data[0])).any()


def test_models_without_textures_refuse_in_one_sentence(
    data: FaceDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = FaceCAM(data.topology, data.expressions, hidden=(16, 8), generator_hidden=(8, 8))
    plain.prepare(data)
    plain.calibrate(data)
    save_model(plain, tmp_path / "plain")
    assert not plain.makes_textures
    out = tmp_path / "people"
    assert command(["generate", str(tmp_path / "plain"), "-n", "2", "--textured", "-o", str(out)]) == 2
    assert "facecam cannot make textures" in capsys.readouterr().err and not out.exists()


def test_a_render_shows_the_texture_where_the_uv_says(data: FaceDataset) -> None:
    """A sheet seen from the front shows its map: left, right, top and bottom in place."""
    topology = data.topology
    image = np.zeros((64, 64, 3), np.uint8)
    image[:32, :32], image[:32, 32:] = (255, 0, 0), (0, 255, 0)
    image[32:, :32], image[32:, 32:] = (0, 0, 255), (255, 255, 0)
    shown = draw(topology.template, topology, size=120, texture=image).astype(int)
    quarters = [shown[45, 30], shown[45, 90], shown[80, 30], shown[80, 90]]
    red, green, blue, yellow = quarters
    assert red[0] > 2 * red[1:].max() and green[1] > 2 * green[[0, 2]].max() and blue[2] > 2 * blue[:2].max()
    assert min(yellow[:2]) > 2 * yellow[2]


def test_a_sheet_of_textured_data_shows_the_textures(data: FaceDataset) -> None:
    colored = expression_sheet(data, people=2, expressions=["neutral", "smile"], size=50)
    clay = expression_sheet(replace(data, textures=None), people=2, expressions=["neutral", "smile"], size=50)
    difference = np.abs(np.asarray(colored).astype(int) - np.asarray(clay))
    assert colored.size == clay.size and (difference.max(axis=2) > 30).mean() > 0.05


def test_sheets_of_textured_faces(model: FaceCAM, folder: Path, tmp_path: Path) -> None:
    faces, maps = next(iter(apply.generate_textured(model, 3, seed=0)))
    sheet = textured_sheet(faces, maps, model.topology, ("a", "b", "c"), size=60)
    smaller = textured_sheet(faces, maps, model.topology, ("a", "b", "c"), size=60, with_maps=False)
    assert sheet.height == smaller.height + 60
    out = tmp_path / "pictures"
    names = ("textures", "texture-people", "texture-intensity", "texture-walk")
    only = [part for name in names for part in ("--only", name)]
    assert command(["gallery", str(folder), *only, "-e", "smile", "-e", "anger", "-o", str(out)]) == 0
    widths = [Image.open(out / f"{name}.png").width for name in names]
    assert widths[0] > 3 * 170 and widths[1] > 8 * 170 and min(widths[2:]) > 7 * 150
    rows = textured_people(faces[None], maps[None], model.topology, ("one",), ("a", "b", "c"), size=60)
    assert rows.width >= 180
    assert Image.open(BytesIO(png_bytes(maps[0]))).size == (256, 256)


def test_the_studio_and_its_pages_wear_the_texture(model: FaceCAM, tmp_path: Path) -> None:
    studio = Studio([Engine("textured", model)])
    assert "texture" in unpack(studio.describe())[0]["can"]["heats"]
    pane = unpack(studio.act("pick", {"key": "random-1"}))[0]["panes"][0]
    assert pane["appearance"] == "*" and "heat" not in dict(pane["arrays"])
    layout = unpack(studio.appearance("*"))[0]["layout"]
    faces = model.topology.face_count
    assert layout["corners"] == 3 * faces and [part["triangles"] for part in layout["parts"]] == [faces]
    assert layout["map"] > model.topology.vertex_count, "the seam is cut"
    state = studio.history.state
    rest = studio.engines[0].face(state)
    image = np.asarray(Image.open(BytesIO(studio.texture("0").data)))
    np.testing.assert_array_equal(image, apply.texture(model, rest)[0])
    posed = unpack(studio.act("set_weight", {"name": "smile", "value": 1.0}))[0]["panes"][0]
    assert posed["picture"] == pane["picture"], "sliders do not ask for the texture again"
    other = unpack(studio.act("pick", {"key": "random-2"}))[0]["panes"][0]
    assert other["picture"] != pane["picture"]
    assert "appearance" not in unpack(studio.act("set_heat", {"kind": "none"}))[0]["panes"][0]
    page = share(tmp_path / "page.html", studio.engines[0], people=2).path.read_text()
    payload = gzip.decompress(base64.b64decode(page.split('id="payload">')[1].split("<")[0]))
    head = json.loads(payload[4 : 4 + struct.unpack_from("<I", payload)[0]])
    assert set(head["pictures"]) == {"average", "random-1"} and "texture" in head["can"]["heats"]
    shown = base64.b64decode(head["pictures"]["random-1"].split(",")[1])
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(shown))), image)
