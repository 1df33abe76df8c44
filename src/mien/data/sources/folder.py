"""Anyone's registered meshes: a folder of mesh files and a table that labels them."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.examples import write_examples
from mien.data.sources.labels import UNLABELED, LabelTable, find_table, read_table
from mien.data.texture_files import read_texture
from mien.data.writer import DatasetWriter
from mien.errors import BadFile, BadMesh, DataMissing, MienError, UnknownName, WrongTopology
from mien.geometry.alignment import UNITS, FrameDecision, detect_frame, procrustes
from mien.io.face import check_topology
from mien.io.mesh import Mesh, read_mesh
from mien.progress import track
from mien.topology import Landmarks, Topology

Faces = NDArray[np.float32]


def prepare_folder(
    source: Path | str,
    out: Path | str,
    table: Path | str | None = None,
    *,
    units: str | None = None,
    fps: float = 30.0,
    align: bool = False,
    license: str = "",
    citation: str = "",
    textures: int | None = None,
) -> FaceDataset:
    """Builds a data set of meshes in correspondence; see ``docs/data/folder.md``.

    The unit and axes are decided once for the whole folder, on its mean neutral; the decision is in
    ``facts["units"]``. A ``landmarks.csv`` with the columns name and vertex gives the topology landmarks.

    Args:
        source: Folder of OBJ, PLY, STL, glTF, FBX or WRL files that share vertex order and faces.
        out: Folder of the new data set.
        table: The label table; default is ``labels.csv`` or the only CSV of the folder.
        units: Names the unit (``millimeters``, ``centimeters``, ``meters``) in place of the decision; +Y is
            then up and +Z out of the face.
        fps: Frames per second of the clips, if there are any.
        align: Whether to also align every mesh rigidly with the mean, by what expressions move least.
        license: Terms of the meshes, for model cards.
        citation: What to cite, for model cards.
        textures: Copy the texture images of the table at so many pixels; None copies them as they are.
    """
    folder = Path(source)
    if not folder.is_dir():
        raise DataMissing("there is no such folder of meshes", received=str(folder), remedy="check the path")
    labels = read_table(Path(table) if table else find_table(folder))
    _check_files(folder, labels)
    raw, first = _read_all(folder, labels)
    _refuse_mixed_units(raw, labels)
    decision = _decide(raw, first, labels, folder.resolve().name, units)
    faces = _converted(raw, decision)
    topology = _topology(folder, first, faces, labels)
    if align:
        faces = _aligned(faces, topology)
    notes = [*labels.notes, *(["aligned rigidly with the mean face"] if align else [])]
    facts = {"builder": "folder", "units": decision.sentence, "table": labels.path.name, "notes": notes}
    about = {"source": "folder", "license": license, "citation": citation, "facts": facts, "fps": fps}
    if not any(entry.clip for entry in labels.files):
        about["fps"] = 0.0
    with DatasetWriter(out, topology, labels.expressions, **about) as writer:
        _write(writer, labels, faces, folder, textures)
    dataset = FaceDataset.load(out)
    write_examples(dataset, Path(out) / "examples")
    return dataset


def _write(writer: DatasetWriter, labels: LabelTable, faces: Faces, folder: Path, pixels: int | None) -> None:
    """Appends every mesh with its labels; clips are numbered in order of appearance."""
    clips: dict[tuple[str, str], int] = {}
    for entry, vertices in zip(labels.files, faces, strict=True):
        known = {"identity": entry.subject != UNLABELED, "expression": entry.labeled}
        # People nobody named are kept apart: each such scan is a person of its own.
        subject = entry.subject if known["identity"] else f"unnamed line {entry.line}"
        # Clips of two people may carry one name.
        clip = clips.setdefault((entry.subject, entry.clip), len(clips)) if entry.clip else -1
        texture: Path | NDArray | None = folder / entry.texture if entry.texture else None
        if texture is not None and pixels is not None:
            texture = read_texture(folder / entry.texture, size=pixels)
        writer.append(
            vertices, entry.weights, subject=subject, clip=clip, frame=entry.frame, labeled=known,
            texture=texture,
        )  # fmt: skip


def _check_files(folder: Path, labels: LabelTable) -> None:
    """Every file of the table is there, inside the folder, before any is read."""
    root = folder.resolve()
    for entry in labels.files:
        for name in filter(None, (entry.file, entry.texture)):
            path = (folder / name).resolve()
            where = f"{name!r} in line {entry.line} of {labels.path.name}"
            if root not in path.parents:
                raise BadFile(
                    "a file of the label table lies outside the folder", received=where, remedy="move it in"
                )
            if not path.is_file():
                kind = "a mesh" if name == entry.file else "a texture"
                raise DataMissing(
                    f"the label table names {kind} that is not there",
                    received=where,
                    remedy="restore the file or delete the row",
                )


def _read_all(folder: Path, labels: LabelTable) -> tuple[Faces, Mesh]:
    """(N, V, 3) vertices as in the files, and the first mesh, whose topology all must share."""
    first, common, faces = None, None, []
    for entry in track(labels.files, "reading meshes"):
        try:
            mesh = read_mesh(folder / entry.file)
            if first is None or common is None:
                first = mesh
                common = Topology(first.name, first.faces, first.vertices, first.polygons)
            check_topology(mesh, common, entry.file)
        except MienError as error:
            row = f"line {entry.line} of {labels.path.name}"
            kind = type(error) if isinstance(error, (BadMesh, BadFile, WrongTopology)) else BadFile
            cause = f"{row}: {error.cause}"
            raise kind(cause, received=error.received or entry.file, remedy=error.remedy) from error
        faces.append(mesh.vertices)
    assert first is not None
    return np.stack(faces), first


def _refuse_mixed_units(raw: Faces, labels: LabelTable) -> None:
    """No mesh is three times the size of the others."""
    sizes = np.linalg.norm(np.ptp(raw, axis=1), axis=1)
    usual = float(np.median(sizes))
    for entry, size in zip(labels.files, sizes, strict=True):
        if not usual / 3 < size < usual * 3:
            raise BadMesh(
                "a mesh is in another unit than the others",
                received=f"{entry.file!r} in line {entry.line} of {labels.path.name}, "
                f"{size:.4g} units across against {usual:.4g}",
                remedy="export all meshes in one unit",
            )


def _decide(raw: Faces, first: Mesh, labels: LabelTable, name: str, units: str | None) -> FrameDecision:
    """One unit and one axis convention for all, judged on the mean neutral unless the user gives them."""
    if units is not None:
        if units not in UNITS:
            raise UnknownName("unit", units, UNITS)
        sentence = f"{name}: in {units}, with +Y up and +Z out of the face (as given)."
        return FrameDecision(units, UNITS[units], np.eye(3), sentence)
    mean = raw[_neutral_rows(labels)].mean(axis=0, dtype=np.float64)
    try:
        return detect_frame(mean, faces=first.faces, name=name)
    except BadMesh as error:
        remedy = f"{error.remedy or 'correct it'}, or name its unit with --units"
        raise BadMesh(error.cause, received=error.received, remedy=remedy) from error


def _neutral_rows(labels: LabelTable) -> NDArray[np.bool_]:
    """(N,) mask of the neutral meshes; of all meshes when none is neutral."""
    neutral = np.array([entry.labeled and not entry.weights for entry in labels.files])
    return neutral if neutral.any() else np.ones(len(neutral), bool)


def _converted(raw: Faces, decision: FrameDecision) -> Faces:
    return decision.apply(raw) if decision.changed else raw


def _topology(folder: Path, first: Mesh, faces: Faces, labels: LabelTable) -> Topology:
    """The shared topology: mean neutral as template, the least moving vertices as rigid region."""
    template = faces[_neutral_rows(labels)].mean(axis=0, dtype=np.float64)
    regions = {}
    moving = _movement(faces, labels)
    if moving is not None:
        regions["rigid"] = moving <= np.percentile(moving, 30)
    topology = Topology(
        folder.resolve().name, first.faces, template.astype(np.float32), first.polygons, first.uv,
        first.uv_faces, regions=regions,
    )  # fmt: skip
    table = folder / "landmarks.csv"
    return (
        replace(topology, landmarks=read_vertex_landmarks(table, topology)) if table.is_file() else topology
    )


def _movement(faces: Faces, labels: LabelTable) -> NDArray[np.float64] | None:
    """(V,) how far vertices move within people, millimeters; None when nobody was scanned twice."""
    people: dict[str, list[int]] = {}
    for row, entry in enumerate(labels.files):
        people.setdefault(entry.subject, []).append(row)
    total, count = np.zeros(faces.shape[1]), 0
    for name, rows in people.items():
        if len(rows) > 1 and name != UNLABELED:
            offset = faces[rows] - faces[rows].mean(axis=0)
            total += (offset**2).sum(axis=(0, 2))
            count += len(rows)
    return np.sqrt(total / count) if count else None


def _aligned(faces: Faces, topology: Topology) -> Faces:
    region = topology.regions.get("rigid")
    result = np.empty_like(faces)
    for row, face in enumerate(faces):
        result[row] = procrustes(face, topology.template, weights=region).apply(face)
    return result


def read_vertex_landmarks(path: Path, topology: Topology) -> Landmarks:
    """Landmarks that lie on vertices, from a table with the columns name and vertex."""
    points: dict[str, int] = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if not {"name", "vertex"} <= set(reader.fieldnames or ()):
            raise BadFile(
                "landmarks.csv needs the columns name and vertex",
                received=f"{', '.join(reader.fieldnames or ())} in {path}",
                remedy="write one row for every landmark",
            )
        for row in reader:
            text = (row["vertex"] or "").strip()
            if not text.isdigit() or int(text) >= topology.vertex_count:
                raise BadFile(
                    f"a landmark is no vertex from 0 to {topology.vertex_count - 1}",
                    received=f"{text!r} in line {reader.line_num} of {path}",
                    remedy="give the number of a vertex, counted from 0",
                )
            points[row["name"].strip()] = int(text)
    return Landmarks.at_vertices(points)
