"""What is no mesh although its name says so is named for what it is."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from mien.errors import BadFile
from mien.io.mesh import read_mesh
from mien.io.mistaken import refuse_mistaken

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as members:
        members.writestr("head.obj", "v 0 0 0\n")
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("head.glb", POINTER, "Git LFS.*git lfs pull"),
        ("head.obj", POINTER, "Git LFS"),
        ("head.glb", b"\n<!DOCTYPE html><html></html>", "web page"),
        ("head.ply", b"<HTML><body>404</body></HTML>", "web page"),
        ("head.obj", archive(), "ZIP.*unpack"),
        ("head.stl", gzip.compress(b"solid", mtime=0), "gzip"),
        ("head.glb", b"glTF\x02\0\0\0\xef\xbf\xbd\x14\x05\0JSON{}", "took it for text"),
    ],
)
def test_it_is_said_what_a_file_is(tmp_path: Path, name: str, data: bytes, what: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(BadFile, match=what):
        read_mesh(path)


@pytest.mark.parametrize(
    "data", [b"v 0 0 0\n", b"ply\nformat", b"# \xef\xbf\xbd in a comment\nv 0 0 0", b"glTF\x02"]
)
def test_other_files_are_left_to_their_readers(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "head.obj"
    path.write_bytes(data)
    refuse_mistaken(path)
