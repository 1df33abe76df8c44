"""Heads of any topology: opened for a model, and given back with their own vertices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.apply.abilities import refusal
from mien.apply.coding import Faces
from mien.apply.generation import generate
from mien.errors import BadSetting
from mien.find.face import INSIDE_OUT, Found, find_face, searcher_for
from mien.find.given import place_by_given
from mien.find.handedness import told_handedness
from mien.find.lids import eyes_are_closed
from mien.find.search import Searcher
from mien.geometry.alignment import UNITS, FrameDecision, quarter_turns
from mien.geometry.contact import Meets
from mien.geometry.named_pieces import NamedPieces, NamedTriangles
from mien.geometry.part_list import piece_rows, pieces_sentence
from mien.geometry.procrustes import procrustes
from mien.geometry.registration import Registration, check_head, register, standing
from mien.geometry.rest_pose import MouthGap, mouth_gap
from mien.io.landmarks import read_landmarks
from mien.io.record import Mesh
from mien.models.base import FaceModel
from mien.topology import Topology

Landmarks = Mapping[str, Any] | str | Path
"""Name -> (3,) position on a mesh, in its unit and axes, or a file of them."""

EYES_CLOSED = (
    "the eyes are closed at rest: eyeBlink finds nothing to close, and lids that open open from there"
)
_PEOPLE, _MODES = 160, 40
_UNIT_FACTOR = 1.6  # heads differ less in size than this; farther from every unit a mesh has none


@dataclass(frozen=True, eq=False)
class Head:
    """A mesh of any topology, in correspondence with a model.

    Args:
        mesh: As read from its file.
        registration: The model's template, lying on the mesh.
    """

    mesh: Mesh
    registration: Registration

    @property
    def vertices(self) -> Faces:
        """(V, 3) float32, millimeters: this face for the model, on the model's topology."""
        return self.registration.vertices

    def carry(self, faces: NDArray, gaze: NDArray | None = None, meets: Meets | None = None) -> Faces:
        """(..., N, 3) float32, the mesh's unit and axes: the mesh when the model's face is (..., V, 3).

        Args:
            faces: (..., V, 3) float, millimeters.
            gaze: (..., 2, 2) degrees, see :func:`mien.data.arkit.gaze_of`: where its eyeballs look.
            meets: In which of (B, V, 3) faces lids or lips close, see :func:`mien.data.arkit.meets_of`.
        """
        return self.registration.carry(faces, gaze, meets)

    def with_pieces(self, pieces: Mapping[str, str]) -> Head:
        """The same head with pieces that are said to be something else; its skin stays what it is.

        Args:
            pieces: As for :func:`open_head`.
        """
        found, mesh = self.registration, self.mesh
        told = NamedPieces.of(found.mesh_vertices, found.mesh_faces, naming_of(mesh), pieces)
        return replace(self, registration=replace(found, pieces=told))

    @cached_property
    def mouth(self) -> MouthGap:
        """How far the mouth stands open."""
        return mouth_gap(self.registration.vertices, self.registration.topology)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What its user should know: how it was registered, what its pieces are, whether it is at rest."""
        notes = [self.decision.sentence]
        if sentence := pieces_sentence(self.registration.carrier.parts):
            notes.append(sentence)
        if self.mouth.is_parted:
            notes.append(
                f"The lips stand {self.mouth.millimeters:.0f} mm apart: what is made is added to that, "
                "jawOpen opens the mouth further, and nothing closes it."
            )
        if stray := int(self.registration.carrier.stray.sum()):
            belong = (
                "vertices belong to no triangle: they rest"
                if stray > 1
                else "vertex belongs to no triangle: it rests"
            )
            notes.append(f"{stray} {belong}.")
        if fins := int(self.registration.carrier.fins.sum()):
            notes.append(
                f"{fins} vertices stand out from the skin so that they would be flung about: their neighbors "
                "hold them."
            )
        return tuple(notes)

    @property
    def has_eyeballs(self) -> bool:
        """Whether the mesh has eyeballs in pieces of their own, which can turn."""
        return any(part.kind == "eye" for part in self.registration.carrier.parts)

    @property
    def has_tongue(self) -> bool:
        """Whether the mesh has a tongue in a piece of its own, which can come out."""
        return len(self.registration.carrier.tongue) > 0

    @cached_property
    def decision(self) -> FrameDecision:
        """The mesh's unit and axes: what brings it to millimeters, upright, without moving it otherwise."""
        placement = self.registration.placement
        turns = quarter_turns()
        turn = turns[int(np.trace(turns @ placement.rotation.T, axis1=1, axis2=2).argmax())]
        unit = min(UNITS, key=lambda item: abs(np.log(placement.scale / UNITS[item])))
        scale, called = UNITS[unit], unit
        if not 1 / _UNIT_FACTOR < placement.scale / scale < _UNIT_FACTOR:
            scale, called = placement.scale, f"a unit of {placement.scale:.3g} mm"
        upright = "upright" if np.array_equal(turn, np.eye(3)) else "turned to +Y up and +Z out of the face"
        sentence = (
            f"{self.mesh.name}: registered, as its topology ({len(self.mesh.vertices)} vertices) is not the "
            f"model's; in {called}; {upright}; {self.registration.quality.sentence}."
        )
        sentence += "".join(f" {note[0].upper()}{note[1:]}." for note in self.registration.notes)
        return FrameDecision(unit, scale, turn, sentence)

    def report(self) -> dict[str, Any]:
        """What was found, in numbers: unit, placement, pieces, and how well the template lies."""
        found, placement = self.registration, self.registration.placement
        return {
            "vertices": len(found.mesh_vertices),
            "unit": self.decision.unit, "millimeters_per_unit": self.decision.scale_to_mm,
            "size_against_template": self.decision.scale_to_mm / placement.scale,
            "rotation": placement.rotation.tolist(), "scale": placement.scale,
            "translation_mm": placement.translation.tolist(),
            "placement_misfit_mm": placement.misfit, "placement_lead": placement.lead,
            "skin_vertices": int(found.skin.sum()),
            "pieces": piece_rows(found.carrier.parts), "notes": list(found.notes),
            "mouth_gap_mm": round(self.mouth.millimeters, 2), **found.quality.as_dict(),
            "judged": {measure.name: round(measure.value, 4) for measure in found.measures},
        }  # fmt: skip


