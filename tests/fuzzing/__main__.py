"""Reads malformed inputs by the thousand, and says how each ended.

    PYTHONPATH=tests python -m fuzzing [--count 10000] [--seed 0] [--reader obj] [--record FILE.csv]

Each input is made again by its reader's name, the seed and its number: ``--reader obj --only 17 --keep FOLDER``.
Exit code 0 if all were read or refused in one sentence.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MIEN_CACHE", tempfile.mkdtemp(prefix="mien-fuzzing-"))

from fuzzing.readers import WEIGHTS, readers
from fuzzing.workers import Outcome, Reader, read_all
from mien.version import __version__

COLUMNS = ("reader", "inputs", "read", "refused", "failures", "most_seconds", "most_mebibytes")


def shares(names: list[str], count: int) -> dict[str, int]:
    """How many inputs each reader gets: of all together at least so many."""
    total = sum(WEIGHTS.get(name, 1.0) for name in names)
    return {name: math.ceil(count * WEIGHTS.get(name, 1.0) / total) for name in names}


def summary(reader: str, outcomes: list[Outcome]) -> dict[str, object]:
    """A line of the record."""
    kinds = Counter(item.kind for item in outcomes)
    return {
        "reader": reader, "inputs": len(outcomes), "read": kinds["read"], "refused": kinds["refused"],
        "failures": sum(item.is_failure for item in outcomes),
        "most_seconds": round(max((item.seconds for item in outcomes), default=0.0), 2),
        "most_mebibytes": round(max((item.mebibytes for item in outcomes), default=0.0)),
    }  # fmt: skip


def run(reader: Reader, numbers: list[int], seed: int, show: bool) -> list[Outcome]:
    """Reads, and prints failures as they come."""
    found = []
    with tempfile.TemporaryDirectory(prefix="mien-fuzzing-") as folder:
        for outcome in read_all(reader, numbers, seed, Path(folder) / "work"):
            found.append(outcome)
            if outcome.is_failure or show:
                print(f"{outcome.reader} {outcome.number}: {outcome.kind}, {outcome.seconds} s, "
                      f"{outcome.mebibytes} MiB: {outcome.said}", flush=True)  # fmt: skip
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10_000, help="inputs of all readers together")
    parser.add_argument("--seed", type=int, default=0, help="draws others")
    parser.add_argument("--reader", action="append", help="only this one; may be repeated")
    parser.add_argument("--only", type=int, help="only the input of this number")
    parser.add_argument("--keep", type=Path, help="write the input here and do not read it")
    parser.add_argument("--record", type=Path, help="a CSV with a line a reader")
    options = parser.parse_args()
    known = readers(options.reader)
    chosen = list(known)
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        chance = random.Random(f"{chosen[0]} {options.seed} {options.only}")
        print(known[chosen[0]].make(chance, options.keep))
        return 0
    lines = []
    for name, count in shares(chosen, options.count).items():
        numbers = list(range(count)) if options.only is None else [options.only]
        lines.append(summary(name, run(known[name], numbers, options.seed, options.only is not None)))
        print(", ".join(f"{key} {value}" for key, value in lines[-1].items()), flush=True)
    total = {key: sum(line[key] for line in lines) for key in COLUMNS[1:5]}  # type: ignore[misc]
    print(f"{total['inputs']} inputs, {total['failures']} failures (Mien {__version__}, seed {options.seed})")
    if options.record is not None:
        with options.record.open("w", newline="") as file:
            table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            table.writeheader()
            table.writerows(lines)
    return 1 if total["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
