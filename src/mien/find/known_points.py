"""Where on a template the landmark network sees its points: measured on the template and on known people.

The network's points are no anatomical landmarks of the template's; a public table between the two
conventions is 1 to 15 mm off. So the template itself is looked at, and some people that the model makes: what
is seen on all of them at the same place is known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mien.errors import BadFile
from mien.find.fusion import Fused, fuse
from mien.find.landmarker import POINTS
from mien.find.looking import Networks, Sighting, Subject, camera_of, facing_camera, look
from mien.geometry.placement import Placement
from mien.geometry.surface import Surface
from mien.render.stills import rotation
from mien.topology import Arrays, Topology

VIEWS = ((0, 0), (-20, 0), (20, 0), (-38, 0), (38, 0), (0, -15), (0, 15), (-20, 12), (20, 12))
"""Yaw and pitch, degrees, of the pictures that are taken of a face that has been found."""
SPAN_MM = 300.0
"""Height of those pictures."""
_SCORE, _PRESENCE = 0.25, 0.5
_MARGIN = 1.2  # of a whole template in the first picture of it
_SPREAD_MM = 5.0  # over the views of one person
_DEVIATION_MM = 3.0  # over the people
_CALIBRATING = VIEWS[:5]  # what is seen of people who stand as they should
_VIEWS = 3  # of them that have to agree
_FEWEST = 60  # points without which a template is not known
PEOPLE = 8
"""How many are looked at beside the template."""


@dataclass(frozen=True, eq=False)
class KnownPoints:
    """Points of the landmark network that have a place on a template.

    Args:
        numbers: (K,) int. Which of the 478.
        corners: (K, 3) int. Vertices of the template's triangle that each lies in.
        weights: (K, 3) float. Barycentric weights there.
        template: (K, 3) float, millimeters. Where they are on the template.
    """

    numbers: NDArray[np.int64]
    corners: NDArray[np.int64]
    weights: NDArray[np.float64]
    template: NDArray[np.float64]

    def arrays(self, version: str) -> Arrays:
        """What to keep with a model.

        Args:
            version: What tells the networks.

        Returns:
            Name -> array: the fields, (K,) and (K, 3), millimeters where they are lengths, and the version as
            (n,) uint8.
        """
        return {
            "numbers": self.numbers, "corners": self.corners, "weights": self.weights,
            "template": self.template, "networks": np.frombuffer(version.encode(), np.uint8),
        }  # fmt: skip

    @staticmethod
    def kept(arrays: Arrays | None, topology: Topology, version: str) -> KnownPoints | None:
        """What :meth:`arrays` gave; None where there is nothing, or it is of other networks.

        Args:
            arrays: Name -> (K,) or (K, 3) array, or None.
            topology: The template's.
            version: What tells the networks.

        Raises:
            BadFile: The arrays are damaged.
        """
        if arrays is None:
            return None
        try:
            if bytes(arrays["networks"]).decode() != version:
                return None
            known = KnownPoints(*(arrays[name] for name in ("numbers", "corners", "weights", "template")))
            count = len(known.numbers)
            shapes = [known.corners.shape, known.weights.shape, known.template.shape]
            whole = shapes == [(count, 3)] * 3 and _FEWEST <= count
            whole = whole and all(np.isfinite(item).all() for item in (known.weights, known.template))
            whole = whole and 0 <= known.numbers.min() and known.numbers.max() < POINTS
            whole = whole and 0 <= known.corners.min() and known.corners.max() < topology.vertex_count
        except (KeyError, TypeError, ValueError):
            whole = False
        if not whole:
            raise BadFile("the model's face points are damaged", remedy="copy the model folder again")
        return known

    @property
    def center(self) -> NDArray[np.float64]:
        """(3,) the middle of the face, millimeters."""
        return (self.template.min(axis=0) + self.template.max(axis=0)) / 2


def views_of(
    subject: Subject, networks: Networks, placement: Placement, center: NDArray,
    angles: Sequence[tuple[float, float]] = VIEWS,
) -> list[Sighting]:  # fmt: skip
    """What is seen of a placed face from several sides, one face a side at most.

    Args:
        subject: What is looked at.
        networks: The detector and the landmarks.
        placement: Of the subject in the template's frame.
        center: (3,) float, millimeters. The middle of the face in the template's frame.
        angles: Yaw and pitch, degrees.
    """
    subject.light_face(placement.back(center), 1 / placement.scale)
    found: list[Sighting] = []
    for yaw, pitch in angles:
        camera = facing_camera(placement, rotation(yaw, pitch), center, SPAN_MM)
        found += look(subject, networks, camera, score=_SCORE, presence=_PRESENCE)
    return found


def known_points(
    topology: Topology, people: Sequence[NDArray], networks: Networks, version: str
) -> KnownPoints | None:
    """The network's points on a template; measured once, then cached by content.

    Args:
        topology: The template's.
        people: (V, 3) float, millimeters, each. Faces to look at beside the template; may be none.
        networks: The detector and the landmarks.
        version: What tells networks apart, for the cache.

    Returns:
        The points, or None where the networks see no face in the template.
    """
    digest = hashlib.sha256(version.encode())
    for person in people:
        digest.update(np.ascontiguousarray(person, np.float32).tobytes())
    stored = topology.derived(
        f"seen-points-{digest.hexdigest()[:16]}", lambda: _measured(topology, people, networks)
    )
    if len(stored["numbers"]) < _FEWEST:
        return None
    return KnownPoints(stored["numbers"], stored["corners"], stored["weights"], stored["template"])


def drawn_people(topology: Topology, modes: NDArray | None) -> list[NDArray[np.float32]]:
    """Some faces of a distribution, the same every time; none without one.

    Args:
        topology: The template's, the mean.
        modes: (K, V, 3) float, millimeters, or None. Scaled to one standard deviation.

    Returns:
        (V, 3) float32, millimeters, each.
    """
    if modes is None:
        return []
    drawn = np.random.default_rng(0).standard_normal((PEOPLE, len(modes)))
    return list((topology.template + np.tensordot(drawn, modes, axes=1)).astype(np.float32))


def _measured(topology: Topology, people: Sequence[NDArray], networks: Networks) -> Arrays:
    template = topology.template.astype(np.float64)
    surface = Surface(template, topology.faces)
    places = [
        _on_template(fused, person, topology)
        for person in (template, *people)
        if (fused := _seen(person, topology, networks)) is not None
    ]
    if not places:
        return dict.fromkeys(("numbers", "corners", "weights", "template"), np.zeros(0))
    stacked = np.stack(places)
    count = np.isfinite(stacked[..., 0]).sum(axis=0)
    known = np.flatnonzero(count >= max(1, (len(people) + 1) // 2))
    middle = np.nanmedian(stacked[:, known], axis=0)
    deviation = np.nanmedian(np.linalg.norm(stacked[:, known] - middle, axis=-1), axis=0)
    known, middle = known[deviation < _DEVIATION_MM], middle[deviation < _DEVIATION_MM]
    found = surface.located(middle, np.zeros_like(middle))
    return {
        "numbers": known, "corners": found.corners, "weights": found.weights, "template": found.points,
    }  # fmt: skip


def _seen(person: NDArray, topology: Topology, networks: Networks) -> Fused | None:
    """The points on one person, who is upright and in millimeters as templates are."""
    subject = Subject(person, topology.faces)
    upright = Placement(np.eye(3), 1 / subject.scale, subject.middle)
    whole = camera_of(np.eye(3), np.zeros(3), _MARGIN * float(np.ptp(subject.vertices, axis=0)[:2].max()))
    first = look(subject, networks, whole, score=_SCORE, presence=_PRESENCE)
    if not first:
        return None
    center = upright.apply(np.nanmedian(first[0].points, axis=0))
    views = views_of(subject, networks, upright, center, _CALIBRATING)
    if len(views) < _VIEWS:
        return None
    fused = fuse(views, upright.scale)
    good = (fused.near >= _VIEWS) & (fused.spread < _SPREAD_MM)
    points = np.where(good[:, None], upright.apply(fused.points), np.nan)
    return replace(fused, points=points)


def _on_template(fused: Fused, person: NDArray, topology: Topology) -> NDArray[np.float64]:
    """(478, 3) points of one person, carried to the template by the triangles that they lie in."""
    at = np.full(fused.points.shape, np.nan)
    good = np.flatnonzero(np.isfinite(fused.points).all(axis=1))
    found = Surface(person.astype(np.float64), topology.faces).located(
        fused.points[good], np.zeros((len(good), 3))
    )
    at[good] = np.einsum("nk,nkc->nc", found.weights, topology.template[found.corners].astype(np.float64))
    return at
