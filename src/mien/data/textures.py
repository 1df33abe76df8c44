"""Textures of a data set's scans: batches of images for training, decoded once while they fit in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch, Sampler, any_of, draw_rows
from mien.data.texture_files import WHOLE, Crop, read_texture, texture_file
from mien.errors import DataMissing

MEMORY_BYTES = 1 << 30


class Textures:
    """The textures of a view at one size, decoded once while they fit in memory.

    Args:
        data: A view whose rows have textures (:attr:`FaceDataset.has_textures`).
        size: Pixels of a side.
        crop: The part of each image.
        memory: Bytes that decoded images may take; beyond it every batch decodes its own.

    Example:
        >>> Textures(data, 64)[[0, 5]].shape
        (2, 3, 64, 64)
    """

    def __init__(
        self, data: FaceDataset, size: int, *, crop: Crop = WHOLE, memory: int = MEMORY_BYTES
    ) -> None:
        self.size, self.crop = size, crop
        self.paths = texture_paths(data)
        fits = len(self.paths) * 3 * size * size <= memory
        # Pages that nobody has written take no memory.
        self._known = np.empty((len(self.paths), 3, size, size), np.uint8) if fits else None
        self._read = np.zeros(len(self.paths), bool)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: NDArray | list[int]) -> NDArray[np.uint8]:
        """(n, 3, S, S) uint8 sRGB of rows (n,) of the view."""
        rows = np.asarray(rows)
        if self._known is None:
            return np.stack([self._decode(int(row)) for row in rows])
        for row in rows[~self._read[rows]]:
            self._known[row] = self._decode(int(row))
            self._read[row] = True
        return self._known[rows]

    def _decode(self, row: int) -> NDArray[np.uint8]:
        return read_texture(self.paths[row], size=self.size, crop=self.crop).transpose(2, 0, 1)


def texture_paths(data: FaceDataset) -> list[Path]:
    """The texture file of each row of a view.

    Raises:
        DataMissing: Rows without a texture, or a set that is not stored in a folder.
        BadFile: One lies where the owner did not allow it, see :func:`mien.data.texture_files.texture_file`.
    """
    missing = int((~data.has_textures).sum())
    if missing or data.folder is None or data.textures is None:
        raise DataMissing(
            "scans without a texture", received=f"{missing} of {len(data)} in {data.folder or 'memory'}",
            remedy="build the data set with textures, or take the rows that have one",
        )  # fmt: skip
    assert data.rows is not None
    return [texture_file(data.folder, data.textures[row]) for row in data.rows]


def textured(
    data: FaceDataset, size: int, pixels: int, *, crop: Crop = WHOLE, partners: bool = False,
    neutrals: bool = False,
) -> Sampler:  # fmt: skip
    """Random scans as texture images, without vertices: (B, 3, S, S) float in -1..1.

    Args:
        data: A view whose rows all have textures.
        size: B.
        pixels: S.
        crop: The part of each image.
        partners: Whether each scan comes with another one of the same expression, mostly somebody else's.
        neutrals: Whether each comes with its person's first neutral; with itself where there is none.
    """
    images, weights, subject = Textures(data, pixels, crop=crop), data.row_weights, data.row_subject
    none, label = torch.zeros(size, 0, 3), data.label
    rest = np.arange(len(subject))
    for row in np.flatnonzero(data.is_neutral)[::-1]:
        rest[subject == subject[row]] = row
    alike = {int(name): np.flatnonzero(label == name) for name in np.unique(label)}

    def batch(generator: torch.Generator) -> Batch:
        rows = draw_rows(generator, len(images), size)
        batch = Batch(
            none, torch.from_numpy(subject[rows].astype(np.int64)), torch.from_numpy(weights[rows]),
            texture=signed(torch.from_numpy(images[rows])),
        )  # fmt: skip
        if partners:
            others = np.array([any_of(alike[int(label[row])], generator) for row in rows])
            batch.partner_texture = signed(torch.from_numpy(images[others]))
            batch.partner_subject = torch.from_numpy(subject[others].astype(np.int64))
        if neutrals:
            batch.neutral_texture = signed(torch.from_numpy(images[rest[rows]]))
        return batch

    return batch


def signed(images: torch.Tensor) -> torch.Tensor:
    """Texture images, uint8 0..255, as the floats -1..1 that networks take and give."""
    return images.float() / 127.5 - 1.0
