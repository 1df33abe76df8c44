"""The search for a face: what one camera sees is looked at from nine sides, and believed when they agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from mien.find.fusion import PARTS, Fused, fuse, place
from mien.find.known_points import VIEWS, KnownPoints, views_of
from mien.find.looking import Networks, Sighting, Subject, look
from mien.find.windows import LIKELY, turns, windows
from mien.geometry.placement import Placement

LEAST_VIEWS, MOST_SPREAD_MM, MOST_REST_MM = 6, 6.0, 13.0
"""A face is accepted when so many of nine views see it, agree so well, and fit the template so well."""
_SURE_VIEWS, _SURE_SPREAD_MM, _SURE_REST_MM = 7, 5.0, 8.0  # then nothing better is looked for
_SCORE, _PRESENCE = 0.15, 0.3  # of a first sight
_FIRST_REST_MM = 25.0  # farther off the template a first sight is no face
_FIRST_VIEWS = 5  # of the first round around a sight; the second takes all
_SAME = 0.25  # rotation entries and logarithms of scales that differ less are one sight
_LEAST_OF_PART = 0.5  # of a part's points, or it is missing
MOST_SIGHTS = 6
_MOST_FACES = 12  # in one picture
ALL_TURNS = 24


@dataclass(frozen=True, eq=False)
class Seen:
    """A face seen from several sides.

    Args:
        subject: What was looked at.
        placement: Of the mesh, in its own unit, in the template's frame.
        fused: The points, in the subject's unit.
        views: How many of nine views see it.
        spread: Millimeters, median over the known points: how far the views disagree.
        rest: Millimeters, median: what the points differ from the template's.
        facing: Mean cosine at which the surface is seen; negative when it is seen from behind.
        missing: Parts of the face where there is no surface: it is cut, or a hole.
    """

    subject: Subject
    placement: Placement
    fused: Fused
    views: int
    spread: float
    rest: float
    facing: float
    missing: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether this is a face."""
        return self.views >= LEAST_VIEWS and self.spread <= MOST_SPREAD_MM and self.rest <= MOST_REST_MM

    @property
    def is_cut(self) -> bool:
        """Whether this is a face of which a part is missing: views of such a face need not agree."""
        known = self.views >= LEAST_VIEWS and self.rest <= MOST_REST_MM
        return known and bool(self.missing)

    @property
    def sure(self) -> bool:
        """Whether nothing better need be looked for."""
        return self.views >= _SURE_VIEWS and self.spread <= _SURE_SPREAD_MM and self.rest <= _SURE_REST_MM

    @property
    def merit(self) -> float:
        """For comparison: what the limits allow counts one."""
        return self.views / LEAST_VIEWS - self.spread / MOST_SPREAD_MM - self.rest / MOST_REST_MM

    @property
    def points(self) -> NDArray[np.float64]:
        """(478, 3) in the mesh's own unit and axes; NaN where unknown."""
        return self.subject.on_mesh(self.fused.points)


@dataclass(frozen=True, eq=False)
class Searcher:
    """Looks for one template's face.

    Args:
        networks: The detector and the landmarks.
        known: Where on the template their points are.
    """

    networks: Networks
    known: KnownPoints

    def search(
        self, subject: Subject, along: Sequence[NDArray], *, most: int = MOST_SIGHTS, thorough: bool = True
    ) -> list[Seen]:
        """What looks like a face from some turns, the best first; it stops at the first sure one.

        Args:
            subject: Where to look.
            along: Turns, (3, 3) float each, see :func:`mien.find.windows.turns`.
            most: First sights that are examined; each takes a second.
            thorough: See :func:`mien.find.windows.windows`.
        """
        found: list[Seen] = []
        for placement in islice(self._sights(subject, along, thorough), most):
            if seen := self.examine(subject, placement):
                found.append(seen)
                if seen.sure:
                    break
        return sorted(found, key=lambda seen: -seen.merit)

    def others(self, subject: Subject, face: Seen) -> list[Seen]:
        """Further accepted faces that stand elsewhere, seen from where the first one was seen."""
        found: list[Seen] = []
        for turn in turns(LIKELY):
            camera = next(windows(subject, turn))
            sights = look(subject, self.networks, camera, score=_SCORE, presence=_PRESENCE, most=_MOST_FACES)
            for placed in map(self._placed, sights):
                if placed and not any(
                    _overlap(placed, subject.placed(item.placement), self.known) for item in (face, *found)
                ):
                    seen = self.examine(subject, placed)
                    if seen and seen.accepted:
                        found.append(seen)
        return found

    def examine(self, subject: Subject, placement: Placement) -> Seen | None:
        """A placement of the subject, looked at from nine sides and corrected; None where no face is seen."""
        for angles in (VIEWS[:_FIRST_VIEWS], VIEWS):
            views = views_of(subject, self.networks, placement, self.known.center, angles)
            if len(views) <= len(angles) // 2:
                return None
            fused = fuse(views, placement.scale)
            known = np.where((fused.near >= 2)[:, None], fused.points, np.nan)[self.known.numbers]
            if (placed := place(known, self.known.template)) is None:
                return None
            placement, rest = placed
        spread = float(np.median(fused.spread[self.known.numbers]))
        facing = float(np.mean([np.median(view.facing[self.known.numbers]) for view in views]))
        whole = Placement(
            placement.rotation, placement.scale * subject.scale,
            placement.translation - placement.scale * subject.scale * placement.rotation @ subject.middle,
        )  # fmt: skip
        parts = [part for part in PARTS if fused.share(part, self.known.numbers) < _LEAST_OF_PART]
        return Seen(subject, whole, fused, len(views), spread, rest, facing, tuple(parts))

    def _sights(self, subject: Subject, along: Sequence[NDArray], thorough: bool) -> Iterator[Placement]:
        """Placements of the subject that first sights suggest, each once."""
        keys: list[NDArray] = []
        for turn in along:
            for camera in windows(subject, turn, thorough=thorough):
                for sight in look(subject, self.networks, camera, score=_SCORE, presence=_PRESENCE, most=2):
                    placed = self._placed(sight)
                    if placed is None:
                        continue
                    key = np.append(placed.rotation.ravel(), np.log(placed.scale))
                    if any(np.abs(key - other).max() < _SAME for other in keys):
                        continue
                    keys.append(key)
                    yield placed

    def _placed(self, sight: Sighting) -> Placement | None:
        placed = place(sight.points[self.known.numbers], self.known.template)
        return placed[0] if placed and placed[1] < _FIRST_REST_MM else None


def _overlap(a: Placement, b: Placement, known: KnownPoints) -> bool:
    """Whether two placements put the face at one place."""
    size = float(np.ptp(known.template, axis=0).max())
    apart = np.linalg.norm(a.back(known.center) - b.back(known.center))
    return bool(apart < size / min(a.scale, b.scale))
