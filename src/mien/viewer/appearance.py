"""What makes a mask of triangles look like a face: its colors, soft shade, eyes and the dark of the mouth.

None of it belongs to a model; it is drawn around the vertices that a model gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mien.apply.correctives import Contact, contact_of
from mien.apply.rig_report import FAR_MM, MOVED_MM
from mien.errors import MissingPackage
from mien.figures.faces import face_colors
from mien.geometry.parameterize import boundary_loops
from mien.io.materials import Material
from mien.io.record import Mesh
from mien.render.clay import CLAY
from mien.render.stills import openness
from mien.topology import Topology
from mien.viewer.materials import paint
from mien.viewer.paint_skin import painted_head

if TYPE_CHECKING:
    from mien.apply import Head
    from mien.models.base import FaceModel

LIPS = np.array([178.0, 98.0, 90.0])
LIP_REACH = 7.5  # millimeters from the slit of the mouth
_COLORS, _SHADE = 2, 3  # places among the arrays of an appearance
_GRAY = 0.15  # between the parts of a color that is nearly gray, as our own clay is
_EYES_SHADE = 0.85  # eyes catch light that their sockets do not
SLIT = 0.6  # of the outline's length: holes that are longer are no slits


def appearance_of(topology: Topology) -> tuple[list[NDArray], dict[str, Any]]:
    """Arrays that the page draws with, and how many numbers each has.

    Returns:
        Arrays ``faces`` (F, 3), ``template`` (V, 3) millimeters, ``colors`` (V, 3) sRGB 0..255 and ``shade``
        (V,) 0..1; and a JSON-ready layout with their sizes and the loops of ``eyes`` and ``mouth``.
    """
    eyes, mouth = slits(topology)
    arrays: dict[str, NDArray] = {
        "faces": topology.faces.astype(np.float32), "template": topology.template,
        "colors": skin(topology, mouth), "shade": shade(topology),
    }  # fmt: skip
    layout: dict[str, Any] = {name: int(array.size) for name, array in arrays.items()}
    layout |= {"eyes": [loop.tolist() for loop in eyes], "mouth": [loop.tolist() for loop in mouth]}
    return list(arrays.values()), layout


def painted_appearance(
    topology: Topology, layout: Mesh | Topology, materials: Mapping[str, Material]
) -> tuple[list[NDArray], dict[str, Any]]:
    """A topology with the materials of a mesh on it, see :func:`mien.viewer.materials.paint`.

    Returns:
        Arrays of any shape in the order in which the page reads them, and what says where each begins.
    """
    (arrays, sizes), (more, paints) = appearance_of(topology), paint(layout, materials)
    return [*arrays, *more], {**sizes, **paints}


class OwnMesh:
    """A head of a topology of its own, as the page shows it: placed as the model's template is.

    Args:
        head: The registered mesh (``mien.apply.Head``).
        materials: Colors and pictures of its materials.
        template_colors: (V, 3) float, sRGB 0..255, of the model's template: a head whose materials do not
            tell skin from eyes wears them where the template lies on it.
    """

    def __init__(
        self, head: Head, materials: Mapping[str, Material] | None = None,
        template_colors: NDArray | None = None,
    ) -> None:  # fmt: skip
        self.head = head
        placed = self.shown(head.vertices)
        self.topology = Topology(head.mesh.name, head.mesh.faces, placed)
        worn, painted = materials or {}, template_colors is not None and _says_nothing(materials or {})
        self.arrays, self.layout = painted_appearance(self.topology, head.mesh, {} if painted else worn)
        if painted and template_colors is not None:
            colors, eyes = painted_head(head.registration, template_colors)
            self.arrays[_COLORS] = colors
            self.arrays[_SHADE] = np.maximum(self.arrays[_SHADE], np.where(eyes, _EYES_SHADE, 0))
        loops = [*self.layout["eyes"], []]
        self._contacts: dict[int, Contact | None] = {}
        self._rims = np.concatenate([np.asarray(loop, np.int64) for loop in loops])

    def touching(self, model: FaceModel, weights: NDArray) -> NDArray[np.float64] | None:
        """What makes lids and lips meet where a model's expressions have weights; None where nothing does.

        Args:
            model: That makes the faces.
            weights: (..., E) float.

        Returns:
            (..., N, 3) float64, in the mesh's unit and axes.
        """
        if id(model) not in self._contacts:
            self._contacts[id(model)] = contact_of(model, self.head, self.head.vertices)
        contact = self._contacts[id(model)]
        return None if contact is None else contact.added(weights)

    def shown(
        self, faces: NDArray, gaze: NDArray | None = None, added: NDArray | None = None
    ) -> NDArray[np.float32]:
        """The mesh where the model's face is, and its eyes look.

        Args:
            faces: (..., V, 3) float, millimeters, on the model's topology.
            gaze: (..., 2, 2) degrees that eyeballs turn, or None.
            added: (..., N, 3) float, in the mesh's unit and axes: what :meth:`touching` gave, or None.

        Returns:
            (..., N, 3) float32, millimeters.
        """
        carried = self.head.carry(faces, gaze)
        if added is not None:
            carried = carried + added
        placed = self.head.registration.placement.apply(carried.reshape(-1, 3))
        return placed.reshape(carried.shape).astype(np.float32)

    def leak(self, rest: NDArray, face: NDArray) -> NDArray[np.float32]:
        """(N,) float32, millimeters: how far skin moves that lies far from all that the model moves.

        Args:
            rest: (V, 3) float, millimeters. The model's face at rest.
            face: (V, 3) float, millimeters. As it is.
        """
        moved = np.linalg.norm(np.asarray(face) - rest, axis=1) > MOVED_MM
        if not moved.any():
            return np.zeros(len(self.head.mesh.vertices), np.float32)
        there = self.shown(rest)
        near = cKDTree(np.asarray(rest)[moved]).query(there, distance_upper_bound=FAR_MM)[0] <= FAR_MM
        length = np.linalg.norm(self.shown(face) - there, axis=1)
        length[near | ~self.head.registration.skin] = 0
        return length

    def rims_of(self, face: NDArray) -> NDArray[np.float32]:
        """(R, 3) points around its eyes when the model's face is (V, 3) at rest."""
        return self.shown(face)[self._rims] if len(self._rims) else np.zeros((0, 3), np.float32)


