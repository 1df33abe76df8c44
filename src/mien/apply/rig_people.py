"""People of several rigs on one topology: neutrals and named shapes, whatever topologies the rigs have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mien.apply.default_model import default_model
from mien.apply.heads import Head, known_people, open_head
from mien.data.head_rigs import HeadRig, find_head_rigs, read_head_rig
from mien.data.rig_names import ARKIT_52
from mien.errors import BadMesh, BadSetting, WrongTopology
from mien.geometry.carry import Carrier
from mien.geometry.differential import vertex_normals
from mien.geometry.named_pieces import NamedPieces
from mien.geometry.placement import Placement
from mien.geometry.procrustes import procrustes
from mien.geometry.registration import Registration
from mien.geometry.surface import Surface
from mien.io.face import face_of_mesh
from mien.io.record import Mesh
from mien.models.base import FaceModel
from mien.models.textbook import Textbook
from mien.progress import track
from mien.topology import Landmarks, Topology

_RIGID_PERCENT = 30  # of the skin, what shapes move least: as for folders of meshes


@dataclass(frozen=True, eq=False)
class RigPerson:
    """A rig as one person of a set.

    Args:
        name: Of the rig.
        neutral: (V, 3) float32, millimeters.
        displacements: (E, V, 3) float32, millimeters; zero where the rig lacks a name.
        shown: (E,) bool. Which names it has.
    """

    name: str
    neutral: NDArray[np.float32]
    displacements: NDArray[np.float32]
    shown: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class RigSet:
    """Rigs, one of which gives all the topology.

    Args:
        rigs: Under ARKit's names, without shapes that move nothing.
        base: The one that the others are laid on.
        topology: Its skin; with its other pieces where all rigs share the mesh.
        modes: (K, V, 3) float32, millimeters. Principal modes of neutral faces that a general model knows.
        notes: Sentences about the rigs.
    """

    rigs: tuple[HeadRig, ...]
    base: _LaidRig
    topology: Topology
    modes: NDArray[np.float32]
    notes: tuple[str, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """E names that any rig has."""
        return tuple(name for name in ARKIT_52 if any(name in rig.names for rig in self.rigs))

    @cached_property
    def leader(self) -> Textbook:
        """A model of the base alone, which lays it on the other rigs."""
        model = Textbook(self.topology, self.names[:1])
        still = torch.zeros(1, self.topology.vertex_count, 3)
        model.set_shapes(still, torch.from_numpy(self.modes))
        return model

    def people(self) -> Iterator[RigPerson]:
        """The rigs one by one, on the topology; those of another one are registered first."""
        for rig in track(self.rigs, "laying rigs on one topology"):
            if rig.has_topology_of(self.base.rig):
                neutral, moved = _copied(rig, self.base, self.topology)
            else:
                neutral, moved = _laid_on(rig, self.leader)
            every = np.zeros((len(self.names), *neutral.shape), np.float32)
            for name, shape in zip(rig.names, moved, strict=True):
                every[self.names.index(name)] = shape
            shown = np.array([name in rig.names for name in self.names])
            yield RigPerson(rig.name, neutral.astype(np.float32), every, shown)


def rig_set(
    rigs: Sequence[str | Path | HeadRig], table: Path | None = None, general: FaceModel | None = None
) -> RigSet:
    """Reads rigs and chooses whose topology all get: the first of those that share one most often.

    Args:
        rigs: Rigs, files, folders of shapes, or folders of rigs.
        table: For names of no known scheme, see :func:`mien.data.rig_names.named_shapes`.
        general: Whose template brings rigs into correspondence; None for :func:`default_model`.

    Raises:
        DataMissing: There is no rig.
        BadSetting: A rig has no name of a known scheme, or no shape that moves anything.
        BadMesh: There is no face on a rig.
    """
    found, notes = read_rigs(rigs, table)
    base = max(found, key=lambda rig: sum(rig.has_topology_of(other) for other in found))
    general = default_model() if general is None else general
    laid = _LaidRig.of(base, general)
    whole = all(rig.has_topology_of(base) for rig in found) and laid.skin_is_largest
    rows = np.arange(len(base.vertices)) if whole else base.skin_mesh[0]
    topology = laid.topology(rows, base.faces if whole else base.skin_mesh[1])
    return RigSet(tuple(found), laid, topology, laid.modes[:, rows], tuple(notes))


def read_rigs(
    rigs: Sequence[str | Path | HeadRig], table: Path | None = None
) -> tuple[list[HeadRig], list[str]]:
    """Rigs under ARKit's names, and sentences about what was left out; see :func:`rig_set`."""
    every: list[HeadRig] = []
    for item in rigs:
        every += [item] if isinstance(item, HeadRig) else [read_head_rig(p) for p in find_head_rigs(item)]
    if not every:
        raise BadSetting("no rig was given", received=0, remedy="name a rigged head, or several")
    found, notes = [], []
    for rig in every:
        named = rig.in_arkit_names(table)
        moving = {name: {name: 1.0} for name in named.names if name not in named.still}
        if named.still:
            notes.append(f"{rig.name}: left out, as they move nothing: {', '.join(named.still)}.")
        if not moving:
            raise BadSetting("no named shape of the rig moves anything", received=rig.name)
        found.append(named.renamed(moving))
    return found, notes


