"""The optimizer of mesh networks that are trained for a short time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mien.errors import UnknownName

KINDS = ("adam", "muon")
MOMENTUM = 0.95
STEPS = 5
A, B, C = 3.4445, -4.7750, 2.0315
"""Of K. Jordan's polynomial a x + b x^3 + c x^5, which brings singular values from 0.01 on to about 1."""
SIZE_OF_ADAM = 0.2
"""Root mean square of a step of Adam's, at rate 1, as J. Liu et al. take it."""


def optimizer_of(
    module: nn.Module,
    rate: float,
    *,
    weight_decay: float = 0.0,
    kind: str = "adam",
    apart: nn.Module | None = None,
    apart_rate: float | None = None,
) -> Optimizer:
    """Adam, as the publications have it, or :class:`MuonWithAdam`, which needs about a third of the steps.

    Args:
        module: What is trained.
        rate: Learning rate; the same number fits both kinds.
        weight_decay: As either kind defines it.
        kind: ``adam`` or ``muon``.
        apart: A part of the module that Adam trains in either case, see :class:`MuonWithAdam`.
        apart_rate: Learning rate of that part; None: the same.

    Raises:
        UnknownName: Another kind.
    """
    if kind not in KINDS:
        raise UnknownName("optimizer", kind, KINDS)
    if kind == "adam":
        own = list(apart.parameters()) if apart is not None else []
        others = [p for p in module.parameters() if not any(p is one for one in own)]
        groups: list[dict[str, Any]] = [{"params": others}]
        if own:
            groups.append({"params": own, "lr": apart_rate or rate})
        return torch.optim.Adam(groups, rate, weight_decay=weight_decay)
    return MuonWithAdam(module, rate, weight_decay, by_adam=apart, adam_rate=apart_rate)


def orthogonal(matrix: Tensor) -> Tensor:
    """Nearly the nearest orthogonal matrix: singular values come near to 1, singular vectors are kept.

    Newton-Schulz steps X <- (a + b X X' + c (X X')^2) X. What they do to the small Gram matrix X X' is kept
    up beside it, so that the long side takes part twice in all; and in the precision of the matrix.
    PyTorch's, in half precision, took a processor without it 18 to 98 times as long on three shapes.

    Args:
        matrix: (m, n) float.

    Returns:
        (m, n) float.
    """
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonal(matrix.T).T
    unit = matrix / matrix.norm().clamp(min=1e-7)
    gram = unit @ unit.T
    whole = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    for _ in range(STEPS):
        step = torch.addmm(gram, gram, gram, beta=B, alpha=C)
        step.diagonal().add_(A)
        whole, gram = step @ whole, step @ gram @ step
    return whole @ unit


class Muon(Optimizer):
    """Momentum whose direction is made orthogonal (K. Jordan et al., "Muon", 2024), for weight matrices.

    With gradients g, the momentum m and the weights W of a matrix of m x n::

        m <- mu m + (1 - mu) g
        W <- (1 - rate decay) W - rate 0.2 sqrt(max(m, n)) orthogonal(mu m + (1 - mu) g)

    with steps of the size that J. Liu et al. ("Muon is scalable for LLM training", 2025, arXiv 2502.16982)
    give.

    Args:
        matrices: (m, n) each.
        rate: Learning rate.
        weight_decay: Decoupled from the gradient.
    """

    def __init__(self, matrices: Iterable[Tensor], rate: float, weight_decay: float = 0.0) -> None:
        super().__init__(matrices, {"lr": rate, "weight_decay": weight_decay, "momentum": MOMENTUM})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of all matrices that have a gradient."""
        for group in self.param_groups:
            keep = group["momentum"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(weight)
                momentum = state["momentum_buffer"].lerp_(weight.grad, 1 - keep)
                direction = orthogonal(weight.grad.lerp(momentum, keep))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                size = SIZE_OF_ADAM * max(weight.shape) ** 0.5
                weight.add_(direction, alpha=-group["lr"] * size)


class MuonWithAdam(Optimizer):
    """Muon for weight matrices, Adam for biases and everything else.

    :class:`Muon` learns rare directions as fast as frequent ones; mesh autoencoders of short runs gain much
    from it. Its steps have the size of Adam's, so learning rates carry over.

    Args:
        module: What is trained.
        rate: Learning rate.
        weight_decay: As either kind defines it.
        by_adam: A part of the module that Adam trains whole: gates of a recurrent layer, for example, are no
            better for orthogonal steps, and narrow layers with ReLU lose their units to them.
        adam_rate: Learning rate of that part; None: the same.
    """

    def __init__(
        self,
        module: nn.Module,
        rate: float,
        weight_decay: float = 0.0,
        *,
        by_adam: nn.Module | None = None,
        adam_rate: float | None = None,
    ) -> None:
        apart = list(by_adam.parameters()) if by_adam is not None else []
        left = [p for p in module.parameters() if not any(p is other for other in apart)]
        matrices, others = ([p for p in left if (p.ndim == 2) == flat] for flat in (True, False))
        self.parts: list[Optimizer] = [Muon(matrices, rate, weight_decay)]
        for parameters, own in ((others, rate), (apart, adam_rate or rate)):
            if parameters:
                self.parts.append(torch.optim.Adam(parameters, own, weight_decay=weight_decay))
        super().__init__([dict(part.param_groups[0]) for part in self.parts], {"lr": rate})
        self.param_groups = [group for part in self.parts for group in part.param_groups]
        self._share()

    def _share(self) -> None:
        """Both parts work on the state and the groups that are saved and restored here."""
        for part, group in zip(self.parts, self.param_groups, strict=True):
            part.state, part.param_groups = self.state, [group]

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        super().load_state_dict(dict(state_dict))
        self._share()

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update of all parameters that have a gradient."""
        for part in self.parts:
            part.step()
