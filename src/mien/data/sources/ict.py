"""ICT-FaceKit Light, performed: people of a scanned face space who act, and are scanned.

The release is a mean face, 100 identity modes and 53 expression shapes, to be added. Here each subject is a
draw of the modes; the shapes are carried to that face by its local Jacobian and its own jaw hinge
(:mod:`mien.data.deformation`), acted with a personal style (:mod:`mien.data.performance`), and captured with
noise. Subject ``s`` depends on the seed and on ``s`` only, so a larger set begins with the smaller one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.deformation import FaceActor, Performer
from mien.data.expressions import SHAPES, expression_set
from mien.data.performance import Style, Variation
from mien.data.personal_shapes import personal_shapes
from mien.data.sources.ict_release import IctModel, contact_rings, load_ict
from mien.data.sources.performed import AGAIN, Recording, record
from mien.data.sources.procedural.texture import Painter
from mien.data.sources.procedural.texture_canvas import fitted_canvas
from mien.geometry.hierarchy import decimate
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
    names = expression_set(expressions)
    variation = variation or Variation()
    plan = Recording(subjects, names, variation, seed, sequences, visemes, dict(labels or {}))
    model = load_ict(source, region)
    topology, rows = reduced(model.topology, vertices)
    facts = {
        "builder": "ict", "region": region, "vertices": vertices,
        "units": "centimeters in the release, millimeters here", **plan.facts(),
    }  # fmt: skip
    if textures is not None:
        plan = replace(plan, painter=Painter(fitted_canvas(model.topology, textures)))
        facts["textures"] = {"pixels": textures, "crop": TEXTURE_CROP, "painted": True}
    cast = _Cast(model, _performer(model), rows, variation, seed)
    return record(
        cast, plan, out, topology, source="ict", license=LICENSE, citation=CITATION, facts=facts
    )  # fmt: skip


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
        variation: Spreads of performance and capture.
        seed: Of the data set.
    """

    model: IctModel
    performer: Performer
    rows: NDArray[np.int64]
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


def reduced(topology: Topology, vertices: int | None) -> tuple[Topology, NDArray[np.int64]]:
    """The topology with so many vertices, and (V,) int which of the full one's they are."""
    if vertices is None or vertices >= topology.vertex_count:
        return topology, np.arange(topology.vertex_count)
    rings = contact_rings(topology)
    smaller = decimate(topology, vertices, keep=rings if vertices >= 4 * len(rings) else None)
    return smaller.topology, smaller.kept
