"""FaceDataset: many faces of one topology, with subjects and named expression weights."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset_file import read_dataset_file
from mien.data.splits import PARTS, assign
from mien.data.table import FACTORS, read_samples
from mien.data.texture_files import digest_textures, is_within
from mien.data.writer import RESTS, TRUTH, DatasetWriter
from mien.errors import BadFile, BadMesh, DataMissing, MissingNeutral, UnknownName
from mien.npz import open_array
from mien.topology import Topology

FILES = ("vertices.npy", "samples.csv", "topology.npz", "dataset.json")
FARTHEST_MM = 1e6
"""What no vertex of a face lies beyond, on any axis."""


@dataclass(frozen=True, eq=False)
class FaceDataset:
    """Faces in correspondence; a split is a view that shares the arrays.

    Neutral faces have all-zero weights. ``len(data)`` and ``data[i]`` speak of the view's rows.

    Args:
        topology: What all faces share.
        expressions: E names of the columns of ``weights``.
        vertices: (N, V, 3) float32, millimeters; may be memory-mapped.
        weights: (N, E) float32. How strongly each named expression is performed (0 none, 1 full).
        subject: (N,) int32 index into ``subjects``.
        subjects: S names of people.
        labeled: Factor name -> (N,) bool; which rows carry a label of that factor.
        factors: Further named factors, such as viseme, and the names of their classes.
        classes: Further factor -> (N,) int32 index of each row's class, which may be hidden by ``labeled``.
        clip: (N,) int32 clip number, -1 for single scans.
        frame: (N,) int32 frame number in its clip.
        fps: Frames per second of clips.
        publishable: (S,) bool. Whose faces may be shown in pictures.
        textures: (N,) paths of texture images relative to the folder, or None.
        source: Name of the source; with ``license`` and ``citation`` it goes into model cards.
        facts: Free JSON facts: options, seed, what was decided about units.
        rows: (n,) int. The rows that this view shows.
        folder: Where the set is stored, if it is.
        truth: (N, V, 3) float32, millimeters: every face without capture noise, where a performed set keeps
            it; may be memory-mapped.
        rests: (S, V, 3) float32, millimeters: every person's true face at rest; comes with ``truth``.
        listed: Name of a division that a file lists -> (N,) int8 index into ``PARTS``, -1 in none; see
            :mod:`mien.data.split_files`.
        stand_ins: Subject index -> (V, 3) float32, millimeters: faces that stand for neutral scans in this
            view, see :meth:`with_rest`. They are not stored.
    """

    topology: Topology
    expressions: tuple[str, ...]
    vertices: NDArray[np.float32]
    weights: NDArray[np.float32]
    subject: NDArray[np.int32]
    subjects: tuple[str, ...]
    labeled: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    factors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    classes: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)
    clip: NDArray[np.int32] | None = None
    frame: NDArray[np.int32] | None = None
    fps: float = 0.0
    publishable: NDArray[np.bool_] | None = None
    textures: tuple[str, ...] | None = None
    source: str = "memory"
    license: str = ""
    citation: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    rows: NDArray[np.int64] | None = None
    folder: Path | None = None
    truth: NDArray[np.float32] | None = None
    rests: NDArray[np.float32] | None = None
    listed: Mapping[str, NDArray[np.int8]] = field(default_factory=dict)
    stand_ins: Mapping[int, NDArray[np.float32]] | None = None

    def __post_init__(self) -> None:
        count = len(self.vertices)
        self.topology.check(np.empty((0, *self.vertices.shape[1:]), np.float32), what="data set")
        defaults: dict[str, Any] = {
            "weights": np.asarray(self.weights, np.float32).reshape(count, len(self.expressions)),
            "subject": np.asarray(self.subject, np.int32),
            "labeled": {name: np.ones(count, bool) for name in (*FACTORS, *self.factors)}
            | dict(self.labeled),
            "clip": np.full(count, -1, np.int32) if self.clip is None else np.asarray(self.clip, np.int32),
            "frame": np.zeros(count, np.int32) if self.frame is None else np.asarray(self.frame, np.int32),
            "publishable": np.ones(len(self.subjects), bool)
            if self.publishable is None
            else self.publishable,
            "rows": np.arange(count) if self.rows is None else np.asarray(self.rows, np.int64),
        }
        for name, value in defaults.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        people = len(np.unique(self.row_subject))
        return (
            f"FaceDataset({self.source!r}: {len(self)} faces of {people} people, "
            f"{len(self.expressions)} expressions, {self.topology!r})"
        )

    def __getitem__(self, index: int | slice | NDArray | list[int]) -> NDArray[np.float32]:
        """A copy of the vertices (n, V, 3), millimeters, of some rows of the view ((V, 3) for one int)."""
        return self._faces(self._rows[index])

    def _faces(self, rows: NDArray[np.int64] | np.int64) -> NDArray[np.float32]:
        """Copies of some rows of the set; BadMesh for a face with NaN or out of all proportion."""
        found = np.array(self.vertices[rows], np.float32)
        if not (np.abs(found) <= FARTHEST_MM).all():
            sound = (np.abs(found.reshape(-1, *found.shape[-2:])) <= FARTHEST_MM).all(axis=(1, 2))
            wrong = int(np.atleast_1d(rows)[np.argmin(sound)])
            raise BadMesh(
                f"face {wrong} of the data set {self.source!r} has vertices that are not finite or over "
                f"{FARTHEST_MM / 1000:g} m away", remedy="build or copy the data set again",
            )  # fmt: skip
        return found

    @property
    def _rows(self) -> NDArray[np.int64]:
        assert self.rows is not None
        return self.rows

    @property
    def row_weights(self) -> NDArray[np.float32]:
        """(n, E) weights of the view's rows."""
        return self.weights[self._rows]

    @property
    def row_subject(self) -> NDArray[np.int32]:
        """(n,) subject index of the view's rows."""
        return self.subject[self._rows]

    @property
    def row_clip(self) -> NDArray[np.int32]:
        """(n,) clip number of the view's rows, -1 for single scans."""
        return np.asarray(self.clip)[self._rows]

    @property
    def row_frame(self) -> NDArray[np.int32]:
        """(n,) frame number of the view's rows."""
        return np.asarray(self.frame)[self._rows]

    @property
    def has_textures(self) -> NDArray[np.bool_]:
        """(n,) which of the view's rows have a texture image; :mod:`mien.data.textures` reads them."""
        if self.textures is None:
            return np.zeros(len(self), bool)
        return np.array([bool(self.textures[row]) for row in self._rows], bool)

    def row_labeled(self, factor: str) -> NDArray[np.bool_]:
        """(n,) which of the view's rows carry a label of this factor."""
        if factor not in self.labeled:
            raise UnknownName("factor", factor, self.labeled)
        return self.labeled[factor][self._rows]

    @property
    def label(self) -> NDArray[np.int64]:
        """(n,) index of each row's strongest expression; -1 for neutral or unlabeled rows."""
        weights = self.row_weights
        if not weights.shape[1]:
            return np.full(len(self), -1)
        return np.where(weights.max(axis=1) > 0, weights.argmax(axis=1), -1)

    @property
    def is_neutral(self) -> NDArray[np.bool_]:
        """(n,) rows that are labeled and have all weights zero."""
        return self._neutral[self._rows]

    @cached_property
    def _neutral(self) -> NDArray[np.bool_]:
        return self.labeled["expression"] & (np.abs(self.weights).max(axis=1, initial=0) == 0)

    @property
    def has_neutral(self) -> NDArray[np.bool_]:
        """(n,) rows whose subject has at least one neutral scan in the whole set, or what stands for it."""
        known = np.zeros(len(self.subjects), bool)
        known[self.subject[self._neutral] if self.stand_ins is None else list(self.stand_ins)] = True
        return known[self.row_subject]

    @cached_property
    def _neutral_means(self) -> dict[int, NDArray[np.float32]]:
        return {}

    def neutral_of(self, index: NDArray | list[int] | slice) -> NDArray[np.float32]:
        """The neutral of the subject of each row: the mean of that person's neutral scans, or their stand-in.

        Args:
            index: (n,) int rows of the view, (len(self),) bool, or a slice.

        Returns:
            (n, V, 3) float32, millimeters.

        Raises:
            MissingNeutral: A subject has no neutral scan.
        """
        return np.stack([self._neutral_mean(int(person)) for person in self.row_subject[index]])

    def _neutral_mean(self, person: int) -> NDArray[np.float32]:
        if self.stand_ins is not None and person in self.stand_ins:
            return self.stand_ins[person]
        if person not in self._neutral_means:
            rows = np.flatnonzero(self._neutral & (self.subject == person))
            if not len(rows) or self.stand_ins is not None:
                raise MissingNeutral(
                    "a subject has no neutral scan", received=self.subjects[person],
                    remedy="add one (a row without any expression weight) or leave this subject out",
                )  # fmt: skip
            self._neutral_means[person] = self._faces(rows).mean(axis=0)
        return self._neutral_means[person]

    def with_rest(self, faces: Mapping[int, NDArray[np.float32]]) -> FaceDataset:
        """This view with faces that stand for neutral scans, which are then never looked at.

        Args:
            faces: Subject index -> (V, 3) float32, millimeters.
        """
        return replace(self, stand_ins=faces)

    @property
    def has_truth(self) -> bool:
        """The set keeps the face behind every scan, and every person's true face at rest."""
        return self.truth is not None and self.rests is not None

    def check_truth(self) -> None:
        """Raises where no truth stands beside the scans."""
        if not self.has_truth:
            raise DataMissing(
                "no truth stands beside the scans of this data set", received=self.source,
                remedy="build it with `mien data build ict`; real scans have none, procedural faces are it",
            )  # fmt: skip

    def true_faces(self, index: NDArray | list[int] | slice) -> NDArray[np.float32]:
        """The faces behind some scans of the view: what stood before the scanner.

        Args:
            index: (n,) int rows of the view, (len(self),) bool, or a slice.

        Returns:
            (n, V, 3) float32, millimeters.

        Raises:
            DataMissing: The set keeps no truth.
        """
        self.check_truth()
        assert self.truth is not None
        return np.array(self.truth[self._rows[index]], np.float32)

    def true_rest_of(self, index: NDArray | list[int] | slice) -> NDArray[np.float32]:
        """The true face at rest of the subject of each row: no scan, no slack of a take.

        Args:
            index: (n,) int rows of the view, (len(self),) bool, or a slice.

        Returns:
            (n, V, 3) float32, millimeters.

        Raises:
            DataMissing: The set keeps no truth.
        """
        self.check_truth()
        assert self.rests is not None
        return self.rests[self.row_subject[index]]

    def take(self, index: NDArray | list[int] | slice) -> FaceDataset:
        """A view of some of this view's rows: (n,) int indices, a (len(self),) bool mask, or a slice."""
        return replace(self, rows=self._rows[index])

    def split(self, part: str, *, protocol: str = "subject", seed: int = 0) -> FaceDataset:
        """The training, validation or test view under a named protocol (see :mod:`mien.data.splits`).

        Args:
            part: ``train``, ``validation``, ``test`` or ``all``.
            protocol: ``subject`` (default: no person in two parts), a paper's own, by name, a fold, or a
                division of ``listed``.
            seed: Which of the random divisions, for protocols that draw one.
        """
        if part == "all":
            return self
        if part not in PARTS:
            raise UnknownName("part", part, [*PARTS, "all"])
        parts = self.listed[protocol] if protocol in self.listed else assign(protocol, self.subject, seed)
        return replace(self, rows=self._rows[parts[self._rows] == PARTS.index(part)])

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of topology, labels, vertices and textures of the whole set (not of the view)."""
        digest = hashlib.sha256(self.topology.fingerprint.encode())
        labels = (*self.labeled.values(), *self.classes.values())
        for array in (self.weights, self.subject, self.clip, self.frame, *labels):
            digest.update(np.ascontiguousarray(array).tobytes())
        names = [self.expressions, self.subjects, *([dict(self.factors)] if self.factors else [])]
        digest.update(json.dumps(names).encode())
        for start in range(0, len(self.vertices), 256):
            digest.update(self._faces(np.arange(start, min(start + 256, len(self.vertices)))).tobytes())
            if self.truth is not None:
                digest.update(np.ascontiguousarray(self.truth[start : start + 256]).tobytes())
        if self.textures is not None and self.folder is not None:
            digest.update(digest_textures(self.folder, self.textures))
        return digest.hexdigest()

    def save(self, folder: Path) -> FaceDataset:
        """Writes the view as a data set of its own and loads it back memory-mapped."""
        with DatasetWriter(
            folder, self.topology, self.expressions, fps=self.fps, source=self.source, license=self.license,
            citation=self.citation, facts=self.facts, factors=self.factors,
        ) as writer:  # fmt: skip
            people = np.asarray(self.publishable)
            for person in np.unique(self.row_subject) if self.has_truth else ():
                writer.rest(self.subjects[person], self.rests[person])  # type: ignore[index]
            for row, base in enumerate(self._rows):
                writer.append(
                    self[row], self.weights[base], subject=self.subjects[self.subject[base]],
                    clip=int(self.row_clip[row]), frame=int(self.row_frame[row]),
                    labeled={name: bool(mask[base]) for name, mask in self.labeled.items()},
                    classes={name: self.factors[name][of[base]] for name, of in self.classes.items()},
                    texture=self._moved_texture(int(base), Path(folder)),
                    publishable=bool(people[self.subject[base]]),
                    truth=self.true_faces([row])[0] if self.has_truth else None,
                )  # fmt: skip
        return FaceDataset.load(folder)

    def _moved_texture(self, row: int, folder: Path) -> Path | str | None:
        """A row's texture for a copy of the set: own files are copied, others referred to where they are."""
        if self.folder is None or self.textures is None or not self.textures[row]:
            return None
        path = self.folder / self.textures[row]
        inside = is_within(path, (self.folder,))
        return path if inside else os.path.relpath(os.path.realpath(path), folder.resolve())

    @staticmethod
    def load(folder: Path | str) -> FaceDataset:
        """Opens a data set folder; the vertices stay on disk until they are used.

        Raises:
            DataMissing: The folder or one of its files is absent.
            BadFile: A file is truncated or the files disagree.
        """
        folder = Path(folder)
        for name in FILES:
            if not (folder / name).is_file():
                raise DataMissing(
                    f"the data folder has no {name}", received=str(folder),
                    remedy="build it with `mien data build` or `mien data prepare`, or restore the file",
                )  # fmt: skip
        return _load(folder)


