"""One model on the generation metrics: what it draws turned into rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.errors import MienError
from mien.evaluation.faces.rows import SystemResult, system_facts
from mien.evaluation.generation import landmarks
from mien.evaluation.generation.classifier import Classifier
from mien.evaluation.generation.diversity import diversity_of
from mien.evaluation.generation.draws import RandomFaces, short
from mien.evaluation.generation.named_expressions import control_rows, silhouette_rows
from mien.evaluation.generation.similarity import SimilarityNetwork, distance
from mien.evaluation.generation.specificity import PatchSums, extremes
from mien.evaluation.metrics import Meshes
from mien.evaluation.rows import Maker, Row
from mien.evaluation.subjects import TestScans
from mien.models.base import FaceModel
from mien.progress import track

if TYPE_CHECKING:
    from mien.evaluation.generation.protocol import GenerationSettings

OWN_FAR = 0.10
"""False accepts among a model's own random faces at which its decoupling is compared with others'."""
UNITS = 100
"""Draws are averaged to this many numbers, which claims resample."""


@dataclass
class JudgingSetup:
    """What all models are judged with.

    Args:
        data: The whole data set.
        judged: Test scans, and the training part.
        settings: Numbers of draws.
        judges: (factor, kind) -> judge, or the sentence why there is none.
        classifier: Of expressions, or the sentence why there is none.
        index: Nearest training faces.
        samples: System -> its samples nearest to the training faces and farthest from them, with their
            distances, for pictures.
    """

    data: FaceDataset
    judged: TestScans
    settings: GenerationSettings
    judges: dict[tuple[str, str], SimilarityNetwork | str]
    classifier: Classifier | str
    index: PatchSums
    samples: dict[str, tuple[Meshes, NDArray[np.float64]]] = field(default_factory=dict)


def judge_generation(maker: Maker, model: FaceModel, setup: JudgingSetup) -> SystemResult:
    """All rows of one model. What one test refuses does not stop the next."""
    rows, people = list[Row](), dict[str, dict[str, float]]()
    spent: dict[str, float] = {}
    tests: tuple[tuple[str, str, Callable[..., Iterator[Row]]], ...] = (
        ("diversity", "div_all", _diversity), ("decoupling", "dec_id", _decoupling),
        ("control", "cls_id_held", control_rows), ("landmarks", "sparse_rmse_0", _landmarks),
        ("silhouettes", "silhouette_person_in_identity", silhouette_rows),
    )  # fmt: skip
    for name, metric, test in tests:
        began = time.process_time()
        try:
            rows += test(maker, model, setup, people)
        except MienError as error:
            rows.append(maker.absent(metric, error.cause))
        spent[f"{name}_seconds"] = round(time.process_time() - began, 1)
    return SystemResult(maker.system, rows, people=people, facts=system_facts(model) | {"cost": spent})


def units(values: NDArray) -> dict[str, float]:
    """Means of up to ``UNITS`` consecutive parts: what claims treat as persons."""
    parts = np.array_split(np.asarray(values, np.float64), min(UNITS, len(values)))
    return {f"draw-{number:03}": float(part.mean()) for number, part in enumerate(parts)}


def _diversity(maker: Maker, model: FaceModel, setup: JudgingSetup, people: dict[str, Any]) -> Iterator[Row]:
    """Diversity and specificity from one stream of faces, of which only parts are in memory."""
    settings, found = setup.settings, list[NDArray]()
    drawn = RandomFaces(model, seed=settings.seed, batch=settings.batch)
    count = max(settings.pairs, settings.samples)
    kept: tuple[Meshes, NDArray] = np.empty((0, model.topology.vertex_count, 3), np.float32), np.empty(0)

    def stream() -> Iterator[dict[str, Meshes]]:
        nonlocal kept
        parts = track(drawn.relatives(count), "drawing faces", total=-(-count // settings.batch))
        for part in parts:
            samples = part["random"][: settings.samples - sum(map(len, found))]
            if len(samples):
                found.append(setup.index.nearest(samples).distance)
                every = zip(kept, (samples, found[-1]), strict=True)
                kept = extremes(*(np.concatenate(both) for both in every))
            yield part

    for name, values in diversity_of(stream()).items():
        people[name] = units(values)
        yield maker.over_people(name, values[: settings.pairs])
    distance = np.concatenate(found)
    setup.samples[maker.system] = kept
    people["specificity"] = units(distance)
    yield maker.over_people("specificity", distance)


def _decoupling(maker: Maker, model: FaceModel, setup: JudgingSetup, people: dict[str, Any]) -> Iterator[Row]:
    """Percent of the faces sharing a code that the judges take for the same, and of those sharing nothing."""
    s = setup.settings
    for factor in RandomFaces(model, seed=s.seed + 1).factors():
        none = f"the data set has no labels of {factor}"
        judges = {kind: setup.judges.get((factor, kind), none) for kind in s.judges}
        usable = {kind: judge for kind, judge in judges.items() if isinstance(judge, SimilarityNetwork)}
        found: dict[str, list[NDArray]] = {kind: [] for kind in usable}
        drawn = RandomFaces(model, seed=s.seed + 1, batch=s.batch)
        families = drawn.families(factor, s.faces, s.resamples) if usable else iter(())
        for family in track(families, f"faces with the same {factor}", total=s.faces):
            for kind, judge in usable.items():
                found[kind].append(judge.embed(family))
        for kind, found_judge in judges.items():
            metric = f"dec_{short(factor)}" + ("_lite" if kind == "lite" else "")
            if isinstance(found_judge, str):
                yield maker.absent(metric, found_judge, unit="%")
                continue
            codes = np.stack(found[kind])
            for ending, values in shares(codes, found_judge.calibration.threshold).items():
                people[metric + ending] = units(values)
                yield maker.over_people(metric + ending, values, unit="%")


def shares(codes: NDArray, threshold: float) -> dict[str, NDArray[np.float64]]:
    """What a judge says of families, and of their first faces, which share nothing.

    Args:
        codes: (n, 1 + m, D) embeddings: each family's first face, then those that share its code.
        threshold: Faces nearer than this count as the same.

    Returns:
        By the ending of the metric's name, (n,) percentages: those that count as the same as the first face;
        of the other families' first faces; the former minus the latter; and the former at the threshold at
        which ``OWN_FAR`` of the pairs of first faces count as the same.
    """
    near, random = distance(codes[:, :1], codes[:, 1:]), distance(codes[:, None, 0], codes[None, :, 0])
    same = 100.0 * (near < threshold).mean(axis=1)
    chance = 100.0 * ((random < threshold).sum(axis=1) - 1) / max(len(codes) - 1, 1)
    pairs = random[np.triu_indices(len(codes), 1)]
    own = float(np.quantile(pairs, OWN_FAR)) if len(pairs) else 0.0
    return {
        "": same, "_random": chance, "_lift": same - chance, "_own": 100.0 * (near < own).mean(axis=1),
    }  # fmt: skip


def _landmarks(maker: Maker, model: FaceModel, setup: JudgingSetup, people: dict[str, Any]) -> Iterator[Row]:
    """Table 2 of the paper."""
    s, judged = setup.settings, setup.judged
    rows = landmarks.targets(judged, s.sparse_scans)
    for weight in landmarks.WEIGHTS:
        fit = landmarks.sparse_fit(model, judged, rows, weight, steps=s.sparse_steps, seed=s.seed)
        metric = f"sparse_rmse_{weight:g}"
        people[metric] = {f"scan-{row:05}": float(value) for row, value in zip(rows, fit.rmse)}
        yield maker.over_meshes(metric, fit.rmse, judged.person[rows])
        yield maker.over_meshes(f"sparse_residual_{weight:g}", fit.residual, judged.person[rows])
    first, *_, last = (people[f"sparse_rmse_{weight:g}"] for weight in landmarks.WEIGHTS)
    people["sparse_gain"] = {scan: first[scan] / last[scan] for scan in first}
    gain = np.array(list(people["sparse_gain"].values()))
    yield maker.over_meshes("sparse_gain", gain, judged.person[rows], unit="")
