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
        self, binary: bytes = b"", views: list[dict[str, int]] | None = None,
        accessors: list[dict[str, Any]] | None = None,
    ) -> None:  # fmt: skip
        self._parts: list[bytes] = [binary + b"\0" * (-len(binary) % 4)]
        self._length = len(self._parts[0])
        self.views = views if views is not None else []
        self.accessors = accessors if accessors is not None else []

    def _view(self, content: bytes, **kind: int) -> int:
        self.views.append({"buffer": 0, "byteOffset": self._length, "byteLength": len(content), **kind})
        padded = content + b"\0" * (-len(content) % 4)
        self._parts.append(padded)
        self._length += len(padded)
        return len(self.views) - 1

    def add(self, rows: NDArray, kind: str, *, bounds: bool = False, vertices: bool = True) -> int:
        """Appends (n, k) floats; the number of their accessor."""
        rows = np.ascontiguousarray(rows, "<f4")
        view = self._view(rows.tobytes(), **({"target": _VERTEX_DATA} if vertices else {}))
        accessor = {"bufferView": view, "componentType": _FLOAT, "count": len(rows), "type": kind}
        if bounds:
            accessor |= {"min": rows.min(axis=0).tolist(), "max": rows.max(axis=0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def add_indices(self, corners: NDArray) -> int:
        """Appends triangle corners (n,) int in the smallest type that never uses its largest value."""
        small = corners.max() < 65535
        view = self._view(corners.astype("<u2" if small else "<u4").tobytes(), target=_INDEX_DATA)
        kind = _UINT16 if small else _UINT32
        self.accessors.append(
            {"bufferView": view, "componentType": kind, "count": len(corners), "type": "SCALAR"}
        )
        return len(self.accessors) - 1

    def add_image(self, content: bytes, kind: str) -> dict[str, Any]:
        """Appends an encoded picture."""
        return {"bufferView": self._view(content), "mimeType": kind}

    def container(self, document: dict[str, Any]) -> bytes:
        """The whole GLB file."""
        document |= {
            "accessors": self.accessors,
            "bufferViews": self.views,
            "buffers": [{"byteLength": self._length}],
        }
        text = json.dumps(document, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        binary = b"".join(self._parts)
        total = 12 + 8 + len(text) + 8 + len(binary)
        head = struct.pack("<4sIIII", b"glTF", 2, total, len(text), 0x4E4F534A)
        return head + text + struct.pack("<II", len(binary), 0x004E4942) + binary
