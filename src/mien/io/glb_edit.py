"""A copy of somebody's glTF file, changed in places: what is not changed stays as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.errors import WrongTopology
from mien.io.glb import PrimitiveGroup, parts_of, resting_points, vertex_map_of
from mien.io.glb_buffer import Buffer
from mien.io.gltf_compression import DRACO
from mien.io.gltf_document import Document, draco_of, is_fallback, meshopt_of, primitives_of
from mien.io.gltf_nodes import ShownMesh, shown_meshes
from mien.io.record import Mesh

_PICTURES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}


class Shown(NamedTuple):
    """A mesh of the scene, and where its vertices stand in the Mesh that was read.

    Args:
        place: Node, mesh and matrix.
        parts: Its triangle primitives by shared vertices.
        rows: (G,) int of each part: the row in the Mesh of each of its glTF vertices.
    """

    place: ShownMesh
    parts: list[PrimitiveGroup]
    rows: list[NDArray[np.int64]]


class Edit:
    """The copy: its JSON, and what is appended to its binary chunk.

    Args:
        document: The file; it is not changed.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.json: dict[str, Any] = json.loads(document.text)
        self.buffer = Buffer(self._gathered(), self._own("bufferViews"), self._own("accessors"))
        self._embed_pictures()
        self._edited: set[int] = set()
        self._dropped: set[int] = set()  # views of Draco data that was unpacked
        self._still: dict[int, int] = {}

    def _own(self, key: str) -> list[dict[str, Any]]:
        return self.json.setdefault(key, [])

    def _gathered(self) -> bytes:
        """The bytes of all buffers one behind the other; buffer views find them there."""
        buffers = self._own("buffers")
        if len(buffers) == 1 and "uri" not in buffers[0]:
            return self.document.buffer(0)
        chunks, starts, kept = [b""], {}, [{"byteLength": 0}]
        for number, item in enumerate(buffers):
            if is_fallback(item):
                starts[number] = (len(kept), 0)
                kept.append(item)
                continue
            starts[number] = (0, sum(map(len, chunks)))
            data = self.document.buffer(number)
            chunks.append(data + b"\0" * (-len(data) % 4))
        self.json["buffers"] = kept
        for view in self._own("bufferViews"):
            for item in filter(None, (view, meshopt_of(view))):
                item["buffer"], start = starts[item["buffer"]]
                item["byteOffset"] = item.get("byteOffset", 0) + start
        return b"".join(chunks)

    def _embed_pictures(self) -> None:
        """Takes pictures from files beside a .gltf along: from another folder their names lead nowhere."""
        for number, data in self.document.pictures.items():
            kind = next((kind for start, kind in _PICTURES.items() if data.startswith(start)), None)
            item = self.json["images"][number]
            if kind is not None and not item["uri"].startswith("data:"):
                item |= self.buffer.add_image(data, kind)
                item.setdefault("name", item.pop("uri"))

    def shown(self, mesh: Mesh) -> Iterator[Shown]:
        """The scene's meshes, as :func:`mien.io.glb.read_glb` put them together.

        Args:
            mesh: What was read from the file.
        """
        found, start = [], 0
        for place in shown_meshes(self.document):
            item = self.document.json["meshes"][place.mesh]
            parts, rows = parts_of(self.document, item), []
            for part in parts:
                points = resting_points(self.document, item, self.document.json["nodes"][place.node], part)
                rows.append(start + vertex_map_of(item, points).astype(np.int64))
                start = int(rows[-1].max(initial=start - 1)) + 1
            found.append(Shown(place, parts, rows))
        if start != len(mesh.vertices):
            raise WrongTopology(
                f"the GLB holds {start} vertices", received=f"{len(mesh.vertices)} vertices",
                remedy="give the mesh that was read from this file",
            )  # fmt: skip
        return iter(found)

    def editable(self, place: ShownMesh) -> int:
        """The number of the mesh to change for a node: its own, or a copy if it was changed for another.

        What Draco packs of it is unpacked, as Draco may order vertices in its own way.
        """
        number = place.mesh
        if number in self._edited:
            self.json["meshes"].append(json.loads(json.dumps(self.document.json["meshes"][number])))
            number = len(self.json["meshes"]) - 1
            self.json["nodes"][place.node]["mesh"] = number
        self._edited.add(number)
        for primitive in self.json["meshes"][number]["primitives"]:
            if packed := draco_of(primitive):
                self._unpack(primitive, packed["attributes"], packed["bufferView"])
        return number

    def _unpack(self, primitive: dict[str, Any], attributes: dict[str, int], view: int) -> None:
        del primitive["extensions"][DRACO]
        if not primitive["extensions"]:
            del primitive["extensions"]
        packed = filter(None, map(draco_of, primitives_of(self.json)))
        if view not in self._dropped and all(item["bufferView"] != view for item in packed):
            self.buffer.drop(view)
            self._dropped.add(view)
        numbers = [primitive["indices"], *(primitive["attributes"][name] for name in attributes)]
        for place, number in enumerate(numbers):
            if "bufferView" not in self.buffer.accessors[number]:
                self.buffer.fill(number, self.document.raw(number), indices=place == 0)

    def primitives(self, number: int, shown: Shown) -> Iterator[tuple[dict[str, Any], int | None]]:
        """Each primitive of a mesh with the number of the part whose vertices it uses, or None.

        Args:
            number: The mesh in the copy.
            shown: The mesh as it was read.
        """
        own = {id(item): place for place, part in enumerate(shown.parts) for item in part.primitives}
        positions = {part.positions: place for place, part in enumerate(shown.parts)}
        originals = self.document.json["meshes"][shown.place.mesh]["primitives"]
        for primitive, original in zip(self.json["meshes"][number]["primitives"], originals, strict=True):
            yield primitive, own.get(id(original), positions.get(original["attributes"].get("POSITION")))

    def still(self, count: int) -> int:
        """The number of an accessor that says of ``count`` vertices that none moves."""
        if count not in self._still:
            self._still[count] = self.buffer.add_changes(np.zeros((count, 3)), bounds=True)
        return self._still[count]

    def container(self) -> bytes:
        """The whole file as a GLB."""
        if not any(draco_of(primitive) for primitive in primitives_of(self.json)):
            self._forget(DRACO)
        return self.buffer.container(self.json, self.document.rest)

    def _forget(self, extension: str) -> None:
        """No longer lists an extension that nothing uses."""
        for key in ("extensionsRequired", "extensionsUsed"):
            if extension in (self.json.get(key) or []):
                self.json[key].remove(extension)
                if not self.json[key]:
                    del self.json[key]
