"""How fast meshes of one topology are read when the first one has been: the readers of the field's data sets.

python benchmarks/corresponding_meshes.py MESH.obj

The mesh is written three times, moved a little; both ways of reading give the same vertices.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mien.data.sources.correspondence import CorrespondingMeshes
from mien.io.mesh import read_mesh, write_obj


def main() -> None:
    mesh = read_mesh(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.obj" for number in range(4)]
        for number, path in enumerate(paths):
            write_obj(path, mesh.vertices + number, mesh)
        meshes = CorrespondingMeshes(paths[0])
        seconds = {}
        for name, read in (("whole", lambda path: read_mesh(path).vertices), ("vertices only", meshes.read)):
            start = time.process_time()
            found = [read(path) for path in paths[1:]]
            seconds[name] = (time.process_time() - start) / 3
            np.testing.assert_array_equal(found[0], read_mesh(paths[1]).vertices)
    for name, taken in seconds.items():
        print(f"{name}: {1000 * taken:.0f} ms a mesh of {len(mesh.vertices):,} vertices")


if __name__ == "__main__":
    main()
