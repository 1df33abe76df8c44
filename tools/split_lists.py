"""Writes src/mien/splits/: who trains, validates and tests in publications and in Mien's standard sets.

python tools/split_lists.py    rewrites all lists; a test asks for the same bytes.
"""

from __future__ import annotations

import csv
import io
import random
from pathlib import Path

import numpy as np

from mien.data.splits import PARTS, assign

FOLDER = Path(__file__).parent.parent / "src" / "mien" / "splits"


def lists() -> dict[str, str]:
    """Name -> the text of the split file."""
    return {
        "gu2023_facescape": _gu2023_facescape(),
        "ict_200": _by_subject([f"ict_{number:04d}" for number in range(200)]),
        "procedural_40": _by_subject([f"person_{number:04d}" for number in range(40)]),
    }


def _by_subject(people: list[str]) -> str:
    """The default protocol with seed 0."""
    part = assign("subject", np.arange(len(people)), 0)
    return _text([(name, PARTS[index]) for name, index in zip(people, part, strict=True)])


def _gu2023_facescape() -> str:
    """The division in the code of Gu et al. (FG 2023): a tenth of the people, drawn with Python's seed 50.

    All scans of person 603 are among its outliers. Ten people whom the owners of FaceScape let be shown take
    the places of the first ones drawn. The paper says 30 %; nobody validates.
    """
    people = [number for number in range(1, 848) if number != 603]
    shown = (122, 212, 340, 344, 393, 395, 421, 527, 594, 610)
    test = random.Random(50).sample(people, len(people) // 10)
    absent = [number for number in shown if number not in test]
    test[: len(absent)] = absent
    rows = [(str(number), "test" if number in set(test) else "train") for number in people]
    return _text([("", "validation"), *rows, ("603", "none")])


def _text(rows: list[tuple[str, str]]) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("person", "part"))
    table.writerows(rows)
    return text.getvalue()


def main() -> None:
    for name, text in lists().items():
        (FOLDER / f"{name}.csv").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
