"""From a tree of registered scans to a data set: units, template, regions, labels; streamed scan by scan."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.examples import add_examples
from mien.data.sources.correspondence import CorrespondingMeshes, explained
from mien.data.sources.flame import eyeball_mask, load_flame
from mien.data.sources.folder import check_options, read_vertex_landmarks
from mien.data.sources.frames import judge_frame
from mien.data.sources.tree import Faces, FieldSet, Scan, Tree, TreeOptions, leave_out, read_names
from mien.data.texture_files import OWNERS_FOLDERS, read_texture
from mien.data.writer import DatasetWriter
from mien.errors import BadSetting, DataMissing, MienError, UnknownName, WrongTopology
from mien.geometry.alignment import UNITS, FrameDecision, procrustes
from mien.geometry.hierarchy import decimate
from mien.geometry.orientation import unit_from_size
from mien.progress import track
from mien.topology import Topology

_NEUTRALS = 200  # meshes behind the template
_PEOPLE, _EACH = 24, 6  # people and scans of each behind the rigid region


@dataclass(frozen=True)
class PrepareOptions:
    """What a user may choose about a data set made of registered scans.

    Args:
        units: Names the unit in place of the decision; +Y is then up and +Z out of the face.
        vertices: Decimate to about this many.
        align: Whether to align every mesh rigidly with the template, by what expressions move least.
        every: Keep every n-th frame of recordings.
        subjects: Only so many people, the first ones.
        exclude: A list of what to leave out: people, ``person/recording``, or files.
        skip_bad: Whether to leave out damaged meshes, listing them, in place of stopping at the first.
        flame: A FLAME model as ``.npz`` that gives the template (FLAME topology only).
        textures: Copy every texture at so many pixels; None refers to the owner's files.
    """

    units: str | None = None
    vertices: int | None = None
    align: bool = False
    every: int = 1
    subjects: int | None = None
    exclude: Path | None = None
    skip_bad: bool = False
    flame: Path | None = None
    textures: int | None = None


@dataclass(frozen=True, eq=False)
class Frame:
    """How vertices of a file become those of the data set.

    Args:
        topology: Of the data set.
        decision: Unit and axes of the files.
        kept: (v,) int. Which of a file's vertices the data set has.
        align: (V,) bool mask of the vertices to align by, or None.
        target: (V, 3) float, millimeters, all vertices: what to align with.
    """

    topology: Topology
    decision: FrameDecision
    kept: NDArray[np.int64]
    align: NDArray[np.bool_] | None
    target: NDArray[np.float32]

    def apply(self, vertices: Faces) -> Faces:
        """(..., v, 3) millimeters of (..., V, 3) vertices as in the files."""
        faces = self.decision.apply(vertices)
        if self.align is not None:
            faces = procrustes(faces, self.target, weights=self.align).apply(faces).astype(np.float32)
        return faces[..., self.kept, :]


def read_tree(
    kind: FieldSet,
    folder: Path,
    options: TreeOptions,
    prepare: PrepareOptions,
) -> Tree:
    """Lists the scans of a tree, without what the user leaves out."""
    if options.selection and options.selection not in kind.selections:
        raise UnknownName("selection", options.selection, kind.selections)
    if not folder.is_dir():
        raise DataMissing(
            f"there is no such folder of {kind.title} meshes", received=str(folder),
            remedy=f"unpack the archives first; {kind.apply}",
        )  # fmt: skip
    tree = kind.read(folder, options)
    if prepare.exclude:
        names = read_names(prepare.exclude)
        tree.scans, used = leave_out(tree.scans, names, folder)
        unused = sorted(names - set(used))
        if unused:
            raise BadSetting(
                "a name of the list of exclusions is nowhere in the data", received=", ".join(unused[:5]),
                remedy="write people, person/recording, or files, as `mien data check` prints them",
            )  # fmt: skip
        tree.facts["left_out_by_user"] = used
    if prepare.subjects:
        wanted = set(tree.subjects[: prepare.subjects])
        tree.scans = [scan for scan in tree.scans if scan.subject in wanted]
    if not tree.scans:
        raise kind.absent(folder)
    return tree


def prepare_field(
    kind: FieldSet,
    source: Path | str,
    out: Path | str,
    options: TreeOptions | None = None,
    prepare: PrepareOptions | None = None,
) -> FaceDataset:
    """Brings registered scans of a data set of the field into a :class:`FaceDataset`.

    Args:
        kind: Which set, with its reader.
        source: The owner's tree, or the user's registered copy of it.
        out: Folder of the new data set.
        options: How the tree is read.
        prepare: What is done with the meshes.
    """
    folder, out, prepare = Path(source), Path(out), prepare or PrepareOptions()
    check_options(out, prepare.units, prepare.textures)
    tree = read_tree(kind, folder, options or TreeOptions(), prepare)
    if prepare.textures is None and any(scan.texture is not None for scan in tree.scans):
        tree.check.notes.append(
            f"textures stay where they are: name their folder in {OWNERS_FOLDERS} to train with them"
        )
    meshes = _first_mesh(kind, tree, folder)
    frame = _survey(kind, tree, meshes, folder, prepare)
    left_out: list[str] = []
    facts: dict[str, Any] = {
        "builder": kind.name, "units": frame.decision.sentence, "notes": tree.check.notes,
        "missing": len(tree.check.missing), "left_out": left_out, "every": prepare.every, **tree.facts,
    }  # fmt: skip
    with DatasetWriter(
        out, frame.topology, tree.expressions, further=add_examples,
        fps=tree.fps / prepare.every, source=kind.name,
        license=kind.license, citation=kind.citation, facts=facts,
    ) as writer:  # fmt: skip
        clips: dict[tuple[str, str], int] = {}
        groups = [group[:: prepare.every] for group in tree.groups()]
        readings = meshes.read_each(scan.path for group in groups for scan in group)
        for group in track(groups, f"reading {kind.title}"):
            found = list(zip(group, itertools.islice(readings, len(group)), strict=True))
            for scan, vertices in _labeled(tree, found, frame, prepare, left_out):
                clip = clips.setdefault((scan.subject, scan.clip), len(clips)) if scan.clip else -1
                _append(writer, scan, vertices, clip, tree, out, prepare.textures)
    return FaceDataset.load(out)


def _append(
    writer: DatasetWriter, scan: Scan, vertices: Faces, clip: int, tree: Tree, out: Path, pixels: int | None
) -> None:
    texture: NDArray | str | None = None
    if scan.texture is not None:  # a reference, or a small copy
        reference = os.path.relpath(scan.texture, out.resolve())
        texture = reference if pixels is None else read_texture(scan.texture, size=pixels)
    writer.append(
        vertices, scan.weights, subject=scan.subject, clip=clip, frame=scan.frame,
        labeled={"expression": scan.labeled}, texture=texture,
        publishable=tree.publishable is None or scan.subject in tree.publishable,
    )  # fmt: skip


def _first_mesh(kind: FieldSet, tree: Tree, folder: Path) -> CorrespondingMeshes:
    """Opens the mesh that decides the topology, and notes when it is not the owner's."""
    meshes = CorrespondingMeshes(tree.scans[0].path)
    count = meshes.common.vertex_count
    if kind.vertices and count != kind.vertices:
        tree.check.notes.append(f"meshes have {count:,} vertices; the owner's have {kind.vertices:,}")
    return meshes


