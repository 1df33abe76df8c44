"""Small glTF files as other programs write them, for tests."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

KINDS = {np.dtype("i1"): 5120, np.dtype("u1"): 5121, np.dtype("i2"): 5122, np.dtype("u2"): 5123,
         np.dtype("u4"): 5125, np.dtype("f4"): 5126}  # fmt: skip
TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}


def sheet(columns: int = 5, rows: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A bent sheet: (V, 3) float32 points, (V, 2) texture coordinates, (F, 3) triangles."""
    x, y = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    points = np.stack([x, y, 0.2 * np.sin(3 * x) + 0.1 * y**2], axis=-1).reshape(-1, 3).astype("<f4")
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    quads = np.stack([first, first + 1, first + columns + 1, first + columns], axis=1)
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return points, np.stack([x, y], axis=-1).reshape(-1, 2).astype("<f4"), faces


class File:
    """A glTF file in the making: arrays are appended, the JSON is written by hand."""

    def __init__(self) -> None:
        self.json: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": "somebody"}, "scene": 0, "scenes": [{"nodes": [0]}],
            "nodes": [], "meshes": [], "accessors": [], "bufferViews": [], "buffers": [],
        }  # fmt: skip
        self.binary = b""

    def view(self, content: bytes, **others: Any) -> int:
        """Appends bytes; the number of their buffer view."""
        self.json["bufferViews"].append(
            {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(content), **others}
        )
        self.binary += content + b"\0" * (-len(content) % 4)
        return len(self.json["bufferViews"]) - 1

    def accessor(
        self, rows: np.ndarray, *, bounds: bool = False, data: bool = True, target: int | None = 34962,
        **others: Any,
    ) -> int:  # fmt: skip
        """Appends (n,) or (n, k) values; the number of their accessor."""
        rows = np.asarray(rows)
        width = 1 if rows.ndim == 1 else rows.shape[1]
        item = {"componentType": KINDS[rows.dtype], "count": len(rows), "type": TYPES[width], **others}
        if data:
            size = width * rows.itemsize
            stride = {"byteStride": size + -size % 4} if target == 34962 and size % 4 else {}
            if stride:
                padded = np.zeros((len(rows), stride["byteStride"]), "u1")
                padded[:, :size] = np.ascontiguousarray(rows).view("u1").reshape(len(rows), size)
                rows_bytes = padded.tobytes()
            else:
                rows_bytes = rows.tobytes()
            kind = {} if target is None else {"target": target}
            item["bufferView"] = self.view(rows_bytes, **stride, **kind)
        if bounds:
            flat = rows.reshape(len(rows), -1)
            item |= {"min": flat.min(axis=0).tolist(), "max": flat.max(axis=0).tolist()}
        self.json["accessors"].append(item)
        return len(self.json["accessors"]) - 1

    def primitive(self, points: np.ndarray, faces: np.ndarray, **attributes: np.ndarray) -> dict[str, Any]:
        """A primitive of triangles; further attributes by their names."""
        made = {"POSITION": self.accessor(points, bounds=True)}
        made |= {name: self.accessor(rows) for name, rows in attributes.items()}
        indices = self.accessor(np.asarray(faces, "<u2").ravel(), target=34963)
        return {"attributes": made, "indices": indices}

    def mesh(self, *primitives: dict[str, Any], **others: Any) -> int:
        """Appends a mesh."""
        self.json["meshes"].append({"primitives": list(primitives), **others})
        return len(self.json["meshes"]) - 1

    def node(self, **item: Any) -> int:
        """Appends a node."""
        self.json["nodes"].append(item)
        return len(self.json["nodes"]) - 1

    def animation(self, name: str, times: np.ndarray, outputs: list[tuple[np.ndarray, list[int]]],
                  kind: str = "LINEAR") -> None:  # fmt: skip
        """Appends an animation of weights: each output with the nodes that it drives."""
        start = self.accessor(np.asarray(times, "<f4"), bounds=True, target=None)
        item: dict[str, Any] = {"name": name, "samplers": [], "channels": []}
        for values, nodes in outputs:
            normalized = {"normalized": True} if values.dtype.kind == "u" else {}
            output = self.accessor(values.ravel(), target=None, **normalized)
            item["samplers"].append({"input": start, "output": output, "interpolation": kind})
            for node in nodes:
                sampler = len(item["samplers"]) - 1
                item["channels"].append({"sampler": sampler, "target": {"node": node, "path": "weights"}})
        self.json.setdefault("animations", []).append(item)

    def requires(self, *extensions: str) -> None:
        """Lists extensions as used and required."""
        self.json["extensionsUsed"] = self.json["extensionsRequired"] = list(extensions)

    def save(self, path: Path) -> Path:
        """Writes a GLB file."""
        rest = self.json["buffers"][1:]
        self.json["buffers"] = [{"byteLength": len(self.binary)}, *rest]
        path.write_bytes(container(json.dumps(self.json).encode(), self.binary))
        return path

    def save_apart(self, folder: Path) -> Path:
        """Writes a .gltf file with its buffer beside it."""
        (folder / "data").mkdir()
        (folder / "data" / "a b.bin").write_bytes(self.binary)
        self.json["buffers"] = [{"byteLength": len(self.binary), "uri": "data/a%20b.bin"}]
        (folder / "head.gltf").write_text(json.dumps(self.json))
        return folder / "head.gltf"


def container(text: bytes, binary: bytes) -> bytes:
    """The bytes of a GLB file."""
    text += b" " * (-len(text) % 4)
    total = 28 + len(text) + len(binary)
    head = struct.pack("<4sIIII", b"glTF", 2, total, len(text), 0x4E4F534A)
    return head + text + struct.pack("<II", len(binary), 0x004E4942) + binary
