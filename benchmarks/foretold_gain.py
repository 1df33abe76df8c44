"""X3 as a figure: what learned systems gain on the additive one, against what a face foretells of its manner.

mien bench field_small --out runs/field
python benchmarks/foretold_gain.py runs/field/table.csv --out x3.png [--metric transfer_avd_truth]

An additive model decodes neutral + offset, so it cannot be personal: where faces foretell nothing, nobody has
more to learn than it, and what is gained there has other reasons (noise that a code leaves out, say). What
grows with the share is what a system knows of the person.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from mien.figures.plots import COLORS, axes_of, picture_of


def gains(path: Path, metric: str) -> dict[str, list[tuple[float, float, float, float]]]:
    """System -> (share foretold, gain, low, high) of each data set, in the order of the share."""
    found: dict[str, list[tuple[float, float, float, float]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["metric"] == metric and row["gain"] and row["foretold"]:
                numbers = (row["foretold"], row["gain"], row["gain_low"], row["gain_high"])
                found.setdefault(row["system"], []).append(tuple(map(float, numbers)))  # type: ignore[arg-type]
    return {system: sorted(points) for system, points in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--metric", default="transfer_avd_truth")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    found = gains(args.table, args.metric)
    if not found:
        parser.error(f"no gain in {args.metric}, {args.table}: the bench names no system to compare against")
    figure, axes = axes_of("Gain over the additive model", width=7.4, height=4.4)
    axes.axhline(0, color="#8d877e", linewidth=1)
    for number, (system, points) in enumerate(found.items()):
        share, gain, low, high = zip(*points)
        moved = [100 * value + 0.5 * (number - len(found) / 2) for value in share]
        reach = [[g - a for g, a in zip(gain, low)], [b - g for g, b in zip(gain, high)]]
        axes.errorbar(
            moved, gain, reach, color=COLORS[number % len(COLORS)], marker="oD"[number // len(COLORS) % 2],
            markersize=5, linewidth=1.4, elinewidth=1, label=system.replace("_", " "),
        )  # fmt: skip
    axes.set_yscale("symlog", linthresh=0.2)  # tenths near zero, and millimeters where little was learned
    axes.set_yticks([-5, -2, -1, -0.5, -0.2, -0.1, 0, 0.1, 0.2, 0.5], minor=False)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("share of people's manner that their faces decide (%)")
    axes.set_ylabel(f"{args.metric}: additive minus system (mm)")
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    picture_of(figure).save(args.out)
    print(f"{args.out}: {len(found)} systems")


if __name__ == "__main__":
    main()
