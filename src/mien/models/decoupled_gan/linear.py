"""A linear start for a generator of people and expressions: training begins with faces instead of noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien.data.dataset import FaceDataset
from mien.data.statistics import subject_means
from mien.nn.principal import BLOCK, principal_axes

Rows = NDArray[np.int64]
Read = Callable[[Rows], NDArray[np.float32]]


@torch.no_grad()
def start_additively(model: Any, data: FaceDataset, classes: Mapping[str, NDArray[np.int64]]) -> None:
    """Starts a two-layer generator as a linear model: people's mean faces, and what differs from them.

    Identity codes move along the principal axes of people's mean faces; codes of further factors along those
    of their classes' mean displacements; expression codes along those of what is left. Noise moves nothing at
    first: along the next axes it would change expressions that share a code, and no term would hold it back.
    As codes are normal, any rotation of them is as good: the one is taken that brings the codes of labels
    nearest to the faces with these labels.

    Args:
        model: With ``generator`` (Linear, LeakyReLU, Linear), ``sizes``, ``mean_face``, ``scale`` and
            ``label_codes``.
        data: Training faces with identity labels.
        classes: Factor -> (n,) each row's place among the label codes, -1 where the label is missing.
    """
    sizes, subject = model.sizes, data.row_subject
    means = subject_means(data)
    center = model.mean_face.numpy(force=True)
    rows = np.flatnonzero(data.row_labeled("identity"))
    one_each = rows[np.unique(subject[rows], return_index=True)[1]]
    further = [name for name in classes if name not in ("identity", "expression")]
    effects: dict[str, NDArray[np.float32]] = {}

    def between(part: Rows) -> NDArray[np.float32]:
        return np.stack([means[int(person)] for person in subject[part]]) - center

    def within(part: Rows) -> NDArray[np.float32]:
        left = data[part] - center - between(part)
        return left - sum(effects[name][classes[name][part]] for name in effects)

    axes: dict[str, NDArray[np.float32]] = {}
    for name in further:
        effects |= {name: _effects(within, rows, classes[name], len(model.label_codes(name)))}
        moved = effects[name].reshape(len(effects[name]), -1)
        _, deviation, directions = np.linalg.svd(moved / max(1, len(moved) - 1) ** 0.5, full_matrices=False)
        kept = min(sizes[name], int((deviation > 1e-6 * max(deviation[0], 1e-12)).sum()))
        axes[name] = directions[:kept] * deviation[:kept, None]
    who = principal_axes(between, one_each, sizes["identity"], centered=False, label="axes of people")
    # Faces whose other labels are all known have these effects taken off; the others would bring them back.
    clean = rows[np.all([classes[name][rows] >= 0 for name in further], axis=0)] if further else rows
    what = principal_axes(
        within, clean if len(clean) else rows, sizes["expression"], centered=False,
        label="axes of expressions",
    )  # fmt: skip
    axes["identity"], axes["expression"] = who.axes * who.std[:, None], what.axes * what.std[:, None]
    _turn(model, axes, {"identity": (between, one_each), "expression": (within, rows)}, classes)
    for name in further:
        wanted = model.label_codes(name).numpy(force=True)
        codes = effects[name][:-1].reshape(len(wanted), -1) @ np.linalg.pinv(axes[name])
        axes[name] = _turned(axes[name], codes, wanted)
    _carry(model, axes)


def _effects(read: Read, rows: Rows, label: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """(count + 1, V, 3) mean of each class's faces about the mean of them all; zero without a label (-1)."""
    known = rows[label[rows] >= 0]
    sums, counts = np.zeros((count + 1, *read(known[:1]).shape[1:])), np.zeros(count + 1)
    for start in range(0, len(known), BLOCK):
        part = known[start : start + BLOCK]
        np.add.at(sums, label[part], read(part))
        np.add.at(counts, label[part], 1)
    present = counts > 0
    sums[present] /= counts[present][:, None, None]
    sums[present] -= sums[present].mean(axis=0)
    return sums.astype(np.float32)


def _turn(
    model: Any, axes: dict[str, NDArray[np.float32]], shown: Mapping[str, tuple[Read, Rows]],
    classes: Mapping[str, NDArray[np.int64]],
) -> None:  # fmt: skip
    """Turns the axes of factors toward the codes of their labels, by all faces that have one."""
    for name, (read, rows) in shown.items():
        label = classes[name][rows]
        known = rows[label >= 0]
        if not len(known):
            continue
        inverse = np.linalg.pinv(axes[name])
        blocks = [known[start : start + BLOCK] for start in range(0, len(known), BLOCK)]
        codes = np.concatenate([read(block).reshape(len(block), -1) @ inverse for block in blocks])
        wanted = model.label_codes(name)[label[label >= 0]].numpy(force=True)
        axes[name] = _turned(axes[name], codes, wanted)


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
