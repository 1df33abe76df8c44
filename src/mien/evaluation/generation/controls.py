"""What real faces score on the generation metrics: the values a generator is compared with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mien.data.dataset import FaceDataset
from mien.errors import MienError
from mien.evaluation.distances import Meshes
from mien.evaluation.generation import landmarks, metrics
from mien.evaluation.generation.classifier import Classifier
from mien.evaluation.generation.decoupling import decoupling_name
from mien.evaluation.generation.diversity import diversity_by_labels, nearest_distances
from mien.evaluation.generation.draws import by_part
from mien.evaluation.generation.intensity import measure_real_intensity
from mien.evaluation.generation.setup import GenerationSetup
from mien.evaluation.generation.similarity import label_numbers
from mien.evaluation.rows import Row, RowMaker
from mien.evaluation.scans import TestScans
from mien.evaluation.systems import SystemResult

MOST_HELD_OUT = 400
"""Faces of held-out people whose nearest training faces are looked for."""


def measure_real_faces(setup: GenerationSetup) -> SystemResult:
    """Training data, held-out people, the mean face, and the similarity networks themselves."""
    found = SystemResult("training data", [])
    settings, train = setup.settings, setup.scans.train
    maker = RowMaker("training data", "control", settings.seed)
    labels = {factor: label_numbers(train, factor) for factor in setup.factors}
    pairs = diversity_by_labels(train, labels, pairs=settings.pairs, seed=settings.seed)
    for name, values in pairs.items():
        found.people[name] = by_part(values) if len(values) else {}
        found.rows.append(maker.over_people(name, values, reason="no two training faces share a label"))
    found.rows += [*_held_out(setup), *_mean_face(setup), *_networks(setup)]
    return found


def _held_out(setup: GenerationSetup) -> Iterator[Row]:
    """Real faces of unseen people in place of samples; a perfect model is as near to the training faces."""
    scans, classifier = setup.scans, setup.classifier
    count = min(setup.settings.samples, len(scans.data), MOST_HELD_OUT)
    rows = np.unique(np.linspace(0, len(scans.data) - 1, count).round().astype(int))
    maker = RowMaker("held-out people", "control", setup.settings.seed)
    yield maker.over_people("specificity", nearest_distances(setup, scans.data[rows]))
    if isinstance(classifier, Classifier):
        shown = np.flatnonzero(scans.performed)
        parts = [classifier.named(scans.data[shown[k : k + 64]]) for k in range(0, len(shown), 64)]
        named = np.concatenate([np.zeros(0, int), *parts])
        right = metrics.named_as_asked(named[:, None], scans.label[shown][:, None])
        yield maker.over_scans("cls_exp_held", right, scans.person[shown])
        yield from _scaled(maker, scans, classifier)


def _scaled(maker: RowMaker, scans: TestScans, classifier: Classifier) -> Iterator[Row]:
    """What the classifier says to real expressions that are scaled: the limit of its probability."""
    values = measure_real_intensity(scans, classifier)
    known = np.isfinite(values)
    if not known.any():
        yield maker.absent("intensity_rho_prob", "nobody has a neutral and expressions")
        return
    shown, someone = known.any(axis=0), known.any(axis=1)
    yield maker.over_people("intensity_rho_prob", np.nanmean(values[someone], axis=1))
    means = np.full(known.shape[1], np.inf)
    means[shown] = np.nanmean(values[:, shown], axis=0)
    worst, names = int(means.argmin()), scans.data.expressions
    yield maker.number("intensity_rho_prob_worst", means[worst], reason=names[worst])
    for label in np.flatnonzero(shown):
        yield maker.number(f"intensity_rho_prob/{names[label]}", float(means[label]))


def _mean_face(setup: GenerationSetup) -> Iterator[Row]:
    """The mean training face in place of every fitted one."""
    scans = setup.scans
    try:
        rows = landmarks.fitted_scans(scans, setup.settings.sparse_scans)
    except MienError:
        return
    truth, person = scans.data[rows], scans.person[rows]
    mean = np.broadcast_to(_mean_of(scans.train), truth.shape)
    fit = landmarks.against(mean, truth, scans)
    maker = RowMaker("mean face", "control", setup.settings.seed)
    for weight in landmarks.WEIGHTS:
        yield maker.over_scans(f"sparse_rmse_{weight:g}", fit.rmse, person)
    yield maker.over_scans("sparse_residual_0", fit.residual, person)


def _mean_of(data: FaceDataset) -> Meshes:
    """(V, 3) float32, millimeters: the mean of all faces, of which a few are in memory."""
    total = np.zeros((data.topology.vertex_count, 3))
    for start in range(0, len(data), 256):
        total += data[start : start + 256].sum(axis=0, dtype=np.float64)
    return (total / len(data)).astype(np.float32)


def _networks(setup: GenerationSetup) -> Iterator[Row]:
    """Ceiling and floor in the table of the models, and what each threshold does."""
    for (factor, kind), network in setup.networks.items():
        if isinstance(network, str):
            continue
        found, form = network.threshold, f"ResNet-18, {network.training.size} px"
        maker = RowMaker(f"{factor}, {form if kind == 'pictures' else 'lite'}", "control")
        metric = decoupling_name(factor, kind)
        yield RowMaker("real pairs, same label", "control").number(metric, 100 * found.ceiling)
        yield RowMaker("real pairs, random", "control").number(metric, 100 * found.floor)
        yield maker.number("judge_tau", found.distance)
        for name in ("accuracy", "far", "ceiling", "floor"):
            yield maker.number(f"judge_{name}", 100 * getattr(found, name))
        yield maker.number("judge_pairs", found.pairs, count=found.faces)
