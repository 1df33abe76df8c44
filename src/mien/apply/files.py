"""Any head in, results back as its file came: :func:`open_face`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.apply.coding import Faces
from mien.apply.correctives import correctives_on
from mien.apply.heads import Head, Landmarks, open_head
from mien.apply.rigs import Rig
from mien.data.arkit import gaze_of, meets_of
from mien.errors import BadMesh, BadSetting, Unsupported, WrongTopology
from mien.geometry.alignment import FrameDecision
from mien.geometry.contact import Meets
from mien.geometry.registration import Registration
from mien.io.atomic import whole_folder
from mien.io.blender import blender_command, write_with_blender
from mien.io.endings import BLENDER, GLTF, GLTF_BINARY, RIGS
from mien.io.face import face_of_mesh
from mien.io.glb import Document
from mien.io.glb_targets import add_glb_targets, move_glb
from mien.io.gltf import write_glb
from mien.io.json_text import write_json
from mien.io.materials import Material, bring_materials, read_materials
from mien.io.mesh import Mesh, read_head, read_mesh, write_mesh, write_obj_sequence
from mien.models.base import FaceModel
from mien.temporary import passing_folder
from mien.topology import Topology

Notes = tuple[str, ...]
OBJ = ".obj"


def open_face(
    source: str | Path | Mesh, model: FaceModel, landmarks: Landmarks | None = None, *,
    pieces: Mapping[str, str] | None = None, rest_mouth_open: bool = False,
) -> OpenedFace:  # fmt: skip
    """Opens a head of any topology, unit and axes for a model.

    A mesh with the vertices and triangles of the model is taken as it is; any other, point scans too, is
    registered: the model's template is laid on it, and results are carried back to its own vertices.

    Example:
        >>> face = mien.open_face("head.obj", model)
        >>> print(*face.notes)
        >>> face.write_rig("rig.glb", mien.rig(model, face.vertices))

    Args:
        source: A mesh file, or a mesh in memory.
        model: Any model.
        landmarks: Where named landmarks lie on the mesh, in its own unit and axes: a file, or name -> (3,)
            positions. With them the mesh is registered in any case.
        pieces: Name of an object, group, material or piece of the mesh -> what it is, such as ``upper teeth``
            or ``glasses``, in place of what its name and form say; see
            :data:`mien.geometry.piece_kinds.KINDS`. With them, too, the mesh is registered.
        rest_mouth_open: Whether rigs and clips are made although the mouth stands open at rest: what they do
            is added to that.

    Raises:
        BadFile: The file is missing, damaged or of an unknown kind.
        BadMesh: There is no face on the mesh, or it is not clear where.
    """
    face = _open(*_read(source), model, landmarks, pieces)
    return replace(face, rest_mouth_open=rest_mouth_open)


@dataclass(frozen=True, eq=False)
class OpenedFace:
    """A face opened for a model, and what writes results back as its mesh came.

    Every method that writes takes faces on the model's topology, millimeters, writes them with the vertices,
    order, polygons, texture coordinates and materials of the mesh, and returns notes: sentences about what
    could not be kept. Nothing is printed.

    Args:
        vertices: (V, 3) float32, millimeters, +Y up, +Z out of the face, on the model's topology.
        mesh: The mesh as it came.
        topology: The model's.
        decision: What was decided about unit and axes.
        notes: What a user should know: unit and axes where they were changed, how a registration fits.
        head: The model's template on a mesh of another topology; None where the mesh has the model's.
        document: What a glTF file held, whose nodes, materials and textures go into results.
        materials: Colors and pictures of the mesh's materials where they have been read already.
        rest_mouth_open: Whether rigs and clips may be made of a mouth that stands open.
        pieces: What pieces of the mesh were said to be; as for :func:`open_face`.
    """

    vertices: Faces
    mesh: Mesh
    topology: Topology
    decision: FrameDecision
    notes: Notes = ()
    head: Head | None = None
    document: Document | None = None
    materials: Mapping[str, Material] | None = None
    rest_mouth_open: bool = False
    pieces: Mapping[str, str] | None = None

    @property
    def registration(self) -> Registration | None:
        """The model's template on the mesh, or None where the mesh has the model's topology."""
        return None if self.head is None else self.head.registration

    @property
    def registered(self) -> bool:
        """Whether the mesh has another topology than the model, so that results are carried to it."""
        return self.head is not None

    @property
    def turns_eyes(self) -> bool:
        """Whether the mesh has eyeballs in pieces of their own, which look where ``eyeLook`` names say."""
        return self.head is not None and self.head.has_eyeballs

    @property
    def has_tongue(self) -> bool:
        """Whether the mesh has a tongue in a piece of its own, which comes out in ``tongueOut``."""
        return self.head is not None and self.head.has_tongue

    def distance(self, vertices: NDArray) -> float:
        """Mean distance, millimeters, of a result (V, 3) on the model's topology from this face."""
        return float(np.linalg.norm(np.asarray(vertices) - self.vertices, axis=-1).mean())

    # ---- results on the mesh's own vertices

    def carried(self, vertices: NDArray, gaze: NDArray | None = None, meets: Meets | None = None) -> Faces:
        """(..., N, 3) float32 the mesh's own vertices, in its unit and axes, when the face is elsewhere.

        Where the face has not moved, they are those of the mesh, bit by bit.

        Args:
            vertices: (..., V, 3) float, millimeters, on the model's topology.
            gaze: (..., 2, 2) degrees that eyeballs turn, see :func:`mien.data.arkit.gaze_of`.
            meets: In which of (B, V, 3) targets lids or lips close, see :func:`mien.data.arkit.meets_of`.
        """
        if self.head is not None:
            return self.head.carry(vertices, gaze, meets)
        change = np.asarray(vertices, np.float64) - self.vertices
        return (self.mesh.vertices + self.decision.back_vectors(change)).astype(np.float32)

    def in_millimeters(
        self, vertices: NDArray, gaze: NDArray | None = None, meets: Meets | None = None
    ) -> Faces:
        """As :meth:`carried`, but in millimeters, +Y up, +Z out of the face.

        Args:
            vertices: (..., V, 3) float, millimeters, on the model's topology.
            gaze: (..., 2, 2) degrees that eyeballs turn, or None.
            meets: As for :meth:`carried`.

        Returns:
            (..., N, 3) float32.
        """
        if self.head is None:
            return np.asarray(vertices, np.float32)
        return self.decision.apply(self.carried(vertices, gaze, meets))

    def shown_topology(self) -> Topology:
        """What a picture of :meth:`in_millimeters` needs: triangles, and the face at rest."""
        if self.head is None:
            return self.topology
        return Topology(self.mesh.name, self.mesh.faces, self.in_millimeters(self.vertices))

    # ---- other faces of the same mesh

    def posed(
        self, source: str | Path | Mesh, model: FaceModel, landmarks: Landmarks | None = None, *,
        pieces: Mapping[str, str] | None = None,
    ) -> OpenedFace:  # fmt: skip
        """The same person in another pose.

        A registered mesh that comes again with other vertices is not registered again: the template follows
        them, so that both poses correspond exactly.

        Args:
            source: A mesh file, or a mesh in memory.
            model: The model that this face was opened for.
            landmarks: As for :func:`open_face`, where it is another mesh.
            pieces: As for :func:`open_face`; of the same mesh, in place of what was said of it before.
        """
        mesh, document = _read(source)
        same = mesh.vertices.shape == self.mesh.vertices.shape
        if self.head is None or not (same and np.array_equal(mesh.faces, self.mesh.faces)):
            return _open(mesh, document, model, landmarks, pieces)
        there, head = self.head.registration.follow(mesh.vertices), self.head
        if pieces:
            head = head.with_pieces(pieces)
        return replace(
            self, vertices=there, mesh=mesh, document=document, notes=(), head=head, materials=None,
            pieces=pieces or self.pieces,
        )  # fmt: skip

    def check_at_rest(self) -> None:
        """Refuses a mouth that stands open where rigs and clips begin, unless that was allowed."""
        if self.head is None or self.rest_mouth_open or not self.head.mouth.is_open:
            return
        raise BadMesh(
            f"the mouth of {self.mesh.name!r} stands open at rest",
            received=f"{self.head.mouth.millimeters:.0f} mm between the lips",
            remedy="close it (`mien neutralize`), or go on with --rest-mouth-open (rest_mouth_open=True): "
            "what is made is then added to the open mouth",
        )

    def with_materials(self) -> OpenedFace:
        """The face with its materials read: for a session that outlives the files around the mesh."""
        materials, notes = self._appearance()
        return replace(self, materials=materials, notes=(*self.notes, *notes))

    def in_model_uv(self) -> OpenedFace:
        """The same face with the texture coordinates of the model's topology instead of its own."""
        if self.head is not None:
            raise Unsupported(
                "a texture made by the model lies in its own texture coordinates, and this mesh has others",
                received=self.mesh.name,
                remedy="give a picture in the mesh's own coordinates: --texture FILE",
            )
        return replace(self, mesh=replace(self.mesh, uv=None, uv_faces=None, marks=()), document=None)

    # ---- files

    def write(
        self, path: str | Path, vertices: NDArray, gaze: NDArray | None = None,
        added: NDArray | None = None,
    ) -> Notes:  # fmt: skip
        """Writes one face as OBJ or PLY in the unit and axes of the mesh, or as GLB.

        Of a glTF file also the nodes, materials and textures are kept in a GLB; beside an OBJ its material
        library and pictures are put.

        Args:
            path: Where to.
            vertices: (V, 3) float, millimeters, on the model's topology.
            gaze: (2, 2) degrees that eyeballs turn.
            added: (N, 3) float, the mesh's unit and axes: what is added to it, as for contact; or None.
        """
        path, carried = Path(path), self.carried(vertices, gaze)
        if added is not None:
            carried = carried + added.astype(np.float32)
        if path.suffix.lower() not in GLTF_BINARY:
            mesh, losses = bring_materials(self.mesh, path)
            write_mesh(path, carried, mesh)
            return tuple(losses)
        if self.document is not None:
            move_glb(self.document, path, self.mesh, carried)
            return ()
        materials, notes = self._appearance()
        shown = np.asarray(vertices, np.float32) if self.head is None else self.decision.apply(carried)
        write_glb(path, shown, self._layout, name=self.mesh.name, materials=materials)
        return notes

    def write_frames(
        self, folder: str | Path, frames: NDArray, stem: str = "frame", gaze: NDArray | None = None,
        added: Iterable[NDArray] | None = None,
    ) -> Notes:  # fmt: skip
        """Writes a clip as numbered OBJ files, each as :meth:`write` would.

        Args:
            folder: Where to; the files appear when all of them are written.
            frames: (T, V, 3) float, millimeters, on the model's topology.
            stem: The files' common name.
            gaze: (T, 2, 2) degrees that eyeballs turn.
            added: (N, 3) of each frame, the mesh's unit and axes: what is added to it, as for contact.
        """
        turns = [None] * len(frames) if gaze is None else gaze
        more = [np.float32(0)] * len(frames) if added is None else added
        moved = (
            self.carried(frame, turn) + np.asarray(part, np.float32)
            for frame, turn, part in zip(frames, turns, more, strict=True)
        )
        mesh, notes = bring_materials(self.mesh, Path(folder) / f"{stem}{OBJ}")
        with whole_folder(folder) as partial:
            write_obj_sequence(partial, moved, mesh, stem=stem)
        return tuple(notes)

    def write_rig(
        self, path: str | Path, rig: Rig, names: Sequence[str] | None = None, *, gaze: NDArray | None = None,
        texture: bytes | str | Path | None = None, clip: NDArray | None = None, fps: float = 30.0,
        existing: str = "refuse", sizes: Mapping[str, float] | None = None, correctives: bool = False,
    ) -> Notes:  # fmt: skip
        """Writes a rig, with a clip of its weights if there is one, as GLB or USD, or by Blender.

        Of a glTF file everything is kept in a GLB, and the targets are added.

        Args:
            path: Where to: ``.glb``, ``.vrm``, ``.usda``, ``.usdc`` or ``.usd``; with Blender installed also
                ``.fbx`` or ``.blend``.
            rig: On the model's topology.
            names: E names of the targets, or None for the rig's own.
            gaze: (E, 2, 2) degrees that eyeballs turn with each target; by the targets' names without.
            texture: A PNG or JPEG for the whole mesh, as bytes or path, in place of its materials.
            clip: (T, E) float. Weights over time, or None.
            fps: Frames per second of the clip.
            existing: What becomes of targets of the same names that a glTF file has: ``refuse``, ``keep`` or
                ``replace``, see :func:`mien.io.glb_targets.check_existing`.
            sizes: Name of a target -> factor of how far it moves: at 1, lids and lips meet where they should.
            correctives: Also write the targets of :func:`mien.data.correctives.correctives_of`, driven in the
                clip, and a JSON beside that says what drives them.
        """
        if clip is None:  # a clip may also lead from one expression to another
            self.check_at_rest()
        path, names = Path(path), tuple(rig.names if names is None else names)
        gaze, meets = gaze_of(names) if gaze is None else gaze, meets_of(names)
        ending = path.suffix.lower()
        if ending in BLENDER:
            return self._write_by_blender(
                path, rig, names, gaze=gaze, texture=texture, clip=clip, fps=fps, existing=existing,
                sizes=sizes, correctives=correctives,
            )  # fmt: skip
        if ending not in RIGS:
            raise BadSetting(
                "a rig is written as GLB or USD", received=str(path), remedy="name the output *.glb or *.usda"
            )
        moved = resized(self.carried(rig.base), self.carried(rig.targets, gaze, meets), names, sizes)
        if correctives:
            names, moved, clip = self._with_correctives(path, names, moved, clip)
        if ending in GLTF_BINARY and self.document is not None and texture is None:
            add_glb_targets(
                self.document, path, self.mesh, moved, names, existing=existing, clip=clip, fps=fps
            )
            return ()
        materials, notes = self._appearance()
        options: dict[str, Any] = {"name": self.mesh.name, "materials": materials, "clip": clip, "fps": fps}
        base = self.in_millimeters(rig.base)
        if self.head is None:
            targets = resized(base, rig.targets, names, sizes)
        else:
            targets = self.decision.apply(moved)
        if ending in GLTF_BINARY:
            write_glb(path, base, self._layout, targets, names, texture=texture, **options)
            return notes
        from mien.io.usd import write_usd

        write_usd(path, base, self._layout, targets, names, **options)
        left_out = "The texture is left out: a USD rig takes its pictures from the mesh's materials."
        return notes if texture is None else (*notes, left_out)

    def _with_correctives(
        self, path: Path, names: Notes, targets: Faces, clip: NDArray | None
    ) -> tuple[Notes, Faces, NDArray | None]:
        """Names, targets and clip with correctives, what drives them written beside the rig."""
        if self.head is None:
            raise Unsupported(
                "correctives are made for meshes of another topology than the model's",
                received=self.mesh.name, remedy="leave --correctives out (correctives=False)",
            )  # fmt: skip
        found = correctives_on(self.head, names, targets)
        write_json(path.with_name(f"{path.stem}_correctives.json"), found.table)
        more = (self.mesh.vertices + found.changes).astype(np.float32)
        if clip is not None:
            clip = np.concatenate([clip, found.driven(names, clip)], axis=1)
        return (*names, *(item.name for item in found.items)), np.concatenate([targets, more]), clip

    def _write_by_blender(self, path: Path, rig: Rig, names: Notes, **options: Any) -> Notes:
        """A rig as a GLB first, which Blender turns into one of its other forms."""
        blender_command()  # says that it is missing before the work begins
        with passing_folder() as folder:
            glb = folder / "rig.glb"
            notes = self.write_rig(glb, rig, names, **options)
            write_with_blender(path, glb.read_bytes())
        return notes

    def _appearance(self) -> tuple[Mapping[str, Material], Notes]:
        """Materials, and what is missing of them; where they were read before, that was said then."""
        if self.materials is not None:
            return self.materials, ()
        materials, notes = read_materials(self.mesh)
        return materials, tuple(notes)

    @property
    def _layout(self) -> Mesh | Topology:
        """What gives a GLB its triangles, texture coordinates and materials."""
        dressed = self.mesh.uv is not None or self.mesh.colors is not None or self.mesh.names()
        return self.mesh if self.head is not None or dressed else self.topology


