"""A glTF file as read: its JSON, and the arrays that the JSON describes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile, DataMissing
from mien.io.gltf_compression import DRACO, MESHOPT, MOST_ROWS, Unpacked, unpack_draco, unpack_meshopt
from mien.io.gltf_container import parse_json, read_container, resource

COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
TEXTURE_TRANSFORM = "KHR_texture_transform"

#: Extensions that Mien reads, or that say nothing of where vertices are, by name or by what it begins with.
UNDERSTOOD = (
    DRACO, *MESHOPT, "KHR_mesh_quantization", TEXTURE_TRANSFORM,
    "KHR_materials_", "KHR_lights_", "KHR_texture_", "KHR_xmp", "KHR_animation_pointer",
    "KHR_node_", "KHR_audio", "KHR_techniques_webgl", "EXT_texture_", "EXT_lights_", "EXT_mesh_manifold",
    "MSFT_texture_", "MSFT_lod", "MSFT_packing_", "VRM",
)  # fmt: skip

#: What reading a damaged file raises, whatever is wrong with it.
DAMAGE = (
    KeyError, IndexError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError, RecursionError,
)  # fmt: skip


class Document:
    """A parsed ``.glb``, ``.vrm`` or ``.gltf`` file; it does not need its files again.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text, self.binary, self.rest = read_container(path)
        self.json: dict[str, Any] = parse_json(self.text, path.name)
        self._beside: dict[str, bytes] = {}
        with reading(path):
            self._check_extensions()
            self._buffers = [self._load(number, item) for number, item in enumerate(self._list("buffers"))]
            self.pictures = self._load_pictures()
        self._views: dict[int, bytes] = {}
        self._unpacked: dict[int, Unpacked] = {}

    def _check_extensions(self) -> None:
        needed = self.json.get("extensionsRequired") or []
        unknown = [name for name in needed if not name.startswith(UNDERSTOOD)]
        if unknown:
            raise BadFile(
                f"{self.path.name!r} needs glTF extensions that Mien does not read",
                received=", ".join(unknown), remedy="export it without them",
            )  # fmt: skip

    def _list(self, key: str) -> list[dict[str, Any]]:
        return self.json.get(key) or []

    def _resource(self, address: str) -> bytes:
        """What lies elsewhere, once however often it is named."""
        if address not in self._beside:
            self._beside[address] = resource(self.path.parent, address)
        return self._beside[address]

    @property
    def size(self) -> int:
        """Bytes of all that the file's arrays are in, what is named twice counted once."""
        return sum(len(data) for data in {id(data): data for data in self._buffers}.values())

    def _load(self, number: int, item: dict[str, Any]) -> bytes:
        """A buffer's bytes; those that stand in for compressed ones have none."""
        if "uri" in item:
            data = self._resource(item["uri"])
        else:
            data = (self.binary or b"") if number == 0 else b""
        if is_fallback(item):
            return b""
        if _count(item["byteLength"]) > len(data):
            raise ValueError(f"buffer {number} has {len(data)} of {item['byteLength']} bytes")
        return data

    def _load_pictures(self) -> dict[int, bytes]:
        """Image -> bytes, of those in other files. One that is missing changes no vertex and is left out."""
        found: dict[int, bytes] = {}
        for number, item in enumerate(self._list("images")):
            try:
                found |= {number: self._resource(item["uri"])} if "uri" in item else {}
            except (DataMissing, BadFile):
                continue
        return found

    def buffer(self, number: int) -> bytes:
        """The bytes of a buffer."""
        return self._buffers[number]

    def view(self, number: int) -> bytes:
        """The bytes of a buffer view, decompressed."""
        if number not in self._views:
            part = self.json["bufferViews"][number]
            packed = meshopt_of(part)
            self._views[number] = unpack_meshopt(self._slice(packed), packed) if packed else self._slice(part)
        return self._views[number]

    def _slice(self, part: dict[str, Any]) -> bytes:
        data = self._buffers[part["buffer"]]
        start, length = _count(part.get("byteOffset", 0)), _count(part["byteLength"])
        if start + length > len(data):
            raise IndexError("a buffer view reaches beyond its buffer")
        return data[start : start + length]

    def accessor(self, number: int) -> NDArray:
        """(n, k) values of an accessor as the file's reader sees them: sparse changes in, integers scaled."""
        rows, item = self.raw(number), self.json["accessors"][number]
        if not item.get("normalized") or rows.dtype.kind == "f":
            return rows
        return np.maximum(rows.astype(np.float32) / np.iinfo(rows.dtype).max, np.float32(-1))

    def raw(self, number: int) -> NDArray:
        """(n, k) values of an accessor as they are stored, sparse changes in."""
        item = self.json["accessors"][number]
        kind, width, count = COMPONENTS[item["componentType"]], WIDTHS[item["type"]], _count(item["count"])
        if "bufferView" in item:
            rows = self._rows(item["bufferView"], item.get("byteOffset", 0), kind, count, width)
        elif number in self._packed:
            rows = self._from_draco(*self._packed[number], kind, count, width)
        else:
            rows = np.zeros((_bounded(count * width) // width, width), kind)
        return self._with_sparse(rows, item["sparse"], kind) if "sparse" in item else rows

    def _with_sparse(self, rows: NDArray, sparse: dict[str, Any], kind: str) -> NDArray:
        index, values, count = sparse["indices"], sparse["values"], _count(sparse["count"])
        at = self._rows(
            index["bufferView"], index.get("byteOffset", 0), COMPONENTS[index["componentType"]], count, 1
        )
        new = self._rows(values["bufferView"], values.get("byteOffset", 0), kind, count, rows.shape[1])
        rows = rows.copy()
        rows[at.ravel()] = new
        return rows

    def _rows(self, view: int, offset: int, kind: str, count: int, width: int) -> NDArray:
        data, size = self.view(view), np.dtype(kind).itemsize
        stride = _count(self.json["bufferViews"][view].get("byteStride", 0)) or size * width
        if count and _count(offset) + stride * (count - 1) + size * width > len(data):
            raise IndexError("an accessor reaches beyond its buffer view")
        return np.ndarray((_bounded(count) if stride < size * width else count, width), kind, data, offset,
                          (stride, size))  # fmt: skip

    @cached_property
    def material_names(self) -> list[str]:
        """A name for each material, all different."""
        names: dict[str, int] = {}
        for number, item in enumerate(self._list("materials")):
            name = str(item.get("name") or f"material_{number}")
            names[name if name not in names else f"{name}_{number}"] = number
        return list(names)

    @cached_property
    def _packed(self) -> dict[int, tuple[int, int | None]]:
        """Accessor -> Draco view, and the number of the attribute in it (None: the triangles)."""
        found: dict[int, tuple[int, int | None]] = {}
        for primitive in primitives_of(self.json):
            if packed := draco_of(primitive):
                for name, attribute in packed["attributes"].items():
                    found.setdefault(primitive["attributes"][name], (packed["bufferView"], attribute))
                found.setdefault(primitive["indices"], (packed["bufferView"], None))
        return found

    def _from_draco(self, view: int, attribute: int | None, kind: str, count: int, width: int) -> NDArray:
        if view not in self._unpacked:
            self._unpacked[view] = unpack_draco(self.view(view))
        unpacked = self._unpacked[view]
        rows = unpacked.corners if attribute is None else unpacked.attributes[attribute]
        if rows.shape != (count, width):
            raise ValueError(f"Draco data holds {rows.shape} values where {(count, width)} are announced")
        return rows.astype(kind)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns what a damaged file breaks into one sentence.

    Args:
        path: The file that is read meanwhile.
    """
    try:
        yield
    except DAMAGE as error:
        raise BadFile(
            f"{path.name!r} is a damaged glTF file", received=str(error) or type(error).__name__,
            remedy="export it again",
        ) from error  # fmt: skip


def primitives_of(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All primitives of all meshes."""
    for mesh in document.get("meshes") or []:
        yield from mesh["primitives"]


def draco_of(primitive: dict[str, Any]) -> dict[str, Any] | None:
    """What the Draco extension says of a primitive, or None."""
    return (primitive.get("extensions") or {}).get(DRACO)


def meshopt_of(item: dict[str, Any]) -> dict[str, Any] | None:
    """What a meshopt extension says of a buffer view or a buffer, or None."""
    extensions = item.get("extensions") or {}
    return next((extensions[name] for name in MESHOPT if name in extensions), None)


def is_fallback(buffer: dict[str, Any]) -> bool:
    """Whether a buffer only stands in for compressed data, for readers without meshopt."""
    return bool((meshopt_of(buffer) or {}).get("fallback"))


def _count(value: Any) -> int:
    """A number of things or bytes."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def _bounded(count: int) -> int:
    """A number of values that no data of the file stands for."""
    if count > MOST_ROWS:
        raise ValueError(f"an accessor without data claims {count} values")
    return count
