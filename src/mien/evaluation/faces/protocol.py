"""``evaluate``: every metric for every model on the same scans, with the controls beside."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mien.data.dataset import FaceDataset
from mien.errors import BadSetting, MienError, Unsupported
from mien.evaluation.faces.controls import control_rows
from mien.evaluation.faces.predicted import measure_predictions
from mien.evaluation.faces.rows import rows_of, values_of_people, values_of_scans
from mien.evaluation.faces.runner import Runner
from mien.evaluation.faces.sweep import measure
from mien.evaluation.predictions import Predictions, read_predictions
from mien.evaluation.reading.faces import FaceReading
from mien.evaluation.reading.shapes import Reader
from mien.evaluation.report import Report
from mien.evaluation.rows import RowMaker
from mien.evaluation.scans import TestScans, TransferDraws
from mien.evaluation.systems import Models, SystemResult, code_size, labeled, system_facts
from mien.machine import machine, machine_since
from mien.models import MODELS, model_class
from mien.models.base import FaceModel
from mien.progress import track

CONTROLS = ("mean_expression", "displacement_transfer", "deformation_transfer", "nearest_identity")
"""Methods without training that are evaluated beside the models unless they are among them."""


def evaluate(
    models: Models, data: FaceDataset, *, part: str = "test", protocol: str = "subject", seed: int = 0,
    styles: int = 2, limit: int | None = 4000, batch: int = 32, controls: Sequence[str] = CONTROLS,
    published: Mapping[str, Mapping[str, Any]] | None = None, speed: bool = True, truth: bool | None = None,
    predictions: Mapping[str, Path | str] | None = None, judge: Reader | None = None,
) -> Report:  # fmt: skip
    """Measures what models make of the faces of one part of a data set.

    Args:
        models: Label -> model; a plain list is labeled by the methods' names.
        data: The whole data set; controls learn from its training part only.
        part: Which part is tested.
        protocol: How the set is divided.
        seed: Of the division, of all draws and of the bootstrap.
        styles: How many other people's performances are transferred to each expressive scan.
        limit: Most scans to test and most transfers to draw, taken evenly; None for all.
        batch: Meshes at once.
        controls: Methods without training to add; see ``CONTROLS``.
        published: System -> metric -> printed value, shown apart and never ranked with ours.
        speed: Measure milliseconds; switch off for reports that must be equal byte by byte.
        predictions: Label -> file of what another program predicted, see
            :func:`mien.evaluation.predictions.read_predictions`.
        truth: Compare with the faces without capture noise, too (``rec_avd_mesh_truth``, ...); None: where
            the set keeps them.
        judge: Reads expressions off pictures of some transferred faces, too (``read_share``, ...), such as
            :class:`mien.find.reader.FaceReader`.

    Returns:
        A report; a metric whose preconditions fail is a dash with the reason.

    Raises:
        DataMissing: Truth is asked for and the set keeps none.
        BadSetting: A judge is given and there is no transfer test.
        BadMesh: The judge sees no face on most of the scans.
    """
    began, named = time.monotonic(), labeled(models)
    for label, model in named.items():
        model.check_calibrated(label)
    scans = TestScans.of(data, part=part, protocol=protocol, seed=seed, limit=limit, truth=truth)
    draws = _drawn(scans, styles, limit)
    reading = None if judge is None else _read(scans, draws, judge)
    given = _given(predictions or {}, {*named, *controls}, scans, draws, reading)
    tasks = given + _tasks(named, scans, draws, reading, controls=controls, batch=batch, speed=speed)
    found = [task() for task in track(tasks, "evaluating models")]
    conditions = scans.conditions() | {
        "kind": "faces",
        "transfer_draws": len(draws.target) if isinstance(draws, TransferDraws) else 0,
        "styles_per_scan": styles,
        "interval": "95 %, bootstrap over persons, 2000 resamples",
    }
    return Report(
        tuple(row for result in found for row in result.rows),
        conditions | (machine_since(began) if speed else machine()),
        {result.system: result.facts for result in found if result.facts},
        dict(published or {}),
        {result.system: result.scans for result in found if result.scans},
        scans.listed(),
        {result.system: result.people for result in found if result.people},
    )


def _drawn(scans: TestScans, styles: int, limit: int | None) -> TransferDraws | str:
    """The transfer test, or the sentence why there is none."""
    try:
        return TransferDraws.of(scans, styles=styles, limit=limit)
    except Unsupported as error:
        return error.cause


def _read(scans: TestScans, draws: TransferDraws | str, judge: Reader) -> FaceReading:
    """What a judge looks at."""
    if isinstance(draws, str):
        raise BadSetting("outside judges look at transferred expressions", received=draws,
                         remedy="leave out --judges")  # fmt: skip
    return FaceReading.of(scans, draws, judge)


def _given(
    files: Mapping[str, Path | str], taken: set[str], scans: TestScans, draws: TransferDraws | str,
    reading: FaceReading | None,
) -> list[Callable[[], SystemResult]]:  # fmt: skip
    """Predictions of other programs; all files are read and checked before anything is measured."""
    for label in files:
        if label in taken:
            raise BadSetting(
                "the predictions are called like another system of the report", received=label,
                remedy="give them another name",
            )  # fmt: skip
    read = {label: read_predictions(path, scans, draws) for label, path in files.items()}
    return [partial(_of_predictions, label, scans, draws, reading, found) for label, found in read.items()]


def _of_predictions(
    label: str, scans: TestScans, draws: TransferDraws | str, reading: FaceReading | None,
    predictions: Predictions,
) -> SystemResult:  # fmt: skip
    """All that is measured of what another program predicted."""
    found = measure_predictions(scans, draws, predictions)
    if reading is not None:
        reading.measure_predictions(predictions, found)
    drawn = draws if isinstance(draws, TransferDraws) else None
    return SystemResult(
        label, list(rows_of(RowMaker(label, "model", scans.seed), found, drawn)), values_of_scans(found),
        values_of_people(found, drawn), predictions.facts,
    )  # fmt: skip


def _tasks(
    models: Mapping[str, FaceModel], scans: TestScans, draws: TransferDraws | str,
    reading: FaceReading | None, *, controls: Sequence[str], batch: int, speed: bool,
) -> list[Callable[[], SystemResult]]:  # fmt: skip
    """The models, methods without training beside them, and what needs no model at all."""
    runners = {label: Runner(model, scans, batch) for label, model in models.items()}
    given = {model.name for model in models.values()}
    added = [name for name in controls if name in MODELS and name not in given]
    sizes = [size for model in models.values() if (size := code_size(model))]
    return [
        *(partial(_of_model, RowMaker(label, "model", scans.seed), runner, draws, reading, speed=speed)
          for label, runner in runners.items()),
        *(partial(_of_untrained, name, scans, draws, reading, batch) for name in added),
        partial(_of_data, scans, draws, reading, sizes),
    ]  # fmt: skip


def _of_model(
    maker: RowMaker, runner: Runner, draws: TransferDraws | str, reading: FaceReading | None, *,
    speed: bool = False,
) -> SystemResult:  # fmt: skip
    """All that is measured of one model."""
    found = measure(runner, draws, speed=speed)
    if reading is not None:
        reading.measure(runner, found)
    drawn = draws if isinstance(draws, TransferDraws) else None
    return SystemResult(
        maker.system, list(rows_of(maker, found, drawn)), values_of_scans(found),
        values_of_people(found, drawn), system_facts(runner.model),
    )  # fmt: skip


def _of_untrained(
    name: str, scans: TestScans, draws: TransferDraws | str, reading: FaceReading | None, batch: int
) -> SystemResult:
    """A method without training, prepared on the training part and measured like a model."""
    maker = RowMaker(name, "control", scans.seed)
    if not scans.train.has_neutral.any():
        return SystemResult(name, [maker.absent("transfer_avd", "no training person has a neutral scan")])
    try:
        model = model_class(name)(scans.data.topology, scans.data.expressions)
        model.prepare(scans.train)
        model.calibrate(scans.train)
    except MienError as error:
        return SystemResult(name, [maker.absent("transfer_avd", error.cause)])
    return _of_model(maker, Runner(model, scans, batch), draws, reading)


def _of_data(
    scans: TestScans, draws: TransferDraws | str, reading: FaceReading | None, sizes: Sequence[int]
) -> SystemResult:
    """The controls of the data itself."""
    drawn = draws if isinstance(draws, TransferDraws) else None
    read = [] if reading is None else reading.control_rows()
    return SystemResult("controls", [*control_rows(scans, sizes, drawn), *read])
