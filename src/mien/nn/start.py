"""A closed-form start for an encoder and its decoders: a linear face model before the first step.

Random PointNet features of registered faces already determine most of their shape linearly. So heads can
start as ridge regressions of principal coefficients on those features, and decoders as the principal axes.
Gradient descent then begins near a linear model's error instead of the mean face's, which saves thousands of
steps. The networks, the losses and what they can become stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.data.dataset import FaceDataset
from mien.data.statistics import subject_means
from mien.nn.principal import BLOCK, PrincipalAxes, principal_axes
from mien.progress import track

Rows = NDArray[np.int64]


@torch.no_grad()
def start_in_closed_form(
    features: Callable[[Rows], Tensor],
    offsets: Callable[[str, Rows], NDArray[np.float32]],
    branches: Mapping[str, tuple[Any, Any, Any]],
    rows: Rows,
    size: int,
) -> None:
    """Starts every branch of an autoencoder.

    Args:
        features: Row numbers to encoder features (n, C). Called in batches as in training, so that the
            regressions bear the noise of batch statistics and the running ones settle.
        offsets: ``(factor, rows)`` to what this factor's decoder is to give, (n, ...) in its unit.
        branches: Factor -> (head, head of the log-variance or None, decoder).
        rows: (N,) rows of training faces.
        size: Faces in a batch.
    """
    parts = [rows[start : start + size] for start in range(0, len(rows) - size + 1, size)]
    seen = torch.cat([features(part) for part in track(parts, "features for the closed-form start")])
    for factor, (head, log_variance, decoder) in branches.items():

        def read(index: Rows, factor: str = factor) -> NDArray[np.float32]:
            return offsets(factor, index)

        axes = principal_axes(read, rows, head.out_features, centered=False, label=f"axes of {factor}")
        branch = Branch(head, decoder, axes, log_variance)
        codes = torch.cat([branch.codes(torch.from_numpy(read(part)).flatten(1)) for part in parts])
        branch.start(seen, codes.to(seen))


@dataclass
class Branch:
    """One factor of an autoencoder: feature -> code -> offset.

    Args:
        head: Linear (features -> K). Becomes the regression of codes.
        decoder: Linear (K -> hidden), ReLU, Linear (hidden -> D). Becomes the principal axes.
        axes: Principal axes of the offsets (D,), in the decoder's unit.
        log_variance: Linear (features -> K) of a variational encoder, or None.
    """

    head: Any
    decoder: Any
    axes: PrincipalAxes
    log_variance: Any = None

    @property
    def size(self) -> int:
        """How many axes fit into the code and, twice (for both signs of the ReLU), into the hidden layer."""
        return min(len(self.axes.std), self.head.out_features, self.decoder[0].out_features // 2)

    def codes(self, offsets: Tensor) -> Tensor:
        """(N, K) principal coefficients of offsets (N, D), in standard deviations."""
        axes, std = (torch.from_numpy(x[: self.size]) for x in (self.axes.axes, self.axes.std))
        return offsets @ axes.T / std.clamp_min(1e-6)

    @torch.no_grad()
    def start(
        self, features: Tensor, codes: Tensor, *, ridge: float = 0.02, log_variance: float = -6.0
    ) -> None:
        """Sets the weights.

        Args:
            features: (N, C) float. Encoder features of training faces.
            codes: (N, K) float from :meth:`codes`, of the same faces.
            ridge: Relative to the mean variance of a feature.
            log_variance: Starting value of the variational log-variance: small noise, so codes carry signal.
        """
        count = codes.shape[1]
        mean = features.double().mean(0)
        centered = features.double() - mean
        gram = centered.T @ centered
        gram.diagonal().add_(ridge * gram.diagonal().mean())
        weight = torch.linalg.solve(gram, centered.T @ codes.double()).T
        self.head.weight.zero_()
        self.head.weight[:count] = weight.to(self.head.weight)
        self.head.bias.zero_()
        self.head.bias[:count] = (codes.double().mean(0) - weight @ mean).to(self.head.bias)
        if self.log_variance is not None:
            self.log_variance.weight.zero_()
            self.log_variance.bias.fill_(log_variance)
        self._start_decoder(count)

    def _start_decoder(self, count: int) -> None:
        """relu(z) - relu(-z) = z, so pairs of hidden units carry each axis; spare units start silent."""
        first, last = self.decoder[0], self.decoder[-1]
        assert isinstance(first, nn.Linear) and isinstance(last, nn.Linear)
        axes = torch.from_numpy(self.axes.axes[:count] * self.axes.std[:count, None]).to(last.weight)
        first.weight[: 2 * count] = 0.0
        first.bias[: 2 * count] = 0.0
        unit = torch.arange(count)
        first.weight[unit, unit] = 1.0
        first.weight[count + unit, unit] = -1.0
        last.weight.zero_()
        last.bias.zero_()
        last.weight[:, :count] = axes.T
        last.weight[:, count : 2 * count] = -axes.T


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
