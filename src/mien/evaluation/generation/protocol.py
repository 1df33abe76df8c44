"""``evaluate_generation``: what models make up, judged as Abrevaya et al. (ICCV 2019) judge it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Any

from mien.data.dataset import FaceDataset
from mien.errors import BadSetting, UnknownName
from mien.evaluation.faces.protocol import conditions, labeled
from mien.evaluation.faces.rows import SystemResult
from mien.evaluation.generation.controls import judging_setup, real_rows
from mien.evaluation.generation.rows import JudgingSetup, judge_generation
from mien.evaluation.generation.similarity import Training
from mien.evaluation.generation.tables import published
from mien.evaluation.report import Report
from mien.evaluation.rows import Maker
from mien.evaluation.subjects import TestScans
from mien.machine import machine_since
from mien.models.base import FaceModel
from mien.progress import track


@dataclass(frozen=True)
class GenerationSettings:
    """How many faces are drawn, and how the judges are trained.

    Args:
        pairs: Pairs of each kind for diversity.
        faces: n of decoupling: random faces.
        resamples: m of decoupling: faces that share a code with each of them.
        samples: Faces for specificity.
        judges: Kinds of judges: ``pictures`` and ``lite``.
        image_size: Side of the pictures in pixels; the paper takes 224.
        picture_steps: Updates of each picture network.
        components: Principal components that lite judges see.
        lite_steps: Updates of each lite network.
        people: People for the control of expressions.
        sparse_scans: Test scans fitted to landmarks.
        sparse_steps: Updates of a fit.
        silhouette_scans: Test scans whose codes are grouped; models without encoder take long for each.
        batch: Faces decoded at once.
        seed: Of all draws.
        device: Where judges are trained and run; ``auto`` is a GPU if there is one.
    """

    pairs: int = 10_000
    faces: int = 100
    resamples: int = 100
    samples: int = 1000
    judges: tuple[str, ...] = ("pictures", "lite")
    image_size: int = 64
    picture_steps: int = 350
    components: int = 128
    lite_steps: int = 600
    people: int = 20
    sparse_scans: int = 36
    sparse_steps: int = 100
    silhouette_scans: int = 2000
    batch: int = 100
    seed: int = 0
    device: str = "auto"

    def training(self, kind: str) -> Training:
        """How judges of a kind are trained."""
        if kind == "pictures":
            return Training(kind, self.image_size, self.picture_steps, seed=self.seed)
        return Training(kind, self.components, self.lite_steps, seed=self.seed)


PROFILES: Mapping[str, Mapping[str, Any]] = {
    "smoke": {
        "judges": ("lite",),
        "pairs": 200, "faces": 10, "resamples": 10, "samples": 50, "image_size": 32, "picture_steps": 20,
        "components": 64, "lite_steps": 100, "people": 4, "sparse_scans": 4, "sparse_steps": 40,
    },
    "standard": {},
    "full": {
        "image_size": 224, "picture_steps": 20_000, "lite_steps": 5000, "people": 100, "sparse_scans": 144,
    },
}  # fmt: skip
"""``smoke`` has no picture networks; ``standard`` costs minutes of one processor core; ``full`` takes the
paper's picture size, on a GPU."""


def settings_of(profile: str, overrides: Mapping[str, Any] | None = None) -> GenerationSettings:
    """The settings of a profile with some changed.

    Raises:
        UnknownName: No such profile or setting.
        BadSetting: A value that cannot be.
    """
    if profile not in PROFILES:
        raise UnknownName("profile", profile, PROFILES)
    known = {field.name for field in fields(GenerationSettings)}
    for name in overrides or {}:
        if name not in known:
            raise UnknownName("setting of the generation metrics", name, known)
    chosen = {**PROFILES[profile], **(overrides or {})}
    if isinstance(chosen.get("judges"), str):
        chosen["judges"] = (chosen["judges"],)
    chosen = {name: tuple(value) if isinstance(value, list) else value for name, value in chosen.items()}
    result = replace(GenerationSettings(), **chosen)
    for name, value in asdict(result).items():
        least = 2 if name in ("samples", "pairs", "batch") else 1
        if isinstance(value, int) and not isinstance(value, bool) and name != "seed" and value < least:
            raise BadSetting(f"{name} must be at least {least}", received=value)
    for kind in result.judges:
        if kind not in ("pictures", "lite"):
            raise UnknownName("kind of judge", kind, ("pictures", "lite"))
    return result


def evaluate_generation(
    models: Mapping[str, FaceModel] | Sequence[FaceModel], data: FaceDataset, *,
    settings: GenerationSettings | None = None, protocol: str = "subject", seed: int = 0, part: str = "test",
) -> tuple[Report, JudgingSetup]:  # fmt: skip
    """Judges what models generate, with the same values of real faces beside.

    Args:
        models: Label -> model; a plain list is labeled by the methods' names.
        data: The whole data set. Judges learn from its training part; thresholds are chosen on the others.
        settings: Numbers of draws; None for the standard ones.
        protocol: How the set is divided.
        seed: Of the division.
        part: Test scans for landmarks, silhouettes, and people of models that cannot sample.

    Returns:
        report: A metric that a model cannot have is a dash with the reason.
        setup: The judges and what else all models were judged with, and the samples kept for pictures.
    """
    began, settings = time.monotonic(), settings or GenerationSettings()
    named = models if isinstance(models, Mapping) else labeled(models)
    judged = TestScans.of(data, part=part, protocol=protocol, seed=seed, limit=4000)
    for label, model in named.items():
        model.calibration.require(label)
        model.check_data(data)
    setup = judging_setup(data, judged, settings)
    tasks: list[Callable[[], SystemResult]] = [
        partial(judge_generation, Maker(label, "model", settings.seed), model, setup)
        for label, model in named.items()
    ]
    found = [task() for task in track(tasks, "judging models")]
    rows = [row for judgment in found for row in judgment.rows]
    people: dict[str, Any] = {"training data": {}}
    real = list(real_rows(setup, people["training data"]))
    report = Report(
        (*real, *rows), conditions(judged, data.fingerprint) | _drawn(setup) | machine_since(began),
        {judgment.system: judgment.facts for judgment in found}, published(),
        people=people | {judgment.system: judgment.people for judgment in found},
    )  # fmt: skip
    return report, setup


def _drawn(setup: JudgingSetup) -> dict[str, Any]:
    """What every row of this protocol states besides."""
    s = setup.settings
    networks = " and ".join(
        f"ResNet-18 on {s.image_size}-pixel normals ({s.picture_steps:,} steps)" if kind == "pictures"
        else f"lite ({s.components} components, {s.lite_steps:,} steps)" for kind in s.judges
    )  # fmt: skip
    smaller = ""
    if "pictures" in s.judges and s.image_size < 224:
        smaller = " The paper's pictures have 224 pixels: percentages are comparable within this report only."
    return {
        "generation": asdict(s),
        "drawn": (
            f"{s.pairs:,} pairs, decoupling {s.faces} x {s.resamples}, specificity of {s.samples:,} samples, "
            f"seed {s.seed}; judges: {networks}, trained on the training people, thresholds on held-out "
            f"people.{smaller}"
        ),
        "interval": "95 %, bootstrap over drawn faces (scans for landmarks), 2000 resamples",
    }