def open_head(
    model: FaceModel, mesh: Mesh, *, landmarks: Landmarks | None = None,
    pieces: Mapping[str, str] | None = None,
) -> Head:  # fmt: skip
    """Brings a mesh of any topology into correspondence with a model.

    The people that the model can make guide the template, so that eyes lie on eyes where closest points
    alone would let it slide; a model without a distribution of people leaves it to smoothness.

    Args:
        model: Any model.
        mesh: As read from its file: any unit, axes, topology; holes and further pieces are fine.
        landmarks: Name -> (3,) position as in the mesh's file, under any known name; a file of such; or
            None to find the face by looking for it.
        pieces: Name of an object, group, material or piece of the mesh -> what it is, a key of
            :data:`mien.geometry.piece_kinds.KINDS`; in place of what its name and form say.
    """
    people = known_people(model)
    vertices, whole, name = mesh.vertices, mesh.faces.reshape(-1, 3), mesh.name
    check_head(vertices, whole, name)
    faces = whole[~standing(vertices, whole)]  # what lies across a face hides it
    naming = naming_of(mesh)
    parts = NamedPieces.of(vertices, whole, naming, pieces)
    given = None if landmarks is None else landmark_positions(landmarks, mesh)
    searcher = searcher_for(model.topology, people, model.face_points)
    if given:
        found, given = place_by_given(vertices, faces, model.topology, given, searcher, name=name)
    else:
        found = _found(vertices, faces, parts, model.topology, searcher, name)
    laid = register(
        vertices, whole[:, ::-1] if INSIDE_OUT in found.notes else whole, model.topology, landmarks=given,
        people=people, name=name, placement=found.placement, guides=found.guides, pieces=parts,
    )  # fmt: skip
    closed = (EYES_CLOSED,) if eyes_are_closed(found.seen) else ()
    told = told_handedness(found.notes, mesh, naming, found.placement)
    return Head(mesh, replace(laid, notes=(*told, *laid.notes, *closed)))


def _found(
    vertices: NDArray, faces: NDArray, pieces: NamedPieces, topology: Topology, searcher: Searcher | None,
    name: str,
) -> Found:  # fmt: skip
    """The face of a mesh, looked for without what is said to cover it."""
    used, corners = np.unique(pieces.uncovered(faces), return_inverse=True)
    if len(used) < 50 or len(used) == len(vertices):
        return find_face(vertices, faces, topology, searcher, name=name)
    return find_face(vertices[used], corners.reshape(-1, 3), topology, searcher, name=name)


def naming_of(mesh: Mesh) -> list[NamedTriangles]:
    """The groups, objects and materials of a mesh, by triangle."""
    sizes = np.full(len(mesh.faces), 3) if mesh.polygons is None else mesh.polygons.sizes
    return [
        NamedTriangles(mesh.names(keyword), np.repeat(mesh.parts(keyword), np.maximum(sizes - 2, 0)))
        for keyword in ("g", "o", "usemtl")
        if mesh.names(keyword)
    ]


def landmark_positions(landmarks: Landmarks, mesh: Mesh | None = None) -> dict[str, NDArray[np.float64]]:
    """Name -> (3,) position among a mesh's vertices, from a mapping or a file; damage is refused.

    Args:
        landmarks: Positions in the unit, axes and place of the mesh's file, or a file of such.
        mesh: What they lie on; None where it lies where its file has it and no vertices are named.
    """
    near = np.asarray if mesh is None else mesh.brought_near
    if not isinstance(landmarks, Mapping):
        names, points = read_landmarks(landmarks, any_unit=True, mesh=mesh)
        return dict(zip(names, near(points), strict=True))
    found = {}
    for name, position in landmarks.items():
        try:
            found[name] = near(np.asarray(position, np.float64).reshape(3))
        except (TypeError, ValueError):
            found[name] = np.full(3, np.nan)
        if not np.isfinite(found[name]).all():
            raise BadSetting(
                f"the landmark {name!r} is no position", received=repr(position),
                remedy="give three finite numbers in the mesh's unit and axes",
            )  # fmt: skip
    return found


def known_people(model: FaceModel) -> NDArray[np.float32] | None:
    """(K, V, 3) float32, millimeters: principal modes of people whom a model makes, or None if it cannot.

    Each is scaled to one standard deviation. Position, turn and size of the whole head are taken out.
    """
    if (modes := model.people_modes()) is not None:
        return modes.numpy(force=True)
    if refusal(type(model), "generate"):
        return None
    faces = generate(model, _PEOPLE, seed=0).astype(np.float64)
    aligned = procrustes(faces, model.topology.template, scale=True).apply(faces)
    flat = (aligned - aligned.mean(axis=0)).reshape(len(aligned), -1)
    values, vectors = np.linalg.eigh(flat @ flat.T / len(flat))
    kept = [index for index in np.argsort(-values)[:_MODES] if values[index] > 1e-6 * values[-1]]
    modes = (flat.T @ vectors[:, kept] / np.sqrt(len(flat))).T
    return modes.reshape(len(kept), -1, 3).astype(np.float32)
