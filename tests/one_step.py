"""What one update does: to a score that a test measures by itself, and to every face that a critic sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

#: How far a step moves all weights together: short enough for the slope to tell what happens.
LENGTH = 1e-2


def change_by_step(
    loss: Tensor, module: nn.Module, score: Callable[[], Tensor], *, length: float = LENGTH
) -> float:
    """How a step of plain descent on a loss changes a score; the weights are put back.

    Args:
        loss: () float, with a graph.
        module: Whose weights the step moves; it must move some.
        score: () float. Measured before and after with the same random numbers, without the classes under
            test: networks are called by the test itself.
        length: Of the step, over all weights.
    """
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    slopes = torch.autograd.grad(loss, weights, retain_graph=True, allow_unused=True)
    moved = [(weight, slope) for weight, slope in zip(weights, slopes, strict=True) if slope is not None]
    norm = torch.stack([slope.square().sum() for _, slope in moved]).sum().sqrt()
    assert norm > 0, "the loss does not reach the module"
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        kept = [weight.data for weight, _ in moved]
        before = _seeded(score)
        for weight, slope in moved:
            weight.data = weight.data - length * slope / norm  # new memory: graphs keep the old
        after = _seeded(score)
        for (weight, _), old in zip(moved, kept, strict=True):
            weight.data = old
    assert torch.isfinite(after)
    return float(after - before)


def _seeded(score: Callable[[], Tensor]) -> Tensor:
    torch.manual_seed(SEED)
    return score()


SEED = 5


class Watched:
    """What a network was shown and what it answered, call by call."""

    def __init__(self) -> None:
        self.calls: list[tuple[Tensor, Sequence[Tensor]]] = []

    def hook(self, module: nn.Module, given: tuple[Tensor, ...], answer: Any) -> None:
        """Remembers one call."""
        inputs = torch.cat([part.flatten(1) for part in given if torch.is_tensor(part)], dim=1)
        self.calls.append((inputs.detach(), (answer,) if torch.is_tensor(answer) else answer))

    def pull(self, loss: Tensor, shown: Tensor, place: int = 0) -> Tensor:
        """(n, ...) where descent on a loss moves the answers to n rows: positive is upward.

        Args:
            loss: () float, with a graph.
            shown: (n, ...) what was shown, row by row; every row must have been.
            place: Which of several answers.
        """
        wanted, found, seen = shown.detach().flatten(1), [], torch.zeros(len(shown))
        for inputs, answers in self.calls:
            answer = answers[place]
            slope = torch.zeros_like(answer)
            if answer.requires_grad:
                (slope,) = torch.autograd.grad(
                    loss, answer, retain_graph=True, allow_unused=True, materialize_grads=True
                )
            same = torch.cdist(wanted, inputs, compute_mode="donot_use_mm_for_euclid_dist") < 1e-4
            seen = seen + same.sum(1)
            found.append(same.float() @ -slope.reshape(len(answer), -1))
        assert (seen > 0).all(), "some rows were never shown"
        return torch.stack(found).sum(0).view(len(shown), *self.calls[0][1][place].shape[1:])


@contextmanager
def watched(module: nn.Module) -> Iterator[Watched]:
    """Watches a module's calls while the context is open."""
    seen = Watched()
    handle = module.register_forward_hook(seen.hook)
    try:
        yield seen
    finally:
        handle.remove()
