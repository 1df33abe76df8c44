"""Files that come through the browser: checked, read in a folder of their own, and gone again."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from mien.cli.faces import Face, open_face
from mien.errors import BadFile, BadMesh
from mien.io.mesh import READERS, read_mesh
from mien.models.base import FaceModel

MEGABYTE = 1_000_000
MOST_VERTICES = 300_000


def read_upload(name: str, data: bytes, model: FaceModel, *, limit: int = 64 * MEGABYTE) -> Face:
    """A mesh file's bytes to a face of a model; a topology of its own is registered.

    Args:
        name: What the file was called; only its last part is used, and only for messages and its kind.
        data: The file.
        model: What the face is for.
        limit: The largest file, bytes.
    """
    safe = plain_name(name)
    kind = Path(safe).suffix.lower()
    if kind not in READERS:
        raise BadFile(
            f"{safe!r} is not of a known mesh kind", received=f"the extension {kind!r}",
            remedy=f"known: {', '.join(READERS)}",
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
        count = len(read_mesh(path, points=True).vertices)
        if count > MOST_VERTICES:
            raise BadMesh(
                f"{safe!r} has too many vertices to be registered while you wait", received=f"{count:,}",
                remedy=f"decimate it to {MOST_VERTICES:,} first, or use mien register",
            )  # fmt: skip
        return open_face(path, model)


def plain_name(name: str) -> str:
    """A file name without folders or odd characters, at most 80 long; its extension stays."""
    last = re.split(r"[/\\]", name)[-1]
    stem, suffix = Path(last).stem, Path(last).suffix
    clean = re.sub(r"[^\w .()+-]", "_", stem).strip(" .")[:72]
    return (clean or "mesh") + re.sub(r"[^\w.]", "", suffix)[:8]
