"""Closed-form start and finish of the VAE: a linear face model before the first step and after the last.

Random PointNet features of registered faces already determine most of their shape linearly. So heads can
start as ridge regressions of principal coefficients on those features, and decoders as the principal axes.
Gradient descent then begins near a linear model's error instead of the mean face's, which saves thousands of
steps; and at the end, exact least squares on the trained features is well below the noise floor of the last
steps. The networks, the losses and what they can become stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch, Sampler
from mien.nn.principal import PrincipalAxes, principal_axes
from mien.progress import track

FACES = 3000
FINISHING_RIDGE = 1e-3
Rows = NDArray[np.int64]


@torch.no_grad()
def start_in_closed_form(
    features: Callable[[Rows], Tensor],
    offsets: Callable[[str, Rows], NDArray[np.float32]],
    branches: Mapping[str, tuple[Any, Any, Any]],
    rows: Rows,
    size: int,
) -> None:
    """Starts the head and the decoder of every factor of an autoencoder.

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
        branch = FactorStart(head, decoder, axes, log_variance)
        codes = torch.cat([branch.codes(torch.from_numpy(read(part)).flatten(1)) for part in parts])
        branch.start(seen, codes.to(seen))


@dataclass
class FactorStart:
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


def closed_form_start(model: Any, data: FaceDataset, neutrals: bool) -> None:
    """With neutrals, identity starts from people's neutrals and expression from the offsets to them.

    Without, nothing tells the factors apart yet: both start with half of the deviation from the mean face.

    Args:
        model: With ``features_of``, ``mean_face``, ``unit`` and, by factor, ``means``, ``log_variances`` and
            ``decoders``.
        data: Training faces.
        neutrals: Neutral scans may be used.
    """

    def offsets(factor: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        deviation = data[rows] - model.mean_face.numpy(force=True)
        if not neutrals:
            return deviation / (2 * model.unit)
        neutral = data.neutral_of(rows) - model.mean_face.numpy(force=True)
        return (neutral if factor == "identity" else deviation - neutral) / model.unit

    branches = {
        name: (model.means[name], model.log_variances[name], model.decoders[name]) for name in model.means
    }
    rows = _some_rows(data)
    start_in_closed_form(
        lambda part: model.features_of(torch.from_numpy(data[part]).to(model.device)),
        offsets, branches, rows, 32,
    )  # fmt: skip


@torch.no_grad()
def closed_form_finish(model: Any, data: FaceDataset, batch: Sampler, neutrals: bool, count: int) -> None:
    """Heads become the exact regressions on the trained features, decoders the principal axes.

    With neutrals, identity is fitted to them and expression to the offsets from them. Without, the identity
    branch stays as it was trained and expression is fitted to what the identity shape leaves.

    Args:
        model: As for :func:`closed_form_start`, in evaluation mode.
        data: Training faces; their offsets give the axes.
        batch: Draws the faces of the regression as training did, virtual people included.
        neutrals: Neutral scans may be used.
        count: How many batches.
    """
    factors = list(model.means) if neutrals else ["expression"]

    def offset(factor: str, x: Tensor, neutral: Tensor | None) -> Tensor:
        neutral = model.neutral_face(model.encode(x)) if neutral is None else neutral
        return (neutral - model.mean_face if factor == "identity" else x - neutral) / model.unit

    branches = {}
    for factor in factors:

        def read(rows: NDArray[np.int64], factor: str = factor) -> NDArray[np.float32]:
            neutral = torch.from_numpy(data.neutral_of(rows)).to(model.device) if neutrals else None
            x = torch.from_numpy(data[rows]).to(model.device)
            return offset(factor, x, neutral).numpy(force=True)

        head, decoder = model.means[factor], model.decoders[factor]
        axes = principal_axes(
            read, _some_rows(data), head.out_features, centered=False, label=f"{factor} axes"
        )
        branches[factor] = FactorStart(head, decoder, axes)
    features: list[Tensor] = []
    codes: dict[str, list[Tensor]] = {factor: [] for factor in factors}
    for drawn in track(_draws(batch, count, model.device), "closed-form finish", total=count):
        features.append(model.features_of(drawn.vertices).cpu())
        for factor, branch in branches.items():
            target = offset(factor, drawn.vertices, drawn.neutral if neutrals else None)
            codes[factor].append(branch.codes(target.flatten(1).cpu()))
    seen = torch.cat(features)
    for factor, branch in branches.items():
        branch.start(seen.to(model.device), torch.cat(codes[factor]).to(model.device), ridge=FINISHING_RIDGE)


def _draws(batch: Sampler, count: int, device: torch.device) -> Iterator[Batch]:
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        yield batch(generator).map(lambda value: value.to(device))


def _some_rows(data: FaceDataset) -> NDArray[np.int64]:
    return np.random.default_rng(0).permutation(len(data))[:FACES]