def _says_nothing(materials: Mapping[str, Material]) -> bool:
    """Whether there is one gray for all at most: exporters give such a material to what has none."""
    return len(materials) <= 1 and all(
        item.picture is None and item.opacity == 1 and max(item.color) - min(item.color) < _GRAY
        for item in materials.values()
    )


def slits(topology: Topology) -> tuple[list[NDArray], list[NDArray]]:
    """Boundary loops of eyes and of mouth, each (n,) and (n,) vertices; none where eyeballs or teeth are
    part of the mesh.
    """
    if topology.components.max() > 0:
        return [], []
    loops = boundary_loops(topology.faces)
    lengths = [_length(topology.template[loop]) for loop in loops]
    outline = max(lengths, default=0.0)
    holes = [loop for loop, length in zip(loops, lengths) if length < SLIT * outline]
    middle = np.median(topology.template[:, 0])
    width = np.ptp(topology.template[:, 0])
    centers = [topology.template[loop].mean(axis=0) for loop in holes]
    mouth = [loop for loop, center in zip(holes, centers) if abs(center[0] - middle) < 0.06 * width]
    eyes = [loop for loop, center in zip(holes, centers) if abs(center[0] - middle) >= 0.06 * width]
    return eyes, mouth


def _length(points: NDArray) -> float:
    return float(np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1).sum())


def skin(topology: Topology, mouth: list[NDArray]) -> NDArray[np.float32]:
    """The topology's own colors, or clay with a touch of color on the lips.

    Args:
        topology: What is shown.
        mouth: Boundary loops of the mouth, each (n,) int.

    Returns:
        (V, 3) float32 sRGB 0..255.
    """
    painted = face_colors(topology)
    if painted is not None:
        return painted.astype(np.float32)
    colors = np.tile(np.array(CLAY, np.float32), (topology.vertex_count, 1))
    for loop in mouth:
        points = topology.template[loop]
        corners = points[[points[:, 0].argmin(), points[:, 0].argmax()]]
        distance = np.linalg.norm(topology.template[:, None] - points[None], axis=2).min(axis=1)
        # Lips thin out toward the corners of the mouth.
        inward = np.linalg.norm(topology.template[:, None] - corners[None], axis=2).min(axis=1)
        reach = LIP_REACH * np.clip(inward / 18, 0.25, 1)
        amount = np.clip(1.35 * (1 - distance / reach), 0, 1)[:, None]
        colors = colors * (1 - 0.75 * amount) + LIPS * 0.75 * amount
    return colors.astype(np.float32)


def shade(topology: Topology) -> NDArray[np.float32]:
    """(V,) how open the template is to its surroundings; 1 everywhere without the package that traces it."""
    try:
        return openness(topology.template, topology.faces)
    except MissingPackage:
        return np.ones(topology.vertex_count, np.float32)
