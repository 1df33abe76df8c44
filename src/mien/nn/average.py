"""The moving average of trained weights that becomes the model."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


@torch.no_grad()
def follow(average: nn.Module, trained: nn.Module, decay: float) -> None:
    """Moves the weights of ``average`` toward those of ``trained``; nothing where both are one module.

    Args:
        average: What is kept, changed in place.
        trained: A module of the same form.
        decay: Share of the average that stays, 0 to 1.
    """
    if average is not trained:
        get_ema_multi_avg_fn(decay)(list(average.parameters()), list(trained.parameters()), None)
