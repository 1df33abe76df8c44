"""Landmarks that a person clicks: pairs of a place on the template and the same place on a head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien.apply import OpenedFace, open_face
from mien.apply.heads import known_people
from mien.data.head_rigs import HeadRig, read_head_rig
from mien.errors import BadFile, BadMesh, BadSetting
from mien.geometry.registration import check_head
from mien.io.endings import GLTF, WITH_SHAPES
from mien.io.glb import Document
from mien.io.landmarks_to_fill import landmarks_to_fill
from mien.io.materials import Material, read_materials
from mien.io.record import Mesh
from mien.landmark_names import landmark_key, landmark_words
from mien.models.base import FaceModel
from mien.models.textbook import Textbook
from mien.topology import Topology
from mien.viewer.wire import pack, spoken

FEWEST = 3  # pairs that place a head
REMEDY = "pick landmarks on it"
POINT_MOST = 1e9  # of a coordinate: what is farther was not clicked on a mesh


class Unplaced(BadMesh):
    """A head that was read and could not be registered by itself: landmarks may help."""


@dataclass(frozen=True, eq=False)
class LoadedHead:
    """A head's mesh with all that its file brought, before a face was found on it.

    Args:
        mesh: As read from its file.
        materials: Colors and pictures of its materials.
        notes: What could not be read of them.
        document: What its glTF file held, or None.
        pieces: What its pieces were said to be, or None.
        rig: Its named shapes, or None.
    """

    mesh: Mesh
    materials: Mapping[str, Material]
    notes: tuple[str, ...] = ()
    document: Document | None = None
    pieces: Mapping[str, str] | None = None
    rig: HeadRig | None = None

    @classmethod
    def of(cls, mesh: Mesh) -> LoadedHead:
        """Reads what lies around a mesh, and its named shapes, while its file is still there."""
        materials, notes = read_materials(mesh)
        path = mesh.path
        document = Document(path) if path is not None and path.suffix.lower() in GLTF else None
        rig, told = (None, ()) if path is None else named_shapes_of(path)
        return cls(mesh, materials, (*notes, *told), document, rig=rig)

    @classmethod
    def of_face(cls, face: OpenedFace, rig: HeadRig | None = None) -> LoadedHead:
        """The head of a face that has been opened before, with the shapes that it brought."""
        return cls(face.mesh, face.materials or {}, document=face.document, pieces=face.pieces, rig=rig)

    def opened(self, guide: FaceModel, landmarks: Mapping[str, NDArray] | None = None) -> OpenedFace:
        """The face for a model, found by itself or placed by landmarks.

        Args:
            guide: Any model; of it topology and people are used.
            landmarks: Name -> (3,) position in the unit, axes and place of the mesh's file.

        Raises:
            Unplaced: No face was found, or the template could not be laid on it.
        """
        check_head(self.mesh.vertices, self.mesh.faces, self.mesh.name)
        try:
            face = open_face(self.mesh, guide, landmarks, pieces=self.pieces)
        except BadMesh as error:
            if len(self.mesh.faces) and len(guide.topology.landmarks) >= FEWEST:
                raise Unplaced(error.cause, received=error.received, remedy=REMEDY) from error
            raise
        notes = (*face.notes, *self.notes)
        return replace(unfactorized(face), materials=self.materials, document=self.document, notes=notes)


@dataclass(frozen=True, eq=False)
class Picking:
    """A head on which landmarks are clicked, drawn at the template's size about the origin.

    Args:
        head: The head.
        topology: The template's.
        name: What the person is called.
        person: Key of the loaded person who is registered again, or None.
        turn: (3, 3) rotation that sets the head upright, if it is known.
    """

    head: LoadedHead
    topology: Topology
    name: str
    person: str | None = None
    turn: NDArray[np.float64] | None = None

    def describe(self) -> bytes:
        """What the page draws: vertices, triangles, the template's landmarks by names that people know."""
        known = self.topology.landmarks
        places = known.positions(self.topology.template)
        named = [name for name in known.names if landmark_words(name) != name] or known.names
        dots = [
            {"name": name, "label": spoken(landmark_words(name)), "at": at.tolist()}
            for name, at in zip(known.names, places, strict=True)
            if name in named
        ]
        mesh = self.head.mesh
        arrays = [self.to_page(mesh.placed).astype(np.float32), mesh.faces.astype(np.float32)]
        head = {
            "name": self.name, "person": self.person, "landmarks": dots, "fewest": FEWEST,
            "layout": {"vertices": int(arrays[0].size), "faces": int(arrays[1].size)},
        }  # fmt: skip
        return pack(head, arrays)

    def to_page(self, points: NDArray) -> NDArray[np.float64]:
        """(..., 3) float64, millimeters: points of the mesh's file as the page draws them.

        Args:
            points: (..., 3) float, the file's unit and axes.
        """
        center, scale = self._frame
        return (np.asarray(points, np.float64) - center) @ self._rotation.T * scale

    def to_file(self, points: NDArray) -> NDArray[np.float64]:
        """(..., 3) float64, the file's unit and axes: points of the page where they lie in the mesh's file.

        Args:
            points: (..., 3) float, millimeters.
        """
        center, scale = self._frame
        return np.asarray(points, np.float64) / scale @ self._rotation + center

    def landmarks(self, pairs: Any) -> dict[str, NDArray[np.float64]]:
        """Name -> (3,) float64, the file's unit and axes: pairs of the page as landmarks of the file.

        Args:
            pairs: What came from the browser.
        """
        if not isinstance(pairs, Mapping):
            raise BadSetting("landmarks map names to positions", received=repr(pairs)[:80])
        found = {}
        for name, at in pairs.items():
            if name not in self.topology.landmarks.names:
                raise BadSetting("the template has no such landmark", received=repr(name)[:80])
            found[name] = self.to_file(_point(at, landmark_words(name)))
        return found

    def pairs(self, names: tuple[str, ...], points: NDArray) -> dict[str, Any]:
        """Landmarks of a file as pairs of the page; names that the template does not know are told.

        Args:
            names: L names, as the file has them.
            points: (L, 3) float, the unit, axes and place of the mesh's file.
        """
        known = self.topology.landmarks.names
        named = [landmark_key(name, known) for name in names]
        kept = {
            name: at.tolist() for name, at in zip(named, self.to_page(points), strict=True) if name in known
        }
        if not kept:
            raise BadSetting(
                "none of these landmarks is one of the template's", received=", ".join(names)[:120],
                remedy="save the table here or with `mien register --save-landmarks FILE.csv`, and fill it",
            )  # fmt: skip
        left_out = [old for old, name in zip(names, named, strict=True) if name not in known]
        return {"pairs": kept, "left_out": left_out}

    def table(self, pairs: Any) -> bytes:
        """The pairs as the CSV that ``mien register --save-landmarks`` writes."""
        return landmarks_to_fill(self.topology, self.landmarks(pairs)).encode()

    def enough(self, pairs: Any) -> dict[str, NDArray[np.float64]]:
        """Name -> (3,) float64: as :meth:`landmarks`, if they are enough to place the head.

        Args:
            pairs: What came from the browser.
        """
        given = self.landmarks(pairs)
        if len(given) < FEWEST:
            raise BadSetting(
                f"{FEWEST} landmarks are needed to place a head", received=len(given), remedy="pick more"
            )
        return given

    def laid(self, face: OpenedFace) -> dict[str, list[float]]:
        """Name -> position on the page where a registration laid the template's landmarks.

        Args:
            face: The head, registered.
        """
        if face.registration is None:
            return {}
        known = self.topology.landmarks
        points = face.registration.placement.back(known.positions(face.vertices).astype(np.float64))
        offset = self.head.mesh.offset
        there = self.to_page(points if offset is None else points + offset)
        return dict(zip(known.names, there.tolist(), strict=True))

    @property
    def _rotation(self) -> NDArray[np.float64]:
        return np.eye(3) if self.turn is None else np.asarray(self.turn, np.float64)

    @property
    def _frame(self) -> tuple[NDArray[np.float64], float]:
        """The middle of the mesh, and what brings its diagonal to the template's."""
        placed = np.asarray(self.head.mesh.placed, np.float64)
        low, high = placed.min(axis=0), placed.max(axis=0)
        size = float(np.linalg.norm(high - low))
        template = float(np.linalg.norm(np.ptp(self.topology.template.astype(np.float64), axis=0)))
        return (low + high) / 2, template / size if size > 0 else 1.0


