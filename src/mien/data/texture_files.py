"""Texture image files: read at the size that is needed, and what identifies those of a data set."""

from __future__ import annotations

import hashlib
import os
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, DataMissing
from mien.limits import MOST_PIXELS

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "TGA", "PPM", "GIF")
"""What textures come in; some other formats of Pillow start programs."""
# What the readers of these formats raise of damaged files, whatever is wrong with them.
DAMAGE = (
    OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, EOFError,
    NotImplementedError, struct.error, zlib.error,
)  # fmt: skip

OWNERS_FOLDERS = "MIEN_TEXTURES"
"""The variable of the environment that names folders, separated as in ``PATH``, in which the textures of data
sets may lie: a set refers to originals there, and to nothing else outside of its own folder."""

#: Left, top, right and bottom of a part of an image, as shares of its width and height.
Crop = tuple[float, float, float, float]
WHOLE: Crop = (0.0, 0.0, 1.0, 1.0)


def read_texture(path: Path | str, *, size: int | None = None, crop: Crop = WHOLE) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 sRGB of an image file; with ``size`` a square of that many pixels.

    Args:
        path: An image of one of :data:`FORMATS`.
        size: Pixels of a side; None for the pixels of the file.
        crop: The part to read.

    Raises:
        DataMissing: There is no such file.
        BadFile: It is no such image, damaged, or larger than :data:`mien.limits.MOST_PIXELS`.
    """
    from PIL import Image

    if not is_there(Path(path)):
        raise DataMissing("a texture is missing", received=str(path), remedy="restore the file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit is ours
            file = Image.open(path, formats=FORMATS)
        with file:
            if file.width * file.height > MOST_PIXELS:
                raise ValueError(f"it has more than {MOST_PIXELS // 10**6} million pixels: make it smaller")
            if size is not None:  # a JPEG much too large is decoded at half, a quarter or an eighth
                least = round(size / min(crop[2] - crop[0], crop[3] - crop[1]))
                file.draft("RGB", (2 * least, 2 * least))
            picture = file.convert("RGB")
    except DAMAGE as error:
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadFile("a texture is no readable image", received=f"{path}: {why}") from error
    except Image.DecompressionBombError as error:
        raise BadFile("a texture is no readable image", received=f"{path}: too many pixels") from error
    box = tuple(share * picture.size[k % 2] for k, share in enumerate(crop))
    if size is None:
        return np.asarray(picture.crop(tuple(round(edge) for edge in box)))  # type: ignore[arg-type]
    shrinks = min(box[2] - box[0], box[3] - box[1]) >= size
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BICUBIC
    return np.asarray(picture.resize((size, size), method, box=box))  # type: ignore[arg-type]


def texture_file(folder: Path, name: str) -> Path:
    """The file of a data set's texture.

    Args:
        folder: Of the data set.
        name: Path relative to the folder.

    Raises:
        BadFile: It lies, links followed, neither in that folder nor in one of :data:`OWNERS_FOLDERS`.
    """
    path = folder / name
    if not is_within(path, (folder, *_owners_folders())):
        place = os.path.normpath(folder.resolve() / name)
        raise BadFile(
            "a texture lies outside of its data set", received=f"{name[:200]!r} in {folder}",
            remedy=f"if that is the owner's own folder, set {OWNERS_FOLDERS}={os.path.dirname(place)}",
        )  # fmt: skip
    return path


def _owners_folders() -> list[Path]:
    return [Path(item) for item in os.environ.get(OWNERS_FOLDERS, "").split(os.pathsep) if item]


def is_within(path: Path, folders: Sequence[Path]) -> bool:
    """Whether a path, links followed, leads into one of some folders; one that no system can have does not.

    Args:
        path: Of a file or a folder.
        folders: Where it may lie.
    """
    try:
        real = path.resolve()
        return any(folder.resolve() in real.parents for folder in folders)
    except (OSError, ValueError, RuntimeError):  # RuntimeError: links that lead in a circle
        return False


def digest_textures(folder: Path, names: Sequence[str]) -> bytes:
    """sha256 of the texture files of a whole data set, in order.

    Files that the set only refers to are not opened and count by name and size: an owner's originals may be a
    hundred gigabytes.

    Args:
        folder: Of the data set.
        names: (N,) paths relative to the folder, empty for scans without a texture.
    """
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode())
        if name:
            path = folder / name
            if not is_there(path):
                raise DataMissing("a texture is missing", received=str(path), remedy="restore the file")
            refers = not is_within(path, (folder,))
            digest.update(str(path.stat().st_size).encode() if refers else path.read_bytes())
    return digest.digest()


def is_there(path: Path) -> bool:
    """Whether a file exists; one whose name no system can have does not."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
