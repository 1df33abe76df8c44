"""Heads of another topology against the known truth: ICT people, remeshed, in meters and Z-up.

    mien data build ict --from ICT --subjects 6 --region head --seed 77 --out heads
    python benchmarks/heads_ict.py heads ICT runs/deformation_transfer runs/morphable
    python benchmarks/heads_ict.py heads ICT --library      # non-rigid alignment of trimesh, for comparison

The models are trained on ``mien data build ict --vertices 2500 --subjects 200`` (seed 0: other people). Each
head is decimated and put back onto its surface, so every new vertex has known barycentric coordinates, and
the same person's scans of 19 expressions give the truth on it. Needs fast-simplification, and trimesh and
rtree with ``--library``.
"""

import sys
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
from mien.geometry.procrustes import procrustes
from mien.geometry.surface import Surface
from mien.io.record import Mesh
from mien.models import load_model

Z_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
PEOPLE, TRIANGLES = 3, 12_000


def remeshed(vertices, faces):
    """Corners, weights and triangles of a decimated mesh whose vertices lie on the old surface."""
    points, triangles = fast_simplification.simplify(
        vertices.astype(np.float32), faces.astype(np.int32), target_count=TRIANGLES
    )
    triangles = triangles.astype(np.int64)
    places = Surface(vertices, faces).located(
        points.astype(float), vertex_normals(points.astype(float), triangles)
    )
    return places.corners, places.weights, triangles


def judge(model, data, reduced, person):
    """Native error, error on the remeshed head, change by the way there and back (mm), and seconds."""
    rows = np.flatnonzero(data.row_subject == person)
    neutral = next(row for row in rows if data.is_neutral[row])
    poses = [row for row in rows if row != neutral]
    names = [data.expressions[data.label[row]] for row in poses]
    rest = np.asarray(data[int(neutral)], float)
    truth = np.stack([np.asarray(data[int(row)], float) for row in poses])
    native = apply.rig(model, rest[reduced.kept], names)
    native_error = np.linalg.norm(native.targets - truth[:, reduced.kept], axis=-1).mean()

    corners, weights, triangles = remeshed(rest, data.topology.faces)
    on_head = np.einsum("nk,...nkc->...nc", weights, np.concatenate([rest[None], truth])[:, corners])
    own = (on_head[0] @ Z_UP.T * 0.001).astype(np.float32)
    began = time.process_time()
    head = apply.open_head(model, Mesh(own, triangles.astype(np.int32)))
    carried = head.carry(apply.rig(model, head.vertices, names).targets)
    seconds = time.process_time() - began
    inside = (corners < reduced.up.shape[0]).all(axis=1)  # the region that the model knows
    moved = ((carried - own) @ Z_UP * 1000)[:, inside]
    error = np.linalg.norm(moved - (on_head[1:] - on_head[0])[:, inside], axis=-1).mean()
    known = np.stack([reduced.up @ (target - rest[reduced.kept]) for target in native.targets])
    ideal = np.einsum("nk,enkc->enc", weights[inside], known[:, corners[inside]])
    return native_error, error, np.linalg.norm(moved - ideal, axis=-1).mean(), seconds


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


def main():
    """Prints one line a model."""
    folder, release, *models = sys.argv[1:]
    data = FaceDataset.load(Path(folder))
    full = load_ict(release, "narrow").topology
    reduced = decimate(full, 2500, keep=contact_rings(full))
    if models == ["--library"]:
        return against_library(data, reduced)
    for path in models:
        model = load_model(path)
        rows = np.array([judge(model, data, reduced, person) for person in range(PEOPLE)]).mean(axis=0)
        native, error, change, seconds = rows
        print(
            f"{path}: native {native:.3f} mm, remeshed {error:.3f} mm, ratio {error / native:.3f}, "
            f"there and back {change:.3f} mm, {seconds:.1f} s"
        )
    return None


if __name__ == "__main__":
    main()
