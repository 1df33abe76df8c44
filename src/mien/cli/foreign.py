"""Meshes of another topology than the model's, for all commands that take a face."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.cli.faces import Face, Marks, read
from mien.data.arkit import gaze_of
from mien.errors import Unsupported
from mien.io.glb import Document
from mien.io.glb_targets import add_glb_targets, move_glb
from mien.io.mesh import Mesh, read_mesh
from mien.topology import Topology

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mien.apply import Head, Rig
    from mien.models.base import FaceModel


@dataclass(frozen=True, eq=False, kw_only=True)
class HeadFace(Face):
    """A face of another topology than the model's: results are carried to the vertices of its own file.

    Args:
        head: The mesh and the model's template on it.
        document: What a GLB file held, whose nodes, materials and textures go into results.
    """

    head: Head
    document: Document | None = None

    @staticmethod
    def of(head: Head, source: Path) -> HeadFace:
        """The face of a head opened from a file, which is not needed again."""
        document = Document(source) if source.suffix.lower() == ".glb" else None
        found = head.registration
        return HeadFace(head.vertices, head.mesh, found.topology, head.decision, head=head, document=document)

    def write(self, path: Path, vertices: NDArray, gaze: NDArray | None = None) -> None:
        """As the file came; of a GLB also nodes, materials and textures are kept in a GLB."""
        if path.suffix.lower() == ".glb" and self.document is not None:
            return move_glb(self.document, path, self.layout, self.restored(vertices, gaze))
        return super().write(path, vertices, gaze)

    @property
    def turns_eyes(self) -> bool:
        """Whether there are eyeballs in pieces of their own."""
        return self.head.has_eyeballs

    def write_rig(
        self, path: Path, rig: Rig, names: Sequence[str] | None = None, *, gaze: NDArray | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        """A GLB with targets: the file's own GLB with targets added, or a new one."""
        own = self.document if path.suffix.lower() == ".glb" else None
        if own is not None and options.get("texture") is None:
            kept = {key: value for key, value in options.items() if key in ("clip", "fps")}
            gaze = gaze_of(names or rig.names) if gaze is None else gaze
            moved = self.restored(rig.targets, gaze)
            return add_glb_targets(own, path, self.layout, moved, names or rig.names, **kept)
        return super().write_rig(path, rig, names, gaze=gaze, **options)

    @property
    def foreign(self) -> bool:
        """Results are carried."""
        return True

    def posed(self, path: Path, model: FaceModel, marks: Marks | None = None) -> Face:
        """The same person in another pose: by its vertices if it is the same mesh."""
        mesh = read_mesh(path, points=True)
        if len(mesh.vertices) != len(self.layout.vertices) or not np.array_equal(
            mesh.faces, self.layout.faces
        ):
            return read(path, model, marks)
        there = self.head.registration.follow(mesh.vertices)
        document = Document(path) if path.suffix.lower() == ".glb" else None
        return replace(self, vertices=there, layout=mesh, document=document)

    def restored(self, vertices: NDArray, gaze: NDArray | None = None) -> NDArray[np.float32]:
        """(..., V, 3) millimeters of the model's topology as the file's own vertices, unit and axes."""
        return self.head.carry(vertices, gaze)

    def shown(self, vertices: NDArray, gaze: NDArray | None = None) -> NDArray[np.float32]:
        """Millimeters, +Y up, +Z out of the face, of the file's own vertices."""
        return self.decision.apply(self.restored(vertices, gaze))

    def stage(self) -> Topology:
        """The mesh itself at rest."""
        return Topology(self.layout.name, self.layout.faces, self.shown(self.vertices))

    def in_model_uv(self) -> Face:
        """Not possible: the mesh has no texture coordinates of the model."""
        raise Unsupported(
            "a texture made by the model lies in its own texture coordinates, and this mesh has others",
            received=self.layout.name, remedy="give a picture in the mesh's own coordinates: --texture FILE",
        )  # fmt: skip

    @property
    def drawn(self) -> Mesh:
        """The file's own triangles and texture coordinates."""
        return self.layout


def register_head(mesh: Mesh, model: FaceModel, landmarks: Path | None = None) -> Head:
    """A mesh in correspondence with a model, by a file of landmarks or by its shape."""
    from mien.apply import open_head
    from mien.io.landmarks import read_landmarks

    given = None
    if landmarks is not None:
        names, points = read_landmarks(landmarks, any_unit=True)
        given = dict(zip(names, points, strict=True))
    return open_head(model, mesh, landmarks=given)


def registration_report(head: Head, mesh: str, model: str) -> dict[str, Any]:
    """What was found, for JSON."""
    found = head.registration
    pieces: dict[str, int] = {}
    for part in found.carrier.parts:
        pieces[part.kind] = pieces.get(part.kind, 0) + 1
    placement = found.placement
    return {
        "mesh": mesh, "model": model, "vertices": len(found.mesh_vertices),
        "unit": head.decision.unit, "millimeters_per_unit": head.decision.scale_to_mm,
        "size_against_template": head.decision.scale_to_mm / placement.scale,
        "rotation": placement.rotation.tolist(), "scale": placement.scale,
        "translation_mm": placement.translation.tolist(),
        "placement_misfit_mm": placement.misfit, "placement_lead": placement.lead,
        "skin_vertices": int(found.skin.sum()), "pieces": pieces, **found.quality.as_dict(),
    }  # fmt: skip
