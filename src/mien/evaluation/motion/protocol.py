"""Judging motion: clips made of an unseen person's neutral and signal, against the recorded ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import apply
from mien.data.clips import PHASES, Clip, Extremeness, clip_neutral, clips_of, deformations
from mien.data.dataset import FaceDataset
from mien.errors import BadSetting, MienError
from mien.evaluation.motion.classifier import OURS, PUBLISHED, SequenceClassifier
from mien.evaluation.motion.controls import MeanClips, warped, warped_mean
from mien.evaluation.report import Report
from mien.evaluation.rows import Maker, Row
from mien.machine import machine_since
from mien.models.base import FaceModel
from mien.progress import track

Frames = NDArray[np.float32]
Make = Callable[[Clip, NDArray, float], Frames]
REAL, STATIC, MEAN, SCALED = "recorded clips", "static neutral", "class mean", "class mean, scaled"


@dataclass(frozen=True, eq=False)
class JudgedClips:
    """The clips that all systems have to make.

    Args:
        data: The view that the clips' rows belong to.
        clips: Of people that no model has seen.
        train: What controls and the classifier learn from.
        scale: (n,) s_i of each clip in the published form, by statistics of the training clips.
        conditions: What every row states.
    """

    data: FaceDataset
    clips: list[Clip]
    train: FaceDataset
    scale: NDArray[np.float64]
    conditions: Mapping[str, Any]

    @staticmethod
    def of(data: FaceDataset, *, part: str, protocol: str, seed: int) -> JudgedClips:
        """Divides the data set and finds its clips."""
        chosen = data.split(part, protocol=protocol, seed=seed)
        train = chosen if part == "all" else data.split("train", protocol=protocol, seed=seed)
        if not (chosen.row_clip >= 0).any() or not (train.row_clip >= 0).any():
            raise BadSetting(
                "sequences are judged on clips, in the training part and in the judged one",
                received=f"{part} part of {data.source!r}", remedy="build the data with --sequences",
            )  # fmt: skip
        clips, known = clips_of(chosen, stills=False), clips_of(train, stills=False)
        measured = Extremeness.measure(
            np.array([c.expression for c in known]), deformations(train, known), len(data.expressions)
        )
        scale = measured.of(np.array([c.expression for c in clips]), deformations(chosen, clips))
        people, seen = (np.unique(view.row_subject) for view in (chosen, train))
        conditions = {
            "kind": "sequences", "data": data.source, "fingerprint": data.fingerprint,
            "topology": data.topology.name, "vertices": data.topology.vertex_count, "part": part,
            "protocol": protocol, "seed": seed, "people": len(people),
            "people_seen_in_training": len(np.intersect1d(people, seen)), "clips": len(clips),
            "frames": int(sum(map(len, clips))), "training_people": len(seen),
            "training_clips": len(known), "fps": data.fps, "alignment": "none",
            "neutral": "each clip's own first frames", "interval": "95 %, bootstrap over persons",
        }  # fmt: skip
        return JudgedClips(chosen, clips, train, scale, conditions)


@dataclass
class Motion:
    """What one system made of all clips.

    Args:
        avd: For each clip, (T,) mean vertex distance of every frame, millimeters.
        l1: For each clip, (T,) mean absolute coordinate error, millimeters.
        step: For each clip, mean absolute error of the steps from a frame to the next, millimeters.
        seen: For each clip and each classifier, (32, K) what the classifier sees.
    """

    avd: list[NDArray] = field(default_factory=list)
    l1: list[NDArray] = field(default_factory=list)
    step: list[float] = field(default_factory=list)
    seen: list[list[NDArray]] = field(default_factory=list)


def evaluate_sequences(
    models: Mapping[str, FaceModel], data: FaceDataset, *, part: str = "test", protocol: str = "subject",
    seed: int = 0, controls: bool = True, published: Mapping[str, Mapping[str, Any]] | None = None,
) -> Report:  # fmt: skip
    """Judges models on clips of one part of a data set.

    Every model gets each clip's own neutral and signal, the annotated moments and the measured extremeness
    included, and nothing else of the clip. Models of settled poses get the weights of the frames.

    Args:
        models: Label -> model.
        data: The whole data set.
        part: Which part is judged.
        protocol: How the set is divided.
        seed: Of the division, of the classifiers and of the bootstrap.
        controls: Judge the static neutral and the mean clip of each class beside the models.
        published: System -> metric -> printed value, shown apart.
    """
    began, judged = time.monotonic(), JudgedClips.of(data, part=part, protocol=protocol, seed=seed)
    known = clips_of(judged.train, stills=False)
    classifiers = [
        SequenceClassifier.train(judged.train, known, form=form, seed=seed) for form in (OURS, PUBLISHED)
    ]
    systems: dict[str, tuple[str, Make | str]] = {REAL: ("control", _real(judged))}
    for label, model in models.items():
        model.calibration.require(label)
        systems[label] = ("model", _maker(model, judged))
    if controls:
        systems |= _controls(judged)
    rows: list[Row] = []
    curves: dict[str, dict[str, list[float]]] = {}
    people: dict[str, dict[str, dict[str, float]]] = {}
    for label, (kind, make) in track(systems.items(), "judging motion", total=len(systems)):
        maker = Maker(label, kind, seed)
        if isinstance(make, str):
            rows.append(maker.absent("seq_avd_total", make))
            continue
        motion = _made(judged, make, classifiers)
        people[label] = {}
        if label != REAL:
            rows += _error_rows(maker, judged, motion)
            curves[label] = _curves(judged, motion)
            people[label] |= _by_person(judged, motion)
        for classifier, seen in zip(classifiers, zip(*motion.seen, strict=True), strict=True):
            codes = np.stack(seen)
            rows += classifier.rows(maker, codes, _labels(judged), judged.data.expressions)
            people[label] |= _recognized(judged, classifier.predict(codes), classifier.form.suffix)
    facts = {label: {"model": model.name, "latent": _latent(model)} for label, model in models.items()}
    conditions = {**judged.conditions, **machine_since(began)}
    return Report(tuple(rows), conditions, facts, dict(published or {}), people=people, curves=curves)


def _latent(model: FaceModel) -> str:
    shape = model.calibration.rest.shape
    return "x".join(map(str, shape)) if shape.numel() < 10_000 else "mesh"


def _labels(judged: JudgedClips) -> NDArray[np.int64]:
    return np.array([clip.expression for clip in judged.clips])


def _maker(model: FaceModel, judged: JudgedClips) -> Make | str:
    """How a model makes a clip, or why it cannot."""
    if reason := apply.refusal(type(model), "animate"):
        return reason
    try:
        signals = model.signals(judged.data, judged.clips) if model.remembers else judged.scale  # type: ignore[operator]
    except MienError as error:
        return error.cause
    number = {id(clip): k for k, clip in enumerate(judged.clips)}

    def make(clip: Clip, neutral: NDArray, scale: float) -> Frames:
        weights = judged.data.row_weights[clip.rows]
        if model.remembers:
            weights = clip.signal(float(signals[number[id(clip)]]))
        return apply.animate(model, neutral, weights, fps=judged.data.fps)

    return make


def _real(judged: JudgedClips) -> Make:
    return lambda clip, neutral, scale: judged.data[clip.rows]


def _controls(judged: JudgedClips) -> dict[str, tuple[str, Make | str]]:
    """Nothing moves; the mean clip of the class, as it is and scaled to the clip's extremeness."""
    known = clips_of(judged.train, stills=False)
    means = MeanClips.measure(judged.train, known)
    return {
        STATIC: ("control", lambda clip, neutral, scale: np.repeat(neutral[None], len(clip), axis=0)),
        MEAN: ("control", lambda clip, neutral, scale: neutral + means.of(clip)),
        SCALED: ("control", lambda clip, neutral, scale: neutral + means.of(clip, scale)),
    }


