"""How the learning rate goes over a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def rising_and_decaying(settings: Any) -> Callable[[int], float]:
    """The factor of the learning rate at a step, counted from 0.

    Args:
        settings: Of training: the rate rises for ``warm_up`` steps, and every ``decay_every`` steps it is
            multiplied by ``decay``.
    """

    def rate(index: int) -> float:
        rise = min(1.0, (index + 1) / max(1, settings.warm_up))
        return rise * settings.decay ** (index // settings.decay_every)

    return rate
