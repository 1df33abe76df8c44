"""Bounds of documents and lists from files, in time that grows with their length and no faster."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


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
    letters = np.frombuffer(document, np.uint8)
    steps = np.isin(letters, (ord("["), ord("{"))).astype(np.int32) - np.isin(letters, (ord("]"), ord("}")))
    steps[_in_texts(letters)] = 0
    return int(np.cumsum(steps).max(initial=0))


def _in_texts(letters: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(n,) whether each byte of a JSON document, (n,) uint8, stands in a text."""
    slash = letters == ord("\\")
    place = np.arange(len(letters))
    # A quotation mark behind an odd number of backslashes is part of the text.
    run_start = np.maximum.accumulate(np.where(slash, -1, place))
    odd = np.zeros(len(letters), bool)
    odd[1:] = (place[:-1] - run_start[:-1]) % 2 == 1
    marks = (letters == ord('"')) & ~odd
    return np.cumsum(marks) % 2 == 1