def _made(judged: JudgedClips, make: Make, classifiers: Sequence[SequenceClassifier]) -> Motion:
    motion = Motion()
    for clip, scale in zip(track(judged.clips, "making clips"), judged.scale.tolist(), strict=True):
        truth, neutral = judged.data[clip.rows], clip_neutral(judged.data, clip)
        frames = make(clip, neutral, scale)
        wrong = frames - truth
        motion.avd.append(np.linalg.norm(wrong, axis=2).mean(axis=1))
        motion.l1.append(np.abs(wrong).mean(axis=(1, 2)))
        motion.step.append(float(np.abs(np.diff(wrong, axis=0)).mean()))
        motion.seen.append([classifier.seen(frames, neutral) for classifier in classifiers])
    return motion


def _error_rows(maker: Maker, judged: JudgedClips, motion: Motion) -> Iterator[Row]:
    """Total, by expression, by phase, and of the steps."""
    lengths = [len(clip) for clip in judged.clips]
    person = np.repeat([clip.subject for clip in judged.clips], lengths)
    label, phase = np.repeat(_labels(judged), lengths), np.concatenate([c.phases for c in judged.clips])
    avd, l1 = np.concatenate(motion.avd), np.concatenate(motion.l1)
    yield maker.over_meshes("seq_avd_total", avd, person)
    for index, name in enumerate(judged.data.expressions):
        if (label == index).any():
            yield maker.over_meshes(f"seq_avd_{name}", avd[label == index], person[label == index])
    for index, name in enumerate(PHASES):
        if (phase == index).any():
            yield maker.over_meshes(f"phase_avd_{name}", avd[phase == index], person[phase == index])
            yield maker.over_meshes(f"phase_l1_{name}", l1[phase == index], person[phase == index])
    subject = np.array([clip.subject for clip in judged.clips])
    yield maker.over_meshes("temporal_l1", np.array(motion.step), subject)


