"""Lashes and films of tears: pieces that go with the lids, whose rims part and meet.

Between two lids that move apart from each other no place of the skin tells how a piece moves that reaches
from one to the other. A film is therefore held by both rims, and shrinks as they close until it lies in the
line where they meet, behind it. Lashes go with the rim that they grow from, and turn about the middle of the
eyeball as their lid does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from mien.geometry.contact import Eye
from mien.geometry.lids import Facing, Lids

_NEAREST = 4  # places of the skin that tell where a rim goes
_EVEN = 2.0  # columns over which a rim is made even
_NARROW_MM = 1.0  # an eye that opens less, as at its corners, holds a film by one rim as well as by the other
_BEHIND_MM = 1.0  # a film whose lids meet lies so far behind the line where they do
_OWN = 0.5  # widths of an eye: pieces whose middle is farther from the slit's belong to no lid of it
_WHOLE = 1.5  # widths of an eye from its middle: a piece that reaches farther aside belongs to both eyes


@dataclass(frozen=True, eq=False)
class LidRim:
    """Where one lid ends beside each vertex of a piece, and what of the skin tells where that goes.

    Args:
        rest: (n, 3) float, millimeters, in the axes of the eye's :class:`mien.geometry.lids.Facing`.
        rows: (n, k) vertices of the mesh.
        weights: (n, k) float; they sum to 1.
    """

    rest: NDArray[np.float64]
    rows: NDArray[np.int64]
    weights: NDArray[np.float64]

    @staticmethod
    def of(lids: Lids, along: NDArray, skin: NDArray, upper: bool) -> LidRim:
        """The rim of a lid beside places along the eye.

        Args:
            lids: Of the eye.
            along: (n,) millimeters along the eye.
            skin: (M,) bool. Which vertices of the mesh are skin.
            upper: Whether the upper lid's rim is asked for.
        """
        heights = lids.upper if upper else lids.lower
        shown = np.zeros(len(lids.members), bool)
        shown[lids.faces] = True
        own = np.flatnonzero(shown & skin[lids.members] & (lids.is_upper == upper))
        places = np.stack([lids.places, heights], axis=1)
        far, near = cKDTree(lids.rest[own, :2]).query(places, k=min(_NEAREST, len(own)))
        weights = 1 / (np.reshape(far, (len(places), -1)) + 0.1)
        weights, near = weights / weights.sum(axis=1, keepdims=True), np.reshape(near, (len(places), -1))
        depth = gaussian_filter1d((weights * lids.rest[own][near, 2]).sum(axis=1), _EVEN)
        column = np.abs(along[:, None] - lids.places).argmin(axis=1)
        beside = np.clip(along, lids.places[0], lids.places[-1])
        rest = np.stack([beside, np.interp(beside, lids.places, heights), depth[column]], axis=1)
        return LidRim(rest, lids.members[own][near[column]], weights[column])

    def moves(self, carried: NDArray) -> NDArray[np.float64]:
        """(B, n, 3) how the rim beside each vertex moves, of (B, M, 3) displacements of the mesh."""
        return np.einsum("nk,bnkc->bnc", self.weights, carried[:, self.rows])


@dataclass(frozen=True, eq=False)
class LidPiece:
    """A piece that goes with the lids of an eye.

    Args:
        members: (n,) its vertices.
        rest: (n, 3) float, millimeters. Where they are, in the axes of ``facing``.
        facing: How the eye is looked at.
        upper: The upper lid's rim beside each vertex.
        lower: The lower lid's.
        is_film: Whether it lies between both lids; else it grows from one of them.
    """

    members: NDArray[np.int64]
    rest: NDArray[np.float64]
    facing: Facing
    upper: LidRim
    lower: LidRim
    is_film: bool

    def moved(self, carried: NDArray) -> NDArray[np.float64]:
        """(B, n, 3) millimeters that the piece moves by when the mesh moves by (B, M, 3)."""
        axes = self.facing.axes
        rims = [rim.moves(carried) @ axes.T for rim in (self.upper, self.lower)]
        return (self._film(*rims) if self.is_film else self._lash(*rims)) @ axes

    def _film(self, above: NDArray, below: NDArray) -> NDArray[np.float64]:
        """What a film does between rims that move by (B, n, 3) each, in the axes of the eye."""
        top, bottom = self.upper.rest, self.lower.rest
        span = np.maximum(np.linalg.norm(top - bottom, axis=1), 1e-9)
        height = np.clip((self.rest - bottom)[:, 1] / np.maximum((top - bottom)[:, 1], 1e-9), 0, 1)[:, None]
        closes = span - np.linalg.norm(top + above - bottom - below, axis=2)
        closed = np.clip(closes / np.maximum(span, _NARROW_MM), 0, 1)[..., None]
        bulge = self.rest - (height * top + (1 - height) * bottom)
        behind = np.array([0.0, 0.0, _BEHIND_MM])
        return height * above + (1 - height) * below - closed * (bulge + behind)

    def _lash(self, above: NDArray, below: NDArray) -> NDArray[np.float64]:
        """What lashes do on the rim that they are nearer to."""
        reach = [np.linalg.norm(self.rest - rim.rest, axis=1).min() for rim in (self.upper, self.lower)]
        root, change = (self.upper.rest, above) if reach[0] < reach[1] else (self.lower.rest, below)
        angle = _elevation(root + change) - _elevation(root)
        offset = self.rest - root
        turned = np.stack(
            [
                np.broadcast_to(offset[:, 0], angle.shape),
                np.cos(angle) * offset[:, 1] + np.sin(angle) * offset[:, 2],
                np.cos(angle) * offset[:, 2] - np.sin(angle) * offset[:, 1],
            ],
            axis=2,
        )
        return change + turned - offset


def _elevation(places: NDArray) -> NDArray[np.float64]:
    """(...,) radians that (..., 3) places lie above the middle of the eyeball, in the axes of an eye."""
    return np.arctan2(places[..., 1], places[..., 2])


def lid_pieces(
    points: NDArray, skin: NDArray, eyes: Sequence[Eye], pieces: Sequence[tuple[str, NDArray]]
) -> list[LidPiece]:
    """The pieces that go with lids of a mesh.

    Args:
        points: (M, 3) float, millimeters. The mesh.
        skin: (M,) bool. Which of its vertices are skin.
        eyes: Its eyes whose lids stand open.
        pieces: Kind and (n,) vertices of each of its pieces; what is no ``tear film`` and no ``lashes`` is
            left out, as are pieces that belong to no eye or to two.
    """
    found = []
    for kind, members in pieces:
        if kind not in ("tear film", "lashes"):
            continue
        for eye in eyes:
            lids, rest = eye.lids, eye.lids.facing.flat(points[members])
            width = lids.places[-1] - lids.places[0]
            middle = np.array([lids.places.mean(), (lids.upper + lids.lower).mean() / 2])
            off = np.abs(rest[:, 0] - middle[0])
            near = np.linalg.norm(rest[:, :2].mean(axis=0) - middle) < _OWN * width
            if near and (off < _WHOLE * width).all():
                above, below = (LidRim.of(lids, rest[:, 0], skin, upper) for upper in (True, False))
                found.append(LidPiece(members, rest, lids.facing, above, below, kind == "tear film"))
    return found
