"""Small meshes with known properties: grids with holes, slits and several components, a mask, a sphere."""

from __future__ import annotations

import atexit
import os
import shutil
import struct
import tarfile
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.topology import Polygons, Topology


def quads(columns: int, rows: int) -> NDArray[np.int32]:
    """(P, 4) quads of a grid of columns x rows vertices, looking along +Z."""
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    return np.stack([corner, corner + 1, corner + columns + 1, corner + columns], axis=1).astype(np.int32)


def triangles(polygons: NDArray) -> NDArray[np.int32]:
    """(2 P, 3) triangles of (P, 4) quads."""
    return polygons[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3).astype(np.int32)


def flat_grid(columns: int = 9, rows: int = 7, spacing: float = 10.0) -> tuple[NDArray, NDArray]:
    """Vertices (V, 3) in the plane z = 0 and triangles."""
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    vertices = np.stack([x.ravel(), y.ravel(), np.zeros(x.size)], axis=1) * spacing
    return vertices, triangles(quads(columns, rows))


def without(faces: NDArray, vertices: NDArray, center: tuple[float, float], size: float) -> NDArray:
    """The faces whose middle is farther than ``size`` from ``center`` in x and y: cuts a square hole."""
    middle = vertices[faces][..., :2].mean(axis=1)
    return faces[(np.abs(middle - np.array(center)) > size).any(axis=1)]


def cut(vertices: NDArray, faces: NDArray, on_line: NDArray, above: NDArray) -> tuple[NDArray, NDArray]:
    """Opens a slit: vertices on a line are doubled, faces above it take the copies.

    Args:
        vertices: (V, 3).
        faces: (F, 3).
        on_line: Vertex numbers inside the slit; the ends of the slit are not among them.
        above: (F,) bool, the faces on one side.
    """
    copies = np.arange(len(vertices))
    copies[on_line] = len(vertices) + np.arange(len(on_line))
    opened = np.where(above[:, None], copies[faces], faces)
    return np.concatenate([vertices, vertices[on_line]]), opened


