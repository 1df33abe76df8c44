"""A data set, a model and meshes for tests of the command line, made once a session."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fixtures import planted

from mien.cli import command
from mien.data.dataset import FaceDataset
from mien.data.examples import write_examples


@dataclass(frozen=True)
class Studio:
    """Where things lie.

    Args:
        root: A folder of this session.
        data: A data set folder of 12 people with 5 expressions.
        model: A finished run of ``morphable``, trained by the command line.
    """

    root: Path
    data: Path
    model: Path

    @property
    def neutral(self) -> Path:
        return next((self.data / "examples").glob("*_neutral.obj"))

    @property
    def smile(self) -> Path:
        return next((self.data / "examples").glob("*_smile.obj"))

    @property
    def faces(self) -> FaceDataset:
        return FaceDataset.load(self.data)


def make_studio(root: Path) -> Studio:
    """Builds the data, and trains through the command line."""
    studio = Studio(root, root / "data", root / "model")
    data = planted(subjects=12, interaction=0.2, noise=0.05).data.save(studio.data)
    write_examples(data, studio.data / "examples", expressions=5)
    assert command(["train", "morphable", "--data", str(studio.data), "--out", str(studio.model)]) == 0
    return studio


@dataclass(frozen=True)
class Told:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The one sentence of a refused command; fails if there is anything else."""
        lines = self.err.strip().splitlines()
        assert self.code == 2, self
        assert len(lines) == 1 and lines[0].startswith("mien: ") and lines[0].endswith("."), self.err
        assert "Traceback" not in self.err + self.out and self.out == ""
        return lines[0]


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> Told:
    """Runs ``mien`` in this process."""
    capsys.readouterr()
    code = command([str(item) for item in arguments])
    captured = capsys.readouterr()
    return Told(code, captured.out, captured.err)


def tree(folder: Path) -> Sequence[str]:
    """Every file below a folder, to see that a refused command left nothing."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
