"""Rigs on artists' heads, judged against the artists' own shapes: the default model and its sources alone.

    MIEN_ICT=ict-facekit.tar.xz python benchmarks/artist_heads.py --heads valid_heads --out benchmarks/results

The heads (NPZ, see :func:`mien.data.head_rigs.read_head_rig`) are strangers: no source of the model is
theirs. Beside the model stand doing nothing, the artist, and each source alone: what another artist's shapes
are worth.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.apply.default_model import textbook_of
from mien.apply.heads import open_head
from mien.apply.rigs import rig
from mien.data.arkit import meets_of
from mien.data.head_rigs import HeadRig, read_head_rig
from mien.data.textbook import agree
from mien.data.textbook_sources import TextbookShapes, textbook_shapes
from mien.errors import BadMesh
from mien.evaluation.rigs import RigReport, judge_rig
from mien.evaluation.rigs.judge import MEASURES
from mien.evaluation.rigs.through import Inside, through_the_skin
from mien.io.record import Mesh
from mien.models.textbook import Textbook

_WORST = ("stretch", "lid_slit")  # of which the worst head is told, too


def made_for(artist: HeadRig, models: Mapping[str, Textbook]) -> dict[str, HeadRig]:
    """The rigs that models make for a head of which they see the rest pose alone."""
    mesh = Mesh(artist.vertices.astype(np.float32), artist.faces, name=artist.name)
    first = next(iter(models.values()))
    head = open_head(first, mesh)
    found = {}
    for name, model in models.items():
        made = rig(model, head.vertices)
        meets = meets_of(made.names)
        try:
            moved = head.carry(made.targets, meets=meets).astype(np.float64)
        except BadMesh as error:  # a source alone may be too rough for a head: it has no figures there
            if name == "default":
                raise
            print(f"{artist.name}: {name} alone is refused: {error}")
            continue
        shapes: NDArray[np.float32] = (moved - head.carry(made.base)).astype(np.float32)
        found[name] = replace(artist, name=name, names=made.names, displacements=shapes)
    return found


def models_of(found: TextbookShapes) -> dict[str, Textbook]:
    """The agreed model first, then each source alone."""
    models = {"default": textbook_of(found)}
    for name, shapes in found.alone.items():
        single = agree({name: shapes}, found.topology.template, tuple(found.agreed))
        plain = {key: replace(item, displacement=np.asarray(shapes[key])) for key, item in single.items()}
        models[name] = textbook_of(replace(found, agreed=plain))
    return models


THROUGH = ("through_in_take", "through")


def contact(artist: HeadRig, made: HeadRig) -> tuple[float, float]:
    """How far teeth and eyes come through the skin of a rig at most, in a take and in single shapes; mm."""
    shapes = {name: made.shape(name) for name in made.names}
    found = through_the_skin(Inside(artist, artist.piece), shapes)
    return found.pop("take"), max(found.values())


def summary(
    reports: Iterable[RigReport], through: Mapping[str, Sequence[tuple[float, float]]]
) -> list[dict[str, object]]:
    """Means over heads, one line a system; of what comes through the skin (system -> heads) the largest."""
    reports = list(reports)
    lines = []
    for system in dict.fromkeys(system for report in reports for system in report.values):
        judged = [report for report in reports if system in report.values]
        values = {name: [report.mean(system, name) for report in judged] for name in MEASURES}
        known = {name: [value for value in item if value is not None] for name, item in values.items()}
        means = {name: round(float(np.mean(item)), 4) if item else "" for name, item in known.items()}
        worst = {f"worst_{name}": round(max(values[name]), 4) if known[name] else "" for name in _WORST}
        most = np.round(np.max(through[system], axis=0), 3) if through.get(system) else ("", "")
        more = dict(zip(THROUGH, most, strict=True))
        lines.append({"system": system, "heads": len(judged), **means, **worst, **more})
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--heads", type=Path, default=os.environ.get("MIEN_VALID"), help="folder of NPZ files"
    )
    parser.add_argument("--sources", nargs="*", help="ict makehuman procedural; default: all at hand")
    parser.add_argument("--limit", type=int, help="only so many heads")
    parser.add_argument("--out", type=Path, help="folder of the table of results")
    options = parser.parse_args()
    found = textbook_shapes(options.sources)
    models, reports, through = models_of(found), [], []
    for path in sorted(options.heads.glob("*.npz"))[: options.limit]:
        began = time.perf_counter()
        artist = read_head_rig(path).in_arkit_names()
        rigs = made_for(artist, models)
        own = rigs.pop("default")
        through.append(contact(artist, own))
        reports.append(judge_rig(own, artist, beside=rigs))
        error, cosine = (reports[-1].mean("default", name) for name in ("error", "cosine"))
        print(
            f"{path.stem}: error {error:.2f}, cosine {cosine:.2f}, {time.perf_counter() - began:.0f} s",
            flush=True,
        )
    lines = summary(reports, {"default": through})
    for line in lines:
        print("  ".join(f"{key} {value}" for key, value in line.items()))
    each = {shape: [] for shape in reports[0].shapes}
    for report in reports:
        for number, shape in enumerate(report.shapes):
            each[shape].append(
                [report.values["default"][name][number] for name in ("error", "cosine", "size", "leak")]
            )
    for shape, values in each.items():
        print(f"{shape:22}", *np.round(np.mean(values, axis=0), 2))
    if options.out:
        name = f"{date.today()}-cpu-artist-heads-{'-'.join(found.alone)}.csv"
        with (options.out / name).open("w", newline="") as file:
            table = csv.DictWriter(file, list(lines[0]), lineterminator="\n")
            table.writeheader()
            table.writerows(lines)


if __name__ == "__main__":
    main()
