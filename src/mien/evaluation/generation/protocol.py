"""``evaluate_generation``: what models make up, measured as Abrevaya et al. (ICCV 2019) measure it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mien.data.dataset import FaceDataset
from mien.evaluation.generation.controls import measure_real_faces
from mien.evaluation.generation.diversity import sample_rows
from mien.evaluation.generation.model import measure_model
from mien.evaluation.generation.settings import GenerationSettings
from mien.evaluation.generation.setup import GenerationSetup
from mien.evaluation.generation.tables import paper_values
from mien.evaluation.predictions import read_predictions
from mien.evaluation.report import Report
from mien.evaluation.rows import RowMaker
from mien.evaluation.scans import TestScans
from mien.evaluation.systems import Models, SystemResult, labeled
from mien.machine import machine_since
from mien.progress import track


def evaluate_generation(
    models: Models, data: FaceDataset, *, settings: GenerationSettings | None = None,
    protocol: str = "subject", seed: int = 0, part: str = "test",
    predictions: Mapping[str, Path | str] | None = None,
) -> tuple[Report, GenerationSetup]:  # fmt: skip
    """Measures what models generate, with the same values of real faces beside.

    Args:
        models: Label -> model; a plain list is labeled by the methods' names.
        data: The whole data set. Similarity networks learn from its training part; thresholds are chosen on
            the others.
        settings: Numbers of draws; None for the standard ones.
        protocol: How the set is divided.
        seed: Of the division.
        part: Test scans for landmarks, silhouettes, and people of models that cannot sample.
        predictions: Label -> file of another program, see
            :func:`mien.evaluation.predictions.read_predictions`; its ``samples`` are measured.

    Returns:
        report: A metric that a model cannot have is a dash with the reason.
        setup: The networks and what else all models were measured with, and the samples kept for pictures.
    """
    began, settings, named = time.monotonic(), settings or GenerationSettings(), labeled(models)
    scans = TestScans.of(data, part=part, protocol=protocol, seed=seed, limit=4000)
    for label, model in named.items():
        model.check_calibrated(label)
        model.check_data(data)
    files = {label: read_predictions(path, scans) for label, path in (predictions or {}).items()}
    setup = GenerationSetup.of(data, scans, settings)
    found = [measure_real_faces(setup)]
    for label, model in track(named.items(), "evaluating models", total=len(named)):
        found.append(measure_model(RowMaker(label, "model", settings.seed), model, setup))
    for label, given in files.items():
        result, maker = SystemResult(label, [], facts=given.facts), RowMaker(label, "model", settings.seed)
        result.rows.extend(sample_rows(maker, given.samples, setup, result.people))
        found.append(result)
    report = Report(
        tuple(row for result in found for row in result.rows),
        scans.conditions() | {"kind": "generation"} | _drawn(settings) | machine_since(began),
        {result.system: result.facts for result in found if result.facts}, paper_values(),
        people={result.system: result.people for result in found},
    )  # fmt: skip
    return report, setup


def _drawn(settings: GenerationSettings) -> dict[str, Any]:
    """What every row of this protocol states besides."""
    s = settings
    networks = " and ".join(
        f"ResNet-18 on {s.image_size}-pixel normals ({s.picture_steps:,} steps)" if kind == "pictures"
        else f"lite ({s.components} components, {s.lite_steps:,} steps)" for kind in s.networks
    )  # fmt: skip
    smaller = ""
    if "pictures" in s.networks and s.image_size < 224:
        smaller = " The paper's pictures have 224 pixels: percentages are comparable within this report only."
    return {
        "generation": asdict(s),
        "drawn": (
            f"{s.pairs:,} pairs, decoupling {s.faces} x {s.resamples}, specificity of {s.samples:,} samples, "
            f"seed {s.seed}; similarity networks: {networks}, trained on the training people, thresholds on "
            f"held-out people.{smaller}"
        ),
        "interval": "95 %, bootstrap over drawn faces (scans for landmarks), 2000 resamples",
    }
