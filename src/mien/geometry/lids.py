"""Lids of a mesh: where they end as one sees them, and what closes them in a blink.

A mesh may end at its lids, or go on behind them in flaps that lie inside the eyeball; what counts is what is
seen from the front. There the slit is swept in columns from corner to corner: in each the skin covers
intervals of height, and the gap between them has an upper and a lower end. In a blink the upper lid comes
down until it ends where the lower one turns from up to forward, lies before it, and nothing of the eye is
seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from mien.geometry.eyeballs import Ball

# On ten artists' heads the upper lid ends -0.3 to 0.8 mm above that place in blinks, which is told best by
# half of the height and all of the depth, within 2 mm of the lower lid's top.
CLOSED_MM = 0.25
"""How high above the lower lid's front edge the upper lid ends in a blink, as artists' do."""
OVERLAP_MM = 0.1
"""How far one lid covers the other, seen from the front, at least."""
_LOOSE_MM = 0.6  # more than the eye is open at rest, in each column, that a correction may be
_COLUMNS = 96
_RIM_MM = 6.0  # beyond the rims at rest: folds of heavy lids come down so far
_SAMPLES = 4  # places of each triangle in a column
_EDGE_MM, _SLOPE = 2.0, 0.5  # below its top, and height against depth: where the lower lid turns forward
_BEHIND_MM = 1.0  # what of the upper lid lies farther behind that edge has slid in behind the lower lid
_TUCKED_MM = 1.5  # unless all that lies so far above its end has
_ABOVE_MM, _AROUND_MM = 0.5, 0.4  # over that edge, and about there, where the upper lid should lie before it
_BEFORE_MM = 0.2  # as artists' do
_MOST_BACK_MM = 1.2  # farther is no lid that slid in, but one that the mesh folds
_EVEN, _EVEN_BACK = 1.0, 4.0  # columns over which a correction is made even
_OPEN_MM = 0.25  # a lower gap is none
_SUNK_MM = 0.02  # what lies so far inside the eyeball still covers it
_BACK = 0.15  # radii of the eyeball: what lies so far inside it is not seen
_REACH = 2.1  # radii from the middle of the eyeball within which lids lie
_FEWEST = 8  # columns of a slit
_ROUNDS = 5  # of closing, as lids slide over the eyeball while they close
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
        # From the face's front, not the eye's: heavy lids lie far above or below the middle of the eyeball.
        ahead = np.array([0.0, 0.0, 1.0])
        along = np.asarray(right - left, np.float64) * (1, 1, 0)
        along = along / np.linalg.norm(along)
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
    def _rims(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(f, 3) triangles of the lower and of the upper lid that can be its end as one sees it."""
        x, side = self.rest[:, 0], self.is_upper[self.faces]
        middle, half = (self.upper + self.lower) / 2, (self.upper - self.lower) / 2
        off = np.abs(self.rest[:, 1] - np.interp(x, self.places, middle)) - np.interp(x, self.places, half)
        near = (off[self.faces] < _RIM_MM).any(axis=1)
        return self.faces[near & ~side.any(axis=1)], self.faces[near & side.all(axis=1)]

    def _slices(self, posed: NDArray, upper: bool) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(q,) columns and (q, 3) places in them of the upper or the lower lid, of members (n, 3)."""
        cut = Cut.of(posed, self._rims[int(upper)], self.places)
        ends, share = cut.ends_of(posed), np.linspace(0, 1, _SAMPLES)[:, None, None]
        places = ends[:, 0] * (1 - share) + ends[:, 1] * share
        return np.tile(cut.column, _SAMPLES), places.reshape(-1, 3)

    def _edge(self, posed: NDArray) -> NDArray[np.float64]:
        """(k, 2) height and depth of the lower lid's front edge: where it turns from up to forward."""
        column, places = self._slices(posed, upper=False)
        top, best = np.full((2, len(self.places)), -np.inf)
        np.maximum.at(top, column, places[:, 1])
        score = np.where(places[:, 1] > top[column] - _EDGE_MM, _SLOPE * places[:, 1] + places[:, 2], -np.inf)
        np.maximum.at(best, column, score)
        edge = np.full((len(self.places), 2), np.nan)
        chosen = np.isfinite(score) & (score == best[column])
        edge[column[chosen]] = places[chosen, 1:]
        return edge

    def _outside(self, posed: NDArray, upper: bool, ball: Ball | None) -> tuple[NDArray, NDArray]:
        """As :meth:`_slices`, without what lies in the eyeball, where it covers nothing."""
        column, places = self._slices(posed, upper)
        if ball is None:
            return column, places
        out = np.linalg.norm(places, axis=1) >= ball.reach(places @ self.facing.axes) - _SUNK_MM
        return column[out], places[out]

    def gaps(self, change: NDArray, ball: Ball | None = None) -> NDArray[np.float64]:
        """How far the upper lid ends above the lower lid's front edge, in each column.

        Args:
            change: (n, 3) float, millimeters. Displacements of the members, in the axes of ``facing``.
            ball: The eyeball, or None where there is none.

        Returns:
            (k,) millimeters, negative where it covers the edge; not a number where no lid is.
        """
        posed = self.rest + change
        edge, (column, places) = self._edge(posed), self._outside(posed, True, ball)
        lands = places[:, 2] >= edge[column, 1] - _BEHIND_MM
        landing, lowest = np.full((2, len(self.places)), np.inf)
        np.minimum.at(lowest, column, places[:, 1])
        np.minimum.at(landing, column[lands], places[lands, 1])
        gap = np.where(landing < lowest + _TUCKED_MM, landing, lowest) - edge[:, 0]
        return np.where(np.isfinite(gap), gap, np.nan)

    def way(self, change: NDArray, ball: Ball | None = None) -> float:
        """The share of a movement after which the lids meet: all of it, or less where they hang at rest.

        Args:
            change: (n, 3) float, millimeters. Displacements of the members in a blink.
            ball: As for :meth:`gaps`.

        Returns:
            0 to 1; 1 for a movement that closes nothing.
        """
        flat = np.asarray(change, np.float64) @ self.facing.axes.T
        rest, moved = self.gaps(np.zeros_like(flat), ball), self.gaps(flat, ball)
        told = np.isfinite(rest) & np.isfinite(moved)
        closes = float((rest - moved)[told].sum())
        if closes <= 0:
            return 1.0
        return float(np.clip((rest[told] - CLOSED_MM).sum() / closes, 0, 1))

    def seen(self, change: NDArray, ball: Ball | None = None) -> NDArray[np.float64]:
        """(k,) millimeters in each column that the eye is seen between the lids; negative where it is not.

        Args:
            change: (n, 3) float, millimeters. Displacements of the members, in the axes of ``facing``.
            ball: As for :meth:`gaps`.
        """
        found = np.stack([np.full(len(self.places), np.inf), np.full(len(self.places), -np.inf)])
        for upper, envelope in ((True, np.minimum), (False, np.maximum)):
            column, places = self._outside(self.rest + change, upper, ball)
            envelope.at(found[int(not upper)], column, places[:, 1])
        return np.where(np.isfinite(found).all(axis=0), found[0] - found[1], -np.inf)

    def _behind(self, posed: NDArray) -> NDArray[np.float64]:
        """(k,) millimeters that the upper lid lies too far back where it covers the lower lid's edge."""
        edge, (column, places) = self._edge(posed), self._slices(posed, upper=True)
        over = np.abs(places[:, 1] - edge[column, 0] - _ABOVE_MM) < _AROUND_MM
        front = np.full(len(self.places), -np.inf)
        np.maximum.at(front, column[over], places[over, 2])
        return np.where(np.isfinite(front), np.maximum(edge[:, 1] + _BEFORE_MM - front, 0), 0.0)

    def _lead(self, change: NDArray, ball: Ball | None) -> NDArray[np.float64]:
        """(k, 2) millimeters in each column that the upper lid is too high, and too far back."""
        high = np.fmax(self.gaps(change, ball) - CLOSED_MM, self.seen(change, ball) + OVERLAP_MM)
        high, back = np.where(np.isfinite(high), high, 0), self._behind(self.rest + change)
        return np.stack([gaussian_filter1d(high, _EVEN), gaussian_filter1d(back, _EVEN_BACK)], axis=1)

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
        most = _LOOSE_MM + (self.upper - self.lower)[:, None]
        most = np.minimum(most, (np.inf, _MOST_BACK_MM))
        total = np.zeros((len(self.places), 2))
        for _ in range(_ROUNDS):
            moved = change @ self.facing.axes.T
            before, along = total, self.rest[:, 0] + moved[:, 0]
            total = np.clip(before + self._lead(moved, ball), -most, most)
            high, back = (np.interp(along, self.places, lead) for lead in (total - before).T)
            more = back[:, None] * self.facing.axes[2] - high[:, None] * self.facing.axes[1]
            change = change + self.share[:, None] * more
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
