"""Heads of other topologies against the known truth: ICT people, remeshed, scanned, cut, in any unit.

    mien data build ict --from ICT --subjects 6 --region head --seed 77 --out heads
    python benchmarks/heads_ict.py heads ICT runs/deformation_transfer runs/morphable --out results.csv
    python benchmarks/heads_ict.py heads ICT --library      # non-rigid alignment of trimesh, for comparison

The models are trained on ``mien data build ict --vertices 2500 --subjects 200`` (seed 0: other people). Every
vertex of a made head has known barycentric coordinates on the person's scan, and the same person's scans of
19 expressions give the truth on it. Needs fast-simplification, and trimesh and rtree with ``--library``.

Columns: ``native_mm`` is the model's error on its own topology, ``head_mm`` that on the head's own vertices
where the model's region is, ``there_and_back_mm`` the difference of the two without the model's error,
``flipped`` the template's triangles turned over, ``seconds`` the processor time of opening and carrying,
``command_seconds`` and ``command_cpu_seconds`` what the one command ``mien rig --names arkit`` takes from the
file to the GLB, and ``rest_equal`` whether the GLB's rest pose is the file's vertices to float32.
"""

import argparse
import csv
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import fast_simplification
import numpy as np

from mien import apply
from mien.data.dataset import FaceDataset
from mien.data.sources.ict_release import contact_rings, load_ict
from mien.geometry.differential import vertex_normals
from mien.geometry.hierarchy import decimate
from mien.geometry.nonrigid import align
from mien.geometry.openings import openings
from mien.geometry.procrustes import procrustes
from mien.geometry.surface import Surface, spread_samples
from mien.io.gltf import read_glb_targets
from mien.io.mesh import write_mesh
from mien.io.record import Mesh
from mien.models import load_model

Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
X_UP = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
FRAMES = {"meters, Z up": (Z_UP, 0.001), "centimeters, X up": (X_UP, 0.1), "millimeters": (np.eye(3), 1.0)}
HOLES = ((45.0, -10.0, 80.0), 14.0), ((0.0, 75.0, 95.0), 15.0)


class Made:
    """A head of another topology on a person's scan.

    Args:
        corners: (n, 3) corners of the scan's triangles, and
        weights: (n, 3) barycentric weights: where each vertex of the skin lies.
        faces: (F, 3) triangles, further pieces included.
        pieces: (m, 3) millimeters. Vertices of pieces that are not skin, after those of the skin.
        frame: Key of ``FRAMES``.
    """

    def __init__(self, corners, weights, faces, frame, pieces=()):
        self.corners, self.weights, self.faces, self.frame = corners, weights, faces, frame
        self.pieces = np.reshape(pieces, (-1, 3))

    def on(self, scans):
        """(..., n, 3) the skin's vertices on scans (..., V, 3)."""
        return np.einsum("nk,...nkc->...nc", self.weights, scans[..., self.corners, :])

    def mesh(self, scan):
        """As a file would hold it."""
        turn, scale = FRAMES[self.frame]
        vertices = np.concatenate([self.on(scan), self.pieces]) @ turn.T * scale
        return Mesh(vertices.astype(np.float32), self.faces.astype(np.int32))


def on_surface(scan, faces, points, triangles, frame):
    """A mesh put onto a scan's surface."""
    places = Surface(scan, faces).located(points, vertex_normals(points, triangles))
    return Made(places.corners, places.weights, triangles, frame)


def simplified(vertices, faces, count):
    """Vertices and triangles after quadric decimation."""
    points, triangles = fast_simplification.simplify(
        vertices.astype(np.float32), faces.astype(np.int32), target_count=count
    )
    return points.astype(float), triangles.astype(np.int64)


def halved(vertices, faces):
    """Every triangle cut into four: after decimation no vertex is where the scan had one."""
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]], axis=2).reshape(-1, 2)
    unique, index = np.unique(edges, axis=0, return_inverse=True)
    middle = len(vertices) + index.reshape(-1, 3)
    points = np.concatenate([vertices, vertices[unique].mean(axis=1)])
    corner = [np.stack([faces[:, k], middle[:, k], middle[:, k - 1]], axis=1) for k in range(3)]
    return points, np.concatenate([*corner, middle])


