"""FaceScape: 847 people, 20 expressions, one topology of 26,317 vertices (TU models)."""

from __future__ import annotations

import re
from pathlib import Path

from mien.data.expressions import expression_set
from mien.data.sources.tree import (
    FieldSet,
    Scan,
    Tree,
    TreeOptions,
    find_list,
    may_be_shown,
    mesh_files,
    refuse_empty,
)

NAMES = ("neutral", *expression_set("facescape20").names)
"""The twenty expressions in the order of the capture protocol; files count them from 1."""

_MODEL = re.compile(r"(\d+)_([a-z_]+)$")


def read_facescape(folder: Path, options: TreeOptions) -> Tree:
    """Lists TU models: ``<person>/models_reg/<number>_<expression>.obj``, with texture and displacement maps.

    The archives ``facescape_trainset_001_100.zip`` and so on may stay in folders of their own. People whom
    the owner's information list calls invalid are left out; the publishable list decides who may be shown.
    """
    tree = Tree([], NAMES[1:])
    for models in sorted({path.parent for path in mesh_files(folder) if path.parent.name == "models_reg"}):
        _add_person(tree, models, folder)
    tree.scans.sort(key=lambda scan: (int(scan.subject) if scan.subject.isdigit() else 0, scan.subject))
    _leave_out_invalid(tree, folder)
    refuse_empty(tree, FACESCAPE, folder)
    textures = sum(scan.texture is not None for scan in tree.scans)
    maps = [scan for scan in tree.scans if _displacement(scan).is_file()]
    tree.check.found.append(f"{textures} texture maps, {len(maps)} displacement maps")
    if maps:
        tree.facts["displacement_maps"] = "<person>/dpmap/<number>_<expression>.png beside models_reg"
    return may_be_shown(tree, folder, options, "*publishable*.txt")


def _add_person(tree: Tree, models: Path, folder: Path) -> None:
    """The scans of one person, and what the folder lacks."""
    subject, seen = models.parent.name, set()
    for path in mesh_files(models):
        match = _MODEL.fullmatch(path.stem)
        number, name = (int(match[1]), match[2]) if match else (0, "")
        if not 1 <= number <= len(NAMES) or NAMES[number - 1] != name:
            tree.check.wrong.append(
                f"{path.relative_to(folder)} has no name of the twenty (1_neutral.obj ...)"
            )
            continue
        seen.add(number)
        weights = {name: 1.0} if number > 1 else {}
        texture = path.with_suffix(".jpg")
        tree.scans.append(Scan(path, subject, weights, texture=texture if texture.is_file() else None))
    tree.check.missing += [
        f"{subject}/models_reg/{number}_{name}.obj"
        for number, name in enumerate(NAMES, start=1)
        if number not in seen
    ]


def _displacement(scan: Scan) -> Path:
    return scan.path.parent.parent / "dpmap" / f"{scan.path.stem}.png"


def _leave_out_invalid(tree: Tree, folder: Path) -> None:
    """Drops people whose valid label in ``info_list*.txt`` begins with 0.

    A row of the list is index, gender, age and the valid label of five binary digits; the first one says
    whether the person's models are complete and valid.
    """
    path = find_list(folder, "*info_list*.txt")
    if path is None:
        tree.check.notes.append("no info_list*.txt was found, so people known to be damaged are not left out")
        return
    invalid = set()
    for line in path.read_text(encoding="utf-8-sig", errors="replace").splitlines():
        words = re.split(r"[\s,;]+", line.strip())
        flags = "".join(words[3:])
        if words[0].isdigit() and re.fullmatch(r"[01]{5}", flags) and flags[0] == "0":
            invalid.add(str(int(words[0])))
    dropped = sorted({scan.subject for scan in tree.scans if scan.subject.lstrip("0") in invalid}, key=int)
    tree.scans = [scan for scan in tree.scans if scan.subject not in dropped]
    tree.check.missing = [item for item in tree.check.missing if item.split("/")[0] not in dropped]
    if dropped:
        tree.check.notes.append(f"{len(dropped)} people are left out as {path.name} calls them invalid")
        tree.facts["left_out_by_owner"] = dropped


FACESCAPE = FieldSet(
    name="facescape",
    title="FaceScape (TU models)",
    license="FaceScape license: non-commercial research; only people of the publishable list may be shown",
    citation="H. Yang et al., FaceScape: A Large-Scale High Quality 3D Face Dataset and Detailed Riggable 3D "
    "Face Prediction, CVPR 2020; H. Zhu et al., FaceScape: 3D Facial Dataset and Benchmark for Single-View "
    "3D Face Reconstruction, TPAMI 2023",
    apply="apply for a license key at nju-3dv.github.io/projects/FaceScape (formerly facescape.nju.edu.cn)",
    layout="<person>/models_reg/1_neutral.obj to 20_brow_lower.obj",
    read=read_facescape,
    vertices=26317,
    upright=True,
    restricted=True,
)
