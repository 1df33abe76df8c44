"""What touches after carrying: lids in a blink, lips that close over a dropped jaw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mien.geometry.eyeballs import Ball
from mien.geometry.lids import Lids, find_lids
from mien.geometry.openings import Opening

_OWN = 0.9  # widths of an eye between its middle and its eyeball's
_SOCKET = 0.5  # widths of an eye: how deep the middle of an eyeball would lie where there is none
_AROUND = 0.8  # widths of the mouth around its middle within which lips are looked for
_SHUT = 0.2  # widths of an eye between the template's lids: a closed eye, if no slit is seen
# Artists' heads: 0.09 to 0.12 in a blink, 0.29 to 0.31 at rest. A scan with closed eyes: 0.10 and 0.14.
_PARTS, _TOUCHING_MM = 0.4, 2.5  # of the jaw's motion: what parts so far and lay so near at rest are lips
_LIP_FADE_MM, _LIP_EVEN_MM = 15.0, 3.0
_LIP_PASSES = 5  # lips of three heads were 0.5, 0.2 and 0.4 mm apart after one, 0.1 to 0.2 after five


@dataclass(frozen=True, eq=False)
class Meets:
    """What meets in each of B movements.

    Args:
        lids: (B, 2) bool. Whether the left and the right eye (the person's own) close.
        jaw: The movement that drops the jaw, or None.
        lips: The movement that closes the lips over it, or None.
        tongue: The movement that puts the tongue out between them, or None.
    """

    lids: NDArray[np.bool_]
    jaw: int | None = None
    lips: int | None = None
    tongue: int | None = None


@dataclass(frozen=True, eq=False)
class Eye:
    """An eye of a mesh.

    Args:
        side: 0 for the person's left one, 1 for the right one.
        lids: Its lids.
        ball: Its eyeball, or None.
    """

    side: int
    lids: Lids
    ball: Ball | None


def find_eyes(
    points: NDArray, faces: NDArray, registered: NDArray, slits: Sequence[Opening], balls: Sequence[Ball]
) -> list[Eye]:
    """The eyes of a mesh whose lids stand open.

    Args:
        points: (M, 3) float, millimeters, in the template's frame.
        faces: (F, 3) int. The skin's triangles.
        registered: (V, 3) float, millimeters. The template on the mesh.
        slits: Its openings.
        balls: The eyeballs of the mesh.
    """
    found = []
    for slit in slits:
        if slit.kind != "eye" or not len(slit.upper) or not len(slit.lower):
            continue
        left, right = np.asarray(registered, np.float64)[list(slit.corners)]
        middle, width = (left + right) / 2, float(np.linalg.norm(right - left))
        own = [ball for ball in balls if np.linalg.norm(ball.center - middle) < _OWN * width]
        ball = min(own, key=lambda item: float(np.linalg.norm(item.center - middle))) if own else None
        up = (registered[slit.upper].mean(axis=0) - registered[slit.lower].mean(axis=0)).astype(np.float64)
        lids = find_lids(points, faces, ball or _imagined(left, right, up), left, right)
        if lids is not None:
            side = int(middle[0] < np.median(registered[:, 0]))  # +X is the person's left
            found.append(Eye(side, lids, ball))
    return found


def _imagined(left: NDArray, right: NDArray, up: NDArray) -> Ball:
    """An eyeball where a head has none: behind its corners, and nowhere in the way."""
    width = float(np.linalg.norm(right - left))
    ahead = np.cross(right - left, up)
    center = (left + right) / 2 - _SOCKET * width * ahead / np.linalg.norm(ahead)
    return Ball(center, _SOCKET * width, _SOCKET * width * np.eye(3))


def shut_eyes(registered: NDArray, slits: Sequence[Opening], eyes: Sequence[Eye]) -> tuple[int, ...]:
    """Which eyes are closed at rest: 0 for the person's left one, 1 for the right one.

    Args:
        registered: (V, 3) float, millimeters. The template on the mesh.
        slits: Its openings.
        eyes: Those of the mesh whose lids stand open.
    """
    found, middle = set(), np.median(registered[:, 0])
    for slit in slits:
        if slit.kind != "eye" or not len(slit.upper) or not len(slit.lower):
            continue
        left, right = np.asarray(registered, np.float64)[list(slit.corners)]
        gap = registered[slit.upper].mean(axis=0) - registered[slit.lower].mean(axis=0)
        if np.linalg.norm(gap) < _SHUT * np.linalg.norm(right - left):
            found.add(int((left + right)[0] / 2 < middle))  # +X is the person's left
    return tuple(sorted(found - {eye.side for eye in eyes}))


def as_far_as_open(
    carried: NDArray, left: NDArray, meets: Meets, eyes: Sequence[Eye], shut: Sequence[int]
) -> NDArray[np.float64]:
    """Movements that close eyes, no farther than these stand open at rest; closed ones stay as they are.

    Args:
        carried: (B, M, 3) float, millimeters.
        left: (M,) bool. The person's left half of the mesh.
        meets: What meets in the movements.
        eyes: Of the mesh.
        shut: The eyes that are closed at rest, see :func:`shut_eyes`.

    Returns:
        (B, M, 3) float64, millimeters.
    """
    result = np.array(carried, np.float64)
    for row, side in zip(*np.nonzero(meets.lids), strict=True):
        ways = [eye.lids.way(carried[row, eye.lids.members], eye.ball) for eye in eyes if eye.side == side]
        way = 0.0 if side in shut else min(ways, default=1.0)
        result[row, left != bool(side)] *= way
    return result


def lids_closed(
    eyes: Sequence[Eye], carried: NDArray, meets: Meets, edges: NDArray, spread: NDArray
) -> NDArray[np.float64]:
    """Movements of a mesh in which the lids meet where they should.

    Args:
        eyes: Of the mesh.
        carried: (B, M, 3) float, millimeters.
        meets: What meets in them.
        edges: (M,) float, millimeters. The longest edge at each vertex.
        spread: (M,) bool. What goes with the lids and is no skin: lashes, films of tears.

    Returns:
        (B, M, 3) float64, millimeters.
    """
    result = np.array(carried, np.float64)
    for eye in eyes:
        rows, members = np.flatnonzero(meets.lids[:, eye.side]), eye.lids.members
        skin = ~spread[members]
        beside = np.flatnonzero(~skin)
        nearest = cKDTree(eye.lids.rest[skin]).query(eye.lids.rest[beside])[1] if len(beside) else beside
        for row in rows:
            before = result[row, members]
            after = eye.lids.closed(before, eye.ball, edges[members])
            more = (after - before)[skin]
            after[beside] = before[beside] + more[nearest]
            result[row, members] = after
    return result


@dataclass(frozen=True, eq=False)
class Lips:
    """Places of both lips that touch at rest, and how far around them skin goes with them.

    Args:
        upper: (n,) vertices of the upper lip.
        lower: (n,) the vertex of the lower lip at each.
        members: (m,) vertices around them.
        weights: (m, n) float. How much of each pair's correction a member takes; negative below.
    """

    upper: NDArray[np.int64]
    lower: NDArray[np.int64]
    members: NDArray[np.int64]
    weights: NDArray[np.float64]

    def apart(self, change: NDArray) -> NDArray[np.float64]:
        """(..., n, 3) millimeters that displacements (..., M, 3) move each place from the one below it."""
        return change[..., self.upper, :] - change[..., self.lower, :]

    def foremost(self, points: NDArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(k,) upper and (k,) lower places of the lips themselves, not of what touches behind them.

        Args:
            points: (M, 3) float, millimeters, +Z out of the face. The mesh.
        """
        front = points[self.upper, 2] >= np.median(points[self.upper, 2])
        return self.upper[front], self.lower[front]

    def closed(self, change: NDArray) -> NDArray[np.float64]:
        """(M, 3) what has to be added to displacements (M, 3) so that the lips lie as they do at rest.

        Each pass spreads evenly what still parts them: one leaves a third of where they part unevenly.
        """
        more = np.zeros_like(change)
        for _ in range(_LIP_PASSES):
            more[self.members] -= 0.5 * self.weights @ self.apart(change + more)
        return more


def find_lips(points: NDArray, skin: NDArray, jaw_open: NDArray, mouth: Opening) -> Lips | None:
    """The lips of a mesh: what lies together at rest and parts when the jaw drops.

    Args:
        points: (M, 3) float, millimeters.
        skin: (M,) bool.
        jaw_open: (M, 3) float, millimeters. Displacements.
        mouth: Where the mouth is.
    """
    around = np.linalg.norm(points - mouth.center, axis=1) < _AROUND * mouth.width
    rows = np.flatnonzero(skin & around)
    down = -jaw_open[rows, 1]
    most = float(down.max(initial=0))
    if most < _TOUCHING_MM:
        return None
    high, low = rows[down < 0.5 * most], rows[down >= 0.5 * most]
    if not len(high) or not len(low):
        return None
    gap, nearest = cKDTree(points[low]).query(points[high])
    lower = low[nearest]
    kept = (gap < _TOUCHING_MM) & (jaw_open[high, 1] - jaw_open[lower, 1] > _PARTS * most)
    upper, lower = high[kept], lower[kept]
    if not len(upper):
        return None
    sides = [_shares(points[group], points[ends]) for group, ends in ((high, upper), (low, lower))]
    return Lips(upper, lower, np.concatenate([high, low]), np.concatenate([sides[0], -sides[1]]))


def _shares(points: NDArray, ends: NDArray) -> NDArray[np.float64]:
    """(m, n) how much of what each of (n, 3) places does points (m, 3) near it do."""
    far = np.linalg.norm(points[:, None] - ends[None], axis=2)
    nearest = far.min(axis=1)
    weights = np.exp(-((far**2 - nearest[:, None] ** 2) / _LIP_EVEN_MM**2))
    share = np.clip(1 - nearest / _LIP_FADE_MM, 0, 1)
    share = share * share * (3 - 2 * share)
    return share[:, None] * weights / weights.sum(axis=1, keepdims=True)
