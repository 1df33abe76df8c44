"""PC2 point caches: the vertices of a clip, as Blender, 3ds Max and Houdini read them beside a mesh.

The file is little-endian: the twelve bytes ``POINTCACHE2`` and zero, version 1 (int32), number of points
(int32), first frame and frames per sample (float32), number of samples (int32); then three float32 for each
point of each sample. Points are in the order of the mesh's vertices; there are no faces in it.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadMesh
from mien.io.atomic import atomic_file

_HEADER = struct.Struct("<12siiffi")


def write_pc2(path: str | Path, frames: NDArray) -> None:
    """Writes a clip as a point cache, one sample a frame.

    Args:
        path: The ``.pc2`` file.
        frames: (T, V, 3) float, in the unit and axes of the mesh that it is for.
    """
    frames = np.asarray(frames)
    if frames.ndim != 3 or frames.shape[2] != 3 or not len(frames) or not np.isfinite(frames).all():
        raise BadMesh("a point cache needs finite frames (T, V, 3)", received=frames.shape)
    with atomic_file(path) as file:
        file.write(_HEADER.pack(b"POINTCACHE2\0", 1, frames.shape[1], 0.0, 1.0, len(frames)))
        for frame in frames:
            file.write(np.ascontiguousarray(frame, "<f4").tobytes())