def _labeled(
    tree: Tree, group: Sequence[tuple[Scan, Faces | MienError]], frame: Frame, prepare: PrepareOptions,
    left_out: list[str],
) -> Iterator[tuple[Scan, Faces]]:  # fmt: skip
    """Scans of a recording with final labels and vertices, in order."""
    scans, faces = [], []
    for scan, vertices in group:
        if isinstance(vertices, MienError):
            _refuse_unless_skipped(vertices, scan, prepare)
            left_out.append(f"{scan.path}: {vertices.cause}")
        else:
            faces.append(frame.apply(vertices))
            scans.append(scan)
    if not scans:
        return
    labeled = tree.label(scans, np.stack(faces)) if tree.label else scans
    for entry, vertices in zip(labeled, faces, strict=True):
        if entry is not None:
            yield entry, vertices


def _survey(
    kind: FieldSet, tree: Tree, meshes: CorrespondingMeshes, folder: Path, prepare: PrepareOptions
) -> Frame:
    """Unit, axes, template and rigid region, from a part of the meshes that is spread over all people."""
    rest = _spread(_at_rest(tree), _NEUTRALS)
    total = np.zeros((meshes.common.vertex_count, 3))
    count = 0
    readings = meshes.read_each(scan.path for scan in rest)
    for scan, vertices in track(zip(rest, readings, strict=True), "surveying neutral meshes", len(rest)):
        if isinstance(vertices, MienError):
            _refuse_unless_skipped(vertices, scan, prepare)
        else:
            total, count = total + vertices, count + 1
    if not count:
        raise WrongTopology(
            "no neutral mesh could be read", received=str(folder), remedy="see `mien data check --as`"
        )
    decision = decide(kind, total / count, meshes.common.faces, prepare.units)
    template = decision.apply(total / count)
    if prepare.flame:
        template = load_flame(prepare.flame).checked(meshes.common)
    regions = {"rigid": _still(tree, meshes, decision, prepare)}
    topology = replace(meshes.common, name=kind.name, template=template, regions=regions)
    if len(balls := eyeball_mask(topology)):
        topology = replace(topology, regions=regions | {"eyeballs": balls})
    if (table := folder / "landmarks.csv").is_file():
        topology = replace(topology, landmarks=read_vertex_landmarks(table, topology))
    kept = np.arange(topology.vertex_count)
    align = regions["rigid"] if prepare.align else None
    smaller = topology
    if prepare.vertices and prepare.vertices < topology.vertex_count:
        decimation = decimate(topology, prepare.vertices)
        smaller, kept = decimation.topology, decimation.kept
    return Frame(smaller, decision, kept, align, topology.template)


