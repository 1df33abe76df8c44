"""ICT-FaceKit Light, performed: people of a scanned face space who act, and are scanned.

The release is a mean face, 100 identity modes and 53 expression shapes, to be added. Here each subject is a
draw of the modes; the shapes are carried to that face by its local Jacobian and its own jaw hinge
(:mod:`mien.data.deformation`), acted with a personal style (:mod:`mien.data.performance`), and captured with
noise. Subject ``s`` depends on the seed and on ``s`` only, so a larger set begins with the smaller one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.clip_performance import EXTREMENESS, FRAMES_PER_SECOND, clip_activations, draw_frames
from mien.data.dataset import FaceDataset
from mien.data.deformation import FaceActor, Performer
from mien.data.examples import write_examples
from mien.data.expressions import SHAPES, ExpressionSet, expression_set
from mien.data.performance import Style, Variation, capture_noise, take_activations
from mien.data.sources.ict_release import IctModel, contact_rings, load_ict
from mien.data.sources.procedural.texture import Painter, painted
from mien.data.sources.procedural.texture_canvas import fitted_canvas
from mien.data.speech import (
    PerformedFace,
    check_speech,
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
    performer = _performer(model)
    facts = {
        "builder": "ict", "seed": seed, "set": names.name, "region": region, "vertices": vertices,
        "sequences": sequences, "units": "centimeters in the release, millimeters here",
        "variation": asdict(variation), "labels": shares,
    }  # fmt: skip
    painter = None if textures is None else Painter(fitted_canvas(model.topology, textures))
    if painter is not None:
        facts["textures"] = {"pixels": textures, "crop": TEXTURE_CROP, "painted": True}
    with DatasetWriter(
        out, topology, names.columns, fps=FRAMES_PER_SECOND if sequences else 0.0, source="ict",
        license=LICENSE, citation=CITATION, facts=facts, factors=factors,
    ) as writer:  # fmt: skip
        for person in track(range(subjects), "performing ICT faces"):
            rng = np.random.default_rng([seed, person])
            actor = performer.on(draw_face(rng, model)).at(rows)
            style = Style.draw(rng, SHAPES, variation)
            skin = None if painter is None else painted(painter, [seed, person])
            faces = (
                _clips(actor, style, names, seed, person) if sequences
                else _scans(actor, style, names, seed, person, visemes)
            )  # fmt: skip
            for face, labeled in zip(faces, label_marks(shares, (*FACTORS, *factors), seed, person)):
                writer.append(
                    face.vertices, names.coded(face.weights, face.active), subject=f"ict_{person:04d}",
                    clip=face.clip, frame=face.frame, labeled=labeled, classes={"viseme": face.viseme},
                    texture=None if skin is None else skin.wearing(face.active),
                )  # fmt: skip
    dataset = FaceDataset.load(out)
    write_examples(dataset, Path(out) / "examples")
    return dataset


def _performer(model: IctModel) -> Performer:
    full, points = model.topology, model.topology.landmarks
    places = dict(zip(points.names, points.corners[:, 0].tolist(), strict=True))
    return Performer(full.template, full.faces, model.shapes, SHAPES, places)


def draw_face(rng: np.random.Generator, model: IctModel) -> NDArray[np.float64]:
    """(V, 3) a neutral face, millimeters: standard normal coefficients, as the release's own sampler."""
    return model.topology.template + np.tensordot(rng.standard_normal(len(model.modes)), model.modes, 1)


def _scans(
    actor: FaceActor, style: Style, names: ExpressionSet, seed: int, person: int, visemes: bool
) -> Iterator[PerformedFace]:
    """The neutral and one take of each expression, silent or with each viseme."""
    recipes = recipes_with(names)
    for expression, viseme, take in takes(names, visemes):
        rng = np.random.default_rng([seed, person, take])
        levels = take_activations(rng, style, recipes, weights_of_take(names, expression, viseme))
        face = actor.perform(levels)
        weights = names.label(expression) if expression else {}
        yield PerformedFace(
            capture_noise(rng, face, style.variation), weights, _active(levels), viseme=viseme
        )


def _clips(
    actor: FaceActor, style: Style, names: ExpressionSet, seed: int, person: int
) -> Iterator[PerformedFace]:
    """A neutral scan, and one clip of each expression."""
    rng = np.random.default_rng([seed, person, 0])
    levels = take_activations(rng, style, names.recipes, {})
    yield PerformedFace(capture_noise(rng, actor.perform(levels), style.variation), {}, _active(levels))
    for number, expression in enumerate(names.names):
        rng = np.random.default_rng([seed, person, zlib.crc32(expression.encode())])
        clip = clip_activations(
            rng, style, names.recipes, expression, frames=draw_frames(rng),
            extremeness=rng.uniform(*EXTREMENESS),
        )  # fmt: skip
        frames = capture_noise(rng, actor.perform_frames(clip.activations), style.variation)
        for frame, (vertices, weight) in enumerate(zip(frames, clip.label, strict=True)):
            share = {name: float(weight) * value for name, value in names.label(expression).items()}
            levels = clip.activations[frame]
            yield PerformedFace(vertices, share, _active(levels), person * len(names) + number, frame)


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
