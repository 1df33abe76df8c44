"""Codes: who a face is and what it is doing, as tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mien.errors import UnknownName


@dataclass(frozen=True)
class Codes:
    """Identity and expression codes of a batch of faces.

    Args:
        identity: (B, *I) float. Who. For anchored models this is the neutral mesh itself.
        expression: (B, *X) float. What the face is doing. Motion carries time as (B, T, *X).
        others: Further named factors of some models (viseme, noise), each (B, ...).
    """

    identity: Tensor
    expression: Tensor
    others: Mapping[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.identity.shape[0]

    def __getitem__(self, rows: slice | Sequence[int] | Tensor) -> Codes:
        """Selects rows of the batch: a slice, a list, or a tensor (n,) of indices or (B,) bool."""
        return self.map(lambda value: value[rows])

    def map(self, function: Callable[[Tensor], Tensor]) -> Codes:
        """Applies a function to every factor."""
        others = {name: function(value) for name, value in self.others.items()}
        return Codes(function(self.identity), function(self.expression), others)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all factors, those of ``others`` last."""
        return "identity", "expression", *self.others

    def factor(self, name: str) -> Tensor:
        """(B, ...) the code of one factor: ``identity``, ``expression`` or one of ``others``."""
        if name not in self.names:
            raise UnknownName("factor", name, self.names)
        return getattr(self, name) if name in ("identity", "expression") else self.others[name]

    def replace(self, **factors: Tensor) -> Codes:
        """A copy with some factors replaced, e.g. ``codes.replace(expression=other.expression)``."""
        others = dict(self.others)
        others.update({k: v for k, v in factors.items() if k not in ("identity", "expression")})
        return Codes(
            factors.get("identity", self.identity), factors.get("expression", self.expression), others
        )

    def to(self, target: torch.device | torch.dtype | str) -> Codes:
        """Moves or casts every factor."""
        return self.map(lambda value: value.to(target))

    def repeat(self, count: int) -> Codes:
        """Every row ``count`` times in a row."""
        return self.map(lambda value: value.repeat_interleave(count, dim=0))

    @staticmethod
    def cat(parts: Sequence[Codes]) -> Codes:
        """Joins batches of codes along B."""
        others = {
            name: torch.cat([part.others[name] for part in parts])
            for name in (parts[0].others if parts else ())
        }
        return Codes(
            torch.cat([part.identity for part in parts]),
            torch.cat([part.expression for part in parts]),
            others,
        )
