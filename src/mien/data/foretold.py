"""How much of people's manner can be foretold from their faces, by three learners.

Within one expression people differ. The share of that variance that a reader of the neutral face explains on
people it has not seen is the share that a personal model can hope for: a class mean explains none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mien.data.ceiling import LEAST_PEOPLE
from mien.data.dataset import FaceDataset
from mien.data.ridge import leading_axes, leave_one_out

Array = NDArray[np.float64]

MOST_VERTICES = 800
AXES, NETWORK_AXES = 60, 24
SIZES = (6, 8, 10, 14, 20)
"""How many principal coefficients of the neutral a closed-form reader may look at."""
LENGTHS = (1.0, 1.5, 2.5, 4.0)
NETWORKS, EPOCHS, HELD = 3, 400, 8


def foretold_share(data: FaceDataset) -> dict[str, float]:
    """Shares of the variance between people, within expressions, that their neutral faces foretell.

    Learned from the training people of the default division, judged on all others; on the truth where the
    set keeps it, else on scans, whose noise nobody foretells.

    Args:
        data: A whole data set of single scans.

    Returns:
        ``ridge``, ``kernel`` and ``mlp``, and ``ceiling`` where the set was performed: the share that the
        face decides at all. Empty with fewer than 40 people who show every expression.
    """
    found = _table(data)
    if found is None:
        return {}
    people, neutrals, moved = found
    train = np.isin(people, data.split("train").row_subject)
    if not 20 <= train.sum() < len(people):
        return {}
    target = _Target.of(moved, train)
    shares = {name: target.share(guess) for name, guess in _guesses(neutrals, target, train).items()}
    ceiling = data.facts.get("foretold_ceiling")
    return shares | ({} if ceiling is None else {"ceiling": float(ceiling)})


def _table(data: FaceDataset) -> tuple[NDArray[np.int32], Array, Array] | None:
    """P people with every expression: numbers, (P, 3 v) neutrals, (P, E 3 v) displacements, millimeters."""
    label = np.where((data.row_clip < 0) & data.row_labeled("expression") & data.has_neutral, data.label, -1)
    people, count = np.unique(data.row_subject), len(data.expressions)
    rows = np.full((len(people), count), -1)
    shown = np.flatnonzero(label >= 0)[::-1]  # the first scan of an expression is written last
    rows[np.searchsorted(people, data.row_subject[shown]), label[shown]] = shown
    known = (rows >= 0).all(axis=1)
    if not count or known.sum() < LEAST_PEOPLE:
        return None
    people, rows = people[known], rows[known]
    step = -(-data.topology.vertex_count // MOST_VERTICES)
    faces, rests = _readers(data)
    neutrals = np.stack([rests(own[:1])[0, ::step] for own in rows]).reshape(len(rows), -1)
    moved = np.stack([faces(own)[:, ::step].reshape(-1) for own in rows]).astype(np.float64)
    return people, neutrals.astype(np.float64), moved - np.tile(neutrals, count)


def _readers(data: FaceDataset) -> tuple[Callable[..., NDArray], Callable[..., NDArray]]:
    if data.has_truth:
        return data.true_faces, data.true_rest_of
    return data.__getitem__, data.neutral_of


@dataclass(frozen=True, eq=False)
class _Target:
    """What is to be foretold, as coefficients of the training people's principal axes.

    Args:
        moved: (P, D) float, millimeters, less the mean of the training people.
        train: (P,) bool.
        axes: (K, D) float, orthonormal.
        coefficients: (n, K) float, millimeters, of the n training people.
    """

    moved: Array
    train: NDArray[np.bool_]
    axes: Array
    coefficients: Array

    @staticmethod
    def of(moved: Array, train: NDArray[np.bool_]) -> _Target:
        centered = moved - moved[train].mean(axis=0)
        axes = leading_axes(centered[train], AXES)
        return _Target(centered, train, axes, centered[train] @ axes.T)

    def share(self, guess: Array) -> float:
        """Share of the unseen people's squares that a guess (m, K) of their coefficients explains."""
        truth = self.moved[~self.train]
        left = truth.copy()
        left -= guess @ self.axes[: guess.shape[1]]
        return float(1 - (left**2).sum() / (truth**2).sum())


