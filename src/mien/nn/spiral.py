"""Spiral convolution (SpiralNet++, Gong et al. 2019) on a fixed topology, and what surrounds it.

    y_v = b + sum_s W_s x_{spiral(v, s)}                                              s = 1..S

The published form copies the S neighbors of every vertex side by side and applies one linear layer to the
copies: memory traffic, not arithmetic, sets its speed, forward and above all backward. The same sum is

    y = A h,    h_{(u, s)} = W_s x_u,    A_{v, (u, s)} = 1 where spiral(v, s) = u

a small matrix product that needs no copies, then a sparse matrix with S ones a row. The same A also holds
what stands before or after a convolution in a mesh network: rows are left out where pooling drops a vertex
right away, and barycentric weights of up-sampling multiply in, so that the product runs on the coarse mesh.
One face after the other, in pieces, keeps h or the copies in the cache of a processor, so that either form
runs near the speed of the matrix product; a GPU takes all at once.

B batch, V output vertices, U input vertices, C channels in, D channels out, S spiral length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional

from mien.geometry.hierarchy import Level, hierarchy
from mien.geometry.spirals import nose_tip, spiral_indices, spirals
from mien.topology import Topology

CACHED = 2**18
"""Numbers of a buffer that a processor has at hand again soon: half or twice as many measured the same."""


class SparseRows(nn.Module):
    """A fixed sparse matrix and its transpose, as buffers: empty until :meth:`set`, saved with the model.

    Both are lists of columns, row after row, with the place where each row starts.
    """

    columns: Tensor
    starts: Tensor
    values: Tensor
    rows: Tensor
    row_starts: Tensor
    row_values: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("columns", "starts", "rows", "row_starts"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.int64))
        for name in ("values", "row_values"):
            self.register_buffer(name, torch.zeros(0))

    def set(self, matrix: csr_matrix) -> SparseRows:
        """Takes over a matrix (V, N)."""
        matrix, transpose = csr_matrix(matrix), csr_matrix(matrix.T)
        plain = bool((matrix.data == 1).all())
        for name, part in (("columns", matrix), ("rows", transpose)):
            setattr(self, name, torch.from_numpy(part.indices.astype(np.int64)))
        for name, part in (("starts", matrix), ("row_starts", transpose)):
            setattr(self, name, torch.from_numpy(part.indptr[:-1].astype(np.int64)))
        for name, part in (("values", matrix), ("row_values", transpose)):
            data = np.zeros(0) if plain else part.data
            setattr(self, name, torch.from_numpy(data.astype(np.float32)))
        return self

    @property
    def shape(self) -> tuple[int, int]:
        """(V, N)."""
        return len(self.starts), len(self.row_starts)

    def disagreement(self) -> str:
        """Which tensor names an entry that the matrix or its transpose does not have; empty if none does."""
        count, rows = self.shape
        for name, most in (("columns", rows), ("rows", count)):
            if _outside(getattr(self, name), most):
                return f"{name} beyond a matrix of {count} x {rows}"
        for name, entries, values in (
            ("starts", self.columns, self.values), ("row_starts", self.rows, self.row_values)
        ):  # fmt: skip
            starts = getattr(self, name)
            if _outside(starts, len(entries) + 1) or bool((starts.diff() < 0).any()):
                return f"{name} that are no starts among {len(entries)} entries"
            if len(values) not in (0, len(entries)):
                return f"{len(values)} values for {len(entries)} entries"
        return ""

    @property
    def selects(self) -> bool:
        """Each row of A x is a row of x."""
        return len(self.columns) == len(self.starts) and not len(self.values)

    def times(self, x: Tensor) -> Tensor:
        """(N, D) to (V, D)."""
        if self.selects:
            return x.index_select(0, self.columns)
        return _bag(x, self.columns, self.starts, self.values)

    def transposed_times(self, x: Tensor) -> Tensor:
        """(V, D) to (N, D)."""
        return _bag(x, self.rows, self.row_starts, self.row_values)

    def pieces(self, together: int, width: int, *, transposed: bool = False) -> list[_Piece]:
        """The matrix or its transpose cut into rows whose product with x stays in the cache.

        Args:
            together: So many rows after each other belong together.
            width: How many numbers they hold in the product.
            transposed: Cut the transpose.
        """
        columns, starts, values = self.columns, self.starts, self.values
        if transposed:
            columns, starts, values = self.rows, self.row_starts, self.row_values
        size, groups = max(1, CACHED // width), len(starts) // together
        found = []
        for first in range(0, groups, size):
            last = min(first + size, groups)
            begin = int(starts[first * together])
            end = int(starts[last * together]) if last < groups else len(columns)
            rows = starts[first * together : last * together] - begin
            alone = None if self.selects and not transposed else rows
            found.append(_Piece(first, last, columns[begin:end], alone, values[begin:end]))
        return found

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, V, D), differentiable any number of times."""
        return _Apply.apply(x, self, False)


