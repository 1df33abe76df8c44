"""Compressed glTF data: Draco primitives and meshopt buffer views, each by the library made for it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, require
from mien.limits import MOST_CORNERS

DRACO = "KHR_draco_mesh_compression"
MESHOPT = ("EXT_meshopt_compression", "KHR_meshopt_compression")
MOST_ROWS = MOST_CORNERS  # vertices or indices that compressed or empty data may claim
# The library's function of each filter, and the row sizes in bytes that the format allows.
_FILTERS = {
    "OCTAHEDRAL": ("decode_filter_oct", (4, 8)),
    "QUATERNION": ("decode_filter_quat", (8,)),
    "EXPONENTIAL": ("decode_filter_exp", range(4, 257, 4)),
}


class Unpacked(NamedTuple):
    """A decoded Draco primitive.

    Args:
        corners: (3 F, 1) uint32 vertex of each triangle corner.
        attributes: Draco number -> (n, k) values.
    """

    corners: NDArray[np.uint32]
    attributes: dict[int, NDArray]


def unpack_draco(data: bytes) -> Unpacked:
    """Decodes a Draco primitive.

    Args:
        data: The bytes of its buffer view.
    """
    codec = require("DracoPy", "gltf")
    try:
        mesh = codec.decode(data)
        corners = np.asarray(mesh.faces, np.uint32).reshape(-1, 1)
        attributes = {int(item["unique_id"]): np.asarray(item["data"]) for item in mesh.attributes}
    except (ValueError, TypeError, AttributeError, RuntimeError, codec.FileTypeException) as error:
        raise BadFile("the Draco data of the file is damaged", received=str(error) or type(error).__name__,
                      remedy="export it again, best without compression") from None  # fmt: skip
    return Unpacked(corners, {number: rows.reshape(len(rows), -1) for number, rows in attributes.items()})


def unpack_meshopt(data: bytes, item: dict[str, Any]) -> bytes:
    """Decodes a meshopt buffer view.

    Args:
        data: Its compressed bytes.
        item: What the extension says of it: ``count``, ``byteStride``, ``mode``, ``filter``.

    Returns:
        ``count`` times ``byteStride`` bytes.
    """
    codec = require("meshoptimizer", "gltf")
    count, stride, mode, chosen = item["count"], item["byteStride"], item["mode"], item.get("filter", "NONE")
    if not 0 < count <= MOST_ROWS or mode == "TRIANGLES" and count % 3:
        raise ValueError(f"meshopt data claims {count} rows")
    try:
        if mode != "ATTRIBUTES":
            name = {"TRIANGLES": "decode_index_buffer", "INDICES": "decode_index_sequence"}[mode]
            return getattr(codec, name)(count, stride, data).tobytes()[: count * stride]
        rows = codec.decode_vertex_buffer(count, stride, data)
        return (rows if chosen == "NONE" else _filtered(codec, rows, count, stride, chosen)).tobytes()
    except RuntimeError as error:
        raise BadFile("the meshopt data of the file is damaged", received=str(error),
                      remedy="export it again, best without compression") from None  # fmt: skip


def _filtered(codec: Any, rows: NDArray, count: int, stride: int, name: str) -> NDArray:
    if name not in _FILTERS:
        raise BadFile("the meshopt data of the file uses a filter that Mien does not know", received=name,
                      remedy="export it with EXT_meshopt_compression, or without compression")  # fmt: skip
    function, strides = _FILTERS[name]
    if stride not in strides:  # the library trusts them
        raise ValueError(f"the meshopt filter {name} has no rows of {stride} bytes")
    return getattr(codec, function)(rows, count, stride)
