"""Lids of a mesh: where they end as one sees them, and what closes them in a blink.

A mesh may end at its lids, or go on behind them in flaps that lie inside the eyeball; what counts is what is
seen from the front. There the slit is swept in columns from corner to corner: in each the skin covers
intervals of height, and the gap between them has an upper and a lower end. In a blink the lower envelope of
what lies above the slit comes to the upper envelope of what lies below it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from mien.geometry.differential import face_normals
from mien.geometry.eyeballs import Ball

TOUCHING_MM = 0.2
"""How high the upper lid lies on the lower one behind its front edge, as artists' do on average."""
OVERLAP_MM = 0.1
"""How far one lid covers the other, seen from the front, at least."""
_LOOSE_MM = 0.3  # more than the eye is open at rest, in each column, that a correction may be
_COLUMNS = 96
_MARGIN_MM = 1.5  # from the end of a lid, as it is seen, to its front edge in height
_BEHIND_MM = 0.4  # the front edge of the lower lid at which lids touch
_NEAREST = 4
_EVEN = 2.0  # columns over which a correction is made even
_FACING = 0.5  # cosine: what faces the other lid
_OPEN_MM = 0.25  # a lower gap is none
_BACK = 0.15  # radii of the eyeball: what lies so far inside it is not seen
_REACH = 2.1  # radii from the middle of the eyeball within which lids lie
_FEWEST = 8  # columns of a slit
_ROUNDS = 4  # of closing, as lids slide over the eyeball while they close
_FADE = 0.9  # heights of the open eye over which a lid's correction fades out above its rim
_SHORTEST_FADE_MM = 5.0
_CORNER_MM = 2.0  # beyond the corners it fades out over as much


@dataclass(frozen=True, eq=False)
class Facing:
    """An eye seen from its front.

    Args:
        center: (3,) float, millimeters. The middle of the eyeball.
        radius: Of the eyeball, millimeters.
        axes: (3, 3) rows: from the corner of smaller x to the other, up, out of the face.
    """

    center: NDArray[np.float64]
    radius: float
    axes: NDArray[np.float64]

    @staticmethod
    def of(ball: Ball, left: NDArray, right: NDArray) -> Facing:
        """How an eyeball looks out between two corners.

        Args:
            ball: The eyeball.
            left: (3,) float, millimeters. The corner of smaller x.
            right: (3,) float, millimeters. The other.
        """
        along = (right - left) / np.linalg.norm(right - left)
        ahead = (left + right) / 2 - ball.center
        ahead = ahead - (ahead @ along) * along
        ahead = ahead / np.linalg.norm(ahead)
        axes = np.stack([along, np.cross(ahead, along), ahead])
        return Facing(np.asarray(ball.center, np.float64), ball.radius, axes)

    def flat(self, points: NDArray) -> NDArray[np.float64]:
        """(..., 3) millimeters along the eye, up, and out, of (..., 3) points."""
        return (points - self.center) @ self.axes.T