def _outside(numbers: Tensor, most: int) -> bool:
    """Whether any (k,) int is not among 0, 1 ... most - 1."""
    return bool(((numbers < 0) | (numbers >= most)).any())


def _bag(x: Tensor, columns: Tensor, starts: Tensor, values: Tensor) -> Tensor:
    weights = values.to(x.dtype) if len(values) else None
    return functional.embedding_bag(columns, x, starts, mode="sum", per_sample_weights=weights)


class _Piece(NamedTuple):
    """Rows of a sparse matrix, groups ``first`` to ``last`` of them; without ``starts`` a selection."""

    first: int
    last: int
    columns: Tensor
    starts: Tensor | None
    values: Tensor

    def times(self, x: Tensor, buffer: Tensor) -> Tensor:
        """The product with x (N, D), a group of rows side by side; a selection of rows overwrites ``buffer``:
        fresh memory for each piece costs more than the copies.
        """
        if self.starts is not None:
            return _bag(x, self.columns, self.starts, self.values).view(self.last - self.first, -1)
        found = torch.index_select(x, 0, self.columns, out=buffer[: len(self.columns)])
        if x.dim() == 1:
            found = found.view(torch.float32)
        return found.view(self.last - self.first, -1)


def _to_gather(x: Tensor, matrix: SparseRows) -> Tensor:
    """(B, U, C) as pieces take rows best: three single-precision channels and a one are one number of 16
    bytes, (B, U), which is moved several times as fast as a row.
    """
    if x.shape[2] == 3 and x.dtype == torch.float32 and matrix.selects:
        return functional.pad(x, (0, 1), value=1.0).view(torch.complex128)[..., 0]
    return x


def _buffer(x: Tensor, pieces: list[_Piece]) -> Tensor:
    """Space for a selection of rows of one of the faces x."""
    return x.new_empty(len(pieces[0].columns) if pieces else 0, *x.shape[2:])


class _Apply(torch.autograd.Function):
    """x to A x or A^T x for each face of a batch."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, matrix: SparseRows, transposed: bool) -> Tensor:
        ctx.matrix, ctx.transposed = matrix, transposed
        product = matrix.transposed_times if transposed else matrix.times
        if x.device.type == "cpu" and len(x) * max(matrix.shape) * x.shape[2] > CACHED:
            return torch.stack([product(face) for face in x.detach()])
        wide = x.detach().movedim(0, 1).flatten(1)  # (N, B D): one call for the whole batch
        return product(wide).unflatten(1, (len(x), -1)).movedim(1, 0).contiguous()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _Apply.apply(gradients[0], ctx.matrix, not ctx.transposed), None, None


class _SpreadFirst(torch.autograd.Function):
    """y = A (x W) + b, W (C, S D), one face after the other so that x W stays in the cache."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, operator: SpiralOperator) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.matrix = matrix = operator.spread
        y = x.new_empty(len(x), matrix.shape[0], len(bias))
        spread = x.new_empty(x.shape[1], weight.shape[1])
        for face, out in zip(x.detach(), y, strict=True):
            torch.mm(face, weight, out=spread)
            torch.add(matrix.times(spread.view(-1, len(bias))), bias, out=out)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        if torch.is_grad_enabled():  # a gradient penalty differentiates what follows once more
            spread = _Apply.apply(gradient, ctx.matrix, True).view(*x.shape[:2], -1)
            weights = torch.einsum("buc,bud->cd", x, spread)
            return spread @ weight.T, weights, gradient.sum((0, 1)), None
        wanted = ctx.needs_input_grad
        to_input, to_weight = _through_spread(gradient, x, weight, ctx.matrix, wanted[0], wanted[1])
        return to_input, to_weight, gradient.flatten(0, 1).sum(0), None


