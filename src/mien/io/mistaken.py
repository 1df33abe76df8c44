"""Files that are something else than their name says: what a download or a transfer made of them."""

from __future__ import annotations

from pathlib import Path

from mien.errors import BadFile

_LOOKED_AT = 4096  # bytes from the start
_BEGINNINGS = (
    (b"version https://git-lfs", "a pointer of Git LFS to the file, not the file itself",
     "run git lfs pull in its repository, or download the file itself"),
    (b"<!doctype html", "a web page", "download the file itself, not the page that shows it"),
    (b"<html", "a web page", "download the file itself, not the page that shows it"),
    (b"pk\x03\x04", "a ZIP archive", "unpack it and give the mesh inside"),
    (b"\x1f\x8b", "a gzip archive", "unpack it and give the mesh inside"),
    (b"\xfd7zxz", "an xz archive", "unpack it and give the mesh inside"),
)  # fmt: skip
_REPLACED = "\N{REPLACEMENT CHARACTER}".encode()  # what a text program writes for bytes that are no text


def refuse_mistaken(path: Path) -> None:
    """Says in one sentence what a file is that cannot be what its name says; silent on all others.

    Args:
        path: An existing file that should be a mesh.

    Raises:
        BadFile: It is a pointer of Git LFS, a web page, an archive, or a binary file that a program took for
            text, which destroys it.
    """
    with path.open("rb") as file:
        start = file.read(_LOOKED_AT)
    for beginning, what, remedy in _BEGINNINGS:
        if start.lstrip().lower().startswith(beginning):
            raise BadFile(f"{path.name!r} is {what}", received=f"{path.stat().st_size} bytes", remedy=remedy)
    if start.startswith((b"glTF", b"Kaydara FBX Binary")) and _REPLACED in start:
        raise BadFile(
            f"{path.name!r} was damaged by a program that took it for text", received="replaced bytes",
            remedy="copy it again as a binary file: what was replaced cannot be restored",
        )  # fmt: skip
