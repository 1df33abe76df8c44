"""PointNet features (Qi et al. 2017): shared per-point layers with batch norm, then a max over the points.

The published form runs every layer on every point and keeps all activations. The same function and the same
gradients follow from much less work:

- the batch statistics of a linear layer follow from the mean m and second moment S of its *input*:
  mean(W x + b) = W m + b, var(W x + b) = diag(W (S - m m^T) W^T); so the norm folds into the weights
  before the product and no pass over the output is needed;
- with the norm folded in, relu is monotone and commutes with the max over points, so the last layer needs
  one product per mesh, whose result is reduced while it is still in cache;
- only the winning points carry gradient back through the max;
- what a layer does to some points does not wait for the others: a layer's values, their moments and all of
  its gradients are made for a piece of the points while it is in cache;
- points that stand beside each other in the file are often close, and then share channels in which none of
  them is above zero: the last layer leaves those out of its product.

B batch, V points, C channels in, D channels out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

GROUP = 16
PIECE = GROUP**2
"""Points that the last layer sees at once; the layers before it see eight times as many."""


def _at_once(rows: Tensor, count: int) -> int:
    """How many of (..., N, C) rows make a piece: ``count`` on a processor; elsewhere all, as starting work
    costs more there.
    """
    return count if rows.device.type == "cpu" else max(count, rows.shape[-2])


class _Moments(torch.autograd.Function):
    """Mean (C,) and second moment (C, C) of rows, with one fused product on the way back."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(rows)
        return rows.mean(0), rows.T @ rows / len(rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (rows,) = ctx.saved_tensors
        mean, second = gradients
        return torch.addmm(mean / len(rows), rows, (second + second.T) / len(rows))


class _Layer(torch.autograd.Function):
    """relu(rows @ weight.T + bias), (N, C) -> (N, D), with the mean (D,) and second moment (D, D) of the
    result if they are wanted.
    """

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor, moments: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        out = rows.new_empty(len(rows), len(weight))
        total, second = rows.new_zeros(len(weight)), rows.new_zeros(len(weight), len(weight))
        size = _at_once(rows, 8 * PIECE)
        for given, made in zip(rows.split(size), out.split(size), strict=True):
            torch.addmm(bias, given, weight.T, out=made).relu_()
            if moments:
                total += made.sum(0)
                second.addmm_(made.T, made)
        ctx.save_for_backward(rows, weight, out)
        ctx.moments = moments
        return out, total / len(rows), second / len(rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, out = ctx.saved_tensors
        gradient, mean, second = gradients
        shift, mixed = mean / len(rows), (second + second.T) / len(rows)
        to_rows = torch.empty_like(rows) if ctx.needs_input_grad[0] else None
        to_weight, to_bias = torch.zeros_like(weight), weight.new_zeros(len(weight))
        size = _at_once(rows, 8 * PIECE)
        buffer = out.new_empty(min(size, len(out)), len(weight))
        for first in range(0, len(rows), size):
            piece = slice(first, first + size)
            made, at = out[piece], gradient[piece]
            carried = buffer[: len(made)]
            if ctx.moments:
                at = torch.addmm(at, made, mixed, out=carried).add_(shift)
            torch.ops.aten.threshold_backward.grad_input(at, made, 0, grad_input=carried)
            if ctx.needs_input_grad[1]:  # a discriminator that stands still has none
                to_bias += carried.sum(0)
                to_weight.addmm_(carried.T, rows[piece])
            if to_rows is not None:
                torch.mm(carried, weight, out=to_rows[piece])
        return to_rows, to_weight, to_bias, None


class _LinearMax(torch.autograd.Function):
    """max over points of ``points @ weight.T``: (B, V, C), (D, C) -> (B, D)."""

    @staticmethod
    def forward(ctx: Any, points: Tensor, weight: Tensor) -> Tensor:
        values, winners = _winners(points.detach(), weight.detach())
        ctx.save_for_backward(points, weight, winners)
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        points, weight, winners = ctx.saved_tensors
        (gradient,) = gradients
        batch, count, channels = points.shape
        rows = (winners + count * torch.arange(batch, device=winners.device)[:, None]).flatten()
        flat = points.reshape(-1, channels)
        to_weight = torch.einsum("bd,bdc->dc", gradient, flat[rows].view(batch, -1, channels))
        to_points = torch.zeros_like(flat)
        to_points.index_add_(0, rows, (gradient[:, :, None] * weight).flatten(0, 1))
        return to_points.view_as(points), to_weight


def _winners(points: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Largest product (B, D) and its point's index (B, D), a piece of a mesh at a time to stay in cache."""
    batch, count, _ = points.shape
    pieces = -(-count // PIECE)
    products = points.new_full((pieces, GROUP, GROUP, len(weight)), -torch.inf)
    of_groups, of_pieces = torch.empty_like(products[:, 0]), torch.empty_like(products[:, 0, 0])
    column = torch.arange(len(weight), device=points.device)
    values, winners = points.new_empty(batch, len(weight)), []
    columns, step = weight.T.contiguous(), -(-_at_once(points, PIECE) // PIECE)
    # A max with its index is slow; plain maxima of groups and of pieces, then the index inside, are not.
    for mesh, best in zip(points, values, strict=True):
        for first in range(0, pieces, step):
            some = slice(first, first + step)
            _product(mesh[first * PIECE : (first + step) * PIECE], columns, products[some].flatten(0, 2))
            torch.amax(products[some], 2, out=of_groups[some])
            torch.amax(of_groups[some], 1, out=of_pieces[some])
        largest, piece = of_pieces.max(0)
        best.copy_(largest)
        group = of_groups[piece, :, column].argmax(1)
        winners.append((piece * GROUP + group) * GROUP + products[piece, group, :, column].argmax(1))
    return values, torch.stack(winners)


def _product(piece: Tensor, columns: Tensor, out: Tensor) -> Tensor:
    """piece @ columns, (P, C) and (C, D), in the first rows of ``out``; channels of zeros are left out."""
    if piece.device.type == "cpu":  # elsewhere waiting for the number of channels costs more
        alive = piece.abs().amax(0).nonzero()[:, 0]
        if len(alive) < len(columns):
            piece, columns = piece.index_select(1, alive), columns.index_select(0, alive)
    return torch.mm(piece, columns, out=out[: len(piece)])


def _largest(points: Tensor, maps: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """max over points of maps with relu between them, (B, V, C) -> (B, D), without the last bias."""
    *before, (weight, _) = maps
    columns = weight.T.contiguous()
    size = _at_once(points, PIECE)
    products = points.new_empty(size, len(weight))
    values = points.new_full((len(points), len(weight)), -torch.inf)
    for mesh, best in zip(points, values, strict=True):
        for rows in mesh.split(_at_once(mesh, 8 * PIECE)):
            for before_last, bias in before:
                rows = torch.addmm(bias, rows, before_last.T).relu_()
            for piece in rows.split(size):
                torch.maximum(best, _product(piece, columns, products).amax(0), out=best)
    return values


class PointNetFeatures(nn.Module):
    """Per-point linear layers, each with batch norm and ReLU, then the maximum over points.

    Args:
        channels: Widths from input to output, e.g. ``(3, 64, 64, 64, 128, 1024)``.
        fast: Use the equivalent form of this module's docstring; False runs layer by layer.

    Shapes:
        points (B, V, C) -> features (B, D).
    """

    def __init__(self, channels: Sequence[int], *, fast: bool = True) -> None:
        super().__init__()
        pairs = list(zip(channels[:-1], channels[1:], strict=True))
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairs)
        self.norms = nn.ModuleList(nn.BatchNorm1d(b) for _, b in pairs)
        self.fast = fast

    def forward(self, points: Tensor) -> Tensor:
        batch, count, channels = points.shape
        rows = points.reshape(-1, channels)
        if not self.fast:
            for layer, norm in zip(self.layers, self.norms, strict=True):
                rows = norm(layer(rows)).relu()
            return rows.view(batch, count, -1).amax(1)
        if not torch.is_grad_enabled() and not any(norm.training for norm in self.norms):
            maps = [
                folded(layer, norm, None, len(rows))
                for layer, norm in zip(self.layers, self.norms, strict=True)
            ]
            return (_largest(points, maps) + maps[-1][1]).relu()
        moments: Sequence[Tensor] | None = _Moments.apply(rows) if self.norms[0].training else None
        for layer, norm, following in zip(self.layers[:-1], self.norms[:-1], self.norms[1:], strict=True):
            weight, bias = folded(layer, norm, moments, len(rows))
            rows, *moments = _Layer.apply(rows, weight, bias, following.training)
        weight, bias = folded(self.layers[-1], self.norms[-1], moments, len(rows))
        best = _LinearMax.apply(rows.view(batch, count, -1), weight)
        return (best + bias).relu()


class PointNetClassifier(nn.Module):
    """PointNet classifier: an input transform (T-Net), per-point layers, max, and a small head.

    Per-point layers 64, 128, 1024 in both parts; heads 512, 256. Dropout 0.5 in the classifier's head.

    Args:
        channels: C, values per point.
        classes: K, logits.

    Shapes:
        points (B, V, C) -> logits (B, K).
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.transform_features = PointNetFeatures((channels, 64, 128, 1024))
        self.transform = normalized_perceptron(1024, 512, 256, channels**2, dropout=0.0)
        self.features = PointNetFeatures((channels, 64, 128, 1024))
        self.head = normalized_perceptron(1024, 512, 256, classes, dropout=0.5)

    def forward(self, points: Tensor) -> Tensor:
        channels = points.shape[2]
        matrix = self.transform(self.transform_features(points)).view(-1, channels, channels)
        return self.head(self.features(points @ (matrix + torch.eye(channels, device=points.device))))


def normalized_perceptron(
    inputs: int, first: int, second: int, outputs: int, *, dropout: float
) -> nn.Sequential:
    """Two hidden layers with batch norm and ReLU; dropout before the second norm."""
    return nn.Sequential(
        nn.Linear(inputs, first), nn.BatchNorm1d(first), nn.ReLU(),
        nn.Linear(first, second), nn.Dropout(dropout), nn.BatchNorm1d(second), nn.ReLU(),
        nn.Linear(second, outputs),
    )  # fmt: skip


def folded(
    layer: nn.Module, norm: nn.Module, moments: Sequence[Tensor] | None, count: int
) -> tuple[Tensor, Tensor]:
    """Weight (D, C) and bias (D,) of ``norm(layer(rows))`` as one linear map.

    In training mode the batch statistics come from the moments of the rows (mean (C,) and second moment
    (C, C) of ``count`` rows) and the running ones are updated as :class:`torch.nn.BatchNorm1d` does.
    """
    assert isinstance(layer, nn.Linear) and isinstance(norm, nn.BatchNorm1d)
    if norm.training:
        assert moments is not None
        mean_in, second = moments
        covariance = second - torch.outer(mean_in, mean_in)
        variance = torch.einsum("dc,ce,de->d", layer.weight, covariance, layer.weight).clamp_min(0)
        mean = layer.weight @ mean_in + layer.bias
        _track(norm, mean.detach(), variance.detach(), count)
    else:
        assert norm.running_mean is not None and norm.running_var is not None
        mean, variance = norm.running_mean, norm.running_var
    gain = norm.weight * torch.rsqrt(variance + norm.eps)
    return layer.weight * gain[:, None], (layer.bias - mean) * gain + norm.bias


@torch.no_grad()
def _track(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor, count: int) -> None:
    assert norm.running_mean is not None and norm.running_var is not None and norm.momentum is not None
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(variance * count / max(count - 1, 1), norm.momentum)
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)


@contextmanager
def running_statistics_kept(module: nn.Module) -> Iterator[None]:
    """Forward passes inside leave the running statistics of batch norms alone."""
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm1d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def thin(meshes: list[Tensor], count: int | None) -> list[Tensor]:
    """The same random vertices of each mesh; all of them when ``count`` is None or enough.

    Args:
        meshes: Each (B, V, 3) float.
        count: How many vertices.

    Returns:
        Meshes (B, count, 3).
    """
    if count is None or count >= meshes[0].shape[1]:
        return meshes
    chosen = torch.randperm(meshes[0].shape[1])[:count].to(meshes[0].device)
    return [mesh[:, chosen] for mesh in meshes]