def _curves(judged: JudgedClips, motion: Motion) -> dict[str, list[float]]:
    """``frame_l2`` and ``frame_l1`` over relative time: onset 0 to 1, apex 1 to 2, offset 2 to 3."""
    places = [warped(clip) for clip in judged.clips]
    return {
        name: np.mean([warped_mean(p, v) for p, v in zip(places, values, strict=True)], axis=0).tolist()
        for name, values in (("frame_l2", motion.avd), ("frame_l1", motion.l1))
    }


def _by_person(judged: JudgedClips, motion: Motion) -> dict[str, dict[str, float]]:
    """Metrics that have one value a person, for ratios with intervals."""
    found: dict[str, dict[str, list[NDArray]]] = {}
    for clip, avd, step in zip(judged.clips, motion.avd, motion.step, strict=True):
        name, phases = judged.data.subjects[clip.subject], clip.phases
        parts = {"seq_avd_total": avd, f"seq_avd_{judged.data.expressions[clip.expression]}": avd,
                 "temporal_l1": np.array([step])}  # fmt: skip
        parts |= {f"phase_avd_{kind}": avd[phases == k] for k, kind in enumerate(PHASES)}
        for metric, values in parts.items():
            found.setdefault(metric, {}).setdefault(name, []).append(values)
    onset, apex = found["phase_avd_onset"], found["phase_avd_apex"]
    shares = {n: float(np.concatenate(apex[n]).mean() / np.concatenate(onset[n]).mean()) for n in apex}
    joined = {m: {name: np.concatenate(v) for name, v in values.items()} for m, values in found.items()}
    means = {m: {n: float(v.mean()) for n, v in values.items() if len(v)} for m, values in joined.items()}
    return means | {"phase_ratio_apex": shares}


def _recognized(judged: JudgedClips, found: NDArray, suffix: str) -> dict[str, dict[str, float]]:
    """Share of each person's clips that the classifier names, of all and of each expression."""
    hits: dict[str, dict[str, list[float]]] = {}
    for clip, taken in zip(judged.clips, found.tolist(), strict=True):
        name, expression = judged.data.subjects[clip.subject], judged.data.expressions[clip.expression]
        for metric in (f"seq_accuracy{suffix}", f"seq_recall{suffix}/{expression}"):
            hits.setdefault(metric, {}).setdefault(name, []).append(float(taken == clip.expression))
    return {metric: {n: float(np.mean(v)) for n, v in values.items()} for metric, values in hits.items()}


def example_clips(
    models: Sequence[FaceModel], data: FaceDataset, clips: Sequence[Clip]
) -> list[list[Frames]]:  # fmt: skip
    """For each model the frames that it makes of each clip's neutral and signal."""
    judged = JudgedClips(data, list(clips), data, np.ones(len(clips)), {})
    made = []
    for model in models:
        make = _maker(model, judged)
        if isinstance(make, str):
            raise model.refusal("animate", make)
        made.append([make(clip, clip_neutral(data, clip), 1.0) for clip in clips])
    return made
