"""The folder of a demo: how much it holds, and what its steps have left there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.evaluation import Report
from mien.models.base import FaceModel

MAIN = "adversarial_vae"
BASELINES = ("morphable", "mean_expression", "deformation_transfer")


@dataclass(frozen=True)
class Size:
    """How much the demo does.

    Args:
        people: Procedural people; a tenth of them is never seen in training.
        vertices: Vertices of a face; None for all of the procedural face.
        settings: Training settings over those of the profile ``smoke``.
        picture: Pixels of one face in a picture.
        heads: People whose heads are rigged, perform and are shown, before anything is trained.
        skin: Pixels of a side of their painted skin; None leaves them clay.
        source: Whose heads and shapes these are, ``makehuman`` or ``procedural``; None for the best on this
            machine, with the shapes of all.
    """

    people: int = 60
    vertices: int | None = None
    settings: tuple[tuple[str, Any], ...] = (("steps", 120), ("validate_every", 60))
    picture: int = 200
    heads: int = 3
    skin: int | None = 512
    source: str | None = None


FULL = Size()
FAST = Size(12, 600, (("steps", 30), ("pretraining_steps", 5), ("validate_every", 15)), 90, skin=256)


class DemoFolder:
    """One demo in one folder.

    Args:
        out: Where everything goes.
        size: How much to do.
    """

    def __init__(self, out: Path, size: Size) -> None:
        self.out, self.size = out, size
        self.report = out / "report.html"
        self.seconds: dict[str, float] = {}

    def run_folder(self, name: str) -> Path:
        """Where a model lies."""
        return self.out / "runs" / name

    @property
    def head(self) -> Path:
        """Where the rigged head lies: ``head.obj``, ``rig.glb``, ``clip.glb`` and ``report.json``."""
        return self.out / "head"

    @cached_property
    def cast(self) -> FaceDataset:
        """The people whose heads are rigged and shown."""
        return FaceDataset.load(self.out / "heads")

    @cached_property
    def data(self) -> FaceDataset:
        """The data set of the demo."""
        return FaceDataset.load(self.out / "faces")

    @cached_property
    def test(self) -> FaceDataset:
        """People that no model has seen."""
        return self.data.split("test")

    def model(self, name: str = MAIN) -> FaceModel:
        """A trained model."""
        from mien.models.files import load_model

        return load_model(str(self.run_folder(name)))

    @cached_property
    def judged(self) -> Report:
        """The evaluation."""
        return Report.load(self.out / "tables" / "report.json")


@dataclass(frozen=True, eq=False)
class DemoPeople:
    """Two unseen people for pictures: one performs, the other receives.

    Args:
        expressive: (K, V, 3) millimeters. The performer's expressions.
        labels: Their K names.
        neutral: (V, 3) millimeters. The performer at rest.
        receiver: (V, 3) millimeters. The other person at rest.
        truth: (K, V, 3) millimeters. The same expressions as the receiver performs them.
    """

    expressive: NDArray[np.float32]
    labels: tuple[str, ...]
    neutral: NDArray[np.float32]
    receiver: NDArray[np.float32]
    truth: NDArray[np.float32]

    @staticmethod
    def of(test: FaceDataset, count: int = 5) -> DemoPeople:
        """From the first and the last unseen person."""
        people = np.unique(test.row_subject)
        first, last = int(people[0]), int(people[-1])
        labels: list[str] = [
            name
            for name in ("smile", "mouth_stretch", "anger", "lip_puckerer", "grin")
            if name in test.expressions
        ]
        chosen = (labels or list(test.expressions))[:count]
        columns = [test.expressions.index(name) for name in chosen]

        def rows(person: int) -> list[int]:
            mine = test.row_subject == person
            return [int(np.argmax(np.where(mine, test.row_weights[:, column], -1))) for column in columns]

        def rest(person: int) -> NDArray[np.float32]:
            return test[int(np.argmax((test.row_subject == person) & test.is_neutral))]

        return DemoPeople(test[rows(first)], tuple(chosen), rest(first), rest(last), test[rows(last)])
