"""Coefficients of one rig as those of another: which of its shapes show what each shape of the one does.

Both rigs lie on the same vertices. Each source shape a_j becomes a sparse nonnegative sum of target shapes
b_k. The shapes that take part are those of the lasso over shapes of unit length; least squares on them gives
the weights T_jk::

    min_w  |a_j / |a_j| - sum_k w_k b_k / |b_k||^2 + 2 lambda sum_k w_k,    w >= 0

Two least squares in a row each shrink what the rigs do not share. So one of two rigs leads, ARKit's where it
is one of them. A take on its way to the leading rig is first asked whether it came from there: whether
weights c exist that would have become it, c >= 0 that minimizes |sum_j v_j a_j - sum_k c_k (T'a)_k| in
millimeters on the mesh. If they leave next to nothing, they are the answer, and from the leading rig there
and back again is exact wherever the other one tells the shapes apart; else the table is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from mien.data.arkit import GAZE_NAMES
from mien.data.expressions import ARKIT_MISSING
from mien.data.rig_names import scheme_key
from mien.data.textbook import Shapes

LAMBDA = 0.1
"""A shape takes part if it is at least this much alike to what the others leave, as a cosine. Of 0.02 to 0.2,
at ARKit -> MakeHuman: 0.05 takes 3.2 shapes for each, 0.1 takes 2.1, 0.2 takes 1.6, and leave 0.33, 0.34 and
0.35 of the motion; above, shapes of ICT-FaceKit begin to fall together."""
KEPT = 0.1
"""A weight that comes back within this of what it was counts as kept."""
SAME = 0.003
"""Motion that a take may leave, as a share, to count as converted from the target: rounding leaves less."""
_FAINT, _MOVED, _MIXES, _AT_ONCE, _NOTHING = 0.01, 0.02, 60, 8, 1e-9
_BIAS = {"source": 2.0, "target": 0.5, None: 1.0}
_PASSED = {scheme_key(name): name for name in (*GAZE_NAMES, *ARKIT_MISSING)}
"""What eyeballs and tongues do, which no skin shows: these pass by name."""


@dataclass(frozen=True, eq=False)
class Undoing:
    """What the opposite conversion makes of the target's shapes, by its products with the source's.

    Args:
        table: (m, n) float64: the opposite conversion.
        source: (n, n) float64, square millimeters: products of the source's shapes.
        mixed: (n, m) float64: products of the source's shapes and the images of the target's.
        images: (m, m) float64: products of the images.
        kept: (m,) bool: target shapes whose images are told from all others.
    """

    table: NDArray[np.float64]
    source: NDArray[np.float64]
    mixed: NDArray[np.float64]
    images: NDArray[np.float64]
    kept: NDArray[np.bool_]

    def weights(self, values: NDArray) -> tuple[NDArray[np.float64], float]:
        """(T, m) weights that would have become (T, n) ones, and the share of the motion that they leave."""
        found = _nonnegative(self.images, values @ self.mixed)
        whole = np.einsum("tn,nk,tk->", values, self.source, values)
        fitting = np.einsum("tn,nk,tk->", values, self.mixed, found)
        again = np.einsum("tn,nk,tk->", found, self.images, found)
        return found, float(np.sqrt(max(whole - 2 * fitting + again, 0) / max(whole, 1e-12)))


@dataclass(frozen=True, eq=False)
class Conversion:
    """From the coefficients of one rig to those of another.

    Args:
        source: n names.
        target: m names.
        weights: (n, m) float64: what each source shape at full strength becomes.
        error_mm: (n,) float64, millimeters: mean distance over the vertices that a source shape moves.
        shown: (n,) float64, 0 to 1: the share of a shape's motion that the target shows (1 less the
            residual's length over the shape's); NaN where it passes by name.
        returned: (n,) float64: how far a coefficient is off, at worst, after there and back among others.
        undoing: What tells takes that came out of the opposite conversion, or None.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    weights: NDArray[np.float64]
    error_mm: NDArray[np.float64]
    shown: NDArray[np.float64]
    returned: NDArray[np.float64]
    undoing: Undoing | None = None

    def apply(self, values: NDArray) -> NDArray[np.float64]:
        """(T, m) coefficients of the target for (T, n) of the source."""
        found = self.undone(values)
        return np.asarray(values, np.float64) @ self.weights if found is None else found

    def undone(self, values: NDArray) -> NDArray[np.float64] | None:
        """(T, m) what a take (T, n) was before the opposite conversion; None if it is not from there."""
        if self.undoing is None:
            return None
        values = np.asarray(values, np.float64)
        found, left = self.undoing.weights(np.where(self.by_name, 0, values))
        if left >= SAME:
            return None
        # What images do not tell apart is not guessed at: the table has it.
        found = np.where(self.undoing.kept, found, 0)
        return found + np.maximum(values - found @ self.undoing.table, 0) @ self.weights

    @property
    def by_name(self) -> NDArray[np.bool_]:
        """(n,) whether a source shape passes by name, as no skin shows it."""
        return np.isnan(self.shown)

    @property
    def lost(self) -> list[str]:
        """Source names whose coefficients do not come back: the target cannot show them, or not apart."""
        return [name for name, off in zip(self.source, self.returned, strict=True) if off > KEPT]


