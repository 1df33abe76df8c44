"""Files that come through the browser: checked, read in a folder of their own, and gone again."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from mien.apply import OpenedFace, open_face
from mien.data.tracked import weights_of_curves
from mien.errors import BadFile, BadMesh
from mien.io.curves import read_curves
from mien.io.materials import Picture
from mien.io.mesh import READERS, read_mesh
from mien.models.base import FaceModel
from mien.viewer.session import Take

MEGABYTE = 1_000_000
MOST_VERTICES = 300_000
COMPANIONS = (".mtl", ".png", ".jpg", ".jpeg")


def read_upload(
    name: str, data: bytes, model: FaceModel, *, limit: int = 64 * MEGABYTE,
    beside: Mapping[str, bytes] | None = None,
) -> OpenedFace:  # fmt: skip
    """A mesh file's bytes to a face of a model; a topology of its own is registered.

    Args:
        name: What the file was called; only its last part is used, and only for messages and its kind.
        data: The file.
        model: What the face is for.
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
        return open_face(mesh, model).with_materials()  # the files around it will not stay


def companion(name: str, data: bytes, limit: int) -> str:
    """The plain name of a material library or picture, checked like any upload."""
    with _as_file(name, data, COMPANIONS, limit) as path:
        if path.suffix.lower() != ".mtl" and Picture.of(path.name, data) is None:
            raise BadFile(f"{path.name!r} is neither PNG nor JPEG", remedy="convert it to PNG")
        return path.name


def read_take(
    name: str, data: bytes, expressions: Sequence[str], fps: float, *, limit: int = 64 * MEGABYTE
) -> Take:
    """A CSV of weights a frame, or a recording of ARKit blendshapes, as a take of these expressions.

    Args:
        name: What the file was called.
        data: The file.
        expressions: E expression names.
        fps: Frames per second of the time line.
        limit: The largest file, bytes.
    """
    with _as_file(name, data, (".csv",), limit) as path:
        weights, notes = weights_of_curves(read_curves(path), expressions, fps)
        return Take(path.stem, weights, tuple(notes))


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
    with tempfile.TemporaryDirectory(prefix="mien-") as folder:
        path = Path(folder) / safe
        path.write_bytes(data)
        yield path


def plain_name(name: str) -> str:
    """A file name without folders or odd characters, at most 80 long; its extension stays."""
    last = re.split(r"[/\\]", name)[-1]
    stem, suffix = Path(last).stem, Path(last).suffix
    clean = re.sub(r"[^\w .()+-]", "_", stem).strip(" .")[:72]
    return (clean or "mesh") + re.sub(r"[^\w.]", "", suffix)[:8]
