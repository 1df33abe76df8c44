"""Nearest training mesh of each sample, exactly, without measuring most of the distances.

With d_v the offset of vertex v, the triangle inequality bounds the sum of lengths over a patch of vertices
by the length of the sum::

    V avd(x, y) = sum_v ||d_v|| >= sum_patches || sum_(v in patch) d_v ||

Faces differ smoothly, so the bound is tight for patches of a few centimeters. Sums over patches are a
hundredth of the data and fit in memory; coarse patches rule out nearly all training meshes, finer ones most
of the rest, and only what no bound can rule out is read and measured. The answer is the exact minimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mien.evaluation.distances import Meshes, avd
from mien.progress import track

#: Patches at the levels of the search; each level merges those of the next.
LEVELS = (8, 64, 512)
#: Meshes that are in memory at once.
BLOCK = 64
#: Nearest and farthest samples that are kept for pictures.
EXTREMES = 8
#: Sums of single precision are trusted this far.
SLACK = 1e-5


class StoredMeshes(Protocol):
    """Training meshes that may be on disk: a :class:`FaceDataset`, or an array (N, V, 3) in millimeters."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[np.float32]:
        """(n, V, 3) millimeters, the meshes of rows (n,)."""
        ...


@dataclass(frozen=True)
class Nearest:
    """For each sample the nearest training mesh.

    Args:
        distance: (n,) float, millimeters. Average vertex distance.
        row: (n,) int. Row of the training meshes.
        measured: Distances that were measured, of all n N; the rest was ruled out.
    """

    distance: NDArray[np.float64]
    row: NDArray[np.int64]
    measured: int


class NearestMeshes:
    """Finds the nearest of many training meshes by sums over patches at several levels.

    Args:
        training: N meshes (V, 3) float, millimeters; read once to index them, a block at a time.
        template: (V, 3) float, millimeters. Patches are compact on it.
    """

    def __init__(self, training: StoredMeshes, template: Meshes) -> None:
        self.training, self.count = training, template.shape[0]
        levels = tuple(size for size in LEVELS if 2 * size <= self.count) or (1,)
        self.order, self.starts = _patches(np.asarray(template, np.float64), levels[-1])
        self.center = np.asarray(template, np.float32)
        self.merged = [levels[-1] // size for size in levels]
        sums = self._fine(training)
        self.levels = [_merged(sums, merged) for merged in self.merged]

    def nearest(self, samples: Meshes) -> Nearest:
        """Exact nearest training mesh of each sample.

        Args:
            samples: (n, V, 3) float, millimeters.
        """
        fine = self._fine(samples)
        found = [self._one(samples[k], fine[:, :, k]) for k in track(range(len(samples)), "nearest faces")]
        distance, row, measured = (np.array(column) for column in zip(*found))
        return Nearest(distance, row, int(measured.sum()))

    def _fine(self, meshes: StoredMeshes) -> NDArray[np.float32]:
        """(3, patches, n) sums of offsets from the template; offsets keep single precision precise."""
        sums = np.empty((3, len(self.starts), len(meshes)), np.float32)
        for start in track(range(0, len(meshes), BLOCK), "sums over patches"):
            rows = np.arange(start, min(start + BLOCK, len(meshes)))
            offset = np.take(np.asarray(meshes[rows], np.float32) - self.center, self.order, axis=1)
            sums[:, :, rows] = np.add.reduceat(offset, self.starts, axis=1).transpose(2, 1, 0)
        return sums

    def _one(self, sample: Meshes, fine: NDArray) -> tuple[float, int, int]:
        """Distance, row, and how many distances were measured."""
        left = np.arange(len(self.training))
        best, row, measured = np.inf, -1, 0
        for sums, merged in zip(self.levels, self.merged):
            bound = self._bound(sums, _merged(fine[..., None], merged)[..., 0], left)
            if row < 0:  # something to compare with: the most promising one
                row = int(left[bound.argmin()])
                best, measured = float(avd(self.training[np.array([row])][0], sample)), 1
            left, bound = left[bound < best], bound[bound < best]
        order = np.argsort(bound)
        for start in range(0, len(order), 8):
            some = order[start : start + 8]
            some = some[bound[some] < best]
            if not len(some):
                break
            distance = avd(self.training[left[some]], sample)
            measured += len(some)
            if distance.min() < best:
                best, row = float(distance.min()), int(left[some[distance.argmin()]])
        return best, row, measured

    def _bound(self, sums: NDArray, own: NDArray, rows: NDArray) -> NDArray[np.float64]:
        """(len(rows),) lower bounds of avd."""
        whole = len(rows) == sums.shape[2]
        bound = np.zeros(len(rows), np.float32)
        for patch in range(sums.shape[1]):
            difference = sums[:, patch] if whole else sums[:, patch, rows]
            difference = difference - own[:, patch, None]
            bound += np.sqrt(np.einsum("cn,cn->n", difference, difference))
        return bound.astype(np.float64) * ((1 - SLACK) / self.count)


def extremes(meshes: Meshes, distance: NDArray) -> tuple[Meshes, NDArray[np.float64]]:
    """At most ``EXTREMES`` of the nearest samples and of the farthest.

    Args:
        meshes: (n, V, 3) float, millimeters.
        distance: (n,) float, millimeters. To the nearest training mesh.

    Returns:
        The chosen meshes (k, V, 3), and their distances (k,).
    """
    order = np.argsort(distance)
    rows = np.unique(np.concatenate([order[:EXTREMES], order[-EXTREMES:]]))
    return meshes[rows], distance[rows]


def _merged(sums: NDArray, merged: int) -> NDArray:
    """(3, patches, n) with ``merged`` patches added up to one."""
    return sums.reshape(3, -1, merged, sums.shape[2]).sum(axis=2) if merged > 1 else sums


def _patches(points: NDArray, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Halves the points along their longest side again and again: an order, and where patches begin in it."""
    parts = [np.arange(len(points))]
    while len(parts) < count:
        halves: list[NDArray] = []
        for part in parts:
            side = int(np.ptp(points[part], axis=0).argmax())
            part = part[np.argsort(points[part, side], kind="stable")]
            halves += [part[: len(part) // 2], part[len(part) // 2 :]]
        parts = halves
    sizes = np.array([len(part) for part in parts])
    return np.concatenate(parts), np.cumsum(sizes) - sizes
