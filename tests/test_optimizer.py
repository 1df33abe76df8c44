"""Muon for matrices and Adam for the rest, behind one optimizer that is saved and restored like any other."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from mien.errors import UnknownName
from mien.nn.muon import STEPS, A, B, C, Muon, MuonWithAdam, optimizer_of, orthogonal


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, 4))


def take(module: nn.Module, optimizer: torch.optim.Optimizer, steps: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        optimizer.zero_grad()
        module(torch.randn(512, 24, generator=generator)).square().mean().backward()
        optimizer.step()
    return [p.detach().clone() for p in module.parameters()]


def test_matrices_turn_evenly_and_the_rest_is_adam() -> None:
    module = network()
    before = [p.detach().clone() for p in module.parameters()]
    plain = copy.deepcopy(module)
    after = take(module, optimizer_of(module, 1e-2, kind="muon"), 1)
    adam = take(plain, optimizer_of(plain, 1e-2), 1)
    for old, new, usual in zip(before, after, adam, strict=True):
        if old.ndim == 1:
            torch.testing.assert_close(new, usual)
            continue
        spread = torch.linalg.svdvals(new - old)
        assert spread.min() > 0.5 * spread.max()  # five Newton-Schulz steps: nearly orthogonal
        # As large as a step of Adam: 0.2 sqrt(larger side) on each direction.
        torch.testing.assert_close(
            spread.mean(), torch.tensor(1e-2 * 0.2 * max(old.shape) ** 0.5), rtol=0.3, atol=0
        )


def test_state_is_restored_exactly() -> None:
    module = network()
    optimizer = MuonWithAdam(module, 1e-2)
    take(module, optimizer, 3)
    again = network()
    again.load_state_dict(module.state_dict())
    restored = MuonWithAdam(again, 1e-2)
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for a, b in zip(take(module, optimizer, 3, 1), take(again, restored, 3, 1), strict=True):
        assert torch.equal(a, b)


def test_rates_reach_both_parts() -> None:
    module = network()
    optimizer = MuonWithAdam(module, 1e-2)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = [p.detach().clone() for p in module.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, take(module, optimizer, 2), strict=True))


def test_kinds_are_checked() -> None:
    with pytest.raises(UnknownName, match="muon"):
        optimizer_of(network(), 1e-3, kind="mouon")


@pytest.mark.parametrize("shape", [(12, 12), (40, 7), (7, 300), (300, 64)])
def test_a_direction_becomes_orthogonal_and_keeps_its_singular_vectors(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(1)
    left, values, right = torch.linalg.svd(
        torch.randn(shape, generator=generator, dtype=torch.float64), full_matrices=False
    )
    values = values * torch.logspace(0, -1, len(values), dtype=torch.float64)
    found = orthogonal(((left * values) @ right).float()).double()
    turned = left.T @ found @ right.T
    assert 0.25 < turned.diagonal().min() and turned.diagonal().max() < 1.25
    assert (turned - torch.diag(turned.diagonal())).abs().max() < 1e-3
    # Step by step, as it is published.
    plain = (left * values / values.norm()) @ right
    for _ in range(STEPS):
        gram = plain @ plain.T
        plain = A * plain + (B * gram + C * gram @ gram) @ plain
    torch.testing.assert_close(found, plain, atol=2e-3, rtol=0)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="PyTorch before 2.9 has no Muon")
def test_matrices_step_as_those_of_pytorch() -> None:
    """Of another precision inside: bfloat16 there."""
    ours, theirs = nn.Linear(24, 9, bias=False), nn.Linear(24, 9, bias=False)
    theirs.load_state_dict(ours.state_dict())
    start = ours.weight.detach().clone()
    take(ours, Muon(ours.parameters(), 1e-2, 0.1), 6)
    own = torch.optim.Muon(theirs.parameters(), 1e-2, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    take(theirs, own, 6)
    apart = (ours.weight - theirs.weight).norm() / (theirs.weight - start).norm()
    assert apart < 0.05


def test_muon_trains_models_of_matrices_alone() -> None:
    torch.manual_seed(0)
    module = nn.Linear(4, 3, bias=False)
    before, optimizer = module.weight.detach().clone(), optimizer_of(module, 0.1, kind="muon")
    module(torch.ones(2, 4)).square().sum().backward()
    optimizer.step()
    assert not torch.equal(module.weight, before)
    optimizer.load_state_dict(optimizer.state_dict())


def test_a_part_is_trained_by_adam_at_its_own_rate() -> None:
    torch.manual_seed(0)
    module = nn.ModuleDict({"gates": nn.Linear(4, 6, bias=False), "decoder": nn.Linear(6, 5)})
    alone = nn.Linear(4, 6, bias=False)
    alone.load_state_dict(module["gates"].state_dict())
    both = MuonWithAdam(module, 1e-2, by_adam=module["gates"], adam_rate=3e-3)
    assert [group["lr"] for group in both.param_groups] == [1e-2, 1e-2, 3e-3]
    adam = torch.optim.Adam(alone.parameters(), 3e-3)
    for _ in range(3):
        module["gates"](torch.ones(2, 4)).square().sum().backward()
        module["decoder"](torch.ones(2, 6)).square().sum().backward()
        alone(torch.ones(2, 4)).square().sum().backward()
        for optimizer in (both, adam):
            optimizer.step()
            optimizer.zero_grad()
    torch.testing.assert_close(module["gates"].weight, alone.weight)
    both.load_state_dict(both.state_dict())
    assert [group["lr"] for group in both.param_groups] == [1e-2, 1e-2, 3e-3]
