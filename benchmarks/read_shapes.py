"""Which ARKit shapes an outside judge reads off heads where they are right; does it find wrong names?

MediaPipe's blendshape network scores clay renders of heads at rest and with each shape at full weight
(:mod:`mien.evaluation.reading.shapes`). Heads: ICT-FaceKit, MakeHuman and the procedural head with the shapes
of their makers, the first two also with other people's neutrals where the source has such, and the heads of
VALID (Do et al. 2023), each with its artist's shapes. A shape is told where its score rises by at least a
tenth, and by no other shape further. The shapes that the judge is asked about (TELLING) are those told on at
least half of every second head; names are exchanged two by two on the heads between.

    python benchmarks/read_shapes.py --valid FOLDER --out benchmarks/results/2026-11-30-cpu-read-shapes

Five minutes of processor time. Without --valid, or on a machine without a source, there are fewer heads.
"""

from __future__ import annotations

import argparse
import csv
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.data.head_rigs import HeadRig, find_head_rigs, read_head_rig
from mien.data.rig_names import ARKIT_52
from mien.data.textbook_sources import own_shapes, sources_at_hand
from mien.evaluation.reading.shapes import RISE, TELLING, ShapeReading, read_shapes
from mien.find.reader import FaceReader
from mien.find.scores import SCORED

PEOPLE, SEED = 4, 7


def heads(valid: Path | None) -> Iterator[HeadRig]:
    """Heads with their makers' shapes, under ARKit's names."""
    for name in sources_at_hand():
        source, rng = own_shapes(name), np.random.default_rng(SEED)
        shapes = np.stack(list(source.shapes.values())).astype(np.float32)
        for person in range(PEOPLE if source.people is not None else 1):
            vertices = source.vertices
            if person and source.people is not None:
                weights = rng.normal(0, 1, len(source.people))
                vertices = vertices + np.tensordot(weights, source.people, axes=1)
            piece = np.zeros(len(vertices), np.uint8)
            rig = HeadRig(f"{name} {person}", vertices, source.faces, tuple(source.shapes), shapes, piece)
            yield rig.in_arkit_names()
    for path in find_head_rigs(valid) if valid else ():
        yield read_head_rig(path).in_arkit_names()


def told(reading: ShapeReading, shape: str) -> bool:
    """Whether a shape raises its own score, and further than any other shape does."""
    column = np.nan_to_num(reading.rises[:, SCORED.index(shape)])
    number = reading.shapes.index(shape)
    return bool(column[number] >= RISE and column[number] == column.max())


def rows_of(readings: Sequence[ShapeReading]) -> list[dict[str, object]]:
    """A line a shape."""
    rows: list[dict[str, object]] = []
    for shape in (name for name in ARKIT_52 if name in SCORED):
        every = [item for item in readings if shape in item.shapes]
        odd = [item for item in readings[::2] if shape in item.shapes]
        own = [item.own(shape) for item in every]
        hits = sum(told(item, shape) for item in odd)
        rows.append({
            "shape": shape, "heads": len(every), "median_own": round(float(np.median(own)), 2),
            "raised": sum(value >= RISE for value in own), "told": sum(told(item, shape) for item in every),
            "odd_heads": len(odd), "odd_told": hits, "telling": int(2 * hits >= len(odd)),
        })  # fmt: skip
    return rows


def exchanges(readings: Sequence[ShapeReading]) -> dict[str, object]:
    """How many exchanges of two telling names the judge finds, and on how many right heads it sees one."""
    planted = found = 0
    for reading in readings:
        for first, second in itertools.combinations(reading.judged, 2):
            names = {first: second, second: first}
            wrong = replace(reading, shapes=tuple(names.get(name, name) for name in reading.shapes))
            planted += 1
            found += any(set(group) == {first, second} for group in wrong.exchanged)
    alarms = sum(bool(reading.exchanged) for reading in readings)
    return {"heads": len(readings), "planted": planted, "found": found, "false_alarms": alarms}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--valid", type=Path, help="a folder of heads with artists' shapes")
    parser.add_argument("--out", type=Path, help="start of the names of two CSV files")
    options = parser.parse_args()
    judge = FaceReader.open()
    write([read_shapes(rig, judge) for rig in heads(options.valid)], options.out)


def write(readings: Sequence[ShapeReading], out: Path | None) -> None:
    """Prints both tables and writes them beside each other."""
    rows = rows_of(readings)
    found = tuple(str(row["shape"]) for row in rows if row["telling"])
    print("TELLING agrees" if found == TELLING else "other shapes are told than TELLING says", found)
    for end, table in (("", rows), ("-exchanged", [exchanges(readings[1::2])])):
        print(*table, sep="\n")
        if out:
            with Path(f"{out}{end}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(table[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows(table)


if __name__ == "__main__":
    main()
