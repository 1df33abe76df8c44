"""Public releases that data sets are built from, fetched when somebody asks: once, and by hash.

What is fetched is written down beside this file: every path of a repository at one commit, with its sha256.
Files that are there are not asked for again, so a download that broke off goes on where it was.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path

from mien.errors import BadFile, DataMissing, UnknownName, require
from mien.progress import track

FOLDER = Path(__file__).parent
RAW = "https://raw.githubusercontent.com/{repository}/{commit}/"
SECONDS = 60  # without an answer, after which the server is taken for gone


@dataclass(frozen=True)
class Release:
    """Files of a public repository at one commit.

    Args:
        name: ``ict`` or ``valid``.
        about: What it is, and its license.
        next: The command that goes on, with FOLDER for where it lies.
        repository: ``owner/name``.
        commit: 40 hexadecimal digits.
        files: Path in the repository -> sha256.
    """

    name: str
    about: str
    next: str
    repository: str
    commit: str
    files: dict[str, str]

    @property
    def address(self) -> str:
        """Where the files lie, below it by their paths."""
        return RAW.format(repository=self.repository, commit=self.commit)


ABOUT = {
    "ict": (
        "ICT-FaceKit Light, MIT (Copyright 2020 USC Institute for Creative Technologies)",
        "mien data build ict --from FOLDER --subjects 200 --out ict-200",
    ),
    "valid": (
        "VALID avatars in glTF, everyday clothes, MIT (Copyright 2022 Tiffany Do)",
        "mien rig FOLDER/avatars/Asian/Asian_F_1_Casual.glb -o rig.glb",
    ),
}


def release(name: str) -> Release:
    """The release of a name, as it is written down here.

    Raises:
        UnknownName: There is no such release.
    """
    if name not in ABOUT:
        raise UnknownName("release", name, ABOUT)
    head, *lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    found = re.match(r"# https://[^/]+/(\S+) at ([0-9a-f]{40}):", head)
    assert found is not None
    files = dict(line.split(" ") for line in lines)
    return Release(name, *ABOUT[name], found[1], found[2], files)


def download(name: str, out: Path | str, *, address: str | None = None) -> Path:
    """Fetches a release into a folder; the only function of Mien's data that asks the network.

    Args:
        name: ``ict`` or ``valid``.
        out: Folder; files of an earlier download are kept where their hash is right.
        address: Of a copy of the files, in place of the repository's.

    Returns:
        The folder.

    Raises:
        UnknownName: There is no such release.
        MissingPackage: The extra ``download`` is not installed.
        DataMissing: The server does not answer, lacks a file, or broke off.
        BadFile: A file is not the one that was written down; it is not kept.
    """
    found, folder = release(name), Path(out)
    pooch = require("pooch", "download")
    pooch.get_logger().setLevel(logging.ERROR)
    base = (address or found.address).rstrip("/") + "/"
    lacking = [path for path, digest in found.files.items() if not _is_whole(folder / path, digest)]
    for path in track(lacking, f"downloading {name}"):
        _fetch(pooch, base, path, found.files[path], folder)
    return folder


def _is_whole(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest


def _fetch(pooch: object, base: str, path: str, digest: str, folder: Path) -> None:
    """One file: fetched beside its place, compared, and moved there."""
    from requests.exceptions import RequestException

    target = folder / path
    try:
        pooch.retrieve(  # type: ignore[attr-defined]
            base + path, f"sha256:{digest}", target.name, target.parent,
            downloader=pooch.HTTPDownloader(timeout=SECONDS),  # type: ignore[attr-defined]
        )  # fmt: skip
    except RequestException as error:
        raise DataMissing(
            "a file of the release could not be fetched", received=f"{base}{path} ({_why(error)})",
            remedy="try again: what is there already is kept, and nothing half-written is",
        ) from error  # fmt: skip
    except ValueError as error:  # what pooch says of another hash
        raise BadFile(
            "a file of the release is not the one that was written down, so it was not kept",
            received=base + path, remedy="try again, or fetch it from another address",
        ) from error  # fmt: skip
    except OSError as error:
        raise BadFile(
            f"cannot write {str(target)!r}", received=error.strerror or str(error),
            remedy="free some space or choose another folder; nothing was left half-written",
        ) from error  # fmt: skip


def _why(error: Exception) -> str:
    """What the server did, in few words."""
    answer = getattr(error, "response", None)
    return type(error).__name__ if answer is None else f"{answer.status_code} {answer.reason}"
