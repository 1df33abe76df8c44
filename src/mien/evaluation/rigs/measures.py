"""How near a morph target comes to an artist's shape on the same head: pure functions of displacements.

Let g be the artist's displacements of a head's skin and p those of the rig that is judged. Doing nothing has
the relative error 1; two artists never agree fully, so no value is read without the controls beside.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

MOVED_MM = 0.3
"""What an artist moves less than this counts as at rest."""
FAR_MM = 15.0
"""Farther than this from all that the artist moves, motion is a leak."""
SHORTEST_MM = 0.4
"""Shorter edges say nothing about stretch: their length is noise of modeling."""


def relative_error(made: NDArray, artist: NDArray) -> float:
    """||p - g|| / ||g||: 0 is the artist's shape, 1 is doing nothing.

    Args:
        made: (N, 3) float, millimeters. p.
        artist: (N, 3) float, millimeters. g.
    """
    size = float(np.linalg.norm(artist))
    return float(np.linalg.norm(np.asarray(made, np.float64) - artist)) / size if size else float("nan")


def cosine(made: NDArray, artist: NDArray) -> float:
    """<p, g> / (||p|| ||g||): whether the right places move the right way, at whatever size.

    Args:
        made: (N, 3) float, millimeters. p.
        artist: (N, 3) float, millimeters. g.
    """
    sizes = float(np.linalg.norm(made)) * float(np.linalg.norm(artist))
    return float((np.asarray(made, np.float64) * artist).sum()) / sizes if sizes else 0.0


def size_ratio(made: NDArray, artist: NDArray) -> float:
    """max ||p|| / max ||g||: how large the shape is against the artist's.

    Args:
        made: (N, 3) float, millimeters. p.
        artist: (N, 3) float, millimeters. g.
    """
    largest = float(np.linalg.norm(artist, axis=1).max(initial=0))
    return float(np.linalg.norm(made, axis=1).max(initial=0)) / largest if largest else float("nan")


def should_rest(artist: NDArray, rest: NDArray) -> NDArray[np.bool_]:
    """(N,) whether skin lies farther than 15 mm from all that the artist moves: there nothing should move.

    Args:
        artist: (N, 3) float, millimeters. g.
        rest: (N, 3) float, millimeters. The skin at rest.
    """
    moved = np.linalg.norm(artist, axis=1) > MOVED_MM
    if not moved.any():
        return np.ones(len(rest), bool)
    return cKDTree(rest[moved]).query(rest, distance_upper_bound=FAR_MM)[0] > FAR_MM


def leak(made: NDArray, still: NDArray) -> float:
    """Share of ||p||^2 on skin that should be at rest; 0 is perfect.

    Args:
        made: (N, 3) float, millimeters. p.
        still: (N,) bool from :func:`should_rest`.
    """
    energy = (np.asarray(made, np.float64) ** 2).sum(axis=1)
    return float(energy[still].sum() / energy.sum()) if energy.sum() else 0.0


def edge_stretch(made: NDArray, rest: NDArray, edges: NDArray) -> float:
    """The largest factor by which an edge grows: spikes and torn lips stand out.

    Args:
        made: (N, 3) float, millimeters. p.
        rest: (N, 3) float, millimeters.
        edges: (M, 2) int, see :func:`measured_edges`.
    """
    posed = rest + made
    lengths = [np.linalg.norm(x[edges[:, 0]] - x[edges[:, 1]], axis=1) for x in (posed, rest)]
    return float((lengths[0] / lengths[1]).max(initial=1.0))


def measured_edges(rest: NDArray, faces: NDArray) -> NDArray[np.int64]:
    """(M, 2) int: each edge once, without those shorter than 0.4 mm at rest.

    Args:
        rest: (N, 3) float, millimeters.
        faces: (F, 3) int.
    """
    corners = np.asarray(faces, np.int64)
    edges = np.sort(np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]]), axis=1)
    edges = np.unique(edges, axis=0)
    return edges[np.linalg.norm(rest[edges[:, 0]] - rest[edges[:, 1]], axis=1) > SHORTEST_MM]


@dataclass(frozen=True)
class Pairs:
    """Points of two rims that an artist brings together or apart.

    Args:
        upper: (n,) int. Vertices of the upper rim.
        lower: (n,) int. The vertex of the lower rim that belongs to each.
    """

    upper: NDArray[np.int64]
    lower: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.upper)

    def opening(self, made: NDArray, rest: NDArray) -> float:
        """Mean height of the upper rim over the lower one, millimeters; negative where they overlap.

        Args:
            made: (N, 3) float, millimeters.
            rest: (N, 3) float, millimeters, +Y up.
        """
        posed = rest + made
        return float((posed[self.upper, 1] - posed[self.lower, 1]).mean())

    def distance(self, made: NDArray, rest: NDArray) -> float:
        """Mean distance of the rims, millimeters.

        Args:
            made: (N, 3) float, millimeters.
            rest: (N, 3) float, millimeters.
        """
        posed = rest + made
        return float(np.linalg.norm(posed[self.upper] - posed[self.lower], axis=1).mean())


def lid_pairs(blink: NDArray, rest: NDArray) -> Pairs:
    """Which places of the lids an artist's blink brings together.

    The upper lid's rim moves most; what it lands on and what itself hardly moved is the lower lid's.

    Args:
        blink: (N, 3) float, millimeters. The artist's displacements.
        rest: (N, 3) float, millimeters.
    """
    length = np.linalg.norm(blink, axis=1)
    upper = np.flatnonzero(length > 0.75 * length.max(initial=0))
    around = np.linalg.norm(rest - rest[upper].mean(axis=0), axis=1) < 30
    lower = np.flatnonzero((length < 0.4 * length.max(initial=0)) & around)
    if not len(lower):
        return Pairs(upper[:0], lower)
    closed = rest + blink
    gap, nearest = cKDTree(closed[lower]).query(closed[upper])
    met = lower[nearest]
    kept = (gap < 1.5) & (np.linalg.norm(rest[upper] - rest[met], axis=1) > 5)
    return Pairs(upper[kept], met[kept])


def lip_pairs(jaw_open: NDArray, rest: NDArray) -> Pairs:
    """Which places of the lips lie on each other at rest and part when an artist opens the jaw.

    Args:
        jaw_open: (N, 3) float, millimeters. The artist's displacements.
        rest: (N, 3) float, millimeters, +Z out of the face.
    """
    length = np.linalg.norm(jaw_open, axis=1)
    upper = np.flatnonzero(length < 0.25 * length.max(initial=0))
    lower = np.flatnonzero(length > 0.5 * length.max(initial=0))
    if not len(upper) or not len(lower):
        return Pairs(upper[:0], lower[:0])
    gap, nearest = cKDTree(rest[lower]).query(rest[upper])
    near = gap < 2.5
    pairs = Pairs(upper[near], lower[nearest[near]])
    if not len(pairs):
        return pairs
    # The outer lips, not the walls of the mouth behind them.
    front = rest[pairs.upper, 2] > np.median(rest[pairs.upper, 2])
    return Pairs(pairs.upper[front], pairs.lower[front])
