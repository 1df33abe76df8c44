"""Normal codes of variational encoders."""

from __future__ import annotations

import torch
from torch import Tensor


def reparameterize(mean: Tensor, log_variance: Tensor) -> Tensor:
    """z = mu + sigma * eps, one reparameterize from each normal distribution.

    Args:
        mean: (B, D) float. mu.
        log_variance: (B, D) float. log sigma^2.

    Returns:
        (B, D) float, with gradient through mu and sigma.
    """
    return mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(q(z | X) || N(0, I)), summed over the code, averaged over the batch.

    Args:
        mean: (B, D) float. mu.
        log_variance: (B, D) float. log sigma^2.

    Returns:
        Scalar.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
