"""Closed-form start and finish of an encoder with an identity and an expression branch.

Gradient descent is good at features and slow at the linear layers behind them: at the end, exact least
squares on the trained features is well below the noise floor of the last steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch, Sampler
from mien.nn.principal import principal_axes
from mien.nn.start import Branch, start_in_closed_form
from mien.progress import track

FACES = 3000
FINISHING_RIDGE = 1e-3


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
        branches[factor] = Branch(head, decoder, axes)
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
