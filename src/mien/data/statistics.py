"""Statistics of a data set's vertices, read in blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.progress import track

BLOCK = 256


def vertex_statistics(data: FaceDataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(V, 3) mean, millimeters, and (V, 3) variance, square millimeters, of every coordinate."""
    shift = data.topology.template.astype(np.float64)  # sums of differences keep their digits
    total, squares = np.zeros((2, *shift.shape))
    for start in track(range(0, len(data), BLOCK), "mean face"):
        block = data[slice(start, start + BLOCK)] - shift
        total += block.sum(axis=0)
        squares += np.square(block).sum(axis=0)
    mean = total / len(data)
    return shift + mean, np.maximum(squares / len(data) - mean**2, 0)


def subject_means(data: FaceDataset) -> dict[int, NDArray[np.float32]]:
    """Subject -> (V, 3) mean of the scans that are labeled as this person, millimeters."""
    subject, known = data.row_subject, data.row_labeled("identity")
    total: dict[int, NDArray[np.float64]] = {}
    for row in track(np.flatnonzero(known), "mean face of everybody"):
        person = int(subject[row])
        total[person] = total.get(person, 0.0) + data[int(row)].astype(np.float64)
    counts = np.bincount(subject[known])
    return {person: np.asarray(summed / counts[person], np.float32) for person, summed in total.items()}
