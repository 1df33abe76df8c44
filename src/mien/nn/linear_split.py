"""Linear split: who and what in the code of an autoencoder that knows nothing of either."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mien.errors import BadSetting


class LinearSplit(nn.Module):
    """Splits codes into an identity and an expression part along orthogonal axes, and joins them again.

    Differences between scans of one person are expression and nothing else. Their principal axes span the
    expression part; what is orthogonal to them is identity. So every autoencoder becomes a model of both
    factors, and the split loses nothing: ``join(*split(z)) = z``.

    Equations, with z_s the mean code of person s and Q = [Q_exp, Q_id] orthogonal::

        Q_exp = leading eigenvectors of sum over scans of (z - z_s)(z - z_s)^T
        expression = Q_exp^T (z - center)        identity = Q_id^T (z - center)

    Args:
        size: D, the size of the code.
        expression_size: How many axes are expression; the other D - expression_size are identity.
    """

    center: Tensor
    identity_axes: Tensor
    expression_axes: Tensor

    def __init__(self, size: int, expression_size: int) -> None:
        super().__init__()
        if not 0 < expression_size < size:
            raise BadSetting(
                f"a code of {size} numbers cannot be split", received=f"{expression_size} for expression",
                remedy=f"leave both factors at least one: 1 to {size - 1}",
            )  # fmt: skip
        self.expression_size = expression_size
        self.register_buffer("center", torch.zeros(size))
        self.register_buffer("expression_axes", torch.eye(size)[:, :expression_size])
        self.register_buffer("identity_axes", torch.eye(size)[:, expression_size:])

    @torch.no_grad()
    def fit(self, codes: Tensor, subject: Tensor) -> None:
        """Measures the axes; expression keeps no more of them than people's own codes span.

        Args:
            codes: (N, D) float. Codes of training faces.
            subject: (N,) int. Who each face is.
        """
        values = codes.double()
        people, index = subject.to(codes.device).unique(return_inverse=True)
        sums = torch.zeros(len(people), values.shape[1], dtype=values.dtype, device=codes.device)
        sums.index_add_(0, index, values)
        within = values - (sums / index.bincount()[:, None])[index]
        # eigh sorts by rising variance: the last axes are expression, the first are identity.
        variance, axes = torch.linalg.eigh(within.T @ within)
        axes = axes.flip(1)
        largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
        axes = (axes * largest.sign()).to(codes.dtype)
        spanned = int((variance > 1e-9 * variance[-1]).sum())
        size = max(1, min(self.expression_size, spanned, len(variance) - 1))
        self.expression_axes, self.identity_axes = axes[:, :size].clone(), axes[:, size:].clone()
        self.center = values.mean(0).to(codes.dtype)

    def split(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) codes to (B, D - X) identity and (B, X) expression."""
        centered = codes - self.center
        return centered @ self.identity_axes, centered @ self.expression_axes

    def join(self, identity: Tensor, expression: Tensor) -> Tensor:
        """(B, D) codes of both parts."""
        return self.center + identity @ self.identity_axes.T + expression @ self.expression_axes.T