def resized(
    base: NDArray, targets: NDArray, names: Sequence[str], sizes: Mapping[str, float] | None
) -> Faces:
    """Targets that move farther or less far.

    Args:
        base: (N, 3) float, any unit. The face at rest.
        targets: (E, N, 3) float, the same unit.
        names: E names.
        sizes: Name -> factor; names that are not there keep their size.

    Returns:
        (E, N, 3) float32; where the size stays, the target's own values.
    """
    factor = np.array([(sizes or {}).get(name, 1.0) for name in names])[:, None, None]
    if (factor == 1).all():
        return np.asarray(targets, np.float32)
    return np.where(factor == 1, targets, base + factor * (targets - base)).astype(np.float32)


def _open(
    mesh: Mesh, document: Document | None, model: FaceModel, landmarks: Landmarks | None,
    pieces: Mapping[str, str] | None,
) -> OpenedFace:  # fmt: skip
    """As it is if it has the model's topology, otherwise registered."""
    if landmarks is None and not pieces and len(mesh.faces):
        try:
            vertices, decision = face_of_mesh(mesh, model.topology)
        except WrongTopology:
            pass  # a topology of its own: it is registered
        else:
            notes = (*mesh.notes, decision.sentence) if decision.changed else mesh.notes
            return OpenedFace(vertices, mesh, model.topology, decision, notes, document=document)
    head = open_head(model, mesh, landmarks=landmarks, pieces=pieces)
    notes = (*mesh.notes, *head.notes)
    return OpenedFace(
        head.vertices, mesh, model.topology, head.decision, notes, head, document, pieces=pieces
    )


