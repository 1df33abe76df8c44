"""What needs no model: the numbers that a model has to be compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.displacement import mean_displacements
from mien.errors import BadSetting, MissingNeutral
from mien.evaluation.faces import metrics
from mien.evaluation.faces.denoising import denoiser
from mien.evaluation.faces.measured import Measured, contact
from mien.evaluation.faces.rows import rows_of
from mien.evaluation.faces.sweep import leaked
from mien.evaluation.metrics import TRUTH
from mien.evaluation.rows import Row, RowMaker
from mien.evaluation.scans import TestScans, TransferDraws
from mien.nn.principal import PrincipalAxes, principal_axes

BLOCK = 256
TRAINING_LIMIT = 4000  # scans that the PCA control learns from: more change its error by less than a percent
RAW_LIMIT = 2000  # scans that labels are read from: whole meshes in one array


def control_rows(scans: TestScans, sizes: Sequence[int], draws: TransferDraws | None) -> Iterator[Row]:
    """All rows of the data's own controls.

    Args:
        scans: The test scans.
        sizes: Total code sizes of the models, for PCA of the same size.
        draws: The transfer test, if there is one.
    """
    axes = _principal(scans.train, max(sizes, default=0))
    found = {"mean face": _projected(scans, axes, 0)}
    for size in sorted(set(sizes)):
        label = f"PCA, {size}" if size <= len(axes.axes) else f"PCA, {len(axes.axes)} (all there are)"
        found[label] = _projected(scans, axes, size)
    found |= {
        "true neutrals": _true_neutrals(scans),
        "input as prediction": _input_as_prediction(scans),
        "mean neutral": _mean_neutral(scans),
        "another person's neutral": _other_neutral(scans),
    }
    if draws is not None:
        found |= _transfers_without_a_source(scans, draws)
    found |= {"raw scans": _raw_scans(scans), "chance": _chance(scans)}
    for label, measured in found.items():
        yield from rows_of(RowMaker(label, "control", scans.seed), measured, draws)


def _principal(train: FaceDataset, size: int) -> PrincipalAxes:
    rows = np.arange(len(train))
    if len(rows) > TRAINING_LIMIT:
        rows = rows[np.linspace(0, len(rows) - 1, TRAINING_LIMIT).astype(int)]
    return principal_axes(train.__getitem__, rows, max(size, 1), label="PCA of the same size")


def _projected(scans: TestScans, axes: PrincipalAxes, size: int) -> Measured:
    """The mean face (size 0), or the projection on the first axes."""
    found, kept = Measured(scans), axes.axes[:size]
    for start in range(0, len(scans.data), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(scans.data)))
        shown = scans.data[rows]
        offset = shown.reshape(len(rows), -1) - axes.mean
        predicted = (axes.mean + (offset @ kept.T) @ kept).reshape(shown.shape)
        found.put_reconstruction(rows, predicted)
    return found


def _true_neutrals(scans: TestScans) -> Measured:
    """How far apart the people are."""
    found, known = Measured(scans), scans.neutrals[scans.people_with_neutral]
    if len(known) > 1:
        found.numbers["id_between_avd"] = metrics.id_between_avd(known), len(known)
    return found


def _input_as_prediction(scans: TestScans) -> Measured:
    """Raw scans in place of predicted neutrals: what not neutralizing at all costs."""
    found, known = Measured(scans), scans.people_with_neutral
    for number, rows in scans.by_person():
        meshes = scans.data[rows]
        found.put_neutrals(number, rows, meshes)
        found.put_mean(number, meshes)
        if len(rows) > 1:
            found.put_person(number, metrics.consistency(meshes))
        probe = scans.label[rows] != -1
        if probe.any() and len(known) > 1 and number in known:
            who = np.full(int(probe.sum()), number)
            right = metrics.rank1_mesh(scans.neutrals[known], known, meshes[probe], who)
            found.put_scans(rows[probe], {"rank1_mesh": right})
    found.compare_people()
    return found


def _mean_neutral(scans: TestScans) -> Measured:
    """The training people's mean neutral for everybody: consistent, and about nobody."""
    found, train = Measured(scans), scans.train
    first = np.unique(train.row_subject, return_index=True)[1]
    first = first[train.has_neutral[first]]
    if not len(first):
        return found
    mean = sum(train.neutral_of([row])[0].astype(np.float64) for row in first) / len(first)
    for number, rows in scans.by_person():
        _put_constant(found, number, rows, np.asarray(mean))
    return found