def ball(center, radius):
    """An eyeball of 12 x 16 quads, cut into triangles."""
    down, around = np.meshgrid(np.linspace(0.05, np.pi - 0.05, 12), np.arange(16) * np.pi / 8, indexing="ij")
    points = np.stack([np.sin(down) * np.cos(around), np.cos(down), np.sin(down) * np.sin(around)], axis=-1)
    first = (np.arange(11)[:, None] * 16 + np.arange(16)).ravel()
    after = (np.arange(11)[:, None] * 16 + (np.arange(16) + 1) % 16).ravel()
    faces = np.concatenate(
        [np.stack([first, after, first + 16], 1), np.stack([after, after + 16, first + 16], 1)]
    )
    return center + radius * points.reshape(-1, 3), faces[:, ::-1]


def with_pieces(made, scan, topology):
    """The head with eyeballs and forty cards of hair, in pieces of their own."""
    pieces = []
    for opening in openings(topology):
        if opening.kind == "eye":
            pieces.append(ball(opening.on(scan).center - [0, 0, 0.42 * opening.width], 0.5 * opening.width))
    top = scan[scan[:, 1] > np.quantile(scan[:, 1], 0.93)]
    for root in top[:: max(1, len(top) // 40)]:
        card = root + np.array([[-3.0, 0, 0], [3, 0, 0], [3, 18, -6], [-3, 18, -6]])
        pieces.append((card, np.array([[0, 1, 2], [0, 2, 3]])))
    starts = len(made.weights) + np.cumsum([0] + [len(points) for points, _ in pieces])
    faces = np.concatenate([made.faces, *(f + s for (_, f), s in zip(pieces, starts, strict=False))])
    return Made(
        made.corners, made.weights, faces, made.frame, np.concatenate([points for points, _ in pieces])
    )


def cut(faces, scan):
    """Triangles outside of two holes, in a cheek and the forehead."""
    middle = scan[faces].mean(axis=1)
    return faces[np.all([np.linalg.norm(middle - at, axis=1) > size for at, size in HOLES], axis=0)]


def heads(scan, topology):
    """Name -> head, of all kinds."""
    faces = topology.faces.astype(np.int64)
    coarse = on_surface(scan, faces, *simplified(scan, faces, 12_000), "meters, Z up")
    kept, whole = np.arange(len(scan)), cut(faces, scan)
    owner, weights = spread_samples(scan, whole, 1.5, 10**6)
    seen = np.einsum("nk,nkc->nc", weights, scan[whole[owner]])[:, 2] > 20
    return {
        "decimated": coarse,
        "low": on_surface(scan, faces, *simplified(scan, faces, 5_000), "centimeters, X up"),
        "remeshed": on_surface(scan, faces, *simplified(*halved(scan, faces), 40_000), "meters, Z up"),
        "with pieces": with_pieces(coarse, scan, topology),
        "with holes": Made(
            np.repeat(kept[:, None], 3, axis=1), np.tile([1.0, 0, 0], (len(kept), 1)), whole, "millimeters"
        ),
        "points": Made(whole[owner[seen]], weights[seen], np.zeros((0, 3), int), "millimeters"),
    }  # fmt: skip


def known_truth(data, person):
    """Names of a person's expressions, the scan at rest, and the scans of all expressions."""
    rows = np.flatnonzero(data.row_subject == person)
    neutral = next(row for row in rows if data.is_neutral[row])
    poses = [row for row in rows if row != neutral]
    names = [data.expressions[data.label[row]] for row in poses]
    truth = np.stack([np.asarray(data[int(row)], float) for row in poses])
    return names, np.asarray(data[int(neutral)], float), truth


def judge(model, made, reduced, names, rest, truth):
    """Numbers of one head, and the head."""
    native = apply.rig(model, rest[reduced.kept], names)
    known = np.stack([reduced.up @ (target - rest[reduced.kept]) for target in native.targets])
    turn, scale = FRAMES[made.frame]
    mesh = made.mesh(rest)
    began = time.process_time()
    head = apply.open_face(mesh, model)
    carried = head.carried(apply.rig(model, head.vertices, names).targets)
    seconds = time.process_time() - began
    count = len(made.weights)
    inside = (made.corners < reduced.up.shape[0]).all(axis=1)  # the region that the model knows
    moved = ((carried - mesh.vertices) @ turn / scale)[:, :count][:, inside]
    true = (made.on(truth) - made.on(rest))[:, inside]
    ideal = np.einsum("nk,enkc->enc", made.weights[inside], known[:, made.corners[inside]])
    return head, {
        "vertices": len(mesh.vertices),
        "native_mm": np.linalg.norm(native.targets - truth[:, reduced.kept], axis=-1).mean(),
        "head_mm": np.linalg.norm(moved - true, axis=-1).mean(),
        "there_and_back_mm": np.linalg.norm(moved - ideal, axis=-1).mean(),
        "flipped": head.registration.quality.flipped, "seconds": seconds,
    }  # fmt: skip


def commanded(path, mesh, decision):
    """Wall and processor seconds of the one command, and whether the rest pose is the file's vertices."""
    with tempfile.TemporaryDirectory() as place:
        source, out = Path(place) / "head.ply", Path(place) / "rig.glb"
        write_mesh(source, None, mesh)
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [sys.executable, "-m", "mien", "rig", path, str(source), "--names", "arkit", "-o", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        base, wanted = read_glb_targets(out).base, decision.apply(mesh.vertices)
    # The file is in meters of float32, so the last bit of the coordinate counts.
    near = np.abs(base - wanted).max() <= 2 * np.finfo(np.float32).eps * np.abs(wanted).max()
    return {
        "command_seconds": wall,
        "command_cpu_seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "rest_equal": bool(near),
    }  # fmt: skip


def against_library(data, reduced):
    """Distance of template vertices from their known places, ours without people and trimesh's; seconds."""
    import trimesh
    from trimesh.registration import nricp_amberg

    rest = np.asarray(data[int(np.flatnonzero(data.is_neutral)[0])], float)
    topology = reduced.topology
    placed = procrustes(rest[reduced.kept], topology.template).apply(rest)
    for name in ("mien", "trimesh.registration.nricp_amberg"):
        began = time.process_time()
        if name == "mien":
            found = align(topology.template, topology, Surface(placed, data.topology.faces))
        else:
            source = trimesh.Trimesh(topology.template, topology.faces, process=False)
            found = nricp_amberg(
                source, trimesh.Trimesh(placed, data.topology.faces, process=False), use_faces=True
            )
        error = np.linalg.norm(found - placed[reduced.kept], axis=1)
        print(f"{name}: {error.mean():.2f} mm from the truth, {time.process_time() - began:.1f} s")


def row(model, kind, frame, people, command):
    """One line of the table: means over people."""
    cells = {"model": model, "head": kind, "frame": frame, "vertices": people[0]["vertices"]}
    for key in ("native_mm", "head_mm", "there_and_back_mm"):
        cells[key] = round(float(np.mean([person[key] for person in people])), 3)
    cells["ratio"] = round(cells["head_mm"] / cells["native_mm"], 3)
    for key in ("flipped", "seconds"):
        cells[key] = round(float(np.mean([person[key] for person in people])), 1)
    timed = {key: value if key == "rest_equal" else round(value, 1) for key, value in command.items()}
    return cells | dict.fromkeys(("command_seconds", "command_cpu_seconds", "rest_equal"), "") | timed


def compared(data, reduced, options):
    """One line for each model and kind of head."""
    models = {path: load_model(path) for path in options.models}
    found, commands, frames = {}, {}, {}
    for person in range(options.people):
        names, rest, truth = known_truth(data, person)
        for kind, made in heads(rest, data.topology).items():
            frames[kind] = made.frame
            for path, model in models.items():
                head, numbers = judge(model, made, reduced, names, rest, truth)
                found.setdefault((path, kind), []).append(numbers)
                print(person, kind, path, numbers, flush=True)
                if person == 0 and path == options.models[0] and not options.no_command:
                    commands[path, kind] = commanded(path, made.mesh(rest), head.decision)
    return [
        row(Path(path).name, kind, frames[kind], people, commands.get((path, kind), {}))
        for (path, kind), people in sorted(found.items(), key=lambda item: options.models.index(item[0][0]))
    ]


def main():
    """Prints numbers as they come, and writes one line a model and kind of head."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("heads", type=Path, help="the data set of heads")
    parser.add_argument("release", type=Path, help="ICT-FaceKit, unpacked")
    parser.add_argument(
        "models", nargs="*", help="folders of trained models; the command is timed with the first"
    )
    parser.add_argument("--library", action="store_true", help="compare the alignment with trimesh's")
    parser.add_argument("--people", type=int, default=3, help="how many of the data set")
    parser.add_argument("--no-command", action="store_true", help="leave out the timing of mien rig")
    parser.add_argument("--out", type=Path, help="a CSV")
    options = parser.parse_args()
    data = FaceDataset.load(options.heads)
    full = load_ict(options.release, "narrow").topology
    reduced = decimate(full, 2500, keep=contact_rings(full))
    if options.library:
        return against_library(data, reduced)
    rows = compared(data, reduced, options)
    with open(options.out or os.devnull, "w", newline="") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    for line in rows:
        print(line)
    return None


if __name__ == "__main__":
    main()
