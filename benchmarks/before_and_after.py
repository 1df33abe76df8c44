"""How fast Mien starts and reads, beside an earlier commit of its own, in turns in one run.

    python benchmarks/before_and_after.py COMMIT [--repeats 5] [--out FILE.csv]

Checks of foreign files must not be paid for by everybody. Each task runs in a fresh process, now with the
code of this checkout, now with that of the commit, so that both meet the same load; processor times, the best
of all repeats. Files are read three times in a process, as the first reading also imports. They are written
once, by this checkout: a face of 26,000 vertices as OBJ, PLY and GLB, a recording of 3,000 frames, a data set
of 40 such faces.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from mien.data.dataset import FaceDataset
from mien.io.gltf import write_glb
from mien.io.mesh import write_obj, write_ply
from mien.topology import Topology

ROOT = Path(__file__).parent.parent
VERTICES, FRAMES, FACES = 26_000, 3000, 40
_TIMED = """
import sys, time
from pathlib import Path
folder = Path(sys.argv[1])
{prepare}
best = 1e9
for _ in range({times}):
    began = time.process_time()
    {read}
    best = min(best, time.process_time() - began)
print(best)
"""
_MESH = ("from mien.io.mesh import read_mesh", "read_mesh(folder / 'a.{}')")
TASKS = {
    "import": ("", "import mien"),
    "help": ("", "from mien.cli import command; command(['--help'])"),
    "obj": (_MESH[0], _MESH[1].format("obj")),
    "ply": (_MESH[0], _MESH[1].format("ply")),
    "glb": (_MESH[0], _MESH[1].format("glb")),
    "recording": (
        "from mien.data.recorded import read_performance",
        "read_performance(folder / 'a.csv', ('jaw_open', 'mouthSmileLeft'))",
    ),
    "data set": ("from mien.data.dataset import FaceDataset", "FaceDataset.load(folder / 'faces')"),
}
"""Task -> what is done before the clock starts, and what is timed."""


def write_files(folder: Path) -> None:
    """What is read."""
    columns = int(VERTICES**0.5)
    rows = VERTICES // columns
    x, y = np.meshgrid(np.linspace(-80, 80, columns), np.linspace(-110, 110, rows))
    points = np.stack([x, y, 90 - (x / 80) ** 2 * 60 - (y / 110) ** 2 * 30], axis=2).reshape(-1, 3)
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    faces = np.concatenate(
        [np.stack([corner, corner + 1, corner + columns + 1], axis=1),
         np.stack([corner, corner + columns + 1, corner + columns], axis=1)]
    )  # fmt: skip
    large = Topology("sheet", faces.astype(np.int32), points.astype(np.float32))
    write_obj(folder / "a.obj", large.template, large)
    write_ply(folder / "a.ply", large.template, large)
    write_glb(folder / "a.glb", large.template, large)
    weights = np.random.default_rng(0).random((FRAMES, 2)).round(4)
    lines = "".join(f"{number},{a},{b}\n" for number, (a, b) in enumerate(weights.tolist()))
    (folder / "a.csv").write_text("frame,jaw_open,mouthSmileLeft\n" + lines)
    shared = np.broadcast_to(large.template, (FACES, *large.template.shape)).astype(np.float32)
    people = np.repeat(np.arange(FACES // 2), 2)
    pose = np.tile([[0.0], [1.0]], (FACES // 2, 1))
    names = tuple(f"person-{number}" for number in range(FACES // 2))
    data = FaceDataset(large, ("smile",), shared, pose, people, names, source="made", license="MIT")
    data.save(folder / "faces")


def seconds(task: str, source: Path, folder: Path) -> float:
    """Processor time of a task with the code of a source tree."""
    prepare, read = TASKS[task]
    code = _TIMED.format(prepare=prepare, read=read, times=3 if prepare else 1)
    environment = {"PYTHONPATH": str(source / "src"), "HOME": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{task} failed with {source}: {done.stderr.strip().splitlines()[-1]}")
    return float(done.stdout.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commit")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder, before = Path(home), Path(home) / "before"
        pack = ["git", "archive", given.commit, "src"]
        packed = subprocess.run(pack, cwd=ROOT, capture_output=True, check=True)
        before.mkdir()
        subprocess.run(["tar", "-x"], cwd=before, input=packed.stdout, check=True)
        write_files(folder)
        rows = []
        for task in TASKS:
            turns = range(given.repeats + 1)  # the first one compiles
            old, new = np.min(
                [[seconds(task, side, folder) for side in (before, ROOT)] for _ in turns], axis=0
            )
            rows.append({"task": task, "commit": given.commit, "before_ms": f"{1000 * old:.1f}",
                         "now_ms": f"{1000 * new:.1f}", "ratio": f"{new / old:.2f}"})  # fmt: skip
            print(", ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    if given.out is not None:
        with given.out.open("w", newline="") as file:
            table = csv.DictWriter(file, rows[0], lineterminator="\n")
            table.writeheader()
            table.writerows(rows)


if __name__ == "__main__":
    main()
