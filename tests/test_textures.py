"""Texture images in the data form: written, read lazily at a size, copied, fingerprinted, batched."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from fixtures import tiny_data
from PIL import Image

from mien.data.dataset import FaceDataset
from mien.data.inspect import check_dataset
from mien.data.sampling import faces
from mien.data.texture_files import read_texture
from mien.data.textures import Textures, textured
from mien.data.writer import DatasetWriter
from mien.errors import BadFile, DataMissing, MienError
from mien.geometry.texels import lookup, nearest_texels, texels


def picture(row: int, size: int = 16) -> np.ndarray:
    """Left half of one color, right half of another, both a function of the row."""
    image = np.zeros((size, size, 3), np.uint8)
    image[:, : size // 2] = (5 * row % 256, 100, 20)
    image[:, size // 2 :] = (200, 3 * row % 256, 90)
    return image


def with_textures(folder: Path, *, skip: int | None = None) -> FaceDataset:
    """The tiny set with a picture for every row (but one)."""
    data = tiny_data()
    with DatasetWriter(folder, data.topology, data.expressions) as writer:
        for row in range(len(data)):
            writer.append(
                data[row], data.weights[row], subject=data.subjects[data.subject[row]],
                texture=None if row == skip else picture(row),
            )  # fmt: skip
    return FaceDataset.load(writer.folder)


def test_rows_get_their_own_texture_back(tmp_path: Path) -> None:
    data = with_textures(tmp_path / "a")
    assert data.has_textures.all() and data.folder is not None
    view = data.take([7, 3, 40])
    images = Textures(view, 16)[[2, 0]]
    np.testing.assert_array_equal(images, np.stack([picture(40), picture(7)]).transpose(0, 3, 1, 2))
    # Half the size is the mean of four texels; a crop is that part, enlarged.
    small = Textures(view, 8)[[0]][0]
    np.testing.assert_array_equal(small, picture(7, 8).transpose(2, 0, 1))
    right = Textures(view, 8, crop=(0.5, 0.0, 1.0, 1.0))[[0]][0]
    assert (right == np.array([200, 21, 90])[:, None, None]).all()


def test_images_that_do_not_fit_in_memory_are_read_each_time(tmp_path: Path) -> None:
    data = with_textures(tmp_path / "a")
    kept, lean = Textures(data, 16), Textures(data, 16, memory=0)
    np.testing.assert_array_equal(kept[[5, 5, 1]], lean[[5, 5, 1]])
    path = tmp_path / "a" / str(data.textures[5])
    Image.fromarray(picture(30)).save(path)
    assert (kept[[5]] == picture(5).transpose(2, 0, 1)).all()
    assert (lean[[5]] == picture(30).transpose(2, 0, 1)).all()


def test_a_saved_view_has_its_own_copies(tmp_path: Path) -> None:
    data = with_textures(tmp_path / "a", skip=9)
    copy = data.take([9, 12]).save(tmp_path / "b")
    assert copy.has_textures.tolist() == [False, True] and copy.textures is not None
    np.testing.assert_array_equal(read_texture(tmp_path / "b" / copy.textures[1]), picture(12))
    with pytest.raises(DataMissing, match="1 of 48"):
        Textures(data, 16)
    assert len(Textures(data.take(data.has_textures), 16)) == 47


def test_textures_are_part_of_the_fingerprint_and_absent_ones_are_not(tmp_path: Path) -> None:
    data = with_textures(tmp_path / "a")
    plain = replace(data, textures=None)
    assert plain.fingerprint == tiny_data().save(tmp_path / "plain").fingerprint
    assert data.fingerprint != plain.fingerprint
    assert FaceDataset.load(tmp_path / "a").fingerprint == data.fingerprint
    name = tmp_path / "a" / str(data.textures[0])
    Image.fromarray(picture(1)).save(name)
    assert FaceDataset.load(tmp_path / "a").fingerprint != data.fingerprint
    name.unlink()
    with pytest.raises(DataMissing, match="texture is missing"):
        _ = FaceDataset.load(tmp_path / "a").fingerprint


def test_batches_hold_images_and_labels_of_the_same_rows(tmp_path: Path) -> None:
    data = with_textures(tmp_path / "a").take(np.arange(3, 40))
    generator = torch.Generator().manual_seed(3)
    batch = textured(data, 6, 16)(generator)
    rows = torch.randperm(len(data), generator=generator.manual_seed(3))[:6].numpy()
    assert batch.texture is not None and batch.texture.shape == (6, 3, 16, 16)
    shown = ((batch.texture + 1) * 127.5).round().numpy().astype(np.uint8)
    np.testing.assert_array_equal(shown, np.stack([picture(r + 3) for r in rows]).transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(batch.weights.numpy(), data.row_weights[rows])
    np.testing.assert_array_equal(batch.subject.numpy(), data.row_subject[rows])
    alike = textured(data, 6, 16, neutrals=True)(generator.manual_seed(3)).neutral_texture
    rest = [np.flatnonzero(data.is_neutral & (data.row_subject == data.row_subject[r])) for r in rows]
    own = [int(found[0]) if len(found) else int(r) for found, r in zip(rest, rows, strict=True)]
    assert alike is not None and any(len(found) == 0 for found in rest) + (own != rows.tolist()) > 0
    shown = ((alike + 1) * 127.5).round().numpy().astype(np.uint8)
    np.testing.assert_array_equal(shown, np.stack([picture(r + 3) for r in own]).transpose(0, 3, 1, 2))
    assert batch.map(lambda x: x[1::2]).texture.shape == (3, 3, 16, 16)  # type: ignore[union-attr]
    assert faces(data, 2)(generator).texture is None


def test_damaged_and_missing_images_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 50)
    with pytest.raises(BadFile, match=r"bad\.png"):
        read_texture(tmp_path / "bad.png")
    with pytest.raises(DataMissing, match=r"none\.png"):
        read_texture(tmp_path / "none.png")
    data = tiny_data()
    with pytest.raises(MienError, match="texture is missing"), DatasetWriter(
        tmp_path / "set", data.topology, data.expressions
    ) as writer:  # fmt: skip
        writer.append(data[0], data.weights[0], subject="a", texture=tmp_path / "none.png")
    assert not (tmp_path / "set").exists()


def test_texels_of_a_map_and_lookup_are_inverse() -> None:
    """A picture painted with its own texture coordinates gives them back at any place of the map."""
    uv = np.array([[0.1, 0.2], [0.9, 0.3], [0.3, 0.95], [0.95, 0.9]])
    faces_ = np.array([[0, 1, 2], [1, 3, 2]])
    covered, triangle, weights = texels(uv, faces_, 64)
    np.testing.assert_allclose(weights.sum(1), 1)
    at = np.einsum("pk,pkc->pc", weights, uv[faces_[triangle]])
    centers = np.stack([(covered % 64 + 0.5) / 64, 1 - (covered // 64 + 0.5) / 64], 1)
    np.testing.assert_allclose(at, centers, atol=1e-9)
    sides = uv[faces_][:, 1:] - uv[faces_][:, :1]
    area = np.abs(np.linalg.det(sides)).sum() / 2
    assert len(covered) / 64**2 == pytest.approx(area, rel=0.02)
    picture = np.zeros((64 * 64, 3))
    picture[covered] = np.column_stack([at, np.ones(len(at))])
    filled = picture[nearest_texels(covered, 64)].reshape(64, 64, 3)
    assert filled[..., 2].min() == 1
    inside = np.array([[0.4, 0.5], [0.7, 0.8], [0.5, 0.3]])
    np.testing.assert_allclose(lookup(filled, inside)[:, :2], inside, atol=1e-6)


def test_every_texel_has_the_last_triangle_that_it_lies_in() -> None:
    """Of triangles large and small that overlap, with or without an area, as one after the other is laid."""
    rng = np.random.default_rng(0)
    uv = np.concatenate([rng.random((60, 2)), rng.random((60, 2)) * 0.05 + 0.4, [[0.3, 0.3]] * 3])
    faces_ = np.concatenate([rng.integers(0, 120, (40, 3)), np.arange(120).reshape(-1, 3), [[120, 121, 122]]])
    wanted = np.full(32 * 32, -1)
    row, column = np.divmod(np.arange(32 * 32), 32)
    places = np.stack([(column + 0.5) / 32, 1 - (row + 0.5) / 32], axis=1)
    for number, corners in enumerate(uv[faces_]):
        sides = np.stack([corners[1] - corners[0], corners[2] - corners[0]], axis=1)
        if abs(np.linalg.det(sides)) > 1e-9:
            shares = np.linalg.solve(sides, (places - corners[0]).T)
            wanted[(shares >= 0).all(axis=0) & (shares.sum(axis=0) <= 1)] = number
    covered, triangle, _ = texels(uv, faces_, 32)
    found = np.full(32 * 32, -1)
    found[covered] = triangle
    assert np.array_equal(found, wanted) and len(set(found)) > 20


def test_a_folders_texture_column(tmp_path: Path) -> None:
    """Images named in the table come along, as they are or at a size; a missing one is named."""
    from mien.data.sources.folder import prepare_folder
    from mien.io.mesh import write_obj

    data = tiny_data()
    rows = ["file,subject,expression,texture"]
    (tmp_path / "raw").mkdir()
    for row in range(12):
        write_obj(tmp_path / "raw" / f"{row}.obj", data[row], data.topology)
        if row:
            Image.fromarray(picture(row)).save(tmp_path / "raw" / f"{row}.png")
        rows.append(f"{row}.obj,{data.subjects[data.subject[row]]},{'smile' if row % 6 else ''},"
                    + (f"{row}.png" if row else ""))  # fmt: skip
    (tmp_path / "raw" / "labels.csv").write_text("\n".join(rows))
    kept = prepare_folder(tmp_path / "raw", tmp_path / "kept", units="millimeters")
    assert kept.has_textures.tolist() == [False] + [True] * 11
    np.testing.assert_array_equal(Textures(kept.take([5]), 16)[[0]][0], picture(5).transpose(2, 0, 1))
    small = prepare_folder(tmp_path / "raw", tmp_path / "small", units="millimeters", textures=8)
    assert read_texture(tmp_path / "small" / str(small.textures[3])).shape == (8, 8, 3)
    (tmp_path / "raw" / "4.png").unlink()
    with pytest.raises(DataMissing, match="names a texture"):
        prepare_folder(tmp_path / "raw", tmp_path / "again", units="millimeters")
    assert not (tmp_path / "again").exists()


def test_references_outside_the_folder_stay_references(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set may name its owner's images; copies of the set name the same files. They are read if told so."""
    data = tiny_data()
    (tmp_path / "owner").mkdir()
    Image.fromarray(picture(3, 64)).save(tmp_path / "owner" / "a.jpg", quality=100)
    with DatasetWriter(tmp_path / "set", data.topology, data.expressions) as writer:
        writer.append(data[0], data.weights[0], subject="a", texture="../owner/a.jpg")
    copy = FaceDataset.load(writer.folder).save(tmp_path / "deeper" / "copy")
    assert (
        copy.textures == ("../../owner/a.jpg",) and not (tmp_path / "deeper" / "copy" / "textures").exists()
    )
    words = rf"'../../owner/a.jpg' in .*copy; if .* set MIEN_TEXTURES={tmp_path / 'owner'}"
    with pytest.raises(BadFile, match=f"a texture lies outside of its data set; received {words}"):
        Textures(copy, 8)
    assert "outside of its data set" in check_dataset(tmp_path / "deeper" / "copy").wrong[0]
    monkeypatch.setenv("MIEN_TEXTURES", os.pathsep.join([str(tmp_path / "none"), str(tmp_path / "owner")]))
    assert not check_dataset(tmp_path / "deeper" / "copy").wrong
    image = Textures(copy, 8)[[0]][0].astype(int)
    assert np.abs(image - picture(3, 8).transpose(2, 0, 1)).max() < 12


