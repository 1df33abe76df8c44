"""The steps of the demo. Each one leaves its result in the folder and is skipped when that is there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import apply
from mien.cli.shell import Stopped, say
from mien.data.dataset import FaceDataset
from mien.errors import BadSetting
from mien.evaluation import Report, evaluate
from mien.io.atomic import write_bytes
from mien.models.base import FaceModel

MAIN = "adversarial_vae"
PERFORMED = ("smile", "mouth_stretch", "anger", "lip_puckerer", "brow_raiser")
BASELINES = ("morphable", "mean_expression", "deformation_transfer")


@dataclass(frozen=True)
class Size:
    """How much the demo does.

    Args:
        people: Procedural people; a tenth of them is never seen in training.
        vertices: Vertices of a face; None for all of the procedural face.
        settings: Training settings over those of the profile ``smoke``.
        picture: Pixels of one face in a picture.
    """

    people: int = 60
    vertices: int | None = None
    settings: tuple[tuple[str, Any], ...] = ()
    picture: int = 200


FULL = Size()
FAST = Size(12, 600, (("steps", 30), ("pretraining_steps", 5), ("validate_every", 15)), 90)


def run_demo(out: Path | str, *, fast: bool = False, size: Size | None = None) -> Path:
    """Builds, trains, judges and uses, and writes a report.

    Args:
        out: The folder; a demo that was stopped goes on in it.
        fast: Fewer people and steps.
        size: A size of one's own.

    Returns:
        The path of ``report.html``.
    """
    demo = Demo(Path(out), size or (FAST if fast else FULL))
    demo.claim()
    try:
        demo.run()
    except KeyboardInterrupt as error:
        raise Stopped(f"finished steps are kept in {out}; the same command goes on.") from error
    return demo.report


class Demo:
    """One demo in one folder.

    Args:
        out: Where everything goes.
        size: How much to do.
    """

    def __init__(self, out: Path, size: Size) -> None:
        self.out, self.size = out, size
        self.report = out / "report.html"
        self.seconds: dict[str, float] = {}

    @property
    def steps(self) -> list[tuple[str, Path, Callable[[], None]]]:
        """What is done, where its result is, and what does it."""
        trainings = [
            (f"train {name}", self.run_folder(name) / "README.md", lambda name=name: self.train(name))
            for name in (MAIN, *BASELINES)
        ]
        return [
            (f"build {self.size.people} procedural people", self.out / "faces" / "dataset.json", self.build),
            *trainings,
            ("judge all of them on unseen people", self.out / "tables" / "report.json", self.judge),
            ("make new people", self.out / "people" / "people.csv", self.generate),
            ("neutralize, transfer, interpolate", self.out / "use" / "meshes.npz", self.use),
            ("make a rig and animate it", self.out / "clip.glb", self.make_rig),
            ("write the report", self.report, self.write),
        ]

    def claim(self) -> None:
        """Marks the folder as this demo's; refuses a folder of something else."""
        path = self.out / "demo.json"
        wanted = json.loads(json.dumps(asdict(self.size)))
        if path.is_file() and json.loads(path.read_text(encoding="utf-8")) == wanted:
            return
        if self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise BadSetting(
                "the folder is in use by something else", received=str(self.out),
                remedy="choose another --out, or delete it first",
            )  # fmt: skip
        write_bytes(path, json.dumps(wanted).encode())

    def run(self) -> None:
        """Does what is not done yet."""
        for number, (title, result, step) in enumerate(self.steps, 1):
            start = f"[{number}/{len(self.steps)}] {title}"
            if result.exists():
                say(f"{start}: done before")
                continue
            say(start)
            began = time.monotonic()
            step()
            self.seconds[title] = time.monotonic() - began
            say(f"      {self.seconds[title]:.0f} s")

    def run_folder(self, name: str) -> Path:
        """Where a model lies."""
        return self.out / "runs" / name

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

    # ---- steps

    def build(self) -> None:
        """The embedded data."""
        from mien.data.sources.procedural.build import build_procedural

        build_procedural(self.out / "faces", subjects=self.size.people, vertices=self.size.vertices)

    def train(self, name: str) -> None:
        """One model, with its card."""
        from mien.training import train

        settings = dict(self.size.settings) if name == MAIN else {}
        folder = self.run_folder(name)
        resume = (folder / "run.json").is_file()
        train(name, self.data, out=folder, profile="smoke", resume=resume, **settings)

    def judge(self) -> None:
        """Every metric on unseen people, controls beside."""
        models = {name: self.model(name) for name in (MAIN, *BASELINES)}
        evaluate(models, self.data, controls=("nearest_identity",)).save(self.out / "tables")

    def generate(self) -> None:
        """Eight new people with a smile."""
        from mien.io.people import write_people

        faces = apply.generate(self.model(), 8, seed=1, weights={"smile": 1.0})
        write_people(self.out / "people", faces, self.data.topology, {"seed": 1, "smile": 1.0})

    def use(self) -> None:
        """What people do with faces, kept as arrays for the pictures and as OBJ for a look."""
        from mien.io.mesh import write_obj

        model, cast = self.model(), DemoPeople.of(self.test)
        meshes = {
            "neutralized": apply.neutralize(model, cast.expressive),
            "transferred": apply.transfer(model, cast.expressive, cast.receiver),
            "walk": apply.interpolate(model, cast.expressive[0], cast.receiver, 7),
        }
        for name in ("neutralized", "transferred"):
            for label, mesh in zip(cast.labels, meshes[name]):
                write_obj(self.out / "use" / f"{name}_{label}.obj", mesh, self.data.topology)
        from mien.topology import save_npz

        save_npz(self.out / "use" / "meshes.npz", meshes)

    def make_rig(self) -> None:
        """A rig of an unseen person, still and moving."""
        from mien.io.gltf import write_glb

        made = apply.rig(self.model(), DemoPeople.of(self.test).receiver)
        curves = clip(made.names)
        topology = self.data.topology
        write_glb(self.out / "rig.glb", made.base, topology, made.targets, made.names)
        write_glb(self.out / "clip.glb", made.base, topology, made.targets, made.names, clip=curves, fps=30.0)

    def write(self) -> None:
        """The report."""
        from mien.demo.page import write_page

        write_page(self)

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


def clip(names: tuple[str, ...], fps: float = 30.0) -> NDArray[np.float32]:
    """(T, E) a few expressions one after the other."""
    wanted = [
        name for name in ("smile", "brow_raiser", "mouth_stretch", "anger", "lip_puckerer") if name in names
    ]
    parts = [
        apply.curves(names, {name: 1.0}, onset=0.1, apex=0.6, offset=1.3, fps=fps)
        for name in wanted or names[:3]
    ]
    return np.concatenate(parts)
