"""One system's clips against the recorded ones: errors and recognition as rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.clips import PHASES, clip_neutral
from mien.evaluation.motion import metrics
from mien.evaluation.motion.classifier import SequenceClassifier
from mien.evaluation.motion.clips import TestClips
from mien.evaluation.motion.controls import warped, warped_mean
from mien.evaluation.motion.making import Make
from mien.evaluation.rows import Row, RowMaker
from mien.progress import track


@dataclass(frozen=True)
class Motion:
    """How far one system's clips are from the recorded ones, and what classifiers see of them.

    Args:
        avd: For each clip, (T,) float, millimeters: mean vertex distance of every frame.
        l1: For each clip, (T,) float, millimeters: mean absolute coordinate error of every frame.
        step: (n,) float, millimeters: mean absolute error of the steps from a frame to the next.
        seen: For each classifier, (n, 32, K) float: what it sees.
    """

    avd: list[NDArray]
    l1: list[NDArray]
    step: NDArray[np.float64]
    seen: list[NDArray[np.float32]]

    @staticmethod
    def measure(clips: TestClips, make: Make, classifiers: Sequence[SequenceClassifier]) -> Motion:
        """Makes every clip and compares it, one clip in memory."""
        avd, l1, step, seen = [], [], [], []
        for clip, scale in zip(track(clips.clips, "making clips"), clips.scale.tolist(), strict=True):
            truth, neutral = clips.data[clip.rows], clip_neutral(clips.data, clip)
            frames = make(clip, neutral, scale)
            avd.append(metrics.frame_avd(truth, frames))
            l1.append(metrics.frame_l1(truth, frames))
            step.append(metrics.temporal_l1(truth, frames))
            seen.append([classifier.seen(frames, neutral) for classifier in classifiers])
        return Motion(avd, l1, np.array(step), [np.stack(codes) for codes in zip(*seen, strict=True)])


def error_rows(maker: RowMaker, clips: TestClips, motion: Motion) -> Iterator[Row]:
    """Total, by expression, by phase, and of the steps."""
    lengths, names = [len(clip) for clip in clips.clips], clips.data.expressions
    subject = np.array([clip.subject for clip in clips.clips])
    person, label = np.repeat(subject, lengths), np.repeat(clips.labels, lengths)
    phase = np.concatenate([clip.phases for clip in clips.clips])
    avd, l1 = np.concatenate(motion.avd), np.concatenate(motion.l1)
    yield maker.over_scans("seq_avd_total", avd, person)
    for index, name in enumerate(names):
        if (label == index).any():
            yield maker.over_scans(f"seq_avd_{name}", avd[label == index], person[label == index])
    for index, name in enumerate(PHASES):
        if (phase == index).any():
            yield maker.over_scans(f"phase_avd_{name}", avd[phase == index], person[phase == index])
            yield maker.over_scans(f"phase_l1_{name}", l1[phase == index], person[phase == index])
    yield maker.over_scans("temporal_l1", motion.step, subject)


def recognition_rows(
    maker: RowMaker, clips: TestClips, named: NDArray[np.int64], suffix: str
) -> Iterator[Row]:
    """Precision, recall and F1 of every expression and their means, and the confusion table.

    Args:
        maker: Of the system's rows.
        clips: What was to be made.
        named: (n,) int. What a classifier takes the clips for.
        suffix: Of the classifier's metrics.
    """
    names, labels, count = clips.data.expressions, clips.labels, len(named)
    table = metrics.confusion(labels, named, len(names))
    scores = {
        "precision": metrics.seq_precision(table), "recall": metrics.seq_recall(table),
        "f1": metrics.seq_f1(table),
    }  # fmt: skip
    for metric, values in scores.items():
        shown = values[np.isin(np.arange(len(names)), labels)]
        yield maker.number(f"seq_{metric}{suffix}", float(shown.mean()), count=count)
        for name, value in zip(names, values, strict=True):
            yield maker.number(f"seq_{metric}{suffix}/{name}", float(value), count=count)
    accuracy = metrics.seq_accuracy(labels, named)
    yield maker.number(f"seq_accuracy{suffix}", float(accuracy.mean()), count=count)
    for true, line in zip(names, table, strict=True):
        for taken, number in zip(names, line, strict=True):
            yield maker.number(f"confusion{suffix}/{true}/{taken}", float(number), count=count)


def errors_over_time(clips: TestClips, motion: Motion) -> dict[str, list[float]]:
    """``frame_l2`` and ``frame_l1`` over relative time: onset 0 to 1, apex 1 to 2, offset 2 to 3."""
    places = [warped(clip) for clip in clips.clips]
    return {
        name: np.mean([warped_mean(p, v) for p, v in zip(places, values, strict=True)], axis=0).tolist()
        for name, values in (("frame_l2", motion.avd), ("frame_l1", motion.l1))
    }


def errors_by_person(clips: TestClips, motion: Motion) -> dict[str, dict[str, float]]:
    """Metric -> person -> mean, for ratios with intervals."""
    found: dict[str, dict[str, list[NDArray]]] = {}
    for clip, avd, step in zip(clips.clips, motion.avd, motion.step, strict=True):
        name, phases = clips.data.subjects[clip.subject], clip.phases
        parts = {"seq_avd_total": avd, f"seq_avd_{clips.data.expressions[clip.expression]}": avd,
                 "temporal_l1": np.array([step])}  # fmt: skip
        parts |= {f"phase_avd_{kind}": avd[phases == k] for k, kind in enumerate(PHASES)}
        for metric, values in parts.items():
            found.setdefault(metric, {}).setdefault(name, []).append(values)
    onset, apex = found["phase_avd_onset"], found["phase_avd_apex"]
    shares = {n: float(np.concatenate(apex[n]).mean() / np.concatenate(onset[n]).mean()) for n in apex}
    joined = {m: {name: np.concatenate(v) for name, v in values.items()} for m, values in found.items()}
    means = {m: {n: float(v.mean()) for n, v in values.items() if len(v)} for m, values in joined.items()}
    return means | {"phase_ratio_apex": shares}


def recognition_by_person(
    clips: TestClips, named: NDArray[np.int64], suffix: str
) -> dict[str, dict[str, float]]:
    """Metric -> person -> share of the person's clips that are recognized, of all and of each expression.

    Args:
        clips: What was to be made.
        named: (n,) int. What a classifier takes the clips for.
        suffix: Of the classifier's metrics.
    """
    hits: dict[str, dict[str, list[float]]] = {}
    right = metrics.seq_accuracy(clips.labels, named)
    for clip, hit in zip(clips.clips, right.tolist(), strict=True):
        name, expression = clips.data.subjects[clip.subject], clips.data.expressions[clip.expression]
        for metric in (f"seq_accuracy{suffix}", f"seq_recall{suffix}/{expression}"):
            hits.setdefault(metric, {}).setdefault(name, []).append(hit)
    return {metric: {n: float(np.mean(v)) for n, v in values.items()} for metric, values in hits.items()}
