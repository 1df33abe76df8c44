"""Many small problems at once: each row reaches its own minimum, whatever its neighbors do."""

from __future__ import annotations

import torch
from torch import Tensor

from mien.nn.descent import minimize_rows


def last(start: Tensor, steps: int, loss: object) -> Tensor:
    *_, found = minimize_rows(loss, start, steps=steps)  # type: ignore[arg-type]
    return found


def valley(x: Tensor) -> Tensor:
    """Rosenbrock's banana in pairs of numbers; its minimum is at one."""
    a, b = x[:, ::2], x[:, 1::2]
    return (100 * (b - a**2) ** 2 + (1 - a) ** 2).sum(1)


def test_rows_of_very_different_scale_are_solved() -> None:
    generator = torch.Generator().manual_seed(0)
    scale = torch.logspace(-2, 2, 12, dtype=torch.float64)
    goal = torch.randn(5, 12, generator=generator, dtype=torch.float64)
    weight = torch.tensor([1e-4, 1.0, 10.0, 1e3, 1e5], dtype=torch.float64)
    found = last(torch.zeros_like(goal), 150, lambda x: weight[: len(x)] * ((x - goal) ** 2 @ scale))
    torch.testing.assert_close(found, goal, atol=1e-5, rtol=0)


def test_a_curved_valley_is_followed_to_its_end() -> None:
    start = torch.randn(6, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = last(start, 250, valley)
    torch.testing.assert_close(found, torch.ones_like(found), atol=1e-3, rtol=0)


def test_a_row_ends_where_it_would_end_alone() -> None:
    start = torch.randn(4, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for steps in (3, 17):
        together = last(start, steps, valley)
        alone = torch.cat([last(start[k : k + 1], steps, valley) for k in range(4)])
        torch.testing.assert_close(together, alone, atol=1e-9, rtol=1e-9)


def test_every_step_lowers_every_row_and_arrived_rows_stay() -> None:
    start = torch.randn(4, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    start[0] = 1.0
    values = torch.stack([valley(x) for x in minimize_rows(valley, start, steps=40)])
    assert (values[1:] <= values[:-1]).all()
    assert not values[:, 0].any()
