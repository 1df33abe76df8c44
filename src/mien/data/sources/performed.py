"""People who are acted and then scanned: what the data sets of carried shapes have in common.

A cast says who a person is and how they move; here they perform a set of expressions, as single scans or as
clips, and each face is written with its label and the truth behind the scan. Person ``s`` depends on the
seed and on ``s`` only, so a larger set begins with the smaller one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.data.ceiling import Ceiling
from mien.data.clip_performance import EXTREMENESS, FRAMES_PER_SECOND, clip_activations, draw_frames
from mien.data.dataset import FaceDataset
from mien.data.deformation import FaceActor
from mien.data.examples import add_examples
from mien.data.expressions import ExpressionSet
from mien.data.performance import Style, Variation, capture_noise, take_activations
from mien.data.sources.procedural.texture import Painter, painted
from mien.data.speech import (
    PerformedFace,
    check_speech,
    displaced,
    factors_of,
    label_marks,
    recipes_with,
    takes,
    weights_of_take,
)
from mien.data.table import FACTORS
from mien.data.writer import DatasetWriter
from mien.errors import BadSetting
from mien.progress import track
from mien.topology import Topology

AGAIN = 77
"""Seeds the manner of somebody else with the same face."""


class Cast(Protocol):
    """Everybody who can be drawn with one seed, ready to perform."""

    def person(self, number: int, *, again: bool = False) -> tuple[FaceActor, Style]:
        """A person and how they move, or somebody else with the same face."""
        ...


@dataclass(frozen=True, eq=False)
class Recording:
    """What is performed, how, and how it is kept.

    Args:
        subjects: Number of people.
        names: What they perform.
        variation: Spreads of performance and capture.
        seed: Of the data set.
        sequences: Clips with onset, apex and offset in place of single scans.
        visemes: Every expression also with each of seven visemes, a further factor.
        labels: Factor -> share of faces that keep their label.
        painter: Paints a texture for every face, or None.
    """

    subjects: int
    names: ExpressionSet
    variation: Variation
    seed: int
    sequences: bool
    visemes: bool
    labels: Mapping[str, float]
    painter: Painter | None = None

    def __post_init__(self) -> None:
        check_speech(self.sequences, self.visemes)
        if self.subjects < 1:
            raise BadSetting("a data set needs at least one subject", received=self.subjects)

    def facts(self) -> dict[str, Any]:
        """What the card of the data set says about it."""
        return {
            "seed": self.seed, "set": self.names.name, "sequences": self.sequences,
            "variation": asdict(self.variation), "labels": dict(self.labels),
        }  # fmt: skip


def record(
    cast: Cast, plan: Recording, out: Path | str, topology: Topology, *, source: str, license: str,
    citation: str, facts: Mapping[str, Any],
) -> FaceDataset:  # fmt: skip
    """Lets a cast perform, and writes the data set.

    Args:
        cast: Who performs.
        plan: What, and how it is kept.
        out: Folder of the new data set.
        topology: Of the faces.
        source: Name of the data source; subjects are called after it.
        license: Terms of the faces.
        citation: What to cite.
        facts: Further facts for the card.
    """
    factors, ceiling, names = factors_of(plan.visemes), Ceiling(), plan.names
    told = dict(facts)
    with DatasetWriter(
        out, topology, names.columns, further=add_examples,
        fps=FRAMES_PER_SECOND if plan.sequences else 0.0, source=source,
        license=license, citation=citation, facts=told, factors=factors,
    ) as writer:  # fmt: skip
        people = _clips_of(cast, plan) if plan.sequences else _scans_of(cast, plan, ceiling)
        title = f"performing {source} faces"
        for person, (rest, faces) in enumerate(track(people, title, total=plan.subjects)):
            subject = f"{source}_{person:04d}"
            writer.rest(subject, rest)
            skin = None if plan.painter is None else painted(plan.painter, [plan.seed, person])
            marks = label_marks(plan.labels, (*FACTORS, *factors), plan.seed, person)
            for face, labeled in zip(faces, marks):
                writer.append(
                    face.vertices, names.coded(face.weights, face.active), subject=subject,
                    clip=face.clip, frame=face.frame, labeled=labeled, classes={"viseme": face.viseme},
                    texture=None if skin is None else skin.wearing(face.active), truth=face.truth,
                )  # fmt: skip
        told |= ceiling.facts()
    return FaceDataset.load(out)


def resting_scan(cast: Cast, plan: Recording, number: int = 0) -> tuple[NDArray, NDArray[np.uint8] | None]:
    """A person's scan at rest as :func:`record` keeps it, without all that the person performs.

    Args:
        cast: Who performs.
        plan: Of the recording that the scan is part of.
        number: Which person.

    Returns:
        (V, 3) float32, millimeters, and (size, size, 3) uint8 sRGB, the painted texture, or None.
    """
    face = next(_scans(*cast.person(number), plan.names, (plan.seed, number), plan.visemes))
    if plan.painter is None:
        return face.vertices, None
    return face.vertices, painted(plan.painter, [plan.seed, number]).wearing(face.active)


def _scans_of(
    cast: Cast, plan: Recording, ceiling: Ceiling
) -> Iterator[tuple[NDArray, Iterable[PerformedFace]]]:
    """For each person the face at rest, and scans; the ceiling is told what happened."""
    for number in range(plan.subjects):
        (actor, style), stream, again = cast.person(number), (plan.seed, number), None
        faces = list(_scans(actor, style, plan.names, stream, plan.visemes))
        if ceiling.wants(number, plan.subjects):
            others = _scans(*cast.person(number, again=True), plan.names, (*stream, AGAIN), False)
            again = displaced(others, actor.face)
        ceiling.add(displaced(faces, actor.face), again)
        yield actor.face, faces


def _clips_of(cast: Cast, plan: Recording) -> Iterator[tuple[NDArray, Iterable[PerformedFace]]]:
    """For each person the face at rest, and clips."""
    for number in range(plan.subjects):
        actor, style = cast.person(number)
        yield actor.face, _clips(actor, style, plan.names, plan.seed, number)


def _scans(
    actor: FaceActor, style: Style, names: ExpressionSet, stream: Sequence[int], visemes: bool
) -> Iterator[PerformedFace]:
    """The neutral and one take of each expression, silent or with each viseme."""
    recipes = recipes_with(names)
    for expression, viseme, take in takes(names, visemes):
        rng = np.random.default_rng([*stream, take])
        levels = take_activations(rng, style, recipes, weights_of_take(names, expression, viseme))
        face = actor.perform(levels)
        weights = names.label(expression) if expression else {}
        scan = capture_noise(rng, face, style.variation)
        yield PerformedFace(scan, weights, _active(style, levels), viseme=viseme, truth=face)


def _clips(
    actor: FaceActor, style: Style, names: ExpressionSet, seed: int, person: int
) -> Iterator[PerformedFace]:
    """A neutral scan, and one clip of each expression."""
    rng = np.random.default_rng([seed, person, 0])
    levels = take_activations(rng, style, names.recipes, {})
    face = actor.perform(levels)
    yield PerformedFace(capture_noise(rng, face, style.variation), {}, _active(style, levels), truth=face)
    for number, expression in enumerate(names.names):
        rng = np.random.default_rng([seed, person, zlib.crc32(expression.encode())])
        clip = clip_activations(
            rng, style, names.recipes, expression, frames=draw_frames(rng),
            extremeness=rng.uniform(*EXTREMENESS),
        )  # fmt: skip
        true = actor.perform_frames(clip.activations)
        frames = capture_noise(rng, true, style.variation)
        for frame, (vertices, weight) in enumerate(zip(frames, clip.label, strict=True)):
            share = {name: float(weight) * value for name, value in names.label(expression).items()}
            active, place = _active(style, clip.activations[frame]), person * len(names) + number
            yield PerformedFace(vertices, share, active, place, frame, truth=true[frame])


def _active(style: Style, levels: NDArray) -> dict[str, float]:
    """Shape -> activation."""
    return dict(zip(style.shapes, levels.tolist(), strict=True))
