"""Anyone's registered meshes: a folder of mesh files and a table that labels them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FILES, FaceDataset
from mien.data.examples import add_examples
from mien.data.inspect import DataCheck
from mien.data.sources.correspondence import CorrespondingMeshes
from mien.data.sources.frames import judge_frame
from mien.data.sources.labels import UNLABELED, LabelTable, find_table, read_table
from mien.data.texture_files import is_within, read_texture
from mien.data.writer import DatasetWriter, refuse_existing
from mien.errors import BadFile, BadMesh, BadSetting, DataMissing, MienError, WrongTopology
from mien.geometry.alignment import procrustes, unit_named
from mien.io.landmark_forms import landmark_entries
from mien.io.landmarks import vertex_number
from mien.io.mesh import Mesh
from mien.io.spelling import find_spelled
from mien.progress import track
from mien.temporary import neighbor
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
            then up and +Z out of the face. ``mm``, ``cm`` and ``m`` are understood.
        fps: Frames per second of the clips, if there are any.
        align: Whether to also align every mesh rigidly with the mean, by what expressions move least.
        license: Terms of the meshes, for model cards.
        citation: What to cite, for model cards.
        textures: Copy the texture images of the table at so many pixels; None copies them as they are.
    """
    folder, out = Path(source), Path(out)
    check_options(out, units, textures)
    if not folder.is_dir():
        raise DataMissing("there is no such folder of meshes", received=str(folder), remedy="check the path")
    labels = read_table(Path(table) if table else find_table(folder))
    _check_files(folder, labels)
    meshes = _first_mesh(folder, labels)
    with _room(out, len(labels.files), meshes.common.vertex_count) as faces:
        _read_all(folder, labels, meshes, faces)
        _refuse_mixed_units(faces, labels)
        neutral = _mean(faces, _neutral_rows(labels))
        decision = judge_frame(neutral, meshes.first.faces, folder.resolve().name, units)
        for row in faces if decision.changed else ():
            row[:] = decision.apply(row)
        topology = _topology(folder, meshes.first, faces, labels)
        if align:
            _align(faces, topology)
        notes = [*labels.notes, *(["aligned rigidly with the mean face"] if align else [])]
        facts = {"builder": "folder", "units": decision.sentence, "table": labels.path.name, "notes": notes}
        about = {"source": "folder", "license": license, "citation": citation, "facts": facts, "fps": fps}
        if not any(entry.clip for entry in labels.files):
            about["fps"] = 0.0
        with DatasetWriter(out, topology, labels.expressions, further=add_examples, **about) as writer:
            _write(writer, labels, faces, folder, textures)
    return FaceDataset.load(out)


def holds_table(folder: Path | str) -> bool:
    """Whether a folder is one of meshes with a table that labels them, not yet prepared."""
    folder = Path(folder)
    if any((folder / name).exists() for name in FILES):
        return False
    try:
        find_table(folder)
    except DataMissing:
        return False
    return True


def check_folder(source: Path | str) -> DataCheck:
    """Looks over a folder of meshes and their table before it is prepared: every file is read.

    Args:
        source: The folder.
    """
    folder, check = Path(source), DataCheck()
    try:
        labels = read_table(find_table(folder))
        _check_files(folder, labels)
        meshes = _first_mesh(folder, labels)
    except MienError as error:
        (check.missing if isinstance(error, DataMissing) else check.wrong).append(str(error))
        return check
    check.found.append(
        f"{labels.path.name}: {len(labels.files)} meshes, {len(labels.expressions)} named expressions"
    )
    check.notes += labels.notes
    readings = meshes.read_each(folder / entry.file for entry in labels.files)
    for row, found in enumerate(track(readings, "reading meshes", len(labels.files))):
        if isinstance(found, MienError):
            check.wrong.append(str(_in_row(found, labels, row)))
    if not check.wrong:
        check.found.append(f"all share {meshes.common.vertex_count} vertices and their triangles")
    return check


def check_options(out: Path, units: str | None, textures: int | None) -> None:
    """Refuses what a user chose wrongly, before any file is read.

    Args:
        out: Folder of the new data set.
        units: A unit, or None.
        textures: Pixels of copied textures, or None.
    """
    if units is not None:
        unit_named(units)
    if textures is not None and textures < 1:
        raise BadSetting("textures need a size in pixels", received=textures, remedy="write 512")
    refuse_existing(out)