def _guesses(neutrals: Array, target: _Target, train: NDArray[np.bool_]) -> dict[str, Array]:
    """Each learner's guess (m, K) about the unseen people."""
    centered = neutrals - neutrals[train].mean(axis=0)
    codes = centered @ leading_axes(centered[train], max(SIZES)).T
    codes /= np.maximum(codes[train].std(axis=0), 1e-9)
    return {
        "ridge": _closed_form(codes, target, train, [None]),
        "kernel": _closed_form(codes, target, train, LENGTHS),
        "mlp": _network(codes[:, : min(8, codes.shape[1])], target, train),
    }


def _closed_form(
    codes: Array, target: _Target, train: NDArray[np.bool_], lengths: Iterable[float | None]
) -> Array:
    """Ridge regression on codes, or on radial kernels of them; all choices by leave-one-out error."""
    best, guess = np.inf, np.zeros((0, 0))
    for length in lengths:
        for size in sorted({min(size, codes.shape[1]) for size in SIZES}):
            products = _products(codes[:, :size], length)
            weights, error = leave_one_out(products[np.ix_(train, train)], target.coefficients)
            if error < best:
                best, guess = error, products[np.ix_(~train, train)] @ weights
    return guess


def _products(codes: Array, length: float | None) -> Array:
    """(P, P) inner products of people: of their codes, or of a radial kernel."""
    products = codes @ codes.T
    if length is None:
        return products
    squares = np.diag(products)
    apart = np.maximum(squares[:, None] + squares - 2 * products, 0)
    return 100 * np.exp(-apart / (2 * length**2 * codes.shape[1]))


def _network(codes: Array, target: _Target, train: NDArray[np.bool_]) -> Array:
    """A few small perceptrons, each stopped where its own held-out people are foretold best."""
    wanted = target.coefficients[:, :NETWORK_AXES]
    scale = max(float(wanted.std()), 1e-9)
    seen = torch.tensor(codes[train], dtype=torch.float32)
    unseen = torch.tensor(codes[~train], dtype=torch.float32)
    answers = torch.tensor(wanted / scale, dtype=torch.float32)
    with torch.random.fork_rng(devices=[]):
        guesses = [_trained(seed, seen, answers)(unseen) for seed in range(NETWORKS)]
    return torch.stack(guesses).mean(dim=0).double().numpy() * scale


def _trained(seed: int, codes: torch.Tensor, answers: torch.Tensor) -> Callable[..., torch.Tensor]:
    """One perceptron, best of its epochs on every eighth person of a random order."""
    torch.manual_seed(seed)
    order = torch.randperm(len(codes))
    held, fitted = order[::HELD], order[torch.arange(len(codes)) % HELD > 0]
    last = nn.Linear(8, answers.shape[1])
    net = nn.Sequential(
        nn.Linear(codes.shape[1], 64), nn.Tanh(), nn.Dropout(0.2), nn.Linear(64, 8), last
    )  # fmt: skip
    nn.init.normal_(last.weight, std=0.02)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.05)
    best, kept = float("inf"), {name: value.clone() for name, value in net.state_dict().items()}
    for epoch in range(EPOCHS):
        net.train()
        shaken = codes[fitted] + 0.2 * torch.randn(len(fitted), codes.shape[1])
        loss = (net(shaken) - answers[fitted]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if epoch % 5 == 4:
            with torch.no_grad():
                error = float((net.eval()(codes[held]) - answers[held]).square().mean())
            if error < best:
                best, kept = error, {name: value.clone() for name, value in net.state_dict().items()}
    net.load_state_dict(kept)
    return torch.no_grad()(net.eval())
