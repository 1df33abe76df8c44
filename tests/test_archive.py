"""Archives that are good, damaged or hostile."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from mien.data.archive import archive_members
from mien.errors import BadFile, DataMissing


def make_archive(path: Path, members: dict[str, bytes], *extra: tarfile.TarInfo, mode: str = "w:xz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in extra:
            archive.addfile(info)
    return path


def read(path: Path, **limits: int) -> dict[str, bytes]:
    return dict(archive_members(path, lambda name: name.endswith(".obj"), **limits))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_reads_what_is_wanted(tmp_path: Path, mode: str) -> None:
    path = make_archive(tmp_path / "a.tar", {"data/a.obj": b"v 0 0 0", "data/b.txt": b"no"}, mode=mode)
    assert read(path) == {"data/a.obj": b"v 0 0 0"}


@pytest.mark.parametrize(
    "name", ["../evil.obj", "data/../../evil.txt", "/etc/evil.obj", "..\\evil.obj", "C:/evil"]
)
def test_refuses_entries_outside_its_folder(tmp_path: Path, name: str) -> None:
    path = make_archive(tmp_path / "a.tar.xz", {"data/a.obj": b"v", name: b"x"})
    with pytest.raises(BadFile, match="outside its own folder.*received '.*evil.*original source"):
        read(path)
    assert [p.name for p in tmp_path.rglob("*")] == ["a.tar.xz"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_refuses_links_and_devices(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("data/link.obj")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(BadFile, match="link or device"):
        read(make_archive(tmp_path / "a.tar.xz", {}, info))


def test_refuses_giants(tmp_path: Path) -> None:
    path = make_archive(tmp_path / "a.tar.xz", {"a.obj": bytes(2 * 2**20), "b.obj": bytes(2 * 2**20)})
    with pytest.raises(BadFile, match="an entry of more than 1 MiB"):
        read(path, largest=2**20)
    with pytest.raises(BadFile, match="unpacks to too much"):
        read(path, total=3 * 2**20)


def test_truncated_and_damaged_archives(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(300_000)
    path = make_archive(tmp_path / "a.tar.xz", {"a.obj": noise, "b.obj": noise[::-1]})
    whole = path.read_bytes()
    for number, content in enumerate((whole[: len(whole) // 2], whole[:100], b"", b"not an archive" * 100)):
        cut = tmp_path / f"{number}.tar.xz"
        cut.write_bytes(content)
        with pytest.raises(BadFile, match="truncated or damaged.*copy it again"):
            read(cut)
    with pytest.raises(DataMissing, match="no such archive"):
        read(tmp_path / "absent.tar.xz")
