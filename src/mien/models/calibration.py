"""How codes lie on the training data: what naming expressions, inversion and sampling need."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Generator, Tensor, nn

from mien.codes import Codes
from mien.errors import BadSetting, Unsupported

LARGEST_DRAWN = 1024
"""Numbers of a code whose covariance is measured; codes of every triangle of a mesh are never drawn."""


class Calibration(nn.Module):
    """What naming expressions needs: measured on training data after training, saved with the model.

    ``rest`` (*X) is the expression code of a neutral face; ``offsets`` (E, *X) what full weight of each named
    expression adds to it; the deviations standardize codes for inversion. The roots (D, D) of the covariances
    of codes that are short vectors make random codes like those of real faces; other codes have none.
    """

    rest: Tensor
    offsets: Tensor
    identity_mean: Tensor
    identity_std: Tensor
    identity_root: Tensor
    expression_mean: Tensor
    expression_std: Tensor
    expression_root: Tensor

    def __init__(self, expression_count: int) -> None:
        super().__init__()
        self.register_buffer("rest", torch.zeros(0))
        self.register_buffer("offsets", torch.zeros(expression_count, 0))
        for factor in ("identity", "expression"):
            for name, shape in (("mean", (0,)), ("std", (0,)), ("root", (0, 0))):
                self.register_buffer(f"{factor}_{name}", torch.zeros(shape))

    def require(self, model: str = "the model") -> None:
        """Raises unless something was measured: what needs it would fail on shapes that say nothing.

        Args:
            model: What the sentence calls the model.
        """
        if not self.rest.numel() and not self.identity_mean.numel():
            raise BadSetting(
                f"{model} was never calibrated, so it does not know how its codes lie",
                remedy="call model.calibrate(training data) after training, or train it with mien.train",
            )

    def disagreement(self) -> str:
        """Which two tensors cannot be of one measurement, by their shapes; empty if all agree."""
        rest, expression = tuple(self.rest.shape), tuple(self.expression_mean.shape)
        if tuple(self.offsets.shape[1:]) != rest:
            return f"offsets of shape {tuple(self.offsets.shape)} for a rest of {rest}"
        if self.expression_mean.numel() and expression != rest:
            return f"expression_mean of shape {expression} for a rest of {rest}"
        for factor in ("identity", "expression"):
            mean, std, root = (
                tuple(getattr(self, f"{factor}_{name}").shape) for name in ("mean", "std", "root")
            )
            if std != mean:
                return f"{factor}_std of shape {std} for a mean of {mean}"
            if root not in ((0, 0), mean * 2):
                return f"{factor}_root of shape {root} for a mean of {mean}"
        return ""

    def express(self, weights: Tensor) -> Tensor:
        """Rest plus weighted offsets: (B, E) -> (B, *X), or (B, T, E) -> (B, T, *X)."""
        return self.rest + torch.tensordot(weights.to(self.offsets), self.offsets, dims=1)

    def sample(self, count: int, generator: Generator | None = None) -> Codes:
        """Codes from one normal distribution a factor, with mean and covariance of the training codes."""
        self.require()
        device = generator.device if generator else self.rest.device
        sizes = len(self.identity_root), len(self.expression_root)
        if not min(sizes):
            raise Unsupported(
                f"codes of more than {LARGEST_DRAWN} numbers are not drawn at random",
                received=f"{self.identity_mean.numel()} and {self.expression_mean.numel()}",
                remedy="train a model with smaller codes",
            )
        drawn = torch.randn(count, sum(sizes), generator=generator, device=device).to(self.rest.device)
        identity, expression = drawn.split(sizes, dim=1)
        return Codes(
            self.identity_mean + identity @ self.identity_root,
            self.expression_mean + expression @ self.expression_root,
        )

    @torch.no_grad()
    def measure(self, encoded: Iterable[tuple[Codes, Tensor, Tensor]]) -> None:
        """Fits rest, offsets and deviations by least squares.

        Args:
            encoded: Batches of codes of B scans, their named weights (B, E) float, and (B,) bool: which of
                the scans have an expression label.
        """
        sums = _Sums()
        for codes, weights, labeled in encoded:
            sums.add(codes, weights, labeled)
        device = self.rest.device
        for factor in ("identity", "expression"):
            for name, value in zip(("mean", "std", "root"), sums.moments(factor), strict=True):
                setattr(self, f"{factor}_{name}", value.float().to(device))
        solution = sums.solve(len(self.offsets)).float().to(device)
        shape = self.expression_mean.shape
        self.rest, self.offsets = solution[0].reshape(shape), solution[1:].reshape(len(self.offsets), *shape)


class _Sums:
    """Running sums of codes, so that per-triangle codes of many faces need not be kept."""

    def __init__(self) -> None:
        self.count = 0
        self.first: dict[str, Tensor] = {}
        self.second: dict[str, Tensor] = {}
        self.products: dict[str, Tensor] = {}
        self.gram: Tensor | float = 0.0
        self.cross: Tensor | float = 0.0

    def add(self, codes: Codes, weights: Tensor, known: Tensor) -> None:
        self.count += len(codes)
        for name in ("identity", "expression"):
            values = codes.factor(name).detach().double().cpu()
            self.first[name] = self.first.get(name, 0.0) + values.sum(0)
            self.second[name] = self.second.get(name, 0.0) + (values**2).sum(0)
            if values.ndim == 2 and values.shape[1] <= LARGEST_DRAWN:
                self.products[name] = self.products.get(name, 0.0) + values.T @ values
        design = torch.cat([torch.ones(len(weights), 1), weights], dim=1).double()[known]
        values = codes.expression.detach().double().cpu()[known].flatten(1)
        self.gram = self.gram + design.T @ design
        self.cross = self.cross + design.T @ values

    def moments(self, name: str) -> tuple[Tensor, Tensor, Tensor]:
        """Mean, deviation, and for vectors the symmetric root of the covariance (D, D)."""
        mean = self.first[name] / self.count
        deviation = (self.second[name] / self.count - mean**2).clamp_min(0).sqrt().clamp_min(1e-6)
        if name not in self.products:
            return mean, deviation, torch.zeros(0, 0)
        values, axes = torch.linalg.eigh(self.products[name] / self.count - mean[:, None] * mean)
        # Directions in which the codes do not vary: what is left there is rounding, whose root is not small.
        rounding = (self.second[name] / self.count).sum() * len(mean) * torch.finfo(torch.float64).eps
        values = torch.where(values > rounding, values, 0.0)
        return mean, deviation, (axes * values.sqrt()) @ axes.T

    def solve(self, expression_count: int) -> Tensor:
        """(1 + E, D) rest and offsets: least squares of codes on weights, with a trace of ridge."""
        assert isinstance(self.gram, Tensor)
        ridge = 1e-6 * max(1.0, float(self.gram.diagonal().max())) * torch.eye(1 + expression_count).double()
        ridge[0, 0] = 0.0
        return torch.linalg.lstsq(self.gram + ridge, self.cross).solution