@dataclass(frozen=True, eq=False)
class _LaidRig:
    """A rig in millimeters and upright, and a general template that lies on it.

    Args:
        rig: The rig.
        registration: Of the template on the rig's mesh.
        general: (K, V, 3) float32, millimeters. Modes of people on the template.
    """

    rig: HeadRig
    registration: Registration
    general: NDArray[np.float32]

    @staticmethod
    def of(rig: HeadRig, model: FaceModel) -> _LaidRig:
        """The rig, turned upright and brought to millimeters as its face tells, with the template on it."""
        head = _opened(rig, model)
        decision, found = head.decision, head.registration
        turned = rig.displacements.astype(np.float64) @ decision.rotation.T * decision.scale_to_mm
        upright = replace(
            rig,
            vertices=decision.apply(rig.vertices).astype(np.float64),
            displacements=turned.astype(np.float32),
        )
        turn = Placement(
            found.placement.rotation @ decision.rotation.T,
            found.placement.scale / decision.scale_to_mm,
            found.placement.translation,
        )
        modes = known_people(model)
        known = np.zeros((0, *found.vertices.shape), np.float32) if modes is None else modes
        return _LaidRig(upright, replace(found, placement=turn, mesh_vertices=upright.vertices), known)

    @cached_property
    def template(self) -> NDArray[np.float64]:
        """(V, 3) millimeters: the general template where it lies on the rig."""
        return self.registration.placement.back(self.registration.vertices)

    @cached_property
    def modes(self) -> NDArray[np.float32]:
        """(K, N, 3) millimeters: the general model's modes of people, carried to the rig's mesh."""
        if not len(self.general):
            return np.zeros((0, *self.rig.vertices.shape), np.float32)
        moved = self.registration.carry(self.registration.vertices + self.general)
        return (moved - self.rig.vertices).astype(np.float32)

    @property
    def skin_is_largest(self) -> bool:
        """Whether the skin is one piece of the mesh as its triangles join it, and the largest."""
        mesh = Topology(self.rig.name, self.rig.faces, self.rig.vertices.astype(np.float32))
        largest = mesh.components == np.bincount(mesh.components).argmax()
        return np.array_equal(largest, self.rig.skin)

    def topology(self, rows: NDArray, faces: NDArray) -> Topology:
        """Some vertices (n,) of the rig's mesh and triangles of these, with the template's landmarks."""
        return landmarked(self.rig, rows, faces, self.registration.topology, self.template)


