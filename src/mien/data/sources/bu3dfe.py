"""BU-3DFE: 100 people, six emotions in four levels; scans that a user has registered."""

from __future__ import annotations

import re
from pathlib import Path

from mien.data.expressions import expression_set
from mien.data.sources.tree import FieldSet, Scan, Tree, TreeOptions, may_be_shown, mesh_files, refuse_empty

EMOTIONS = {"AN": "angry", "DI": "disgust", "FE": "fear", "HA": "happy", "SA": "sad", "SU": "surprise"}
LEVELS = 4
_NAME = re.compile(r"([FM]\d{4})_(AN|DI|FE|HA|NE|SA|SU)(\d\d)(?:[A-Z]{2})?(?:_.*)?")


def read_bu3dfe(folder: Path, options: TreeOptions) -> Tree:
    """Lists meshes by the owner's names: ``F0001_AN01WH_F3D`` is person F0001, angry, level 1, ancestry WH.

    The weight of a level is its share of the strongest one, level / 4; ``NE00`` is the neutral.
    """
    tree = Tree([], expression_set("emotion6").names)
    seen: dict[str, set[tuple[str, int]]] = {}
    for path in mesh_files(folder):
        match = _NAME.fullmatch(path.stem)
        if match is None or path.stem.endswith("_RAW"):
            continue
        subject, code, level = match[1], match[2], int(match[3])
        if level > LEVELS or (code != "NE" and level == 0) or (code, level) in seen.get(subject, ()):
            tree.check.wrong.append(f"{path.relative_to(folder)} has a level twice or outside 1 to {LEVELS}")
            continue
        seen.setdefault(subject, set()).add((code, level))
        weights = {} if code == "NE" else {EMOTIONS[code]: level / LEVELS}
        tree.scans.append(Scan(path, subject, weights))
    expected = [("NE", 0), *((code, level) for code in EMOTIONS for level in range(1, LEVELS + 1))]
    for subject, found in seen.items():
        tree.check.missing += [
            f"{subject}_{code}{level:02d}" for code, level in expected if (code, level) not in found
        ]
    tree.scans.sort(key=lambda scan: scan.subject)
    refuse_empty(tree, BU3DFE, folder)
    return may_be_shown(tree, folder, options, "*publishable*.txt")


BU3DFE = FieldSet(
    name="bu3dfe",
    title="registered BU-3DFE",
    license="Binghamton University agreement: non-commercial research, pictures only of people who agreed",
    citation="L. Yin, X. Wei, Y. Sun, J. Wang and M. J. Rosato, A 3D Facial Expression Database For Facial "
    "Behavior Research, FG 2006",
    apply="apply to Lijun Yin at Binghamton University (cs.binghamton.edu/~lijun/Research/3DFE), then bring "
    "the scans into correspondence and keep their names",
    layout="F0001_NE00WH_F3D.obj, F0001_AN01WH_F3D.obj to AN04, and DI, FE, HA, SA, SU, in any folders",
    read=read_bu3dfe,
    restricted=True,
)
