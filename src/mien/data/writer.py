"""DatasetWriter: streams faces into a data set folder that appears only when it is whole."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mien.data.table import FACTORS, header
from mien.errors import BadSetting, DataMissing, UnknownName
from mien.temporary import clear_stale, neighbor
from mien.topology import Topology

TRUTH, RESTS = "truth.npy", "rests.npy"
"""Files of a performed set: every face without capture noise, and every person's true face at rest."""


def refuse_existing(folder: Path) -> None:
    """Raises where a data set is to appear and something is already."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadSetting(
            "the output folder exists already", received=str(folder),
            remedy="choose another one, or delete it first",
        )  # fmt: skip


class DatasetWriter:
    """Use as a context manager; an exception inside leaves nothing behind, and what a killed process left
    is cleared by the next writer of the same folder.

    Args:
        folder: Where the data set is to appear; must not exist yet (or be empty).
        topology: What all faces share.
        expressions: Names of the weight columns.
        further: Writes what else belongs into the folder when the data is there, before the folder appears.
        about: ``fps``, ``source``, ``license``, ``citation``, ``facts``, ``factors`` of
            :class:`~mien.data.dataset.FaceDataset`.
    """

    def __init__(
        self, folder: Path | str, topology: Topology, expressions: Sequence[str], *,
        further: Callable[[Path], object] | None = None, **about: Any,
    ) -> None:  # fmt: skip
        self.folder = Path(folder)
        refuse_existing(self.folder)
        self.topology, self.expressions, self.further = topology, tuple(expressions), further
        self.about: dict[str, Any] = {
            "fps": 0.0,
            "source": "memory",
            "license": "",
            "citation": "",
            "facts": {},
            "factors": {},
        } | about
        self.people: dict[str, bool] = {}
        self.rests: dict[str, NDArray[np.float32]] = {}
        self.count, self.true_count = 0, 0

    def __enter__(self) -> DatasetWriter:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        clear_stale(self.folder.parent)
        self.partial = neighbor(self.folder)
        self.partial.mkdir()
        self._vertices = (self.partial / "vertices.npy").open("wb")
        self._samples = (self.partial / "samples.csv").open("w", newline="", encoding="utf-8")
        self._vertices.write(self._header(0))
        self._table = csv.writer(self._samples)
        self._table.writerow(header(self.expressions, self.about["factors"]))
        return self

    def append(
        self,
        vertices: NDArray,
        weights: NDArray | Mapping[str, float],
        *,
        subject: str,
        clip: int = -1,
        frame: int = 0,
        labeled: Mapping[str, bool] | None = None,
        classes: Mapping[str, str] | None = None,
        texture: NDArray | Path | str | None = None,
        publishable: bool = True,
        truth: NDArray | None = None,
    ) -> None:
        """Adds one face.

        Args:
            vertices: (V, 3) float, millimeters.
            weights: (E,) float, or named weights; all zero is neutral.
            subject: Name of the person.
            clip: Clip number, -1 for a single scan.
            frame: Frame number in the clip.
            labeled: Which factors are labeled; default all.
            classes: Class of each further factor of the data set; needed even where the label is hidden.
            texture: In the topology's uv, row 0 at v = 1: (H, W, 3) uint8 sRGB; an image file, to be copied;
                or a path relative to the finished folder, kept as it is written.
            publishable: Whether this person may be shown in pictures.
            truth: (V, 3) float, millimeters. The face without capture noise; for every face of a set or none.
        """
        self.topology.check(vertices, what=f"face {self.count} ({subject})")
        if isinstance(weights, Mapping):
            weights = np.array([weights.get(name, 0.0) for name in self.expressions], np.float32)
        factors = self.about["factors"]
        flags = dict.fromkeys((*FACTORS, *factors), True) | dict(labeled or {})
        self.people[subject] = self.people.get(subject, True) and publishable
        self._vertices.write(np.ascontiguousarray(vertices, np.float32).tobytes())
        cells = [f"{float(value):.6g}" for value in weights]
        marks = [int(flags[name]) for name in FACTORS]
        further: list[Any] = []
        for factor, known in factors.items():
            if (given := (classes or {}).get(factor, "")) not in known:
                raise UnknownName(f"class of {factor}", given, known)
            further += [given, int(flags[factor])]
        name = texture if isinstance(texture, str) else ""
        if isinstance(texture, (Path, np.ndarray)):
            name = self._keep_texture(texture, subject)
        self._table.writerow([subject, clip, frame, *marks, name, *cells, *further])
        if truth is not None:
            self._append_truth(truth)
        self.count += 1

    def _append_truth(self, truth: NDArray) -> None:
        self.topology.check(truth, what=f"the truth of face {self.count}")
        if not self.true_count:
            self._truth = (self.partial / TRUTH).open("wb")
            self._truth.write(self._header(0))
        self._truth.write(np.ascontiguousarray(truth, np.float32).tobytes())
        self.true_count += 1

    def rest(self, subject: str, vertices: NDArray) -> None:
        """States a person's true face at rest, (V, 3) float, millimeters: no scan, no slack of a take."""
        self.topology.check(vertices, what=f"the rest of {subject}")
        self.rests[subject] = np.asarray(vertices, np.float32)

    def _keep_texture(self, texture: NDArray | Path, subject: str) -> str:
        """Puts a texture among the set's own files; its path relative to the folder."""
        from PIL import Image

        plain = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in subject)
        name = f"textures/{self.count:06d}_{plain}"
        (self.partial / "textures").mkdir(exist_ok=True)
        if isinstance(texture, Path):
            if not texture.is_file():
                raise DataMissing(
                    "a texture is missing", received=str(texture), remedy="restore it or clear its cell"
                )
            name += texture.suffix.lower()
            shutil.copyfile(texture, self.partial / name)
        else:
            name += ".png"
            Image.fromarray(np.ascontiguousarray(texture, np.uint8)).save(self.partial / name)
        return name

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._finish(self._vertices, self.count)
            if self.true_count:
                self._finish(self._truth, self.true_count)
            self._samples.close()
            if kind is None:
                self._publish()
        finally:
            shutil.rmtree(self.partial, ignore_errors=True)

    def _finish(self, file: BinaryIO, count: int) -> None:
        """States the final count in the header and closes the array."""
        file.seek(0)
        file.write(self._header(count))
        file.close()

    def _publish(self) -> None:
        complete = self.true_count == self.count and self.people.keys() <= self.rests.keys()
        if self.true_count and not complete:
            raise BadSetting(
                "truth is kept for every face of a set and the rest of every person, or for none",
                received=f"{self.true_count} of {self.count} faces, {len(self.rests)} people at rest",
            )  # fmt: skip
        if self.true_count:
            np.save(self.partial / RESTS, np.stack([self.rests[name] for name in self.people]))
        self.topology.save(self.partial / "topology.npz")
        about: dict[str, Any] = {"expressions": list(self.expressions), "subjects": list(self.people)}
        about |= self.about
        about["publishable"] = list(self.people.values())
        about["facts"] = dict(about["facts"])
        about["factors"] = {name: list(classes) for name, classes in about["factors"].items()}
        text = json.dumps(about, indent=1, ensure_ascii=False)
        (self.partial / "dataset.json").write_text(text, encoding="utf-8")
        if self.further is not None:
            self.further(self.partial)
        if self.folder.is_dir():
            self.folder.rmdir()
        os.replace(self.partial, self.folder)

    def _header(self, count: int) -> bytes:
        """The .npy header; numpy pads it so that the row count can grow in place."""
        buffer = io.BytesIO()
        shape = (count, self.topology.vertex_count, 3)
        np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
        return buffer.getvalue()