def landmarked(rig: HeadRig, rows: NDArray, faces: NDArray, general: Topology, template: NDArray) -> Topology:
    """A mesh of a rig as a topology, with the landmarks of a template that lies on it.

    Args:
        rig: Whose vertices they are.
        rows: (n,) int. Which vertices.
        faces: (F, 3) int. Triangles of these.
        general: The template's topology.
        template: (V, 3) float, millimeters. Where it lies on the rig.
    """
    named = general.landmarks
    normals = vertex_normals(template, general.faces)
    ways = np.einsum("lk,lkc->lc", named.weights, normals[named.corners])
    ways /= np.maximum(np.linalg.norm(ways, axis=1, keepdims=True), 1e-12)
    skin = faces[rig.skin[rows][faces].all(axis=1)]  # landmarks lie on no tooth
    at = Surface(rig.vertices[rows], np.asarray(skin, np.int64)).located(named.positions(template), ways)
    motion = np.linalg.norm(rig.displacements[:, rows], axis=2).max(axis=0)
    rigid = (motion <= np.percentile(motion[rig.skin[rows]], _RIGID_PERCENT)) & rig.skin[rows]
    return Topology(
        rig.name, faces.astype(np.int32), rig.vertices[rows].astype(np.float32),
        landmarks=Landmarks(named.names, at.corners.astype(np.int32), at.weights.astype(np.float32)),
        regions={"rigid": rigid},
    )  # fmt: skip


def _copied(rig: HeadRig, base: _LaidRig, topology: Topology) -> tuple[NDArray, NDArray]:
    """Neutral and shapes of a rig of the same mesh, at the size and place of the base."""
    rows = np.arange(len(rig.vertices))
    if topology.vertex_count != len(rows):
        rows = base.rig.skin_mesh[0]
    align = procrustes(rig.vertices[rows], topology.template, scale=True, weights=base.rig.skin[rows])
    moved = float(align.scale) * rig.displacements[:, rows].astype(np.float64) @ align.rotation.T
    return align.apply(rig.vertices[rows]), moved


def shapes_on(rig: HeadRig, model: FaceModel) -> tuple[NDArray, NDArray]:
    """Neutral and shapes of a rig on the topology of a model.

    Args:
        rig: Under any names.
        model: Any model.

    Returns:
        (V, 3) float, millimeters, the rig's face at rest on the model's topology, and (E, V, 3) float,
        millimeters, the displacements: copied where the rig has that topology, else read on its skin.

    Raises:
        BadMesh: There is no face on the rig.
    """
    mesh = Mesh(rig.vertices.astype(np.float32), rig.faces, name=rig.name)
    try:
        neutral, decision = face_of_mesh(mesh, model.topology)
    except WrongTopology:
        return _laid_on(rig, model)
    moved = rig.displacements.astype(np.float64) @ decision.rotation.T * decision.scale_to_mm
    return neutral.astype(np.float64), moved


def _laid_on(rig: HeadRig, model: FaceModel) -> tuple[NDArray, NDArray]:
    """Neutral and shapes of a rig of another topology than the model's.

    The model's template is registered to the rig as to any head; then its vertices read the rig's shapes as
    any head reads those of a template: here the template is the rig's skin.
    """
    own = _opened(rig, model).registration
    place = own.placement
    moved = place.scale * rig.displacements.astype(np.float64) @ place.rotation.T
    there = replace(rig, vertices=place.apply(rig.vertices), displacements=moved.astype(np.float32))
    neutral = own.vertices.astype(np.float64)
    rows, faces = rig.skin_mesh
    skin = landmarked(there, rows, faces, model.topology, neutral)
    everywhere = np.ones(len(neutral), bool)
    pieces = NamedPieces.of(neutral, model.topology.faces)
    carrier = Carrier(neutral, model.topology.faces, there.vertices[rows], skin, everywhere, pieces)
    return neutral, carrier.carry(there.vertices[rows] + there.displacements[:, rows])


def _opened(rig: HeadRig, model: FaceModel) -> Head:
    """A rig's head with a model's template on it."""
    try:
        return open_head(model, Mesh(rig.vertices.astype(np.float32), rig.faces, name=rig.name))
    except BadMesh as error:
        raise BadMesh(
            f"the rig {rig.name!r} cannot be followed: {error.cause}", received=error.received,
            remedy="give a rig of a whole face",
        ) from error  # fmt: skip
