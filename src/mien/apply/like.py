"""A head's rig in the manner of other rigs: the model that makes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.apply.default_model import default_model
from mien.apply.heads import known_people
from mien.apply.rig_people import read_rigs, rig_set, shapes_on
from mien.data.head_rigs import HeadRig
from mien.data.rig_names import ARKIT_52
from mien.errors import BadMesh, WrongTopology
from mien.geometry.procrustes import procrustes
from mien.io.face import face_of_mesh
from mien.io.mesh import read_head
from mien.io.record import Mesh
from mien.models.base import FaceModel
from mien.models.textbook import Textbook
from mien.topology import Topology

_SAME_SIZE = 0.02  # heads that differ less are of one size: shapes are copied as they are


def model_like(
    rigs: Sequence[str | Path | HeadRig], head: str | Path | Mesh | None = None, *,
    table: Path | None = None, sources: Sequence[str] | None = None, general: FaceModel | None = None,
) -> tuple[Textbook, tuple[str, ...]]:  # fmt: skip
    """A model that makes rigs as other rigs are made; with several, as those of the faces like a head's.

    Where a rig has the topology of the head, its displacements are copied vertex by vertex, as much larger as
    the head is. Otherwise the skin of the rig becomes the template: it is registered to the head as that of
    any model is, with what a general model knows of people as prior, and the head's own vertices read its
    shapes. Teeth, tongue and eyes of the head follow as their kind.

    Example:
        >>> model, notes = mien.model_like(["her_rig.glb"], "my_head.glb")
        >>> face = mien.open_face("my_head.glb", model)
        >>> face.write_rig("my_rig.glb", mien.rig(model, face.vertices))

    Args:
        rigs: Heads with named shapes: files, folders of shapes, folders of rigs, or read already; see
            :func:`mien.data.head_rigs.read_head_rig`.
        head: For whom; without, shapes are not copied, whatever its topology.
        table: For names of no known scheme, see :func:`mien.data.rig_names.named_shapes`.
        sources: Of the default model, whose template brings rigs into correspondence.
        general: Another model in its place.

    Returns:
        The model, and sentences for the user.

    Raises:
        DataMissing: There is no rig.
        BadSetting: A rig has no name of a known scheme, or no shape that moves anything.
        BadMesh: There is no face on a rig.
    """
    found, notes = read_rigs(rigs, table)
    mesh = read_head(head) if isinstance(head, (str, Path)) else head
    same = [] if mesh is None else [item for rig in found if (item := _resized(rig, mesh))]
    if same:
        return _copying([rig for rig, _ in same]), (*notes, *(note for _, note in same))
    together = rig_set(found, general=default_model(sources) if general is None else general)
    people = list(together.people())
    model = Textbook(together.topology, together.names)
    neutrals, shapes, shown = (
        np.stack(item) for item in zip(*((p.neutral, p.displacements, p.shown) for p in people), strict=True)
    )
    model.learn(neutrals, shapes, shown, together.modes)
    names = ", ".join(rig.name for rig in found)
    how = "; registered, as the topology differs" if mesh is not None else ""
    told = f"Shapes: {len(together.names)} ARKit names, like {names}{how}."
    return model.eval(), (*notes, told)


def model_beside(model: FaceModel, rigs: Sequence[HeadRig]) -> tuple[Textbook, tuple[str, ...]]:
    """A model on the topology of another one, that moves the people of both as rigs move.

    The model's template is laid on each rig and its vertices read the rig's shapes; :func:`model_like` makes
    a model on the skin of the rigs, which keeps more of them.

    Args:
        model: Any model, whose topology it gets.
        rigs: Heads with named shapes.

    Returns:
        The model, and sentences for the user.

    Raises:
        BadSetting: A rig has no name of a known scheme, or no shape that moves anything.
        BadMesh: There is no face on a rig.
    """
    found, notes = read_rigs(rigs)
    names = tuple(name for name in ARKIT_52 if any(name in rig.names for rig in found))
    neutrals, shapes = [], np.zeros((len(found), len(names), *model.topology.template.shape), np.float32)
    for rig, own in zip(found, shapes, strict=True):
        neutral, moved = shapes_on(rig, model)
        neutrals.append(neutral)
        own[[names.index(name) for name in rig.names]] = moved
    shown = np.array([[name in rig.names for name in names] for rig in found])
    made = Textbook(model.topology, names)
    made.learn(np.stack(neutrals), shapes, shown, known_people(model))
    told = f"Shapes: {len(names)} ARKit names, like {', '.join(rig.name for rig in found)}."
    return made.eval(), (*notes, told)


def _resized(rig: HeadRig, mesh: Mesh) -> tuple[HeadRig, str] | None:
    """The rig at the size of a head of its own topology, and what to say of it; None for other topologies."""
    try:
        own, _ = face_of_mesh(mesh, Topology(rig.name, rig.faces, rig.vertices.astype(np.float32)))
    except (WrongTopology, BadMesh):
        return None
    size = float(procrustes(rig.vertices, own, scale=True, weights=rig.skin).scale)
    told = f"{mesh.name} has the topology of {rig.name}: its shapes are copied vertex by vertex"
    if abs(np.log(size)) < _SAME_SIZE:
        return rig, f"{told}."
    shapes: NDArray[np.float32] = (size * rig.displacements).astype(np.float32)
    return replace(rig, displacements=shapes), f"{told}, {size:.2f} times as large, as the head is."


def _copying(rigs: Sequence[HeadRig]) -> Textbook:
    """A model on the whole mesh of rigs that share it, pieces and all."""
    first = rigs[0]
    names = tuple(name for name in ARKIT_52 if any(name in rig.names for rig in rigs))
    model = Textbook(Topology(first.name, first.faces, first.vertices.astype(np.float32)), names)
    shapes = np.zeros((len(rigs), len(names), *first.vertices.shape), np.float32)
    for rig, own in zip(rigs, shapes, strict=True):
        for name in rig.names:
            own[names.index(name)] = rig.shape(name)
    shown = np.array([[name in rig.names for name in names] for rig in rigs])
    model.learn(np.stack([rig.vertices for rig in rigs]), shapes, shown)
    return model.eval()
