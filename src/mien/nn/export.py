"""Sparse products and spiral convolutions as plain gathers: what other runtimes than PyTorch understand.

Training uses forms that loop over faces or hold custom gradients. A decoder that leaves PyTorch needs
neither: here every product is one gather of the few entries of each row, a multiplication and a sum.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mien.nn.spiral import SparseRows, SpiralConvolution, SpiralOperator


class GatheredRows(nn.Module):
    """A sparse matrix (V, N) as its rows padded to K entries.

    Args:
        rows: The matrix as training uses it.
    """

    columns: Tensor
    values: Tensor
    weights: Tensor

    def __init__(self, rows: SparseRows) -> None:
        super().__init__()
        ends = torch.cat([rows.starts[1:], rows.starts.new_tensor([len(rows.columns)])])
        counts = ends - rows.starts
        place = torch.arange(int(counts.max()) if len(counts) else 0, device=ends.device)
        inside = place < counts[:, None]  # (V, K)
        at = torch.where(inside, rows.starts[:, None] + place, 0)
        given = rows.values if len(rows.values) else torch.ones(len(rows.columns), device=ends.device)
        self.register_buffer("columns", rows.columns[at] if len(rows.columns) else at)
        self.register_buffer("weights", torch.where(inside, given[at] if len(given) else 0.0, 0.0))
        self.register_buffer("values", rows.values.clone())
        self.whole = not len(rows.values) and bool((counts == 1).all())  # a selection: nothing to add up

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, V, D)."""
        found = x.index_select(1, self.columns.reshape(-1))
        if self.whole:
            return found
        return (found.unflatten(1, tuple(self.columns.shape)) * self.weights[..., None]).sum(2)


class GatheredConvolution(nn.Module):
    """y_v = b + W [x_{spiral(v, 1)}, ..., x_{spiral(v, S)}] as one gather and one matrix product.

    The product comes first where it leaves fewer numbers to gather, as in training.

    Args:
        layer: The layer as training uses it.
    """

    def __init__(self, layer: SpiralConvolution) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, x: Tensor, operator: SpiralOperator) -> Tensor:
        """(B, U, C) to (B, V, D)."""
        outputs, inputs = len(self.weight), x.shape[2]
        if inputs < outputs or (operator.plain and inputs == outputs):
            gathered = operator.gather(x).unflatten(1, (-1, operator.length)).flatten(2)
            return gathered @ self.weight.T + self.bias
        weight = self.weight.view(outputs, operator.length, inputs).permute(2, 1, 0).flatten(1)  # (C, S D)
        return (
            operator.spread((x @ weight).unflatten(2, (operator.length, outputs)).flatten(1, 2)) + self.bias
        )


def as_gathers(module: nn.Module) -> nn.Module:
    """Replaces every sparse matrix and spiral convolution inside a module; returns the module."""
    for name, child in list(module.named_children()):
        if isinstance(child, SparseRows):
            setattr(module, name, GatheredRows(child))
        elif isinstance(child, SpiralConvolution):
            setattr(module, name, GatheredConvolution(child))
        else:
            as_gathers(child)
    return module
