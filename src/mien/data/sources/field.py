"""The data sets of the field by name, and what a check of their trees says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mien.data.dataset import FILES
from mien.data.inspect import DataCheck
from mien.data.sources.bosphorus import BOSPHORUS
from mien.data.sources.bu3dfe import BU3DFE
from mien.data.sources.coma import COMA
from mien.data.sources.correspondence import CorrespondingMeshes
from mien.data.sources.facescape import FACESCAPE
from mien.data.sources.flame import FLAME
from mien.data.sources.registered import PrepareOptions, read_tree
from mien.data.sources.sequences import BP4D, BU4DFE, FDFAB
from mien.data.sources.tree import FieldSet, TreeOptions
from mien.errors import DataMissing, MienError, UnknownName, WrongTopology
from mien.progress import track

FIELD_SETS: Mapping[str, FieldSet] = {
    kind.name: kind for kind in (FACESCAPE, COMA, BU3DFE, BOSPHORUS, BU4DFE, BP4D, FDFAB, FLAME)
}
"""Name as in ``mien data prepare NAME`` -> the set."""


def field_set(name: str) -> FieldSet:
    """A data set of the field by name; an unknown name suggests the nearest."""
    if name not in FIELD_SETS:
        raise UnknownName("data set", name, FIELD_SETS)
    return FIELD_SETS[name]


def recognized(folder: Path) -> str:
    """The name of the set whose tree a folder holds; empty for a data set of Mien's own, or none of them."""
    if not folder.is_dir() or any((folder / name).exists() for name in FILES):
        return ""
    for name, kind in FIELD_SETS.items():
        if kind is FLAME:  # any tree of meshes might be one
            continue
        try:
            kind.read(folder, TreeOptions())
        except DataMissing:
            continue
        except WrongTopology:
            pass  # its form is right, one of its meshes is not: the check says which
        return name
    return ""


def check_tree(
    kind: FieldSet,
    folder: Path | str,
    options: TreeOptions | None = None,
    *,
    read: bool = False,
) -> DataCheck:
    """Looks over an owner's tree before it is prepared.

    Args:
        kind: Which set it is.
        folder: The tree.
        options: How it is read.
        read: Whether to also read every mesh and compare its topology with the first one's.
    """
    folder = Path(folder)
    tree = read_tree(kind, folder, options or TreeOptions(), PrepareOptions())
    try:
        meshes = CorrespondingMeshes(tree.scans[0].path)
    except MienError as error:
        tree.check.wrong.append(str(error))
        return tree.check
    count = meshes.common.vertex_count
    tree.check.found.append(f"{count:,} vertices, {meshes.common.face_count:,} triangles")
    if kind.vertices and count != kind.vertices:
        tree.check.notes.append(f"the owner's meshes have {kind.vertices:,} vertices")
    scans = tree.scans if read else []
    readings = meshes.read_each(scan.path for scan in scans)
    for scan, found in track(zip(scans, readings, strict=True), f"reading {kind.title}", len(scans)):
        if isinstance(found, MienError):
            tree.check.wrong.append(f"{scan.path.relative_to(folder)}: {found.cause}")
    return tree.check