def convert_shapes(source: Shapes, target: Shapes, leading: str | None = None) -> Conversion:
    """The conversion between two rigs on one mesh.

    Args:
        source: Name -> (V, 3) float, millimeters: displacements at full strength.
        target: Name -> (V, 3) float, millimeters: the same of the other rig, on the same vertices.
        leading: ``source`` or ``target``, which then leads unless the other shows not even half as much of
            it as it shows of the other; None: the rig of which the other shows more.
    """
    a, b = _columns(source), _columns(target)
    passed = _passing(tuple(source), tuple(target))
    named = np.asarray(passed.any(axis=1)), np.asarray(passed.any(axis=0))
    a[:, named[0]], b[:, named[1]] = 0, 0
    there, back = _sparse(a, b), _sparse(b, a)
    (shown, error), (other_shown, _) = _measured(a, b, there), _measured(b, a, back)
    leads = shown[~named[0]].mean() * _BIAS[leading] >= other_shown[~named[1]].mean()
    shown[named[0]] = np.nan
    opposite = None
    if not leads:
        opposite = _undoing(back, a)
        opposite = replace(opposite, kept=_returned(opposite.weights, back, named[1]) <= KEPT)
    way_back = (lambda values: (values @ back, 0.0)) if opposite else _undoing(there, b).weights
    returned = _returned(way_back, there, named[0])
    return Conversion(tuple(source), tuple(target), there + passed, error, shown, returned, opposite)


def _undoing(table: NDArray, shapes: NDArray) -> Undoing:
    """Of takes of shapes (V * 3, n) that a table (m, n) made."""
    images = shapes @ table.T
    kept = np.ones(len(table), bool)
    return Undoing(table, shapes.T @ shapes, shapes.T @ images, images.T @ images, kept)


def _columns(shapes: Shapes) -> NDArray[np.float64]:
    """(V * 3, n) shapes side by side."""
    return np.stack([np.asarray(shape, np.float64).ravel() for shape in shapes.values()], axis=1)


def _passing(source: Sequence[str], target: Sequence[str]) -> NDArray[np.float64]:
    """(n, m) 1 where a name passes as it is."""
    there = {scheme_key(name): k for k, name in enumerate(target)}
    passed = np.zeros((len(source), len(target)))
    for number, name in enumerate(source):
        key = scheme_key(name)
        if key in _PASSED and key in there:
            passed[number, there[key]] = 1.0
    return passed


