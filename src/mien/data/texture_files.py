"""Texture image files: read at the size that is needed, and what identifies those of a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, DataMissing

#: Left, top, right and bottom of a part of an image, as shares of its width and height.
Crop = tuple[float, float, float, float]
WHOLE: Crop = (0.0, 0.0, 1.0, 1.0)


def read_texture(path: Path | str, *, size: int | None = None, crop: Crop = WHOLE) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 sRGB of an image file; with ``size`` a square of that many pixels.

    Args:
        path: PNG, JPEG or what else Pillow reads.
        size: Pixels of a side; None for the pixels of the file.
        crop: The part to read.

    Raises:
        DataMissing: There is no such file.
        BadFile: It is no image, or damaged.
    """
    from PIL import Image

    if not Path(path).is_file():
        raise DataMissing("a texture is missing", received=str(path), remedy="restore the file")
    try:
        with Image.open(path) as file:
            if size is not None:  # a JPEG much too large is decoded at half, a quarter or an eighth
                least = round(size / min(crop[2] - crop[0], crop[3] - crop[1]))
                file.draft("RGB", (2 * least, 2 * least))
            picture = file.convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise BadFile("a texture is no readable image", received=str(path), remedy=str(error)) from error
    box = tuple(share * picture.size[k % 2] for k, share in enumerate(crop))
    if size is None:
        return np.asarray(picture.crop(tuple(round(edge) for edge in box)))  # type: ignore[arg-type]
    shrinks = min(box[2] - box[0], box[3] - box[1]) >= size
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    return np.asarray(picture.resize((size, size), method, box=box))


def digest_textures(folder: Path, names: Sequence[str]) -> bytes:
    """sha256 of the texture files of a whole data set, in order.

    Files that the set only refers to count by name and size: an owner's originals may be a hundred gigabytes.

    Args:
        folder: Of the data set.
        names: (N,) paths relative to the folder, empty for scans without a texture.
    """
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode())
        if name:
            path = folder / name
            if not path.is_file():
                raise DataMissing("a texture is missing", received=str(path), remedy="restore the file")
            refers = name.startswith("..")
            digest.update(str(path.stat().st_size).encode() if refers else path.read_bytes())
    return digest.digest()