def _read(source: str | Path | Mesh) -> tuple[Mesh, Document | None]:
    """The mesh, and all that its glTF file holds, whose file is not needed again."""
    if isinstance(source, (str, Path)):
        mesh = read_head(source)
        return mesh, Document(Path(source)) if Path(source).suffix.lower() in GLTF else None
    if not isinstance(source, Mesh):
        raise BadSetting(
            "open_face takes a mesh file or a Mesh, and then the model", received=type(source).__name__,
            remedy="give the path of a mesh file, or make a mien.Mesh of vertices and faces",
        )  # fmt: skip
    _check(source)
    path = source.path
    if path is None or path.suffix.lower() not in GLTF or not path.is_file():
        return source, None
    # A mesh whose vertices were moved since is not what its file holds.
    unchanged = np.array_equal(read_mesh(path).vertices, source.vertices)
    return source, Document(path) if unchanged else None


def _check(mesh: Mesh) -> None:
    """Refuses a mesh in memory that no file could hold; readers have checked theirs."""
    shapes = np.shape(mesh.vertices), np.shape(mesh.faces)
    if any(len(shape) != 2 or shape[1] != 3 for shape in shapes):
        raise BadMesh(
            f"{mesh.name!r} needs vertices of shape (N, 3) and faces of shape (F, 3)",
            received=f"{shapes[0]} and {shapes[1]}", remedy="give no faces as an array of shape (0, 3)",
        )  # fmt: skip
    count = len(mesh.vertices)
    if len(mesh.faces) and not 0 <= np.min(mesh.faces) <= np.max(mesh.faces) < count:
        raise BadMesh(
            f"the faces of {mesh.name!r} name vertices that it does not have", received=f"{count} vertices",
            remedy="count vertices from 0",
        )  # fmt: skip
