"""The optimizer of mesh networks that are trained for a short time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from mien.errors import UnknownName, Unsupported

KINDS = ("adam", "muon")


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
        Unsupported: ``muon`` with a PyTorch that lacks it.
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
    if not hasattr(torch.optim, "Muon"):
        raise Unsupported(
            "this PyTorch has no Muon optimizer", received=torch.__version__,
            remedy="install torch 2.9 or newer, or train with --set optimizer=adam",
        )  # fmt: skip
    return MuonWithAdam(module, rate, weight_decay, by_adam=apart, adam_rate=apart_rate)


class MuonWithAdam(Optimizer):
    """Muon for weight matrices, Adam for biases and everything else.

    Muon (K. Jordan et al., 2024) replaces the momentum of a matrix by its nearest orthogonal matrix, so that
    rare directions are learned as fast as frequent ones; mesh autoencoders of short runs gain much from it.
    Steps are scaled to the size of Adam's (J. Liu et al., 2025), so learning rates carry over.

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
        self.parts: list[Optimizer] = [
            torch.optim.Muon(matrices, rate, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")
        ]
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