def mask(columns: int = 31, rows: int = 37) -> Topology:
    """A face-like mask: narrow chin, a nose, two eye holes, a closed mouth slit; and teeth behind it."""
    x, y = np.meshgrid(np.linspace(-1, 1, columns), np.linspace(-1, 1, rows))
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    polygons = quads(columns, rows)
    width = 72 * (1 - 0.35 * np.clip(-points[:, 1], 0, 1))
    depth = 70 * (1 - 0.55 * points[:, 0] ** 2 - 0.3 * points[:, 1] ** 2)
    nose = 22 * np.exp(-(points[:, 0] ** 2) / 0.02 - (points[:, 1] + 0.05) ** 2 / 0.05)
    vertices = np.stack([points[:, 0] * width, points[:, 1] * 95, depth + nose], axis=1)
    for side in (-1, 1):
        polygons = without(polygons, vertices, (side * 32.0, 30.0), 9.0)
    faces = triangles(polygons)
    row = int(0.28 * rows)
    middle = columns // 2
    lips = row * columns + np.arange(middle - 5, middle + 6)
    # Faces between this row and the next are above the slit.
    vertices, faces = cut(vertices, faces, lips, faces.min(axis=1) // columns >= row)
    teeth, teeth_faces = flat_grid(6, 4, 6.0)
    teeth = teeth - teeth.mean(axis=0) + (0, vertices[lips[5], 1], 30)
    everything = np.concatenate([vertices, teeth])
    used = np.unique(faces)
    number = np.full(len(everything), -1)
    keep = np.concatenate([used, len(vertices) + np.arange(len(teeth))])
    number[keep] = np.arange(len(keep))
    return Topology("mask", number[np.concatenate([faces, teeth_faces + len(vertices)])], everything[keep])


def quad_topology(columns: int = 6, rows: int = 5) -> Topology:
    """A curved sheet of quads with a texture whose seam runs down the middle column."""
    vertices, _ = flat_grid(columns, rows)
    vertices[:, 2] = -((vertices[:, 0] - vertices[:, 0].mean()) ** 2) / 40
    polygons = quads(columns, rows)
    uv = vertices[:, :2] / vertices[:, :2].max(axis=0)
    middle = columns // 2
    seam = np.arange(rows) * columns + middle
    right = (polygons % columns).min(axis=1) >= middle
    uv_corners = polygons.copy()
    for number, vertex in enumerate(seam):
        uv_corners[right & (polygons == vertex).any(axis=1)] = np.where(
            polygons[right & (polygons == vertex).any(axis=1)] == vertex,
            len(uv) + number,
            uv_corners[right & (polygons == vertex).any(axis=1)],
        )
    uv = np.concatenate([uv, uv[seam] * (0.9, 1.0)])
    packed = Polygons(
        np.full(len(polygons), 4, np.int32), polygons.ravel(), uv_corners.ravel().astype(np.int32)
    )
    faces, uv_faces = packed.triangulate()
    return Topology("sheet", faces, vertices, packed, uv.astype(np.float32), uv_faces)


def icosphere(levels: int = 2, radius: float = 50.0) -> tuple[NDArray, NDArray]:
    """A closed sphere: vertices (V, 3) and outward triangles."""
    vertices = [(0, 0, 1), (1, 0, 0), (0, 1, 0), (-1, 0, 0), (0, -1, 0), (0, 0, -1)]
    points = [np.array(v, float) for v in vertices]
    faces = [(0, 1, 2), (0, 2, 3), (0, 3, 4), (0, 4, 1), (5, 2, 1), (5, 3, 2), (5, 4, 3), (5, 1, 4)]
    for _ in range(levels):
        middles: dict[tuple[int, int], int] = {}
        finer = []
        for face in faces:
            mids = []
            for a, b in zip(face, (*face[1:], face[0])):
                key = (min(a, b), max(a, b))
                if key not in middles:
                    middles[key] = len(points)
                    points.append((points[a] + points[b]) / np.linalg.norm(points[a] + points[b]))
                mids.append(middles[key])
            (a, b, c), (ab, bc, ca) = face, mids
            finer += [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        faces = finer
    return np.array(points) * radius, np.array(faces, np.int32)


def random_rotation(generator: np.random.Generator) -> NDArray[np.float64]:
    """(3, 3) a rotation drawn evenly."""
    q, r = np.linalg.qr(generator.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.sign(np.linalg.det(q))


def ict_release_path() -> Path | None:
    """The ICT-FaceKit release: its archive or the unpacked folder, as MIEN_ICT says."""
    given = os.environ.get("MIEN_ICT")
    return Path(given) if given else None


NEEDS_ICT = "needs the ICT-FaceKit release; set MIEN_ICT to its archive or its unpacked folder"


@lru_cache
def ict_folder() -> Path:
    """A folder with the OBJ files of the release that tests read, or a skip."""
    release = ict_release_path()
    if release is None:
        pytest.skip(NEEDS_ICT)
    if release.is_file():
        folder = Path(tempfile.mkdtemp(prefix="ict-"))
        atexit.register(shutil.rmtree, folder)
        with tarfile.open(release) as archive:
            for item in archive:
                if Path(item.name).name in ("generic_neutral_mesh.obj", "identity003.obj"):
                    item.name = Path(item.name).name
                    archive.extract(item, folder, filter="data")
        return folder
    return release / "FaceXModel" if (release / "FaceXModel").is_dir() else release


def read_pc2(path: Path) -> NDArray[np.float32]:
    """(T, V, 3) the frames of a point cache, read by the format's description."""
    data = path.read_bytes()
    assert data[:12] == b"POINTCACHE2\0"
    version, points, _, _, samples = struct.unpack("<iiffi", data[12:32])
    assert version == 1
    return np.frombuffer(data[32:], "<f4").reshape(samples, points, 3)
