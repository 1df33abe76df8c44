"""Your own scans.

A folder of meshes that share vertex order, and a table that says who does what. The table opens in any
spreadsheet; the columns file, subject and expression are enough, and an empty expression or the word
neutral means at rest. Units and axes are decided once for the folder, and said.

What comes out is a data set like any other: split by person, with facts about sizes, labels and how far
the expressions are from what an additive model could explain.

    python examples/06_your_own_scans.py out
"""

import csv
import sys
from pathlib import Path

import numpy as np

import mien

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")

# Stand-in scans, in centimeters: five people, three expressions each.
source = mien.build_procedural(out / "faces", subjects=5, vertices=800)
scans = out / "scans"
rows = []
for row in range(len(source)):
    label = source.label[row]
    name = "neutral" if label < 0 else source.expressions[label]
    if name in ("neutral", "smile", "anger"):
        subject = source.subjects[source.row_subject[row]]
        mien.write_obj(scans / f"{subject}_{name}.obj", source[row] / 10, source.topology)
        rows.append({"file": f"{subject}_{name}.obj", "subject": subject, "expression": name})
with (scans / "labels.csv").open("w", newline="") as file:
    table = csv.DictWriter(file, ["file", "subject", "expression"])
    table.writeheader()
    table.writerows(rows)

data = mien.prepare_folder(scans, out / "mine", license="my own scans")
print(data.facts["units"])
for part in ("train", "validation", "test"):
    view = data.split(part)
    print(f"{part}: {len(view)} scans of {len(np.unique(view.row_subject))} people")

facts = mien.inspect_dataset(data)
print(f"an additive model leaves {100 * facts['interaction_fraction']:.0f} % of the variance within people")
