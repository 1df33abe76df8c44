"""Faces in and out of commands: read onto the model's topology, written back as they came."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.cli.shell import say
from mien.data.arkit import gaze_of
from mien.errors import BadSetting, UnknownName, WrongTopology
from mien.geometry.alignment import FrameDecision
from mien.io.face import read_face
from mien.io.gltf import png_bytes, write_glb
from mien.io.materials import Material, copy_library, read_materials
from mien.io.mesh import Mesh, read_mesh, write_mesh, write_obj_sequence
from mien.topology import Topology

if TYPE_CHECKING:
    from mien.apply import Rig
    from mien.models.base import FaceModel


@dataclass(frozen=True, eq=False)
class Face:
    """A face that a command was given.

    Args:
        vertices: (V, 3) float32, millimeters, +Y up, +Z out of the face.
        layout: The file's own polygons, texture coordinates and groups.
        topology: The model's.
        decision: What was decided about unit and axes; results go back through it.
        looks: Colors and pictures of the file's materials where they have been read already.
    """

    vertices: NDArray[np.float32]
    layout: Mesh
    topology: Topology
    decision: FrameDecision
    looks: Mapping[str, Material] | None = None

    def restored(self, vertices: NDArray, gaze: NDArray | None = None) -> NDArray[np.float32]:
        """(..., V, 3) millimeters back in the unit and axes of the file, its eyeballs turned."""
        back = np.asarray(vertices, np.float64) / self.decision.scale_to_mm @ self.decision.rotation
        return back.astype(np.float32)

    @property
    def foreign(self) -> bool:
        """Whether the file has another topology than the model, so that results are carried to it."""
        return False

    def posed(self, path: Path, model: FaceModel, marks: Marks | None = None) -> Face:
        """The same person in another pose."""
        return read(path, model, marks)

    def shown(self, vertices: NDArray, gaze: NDArray | None = None) -> NDArray[np.float32]:
        """Millimeters, +Y up, +Z out of the face, of the vertices that files hold."""
        return np.asarray(vertices, np.float32)

    def materials(self) -> Mapping[str, Material]:
        """Colors and pictures of the file's materials; says what is missing of them."""
        if self.looks is not None:
            return self.looks
        found, notes = read_materials(self.layout)
        for note in notes:
            say(note)
        return found

    def write(self, path: Path, vertices: NDArray, gaze: NDArray | None = None) -> None:
        """Writes (V, 3) millimeters as the file came: unit, axes, polygons, texture coordinates, order."""
        if path.suffix.lower() == ".glb":
            looks = self.materials()
            write_glb(path, self.shown(vertices, gaze), self.drawn, name=self.layout.name, materials=looks)
        else:
            write_mesh(path, self.restored(vertices, gaze), self.layout)
        if path.suffix.lower() == ".obj":
            copy_library(self.layout, path.parent)

    def write_frames(self, folder: Path, frames: NDArray, stem: str, gaze: NDArray | None = None) -> None:
        """Writes (T, V, 3) millimeters as numbered OBJ files, each as the file came."""
        looks = [None] * len(frames) if gaze is None else gaze
        moved = (self.restored(frame, look) for frame, look in zip(frames, looks, strict=True))
        with whole_folder(folder) as partial:
            write_obj_sequence(partial, moved, self.layout, stem=stem)
        copy_library(self.layout, folder)

    @property
    def turns_eyes(self) -> bool:
        """Whether the file has eyeballs of its own, which look where ``eyeLook`` expressions say."""
        return False

    def write_rig(
        self, path: Path, rig: Rig, names: Sequence[str] | None = None, *, gaze: NDArray | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        """Writes a rig as GLB or USD with this file's texture coordinates; ``names`` rename its targets.

        Args:
            path: Where to.
            rig: On the model's topology.
            names: E names, or None for the rig's own.
            gaze: (E, 2, 2) degrees that eyeballs turn with each target; by the targets' names without.
            options: As for :func:`mien.io.gltf.write_glb`.
        """
        gaze = gaze_of(names or rig.names) if gaze is None else gaze
        if path.suffix.lower() in (".usda", ".usdc", ".usd"):
            from mien.io.usd import write_usd

            kept = {key: value for key, value in options.items() if key in ("clip", "fps")}
            base, targets = self.shown(rig.base), self.shown(rig.targets, gaze)
            return write_usd(
                path, base, self.drawn, targets, names or rig.names, name=self.layout.name,
                materials=self.materials(), **kept,
            )  # fmt: skip
        if path.suffix.lower() != ".glb":
            raise BadSetting(
                "a rig is written as GLB or USD", received=str(path), remedy="name the output *.glb or *.usda"
            )
        write_glb(
            path, self.shown(rig.base), self.drawn, self.shown(rig.targets, gaze), names or rig.names,
            name=self.layout.name, materials=self.materials(), **options,
        )  # fmt: skip

    def stage(self) -> Topology:
        """What pictures of this face need: triangles, a rest pose, and colors where the model names parts."""
        return self.topology

    def in_model_uv(self) -> Face:
        """The same face, drawn with the texture coordinates of the model's topology."""
        return replace(self, layout=replace(self.layout, uv=None, uv_faces=None, marks=()))

    @property
    def drawn(self) -> Mesh | Topology:
        """What gives a GLB its triangles, texture coordinates and materials."""
        own = self.layout.uv is not None or self.layout.names()
        return self.layout if own else self.topology

    def distance(self, vertices: NDArray) -> float:
        """Mean vertex distance, millimeters, of a result from this face."""
        return float(np.linalg.norm(np.asarray(vertices) - self.vertices, axis=-1).mean())


class Marks(dict[Path, Path]):
    """Which landmark table belongs to which mesh."""

    def __missing__(self, mesh: Path) -> None:
        return None

    @staticmethod
    def of(given: Sequence[str], *meshes: Path | str | None) -> Marks:
        """Reads ``--landmarks``: ``TABLE.csv`` for the first mesh, ``MESH=TABLE.csv`` for any other.

        Args:
            given: What was written.
            meshes: Those of the command; a mesh may be named by its whole path or its file name.
        """
        known = [Path(mesh) for mesh in meshes if mesh is not None]
        found = Marks()
        for item in given:
            name, named, table = item.rpartition("=")
            fitting = [mesh for mesh in known if name in (str(mesh), mesh.name)] if named else known[:1]
            if not fitting:
                raise UnknownName("mesh with landmarks", name or item, [mesh.name for mesh in known])
            found |= dict.fromkeys(fitting, Path(table))
        return found


def style_person(given: str | None, model: FaceModel, marks: Marks | None = None) -> Any:
    """Whose style: the name of a training person stays a name, the file of a face becomes (V, 3)."""
    if given is None or given in getattr(model, "people", ()):
        return given
    if not Path(given).suffix:
        return given  # a name; the model says which it knows
    return read(Path(given), model, marks).vertices


def open_face(path: Path, model: FaceModel, landmarks: Path | None = None) -> Face:
    """Reads a face of any topology.

    Args:
        path: A mesh file. With the vertices of the model it is taken as it is, otherwise it is registered.
        model: The model.
        landmarks: Where named landmarks lie on a mesh of another topology, in its own unit and axes.
    """
    mesh = read_mesh(path, points=True)
    if landmarks is None and len(mesh.faces):
        try:
            vertices, decision = read_face(path, model.topology)
        except WrongTopology:
            pass  # a topology of its own: it is registered
        else:
            return Face(vertices, mesh, model.topology, decision)
    from mien.cli.foreign import HeadFace, register_head

    return HeadFace.of(register_head(mesh, model, landmarks), path)


def read(path: Path, model: FaceModel, marks: Marks | None = None) -> Face:
    """As :func:`open_face`; says what was decided about unit and axes, and how well a registration fits."""
    face = open_face(path, model, (marks or Marks())[path])
    if face.foreign or face.decision.changed:
        say(face.decision.sentence)
    return face


def read_posed(
    path: Path, neutral: Path | None, model: FaceModel, marks: Marks
) -> tuple[Face, NDArray[np.float32] | None]:
    """A face, and the same person at rest, (1, V, 3), or None without a neutral.

    Where both are poses of one mesh of another topology, it is registered once, at rest.
    """
    if neutral is None:
        return read(path, model, marks), None
    rest = read(neutral, model, marks)
    return rest.posed(path, model, marks), rest.vertices[None]


def read_pairs(
    faces: Sequence[Path], neutrals: Sequence[Path], model: FaceModel, marks: Marks | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """(K, V, 3) faces and the same people at rest, or None without neutrals.

    Where both are poses of one mesh of another topology, it is registered once, at rest.
    """
    if not neutrals:
        return np.stack([read(path, model, marks).vertices for path in faces]), None
    rests = [read(path, model, marks) for path in neutrals]
    posed = [rest.posed(path, model, marks).vertices for rest, path in zip(rests, faces, strict=True)]
    return np.stack(posed), np.stack([rest.vertices for rest in rests])


def write_people(
    folder: Path, faces: Iterable[NDArray], topology: Topology, about: Mapping[str, Any]
) -> None:
    """Writes faces (V, 3) one by one as ``person_0000.obj`` and so on, and a table that lists them."""
    with whole_folder(folder) as partial:
        _list_people(partial, write_obj_sequence(partial, faces, topology, stem="person"), about)


def write_textured(
    folder: Path, people: Iterable[tuple[NDArray, NDArray]], topology: Topology, about: Mapping[str, Any]
) -> None:
    """Writes batches of faces and texture maps as ``person_0000.glb`` and so on, and a table of them."""
    with whole_folder(folder) as partial:
        paths: list[Path] = []
        for faces, maps in people:
            for face, image in zip(faces, maps, strict=True):
                paths.append(partial / f"person_{len(paths):04d}.glb")
                write_glb(paths[-1], face, topology, texture=png_bytes(image), name=paths[-1].stem)
        _list_people(partial, paths, about)


def _list_people(folder: Path, paths: Iterable[Path], about: Mapping[str, Any]) -> None:
    from mien.io.atomic import write_bytes

    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["file", "number", *about])
    table.writerows([path.name, number, *about.values()] for number, path in enumerate(paths))
    write_bytes(folder / "people.csv", text.getvalue().encode())


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A temporary neighbor whose files move into ``out`` when all are written; none does if one fails."""
    partial = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    partial.mkdir(parents=True)
    try:
        yield partial
        out.mkdir(exist_ok=True)
        for path in sorted(partial.iterdir()):
            os.replace(path, out / path.name)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
