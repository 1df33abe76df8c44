"""Whether a registration may be used: each measure against two limits, in sentences.

The limits were set on ten artists' heads, five embedded people and five of ICT's, meshed anew, with a
template each of the embedded people and of ICT's: above what was measured where a face had been found,
below what was measured where the template had been put 8 to 28 degrees and 6 to 36 mm away, with nothing to
guide it. The largest values of the former, then the median where landmarks had come to lie more than 10 mm
off:

    flipped 0.06, 0.05    stretch 8.4, 5.9    uncovered 0.25, 0.03    unlike 0.63, 0.63    landmarks 0.4 mm
    mouth rims 1.7, 1.1 mm    eye rims 1.3, 12 mm    eyeballs 2.1, 19 mm

So lids and eyeballs tell, the others only what is torn. On as many other heads, that no limit was taken
from, all 40 found faces are accepted; of 42 templates more than 10 mm off 30 were refused, 8 doubtful and 4
accepted: a template that has slid along a smooth face cannot be told from a right one without eyeballs,
landmarks or a face that was seen. All rows: ``benchmarks/judge_registrations.py`` and its results.

That was before templates that nothing guides were bent again until they stay. Of 20 put 8 to 28 degrees and 6
to 36 mm away on ten artists' heads, 9 had come to lie more than 10 mm off; bent again none does, 18 are
accepted at 2 to 6 mm, and the 2 at 8 and 10 mm are doubtful (``settled-registrations`` among the results).

Since lids are told by the slit that is seen between them (:mod:`mien.geometry.seen_lids`), where a mesh and
its template both show one: all 30 found faces of artists and embedded people are accepted, with eye rims of
1.5 mm at most, and of 60 templates put as far away the one that came to lie more than 10 mm off is refused
(``judged-registrations-seen-lids``). Before, every avatar of few vertices that was tried was doubtful.

Landmarks on an egg or a ball are met like those on a face. None of the 196 registrations in these results
that are right lacks both lids and lips, and none is more than 0.72 unlike; with landmarks, an egg is 0.79 and
a ball 0.89.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadMesh
from mien.geometry.fit_measures import Measure
from mien.geometry.nearest_landmark import nearest_landmark
from mien.topology import Topology


@dataclass(frozen=True)
class Limit:
    """What a measure may be.

    Args:
        doubtful: Above this it is said.
        refused: Above this the registration is not used.
        words: What is wrong then, with ``{value}`` in the unit that a reader expects.
        factor: From the measure to that unit.
    """

    doubtful: float
    refused: float
    words: str
    factor: float = 1.0


LIMITS = {
    "flipped": Limit(0.08, 0.14, "{value:.0f} % of the template's triangles are folded over", 100),
    "stretch": Limit(9.0, 16.0, "the template is stretched or pressed {value:.0f}-fold"),
    "uncovered": Limit(0.30, 0.60, "{value:.0f} % of the template have no counterpart", 100),
    "unlike": Limit(0.75, 0.92, "the relief of the mesh is {value:.0f} % unlike that of a face", 100),
    "mouth rims": Limit(3.0, np.inf, "no lips meet or end within {value:.0f} mm of the template's"),
    "eye rims": Limit(2.5, np.inf, "no lids end within {value:.0f} mm of the template's"),
    "no eyes": Limit(0.5, 0.5, "there are no lids where the template has them, and the relief is another"),
    "no face": Limit(0.75, 0.75, "there are neither lids nor lips, and the relief is another than a face's"),
    "eyeballs": Limit(3.5, 9.0, "an eyeball lies {value:.0f} mm beside the template's eye"),
    "landmarks": Limit(3.0, 8.0, "the template lies {value:.0f} mm from the places that were seen or given"),
}
"""Name of a measure -> its limits."""


def judge_registration(
    measures: Iterable[Measure], bent: NDArray, topology: Topology, name: str
) -> tuple[str, ...]:
    """What a user should know of a registration; refuses one that cannot be right.

    Args:
        measures: Of it.
        bent: (V, 3) float, millimeters. The template on the mesh.
        topology: The template's.
        name: What to call the mesh.

    Raises:
        BadMesh: A measure is beyond its limit.
    """
    notes = []
    for measure in measures:
        limit = LIMITS[measure.name]
        words = limit.words.format(value=limit.factor * measure.value) + _near(measure.vertex, bent, topology)
        if measure.value > limit.refused:
            raise BadMesh(
                f"the template does not lie on {name!r} as on a face", received=words,
                remedy="give landmarks of eyes and mouth, or check that the mesh is one face, at rest",
            )  # fmt: skip
        if measure.value > limit.doubtful:
            notes.append(f"the registration is doubtful: {words}; look at its picture")
    return tuple(notes)


def _near(vertex: int, bent: NDArray, topology: Topology) -> str:
    return f" near {nearest_landmark(bent[vertex], bent, topology)}" if vertex >= 0 else ""
