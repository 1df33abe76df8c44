"""Reading archives from elsewhere without trusting them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from mien.errors import BadFile, DataMissing
from mien.limits import unpacked_limit

LARGEST_MEMBER = 64 * 2**20
LARGEST_TOTAL = 4 * 2**30
LARGEST_HEAD = 2**17
MOST_MEMBERS = 20_000
# What the library and the packings raise of damaged archives.
DAMAGE = (
    tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError, ValueError, OverflowError,
    RecursionError, LookupError,
)  # fmt: skip


def archive_members(
    path: Path, wanted: Callable[[str], bool], *, largest: int = LARGEST_MEMBER, total: int = LARGEST_TOTAL
) -> Iterator[tuple[str, bytes]]:
    """Yields ``(name, content)`` of the wanted files of a tar archive; nothing is written to disk.

    Every member is checked, wanted or not: an archive that tries to leave its folder is refused whole.

    Args:
        path: A ``.tar``, ``.tar.gz``, ``.tar.bz2`` or ``.tar.xz`` file.
        wanted: Says by name which files to read.
        largest: Refuse files of more bytes than this.
        total: Refuse archives that unpack to more bytes than this.

    Raises:
        DataMissing: There is no such file.
        BadFile: Not an archive, truncated, damaged or unsafe.
    """
    if not Path(path).is_file():
        raise DataMissing(
            "there is no such archive", received=str(path), remedy="check the path given to --from"
        )
    unpacked = count = 0
    total = min(total, unpacked_limit(path.stat().st_size))
    try:
        with _unpacking(path) as packed:
            heads: Any = _Heads(packed)
            archive = tarfile.open(fileobj=heads, mode="r:")
            for member in archive:
                refuse_unsafe(member, path, largest)
                unpacked, count = unpacked + member.size, count + 1
                if unpacked > total or count > MOST_MEMBERS:
                    raise BadFile(
                        "the archive unpacks to too much", remedy="do not use it",
                        received=f"{count:,} members of {unpacked / 2**20:,.0f} MiB or more in {path}",
                    )  # fmt: skip
                archive.members.clear()  # type: ignore[attr-defined]  # the library keeps all of them
                if member.isfile() and wanted(member.name):
                    yield member.name, _content(archive, member)
    except DAMAGE as error:
        why = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":")
        raise BadFile(
            "the archive is truncated or damaged", received=f"{path} ({why})",
            remedy="download or copy it again",
        ) from error  # fmt: skip


class _Heads:
    """A stream that an archive's heads are read from: in small pieces, as long as no content is wanted.

    The library reads extended heads in one piece, as large as they say they are.

    Args:
        packed: The unpacking stream.
    """

    def __init__(self, packed: IO[bytes]) -> None:
        self.packed, self.is_content = packed, False
        self.seek, self.tell, self.close = packed.seek, packed.tell, packed.close

    def read(self, size: int = -1) -> bytes:
        if not self.is_content and not 0 <= size <= LARGEST_HEAD:
            raise tarfile.ReadError(f"a head of {size} bytes")
        return self.packed.read(size)


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    heads: Any = archive.fileobj
    heads.is_content = True
    try:
        file = archive.extractfile(member)
        content = file.read() if file else b""
    finally:
        heads.is_content = False
    if len(content) != member.size:
        raise tarfile.ReadError(f"{member.name} is cut off")
    return content


def _unpacking(path: Path) -> IO[bytes]:
    """A stream of an archive's bytes, unpacked by what its first bytes say."""
    with path.open("rb") as file:
        start = file.read(6)
    for mark, opened in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open)):
        if start.startswith(mark):
            return opened(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def refuse_unsafe(member: tarfile.TarInfo, path: Path, largest: int = LARGEST_MEMBER) -> None:
    """Raises unless a member is a plain file or folder that stays inside the archive's own tree."""
    name = PurePosixPath(member.name.replace("\\", "/"))
    leaves = name.is_absolute() or ".." in name.parts or (len(member.name) > 1 and member.name[1] == ":")
    if leaves:
        what = "the archive has an entry outside its own folder"
    elif not (member.isfile() or member.isdir()) or member.issparse():
        what = "the archive has a link or device, which data archives do not need"
    elif member.size > largest:
        what = f"the archive has an entry of more than {largest // 2**20} MiB"
    else:
        return
    raise BadFile(
        what, received=f"{member.name!r} in {path}", remedy="get the archive from its original source"
    )
