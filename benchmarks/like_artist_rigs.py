"""Rigs made like artists' rigs of other heads, judged against the artist's own shapes on the same head.

    python benchmarks/like_artist_rigs.py --heads valid_heads --out benchmarks/results

The heads (NPZ, see :func:`mien.data.head_rigs.read_head_rig`) are one studio's; their vertex order differs
from file to file and is not used: all are strangers to each other. In the order of names, the heads are five
blocks of four; each block is rigged like the first head of the next one. The last head of each block is also
rigged by models trained on the other fifteen, and on five of these (``mien data prepare rigs``, ``mien
train``). Sources of textbook shapes only help to lay one head on another.
"""

from __future__ import annotations

import argparse
import csv
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import islice
from pathlib import Path

import numpy as np
from artist_heads import contact, summary

from mien.apply.heads import open_head
from mien.apply.like import model_like
from mien.apply.rig_data import prepare_rigs
from mien.apply.rigs import rig
from mien.data.arkit import meets_of
from mien.data.head_rigs import HeadRig, read_head_rig
from mien.evaluation.rigs import RigReport, judge_rig
from mien.evaluation.rigs.judge import ARTIST, NOTHING
from mien.io.record import Mesh
from mien.models.base import FaceModel
from mien.models.files import load_model
from mien.training import train

BLOCK, FEW = 4, 3  # heads of a block; every third of the fifteen is one of the five
METHODS = ("textbook", "mean_expression", "morphable")
LIKE_ONE, TRAINED, CONTROLS = "like one rig", "{} trained on {} rigs", (NOTHING, ARTIST)


Through = dict[str, list[tuple[float, float]]]
"""System -> of each head how far teeth and eyes come through the skin, see :func:`artist_heads.contact`."""


def judged(artist: HeadRig, models: Mapping[str, FaceModel], through: Through) -> RigReport:
    """Rigs of models that share a topology, for a head of which they see the rest pose alone."""
    began = time.process_time()
    mesh = Mesh(artist.vertices.astype(np.float32), artist.faces, name=artist.name)
    head = open_head(next(iter(models.values())), mesh)
    found = []
    for name, model in models.items():
        made = rig(model, head.vertices)
        moved = head.carry(made.targets, meets=meets_of(made.names)).astype(np.float64)
        change = moved - head.carry(made.base)
        found.append(replace(artist, name=name, names=made.names, displacements=change.astype(np.float32)))
    report = judge_rig(found[0], artist, beside={item.name: item for item in found[1:]})
    for name, own in zip(models, found, strict=True):
        through.setdefault(name, []).append(contact(artist, own))
        told = ", ".join(f"{item} {report.mean(name, item):.3f}" for item in ("error", "cosine", "stretch"))
        print(f"{artist.name}, {name}: {told}, {time.process_time() - began:.0f} s", flush=True)
    return report


def like_one(heads: Sequence[Path], through: Through) -> Iterator[RigReport]:
    """Each block of heads like the first of the next."""
    for start in range(0, len(heads), BLOCK):
        model, _ = model_like([heads[(start + BLOCK) % len(heads)]])
        for path in heads[start : start + BLOCK]:
            yield judged(read_head_rig(path).in_arkit_names(), {LIKE_ONE: model}, through)


def like_many(heads: Sequence[Path], through: Through) -> Iterator[RigReport]:
    """The last head of each block by models trained on the others, and on five of them."""
    tested = heads[BLOCK - 1 :: BLOCK]
    models = trained([path for path in heads if path not in tested])
    for path in tested:
        yield judged(read_head_rig(path).in_arkit_names(), models, through)


def trained(rigs: Sequence[Path]) -> dict[str, FaceModel]:
    """Models of these rigs, as the commands make them, and the first of five of the rigs alone."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "rigs").mkdir()
        for path in rigs:
            (folder / "rigs" / path.name).symlink_to(path.resolve())
        data = prepare_rigs(folder / "rigs", folder / "data")
        found = {}
        for method in METHODS:
            train(method, data, out=folder / method, protocol="everyone", progress=False)
            found[TRAINED.format(method, len(rigs))] = load_model(folder / method)
        few = data.take(data.row_subject % FEW == 0).save(folder / "few")
        train(METHODS[0], few, out=folder / "of_few", protocol="everyone", progress=False)
        found[TRAINED.format(METHODS[0], len(few.subjects))] = load_model(folder / "of_few")
    return found


def update(path: Path, lines: Sequence[Mapping[str, object]]) -> None:
    """Writes a table of results; lines of other systems stay, and controls that were measured on more heads;
    those of one rig stand first.
    """
    old = {line["system"]: line for line in csv.DictReader(path.open(newline=""))} if path.exists() else {}
    every: dict[str, Mapping[str, object]] = dict(old)
    for line in lines:
        system, heads = str(line["system"]), int(str(line["heads"]))
        if system not in CONTROLS or heads >= int(old.get(system, {"heads": 0})["heads"]):
            every[system] = line
    order = [name for name in every if name not in CONTROLS]
    order = sorted(order, key=lambda name: name != LIKE_ONE) + [name for name in CONTROLS if name in every]
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(every[name] for name in order)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    heads = os.environ.get("MIEN_VALID")
    parser.add_argument("--heads", type=Path, default=heads, help="folder of NPZ files")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="which comparisons")
    parser.add_argument("--limit", type=int, help="only so many heads of a part")
    parser.add_argument("--out", type=Path, help="folder of the table of results")
    options = parser.parse_args()
    paths = sorted(options.heads.glob("*.npz"))
    for part in options.parts:
        reports: list[RigReport] = []
        through: Through = {}
        for report in islice(PARTS[part](paths, through), options.limit):
            reports.append(report)
            if options.out:  # what was judged so far is kept when a run is cut
                update(options.out / f"{date.today()}-cpu-like-artist-rigs.csv", summary(reports, through))
        for line in summary(reports, through):
            print("  ".join(f"{key} {value}" for key, value in line.items()))


PARTS = {"many": like_many, "one": like_one}

if __name__ == "__main__":
    main()
