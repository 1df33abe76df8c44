"""Files that come through the browser: checked, read in a folder of their own, and gone again."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.recorded import read_performance
from mien.data.rig_sizes import read_sizes
from mien.errors import BadFile, BadMesh, MienError
from mien.io.landmarks import read_landmarks
from mien.io.materials import Picture
from mien.io.mesh import READERS, read_mesh
from mien.io.record import Mesh
from mien.temporary import passing_folder
from mien.viewer.actions import LONGEST_CLIP, WEIGHTS
from mien.viewer.picking import LoadedHead
from mien.viewer.session import Take

MEGABYTE = 1_000_000
MOST_VERTICES = 300_000
COMPANIONS = (".mtl", ".png", ".jpg", ".jpeg")
TAKES = (".csv", ".tsv", ".txt", ".json", ".jsonl")
SIZE_TABLES = (".csv",)
TABLES = (".csv", ".tsv", ".txt", ".json", ".pp", ".pts")


def read_upload(
    name: str, data: bytes, limit: int = 64 * MEGABYTE, beside: Mapping[str, bytes] | None = None
) -> LoadedHead:
    """A mesh file's bytes to a head, which outlives the files around it.

    Args:
        name: What the file was called; only its last part is used, and only for messages and its kind.
        data: The file.
        limit: The largest file, bytes.
        beside: Material libraries and pictures that came along, by their names.
    """
    with _as_file(name, data, (*READERS, ".csv"), limit) as path:
        for other, content in (beside or {}).items():
            path.with_name(other).write_bytes(content)
        mesh = read_mesh(path, points=True)
        count = len(mesh.vertices)
        if count > MOST_VERTICES:
            raise BadMesh(
                f"{path.name!r} has too many vertices to be registered while you wait", received=f"{count:,}",
                remedy=f"decimate it to {MOST_VERTICES:,} first, or use mien register",
            )  # fmt: skip
        return LoadedHead.of(mesh)


def read_landmark_upload(
    name: str, data: bytes, mesh: Mesh, limit: int = 64 * MEGABYTE
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Landmarks of a mesh from a file in any form that ``mien register --landmarks`` takes.

    Args:
        name: What the file was called.
        data: The file.
        mesh: What they lie on.
        limit: The largest file, bytes.

    Returns:
        L names, and positions (L, 3) float64 in the unit, axes and place of the mesh's file.
    """
    with _as_file(name, data, TABLES, limit) as path:
        return read_landmarks(path, any_unit=True, mesh=mesh)


def companion(name: str, data: bytes, limit: int) -> str:
    """The plain name of a material library or picture, checked like any upload."""
    with _as_file(name, data, COMPANIONS, limit) as path:
        if path.suffix.lower() != ".mtl" and Picture.of(path.name, data) is None:
            raise BadFile(f"{path.name!r} is neither PNG nor JPEG", remedy="convert it to PNG")
        return path.name


def read_take(
    name: str, data: bytes, expressions: Sequence[str], fps: float, limit: int = 64 * MEGABYTE
) -> Take:
    """A recorded performance in any form that ``mien animate --curves`` takes, for these expressions.

    Args:
        name: What the file was called.
        data: The file.
        expressions: E expression names.
        fps: Frames per second of the time line.
        limit: The largest file, bytes.
    """
    with _as_file(name, data, TAKES, limit) as path:
        weights, notes = read_performance(path, expressions, fps)
        most = round(LONGEST_CLIP * fps) + 1
        inside = np.clip(weights[:most], *WEIGHTS)
        if len(weights) > most:
            notes.append(f"Only its first {LONGEST_CLIP:g} seconds are kept.")
        if not np.array_equal(inside, weights[:most]):
            notes.append(f"Weights beyond {WEIGHTS[0]:g} to {WEIGHTS[1]:g} are held there.")
        return Take(path.stem, inside.astype(np.float32), tuple(notes))


def read_size_upload(
    name: str, data: bytes, expressions: Sequence[str], *, limit: int = 64 * MEGABYTE
) -> dict[str, float]:
    """Sizes of expressions from the table that the studio exports and ``mien rig --size`` takes.

    Args:
        name: What the file was called.
        data: The file.
        expressions: E expression names.
        limit: The largest file, bytes.
    """
    with _as_file(name, data, SIZE_TABLES, limit) as path:
        return read_sizes(path, expressions)


@contextmanager
def _as_file(name: str, data: bytes, kinds: Sequence[str], limit: int) -> Iterator[Path]:
    """The bytes as a file of a known kind, in a folder that is gone afterwards."""
    safe = plain_name(name)
    kind = Path(safe).suffix.lower()
    if kind not in kinds:
        raise BadFile(
            f"{safe!r} is not of a known kind", received=f"the extension {kind!r}",
            remedy=f"known: {', '.join(kinds)}",
        )  # fmt: skip
    if not data:
        raise BadFile(f"{safe!r} is empty", remedy="copy or export it again")
    if len(data) > limit:
        raise BadFile(
            f"{safe!r} is too large", received=f"{len(data) / MEGABYTE:.0f} MB",
            remedy=f"the studio takes up to {limit / MEGABYTE:.0f} MB (--limit)",
        )  # fmt: skip
    with passing_folder() as folder:
        path = folder / safe
        path.write_bytes(data)
        try:
            yield path
        except MienError as error:  # where an upload was kept is nobody's business
            kept = f"{path.parent}{os.sep}"
            error.args = tuple(str(item).replace(kept, "") for item in error.args)
            error.cause = error.cause.replace(kept, "")
            error.received = None if error.received is None else str(error.received).replace(kept, "")
            raise


def plain_name(name: str) -> str:
    """A file name without folders or odd characters, at most 80 long; its extension stays."""
    last = re.split(r"[/\\]", name)[-1]
    stem, suffix = Path(last).stem, Path(last).suffix
    clean = re.sub(r"[^\w .()+-]", "_", stem).strip(" .")[:72]
    return (clean or "mesh") + re.sub(r"[^\w.]", "", suffix)[:8]
