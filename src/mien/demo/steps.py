"""The steps of the demo. Each one leaves its result in the folder and is skipped when that is there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien import apply
from mien.demo.folder import BASELINES, FAST, FULL, MAIN, DemoFolder, DemoPeople, Size
from mien.demo.head import build_heads, rig_head
from mien.demo.page import write_page
from mien.errors import BadSetting
from mien.evaluation import evaluate
from mien.io.atomic import write_bytes

PERFORMED = ("smile", "brow_raiser", "mouth_stretch", "anger", "lip_puckerer")


def run_demo(
    out: Path | str,
    *,
    fast: bool = False,
    size: Size | None = None,
    tell: Callable[[str], object] = lambda line: None,
) -> Path:
    """Builds, trains, judges and uses, and writes a report.

    Args:
        out: The folder; a demo that was stopped goes on in it, its finished steps are kept.
        fast: Fewer people and steps.
        size: A size of one's own.
        tell: Told each step as it begins, and how long it took.

    Returns:
        The path of ``report.html``.
    """
    demo = Demo(Path(out), size or (FAST if fast else FULL))
    demo.claim()
    demo.run(tell)
    return demo.report


class Demo(DemoFolder):
    """A demo's folder with the steps that fill it."""

    @property
    def steps(self) -> list[tuple[str, Path, Callable[[], None]]]:
        """What is done, where its result is, and what does it."""
        trainings = [
            (f"train {name}", self.run_folder(name) / "README.md", lambda name=name: self.train(name))
            for name in (MAIN, *BASELINES)
        ]
        return [
            ("draw people", self.out / "heads" / "dataset.json", lambda: build_heads(self)),
            ("rig a head without training, and perform", self.head / "clip.glb", lambda: rig_head(self)),
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

    def run(self, tell: Callable[[str], object]) -> None:
        """Does what is not done yet."""
        for number, (title, result, step) in enumerate(self.steps, 1):
            start = f"[{number}/{len(self.steps)}] {title}"
            if result.exists():
                tell(f"{start}: done before")
                continue
            tell(start)
            began = time.monotonic()
            step()
            self.seconds[title] = time.monotonic() - began
            tell(f"      {self.seconds[title]:.0f} s")

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

        model, people = self.model(), DemoPeople.of(self.test)
        meshes = {
            "neutralized": apply.neutralize(model, people.expressive),
            "transferred": apply.transfer(model, people.expressive, people.receiver),
            "walk": apply.interpolate(model, people.expressive[0], people.receiver, 7),
        }
        for name in ("neutralized", "transferred"):
            for label, mesh in zip(people.labels, meshes[name]):
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
        write_page(self)


def clip(names: tuple[str, ...], fps: float = 30.0) -> NDArray[np.float32]:
    """(T, E) a few expressions one after the other."""
    wanted = [name for name in PERFORMED if name in names]
    parts = [
        apply.curves(names, {name: 1.0}, onset=0.1, apex=0.6, offset=1.3, fps=fps)
        for name in wanted or names[:3]
    ]
    return np.concatenate(parts)
