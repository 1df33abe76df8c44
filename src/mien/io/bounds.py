"""Bounds of documents and lists from files, in time that grows with their length and no faster."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

_PART = 2**20
_PLAIN = bytes(set(range(256)) - set(b'"[]{}'))
_OPEN, _CLOSED = np.frombuffer(b"[{", np.uint8), np.frombuffer(b"]}", np.uint8)


def first_twice(names: Iterable[str]) -> str | None:
    """The first of some names that has come before, or None."""
    seen = set[str]()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def depth_of(document: bytes) -> int:
    """How deep lists and mappings of a JSON document stand inside each other; those in texts do not count.

    Args:
        document: The text; it need not be valid.
    """
    depth = deepest = 0
    in_text = False
    if b"\\" in document:
        document = document.replace(b"\\\\", b"").replace(b'\\"', b"")
    for start in range(0, len(document), _PART):  # a file of 100 MB may hold one text
        letters = np.frombuffer(document[start : start + _PART].translate(None, _PLAIN), np.uint8)
        if not len(letters):
            continue
        marks = np.cumsum(letters == ord('"')) + in_text
        steps = np.isin(letters, _OPEN).astype(np.int32) - np.isin(letters, _CLOSED)
        steps[marks % 2 == 1] = 0
        depths = depth + np.cumsum(steps)
        deepest = max(deepest, int(depths.max()))
        depth, in_text = int(depths[-1]), bool(marks[-1] % 2)
    return deepest