def _other_neutral(scans: TestScans) -> Measured:
    """Another test person's true neutral: what mistaking the person costs."""
    found, other = Measured(scans), scans.other_people(47)
    for number, rows in scans.by_person():
        if other[number] >= 0:
            _put_constant(found, number, rows, scans.neutrals[other[number]])
    return found


def _put_constant(found: Measured, number: int, rows: NDArray, neutral: NDArray) -> None:
    """The same predicted neutral (V, 3) float, millimeters, for all scans of a person."""
    test = found.test
    for end, true in {"": test.neutrals, **({TRUTH: test.rests} if test.truth else {})}.items():
        error = metrics.neu_avd(true[number], neutral[None])
        found.put_scans(rows, {f"neu_avd{end}": error.repeat(len(rows))})


def _transfers_without_a_source(scans: TestScans, draws: TransferDraws) -> dict[str, Measured]:
    """On the true neutral: no expression at all, and the mean one of the label, which no transfer is told;
    the latter on the neutral as it is expected to be without capture noise, too."""
    receivers = scans.neutrals[scans.person[draws.target]]
    found = {"the neutral itself": _transferred(scans, draws, receivers)}
    try:
        means = mean_displacements(scans.train)
    except MissingNeutral:
        return found
    shown = means[scans.label[draws.target]]
    found["class mean, label given"] = _transferred(scans, draws, receivers + shown)
    denoised = denoiser(scans.train, means)
    if denoised is not None:
        clean = denoised(scans.neutrals)[scans.person[draws.target]]
        found["denoised neutral + class mean"] = _transferred(scans, draws, clean + shown)
    return found


def _transferred(scans: TestScans, draws: TransferDraws, predicted: NDArray) -> Measured:
    """Errors of the predictions (m, V, 3) of all draws."""
    errors: dict[str, NDArray] = {}
    for end, true in scans.compared(draws.target).items():
        errors[f"transfer_avd{end}"] = metrics.transfer_avd(true, predicted)
        gaps = contact(true, predicted, scans.data.topology, "transfer")
        errors |= {f"{metric}{end}": error for metric, error in gaps.items()}
    return Measured(scans, draws=errors)


def _raw_scans(scans: TestScans) -> Measured:
    """Labels read from the scans themselves, which hold both, in place of either code."""
    found, count = Measured(scans), min(len(scans.data), RAW_LIMIT)
    rows = np.linspace(0, len(scans.data) - 1, count).round().astype(int)
    flat = np.full((len(scans.data), scans.data.topology.vertex_count * 3), np.nan, np.float32)
    flat[rows] = scans.data[rows].reshape(count, -1)
    for label in ("person", "expression"):
        names = [f"leakage_{label}_from_{factor}" for factor in ("identity", "expression")]
        try:
            known, values = leaked(scans, names[0], flat, label)
            found.put_scans(known, dict.fromkeys(names, values[names[0]]))
        except BadSetting as error:
            found.refuse(names, error.cause)
    return found


def _chance(scans: TestScans) -> Measured:
    """What a blind guess scores."""
    found = Measured(scans)
    for label, target in (("person", scans.person), ("expression", scans.label[scans.label != -2])):
        for factor in ("identity", "expression"):
            metric = f"leakage_{label}_from_{factor}"
            found.numbers[metric] = metrics.leakage_chance(target), 1
            found.refuse((metric,), "no expression labels")
    gallery = len(np.unique(scans.person[scans.label == -1]))
    for metric in ("rank1_mesh", "rank1_code"):
        found.numbers[metric] = metrics.rank1_chance(gallery), 1
        found.refuse((metric,), "nobody has a neutral")
    return found
