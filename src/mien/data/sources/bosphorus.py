"""Bosphorus: 105 people with emotions and action units; depth maps that a user has registered."""

from __future__ import annotations

import re
from pathlib import Path

from mien.data.expressions import expression_set
from mien.data.sources.tree import FieldSet, Scan, Tree, TreeOptions, may_be_shown, mesh_files, refuse_empty
from mien.errors import WrongTopology

EMOTIONS = {
    "ANGER": "angry", "DISGUST": "disgust", "FEAR": "fear", "HAPPY": "happy", "SADNESS": "sad",
    "SURPRISE": "surprise",
}  # fmt: skip
UNITS = ("LFAU", "UFAU", "CAU")
POSES = ("YR", "PR", "CR", "O", "IGN")
_NAME = re.compile(r"(bs\d{3})_([A-Z]+)_(.+?)_(\d+)")
_UNIT = re.compile(r"A?(\d+)(LW|L|R)?(?=A|$)")


def read_bosphorus(folder: Path, options: TreeOptions) -> Tree:
    """Lists meshes by the owner's names: ``bs000_E_HAPPY_0``, ``bs000_N_N_0``, ``bs000_LFAU_12L_0``.

    Selections: ``emotions`` (neutrals and the six emotions) and ``all`` (action units too, named ``au_12``,
    ``au_12_left``; combinations weigh each of their units). Rotated and occluded heads are left out.
    """
    selection = options.selection or BOSPHORUS.selections[0]
    tree, aside = Tree([], ()), 0
    for path in mesh_files(folder):
        match = _NAME.fullmatch(path.stem)
        if match is None:
            continue
        subject, kind, detail = match[1], match[2], match[3]
        if kind == "N":
            tree.scans.append(Scan(path, subject))
        elif kind == "E" and detail in EMOTIONS:
            tree.scans.append(Scan(path, subject, {EMOTIONS[detail]: 1.0}))
        elif kind in UNITS and (weights := action_units(detail)):
            if selection == "all":
                tree.scans.append(Scan(path, subject, weights))
            else:
                aside += 1
        elif kind in POSES:
            aside += 1
        else:
            tree.check.wrong.append(f"{path.relative_to(folder)} has no name of the Bosphorus protocol")
    if not tree.scans and next(folder.rglob("*.bnt"), None) is not None:
        raise WrongTopology(
            "Bosphorus ships depth maps (.bnt), which have no common vertices",
            received=str(folder),
            remedy="bring them into correspondence and save them as OBJ or PLY with the same names",
        )
    used = dict.fromkeys(name for scan in tree.scans for name in scan.weights)
    emotions = expression_set("emotion6").names
    tree.expressions = (*emotions, *sorted(name for name in used if name not in emotions))
    if aside:
        tree.check.notes.append(
            f"{aside} scans are left out (poses, occlusions, and action units unless --select all)"
        )
    tree.scans.sort(key=lambda scan: scan.subject)
    refuse_empty(tree, BOSPHORUS, folder)
    neutral = {scan.subject for scan in tree.scans if scan.neutral}
    tree.check.missing += [f"{name}_N_N_0" for name in tree.subjects if name not in neutral]
    tree.facts["selection"] = selection
    return may_be_shown(tree, folder, options, "*publishable*.txt")


def action_units(detail: str) -> dict[str, float]:
    """``12L`` -> ``{"au_12_left": 1.0}``; ``A12A15`` -> both at 1; ``12LW`` (low intensity) at 0.5."""
    endings = {"L": "_left", "R": "_right"}
    found = _UNIT.findall(detail)
    if "".join(f"{number}{side}" for number, side in found) != detail.replace("A", ""):
        return {}
    return {
        f"au_{int(number)}{endings.get(side, '')}": 0.5 if side == "LW" else 1.0 for number, side in found
    }


BOSPHORUS = FieldSet(
    name="bosphorus",
    title="registered Bosphorus",
    license="Bosphorus agreement (Bogazici University): non-commercial research",
    citation="A. Savran et al., Bosphorus Database for 3D Face Analysis, BIOID 2008",
    apply="apply at bosphorus.ee.boun.edu.tr, then bring the scans into correspondence and keep their names",
    layout="bs000/bs000_N_N_0.obj, bs000_E_HAPPY_0.obj and so on, in any folders",
    read=read_bosphorus,
    selections=("emotions", "all"),
    restricted=True,
)