@dataclass(frozen=True, eq=False)
class Lids:
    """Both lids of an eye of a mesh.

    Args:
        facing: How the eye is looked at.
        members: (n,) vertices of the mesh around the eye.
        rest: (n, 3) float, millimeters. Where they are, in the axes of ``facing``.
        faces: (f, 3) int. Triangles of members that are seen, by their row among them.
        places: (k,) millimeters along the eye: columns in which the eye stands open.
        upper: (k,) millimeters: the height of the upper lid's rim there.
        lower: (k,) millimeters: that of the lower one.
    """

    facing: Facing
    members: NDArray[np.int64]
    rest: NDArray[np.float64]
    faces: NDArray[np.int64]
    places: NDArray[np.float64]
    upper: NDArray[np.float64]
    lower: NDArray[np.float64]

    @property
    def opening(self) -> float:
        """How far the eye stands open at rest, millimeters."""
        return float((self.upper - self.lower).max())

    @cached_property
    def is_upper(self) -> NDArray[np.bool_]:
        """(n,) which members lie above the slit."""
        middle = (self.upper + self.lower) / 2
        return self.rest[:, 1] > np.interp(self.rest[:, 0], self.places, middle)

    @cached_property
    def share(self) -> NDArray[np.float64]:
        """(n,) how much of what closes its rim a vertex of the upper lid takes: all of it at the rim."""
        x = self.rest[:, 0]
        above = self.rest[:, 1] - np.interp(x, self.places, self.upper)
        beyond = np.maximum(self.places[0] - x, x - self.places[-1])
        fade = max(_FADE * self.opening, _SHORTEST_FADE_MM)
        share = _smooth(1 - np.maximum(above, 0) / fade) * _smooth(1 - np.maximum(beyond, 0) / _CORNER_MM)
        return np.where(self.is_upper, share, 0.0)

    @cached_property
    def _lower_edge(self) -> EdgePlaces:
        """The front edge of the lower lid: what reaches farthest up and out of the face in each column."""
        cut = Cut.of(self.rest, self.faces[~self.is_upper[self.faces].any(axis=1)], self.places)
        at = cut.ends_of(self.rest)
        score = at[..., 1] + at[..., 2]
        score[np.abs(at[..., 1] - self.lower[cut.column, None]) > _MARGIN_MM] = -np.inf
        best = np.full(len(self.places), -np.inf)
        np.maximum.at(best, cut.column, score.max(axis=1, initial=-np.inf))
        return cut.chosen(np.isfinite(score) & (score == best[cut.column, None]))

    @cached_property
    def _upper_face(self) -> EdgePlaces:
        """What the upper lid turns to the lower one; where that is nothing, its end as it is seen."""
        faces = self.faces[self.is_upper[self.faces].all(axis=1)]
        cut = Cut.of(self.rest, faces, self.places)
        off = np.abs(cut.ends_of(self.rest)[..., 1] - self.upper[cut.column, None])
        normals = face_normals(self.rest, faces)
        down = (normals[:, 1] < -_FACING * np.linalg.norm(normals, axis=1))[cut.row]
        chosen = (off < _MARGIN_MM) & down[:, None]
        least = np.full(len(self.places), np.inf)
        np.minimum.at(least, cut.column, off.min(axis=1, initial=np.inf))
        return cut.chosen(chosen | (off <= least[cut.column, None]))

    def gaps(self, change: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """How far the upper lid is above the lower lid's front edge, from corner to corner.

        Args:
            change: (n, 3) float, millimeters. Displacements of the members, in the axes of ``facing``.

        Returns:
            (q,) millimeters along the eye, ascending, and (q,) millimeters, negative where they overlap.
        """
        posed = self.rest + change
        above, below = self._upper_face.of(posed), self._lower_edge.of(posed)
        if not len(above) or not len(below):
            return np.zeros(0), np.zeros(0)
        touched = below[:, [0, 2]] - (0.0, _BEHIND_MM)
        count = min(_NEAREST, len(above))
        far, near = cKDTree(above[:, [0, 2]]).query(touched, k=range(1, count + 1))
        weight = 1 / (far + 0.1) ** 2
        height = (weight * above[near, 1]).sum(axis=1) / weight.sum(axis=1)
        order = np.argsort(below[:, 0], kind="stable")
        return below[order, 0], (height - below[:, 1])[order]

    def seen(self, change: NDArray) -> NDArray[np.float64]:
        """(k,) millimeters in each column that the eye is seen between the lids; negative where it is not.

        Args:
            change: (n, 3) float, millimeters. Displacements of the members, in the axes of ``facing``.
        """
        posed, side = self.rest + change, self.is_upper[self.faces]
        found = np.stack([np.full(len(self.places), np.inf), np.full(len(self.places), -np.inf)])
        upper, lower = (Cut.of(posed, self.faces[k], self.places) for k in (side.all(1), ~side.any(1)))
        np.minimum.at(found[0], upper.column, upper.ends_of(posed)[..., 1].min(axis=1, initial=np.inf))
        np.maximum.at(found[1], lower.column, lower.ends_of(posed)[..., 1].max(axis=1, initial=-np.inf))
        return np.where(np.isfinite(found).all(axis=0), found[0] - found[1], -np.inf)

    def _lead(self, change: NDArray, along: NDArray) -> NDArray[np.float64]:
        """(n,) millimeters that the upper lid is too high at places along the eye."""
        where, gap = self.gaps(change)
        if len(gap) < _FEWEST:
            return np.zeros(len(along))
        most = _LOOSE_MM + self.upper - self.lower
        touching = np.interp(self.places, where, gaussian_filter1d(gap, _EVEN)) - TOUCHING_MM
        lead = np.clip(np.maximum(touching, self.seen(change) + OVERLAP_MM), -most, most)
        return np.interp(along, self.places, gaussian_filter1d(lead, _EVEN / 2))

    def closed(self, change: NDArray, ball: Ball | None, edges: NDArray) -> NDArray[np.float64]:
        """Displacements in which the lids meet all along the slit.

        Args:
            change: (n, 3) float, millimeters. Displacements of the members in a blink.
            ball: The eyeball that lids slide over, if there is one.
            edges: (n,) float, millimeters. The longest edge at each member.

        Returns:
            (n, 3) float64, millimeters.
        """
        points = self.rest @ self.facing.axes + self.facing.center
        change = np.asarray(change, np.float64)
        for _ in range(_ROUNDS):
            moved = change @ self.facing.axes.T
            lead = self._lead(moved, self.rest[:, 0] + moved[:, 0])
            change = change - (self.share * lead)[:, None] * self.facing.axes[1]
            if ball is not None:
                change = ball.slid_over(points, change[None], edges)[0]
        return change


def find_lids(points: NDArray, faces: NDArray, ball: Ball, left: NDArray, right: NDArray) -> Lids | None:
    """The lids around an eyeball, or None where nothing is open there.

    Args:
        points: (M, 3) float, millimeters.
        faces: (F, 3) int. The skin's triangles.
        ball: The eyeball; of a head that has none, where one would be.
        left: (3,) float, millimeters. The corner of smaller x, about.
        right: (3,) float, millimeters. The other.
    """
    facing = Facing.of(ball, left, right)
    flat = facing.flat(points)
    near = (np.linalg.norm(flat, axis=1) < _REACH * ball.radius) & (flat[:, 2] > 0)
    inside = ball.reach(points[near] - ball.center) - np.linalg.norm(flat[near], axis=1)
    seen = near.copy()
    seen[near] = inside < _BACK * ball.radius
    members = np.flatnonzero(near)
    number = np.cumsum(near) - 1
    shown = number[faces[seen[faces].all(axis=1)]]
    if not len(shown):
        return None
    ends = facing.flat(np.stack([left, right]))
    reach = 0.5 * (ends[1, 0] - ends[0, 0]) + _CORNER_MM
    places = np.linspace(ends[:, 0].mean() - reach, ends[:, 0].mean() + reach, _COLUMNS)
    found = _swept(flat[members], shown, places, ends[:, 1].mean())
    if len(found) < _FEWEST:
        return None
    columns = np.array(found)
    return Lids(facing, members, flat[members], shown, *columns.T)


@dataclass(frozen=True, eq=False)
class Cut:
    """Where columns cut triangles: two ends on the edges of each.

    Args:
        column: (p,) int. Which column.
        row: (p,) int. Which triangle.
        ends: (p, 2, 2) int. Vertices of both edges.
        share: (p, 2) float. How far along them.
    """

    column: NDArray[np.int64]
    row: NDArray[np.int64]
    ends: NDArray[np.int64]
    share: NDArray[np.float64]

    @staticmethod
    def of(points: NDArray, faces: NDArray, columns: NDArray) -> Cut:
        """Cuts triangles (f, 3) of points (n, 3) in columns at (k,) millimeters along, ascending."""
        across = points[faces, 0]
        first = np.searchsorted(columns, across.min(axis=1), side="left")
        count = np.maximum(np.searchsorted(columns, across.max(axis=1), side="left") - first, 0)
        row = np.repeat(np.arange(len(faces)), count)
        column = first[row] + np.arange(len(row)) - (np.cumsum(count) - count)[row]
        edges = np.stack([faces[row], np.roll(faces[row], -1, axis=1)], axis=2)
        start, end = points[edges[..., 0], 0], points[edges[..., 1], 0]
        place = columns[column][:, None]
        crosses = (start <= place) != (end <= place)
        two = np.argsort(~crosses, axis=1, kind="stable")[:, :2]
        share = (place - start) / np.where(crosses, end - start, 1)
        return Cut(
            column, row, np.take_along_axis(edges, two[..., None], axis=1),
            np.take_along_axis(share, two, axis=1),
        )  # fmt: skip

    def ends_of(self, points: NDArray) -> NDArray[np.float64]:
        """(p, 2, 3) both ends, of points (n, 3)."""
        share = self.share[..., None]
        return points[self.ends[..., 0]] * (1 - share) + points[self.ends[..., 1]] * share

    def chosen(self, which: NDArray) -> EdgePlaces:
        """The ends that (p, 2) bool chooses."""
        return EdgePlaces(self.ends[which], self.share[which])


@dataclass(frozen=True, eq=False)
class EdgePlaces:
    """Places on edges of a mesh.

    Args:
        ends: (q, 2) int. Vertices of the edge.
        share: (q,) float. How far along it.
    """

    ends: NDArray[np.int64]
    share: NDArray[np.float64]

    def of(self, points: NDArray) -> NDArray[np.float64]:
        """(q, 3) where they are, of points (n, 3)."""
        share = self.share[:, None]
        return points[self.ends[:, 0]] * (1 - share) + points[self.ends[:, 1]] * share


def _swept(flat: NDArray, faces: NDArray, places: NDArray, height: float) -> list[tuple[float, float, float]]:
    """Place, upper and lower end of the gap in each open column, from the middle to both corners."""
    cut = Cut.of(flat, faces, places)
    heights = cut.ends_of(flat)[..., 1]
    low, high = heights.min(axis=1), heights.max(axis=1)
    order = np.argsort(cut.column, kind="stable")
    bounds = np.searchsorted(cut.column[order], np.arange(len(places) + 1))
    middle, columns = len(places) // 2, []
    for steps in (range(middle, len(places)), range(middle - 1, -1, -1)):
        around = (height - _SHORTEST_FADE_MM, height + _SHORTEST_FADE_MM)
        for number in steps:
            rows = order[bounds[number] : bounds[number + 1]]
            gap = _gap(low[rows], high[rows], around)
            if gap is None:
                break
            columns.append((float(places[number]), gap[1], gap[0]))
            around = gap
    return sorted(columns)


def _gap(low: NDArray, high: NDArray, around: tuple[float, float]) -> tuple[float, float] | None:
    """The lower and upper end of the gap between intervals that has most in common with another one."""
    order = np.argsort(low)
    bottom, reached = low[order][1:], np.maximum.accumulate(high[order])[:-1]
    opens = np.flatnonzero(bottom - reached > _OPEN_MM)
    if not len(opens):
        return None
    shared = np.minimum(bottom[opens], around[1]) - np.maximum(reached[opens], around[0])
    best = opens[shared.argmax()]
    return (float(reached[best]), float(bottom[best])) if shared.max() > 0 else None


def _smooth(share: NDArray) -> NDArray[np.float64]:
    """0 to 1 without a kink."""
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)
