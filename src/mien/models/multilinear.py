"""The multilinear face model: one tensor of people by expressions by coordinates, taken apart by Tucker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.errors import BadSetting
from mien.models.base import FaceModel, Reference
from mien.nn.principal import principal_axes
from mien.progress import track
from mien.topology import Topology

BLOCK = 256
#: Scans of a labeled expression below this weight (the ends of a clip) are not that expression yet.
PERFORMED = 0.5
ROUNDS, SETTLED = 200, 1e-7  # of alternating least squares, and the relative change that ends it
DAMPING = 1e-3  # of the first step of a fit, as a share of the mean curvature
#: Directions in which people's codes vary less than this share of the largest deviation carry nothing.
FLAT = 1e-3


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
        # b of the neutral and of every named expression; nan where no training scan shows it.
        self.register_buffer("shown", torch.zeros(0, 0))

    def prepare(self, data: FaceDataset) -> None:
        """The tensor of the training scans, its two modes, and the core in the codes' own units."""
        self.check_data(data)
        rows, cells = _cells(data)
        found = principal_axes(data.__getitem__, rows, self.vertex_axes, label="axes of the scans")
        tensor, known = _tensor(data, rows, cells, found.mean, found.axes)
        center = _filled(tensor, known).mean(axis=(0, 1))
        people, shown, core = incomplete_tucker(tensor - center, known, self.sizes)
        mean = found.mean + (center @ found.axes).astype(np.float32)
        to_person, _ = _standardized(people)
        to_expression, codes = _standardized(shown)
        core = np.einsum("klc,ka,lb->abc", core, to_person, to_expression)
        codes[~np.any(known, axis=0)] = np.nan
        self.mean_face = torch.from_numpy(mean).view(-1, 3).to(self.device)
        self.axes = torch.from_numpy(found.axes).to(self.device)
        self.core = torch.from_numpy(core.astype(np.float32)).to(self.device)
        self.shown = torch.from_numpy(codes.astype(np.float32)).to(self.device)

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
        seen = ~self.shown.isnan().any(1)
        if seen[0]:
            offsets = self.shown[1:] - self.shown[0]
            self.calibration.rest = self.shown[0].clone()
            self.calibration.offsets = torch.where(seen[1:, None], offsets, 0.0)


def _with_one(codes: Tensor) -> Tensor:
    """(B, K) to (B, 1 + K): the constant part of u and v, then the code."""
    return torch.cat([torch.ones_like(codes[:, :1]), codes], dim=1)


def _cells(data: FaceDataset) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that fill a cell of the tensor, and person and expression (0 neutral) of each, (n, 2)."""
    known = data.row_labeled("identity") & data.row_labeled("expression")
    known &= data.is_neutral | (data.row_weights.max(axis=1, initial=0) >= PERFORMED)
    rows = np.flatnonzero(known)
    people, person = np.unique(data.row_subject[rows], return_inverse=True)
    shown = data.label[rows] + 1
    if len(people) < 2 or len(np.unique(shown)) < 2:
        raise BadSetting(
            "a multilinear model needs people and expressions with labels, at least two of each",
            received=f"{len(people)} people, {len(np.unique(shown))} expressions",
            remedy="label who and what the scans show",
        )  # fmt: skip
    return rows, np.column_stack([person, shown])


def _tensor(
    data: FaceDataset, rows: NDArray[np.int64], cells: NDArray[np.int64], mean: NDArray, axes: NDArray
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(S, 1 + E, C) mean coefficients of the scans of each cell, and (S, 1 + E) which cells have any."""
    shape = int(cells[:, 0].max()) + 1, 1 + len(data.expressions)
    total, count = np.zeros((*shape, len(axes))), np.zeros(shape)
    for start in track(range(0, len(rows), BLOCK), "tensor"):
        part = slice(start, start + BLOCK)
        offset = data[rows[part]].reshape(len(rows[part]), -1) - mean
        np.add.at(total, tuple(cells[part].T), offset @ axes.T)
        np.add.at(count, tuple(cells[part].T), 1)
    return total / np.maximum(count, 1)[:, :, None], count > 0


def _filled(tensor: NDArray, known: NDArray[np.bool_]) -> NDArray:
    """The tensor with missing cells at person + expression - mean, the two-way means solved together."""
    weight = known[:, :, None].astype(float)
    scans = np.maximum(weight.sum(0, keepdims=True), 1)
    people, shown = np.zeros((len(tensor), 1, tensor.shape[2])), np.zeros((1, *tensor.shape[1:]))
    for _ in range(ROUNDS):
        people = (weight * (tensor - shown)).sum(1, keepdims=True) / weight.sum(1, keepdims=True)
        before = shown
        shown = (weight * (tensor - people)).sum(0, keepdims=True) / scans
        if np.abs(shown - before).max() <= SETTLED * np.abs(tensor).max():
            break
    return np.where(weight > 0, tensor, people + shown)


def incomplete_tucker(
    tensor: NDArray, known: NDArray[np.bool_], ranks: tuple[int, int]
) -> tuple[NDArray, NDArray, NDArray]:
    """Tucker decomposition of the first two modes by alternating least squares over the known cells.

    Each round solves one mode after the other by an SVD with the rest held, then gives the missing cells the
    model's values: the squared error of the known ones never rises.

    Args:
        tensor: (S, P, C) float, any unit.
        known: (S, P) bool. Which cells count.
        ranks: At most so many columns of the modes.

    Returns:
        Modes (S, K) and (P, L) with orthonormal columns, and the core (K, L, C).
    """
    filled = _filled(tensor, known)
    first = _leading(filled.reshape(len(filled), -1), ranks[0])
    second = _leading(np.moveaxis(filled, 1, 0).reshape(filled.shape[1], -1), ranks[1])
    scale = max(float(np.abs(filled).max()), 1e-12)
    for _ in range(ROUNDS):
        by_second = np.einsum("spc,pl->slc", filled, second)
        first = _leading(by_second.reshape(len(filled), -1), ranks[0])
        by_first = np.einsum("spc,sk->pkc", filled, first)
        second = _leading(by_first.reshape(filled.shape[1], -1), ranks[1])
        core = np.einsum("pkc,pl->klc", by_first, second)
        model = np.einsum("klc,sk,pl->spc", core, first, second, optimize=True)
        before, filled = filled, np.where(known[:, :, None], filled, model)
        if np.abs(filled - before).max() <= SETTLED * scale:
            break
    return first, second, core


def _leading(matrix: NDArray, rank: int) -> NDArray:
    """(n, K) leading left singular vectors of a matrix (n, m), no more than it spans."""
    values, vectors = np.linalg.eigh(matrix @ matrix.T)
    values, vectors = values[::-1], vectors[:, ::-1]
    return vectors[:, : max(1, min(rank, int((values > 1e-12 * max(values[0], 1e-300)).sum())))]


def _standardized(mode: NDArray) -> tuple[NDArray, NDArray]:
    """[u_mean, L], (K, 1 + A), which makes rows u of a mode (n, K) from (1, a); and a of each row, (n, A)."""
    mean = mode.mean(axis=0)
    _, values, axes = np.linalg.svd(mode - mean, full_matrices=False)
    kept = values > FLAT * max(values[0], 1e-300)
    axes = axes[kept] * np.sign(axes[kept][np.arange(kept.sum()), np.abs(axes[kept]).argmax(axis=1)])[:, None]
    deviation = values[kept] / np.sqrt(len(mode))
    to_row = np.column_stack([mean, axes.T * deviation])
    return to_row, (mode - mean) @ axes.T / deviation