def _through_spread(
    gradient: Tensor, x: Tensor, weight: Tensor, matrix: SparseRows, for_input: bool, for_weight: bool
) -> tuple[Tensor | None, Tensor | None]:
    """Gradients of x and W where y = A (x W): both are products of A^T g, made a cache's worth at a time."""
    to_input = torch.empty_like(x) if for_input else None
    to_weight = torch.zeros_like(weight) if for_weight else None
    pieces = matrix.pieces(matrix.shape[1] // x.shape[1], weight.shape[1], transposed=True)
    buffer = x.new_empty(0)  # sums of rows need none
    for number, face in enumerate(x):
        for piece in pieces:
            spread = piece.times(gradient[number], buffer)
            if to_input is not None:
                torch.mm(spread, weight.T, out=to_input[number, piece.first : piece.last])
            if to_weight is not None:
                to_weight.addmm_(face[piece.first : piece.last].T, spread)
    return to_input, to_weight


class _GatherFirst(torch.autograd.Function):
    """y = (G x) W + b, G (V S, U), W (S C, D), a cache's worth of G x at a time; it is made again going
    backward, or A^T g stands for it where that is as small and serves both gradients.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, operator: SpiralOperator) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.operator = operator
        y = x.new_empty(len(x), operator.gather.shape[0] // operator.length, len(bias))
        faces, apart = _to_gather(x.detach(), operator.gather), 1
        if faces.dim() == 2:  # the ones of the first place carry the bias
            weight = functional.pad(weight.view(operator.length, 3, -1), (0, 0, 0, 1)).flatten(0, 1)
            weight[3], apart = bias, 0
        pieces = operator.gather.pieces(operator.length, len(weight))
        buffer = _buffer(faces, pieces)
        for face, out in zip(faces, y, strict=True):
            for piece in pieces:
                gathered = piece.times(face, buffer)
                torch.addmm(bias, gathered, weight, beta=apart, out=out[piece.first : piece.last])
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        gradient, matrix = gradients[0].contiguous(), ctx.operator.gather
        if torch.is_grad_enabled():
            gathered = _Apply.apply(x, matrix, False).view(*gradient.shape[:2], -1)
            spread = (gradient @ weight.T).view(len(x), -1, x.shape[2])
            weights = torch.einsum("bvc,bvd->cd", gathered, gradient)
            return _Apply.apply(spread, matrix, True), weights, gradient.sum((0, 1)), None
        for_input, for_weight, *_ = ctx.needs_input_grad
        to_bias = gradient.flatten(0, 1).sum(0)
        if ctx.operator.plain and x.shape[2] == weight.shape[1] and for_input:
            other = _places_beside_outputs(weight, ctx.operator.length)
            to_input, to_other = _through_spread(
                gradient, x, other, ctx.operator.spread, for_input, for_weight
            )
            to_weight = None if to_other is None else _places_beside_inputs(to_other, ctx.operator.length)
            return to_input, to_weight, to_bias, None
        to_input = _to_gathered_input(gradient, x, weight, matrix) if for_input else None
        to_weight = _to_gathered_weight(gradient, x, weight, ctx.operator) if for_weight else None
        return to_input, to_weight, to_bias, None


def _places_beside_outputs(weight: Tensor, length: int) -> Tensor:
    """(S C, D) weights of copies side by side as the (C, S D) of a product that runs first."""
    return weight.view(length, -1, weight.shape[1]).transpose(0, 1).flatten(1)


def _places_beside_inputs(weight: Tensor, length: int) -> Tensor:
    """(C, S D) weights of a product that runs first as the (S C, D) of copies side by side."""
    return weight.view(len(weight), length, -1).transpose(0, 1).flatten(0, 1)


def _to_gathered_input(gradient: Tensor, x: Tensor, weight: Tensor, matrix: SparseRows) -> Tensor:
    """Gradient of x where y = (G x) W."""
    to_input = torch.empty_like(x)
    spread = x.new_empty(gradient.shape[1], len(weight))
    for of_face, out in zip(gradient, to_input, strict=True):
        torch.mm(of_face, weight.T, out=spread)
        out.copy_(matrix.transposed_times(spread.view(-1, x.shape[2])))
    return to_input


def _to_gathered_weight(gradient: Tensor, x: Tensor, weight: Tensor, operator: SpiralOperator) -> Tensor:
    """Gradient of W where y = (G x) W."""
    length, faces = operator.length, _to_gather(x, operator.gather)
    to_weight = weight.new_zeros(length * (4 if faces.dim() == 2 else x.shape[2]), weight.shape[1])
    pieces = operator.gather.pieces(length, len(to_weight))
    buffer = _buffer(faces, pieces)
    for of_face, face in zip(gradient, faces, strict=True):
        for piece in pieces:
            to_weight.addmm_(piece.times(face, buffer).T, of_face[piece.first : piece.last])
    return to_weight.view(length, -1, weight.shape[1])[:, : x.shape[2]].flatten(0, 1)


class SpiralOperator(nn.Module):
    """Where a convolution reads: from U vertices, over the spirals of V vertices, with sampling folded in.

    Args:
        length: S, entries of a spiral.
    """

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length
        self.spread, self.gather = SparseRows(), SparseRows()

    @property
    def plain(self) -> bool:
        """No sampling folded in: every vertex reads S others."""
        return not len(self.gather.values)

    def set(
        self, order: NDArray, *, kept: NDArray | None = None, up: csr_matrix | None = None
    ) -> SpiralOperator:
        """Takes over the spirals of a level.

        Args:
            order: (W, S) int. Spirals of the level's W vertices.
            kept: (V,) int. Rows that pooling keeps; None: all.
            up: (W, U) sparse. Up-sampling from a coarser level before the convolution; None: none.
        """
        rows = order if kept is None else order[kept]
        count, length = rows.shape
        ones = csr_matrix((np.ones(rows.size), (np.arange(rows.size), rows.ravel())), (rows.size, len(order)))
        gather = (ones if up is None else ones @ up).tocoo()  # ((v, s), u)
        vertex, place = np.divmod(gather.row, length)
        shape = (count, gather.shape[1] * length)
        self.spread.set(csr_matrix((gather.data, (vertex, gather.col * length + place)), shape))
        self.gather.set(gather.tocsr())
        return self


class SpiralConvolution(nn.Module):
    """y_v = b + sum_s W_s x_{spiral(v, s)}: the layer's weights; where it reads comes with each call.

    Args:
        inputs: C.
        outputs: D.
        length: S.

    Shapes:
        x (B, U, C), operator of (V, U, S) -> (B, V, D).
    """

    def __init__(self, inputs: int, outputs: int, length: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, length * inputs))  # as one linear layer on copies
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor, operator: SpiralOperator) -> Tensor:
        length, inputs = operator.length, x.shape[2]
        if inputs < len(self.weight) or (operator.plain and inputs == len(self.weight)):
            weight, matrix = self.weight.T.contiguous(), operator.gather
            if x.device.type == "cpu":
                return _GatherFirst.apply(x, weight, self.bias, operator)
            return matrix(x).view(len(x), -1, len(weight)) @ weight + self.bias
        weight = self.weight.view(-1, length, inputs).permute(2, 1, 0).flatten(1)  # (C, S D)
        if x.device.type == "cpu":
            return _SpreadFirst.apply(x, weight, self.bias, operator)
        return operator.spread((x @ weight).view(x.shape[0], -1, len(self.weight))) + self.bias


class SpiralLevels(nn.Module):
    """A topology's hierarchy as operators: convolutions on each level, down to the next and up from it.

    The operators are buffers, empty until :meth:`build`, and part of the checkpoint: loading is no work.

    Args:
        factors: How much smaller each of the levels 1..m is than the one before.
        length: Entries of a spiral, one number or one for each of the levels 0..m.
        dilation: The same for dilation.
        only_up: A decoder needs no other operators; the others stay empty.
    """

    def __init__(
        self, factors: Sequence[int], length: int | Sequence[int] = 9, dilation: int | Sequence[int] = 1,
        only_up: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        count = len(factors) + 1
        self.factors, self.only_up = tuple(factors), only_up
        self.lengths = (length,) * count if isinstance(length, int) else tuple(length)
        self.dilations = (dilation,) * count if isinstance(dilation, int) else tuple(dilation)
        self.plain = nn.ModuleList(SpiralOperator(size) for size in self.lengths)
        self.down = nn.ModuleList(SpiralOperator(size) for size in self.lengths[:-1])
        self.up = nn.ModuleList(SpiralOperator(size) for size in self.lengths[:-1])
        for level in range(count - 1):
            self.register_buffer(f"kept_{level}", torch.zeros(0, dtype=torch.int64))

    def kept(self, level: int) -> Tensor:
        """(V of level + 1,) int64: which of a level's vertices the next one keeps."""
        return self.get_buffer(f"kept_{level}")

    def build(self, topology: Topology) -> SpiralLevels:
        """Computes hierarchy and spirals of a topology (cached there)."""
        levels = hierarchy(topology, self.factors)
        orders = [spirals(topology, length=self.lengths[0], dilation=self.dilations[0])]
        orders += [self._coarse_spirals(topology, n, level) for n, level in enumerate(levels, 1)]
        device = self.kept(0).device if levels else torch.device("cpu")
        plain, down, up = (
            cast(list[SpiralOperator], list(kind)) for kind in (self.plain, self.down, self.up)
        )
        for number, level in enumerate(levels):
            up[number].set(orders[number], up=level.up)
            if not self.only_up:
                down[number].set(orders[number], kept=level.kept)
            setattr(self, f"kept_{number}", torch.from_numpy(level.kept.astype(np.int64)))
        if not self.only_up:
            for operator, order in zip(plain, orders, strict=True):
                operator.set(order)
        return self.to(device)

    def _coarse_spirals(self, topology: Topology, number: int, level: Level) -> NDArray[np.int32]:
        length, dilation = self.lengths[number], self.dilations[number]
        key = "-".join(map(str, ["level-spirals", *self.factors[:number], length, dilation]))

        def compute() -> dict[str, NDArray]:
            found = spiral_indices(
                level.template, level.faces, length=length, dilation=dilation, tip=nose_tip(topology)
            )
            return {"spirals": found}

        return topology.derived(key, compute)["spirals"]
