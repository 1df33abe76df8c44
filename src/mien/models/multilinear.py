"""The multilinear face model: one tensor of people by expressions by coordinates, taken apart by Tucker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.tensor import cell_means, labeled_cells
from mien.errors import BadSetting
from mien.models.base import FaceModel, Reference
from mien.nn.principal import principal_axes
from mien.nn.tucker import bilinear_model
from mien.topology import Topology

DAMPING = 1e-3  # of the first step of a fit, as a share of the mean curvature


class Multilinear(FaceModel):
    """A face is bilinear in who it is and what it does: every person may perform an expression differently.

    Reference: D. Vlasic, M. Brand, H. Pfister, J. Popovic. Face Transfer with Multilinear Models.
    SIGGRAPH 2005.

    Equations (T the data tensor, people x expressions x 3V; M the core; x_i the product with mode i)::

        T - m = M x_1 U_id x_2 U_exp                               (Tucker, ranks K_id and K_exp)
        x = m + M x_1 u^T x_2 v^T,   u = u_mean + L_id a,   v = v_mean + L_exp b
        a, b = argmin ||x - m - M x_1 u^T x_2 v^T||^2 + ridge (||a||^2 + ||b||^2)

    u_mean and L_id L_id^T are mean and covariance of the rows of U_id, one for each person, and likewise for
    expressions, where the neutral is one of them.

    Departures:
        - Codes are a and b, in units of standard deviations, instead of u and v: the scale that u and v
          could trade with each other is fixed, and a, b ~ N(0, I) is the Gaussian of the rows.
        - The tensor is computed in ``vertex_axes`` principal axes of all scans, so that it fits in memory.
        - Cells that nobody scanned start at person + expression - mean and are solved for together with the
          two modes, by alternating least squares (the publication takes a probabilistic PCA of each mode).
        - The fit moves both codes together (Levenberg and Marquardt, from the mean codes on). Alternating
          between them, as published, ends at the same codes after hundreds of rounds instead of ten.

    Example:
        >>> model = Multilinear(data.topology, data.expressions)
        >>> model.prepare(data.split("train"))
        >>> model.calibrate(data.split("train"))
        >>> neutral = model.neutral_face(model.encode(faces))

    Args:
        topology: What all faces share.
        expressions: E expression names.
        identity_size: K_id, rank of the mode of people.
        expression_size: K_exp, rank of the mode of expressions.
        ridge: Weight of the squared codes in square millimeters, summed over all coordinates.
        rounds: Steps of the fit.
        vertex_axes: Principal axes of the scans; fewer are kept when there are fewer scans.
    """

    name: ClassVar[str] = "multilinear"
    reference: ClassVar[Reference] = Reference(
        "vlasic2005face", "Vlasic, Daniel and Brand, Matthew and Pfister, Hanspeter and Popovi{\\'c}, Jovan",
        "Face Transfer with Multilinear Models", "ACM Transactions on Graphics (SIGGRAPH)", 2005,
    )  # fmt: skip
    needs_neutrals: ClassVar[bool] = False
    native: ClassVar[frozenset[str]] = frozenset(("reconstruct", "transfer", "interpolate", "fit"))

    mean_face: Tensor
    axes: Tensor
    core: Tensor
    shown: Tensor
    seen: Tensor

    def __init__(
        self,
        topology: Topology,
        expressions: Sequence[str],
        identity_size: int = 65,
        expression_size: int = 20,
        ridge: float = 1.0,
        rounds: int = 10,
        vertex_axes: int = 300,
    ) -> None:
        super().__init__(topology, expressions)
        if ridge <= 0 or min(identity_size, expression_size, rounds, vertex_axes) < 1:
            raise BadSetting(
                "ranks, rounds and axes must be at least 1 and the ridge positive",
                received=f"{identity_size}, {expression_size}, {rounds}, {vertex_axes}, {ridge}",
            )
        self.sizes, self.ridge, self.rounds = (identity_size, expression_size), ridge, rounds
        self.vertex_axes = vertex_axes
        self.register_buffer("mean_face", torch.from_numpy(topology.template.copy()))
        self.register_buffer("axes", torch.zeros(0, topology.vertex_count * 3))
        self.register_buffer("core", torch.zeros(1, 1, 0))  # of (1, a) by (1, b) by axes
        # b of the neutral and of every named expression, and which of them a training scan shows.
        self.register_buffer("shown", torch.zeros(0, 0))
        self.register_buffer("seen", torch.zeros(0, dtype=torch.bool))

    def prepare(self, data: FaceDataset) -> None:
        """The tensor of the training scans, its two modes, and the core in the codes' own units."""
        self.check_data(data)
        rows, cells = labeled_cells(data)
        found = principal_axes(data.__getitem__, rows, self.vertex_axes, label="axes of the scans")
        tensor, known = cell_means(data, rows, cells, found.mean, found.axes)
        fitted = bilinear_model(tensor, known, self.sizes)
        mean = found.mean + (fitted.center @ found.axes).astype(np.float32)
        self.mean_face = torch.from_numpy(mean).view(-1, 3).to(self.device)
        self.axes = torch.from_numpy(found.axes).to(self.device)
        self.core = torch.from_numpy(fitted.core.astype(np.float32)).to(self.device)
        self.seen = torch.from_numpy(~np.isnan(fitted.shown).any(axis=1)).to(self.device)
        self.shown = torch.from_numpy(np.nan_to_num(fitted.shown).astype(np.float32)).to(self.device)

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """Both codes of the scan alone, from the mean codes on; ``neutral`` is not used."""
        target = ((vertices - self.mean_face).flatten(1) @ self.axes.T).double()
        codes = target.new_zeros(len(target), sum(self.core.shape[:2]) - 2)
        damping = torch.ones_like(codes[:, :1])
        rows, rest = self._linearized(codes, target)
        for _ in range(self.rounds):
            normal = rows @ rows.mT
            diagonal = self.ridge + DAMPING * damping * normal.diagonal(dim1=1, dim2=2).mean(1, keepdim=True)
            downhill = (rows @ rest[:, :, None])[:, :, 0] - self.ridge * codes
            new = codes + torch.linalg.solve(normal + torch.diag_embed(diagonal.expand_as(codes)), downhill)
            new_rows, new_rest = self._linearized(new, target)
            nearer = self._energy(new, new_rest) < self._energy(codes, rest)
            damping = torch.where(nearer, damping / 5, damping * 4)
            codes = torch.where(nearer, new, codes)
            rest = torch.where(nearer, new_rest, rest)
            rows = torch.where(nearer[:, :, None], new_rows, rows)
        return Codes(*(part.float() for part in codes.split(self._sizes, dim=1)))

    @property
    def _sizes(self) -> list[int]:
        """Numbers of both codes: the core has a row for the constant part of u and v, too."""
        return [size - 1 for size in self.core.shape[:2]]

    def _linearized(self, codes: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """(B, K, C) how targets (B, C) change with the codes (B, K), and (B, C) what the codes leave."""
        core = self.core.double()
        a, b = (_with_one(part) for part in codes.split(self._sizes, dim=1))
        by_a, by_b = torch.einsum("abc,nb->nac", core, b), torch.einsum("abc,na->nbc", core, a)
        return torch.cat([by_a[:, 1:], by_b[:, 1:]], dim=1), target - (a[:, None] @ by_a)[:, 0]

    def _energy(self, codes: Tensor, rest: Tensor) -> Tensor:
        """(B, 1) what the fit minimizes, of codes (B, K) and what they leave (B, C)."""
        return (rest.square().sum(1) + self.ridge * codes.square().sum(1))[:, None]

    def decode(self, codes: Codes) -> Tensor:
        """m + M x_1 u^T x_2 v^T."""
        who = torch.einsum("abc,na->nbc", self.core, _with_one(codes.identity))
        return self.mean_face + (
            (_with_one(codes.expression)[:, None] @ who)[:, 0] @ self.axes
        ).unflatten(1, (-1, 3))  # fmt: skip

    def sample(self, count: int, *, generator: Generator | None = None) -> Codes:
        """a, b ~ N(0, I), the Gaussians of the rows of both modes."""
        device = generator.device if generator else self.device
        drawn = torch.randn(count, sum(self._sizes), generator=generator, device=device).to(self.device)
        return Codes(*drawn.split(self._sizes, dim=1))

    def calibrate(self, data: FaceDataset) -> None:
        """Rest and named expressions are rows of U_exp, where the training scans show them."""
        super().calibrate(data)
        if self.seen[0]:
            offsets = self.shown[1:] - self.shown[0]
            self.calibration.rest = self.shown[0].clone()
            self.calibration.offsets = torch.where(self.seen[1:, None], offsets, 0.0)


def _with_one(codes: Tensor) -> Tensor:
    """(B, K) to (B, 1 + K): the constant part of u and v, then the code."""
    return torch.cat([torch.ones_like(codes[:, :1]), codes], dim=1)
