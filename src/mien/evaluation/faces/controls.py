"""What needs no model: the numbers that a model has to be compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.displacement import mean_displacements
from mien.errors import MissingNeutral
from mien.evaluation import metrics
from mien.evaluation.metrics import Meshes, avd, detail_distances, distances, rigidly_aligned
from mien.evaluation.probes import rank1_mesh
from mien.evaluation.rows import Maker, Row
from mien.evaluation.subjects import TestScans, TransferDraws
from mien.nn.principal import PrincipalAxes, principal_axes

BLOCK = 256
TRAINING_LIMIT = 4000  # scans that the PCA control learns from: more change its error by less than a percent


def control_rows(judged: TestScans, sizes: Sequence[int], draws: TransferDraws | None) -> Iterator[Row]:
    """All rows of the data's own controls.

    Args:
        judged: The test scans.
        sizes: Total code sizes of the models, for PCA of the same size.
        draws: The transfer test, if there is one.
    """
    axes = _principal(judged.train, max(sizes, default=0))
    yield from _reconstruction(judged, Maker("mean face", "control", judged.seed), axes, 0)
    for size in sorted(set(sizes)):
        label = f"PCA, {size}" if size <= len(axes.axes) else f"PCA, {len(axes.axes)} (all there are)"
        yield from _reconstruction(judged, Maker(label, "control", judged.seed), axes, size)
    yield from _true_neutrals(judged)
    yield from _input_as_prediction(judged)
    yield from _constant_neutral(judged)
    yield from _other_neutral(judged)
    if draws is not None:
        yield from _transfers_without_a_source(judged, draws)


def region_rows(maker: Maker, judged: TestScans, rec: Meshes) -> Iterator[Row]:
    """``rec_avd_mesh`` on the expression regions that the topology names; ``rec`` is (n, V)."""
    for region in ("mouth", "eyes", "brows"):
        if region in judged.data.topology.regions:
            mask = judged.data.topology.regions[region]
            values = rec[:, mask].mean(axis=1, dtype=np.float64)
            yield maker.over_meshes(f"rec_avd_{region}", values, judged.person)


def transfer_rows(
    maker: Maker, judged: TestScans, draws: TransferDraws, errors: NDArray, *, metric: str = "transfer_avd"
) -> Iterator[Row]:
    """The mean over all draws, and one row an expression."""
    person, label = judged.person[draws.target], judged.label[draws.target]
    yield maker.over_meshes(metric, errors, person)
    if metric == "transfer_avd":
        for index in np.unique(label):
            name = f"transfer_avd/{judged.data.expressions[index]}"
            yield maker.over_meshes(name, errors[label == index], person[label == index])


def _principal(train: FaceDataset, size: int) -> PrincipalAxes:
    rows = np.arange(len(train))
    if len(rows) > TRAINING_LIMIT:
        rows = rows[np.linspace(0, len(rows) - 1, TRAINING_LIMIT).astype(int)]
    return principal_axes(train.__getitem__, rows, max(size, 1), label="PCA of the same size")


def _reconstruction(judged: TestScans, maker: Maker, axes: PrincipalAxes, size: int) -> Iterator[Row]:
    """The mean face (size 0), or the projection on the first axes."""
    kept, faces = axes.axes[:size], judged.data.topology.faces
    rec = np.empty((len(judged.data), judged.data.topology.vertex_count), np.float32)
    detail = np.empty(len(rec))
    for start in range(0, len(rec), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(rec)))
        truth = judged.data[rows].reshape(len(rows), -1) - axes.mean
        left = (truth - (truth @ kept.T) @ kept).reshape(len(rows), -1, 3)
        rec[rows] = np.linalg.norm(left, axis=-1)
        detail[rows] = detail_distances(left, faces).mean(axis=-1)
    yield from reconstruction_rows(maker, judged, rec, detail)


def reconstruction_rows(maker: Maker, judged: TestScans, rec: Meshes, detail: NDArray) -> Iterator[Row]:
    """Rows of reconstruction distances (n, V) and lost detail (n,)."""
    yield maker.over_meshes("rec_avd_mesh", rec.mean(axis=1, dtype=np.float64), judged.person)
    yield maker.pooled("rec_avd_pooled", rec)
    yield maker.over_meshes("rec_detail", detail, judged.person)
    yield from region_rows(maker, judged, rec)


def _transfers_without_a_source(judged: TestScans, draws: TransferDraws) -> Iterator[Row]:
    """On the true neutral: no expression at all, and the mean one of the label, which no transfer is told."""
    receivers = judged.neutrals[judged.person[draws.target]]
    truth = judged.data[draws.target]
    maker = Maker("the neutral itself", "control", judged.seed)
    yield from transfer_rows(maker, judged, draws, avd(receivers, truth))
    try:
        means = mean_displacements(judged.train)
    except MissingNeutral:
        return
    maker = Maker("class mean, label given", "control", judged.seed)
    predicted = receivers + means[judged.label[draws.target]]
    yield from transfer_rows(maker, judged, draws, avd(predicted, truth))


def _true_neutrals(judged: TestScans) -> Iterator[Row]:
    known = np.isfinite(judged.neutrals[:, 0, 0])
    if known.sum() > 1:
        between = metrics.id_between_avd(judged.neutrals[known])
        yield Maker("true neutrals", "control").number("id_between_avd", between, count=int(known.sum()))


def _input_as_prediction(judged: TestScans) -> Iterator[Row]:
    """Raw scans in place of predicted neutrals: what not neutralizing at all costs."""
    maker = Maker("input as prediction", "control", judged.seed)
    count, people = len(judged.data), len(judged.people)
    error, aligned = np.full(count, np.nan), np.full(count, np.nan)
    consistency = {name: np.full(people, np.nan) for name in metrics.CONSISTENCY}
    means = np.empty_like(judged.neutrals)
    gallery = judged.neutrals
    known = np.flatnonzero(np.isfinite(gallery[:, 0, 0]))
    recognized = np.full(count, np.nan)
    for number, rows in judged.by_person():
        scans = judged.data[rows]
        means[number] = scans.mean(axis=0, dtype=np.float64)
        error[rows] = avd(gallery[number], scans)
        if number in known:
            aligned[rows] = avd(gallery[number], rigidly_aligned(scans, gallery[number]))
        if len(rows) > 1:
            for name, measure in metrics.CONSISTENCY.items():
                consistency[name][number] = measure(scans)
        probe = judged.label[rows] != -1
        if probe.any() and len(known) > 1 and number in known:
            owner = np.full(int(probe.sum()), number)
            recognized[rows[probe]] = rank1_mesh(gallery[known], known, scans[probe], owner)
    yield maker.over_meshes("neu_avd", error, judged.person)
    yield maker.over_meshes("neu_avd_aligned", aligned, judged.person)
    yield from consistency_rows(maker, consistency, means)
    yield maker.over_meshes("rank1_mesh", 100 * recognized, judged.person, unit="%")


def consistency_rows(
    maker: Maker, consistency: dict[str, NDArray], means: Meshes, *, prefix: str = ""
) -> Iterator[Row]:
    """All variants, the distance between people, and their ratio."""
    for name, values in consistency.items():
        yield maker.over_people(
            prefix + name, values, reason="" if np.isfinite(values).any() else "single scans"
        )
    if prefix:
        return
    between = metrics.id_between_avd(means)
    yield maker.number("id_between_avd", between, count=len(means))
    known = consistency["id_mad"][np.isfinite(consistency["id_mad"])]
    ratio = metrics.id_ratio(float(known.mean()), between) if len(known) else float("nan")
    yield maker.number("id_ratio", ratio, unit="", reason="" if np.isfinite(ratio) else "people coincide")


def _constant_neutral(judged: TestScans) -> Iterator[Row]:
    """The training people's mean neutral for everybody: consistent, and about nobody."""
    train = judged.train
    first = np.unique(train.row_subject, return_index=True)[1]
    first = first[train.has_neutral[first]]
    if not len(first):
        return
    mean = sum(train.neutral_of([row])[0].astype(np.float64) for row in first) / len(first)
    error = avd(judged.neutrals[judged.person], mean) if len(judged.data) < BLOCK else np.array(
        [avd(judged.neutrals[number], mean) for number in judged.person]
    )  # fmt: skip
    maker = Maker("mean neutral", "control", judged.seed)
    yield maker.over_meshes("neu_avd", error, judged.person)


def _other_neutral(judged: TestScans) -> Iterator[Row]:
    """Another test person's true neutral: what mistaking the person costs."""
    other = judged.other_people(47)
    error = np.full(len(judged.people), np.nan)
    for number, wrong in enumerate(other):
        if wrong >= 0:
            error[number] = distances(judged.neutrals[number], judged.neutrals[wrong]).mean()
    maker = Maker("another person's neutral", "control", judged.seed)
    yield maker.over_meshes("neu_avd", error[judged.person], judged.person)
