"""Files whose names are spelled a little differently than somebody wrote them, as between systems."""

from __future__ import annotations

import unicodedata
from pathlib import Path, PurePosixPath


def find_spelled(folder: Path, name: str | PurePosixPath) -> Path | None:
    """The file of a folder that a name means, or None.

    The name itself wins; else one that differs in the case of letters or in how accents are encoded. Names
    that lead out of the folder mean nothing.

    Args:
        folder: Where to look.
        name: A path relative to it, with forward slashes.
    """
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts or "\0" in str(name) or not relative.name:
        return None
    try:
        if (folder / relative).is_file():
            return folder / relative
        found = folder
        for part in relative.parts:
            exact = found / part
            alike = (item for item in sorted(found.iterdir()) if _key(item.name) == _key(part))
            following = exact if exact.exists() else next(alike, None)
            if following is None:
                return None
            found = following
        return found if found.is_file() else None
    except OSError:
        return None


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
