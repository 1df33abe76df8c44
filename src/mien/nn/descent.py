"""Descent of many small problems at once, each on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

HISTORY = 30
TRIALS = 12  # halvings of a step before a row is taken to have arrived
SUFFICIENT = 1e-4  # of the decrease that the slope promises (Armijo)
LEAST_GAIN = 1e-8  # relative decrease below which a step was in vain
PATIENCE = 3  # vain steps, from the second on straight downhill, after which a row has arrived


def minimize_rows(loss: Callable[[Tensor], Tensor], start: Tensor, *, steps: int) -> Iterator[Tensor]:
    """Minimizes a function of each row by limited-memory BFGS; yields the rows after every step.

    All rows go forward together, but directions, steps and histories are their own: a row ends where it would
    end alone, however many others there are.

    Args:
        loss: (B, N) to (B,), each of its own row only.
        start: (B, N) float.
        steps: Updates.

    Yields:
        (B, N) float, after each of the steps.
    """
    x = start.detach().clone()
    value, slope = _evaluate(loss, x)
    moves: list[Tensor] = []
    changes: list[Tensor] = []
    # The first step has no history that knows its length: as long as one unit of every number together.
    length = 1 / slope.norm(dim=1, keepdim=True).clamp_min(1e-30)
    vain = torch.zeros_like(length)
    for _ in range(steps):
        if (vain >= PATIENCE).all():
            yield x
            continue
        direction = -_inverse_times(slope, moves, changes, length)
        uphill = ((direction * slope).sum(1, keepdim=True) >= 0) | (vain > 0)
        direction = torch.where(uphill, -slope * length, direction) * (vain < PATIENCE)
        new = x + direction
        new_value, new_slope = _evaluate(loss, new)
        promised = SUFFICIENT * (direction * slope).sum(1)
        if not (new_value <= value + promised).all():
            new = _shorter(loss, x, value, direction, promised, new_value)
            new_value, new_slope = _evaluate(loss, new)
        move, change = new - x, new_slope - slope
        # Rows whose curvature is unknown forget this step: zeros in a history do nothing.
        curved = (move * change).sum(1, keepdim=True) > 1e-10 * move.norm(dim=1, keepdim=True) * change.norm(
            dim=1, keepdim=True
        )
        moves, changes = [*moves[1 - HISTORY :], move * curved], [*changes[1 - HISTORY :], change * curved]
        gained = (value - new_value > LEAST_GAIN * value.abs())[:, None]
        vain = torch.where(gained, 0.0, vain + 1)
        x, value, slope = new, new_value, new_slope
        yield x


def _evaluate(loss: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """(B,) values and (B, N) gradients."""
    with torch.enable_grad():
        free = x.detach().requires_grad_(True)
        value = loss(free)
        (slope,) = torch.autograd.grad(value.sum(), free)
    return value.detach(), slope


@torch.no_grad()
def _shorter(
    loss: Callable[[Tensor], Tensor], x: Tensor, value: Tensor, direction: Tensor, promised: Tensor,
    reached: Tensor,
) -> Tensor:  # fmt: skip
    """(B, N) rows after a step that is halved until it lowers each enough; rows that none lowers stay."""
    share = torch.ones_like(value)
    for _ in range(TRIALS):
        missed = ~(reached <= value + share * promised)
        if not missed.any():
            break
        share = torch.where(missed, share / 2, share)
        reached = loss(x + share[:, None] * direction)
    missed = ~(reached <= value + share * promised)
    return x + torch.where(missed, 0.0, share)[:, None] * direction


def _inverse_times(slope: Tensor, moves: list[Tensor], changes: list[Tensor], length: Tensor) -> Tensor:
    """The inverse Hessian's estimate times the gradient: the two-loop recursion, row by row."""
    result, pairs = slope, []
    scale = length
    for move, change in zip(moves, changes, strict=True):
        product = (move * change).sum(1, keepdim=True)
        known = product > 1e-30  # below, the inverse overflows: a row that has arrived
        rho = torch.where(known, 1 / torch.where(known, product, 1.0), 0.0)
        pairs.append((move, change, rho))
        scale = torch.where(known, product / change.square().sum(1, keepdim=True).clamp_min(1e-30), scale)
    shares = []
    for move, change, rho in reversed(pairs):
        share = rho * (move * result).sum(1, keepdim=True)
        result = result - share * change
        shares.append(share)
    result = scale * result
    for (move, change, rho), share in zip(pairs, reversed(shares), strict=True):
        result = result + move * (share - rho * (change * result).sum(1, keepdim=True))
    return result