def _sparse(a: NDArray, b: NDArray) -> NDArray[np.float64]:
    """(n, m) sparse nonnegative weights of shapes b (V * 3, m) for each of a (V * 3, n)."""
    size_a, size_b = np.linalg.norm(a, axis=0), np.linalg.norm(b, axis=0)
    products = (b.T @ a) / np.maximum(np.outer(size_b, size_a), _NOTHING)
    gram = (b.T @ b) / np.maximum(np.outer(size_b, size_b), _NOTHING)
    rough = _nonnegative(gram, products.T - LAMBDA)
    table = np.zeros(rough.shape)
    for number, row in enumerate(rough):
        taking = np.flatnonzero(row > _FAINT)
        if len(taking):
            fine = _nonnegative(gram[np.ix_(taking, taking)], products[taking, number][None])[0]
            table[number, taking] = fine * size_a[number] / size_b[taking]
    return table


def _nonnegative(gram: NDArray, products: NDArray) -> NDArray[np.float64]:
    """(T, m) weights w >= 0 that minimize w'Gw - 2 p'w for each row p (T, m), by Lawson and Hanson (1974).

    Least squares need no more of the shapes than their products: with G = LL', |L'w - L^-1 p| is the same.
    """
    sizes = np.sqrt(np.diag(gram))
    moving = np.flatnonzero(sizes > _NOTHING)
    found = np.zeros(products.shape)
    if len(moving):
        units = gram[np.ix_(moving, moving)] / np.outer(sizes[moving], sizes[moving])
        # A trace of the identity keeps shapes that are alike solvable.
        root = np.linalg.cholesky(units + 1e-9 * np.eye(len(moving)))
        rotated = np.linalg.solve(root, (products[:, moving] / sizes[moving]).T)
        found[:, moving] = np.stack([nnls(root.T, column)[0] for column in rotated.T]) / sizes[moving]
    return found


def _measured(a: NDArray, b: NDArray, weights: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n,) share shown, and (n,) mean distance in millimeters where a shape moves."""
    shape = (-1, 3, a.shape[1])
    motion = np.linalg.norm(a.reshape(shape), axis=1)
    off = np.linalg.norm((a - b @ weights.T).reshape(shape), axis=1)
    moved = motion > _MOVED * motion.max(axis=0)
    error = (off * moved).sum(axis=0) / np.maximum(moved.sum(axis=0), 1)
    size = np.linalg.norm(a, axis=0)
    left = np.linalg.norm(a - b @ weights.T, axis=0) / np.maximum(size, 1e-12)
    return np.where(size > 0, np.clip(1 - left, 0, 1), 0.0), error


def _returned(
    way_back: Callable[[NDArray], tuple[NDArray, float]], table: NDArray, named: NDArray
) -> NDArray[np.float64]:
    """(n,) the largest error of each coefficient by a table (n, m) and back, alone and among others."""
    rng = np.random.default_rng(0)
    count = len(table)
    mixes = np.zeros((_MIXES, count))
    for mix in mixes:
        some = rng.choice(count, min(_AT_ONCE, count), replace=False)
        mix[some] = rng.uniform(0.1, 1.0, len(some))
    given = np.concatenate([np.eye(count), mixes])
    given[:, named] = 0
    return np.abs(way_back(given @ table)[0] - given).max(axis=0)


def table_lines(made: Conversion) -> list[Mapping[str, object]]:
    """The conversion as lines of a table that people edit: from, to, weight, error_mm, shown, returned."""
    lines: list[Mapping[str, object]] = []
    for number, name in enumerate(made.source):
        facts = {
            "error_mm": made.error_mm[number],
            "shown": made.shown[number],
            "returned": made.returned[number],
        }
        places = np.flatnonzero(made.weights[number] > _FAINT)
        for place in places[np.argsort(-made.weights[number, places])]:
            lines.append(
                {"from": name, "to": made.target[place], "weight": made.weights[number, place], **facts}
            )
        if not len(places):
            lines.append({"from": name, "to": "", "weight": 0.0, **facts})
    return lines
