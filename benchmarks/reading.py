"""How fast meshes are read, beside trimesh and libigl in the same run, and a whole FaceScape tree per mesh.

    pip install trimesh libigl
    python benchmarks/reading.py [--vertices 26317] [--people 8] [--out FILE.csv]

The mesh is a bulged sheet of triangles with texture coordinates, written as data sets write theirs: six
decimals, ``f vertex/uv``. Times are of the processor, the best of several repeats with the file in memory.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import igl
import numpy as np
import trimesh
from numpy.typing import NDArray
from PIL import Image

from mien.data.sources.correspondence import CorrespondingMeshes
from mien.data.sources.facescape import NAMES
from mien.data.sources.field import field_set
from mien.data.sources.registered import prepare_field
from mien.io.mesh import read_mesh

REPEATS = 9


def sheet(count: int) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    """(V, 3) millimeters of a mask of exactly so many vertices, its uv, and the lines of its faces."""
    columns = int(np.sqrt(count))
    place = np.arange(count)
    u, v = place % columns / columns, place // columns / (count // columns)
    x, y = 160 * (u - 0.5), 220 * (v - 0.5)
    vertices = np.stack([x, y, 90 - (x / 80) ** 2 * 60 - (y / 110) ** 2 * 30], axis=1)
    low = place[(place % columns < columns - 1) & (place + columns + 1 < count)]
    quads = np.stack([low, low + 1, low + columns + 1, low + columns], axis=1) + 1
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    lines = "".join("f {0}/{0} {1}/{1} {2}/{2}\n".format(*row) for row in faces.tolist())
    return vertices, np.stack([u, v], axis=1), lines


def write(path: Path, vertices: NDArray, uv: NDArray, faces: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join("v {:.6f} {:.6f} {:.6f}\n".format(*row) for row in vertices.tolist())
    path.write_text(text + "".join("vt {:.6f} {:.6f}\n".format(*row) for row in uv.tolist()) + faces)


def milliseconds(read: Callable[[], object]) -> float:
    """Best processor time of one reading."""
    best = np.inf
    for _ in range(REPEATS):
        start = time.process_time()
        read()
        best = min(best, time.process_time() - start)
    return 1000 * float(best)


def tree(folder: Path, people: int, mesh: tuple[NDArray, NDArray, str]) -> int:
    """A FaceScape tree of so many people; how many meshes it has."""
    vertices, uv, faces = mesh
    random = np.random.default_rng(0)
    for person in range(1, people + 1):
        own = vertices * random.uniform(0.95, 1.05, 3)
        for number, name in enumerate(NAMES, start=1):
            path = folder / str(person) / "models_reg" / f"{number}_{name}.obj"
            write(path, own + [0.0, 0.0, 0.2 * number], uv, faces)
            Image.new("RGB", (8, 8)).save(path.with_suffix(".jpg"))
    return people * len(NAMES)


def measure(count: int, people: int) -> dict[str, float]:
    """All figures by name."""
    mesh = sheet(count)
    with tempfile.TemporaryDirectory() as home:
        path = Path(home) / "a.obj"
        write(path, *mesh)
        write(path.with_name("b.obj"), mesh[0] * 1.01, *mesh[1:])
        theirs = trimesh.load(path, process=False)
        np.testing.assert_allclose(read_mesh(path).vertices[:3], np.asarray(theirs.vertices)[:3], atol=1e-5)
        alike = CorrespondingMeshes(path)
        figures = {
            "mien_ms": milliseconds(lambda: read_mesh(path)),
            "trimesh_ms": milliseconds(lambda: trimesh.load(path, process=False)),
            "libigl_ms": milliseconds(lambda: igl.readOBJ(str(path))),
            "mien_same_faces_ms": milliseconds(lambda: alike.read(path.with_name("b.obj"))),
        }
        meshes = tree(Path(home) / "tree", people, mesh)
        start, began = time.process_time(), time.perf_counter()
        prepare_field(field_set("facescape"), Path(home) / "tree", Path(home) / "out")
        figures["prepare_processor_ms_a_mesh"] = 1000 * (time.process_time() - start) / meshes
        figures["prepare_ms_a_mesh"] = 1000 * (time.perf_counter() - began) / meshes
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vertices", type=int, default=26317)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    row: dict[str, object] = {"vertices": given.vertices}
    row |= {name: f"{value:.1f}" for name, value in measure(given.vertices, given.people).items()}
    row |= {"cores": os.cpu_count(), "numpy": np.__version__, "processor": platform.machine()}
    row |= {"trimesh": trimesh.__version__}
    for name, value in row.items():
        print(f"{name}: {value}")
    if given.out is not None:
        with given.out.open("w", newline="") as file:
            table = csv.DictWriter(file, row)
            table.writeheader()
            table.writerow(row)


if __name__ == "__main__":
    main()
