"""Reading archives from elsewhere without trusting them."""

from __future__ import annotations

import lzma
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from mien.errors import BadFile, DataMissing

LARGEST_MEMBER = 64 * 2**20
LARGEST_TOTAL = 4 * 2**30


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
    unpacked = 0
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                refuse_unsafe(member, path, largest)
                unpacked += member.size
                if unpacked > total:
                    raise BadFile(
                        "the archive unpacks to too much", received=str(path), remedy="do not use it"
                    )
                if member.isfile() and wanted(member.name):
                    file = archive.extractfile(member)
                    yield member.name, file.read() if file else b""
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        raise BadFile(
            "the archive is truncated or damaged",
            received=f"{path} ({str(error).splitlines()[0].rstrip(':')})",
            remedy="download or copy it again",
        ) from error


def refuse_unsafe(member: tarfile.TarInfo, path: Path, largest: int = LARGEST_MEMBER) -> None:
    """Raises unless a member is a plain file or folder that stays inside the archive's own tree."""
    name = PurePosixPath(member.name.replace("\\", "/"))
    leaves = name.is_absolute() or ".." in name.parts or (len(member.name) > 1 and member.name[1] == ":")
    if leaves:
        what = "the archive has an entry outside its own folder"
    elif not (member.isfile() or member.isdir()):
        what = "the archive has a link or device, which data archives do not need"
    elif member.size > largest:
        what = f"the archive has an entry of more than {largest // 2**20} MiB"
    else:
        return
    raise BadFile(
        what, received=f"{member.name!r} in {path}", remedy="get the archive from its original source"
    )
