"""``evaluate_sequences``: clips made of an unseen person's neutral and signal, against the recorded ones."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from mien.data.dataset import FaceDataset
from mien.evaluation.motion.classifier import OURS, PUBLISHED, SequenceClassifier
from mien.evaluation.motion.clips import TestClips
from mien.evaluation.motion.making import REAL, Make, made_by_model, made_without_model, recorded
from mien.evaluation.motion.rows import (
    Motion,
    error_rows,
    errors_by_person,
    errors_over_time,
    recognition_by_person,
    recognition_rows,
)
from mien.evaluation.report import Report
from mien.evaluation.rows import RowMaker
from mien.evaluation.systems import SystemResult
from mien.machine import machine_since
from mien.models.base import FaceModel
from mien.progress import track


def evaluate_sequences(
    models: Mapping[str, FaceModel], data: FaceDataset, *, part: str = "test", protocol: str = "subject",
    seed: int = 0, controls: bool = True, published: Mapping[str, Mapping[str, Any]] | None = None,
) -> Report:  # fmt: skip
    """Measures what models make of the clips of one part of a data set.

    Every model gets each clip's own neutral and signal, the annotated moments and the measured extremeness
    included, and nothing else of the clip. Models of settled poses get the weights of the frames.

    Args:
        models: Label -> model.
        data: The whole data set.
        part: Which part is tested.
        protocol: How the set is divided.
        seed: Of the division, of the classifiers and of the bootstrap.
        controls: Add the static neutral and the mean clip of each class.
        published: System -> metric -> printed value, shown apart.
    """
    began, clips = time.monotonic(), TestClips.of(data, part=part, protocol=protocol, seed=seed)
    classifiers = [
        SequenceClassifier.train(clips.train, clips.training_clips, form=form, seed=seed)
        for form in (OURS, PUBLISHED)
    ]
    systems: dict[str, tuple[str, Make | str]] = {REAL: ("control", recorded(clips))}
    for label, model in models.items():
        model.check_calibrated(label)
    systems |= {label: ("model", made_by_model(model, clips)) for label, model in models.items()}
    if controls:
        systems |= {label: ("control", make) for label, make in made_without_model(clips).items()}
    found, over_time = [], dict[str, dict[str, list[float]]]()
    for label, (kind, make) in track(systems.items(), "evaluating motion", total=len(systems)):
        maker = RowMaker(label, kind, seed)
        if isinstance(make, str):
            found.append(SystemResult(label, [maker.absent("seq_avd_total", make)]))
            continue
        motion = Motion.measure(clips, make, classifiers)
        found.append(_result(maker, clips, motion, classifiers))
        if label != REAL:
            over_time[label] = errors_over_time(clips, motion)
    facts = {label: {"model": model.name, "latent": _latent(model)} for label, model in models.items()}
    return Report(
        tuple(row for result in found for row in result.rows), {**clips.conditions, **machine_since(began)},
        facts, dict(published or {}), curves=over_time,
        people={result.system: result.people for result in found if result.people},
    )  # fmt: skip


def _result(
    maker: RowMaker, clips: TestClips, motion: Motion, classifiers: list[SequenceClassifier]
) -> SystemResult:
    """Errors, except of the recording itself, and what each classifier says."""
    found = SystemResult(maker.system, [])
    if maker.system != REAL:
        found.rows += error_rows(maker, clips, motion)
        found.people |= errors_by_person(clips, motion)
    for classifier, seen in zip(classifiers, motion.seen, strict=True):
        named, suffix = classifier.predict(seen), classifier.form.suffix
        found.rows += recognition_rows(maker, clips, named, suffix)
        found.people |= recognition_by_person(clips, named, suffix)
    return found


def _latent(model: FaceModel) -> str:
    shape = model.calibration.rest.shape
    return "x".join(map(str, shape)) if shape.numel() < 10_000 else "mesh"
