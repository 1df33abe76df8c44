"""What a file may ask of this machine, derived from its own size: the limits that all readers share."""

from __future__ import annotations

MOST_VERTICES = 2_000_000
"""Vertices of a mesh that is read; also the polygons' corners are bounded, see :data:`MOST_CORNERS`."""
MOST_HEAD_VERTICES = 400_000
"""Vertices of a head that is registered and rigged: what its movements are solved by grows with them."""
MOST_CORNERS = 6 * MOST_VERTICES
MOST_MESH_BYTES = 2**30
"""Of a mesh file."""
UNPACKED_ALWAYS = 2**28
"""Bytes that any compressed file may unpack to."""
UNPACKED_TIMES = 64
"""Times its own size that a larger file may unpack to; real data pack to a tenth at best."""


def unpacked_limit(size: int) -> int:
    """Bytes that a compressed file may unpack to.

    Args:
        size: Of the file, in bytes.
    """
    return max(UNPACKED_ALWAYS, UNPACKED_TIMES * size)
