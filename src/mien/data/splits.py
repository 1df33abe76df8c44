"""Named protocols that divide a data set into training, validation and test rows.

The default keeps people apart. A paper's own protocol is kept under its own name and printed in tables.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadSetting, DataMissing, UnknownName

PARTS = ("train", "validation", "test")
#: (N,) int subject of each row and a seed to (N,) int8 index into :data:`PARTS`.
Split = Callable[[NDArray, int], NDArray]


def by_subject(subject: NDArray, seed: int) -> NDArray:
    """80 / 10 / 10 % of the people, drawn at random; at least one person in each part.

    Args:
        subject: (N,) int. Whom each row shows.
        seed: Draws other people.

    Returns:
        (N,) int index into :data:`PARTS`.
    """
    return _people(subject, seed, validation=0.1, test=0.1)


def seven_to_three(subject: NDArray, seed: int) -> NDArray:
    """30 % of the people unseen, as Gu et al. (2023) divide FaceScape; a tenth of the rest validates.

    Args:
        subject: (N,) int. Whom each row shows.
        seed: Draws other people.

    Returns:
        (N,) int index into :data:`PARTS`.
    """
    return _people(subject, seed, validation=0.07, test=0.3)


def seventeen_to_three(subject: NDArray, seed: int) -> NDArray:
    """15 % of the people unseen, as Potamias et al. (2020) divide 4DFAB (153 and 27); nobody validates.

    Args:
        subject: (N,) int. Whom each row shows.
        seed: Draws other people.

    Returns:
        (N,) int index into :data:`PARTS`.
    """
    return _people(subject, seed, validation=0.0, test=0.15)


def first_ten(subject: NDArray, seed: int) -> NDArray:
    """The first ten people are the test set (BU-3DFE in Zhang et al. 2020 and Gu et al. 2023).

    Args:
        subject: (N,) int. Whom each row shows.
        seed: Not used.

    Returns:
        (N,) int index into :data:`PARTS`.
    """
    people = np.unique(subject)
    if len(people) <= 11:
        raise BadSetting("protocol 'first-ten' needs more than 11 people", received=len(people))
    part = np.zeros(people.max() + 1, np.int8)
    part[people[:10]] = PARTS.index("test")
    part[people[10]] = PARTS.index("validation")
    return part[subject]


def interleaved(subject: NDArray, seed: int) -> NDArray:
    """The first 10 of every 100 rows test, the next 5 validate (CoMA's own: people are seen).

    Args:
        subject: (N,) int. Whom each row shows.
        seed: Not used.

    Returns:
        (N,) int index into :data:`PARTS`.
    """
    order = np.arange(len(subject)) % 100
    return np.where(order < 10, PARTS.index("test"), np.where(order < 15, PARTS.index("validation"), 0))


def nine_to_one(subject: NDArray, seed: int) -> NDArray:
    """A tenth of the rows at random tests, a twentieth validates (FaceTuneGAN's CoMA: people are seen).

    Args:
        subject: (N,) int. Whom each row shows.
        seed: Draws other rows.

    Returns:
        (N,) int index into :data:`PARTS`.
    """
    order = np.random.default_rng([seed, 20230]).permutation(len(subject))
    tests, validations = round(0.1 * len(order)), round(0.05 * len(order))
    part = np.zeros(len(order), np.int8)
    part[order[:tests]] = PARTS.index("test")
    part[order[tests : tests + validations]] = PARTS.index("validation")
    return part


def everyone(subject: NDArray, seed: int) -> NDArray:
    """Everybody trains, nobody validates or tests: for a few people who will meet others in use.

    Args:
        subject: (N,) int. Whom each row shows.
        seed: Not used.

    Returns:
        (N,) int index into :data:`PARTS`.
    """
    return np.zeros(len(subject), np.int8)


PROTOCOLS: dict[str, Split] = {
    "subject": by_subject,
    "seven-to-three": seven_to_three,
    "seventeen-to-three": seventeen_to_three,
    "first-ten": first_ten,
    "interleaved": interleaved,
    "nine-to-one": nine_to_one,
    "everyone": everyone,
}


LISTED = "listed-"
"""Begins the name of a division that a file lists, see :mod:`mien.data.split_files`; its hash follows."""
FOLDS = "fold-K-of-N"
"""The form of names such as ``fold-2-of-5``: fold 2 of 5 tests, and every person is in one fold."""

_FOLD = re.compile(r"fold-(\d{1,4})-of-(\d{1,4})")


def assign(protocol: str, subject: NDArray, seed: int) -> NDArray:
    """The part of every row under a named protocol.

    Args:
        protocol: A name of :data:`PROTOCOLS`, or a fold, such as ``fold-2-of-5``.
        subject: (N,) int. Whom each row shows.
        seed: Draws another division, for protocols that draw one.

    Returns:
        (N,) int index into :data:`PARTS`.
    """
    check_protocol(protocol)
    if match := _FOLD.fullmatch(protocol):
        return _fold(subject, seed, int(match[1]), int(match[2]))
    if protocol.startswith(LISTED):
        raise DataMissing(
            "this division is listed in a file that was not given", received=protocol,
            remedy="add --split FILE.csv; every run keeps its own as split.csv",
        )  # fmt: skip
    return PROTOCOLS[protocol](subject, seed)


def check_protocol(name: str) -> None:
    """Raises for a name that no protocol has.

    Raises:
        UnknownName: It is neither in :data:`PROTOCOLS`, nor a fold, nor a division that a file lists.
    """
    if name not in PROTOCOLS and not _FOLD.fullmatch(name) and not name.startswith(LISTED):
        raise UnknownName("protocol", name, [*PROTOCOLS, FOLDS])


def _fold(subject: NDArray, seed: int, number: int, count: int) -> NDArray:
    """One of ``count`` folds of the people tests; of the others, a tenth validates."""
    people = np.unique(subject)
    if not 1 <= number <= count or not 2 <= count <= len(people) or len(people) < 3:
        raise BadSetting(
            "folds count from 1, and there are at least 2 and at most as many as people",
            received=f"fold {number} of {count} for {len(people)} people", remedy="for instance fold-1-of-5",
        )  # fmt: skip
    folds = np.array_split(np.random.default_rng([seed, 20232]).permutation(people), count)
    rest = np.concatenate([*folds[number:], *folds[: number - 1]])  # so that each fold validates others
    part = np.zeros(people.max() + 1, np.int8)
    part[folds[number - 1]] = PARTS.index("test")
    part[rest[: max(1, round(0.1 * len(rest)))]] = PARTS.index("validation")
    return part[subject]


def _people(subject: NDArray, seed: int, *, validation: float, test: float) -> NDArray:
    people = np.unique(subject)
    if len(people) < 3:
        raise BadSetting(
            "a split that keeps people apart needs at least 3 people", received=len(people),
            remedy="add people, or choose the protocol 'everyone' or 'interleaved'",
        )  # fmt: skip
    shuffled = np.random.default_rng([seed, 20231]).permutation(people)
    tests = max(1, round(test * len(people)))
    validations = max(1, round(validation * len(people))) if validation else 0
    part = np.zeros(people.max() + 1, np.int8)
    part[shuffled[:tests]] = PARTS.index("test")
    part[shuffled[tests : tests + validations]] = PARTS.index("validation")
    return part[subject]