def _load(folder: Path) -> FaceDataset:
    topology = Topology.load(folder / "topology.npz")
    about = read_dataset_file(folder / "dataset.json")
    expressions = tuple(about.expressions)
    try:
        table = read_samples(folder / "samples.csv", expressions, about.subjects, about.factors)
        shape = (len(table["subject"]), topology.vertex_count, 3)
        vertices = open_array(folder / "vertices.npy", np.dtype(np.float32))
        truth = _array(folder / TRUTH, vertices.shape)
        rests = None if truth is None else _array(folder / RESTS, (len(about.subjects), *vertices.shape[1:]))
    except (ValueError, KeyError, EOFError, OSError) as error:
        raise BadFile(
            "the data folder is damaged", received=f"{folder}: {error}", remedy="build or copy it again"
        ) from error
    if not len(table["subject"]) or vertices.shape[1:] != shape[1:]:
        raise BadFile(
            "the data folder is damaged", remedy="build or copy it again",
            received=f"{folder}: vertices of shape {vertices.shape}, needed {shape}",
        )  # fmt: skip
    if len(vertices) != len(table["subject"]):
        raise BadFile(
            "vertices.npy and samples.csv disagree on the number of faces",
            received=f"{len(vertices)} and {len(table['subject'])} in {folder}", remedy="build it again",
        )  # fmt: skip
    return FaceDataset(
        topology, expressions, vertices, subjects=tuple(about.subjects), folder=folder, truth=truth,
        rests=rests, publishable=np.array(about.publishable, bool), fps=about.fps, source=about.source,
        license=about.license, citation=about.citation, facts=about.facts, **table,
    )  # fmt: skip


def _array(path: Path, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
    """A memory-mapped array of the set that need not be there; ValueError where it does not fit."""
    if not path.is_file():
        return None
    found = open_array(path, np.dtype(np.float32))
    if found.shape != shape:
        raise ValueError(f"{path.name} holds {found.dtype} {found.shape}, not float32 {shape}")
    return found
