"""Numbers out of text in bulk: what makes reading of meshes as fast as compiled parsers, and as exact.

A decimal number of at most 15 digits is a whole number below 2**53 divided by a power of ten up to 10**15.
Both are exact in double precision, so one division rounds correctly (Clinger, PLDI 1990). Whole numbers
parse several times faster than decimal ones; other notations are read one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MOST_DIGITS = 15
_MOST_ODD = 0.1  # share of words in other notations above which all are read one by one
_POWERS = np.array([float(10**power) for power in range(_MOST_DIGITS + 1)])
# What a byte adds to the sum of its word: sums tell dots, signs and other bytes apart in words of few bytes.
# (A sum that overflows belongs to a word that is too long to be plain.)
_SIGN, _STRANGE = 64, 4096
_KINDS = np.full(256, _STRANGE, np.int16)
_KINDS[: ord(" ") + 1] = 0
_KINDS[np.frombuffer(b"0123456789", np.uint8)] = 0
_KINDS[ord(".")] = 1
_KINDS[np.frombuffer(b"+-", np.uint8)] = _SIGN
_SPACE, _MINUS, _DOT, _SLASH, _ZERO = b" -./0"
_NO_COMMAS = bytes.maketrans(b",", b" ")
_NO_SLASHES = bytes.maketrans(b"/", b" ")


@dataclass(frozen=True, eq=False)
class Words:
    """The words of a text: runs of bytes above the space.

    Args:
        text: (n,) uint8. The text's bytes.
        starts: (w,) int. Where each word begins.
        ends: (w,) int. Where each word ends.
    """

    text: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]

    @staticmethod
    def of(text: bytes | NDArray[np.uint8]) -> Words:
        """Finds the words of a text: its bytes, or (n,) uint8 of them."""
        found = np.frombuffer(text, np.uint8) if isinstance(text, bytes) else text
        filled = np.zeros(len(found) + 2, np.int8)
        np.greater(found, _SPACE, out=filled[1:-1].view(bool))
        edges = np.flatnonzero(filled[1:] != filled[:-1])
        return Words(found, edges[::2], edges[1::2])

    def without(self, left_out: NDArray[np.bool_]) -> Words:
        """The words but those of a mask (w,), whose places are blank."""
        if not left_out.any():
            return self
        text = self.text.copy()
        for place in np.flatnonzero(left_out):
            text[self.starts[place] : self.ends[place]] = _SPACE
        return Words(text, self.starts[~left_out], self.ends[~left_out])

    def per_line(self) -> NDArray[np.int64]:
        """(lines,) how many words each line has; what follows the last line's end is a line, too."""
        breaks = np.flatnonzero(self.text == ord("\n"))
        upto = np.concatenate([[0], np.searchsorted(self.starts, breaks), [len(self.starts)]])
        return np.diff(upto)


def parse_floats(text: bytes) -> NDArray[np.float64]:
    """(w,) all numbers of a text, separated by white space or commas, correctly rounded.

    Args:
        text: Words that are numbers, in any notation that Python reads.

    Raises:
        ValueError: A word is no number.
    """
    words = Words.of(text.translate(_NO_COMMAS) if b"," in text else text)
    if not len(words.starts):
        return np.zeros(0)
    dotted, odd = _forms(words)
    if odd.sum() > _MOST_ODD * len(odd):
        return np.array(words.text.tobytes().split(), np.float64)
    found = np.empty(len(words.starts))
    found[~odd] = _plain_decimals(words.without(odd), dotted[~odd])
    for place in np.flatnonzero(odd):
        found[place] = float(words.text[words.starts[place] : words.ends[place]].tobytes())
    return found


def _forms(words: Words) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(w,) whether a word has a dot, and whether it is more than a sign, few digits and a dot among them."""
    sums = np.add.reduceat(_KINDS[words.text], words.starts)
    strange, signs, dots = sums // _STRANGE, sums // _SIGN % (_STRANGE // _SIGN), sums % _SIGN
    signed = _KINDS[words.text[words.starts]] == _SIGN
    digits = words.ends - words.starts - dots - signs
    odd = (strange != 0) | (dots > 1) | (signs != signed) | (digits < 1) | (digits > _MOST_DIGITS)
    return dots > 0, odd


def _plain_decimals(words: Words, dotted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(w,) the numbers of words that are all plain, some with a dot."""
    decimals = np.zeros(len(words.starts), np.int64)
    decimals[dotted] = words.ends[dotted] - np.flatnonzero(words.text == _DOT) - 1
    whole = np.fromstring(words.text.tobytes().translate(None, b"."), np.int64, len(decimals), sep=" ")
    return whole / _POWERS[decimals]


def parse_indices(text: bytes) -> NDArray[np.int64] | None:
    """(w, k) whole numbers of words that hold k each, separated by slashes; None where words differ in form.

    Args:
        text: Words such as ``7``, ``7/3``, ``7/3/1`` or ``7//1``; an empty place between slashes is left out.
    """
    if text.translate(None, b"0123456789-/ \t\n\v\f"):
        return None
    words = Words.of(text)
    count = len(words.starts)
    slashes = np.flatnonzero(words.text == _SLASH)
    each = len(slashes) // max(count, 1)
    longest = int((words.ends - words.starts).max(initial=0))
    if len(slashes) != each * count or each > 2 or longest > 18:  # 18 digits are whole in 64 bits
        return None
    width = each + 1
    if each:
        places = slashes.reshape(count, each)
        if (places[:, 0] <= words.starts).any() or (places[:, -1] >= words.ends - 1).any():
            return None
        if each == 2:
            empty = places[:, 1] == places[:, 0] + 1
            if empty.any() and not empty.all():
                return None
            width -= int(empty.any())
    if not _signs_lead(words.text):
        return None
    found = np.fromstring(text.translate(_NO_SLASHES), np.int64, count * width, sep=" ")
    return found.reshape(count, width)


def _signs_lead(text: NDArray[np.uint8]) -> bool:
    """Whether each minus stands before a digit and after none."""
    at = np.flatnonzero(text == _MINUS)
    if not len(at):
        return True
    padded = np.concatenate([[_SPACE], text, [_SPACE]])
    before, after = padded[at], padded[at + 2]
    return bool(((before <= _SPACE) | (before == _SLASH)).all() and (after >= _ZERO).all())
