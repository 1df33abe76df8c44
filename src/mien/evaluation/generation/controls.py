"""What real faces score on the generation metrics: the values a generator is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mien.data.dataset import FaceDataset
from mien.errors import MienError
from mien.evaluation.generation import landmarks
from mien.evaluation.generation.classifier import Classifier
from mien.evaluation.generation.diversity import diversity_by_labels
from mien.evaluation.generation.draws import SHORT, short
from mien.evaluation.generation.intensity import measure_real_intensity
from mien.evaluation.generation.rows import JudgingSetup, units
from mien.evaluation.generation.similarity import SimilarityNetwork, label_numbers, similarity_network
from mien.evaluation.generation.specificity import PatchSums
from mien.evaluation.rows import Maker, Row
from mien.evaluation.subjects import TestScans

if TYPE_CHECKING:
    from mien.evaluation.generation.protocol import GenerationSettings


def judging_setup(data: FaceDataset, judged: TestScans, settings: GenerationSettings) -> JudgingSetup:
    """Judges (from the cache, or trained), the classifier, and the index of training faces."""
    train = judged.train
    assert data.rows is not None and train.rows is not None
    held = data.take(np.flatnonzero(~np.isin(data.rows, train.rows)))
    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    division = f"{data.fingerprint}-{judged.protocol}-{judged.seed}-{judged.part == 'all'}"
    judges: dict[tuple[str, str], SimilarityNetwork | str] = {}
    for kind in settings.judges:
        for factor in (*SHORT, *data.factors):
            try:
                training = settings.training(kind)
                judges[factor, kind] = similarity_network(
                    train, held, factor, training, division=division, device=device
                )
            except MienError as error:
                judges[factor, kind] = error.cause
    try:
        classifier: Classifier | str = Classifier.fit(train, label_numbers(train, "expression"))
    except MienError as error:
        classifier = error.cause
    return JudgingSetup(data, judged, settings, judges, classifier, PatchSums(train, data.topology.template))


def real_rows(setup: JudgingSetup, people: dict[str, Any]) -> Iterator[Row]:
    """Training data, held-out people, the mean face, and the judges themselves.

    Args:
        setup: What models are judged with.
        people: Filled with the numbers of the training data that claims resample.
    """
    settings, judged = setup.settings, setup.judged
    maker = Maker("training data", "control", settings.seed)
    labels = {factor: label_numbers(judged.train, factor) for factor in (*SHORT, *setup.data.factors)}
    found = diversity_by_labels(judged.train, labels, pairs=settings.pairs, seed=settings.seed)
    for name, values in found.items():
        people[name] = units(values) if len(values) else {}
        yield maker.over_people(name, values, reason="no two training faces share a label")
    yield from _held_out(setup)
    yield from _mean_face(setup)
    yield from _judges(setup)


def _held_out(setup: JudgingSetup) -> Iterator[Row]:
    """Real faces of unseen people in place of samples; a perfect model is as near to the training faces."""
    judged = setup.judged
    rows = np.linspace(0, len(judged.data) - 1, min(setup.settings.samples, len(judged.data), 400))
    nearest = setup.index.nearest(judged.data[np.unique(rows.round().astype(int))])
    maker = Maker("held-out people", "control", setup.settings.seed)
    yield maker.over_people("specificity", nearest.distance)
    if isinstance(setup.classifier, Classifier):
        asked = np.flatnonzero(judged.performed)
        parts = [setup.classifier.named(judged.data[asked[k : k + 64]]) for k in range(0, len(asked), 64)]
        right = np.concatenate([np.zeros(0, int), *parts]) == judged.label[asked]
        yield maker.over_meshes("cls_exp_held", 100.0 * right, judged.person[asked], unit="%")
        yield from _scaled(maker, judged, setup.classifier)


def _scaled(maker: Maker, judged: TestScans, classifier: Classifier) -> Iterator[Row]:
    """What the classifier says to real expressions that are scaled: the limit of its probability."""
    values = measure_real_intensity(judged, classifier)
    known = np.isfinite(values)
    if not known.any():
        yield maker.absent("intensity_rho_prob", "nobody has a neutral and expressions", unit="")
        return
    shown, someone = known.any(axis=0), known.any(axis=1)
    yield maker.over_people("intensity_rho_prob", np.nanmean(values[someone], axis=1), unit="")
    means = np.full(known.shape[1], np.inf)
    means[shown] = np.nanmean(values[:, shown], axis=0)
    worst, names = int(means.argmin()), judged.data.expressions
    yield maker.number("intensity_rho_prob_worst", means[worst], unit="", reason=names[worst])
    for label in np.flatnonzero(shown):
        yield maker.number(f"intensity_rho_prob/{names[label]}", float(means[label]), unit="")


def _mean_face(setup: JudgingSetup) -> Iterator[Row]:
    """The mean training face in place of every fitted one."""
    try:
        rows = landmarks.targets(setup.judged, setup.settings.sparse_scans)
    except MienError:
        return
    train = setup.judged.train
    total = np.zeros((train.topology.vertex_count, 3))
    for start in range(0, len(train), 256):
        part = train[start : start + 256]
        total = total + part.sum(axis=0, dtype=np.float64)
    truth = setup.judged.data[rows]
    mean = np.broadcast_to((total / len(train)).astype(np.float32), truth.shape)
    fit = landmarks.against(mean, truth, setup.judged)
    maker = Maker("mean face", "control", setup.settings.seed)
    for weight in landmarks.WEIGHTS:
        yield maker.over_meshes(f"sparse_rmse_{weight:g}", fit.rmse, setup.judged.person[rows])
    yield maker.over_meshes("sparse_residual_0", fit.residual, setup.judged.person[rows])


def _judges(setup: JudgingSetup) -> Iterator[Row]:
    """Ceiling and floor in the table of the models, and what each threshold does."""
    for (factor, kind), judge in setup.judges.items():
        if isinstance(judge, str):
            continue
        metric = f"dec_{short(factor)}" + ("_lite" if kind == "lite" else "")
        found, network = judge.calibration, f"ResNet-18, {judge.training.size} px"
        maker = Maker(f"{factor}, {network if kind == 'pictures' else 'lite'}", "control")
        yield Maker("real pairs, same label", "control").number(metric, 100 * found.ceiling, unit="%")
        yield Maker("real pairs, random", "control").number(metric, 100 * found.floor, unit="%")
        yield maker.number("judge_tau", found.threshold, unit="")
        for name in ("accuracy", "far", "ceiling", "floor"):
            yield maker.number(f"judge_{name}", 100 * getattr(found, name), unit="%")
        yield maker.number("judge_pairs", found.pairs, unit="", count=found.faces)
