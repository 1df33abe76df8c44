"""Linear split: who and what in the code of an autoencoder that knows nothing of either."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mien.errors import BadSetting

TRACE = 1e-3


class LinearSplit(nn.Module):
    """Splits codes linearly into an identity and an expression part, and joins them again.

    Differences between scans of one person are expression and nothing else; their principal axes U span the
    expression part. But people differ along these axes too, and an orthogonal projection would take that for
    expression. So expression is estimated by generalized least squares: what is most likely along U when
    people (and takes beyond U) vary with covariance R. The split loses nothing: ``join(*split(z)) = z``.

    Equations, with z_s the mean code of person s::

        U = leading eigenvectors of the mean of (z - z_s)(z - z_s)^T
        R = mean of (z_s - center)(z_s - center)^T + the rest of (z - z_s)(z - z_s)^T outside U
        expression = (U^T R^-1 U)^-1 U^T R^-1 (z - center)
        identity = K^T (z - center - U expression),  K an orthonormal basis of the v with U^T R^-1 v = 0

    Within each part the axes are turned so that its numbers are uncorrelated over the training faces: drawing
    them one by one (:meth:`mien.models.base.Calibration.sample`) then draws from their joint normal.

    On ``ict`` faces with 85 numbers this halves the neutralization error of the orthogonal projection.

    Args:
        size: D, the size of the code.
        expression_size: How many numbers are expression; the other D - expression_size are identity.
    """

    center: Tensor
    identity_axes: Tensor
    expression_axes: Tensor
    estimator: Tensor

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
        self.register_buffer("estimator", torch.eye(size)[:, :expression_size])

    @torch.no_grad()
    def fit(self, codes: Tensor, subject: Tensor) -> None:
        """Measures the axes; expression keeps no more of them than people's own codes span.

        Args:
            codes: (N, D) float. Codes of training faces.
            subject: (N,) int. Who each face is.
        """
        values = codes.double()
        people, index = subject.to(codes.device).unique(return_inverse=True)
        means = torch.zeros(len(people), values.shape[1], dtype=values.dtype, device=codes.device)
        means.index_add_(0, index, values)
        means /= index.bincount()[:, None]
        center = values.mean(0)
        within = (values - means[index]).T @ (values - means[index]) / len(values)
        between = (means - center).T @ (means - center) / len(means)
        axes, rest = self._span(within)
        noise = between + rest
        # A trace of equal variance: few people leave directions in which they do not differ at all.
        noise += TRACE * noise.diagonal().mean() * torch.eye(len(noise)).to(noise)
        weighted = torch.linalg.solve(noise, axes)
        complement = torch.linalg.qr(weighted, mode="complete").Q[:, axes.shape[1] :]
        estimator = weighted @ torch.linalg.inv(axes.T @ weighted)
        shown = (values - center) @ estimator
        turn = _uncorrelated(shown)
        complement = complement @ _uncorrelated((values - center - shown @ axes.T) @ complement)
        axes, estimator = axes @ turn, estimator @ turn
        signs = axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
        found = {"center": center, "expression_axes": axes * signs, "estimator": estimator * signs}
        for name, value in (found | {"identity_axes": _signed(complement)}).items():
            setattr(self, name, value.to(codes.dtype))

    def _span(self, within: Tensor) -> tuple[Tensor, Tensor]:
        """(D, X) leading axes of a covariance, no more than it spans, and the covariance that they leave."""
        variance, axes = torch.linalg.eigh(within)
        variance, axes = variance.flip(0), _signed(axes.flip(1))
        spanned = int((variance > 1e-9 * variance[0]).sum())
        size = max(1, min(self.expression_size, spanned, len(variance) - 1))
        return axes[:, :size], axes[:, size:] * variance[size:].clamp_min(0) @ axes[:, size:].T

    def split(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) codes to (B, D - X) identity and (B, X) expression."""
        centered = codes - self.center
        expression = centered @ self.estimator
        return (centered - expression @ self.expression_axes.T) @ self.identity_axes, expression

    def join(self, identity: Tensor, expression: Tensor) -> Tensor:
        """(B, D) codes of both parts, identity (B, K) and expression (B, D - K)."""
        return self.center + identity @ self.identity_axes.T + expression @ self.expression_axes.T


def _uncorrelated(codes: Tensor) -> Tensor:
    """(K, K) rotation after which (N, K) codes are uncorrelated, largest variance first."""
    return torch.linalg.eigh(torch.cov(codes.T).reshape(2 * codes.shape[1:])).eigenvectors.flip(1)


def _signed(axes: Tensor) -> Tensor:
    """The columns with their largest entries positive: the sign of an eigenvector is arbitrary."""
    return axes * axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
