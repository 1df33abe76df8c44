"""Tensors that a model's constructor may make, when its arguments come from a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

# Buffers that follow from the topology and are not saved: neighbors, operators of sampling, spirals.
_BESIDE_BYTES = 2**27
_TIMES = 4
_ITEM_BYTES = 4
_MAKERS = frozenset((
    torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.eye,
    torch.Tensor.new_zeros, torch.Tensor.new_ones, torch.Tensor.new_empty,
))  # fmt: skip
"""Makers of tensors whose arguments are sizes and nothing else."""


class BoundedTensors(TorchFunctionMode):
    """Refuses, before memory is taken, tensors that the file of a model's weights cannot hold.

    Args:
        stored: Bytes of the model's files: its parameters are in there, so none can be larger.
    """

    def __init__(self, stored: int) -> None:
        super().__init__()
        self.left = self.limit = _BESIDE_BYTES + _TIMES * stored

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        given = dict(kwargs or {})
        if func in _MAKERS:
            self._take(func, args, given)
        return func(*args, **given)

    def _take(self, func: Callable[..., Any], args: Sequence[Any], given: Mapping[str, Any]) -> None:
        """Takes what a tensor needs off what is left."""
        values = [*args, given.get("size"), given.get("n")]
        sizes = [item for item in values if isinstance(item, int)]
        sizes += [part for item in values if isinstance(item, (tuple, list)) for part in item]
        wanted = prod(max(int(item), 0) for item in sizes)
        if func is torch.eye:
            wanted *= wanted if len(sizes) == 1 else 1
        self.left -= _ITEM_BYTES * wanted
        if self.left < 0:
            raise ValueError(f"its arguments ask for more than {self.limit // 2**20} MiB")