@contextmanager
def _room(out: Path, count: int, vertices: int) -> Iterator[Faces]:
    """(count, vertices, 3) float32 on disk beside the result while it is made: memory stays flat."""
    out.parent.mkdir(parents=True, exist_ok=True)
    room = neighbor(out)
    room.mkdir()
    try:
        yield np.memmap(room / "faces", np.float32, "w+", shape=(count, vertices, 3))
    finally:
        shutil.rmtree(room, ignore_errors=True)


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
    """Every file of the table is there, inside the folder, before any is read; its spelling is mended."""
    for entry in labels.files:
        for kind in ("file", "texture"):
            name = getattr(entry, kind)
            if not name:
                continue
            where = f"{name!r} in line {entry.line} of {labels.path.name}"
            found = find_spelled(folder, name)
            if not is_within(found or folder / name, (folder,)):
                raise BadFile(
                    "a file of the label table lies outside the folder", received=where, remedy="move it in"
                )
            if found is None:
                what = "a mesh" if kind == "file" else "a texture"
                raise DataMissing(
                    f"the label table names {what} that is not there",
                    received=where,
                    remedy="restore the file or delete the row",
                )
            setattr(entry, kind, found.relative_to(folder).as_posix())


def _first_mesh(folder: Path, labels: LabelTable) -> CorrespondingMeshes:
    """Opens the mesh whose topology all must share."""
    try:
        return CorrespondingMeshes(folder / labels.files[0].file)
    except MienError as error:
        raise _in_row(error, labels, 0) from error


def _read_all(folder: Path, labels: LabelTable, meshes: CorrespondingMeshes, faces: Faces) -> None:
    """Reads the vertices of all files, as they are, into ``faces`` (N, V, 3)."""
    readings = meshes.read_each(folder / entry.file for entry in labels.files)
    for row, found in enumerate(track(readings, "reading meshes", len(faces))):
        if isinstance(found, MienError):
            raise _in_row(found, labels, row) from found
        faces[row] = found


def _in_row(error: MienError, labels: LabelTable, row: int) -> MienError:
    """The same mistake with the line of the table that names the file."""
    entry = labels.files[row]
    kind = type(error) if isinstance(error, (BadMesh, BadFile, WrongTopology)) else BadFile
    cause = f"line {entry.line} of {labels.path.name}: {error.cause}"
    return kind(cause, received=error.received or entry.file, remedy=error.remedy)


def _refuse_mixed_units(faces: Faces, labels: LabelTable) -> None:
    """No mesh is three times the size of the others."""
    sizes = np.array([np.linalg.norm(np.ptp(face, axis=0)) for face in faces])
    usual = float(np.median(sizes))
    for entry, size in zip(labels.files, sizes, strict=True):
        if not usual / 3 < size < usual * 3:
            raise BadMesh(
                "a mesh is in another unit than the others",
                received=f"{entry.file!r} in line {entry.line} of {labels.path.name}, "
                f"{size:.4g} units across against {usual:.4g}",
                remedy="export all meshes in one unit",
            )


def _mean(faces: Faces, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(V, 3) the mean of some faces, read one by one."""
    total = np.zeros(faces.shape[1:])
    for row in np.flatnonzero(rows):
        total += faces[row]
    return total / rows.sum()


def _neutral_rows(labels: LabelTable) -> NDArray[np.bool_]:
    """(N,) mask of the neutral meshes; of all meshes when none is neutral."""
    neutral = np.array([entry.labeled and not entry.weights for entry in labels.files])
    return neutral if neutral.any() else np.ones(len(neutral), bool)


def _topology(folder: Path, first: Mesh, faces: Faces, labels: LabelTable) -> Topology:
    """The shared topology: mean neutral as template, the least moving vertices as rigid region."""
    template = _mean(faces, _neutral_rows(labels))
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


def _align(faces: Faces, topology: Topology) -> None:
    """Aligns every face (N, V, 3) with the template, in place."""
    region = topology.regions.get("rigid")
    for row in faces:
        row[:] = procrustes(row, topology.template, weights=region).apply(row)


def read_vertex_landmarks(path: Path, topology: Topology) -> Landmarks:
    """Landmarks that lie on vertices, from a table with the columns name and vertex."""
    entries = landmark_entries(path)
    if any(len(entry.cells) != 1 for entry in entries):
        raise BadFile(
            "landmarks.csv needs the columns name and vertex", received=entries[0].where,
            remedy="write one row for every landmark, with the number of its vertex",
        )  # fmt: skip
    return Landmarks.at_vertices(
        {entry.name: vertex_number(entry, topology.vertex_count) for entry in entries}
    )
