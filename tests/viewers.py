"""A studio with two small models, for tests."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from fixtures import EXPRESSIONS, Planted, planted
from heads import Z_UP, ball, joined, remeshed
from numpy.typing import NDArray

from mien.geometry.registration import main_piece
from mien.io.gltf import png_bytes
from mien.io.mesh import write_obj
from mien.io.record import Mark, Mesh
from mien.models import model_class
from mien.models.base import FaceModel
from mien.viewer import Engine, Studio
from mien.viewer.wire import unpack


@lru_cache
def world() -> Planted:
    """People and expressions that add up exactly: what a linear model must find."""
    return planted(subjects=12)


@lru_cache
def small_model(name: str = "morphable") -> FaceModel:
    """A model of the planted world."""
    data = world().data
    options = {"identity_size": 4, "expression_size": 5, "ridge": 1e-6} if name == "morphable" else {}
    model = model_class(name)(data.topology, EXPRESSIONS, **options)
    model.prepare(data)
    model.calibrate(data)
    return model.eval()


def small_studio(*names: str, **options: Any) -> Studio:
    """A fresh studio with these models, ``morphable`` by default, and the planted people."""
    engines = [Engine(name, small_model(name)) for name in names or ("morphable",)]
    return Studio(engines, world().data, **options)


def faces_of(studio: Studio, answer: bytes) -> list[NDArray[np.float32]]:
    """The (V, 3) faces of an answer, pane after pane; arrays behind them are dropped."""
    head, numbers = unpack(answer)
    shown, at = [], 0
    for pane in head["panes"]:
        for name, size in pane["arrays"]:
            if name == "vertices":
                shown.append(numbers[at : at + size].reshape(-1, 3))
            at += size
    assert at == len(numbers)
    return shown


def obj_bytes(vertices: NDArray, folder: object) -> bytes:
    """An OBJ file of the planted topology."""
    path = folder / "face.obj"  # type: ignore[operator]
    write_obj(path, vertices, world().data.topology)
    return path.read_bytes()


def painted_files(vertices: NDArray, folder: Path) -> dict[str, bytes]:
    """The planted face as an OBJ of two materials, its library and a picture for the first."""
    topology = world().data.topology
    corners = np.arange(topology.vertex_count) / topology.vertex_count
    uv = np.stack([corners, 1 - corners], axis=1).astype(np.float32)
    marks = (Mark(0, "usemtl", "skin"), Mark(topology.face_count // 2, "usemtl", "beard"))
    mesh = Mesh(
        vertices.astype(np.float32), topology.faces, uv=uv, uv_faces=topology.faces, marks=marks,
        material_files=("look.mtl",),
    )  # fmt: skip
    write_obj(folder / "painted.obj", vertices, mesh)
    library = b"newmtl skin\nmap_Kd skin.png\nnewmtl beard\nKd 0.2 0.1 0\n"
    picture = png_bytes(np.full((2, 2, 3), (0, 200, 0), np.uint8))
    return {"painted.obj": (folder / "painted.obj").read_bytes(), "look.mtl": library, "skin.png": picture}


@dataclass(frozen=True)
class Stranger:
    """The planted face of another topology on a large ball, where no face is found; in meters, Z up.

    Args:
        mesh: As its file has it.
        landmarks: Name -> (3,) where the template's landmarks lie on it, in its own unit and axes.
        face: (V, 3) the truth on the planted topology, millimeters.
    """

    mesh: Mesh
    landmarks: dict[str, NDArray]
    face: NDArray


@lru_cache
def stranger() -> Stranger:
    """A head that is refused until landmarks are picked on it."""
    topology = world().data.topology
    kept, skin = main_piece(topology)
    other, face = remeshed(skin, seed=1), world().neutrals[3]
    vertices, faces = joined((other.of(face[kept]), other.faces), ball(np.array([0.0, 0, -320]), 300))
    tied = np.concatenate([faces, [[0, 1, len(other.corners)]]]).astype(np.int32)
    own = (vertices @ Z_UP.T * 0.001).astype(np.float32)
    points = topology.landmarks.positions(face) @ Z_UP.T * 0.001
    named = dict(zip(topology.landmarks.names, points, strict=True))
    return Stranger(Mesh(own, tied, name="stranger"), named, face)


def stranger_file(folder: Path) -> Path:
    """The stranger as an OBJ."""
    write_obj(folder / "stranger.obj", stranger().mesh.vertices, stranger().mesh)
    return folder / "stranger.obj"
