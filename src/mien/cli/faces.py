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

from mien.cli.shell import existing, say
from mien.errors import BadSetting, WrongTopology
from mien.geometry.alignment import FrameDecision
from mien.io.face import read_face
from mien.io.gltf import png_bytes, write_glb
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
    """

    vertices: NDArray[np.float32]
    layout: Mesh
    topology: Topology
    decision: FrameDecision

    def restored(self, vertices: NDArray) -> NDArray[np.float32]:
        """(V, 3) millimeters back in the unit and axes of the file."""
        back = np.asarray(vertices, np.float64) / self.decision.scale_to_mm @ self.decision.rotation
        return back.astype(np.float32)

    @property
    def foreign(self) -> bool:
        """Whether the file has another topology than the model, so that results are carried to it."""
        return False

    def posed(self, path: Path, model: FaceModel) -> Face:
        """The same person in another pose."""
        return read(path, model)

    def shown(self, vertices: NDArray) -> NDArray[np.float32]:
        """Millimeters, +Y up, +Z out of the face, of the vertices that files hold."""
        return np.asarray(vertices, np.float32)

    def write(self, path: Path, vertices: NDArray) -> None:
        """Writes (V, 3) millimeters as the file came: unit, axes, polygons, texture coordinates, order."""
        if path.suffix.lower() == ".glb":
            write_glb(path, self.shown(vertices), self.drawn, name=self.layout.name)
        else:
            write_mesh(path, self.restored(vertices), self.layout)

    def write_frames(self, folder: Path, frames: NDArray, stem: str) -> None:
        """Writes (T, V, 3) millimeters as numbered OBJ files, each as the file came."""
        with whole_folder(folder) as partial:
            write_obj_sequence(partial, (self.restored(frame) for frame in frames), self.layout, stem=stem)

    def write_rig(self, path: Path, rig: Rig, names: Sequence[str] | None = None, **options: Any) -> None:
        """Writes a rig as GLB or USD with this file's texture coordinates; ``names`` rename its targets."""
        if path.suffix.lower() in (".usda", ".usdc", ".usd"):
            from mien.io.usd import write_usd

            kept = {key: value for key, value in options.items() if key in ("clip", "fps")}
            base, targets = self.shown(rig.base), self.shown(rig.targets)
            return write_usd(
                path, base, self.drawn, targets, names or rig.names, name=self.layout.name, **kept
            )
        if path.suffix.lower() != ".glb":
            raise BadSetting(
                "a rig is written as GLB or USD", received=str(path), remedy="name the output *.glb or *.usda"
            )
        write_glb(
            path, self.shown(rig.base), self.drawn, self.shown(rig.targets), names or rig.names,
            name=self.layout.name, **options,
        )  # fmt: skip

    def stage(self) -> Topology:
        """What pictures of this face need: triangles, a rest pose, and colors where the model names parts."""
        return self.topology

    def in_model_uv(self) -> Face:
        """The same face, drawn with the texture coordinates of the model's topology."""
        return replace(self, layout=replace(self.layout, uv=None, uv_faces=None))

    @property
    def drawn(self) -> Mesh | Topology:
        """What gives a GLB its triangles and texture coordinates."""
        return self.layout if self.layout.uv is not None else self.topology

    def distance(self, vertices: NDArray) -> float:
        """Mean vertex distance, millimeters, of a result from this face."""
        return float(np.linalg.norm(np.asarray(vertices) - self.vertices, axis=-1).mean())


def open_model(folder: Path) -> FaceModel:
    """A finished run."""
    from mien.models import load_model

    return load_model(str(existing(folder, "model folder")))


def style_person(given: str | None, model: FaceModel) -> Any:
    """Whose style: the name of a training person stays a name, the file of a face becomes (V, 3)."""
    if given is None or given in getattr(model, "people", ()):
        return given
    if not Path(given).suffix:
        return given  # a name; the model says which it knows
    return read(Path(given), model).vertices


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


def read(path: Path, model: FaceModel, landmarks: Path | None = None) -> Face:
    """As :func:`open_face`; says what was decided about unit and axes, and how well a registration fits."""
    face = open_face(path, model, landmarks)
    if face.foreign or face.decision.changed:
        say(face.decision.sentence)
    return face


def read_pairs(
    faces: Sequence[Path], neutrals: Sequence[Path], model: FaceModel
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """(K, V, 3) faces and the same people at rest, or None without neutrals.

    Where both are poses of one mesh of another topology, it is registered once, at rest.
    """
    if not neutrals:
        return np.stack([read(path, model).vertices for path in faces]), None
    rests = [read(path, model) for path in neutrals]
    posed = [rest.posed(path, model).vertices for rest, path in zip(rests, faces, strict=True)]
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
