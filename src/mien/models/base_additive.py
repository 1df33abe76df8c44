"""A linear start for a generator of people and expressions: the game begins with faces instead of noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.statistics import subject_means
from mien.nn.principal import BLOCK, principal_axes

Rows = NDArray[np.int64]


@torch.no_grad()
def start_additively(model: Any, data: FaceDataset, classes: Mapping[str, NDArray[np.int64]]) -> None:
    """Starts a two-layer generator as a linear model: people's mean faces, and what differs from them.

    Identity codes move along the principal axes of people's mean faces, expression codes along those of their
    scans about these means, and noise along the next ones. Further factors start without effect. As codes are
    normal, any rotation of them is as good: the one is taken that brings the codes of labels nearest to the
    faces with these labels.

    Args:
        model: With ``generator`` (Linear, LeakyReLU, Linear), ``sizes``, ``mean_face``, ``scale`` and
            ``label_codes``.
        data: Training faces with identity labels.
        classes: Factor -> (n,) each row's place among the label codes, -1 where the label is missing.
    """
    sizes, subject = model.sizes, data.row_subject
    means = subject_means(data)
    people = np.array(sorted(means))
    center = model.mean_face.numpy(force=True)
    rows = np.flatnonzero(data.row_labeled("identity"))

    def between(part: Rows) -> NDArray[np.float32]:
        return np.stack([means[int(person)] for person in subject[part]]) - center

    def within(part: Rows) -> NDArray[np.float32]:
        return data[part] - center - between(part)

    one_each = rows[[int(np.flatnonzero(subject[rows] == person)[0]) for person in people]]
    who = principal_axes(
        between, one_each, sizes["identity"], centered=False, label="axes of people"
    )  # fmt: skip
    what = principal_axes(
        within, rows, sizes["expression"] + sizes["noise"], centered=False, label="axes of expressions"
    )
    axes = {"identity": who.axes * who.std[:, None], "expression": what.axes * what.std[:, None]}
    axes["noise"] = axes["expression"][sizes["expression"] :]
    axes["expression"] = axes["expression"][: sizes["expression"]]
    for name, read, shown in (("identity", between, one_each), ("expression", within, rows)):
        label = classes[name][shown]
        known = shown[label >= 0]
        if len(known):
            inverse = np.linalg.pinv(axes[name])
            blocks = [known[start : start + BLOCK] for start in range(0, len(known), BLOCK)]
            codes = np.concatenate([read(block).reshape(len(block), -1) @ inverse for block in blocks])
            wanted = model.label_codes(name)[label[label >= 0]].numpy(force=True)
            axes[name] = _turned(axes[name], codes, wanted)
    _carry(model, axes)


def _turned(axes: NDArray, codes: NDArray, wanted: NDArray) -> NDArray[np.float32]:
    """(size, D) axes R^T ``axes``; the orthonormal rows of R bring R ``wanted`` nearest to ``codes``.

    Args:
        axes: (K, D) float. Axes times deviations.
        codes: (n, K) float. Faces in these axes.
        wanted: (n, size) float. The codes that they shall have.
    """
    u, _, vt = np.linalg.svd(codes.T.astype(np.float64) @ wanted, full_matrices=False)
    return ((u @ vt).T @ axes).astype(np.float32)


def _carry(model: Any, axes: Mapping[str, NDArray[np.float32]]) -> None:
    """leaky(z) - leaky(-z) = (1 + slope) z: pairs of hidden units carry each axis; spare ones are silent."""
    first, activation, last = model.generator
    last.weight.zero_()
    last.bias.zero_()
    unit = column = 0
    for name, size in model.sizes.items():
        moves = torch.from_numpy(axes[name]).to(last.weight) if name in axes else last.weight[:, :0].T
        count = min(len(moves), (first.out_features - unit) // 2)
        pairs = unit + torch.arange(count)
        for sign, units in ((1.0, pairs), (-1.0, pairs + count)):
            first.weight[units] = 0.0
            first.bias[units] = 0.0
            first.weight[units, column + torch.arange(count)] = sign
            scale = sign / ((1 + activation.negative_slope) * model.scale)
            last.weight[:, units] = scale * moves[:count].T
        unit, column = unit + 2 * count, column + size
