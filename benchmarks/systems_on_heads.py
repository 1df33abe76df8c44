"""Trained systems on artists' heads beside the default rig: whose expressions are nearer to the artist's?

    python benchmarks/systems_on_heads.py NAME=RUN... --heads valid_heads --out START

RUN are model folders; those with the same expressions have one topology, and one table. Each head (NPZ, see
:func:`mien.data.head_rigs.read_head_rig`) is opened as ``mien rig`` opens it, each system makes its
expressions for the person at rest, and the head's own vertices carry them. What an expression is made of
(:mod:`mien.data.expressions`) says which of the artist's shapes it is to be compared with: their weighted
sum. Expressions of which the artist's shapes hold less than three quarters are left out. The default rig is
judged on the same sums of its own shapes. Of systems that move in time the last frame of a steady onset
counts. A system whose motion the head's gate refuses has no figures on that head; the table says on how many.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import mien
from mien import apply
from mien.apply.default_model import default_model
from mien.apply.heads import Head, open_head
from mien.data.arkit import meets_of
from mien.data.expressions import expression_set
from mien.data.head_rigs import HeadRig, read_head_rig
from mien.errors import MienError
from mien.evaluation.rigs import RigReport, judge_rig
from mien.io.record import Mesh
from mien.models.base import FaceModel

HELD = 0.75
SIDES = {"_L": "Left", "_R": "Right"}
MEASURES = ("error", "cosine", "size", "leak", "stretch")
DEFAULT = "default"


def kind_of(names: Sequence[str]) -> str:
    """The set that a model's expressions are from."""
    return next(kind for kind in ("facescape20", "emotion6") if set(names) <= set(expression_set(kind).names))


def sums_of(names: Sequence[str], artist: HeadRig) -> dict[str, dict[str, float]]:
    """Expression -> ARKit shape -> weight, of what the artist has; one that is mostly missing is left out."""
    found, recipes = {}, expression_set(kind_of(names)).recipes
    for name in names:
        parts: dict[str, float] = {}
        for shape, weight in recipes[name].items():
            own = shape[:-2] + SIDES[shape[-2:]] if shape[-2:] in SIDES else shape
            both = own.removesuffix("Left").removesuffix("Right")
            parts[both if both in artist.names else own] = weight
        has = {shape: weight for shape, weight in parts.items() if shape in artist.names}
        if sum(has.values()) >= HELD * sum(parts.values()):
            found[name] = has
    return found


def poses_of(model: FaceModel, neutral: NDArray, names: Sequence[str]) -> NDArray[np.float32]:
    """(E, V, 3) float32, millimeters: the person at the height of each expression."""
    if model.frame_rate is None:
        return apply.rig(model, neutral, names).targets
    onset = [np.linspace(0, 1, 30)[:, None] * np.eye(len(model.expressions))[model.expressions.index(name)]
             for name in names]  # fmt: skip
    return np.stack([apply.animate(model, neutral, curve.astype(np.float32))[-1] for curve in onset])


def made_for(artist: HeadRig, models: Mapping[str, FaceModel], names: Sequence[str]) -> dict[str, HeadRig]:
    """Each system's expressions on the artist's vertices; what the head refuses is missing, and is said."""
    mesh = Mesh(artist.vertices.astype(np.float32), artist.faces, name=artist.name)
    head, found = open_head(next(iter(models.values())), mesh), {}
    for system, model in models.items():
        own = [name for name in names if name in model.expressions]
        try:
            moved = carried(head, poses_of(model, head.vertices, own), own)
        except MienError as error:
            print(f"{artist.name}: {system} is refused: {error}", flush=True)
            continue
        found[system] = replace(artist, name=system, names=tuple(own), displacements=moved)
    return found


def carried(head: Head, poses: NDArray, names: Sequence[str]) -> NDArray[np.float32]:
    """(E, N, 3) float32, millimeters: displacements of the head's own vertices."""
    moved = head.carry(poses, meets=meets_of(tuple(names))).astype(np.float64)
    return (moved - head.carry(head.vertices)).astype(np.float32)


def default_for(artist: HeadRig, model: FaceModel) -> HeadRig:
    """The rig without training, under ARKit's names."""
    head = open_head(model, Mesh(artist.vertices.astype(np.float32), artist.faces, name=artist.name))
    made = apply.rig(model, head.vertices)
    shapes = carried(head, made.targets, made.names)
    return replace(artist, name=DEFAULT, names=made.names, displacements=shapes)


def reports_of(artist: HeadRig, models: Mapping[str, FaceModel], without: FaceModel) -> dict[str, RigReport]:
    """Set of expressions -> the systems that make them, and the default beside them."""
    default, found = default_for(artist, without), {}
    for names in dict.fromkeys(tuple(model.expressions) for model in models.values()):
        same = {key: model for key, model in models.items() if tuple(model.expressions) == names}
        sums = sums_of(names, artist)
        made = made_for(artist, same, tuple(sums))
        found[kind_of(names)] = judge_rig(default.renamed(sums), artist.renamed(sums), beside=made)
    return found


def rows_of(reports: Sequence[RigReport]) -> list[dict[str, object]]:
    """A line a system: means over heads, the worst stretch, and on how many heads it has figures."""
    rows: list[dict[str, object]] = []
    for system in dict.fromkeys(system for report in reports for system in report.values):
        judged = [report for report in reports if system in report.values]
        values = {name: [report.mean(system, name) for report in judged] for name in MEASURES}
        means = {name: round(float(np.mean(item)), 4) for name, item in values.items() if None not in item}
        rows.append({"system": system, "heads": len(judged), **means})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", nargs="+", help="NAME=FOLDER of trained models of one topology")
    parser.add_argument("--heads", type=Path, default=os.environ.get("MIEN_VALID"))
    parser.add_argument("--limit", type=int, help="only so many heads")
    parser.add_argument("--out", type=Path, help="start of the names of CSV files")
    options = parser.parse_args()
    named = dict(run.split("=", 1) for run in options.runs)
    models = {name: mien.load_model(folder) for name, folder in named.items()}
    without, reports = default_model(), defaultdict(list)
    for path in sorted(options.heads.glob("*.npz"))[: options.limit]:
        began = time.process_time()
        artist = read_head_rig(path).in_arkit_names()
        for kind, report in reports_of(artist, models, without).items():
            reports[kind].append(report)
        print(f"{path.stem}: {time.process_time() - began:.0f} s of processor time", flush=True)
    for kind, judged in reports.items():
        rows = rows_of(judged)
        print(kind, *judged[0].shapes, *rows, sep="\n  ")
        if options.out:
            with Path(f"{options.out}-{kind}.csv").open("w", newline="", encoding="utf-8") as file:
                table = csv.DictWriter(file, ["system", "heads", *MEASURES], lineterminator="\n")
                table.writeheader()
                table.writerows(rows)


if __name__ == "__main__":
    main()
