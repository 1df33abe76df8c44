"""Named expressions of a generator: what faces of a label look like on the mean person, and their codes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mien.data.dataset import FaceDataset
from mien.data.labels import Labels
from mien.data.statistics import subject_means
from mien.nn.descent import minimize_rows
from mien.progress import track

STEPS = 60
PRIOR = 1e-3  #: of a code's squared length: what no label tells stays likely


def label_faces(data: FaceDataset, labels: Labels, mean: NDArray) -> NDArray[np.float32]:
    """The mean person with each label: the mean over its faces of what differs from the own person's mean.

    People with one face tell nothing about themselves: theirs are compared with the mean face.

    Args:
        data: n faces.
        labels: Of these faces, with C classes.
        mean: (V, 3) float. Mean face, millimeters.

    Returns:
        (C, V, 3) float32, millimeters.
    """
    people, subject = subject_means(data), data.row_subject
    counts = np.bincount(subject[data.row_labeled("identity")], minlength=len(data.subjects))
    effects = np.zeros((len(labels.names), *mean.shape))
    for row in track(labels.known, "faces of labels"):
        person = int(subject[row]) if data.row_labeled("identity")[row] else -1
        own = people[person] if person >= 0 and counts[person] > 1 else mean
        effects[labels.index[row]] += data[int(row)] - own
    shares = np.bincount(labels.index[labels.known], minlength=len(effects))
    return (mean + effects / shares[:, None, None]).astype(np.float32)


def codes_of_faces(make: Callable[[Tensor], Tensor], faces: Tensor, start: Tensor, unit: Tensor) -> Tensor:
    """Codes whose faces come nearest to some faces, each on its own.

    Args:
        make: (B, D) codes to (B, V, 3) faces, millimeters.
        faces: (B, V, 3) float, millimeters.
        start: (B, D) float. Where the search begins.
        unit: Scalar. Millimeters in which distances are weighed against the length of codes.

    Returns:
        (B, D) float.
    """

    def loss(codes: Tensor) -> Tensor:
        wrong = ((make(codes) - faces) / unit).square().sum(2).mean(1)
        return wrong + PRIOR * codes.square().sum(1)

    *_, found = minimize_rows(loss, start, steps=STEPS)
    return found.detach()
