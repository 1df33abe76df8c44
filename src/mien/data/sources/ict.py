"""ICT-FaceKit Light, performed: people of a scanned face space who act, and are scanned.

The release is a mean face, 100 identity modes and 53 expression shapes, to be added. Here each subject is a
draw of the modes; the shapes are carried to that face by its local Jacobian and its own jaw hinge
(:mod:`mien.data.deformation`), acted with a personal style (:mod:`mien.data.performance`), and captured with
noise. Subject ``s`` depends on the seed and on ``s`` only, so a larger set begins with the smaller one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.clip_performance import EXTREMENESS, FRAMES_PER_SECOND, clip_activations, draw_frames
from mien.data.dataset import FaceDataset
from mien.data.deformation import FaceActor, Performer
from mien.data.examples import write_examples
from mien.data.expressions import SHAPES, ExpressionSet, expression_set
from mien.data.foretold import Ceiling
from mien.data.performance import Style, Variation, capture_noise, take_activations
from mien.data.personal_shapes import personal_shapes
from mien.data.sources.ict_release import IctModel, contact_rings, load_ict
from mien.data.sources.procedural.texture import Painter, painted
from mien.data.sources.procedural.texture_canvas import fitted_canvas
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
from mien.geometry.hierarchy import decimate
from mien.progress import track
from mien.topology import Topology

LICENSE = "MIT (ICT-FaceKit, Copyright 2020 USC Institute for Creative Technologies)"
CITATION = (
    "R. Li et al., Learning Formation of Physically-Based Face Attributes, CVPR 2020 "
    "(ICT-FaceKit Light, github.com/ICT-VGL/ICT-FaceKit)"
)
AGAIN = 77
"""Seeds the manner of somebody else with the same face."""
TEXTURE_CROP = (0.11, 0.08, 0.89, 0.88)  # the part of the uv that the narrow face covers


def build_ict(
    source: Path | str,
    out: Path | str,
    *,
    subjects: int,
    expressions: str = "facescape20",
    region: str = "narrow",
    vertices: int | None = None,
    sequences: bool = False,
    seed: int = 0,
    variation: Variation | None = None,
    textures: int | None = None,
    visemes: bool = False,
    labels: Mapping[str, float] | None = None,
) -> FaceDataset:
    """Builds a data set of performed ICT faces.

    Args:
        source: The release's archive, unpacked folder or repository.
        out: Folder of the new data set.
        subjects: Number of people.
        expressions: Name of an expression set; each subject is scanned once per expression and once neutral.
        region: ``narrow``, ``face`` or ``head``.
        vertices: Decimate to about this many vertices; None keeps all.
        sequences: Clips with onset, apex and offset in place of single scans.
        seed: Draws another population.
        variation: Spreads of performance and capture; the calibrated ones by default.
        textures: Pixels of a side of a painted texture image for every scan; None makes none.
        visemes: Every expression also with each of seven visemes, a further factor.
        labels: Factor -> share of faces that keep their label; all do by default.
    """
    check_speech(sequences, visemes)
    factors, shares = factors_of(visemes), dict(labels or {})
    names = expression_set(expressions)
    if subjects < 1:
        raise BadSetting("a data set needs at least one subject", received=subjects)
    variation = variation or Variation()
    model = load_ict(source, region)
    topology, rows = reduced(model.topology, vertices)
    facts = {
        "builder": "ict", "seed": seed, "set": names.name, "region": region, "vertices": vertices,
        "sequences": sequences, "units": "centimeters in the release, millimeters here",
        "variation": asdict(variation), "labels": shares,
    }  # fmt: skip
    painter = None if textures is None else Painter(fitted_canvas(model.topology, textures))
    if painter is not None:
        facts["textures"] = {"pixels": textures, "crop": TEXTURE_CROP, "painted": True}
    cast = _Cast(model, _performer(model), rows, names, variation, seed)
    ceiling = Ceiling()
    with DatasetWriter(
        out, topology, names.columns, fps=FRAMES_PER_SECOND if sequences else 0.0, source="ict",
        license=LICENSE, citation=CITATION, facts=facts, factors=factors,
    ) as writer:  # fmt: skip
        people = cast.clips(subjects) if sequences else cast.scans(subjects, visemes, ceiling)
        for person, (rest, faces) in enumerate(track(people, "performing ICT faces", total=subjects)):
            writer.rest(f"ict_{person:04d}", rest)
            skin = None if painter is None else painted(painter, [seed, person])
            for face, labeled in zip(faces, label_marks(shares, (*FACTORS, *factors), seed, person)):
                writer.append(
                    face.vertices, names.coded(face.weights, face.active), subject=f"ict_{person:04d}",
                    clip=face.clip, frame=face.frame, labeled=labeled, classes={"viseme": face.viseme},
                    texture=None if skin is None else skin.wearing(face.active), truth=face.truth,
                )  # fmt: skip
        facts |= ceiling.facts()
    dataset = FaceDataset.load(out)
    write_examples(dataset, Path(out) / "examples")
    return dataset


def _performer(model: IctModel) -> Performer:
    full, points = model.topology, model.topology.landmarks
    places = dict(zip(points.names, points.corners[:, 0].tolist(), strict=True))
    return Performer(full.template, full.faces, model.shapes, SHAPES, places)


@dataclass(frozen=True, eq=False)
class _Cast:
    """Everybody who can be drawn with one seed, ready to perform.

    Args:
        model: The release.
        performer: Its shapes, ready to be acted.
        rows: (V,) int. The vertices that the data set has.
        names: What is performed.
        variation: Spreads of performance and capture.
        seed: Of the data set.
    """

    model: IctModel
    performer: Performer
    rows: NDArray[np.int64]
    names: ExpressionSet
    variation: Variation
    seed: int

    def person(self, number: int, *, again: bool = False) -> tuple[FaceActor, Style]:
        """A person and how they move, or somebody else with the same face: standard normal coefficients of
        the modes, as in the release's own sampler."""
        rng = np.random.default_rng([self.seed, number])
        identity = rng.standard_normal(len(self.model.modes))
        face = self.model.topology.template + np.tensordot(identity, self.model.modes, 1)
        own = np.random.default_rng([self.seed, number, AGAIN]) if again else rng
        style = Style.draw(own, SHAPES, self.variation, identity)
        everybody = self.performer.shapes
        shapes = personal_shapes(self.performer.template, everybody, SHAPES, style, self.rows)
        return self.performer.on(face, shapes, self.rows), style

    def scans(
        self, people: int, visemes: bool, ceiling: Ceiling
    ) -> Iterator[tuple[NDArray, Iterable[PerformedFace]]]:
        """For each person the face at rest, and scans; the ceiling is told what happened."""
        for number in range(people):
            (actor, style), stream, again = self.person(number), (self.seed, number), None
            faces = list(_scans(actor, style, self.names, stream, visemes))
            if ceiling.wants(number, people):
                others = _scans(*self.person(number, again=True), self.names, (*stream, AGAIN), False)
                again = displaced(others, actor.face)
            ceiling.add(displaced(faces, actor.face), again)
            yield actor.face, faces

    def clips(self, people: int) -> Iterator[tuple[NDArray, Iterable[PerformedFace]]]:
        """For each person the face at rest, and clips."""
        for number in range(people):
            actor, style = self.person(number)
            yield actor.face, _clips(actor, style, self.names, self.seed, number)


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
        yield PerformedFace(scan, weights, _active(levels), viseme=viseme, truth=face)


def _clips(
    actor: FaceActor, style: Style, names: ExpressionSet, seed: int, person: int
) -> Iterator[PerformedFace]:
    """A neutral scan, and one clip of each expression."""
    rng = np.random.default_rng([seed, person, 0])
    levels = take_activations(rng, style, names.recipes, {})
    face = actor.perform(levels)
    yield PerformedFace(capture_noise(rng, face, style.variation), {}, _active(levels), truth=face)
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
            active, place = _active(clip.activations[frame]), person * len(names) + number
            yield PerformedFace(vertices, share, active, place, frame, truth=true[frame])


def _active(levels: NDArray) -> dict[str, float]:
    """Shape -> activation."""
    return dict(zip(SHAPES, levels.tolist(), strict=True))


def reduced(topology: Topology, vertices: int | None) -> tuple[Topology, NDArray[np.int64]]:
    """The topology with so many vertices, and (V,) int which of the full one's they are."""
    if vertices is None or vertices >= topology.vertex_count:
        return topology, np.arange(topology.vertex_count)
    rings = contact_rings(topology)
    smaller = decimate(topology, vertices, keep=rings if vertices >= 4 * len(rings) else None)
    return smaller.topology, smaller.kept
