"""The data tensor: people by expressions, the neutral among them, with holes where nobody was scanned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.labels import NEUTRAL, labels_of
from mien.errors import BadSetting
from mien.progress import track

BLOCK = 256


def labeled_cells(data: FaceDataset) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which cell of the tensor each scan with both labels belongs to.

    Returns:
        (n,) int64 rows of the view, and (n, 2) int64 person and expression of each; expression 0 is the
        neutral. A face that hardly performs its expression (below half weight) is in no cell.

    Raises:
        BadSetting: There are fewer than two people or two expressions with labels.
    """
    who, shown = labels_of(data, "identity"), labels_of(data, "expression")
    rows = np.flatnonzero((who.index >= 0) & (shown.index >= 0))
    person = np.unique(who.index[rows], return_inverse=True)[1]
    expression = shown.among((NEUTRAL, *data.expressions))[rows]
    people, kinds = (len(np.unique(labels)) for labels in (person, expression))
    if min(people, kinds) < 2:
        raise BadSetting(
            "a multilinear model needs people and expressions with labels, at least two of each",
            received=f"{people} people, {kinds} expressions", remedy="label who and what the scans show",
        )  # fmt: skip
    return rows, np.column_stack([person, expression])


def cell_means(
    data: FaceDataset, rows: NDArray[np.int64], cells: NDArray[np.int64], mean: NDArray, axes: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The tensor in coordinates along axes.

    Args:
        data: A view.
        rows: (n,) int64 of :func:`labeled_cells`.
        cells: (n, 2) int64 of the same.
        mean: (3V,) float, millimeters. What the coordinates are measured from.
        axes: (C, 3V) float, orthonormal.

    Returns:
        (S, 1 + E, C) float, millimeters: means of the scans of each cell, zero where there is none; and
        (S, 1 + E) bool: which cells have any.
    """
    shape = int(cells[:, 0].max()) + 1, 1 + len(data.expressions)
    total, count = np.zeros((*shape, len(axes))), np.zeros(shape)
    for start in track(range(0, len(rows), BLOCK), "tensor"):
        part = slice(start, start + BLOCK)
        offset = data[rows[part]].reshape(len(rows[part]), -1) - mean
        np.add.at(total, tuple(cells[part].T), offset @ axes.T)
        np.add.at(count, tuple(cells[part].T), 1)
    return total / np.maximum(count, 1)[:, :, None], count > 0
