"""The binary chunk of a GLB file in the making."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOAT, _UINT16, _UINT32 = 5126, 5123, 5125
_VERTEX_DATA, _INDEX_DATA = 34962, 34963


class Buffer:
    """The binary chunk, and the accessors that describe what lies where in it.

    Args:
        binary: What is in it already.
        views: The buffer views of that.
        accessors: The accessors of that.
    """

    def __init__(
        self, binary: bytes = b"", views: list[dict[str, Any]] | None = None,
        accessors: list[dict[str, Any]] | None = None,
    ) -> None:  # fmt: skip
        self._parts: list[bytes] = [binary + b"\0" * (-len(binary) % 4)]
        self._length = len(self._parts[0])
        self.views = views if views is not None else []
        self.accessors = accessors if accessors is not None else []
        self._free: list[int] = []

    def _view(self, content: bytes, **kind: int) -> int:
        item = {"buffer": 0, "byteOffset": self._length, "byteLength": len(content), **kind}
        padded = content + b"\0" * (-len(content) % 4)
        self._parts.append(padded)
        self._length += len(padded)
        if self._free:
            number = self._free.pop()
            self.views[number] = item
            return number
        self.views.append(item)
        return len(self.views) - 1

    def drop(self, number: int) -> None:
        """Takes out the bytes of a view that nothing uses any more; the next that is added gets its number.

        Where other views lie in between, or are packed themselves, the bytes stay.

        Args:
            number: The view, of the bytes that were in it from the start.
        """
        start = self.views[number].get("byteOffset", 0)
        first, last = start + -start % 4, start + self.views[number]["byteLength"]
        last = min(last + -last % 4, len(self._parts[0]))
        placed = [
            item
            for other, view in enumerate(self.views)
            for item in (view, *(view.get("extensions") or {}).values())
            if other != number and item.get("buffer") == 0
        ]
        self._free.append(number)
        self.views[number] = {"buffer": 0, "byteLength": 1}
        if any(item.get("byteOffset", 0) < last and first < _end(item) for item in placed):
            return
        self._parts[0] = self._parts[0][:first] + self._parts[0][last:]
        self._length -= last - first
        for item in placed:
            if item.get("byteOffset", 0) >= last:
                item["byteOffset"] -= last - first

    def add(self, rows: NDArray, kind: str, *, bounds: bool = False, vertices: bool = True) -> int:
        """Appends floats; the number of their accessor.

        Args:
            rows: (n, k) float.
            kind: What the format calls k numbers: ``SCALAR``, ``VEC2``, ``VEC3``.
            bounds: Whether to say the least and largest values.
            vertices: Whether they belong to vertices.
        """
        rows = np.ascontiguousarray(rows, "<f4")
        view = self._view(rows.tobytes(), **({"target": _VERTEX_DATA} if vertices else {}))
        return self._accessor({"bufferView": view, **_described(rows, kind, bounds)})

    def add_changes(self, rows: NDArray, *, bounds: bool = False) -> int:
        """Appends changes of vertices, most of which may be zero; the number of their accessor.

        Args:
            rows: (n, 3) float.
            bounds: Whether to say the least and largest values.
        """
        rows = np.ascontiguousarray(rows, "<f4")
        at = np.flatnonzero(rows.any(axis=1))
        index = at.astype("<u2" if len(rows) <= 65535 else "<u4")
        if len(at) and index.nbytes + at.size * rows[0].nbytes >= rows.nbytes:
            return self.add(rows, "VEC3", bounds=bounds)
        accessor = _described(rows, "VEC3", bounds)
        if len(at):  # without any the format takes all as zero
            kind = _UINT16 if index.itemsize == 2 else _UINT32
            accessor["sparse"] = {
                "count": len(at),
                "indices": {"bufferView": self._view(index.tobytes()), "componentType": kind},
                "values": {"bufferView": self._view(rows[at].tobytes())},
            }
        return self._accessor(accessor)

    def _accessor(self, item: dict[str, Any]) -> int:
        self.accessors.append(item)
        return len(self.accessors) - 1

    def fill(self, number: int, rows: NDArray, *, indices: bool = False) -> None:
        """Gives an accessor that had no data of its own the values that it describes.

        Args:
            number: The accessor.
            rows: (n, k), in the accessor's own component type.
            indices: Whether these are triangle corners; otherwise they belong to vertices.
        """
        item, size = self.accessors[number], rows.shape[1] * rows.itemsize
        kind = {"target": _INDEX_DATA if indices else _VERTEX_DATA}
        content = np.ascontiguousarray(rows)
        if size % 4 and not indices:  # rows of vertex data start at multiples of four bytes
            padded = np.zeros((len(rows), size + -size % 4), np.uint8)
            padded[:, :size] = content.view(np.uint8).reshape(len(rows), size)
            content, kind["byteStride"] = padded, padded.shape[1]
        item["bufferView"] = self._view(content.tobytes(), **kind)
        item.pop("byteOffset", None)
        if "min" in item or "max" in item:
            item |= {"min": rows.min(axis=0).tolist(), "max": rows.max(axis=0).tolist()}

    def add_indices(self, corners: NDArray) -> int:
        """Appends triangle corners in the smallest type that never uses its largest value.

        Args:
            corners: (3 F,) int.
        """
        small = corners.max() < 65535
        view = self._view(corners.astype("<u2" if small else "<u4").tobytes(), target=_INDEX_DATA)
        kind = _UINT16 if small else _UINT32
        return self._accessor(
            {"bufferView": view, "componentType": kind, "count": len(corners), "type": "SCALAR"}
        )

    def add_image(self, content: bytes, kind: str) -> dict[str, Any]:
        """Appends an encoded picture."""
        return {"bufferView": self._view(content), "mimeType": kind}

    def container(self, document: dict[str, Any], rest: bytes = b"") -> bytes:
        """The whole GLB file.

        Args:
            document: Its JSON; accessors, views and the first buffer are set here.
            rest: Further chunks.
        """
        first = {key: value for key, value in (document.get("buffers") or [{}])[0].items() if key != "uri"}
        document |= {
            "accessors": self.accessors,
            "bufferViews": self.views,
            "buffers": [first | {"byteLength": self._length}, *(document.get("buffers") or [])[1:]],
        }
        text = json.dumps(document, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        binary = b"".join(self._parts)
        total = 12 + 8 + len(text) + 8 + len(binary) + len(rest)
        head = struct.pack("<4sIIII", b"glTF", 2, total, len(text), 0x4E4F534A)
        return head + text + struct.pack("<II", len(binary), 0x004E4942) + binary + rest


def _end(view: dict[str, Any]) -> int:
    return int(view.get("byteOffset", 0) + view["byteLength"])


def _described(rows: NDArray, kind: str, bounds: bool) -> dict[str, Any]:
    """What an accessor says of (n, k) float32 values."""
    item = {"componentType": _FLOAT, "count": len(rows), "type": kind}
    limits = {"min": rows.min(axis=0).tolist(), "max": rows.max(axis=0).tolist()} if bounds else {}
    return item | limits