def decide(kind: FieldSet, mean: NDArray, faces: NDArray, units: str | None) -> FrameDecision:
    """Unit and axes of a set: as the user says, as the owner documents, or judged by size and shape.

    Args:
        kind: The set.
        mean: (V, 3) float. Mean neutral face, in the unit and axes of the files.
        faces: (F, 3) int.
        units: What the user says, or None.
    """
    if units is not None:
        return judge_frame(mean, faces, kind.name, units)
    if kind.upright:
        unit = unit_from_size(float(np.linalg.norm(np.ptp(mean, axis=0))), f"the mean {kind.title} neutral")
        scaled = "" if UNITS[unit] == 1 else f", scaled by {UNITS[unit]:g} to millimeters"
        sentence = (
            f"{kind.name}: in {unit}{scaled} (by its size), +Y up and +Z out of the face (as documented)."
        )
        return FrameDecision(unit, UNITS[unit], np.eye(3), sentence)
    return judge_frame(mean, faces, kind.name)


def _at_rest(tree: Tree) -> list[Scan]:
    """Neutral scans, and the first frame of recordings; of everything when there is neither."""
    rest = [group[0] for group in tree.groups() if group[0].clip or group[0].neutral]
    return rest or tree.scans


def _spread(items: list[Scan], count: int) -> list[Scan]:
    """So many items, evenly spread."""
    return [
        items[row] for row in np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).astype(int))
    ]


def _refuse_unless_skipped(error: MienError, scan: Scan, prepare: PrepareOptions) -> None:
    """Raises the mistake in a mesh, unless damaged meshes are left out."""
    if not prepare.skip_bad:
        raise explained(error, scan.path, "or leave such meshes out with --skip-bad or --exclude") from error


def _still(
    tree: Tree, meshes: CorrespondingMeshes, decision: FrameDecision, prepare: PrepareOptions
) -> NDArray[np.bool_]:
    """(V,) the 30 % of the vertices that move least within people, after rigid alignment of each scan."""
    people: dict[str, list[Scan]] = {}
    for scan in tree.scans:
        people.setdefault(scan.subject, []).append(scan)
    names = list(people)
    chosen = [
        names[row] for row in np.unique(np.linspace(0, len(names) - 1, min(_PEOPLE, len(names))).astype(int))
    ]
    total = np.zeros(meshes.common.vertex_count)
    scans = [_spread(people[name], _EACH) for name in chosen]
    readings = meshes.read_each(scan.path for each in scans for scan in each)
    for each in track(scans, "finding what does not move"):
        found = []
        for scan, vertices in zip(each, itertools.islice(readings, len(each)), strict=True):
            if isinstance(vertices, MienError):
                _refuse_unless_skipped(vertices, scan, prepare)
            else:
                found.append(decision.apply(vertices))
        if not found:
            continue
        faces = np.stack(found)
        still = procrustes(faces, faces[0]).apply(faces)
        total += ((still - still.mean(axis=0)) ** 2).sum(axis=(0, 2))
    return total <= np.percentile(total, 30)
