"""The measures of registrations that are right, and of such that were put wrong: where limits belong.

    mien data build procedural --subjects 30 --vertices 1500 --expressions arkit --out data
    mien train deformation_transfer --data data --out runs/dt
    python benchmarks/judge_registrations.py runs/dt --valid VALID --ict ICT_DATA --out results.csv

``VALID`` is a folder of artists' heads (``vertices`` and ``faces`` in ``PERSON.npz``), ``ICT_DATA`` data
of ``mien data build ict --region head`` of other people. Heads of a topology of their own: the artists',
embedded people and ICT's, both meshed anew. Every second one belongs to the calibration set that the limits
of ``mien.geometry.verdict`` were taken from, the others check them.

Columns: ``case`` is ``found`` where the head's face was found, or ``moved``: the template was put there
turned and shifted by so many degrees and millimeters, and nothing guided it. ``landmarks_off_mm`` says how
far the landmarks of such a one lie from those of the head as it was found, ``verdict`` what was made of it,
and the rest are the measures.
"""

import argparse
import csv
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.apply.heads import known_people
from mien.data.dataset import FaceDataset
from mien.data.sources.procedural.person import ProceduralPerson
from mien.data.sources.procedural.topology import procedural_topology
from mien.errors import BadMesh
from mien.find.face import find_face, searcher_for
from mien.geometry import verdict
from mien.geometry.registration import main_piece, register
from mien.models import load_model

MOVED = ((8, 6), (16, 14), (28, 24), (12, 36))  # degrees, millimeters
PEOPLE = 10  # of each made kind


def meshed_anew(topology, seed):
    """Corners and weights of new vertices, and triangles: every second triangle is split somewhere inside."""
    rng = np.random.default_rng(seed)
    faces, count = topology.faces.astype(np.int64), topology.vertex_count
    split = rng.random(len(faces)) < 0.5
    inner = rng.dirichlet((6, 6, 6), int(split.sum()))
    a, b, c = faces[split].T
    new = count + np.arange(len(inner))
    fans = [np.stack(item, axis=1) for item in ((a, b, new), (b, c, new), (c, a, new))]
    old = np.repeat(np.arange(count)[:, None], 3, axis=1)
    weights = np.concatenate([np.tile([1.0, 0, 0], (count, 1)), inner])
    return np.concatenate([old, faces[split]]), weights, np.concatenate([faces[~split], *fans])


def heads(valid, ict):
    """Name, (N, 3) vertices and (F, 3) faces of each head."""
    for path in sorted(Path(valid).glob("*.npz")) if valid else ():
        arrays = np.load(path)
        yield path.stem, arrays["vertices"].astype(float), arrays["faces"].astype(np.int64)
    full = procedural_topology()
    kept, skin = main_piece(full)
    for seed in range(PEOPLE):
        corners, weights, faces = meshed_anew(skin, seed)
        person = ProceduralPerson.draw(np.random.default_rng(1000 + seed)).neutral[kept]
        yield f"embedded {seed}", np.einsum("nk,nkc->nc", weights, person[corners]), faces
    data = FaceDataset.load(ict) if ict else None
    for seed, subject in enumerate(np.unique(data.row_subject)[:PEOPLE] if data else ()):
        kept, skin = main_piece(data.topology)
        corners, weights, faces = meshed_anew(skin, seed)
        row = np.flatnonzero((data.row_subject == subject) & data.is_neutral)[0]
        scan = np.asarray(data.vertices[row], float)[kept]
        yield f"ICT {seed}", np.einsum("nk,nkc->nc", weights, scan[corners]), faces


def put_wrong(placement, degrees, millimeters, middle, rng):
    """A placement turned about the middle of the template and shifted, any way."""
    axis, shift = (item / np.linalg.norm(item) for item in rng.normal(size=(2, 3)))
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    angle = np.radians(degrees)
    turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    there = turn @ (placement.translation - middle) + middle + millimeters * shift
    return replace(placement, rotation=turn @ placement.rotation, translation=there)


def judged(vertices, faces, model, people, placement, guides):
    """The registration with all measures, and what the limits make of it."""
    limits = dict(verdict.LIMITS)
    verdict.LIMITS.update({name: replace(limit, refused=np.inf) for name, limit in limits.items()})
    try:
        found = register(vertices, faces, model.topology, people=people, placement=placement, guides=guides)
    except BadMesh:
        return None, "refused"  # too far from the surface
    finally:
        verdict.LIMITS.update(limits)
    over = [max(m.value > limits[m.name].refused, 0.5 * (m.value > limits[m.name].doubtful))
            for m in found.measures]  # fmt: skip
    return found, {0: "accepted", 0.5: "doubtful", 1: "refused"}[max(over)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--valid")
    parser.add_argument("--ict")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    model, rng = load_model(options.model), np.random.default_rng(0)
    people = known_people(model)
    searcher = searcher_for(model.topology, people)
    middle = model.topology.template.mean(axis=0)
    columns = ["model", "head", "set", "case", "verdict", "landmarks_off_mm", "seconds", "mean_mm", "p95_mm"]
    with open(options.out, "w", newline="") as handle:
        table = csv.DictWriter(handle, [*columns, *verdict.LIMITS])
        table.writeheader()
        for number, (name, vertices, faces) in enumerate(heads(options.valid, options.ict)):
            face = find_face(vertices, faces, model.topology, searcher, name=name)
            cases = [("found", face.placement, face.guides)]
            cases += [(f"moved {d} {mm}", put_wrong(face.placement, d, mm, middle, rng), None)
                      for d, mm in MOVED[number % 2 :: 2]]  # fmt: skip
            truth = None
            for case, placement, guides in cases:
                start = time.process_time()
                found, said = judged(vertices, face.faces, model, people, placement, guides)
                row = {"model": options.model, "head": name, "set": ("calibration", "check")[number % 2],
                       "case": case, "verdict": said,
                       "seconds": f"{time.process_time() - start:.1f}"}  # fmt: skip
                if found is not None:
                    points = found.landmarks()[1]
                    truth = points if truth is None else truth
                    off = placement.scale * np.linalg.norm(points - truth, axis=1).mean()
                    row |= {"landmarks_off_mm": f"{off:.2f}", "mean_mm": f"{found.quality.mean_mm:.3f}",
                            "p95_mm": f"{found.quality.p95_mm:.3f}"}  # fmt: skip
                    row |= {item.name: f"{item.value:.3f}" for item in found.measures}
                table.writerow(row)
                handle.flush()


if __name__ == "__main__":
    main()
