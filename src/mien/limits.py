"""What a file may ask of this machine, derived from its own size, and which numbers a person may give."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

from mien.errors import BadMesh, BadSetting

MOST_VERTICES = 2_000_000
"""Vertices of a mesh that is read; also the polygons' corners are bounded, see :data:`MOST_CORNERS`."""
MOST_HEAD_VERTICES = 400_000
"""Vertices of a head that is registered and rigged: what its movements are solved by grows with them."""
MOST_CORNERS = 6 * MOST_VERTICES
MOST_TARGET_ROWS = 2 * MOST_CORNERS
"""Vertices of all morph targets of a file together, where the file is not itself larger in bytes."""
MOST_PIXELS = 2**27
"""Of one image: more than 8192 x 8192, and not more than 400 MB when it is unpacked."""
MOST_MESH_BYTES = 2**30
"""Of a mesh file."""
UNPACKED_ALWAYS = 2**28
"""Bytes that any compressed file may unpack to."""
UNPACKED_TIMES = 64
"""Times its own size that a larger file may unpack to; real data pack to a tenth at best."""
LARGEST_NUMBER = 1e12
"""Of any that a person gives: nothing in a face or its training is larger, and sums of it are still exact."""
LARGEST_WEIGHT = 100.0
"""Of a named expression, of a shape in a sum of shapes, and of a factor on such: 1 is the whole of it."""
LARGEST_SEED = 2**32 - 1
"""Every generator of random numbers takes it."""
_SEEDS = ("seed", "seeds", "more", "split_seed")


def unpacked_limit(size: int) -> int:
    """Bytes that a compressed file may unpack to.

    Args:
        size: Of the file, in bytes.
    """
    return max(UNPACKED_ALWAYS, UNPACKED_TIMES * size)


def check_head_size(count: int, name: str) -> None:
    """Raises BadMesh for a head of more vertices than :data:`MOST_HEAD_VERTICES`.

    Args:
        count: Of its vertices.
        name: What to call it.
    """
    if count > MOST_HEAD_VERTICES:
        raise BadMesh(
            f"{name!r} has more vertices than a head that is registered may have",
            received=f"{count:,}; allowed are {MOST_HEAD_VERTICES:,}",
            remedy="decimate a copy of it, as Blender's Decimate does, and use that",
        )  # fmt: skip


def check_seed(seed: Any, what: str = "seed") -> None:
    """Raises BadSetting unless a seed is a whole number that every generator takes.

    Args:
        seed: What was given.
        what: What to call it.
    """
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= LARGEST_SEED:
        raise BadSetting(f"{what} is no seed", received=seed, remedy="give a whole number from 0 to 2^32 - 1")


def numbers_in(value: Any) -> Iterator[int | float]:
    """The numbers of a value and of lists and tables in it; true and false are none."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from numbers_in(part)


def numbers_checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command whose numbers are refused, by the name of their option, where they are no finite ones.

    Parsers take ``nan`` for a number within any range.

    Args:
        function: What is called with keywords for its options.
    """

    @functools.wraps(function)
    def checked(**options: Any) -> Any:
        for name, value in options.items():
            what = "--" + ("seeds" if name == "more" else name).replace("_", "-")
            for number in numbers_in(value):
                if name in _SEEDS:
                    check_seed(number, what)
                elif not math.isfinite(number) or abs(number) > LARGEST_NUMBER:
                    remedy = f"give a finite number, at most {LARGEST_NUMBER:,.0f} in size"
                    raise BadSetting(f"{what} is out of range", received=number, remedy=remedy)
        return function(**options)

    return checked