@pytest.mark.parametrize(
    "name", ["{secret}", "textures/../../secret/a.png", "link.png", "linked/a.png", "loop.png"]
)
def test_a_strangers_set_reads_no_picture_of_its_user(tmp_path: Path, name: str) -> None:
    """Whole paths, ways up, links to files and folders: none is opened, not even to identify the set."""
    data = tiny_data()
    (tmp_path / "secret").mkdir()
    Image.fromarray(picture(3, 8)).save(tmp_path / "secret" / "a.png")
    with DatasetWriter(tmp_path / "set", data.topology, data.expressions) as writer:
        writer.append(
            data[0], data.weights[0], subject="a", texture=name.format(secret=tmp_path / "secret" / "a.png")
        )
    (tmp_path / "set" / "link.png").symlink_to(tmp_path / "secret" / "a.png")
    (tmp_path / "set" / "textures").mkdir()
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "secret")
    (tmp_path / "set" / "loop.png").symlink_to("loop.png")
    found = FaceDataset.load(tmp_path / "set")
    with pytest.raises((BadFile, DataMissing), match="outside of its data set|a texture is missing"):
        Textures(found, 8)
    if name != "loop.png":
        with patch.object(Path, "read_bytes", side_effect=AssertionError("opened")):
            found.fingerprint  # noqa: B018
    assert check_dataset(tmp_path / "set").wrong + check_dataset(tmp_path / "set").missing
