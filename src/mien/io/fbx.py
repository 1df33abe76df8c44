"""FBX in: meshes with polygons, texture coordinates, materials and blend shapes, by the package ufbx."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from mien.errors import require
from mien.io.glb import MILLIMETERS, Morphs
from mien.io.pieces import ScenePieces, mesh_of, pieces_by, targets_of
from mien.io.record import Mesh

_LEAST_MEGABYTES, _TIMES = 600, 30  # of memory for the reader, and so many times the size of a larger file


def fbx_pieces(path: Path) -> ScenePieces:
    """The meshes of an FBX file's scene, in meters and +Y up.

    Args:
        path: A ``.fbx`` file.
    """
    require("ufbx", "fbx")
    megabytes = _LEAST_MEGABYTES + _TIMES * path.stat().st_size // 1_000_000
    return pieces_by([sys.executable, "-m", "mien.io.fbx_process"], path, str(megabytes))


def read_fbx(path: Path) -> Mesh:
    """Reads all polygons of an FBX file, in meters, +Y up; see :func:`mien.io.mesh.read_mesh`.

    Args:
        path: A ``.fbx`` file.
    """
    return mesh_of(fbx_pieces(path), path)


def read_fbx_targets(path: Path) -> Morphs:
    """Reads all meshes of an FBX file as one, with its blend shapes, in millimeters.

    Args:
        path: A ``.fbx`` file.
    """
    scene = fbx_pieces(path)
    mesh, (names, changes) = mesh_of(scene, path), targets_of(scene)
    base = mesh.vertices.astype(np.float64) * MILLIMETERS
    return Morphs(
        base.astype(np.float32), (base + changes * MILLIMETERS).astype(np.float32), names, None,
        np.arange(len(base), dtype=np.int32), mesh.faces,
    )  # fmt: skip