def unfactorized(face: OpenedFace) -> OpenedFace:
    """A face for the studio's worker process, which cannot be given the matrices that carry results.

    Args:
        face: Any face.
    """
    if face.head is None:
        return face
    return replace(face, head=replace(face.head, registration=replace(face.head.registration)))


def guide_of(model: FaceModel) -> FaceModel:
    """A small model that lays a template on heads as a given one does: with its topology and people.

    Args:
        model: Any model, of any size; the guide is what another process needs of it.
    """
    guide, people = Textbook(model.topology, ("rest",)), known_people(model)
    shape = (0, model.topology.vertex_count, 3)
    modes = torch.zeros(shape) if people is None else torch.from_numpy(people)
    guide.set_shapes(torch.zeros(1, *shape[1:]), modes)
    guide.face_points = model.face_points
    return guide.eval()


def named_shapes_of(path: Path) -> tuple[HeadRig | None, tuple[str, ...]]:
    """The named shapes that a head's file brings, and what to say where it has some that are of no use."""
    if path.suffix.lower() not in WITH_SHAPES:
        return None, ()
    try:
        return read_head_rig(path), ()
    except BadFile:  # the mesh was read from it: it has none
        return None, ()
    except BadMesh as error:
        return None, (f"{error.cause[:1].upper()}{error.cause[1:]}.",)


def _point(at: Any, name: str) -> NDArray[np.float64]:
    """(3,) of three finite numbers from the browser."""
    try:
        point = np.array(at, np.float64)
    except (TypeError, ValueError):
        point = np.zeros(0)
    if point.shape != (3,) or not (np.abs(point) < POINT_MOST).all():
        raise BadSetting(f"the landmark {name!r} is no position", received=repr(at)[:80])
    return point
