"""Given people, changed in who they are or what they do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mien.apply.abilities import allow
from mien.apply.coding import Faces, codes_of, decoded, faces_on, like, verb
from mien.codes import Codes
from mien.errors import BadSetting, UnknownName
from mien.models.base import FaceModel


@verb
def reconstruct(model: FaceModel, vertices: Any, neutral: Any = None) -> Faces:
    """Faces encoded and decoded again.

    Args:
        model: Any model.
        vertices: (B, V, 3) or (V, 3) float, millimeters.
        neutral: The same persons at rest, of the same shape; anchored models need it.

    Returns:
        (B, V, 3) or (V, 3) float32, millimeters.
    """
    allow(model, "reconstruct")
    return like(vertices, decoded(model, codes_of(model, vertices, neutral)))


@verb
def neutralize(model: FaceModel, vertices: Any, *, keep_detail: bool = False) -> Faces:
    """Faces with their expression taken off.

    Args:
        model: A model that finds identities.
        vertices: (B, V, 3) or (V, 3) float, millimeters.
        keep_detail: Adds what the faces' codes cannot hold: the result is the input plus the difference
            that neutralizing makes to the reconstruction.

    Returns:
        (B, V, 3) or (V, 3) float32, millimeters.
    """
    allow(model, "neutralize")
    codes = codes_of(model, vertices)
    result = decoded(model, codes, model.neutral_face)
    if keep_detail:
        lost = faces_on(model, vertices).cpu().numpy() - decoded(model, codes)
        result = (result + lost).astype(np.float32)
    return like(vertices, result)


@verb
def transfer(
    model: FaceModel, expression: Any, onto: Any, *, expression_neutral: Any = None, onto_neutral: Any = None,
    average: bool = False, intensity: float = 1.0, keep_detail: bool = False, add: bool = False,
    factors: Sequence[str] = ("expression",),
) -> Faces:  # fmt: skip
    """People ``onto`` with the expression of other people.

    Args:
        model: Any model.
        expression: (B, V, 3) or (V, 3) float, millimeters. Faces that perform.
        onto: (B, V, 3) or (V, 3) float, millimeters. Faces that receive; one serves all, and the reverse.
        expression_neutral: The performers at rest; anchored models need them.
        onto_neutral: The receivers at rest; anchored models take ``onto`` for that if none is given.
        average: The performers are examples of one expression, perhaps one that training never saw: their
            mean code is put on everybody (few-shot style).
        intensity: 0 leaves the receivers as they are, 1 transfers fully, more exaggerates.
        keep_detail: Adds what the receivers' codes cannot hold: the result is ``onto`` plus the difference
            that the transfer makes to the reconstruction.
        add: Receivers keep their own expression and get the other one on top.
        factors: What is carried over; models with further factors, such as viseme, carry those, too.

    Returns:
        (B, V, 3) float32, millimeters; (V, 3) if both are single faces.
    """
    allow(model, "transfer")
    if model.anchored and onto_neutral is None:
        onto_neutral = onto
    source = codes_of(model, expression, expression_neutral)
    target = codes_of(model, onto, onto_neutral)
    if average:
        source = _average(model, source, [1.0 / len(source)] * len(source))
    count = max(len(source), len(target))
    if not {len(source), len(target)} <= {1, count}:
        raise BadSetting(
            "numbers of faces do not match", received=f"{len(source)} expressions onto {len(target)}"
        )
    source, target = (c if len(c) == count else c.repeat(count) for c in (source, target))
    carried = {name: source.factor(name) for name in factors}
    if add:
        carried = {name: model.add(name, target.factor(name), code) for name, code in carried.items()}
    moved = target.replace(**carried)
    result = decoded(model, moved if intensity == 1 else model.mix(target, moved, intensity))
    if keep_detail:
        lost = faces_on(model, onto).cpu().numpy() - decoded(model, target)
        result = (result + lost).astype(np.float32)
    single = np.ndim(onto) == 2 and (average or np.ndim(expression) == 2)
    return result[0] if single else result


@verb
def interpolate(
    model: FaceModel, a: Any, b: Any, steps: int | Sequence[float], factor: str = "both", *,
    a_neutral: Any = None, b_neutral: Any = None,
) -> Faces:  # fmt: skip
    """(steps, V, 3) faces from one to another, both ends included.

    Args:
        model: Any model.
        a: (V, 3) float, millimeters. Where the walk starts.
        b: (V, 3) float, millimeters. Where it ends.
        steps: Number of faces, at least 2; or their shares of the way: 0 is ``a``, 1 is ``b``, numbers
            outside extrapolate.
        factor: ``identity``, ``expression``, a further factor of the model, or ``both`` for the whole code;
            what is not named stays as in ``a``.
        a_neutral: The first person at rest, for anchored models.
        b_neutral: The second person at rest, for anchored models.
    """
    allow(model, "interpolate")
    if isinstance(steps, int) and steps < 2:
        raise BadSetting("an interpolation has at least 2 steps", received=steps)
    shares = np.linspace(0, 1, steps) if isinstance(steps, int) else np.asarray(steps, np.float64)
    if shares.ndim != 1 or not len(shares) or not np.isfinite(shares).all():
        raise BadSetting("the shares of the way are one or more numbers", received=list(shares))
    first = codes_of(model, a, a_neutral)
    if factor not in (*first.names, "both"):
        raise UnknownName("factor", factor, (*first.names, "both"))
    second = codes_of(model, b, b_neutral)
    mixed = [model.mix(first, second, amount) for amount in shares.tolist()]
    if factor != "both":
        mixed = [first.replace(**{factor: codes.factor(factor)}) for codes in mixed]
    return decoded(model, Codes.cat(mixed))


@verb
def blend(
    model: FaceModel, faces: Any, *, identity: Sequence[float], expression: Sequence[float] | None = None,
    neutrals: Any = None,
) -> Faces:  # fmt: skip
    """(V, 3) one face between several: shares of who they are and shares of what they do.

    Args:
        model: Any model.
        faces: (K, V, 3) float, millimeters.
        identity: K shares of identity; they are scaled to sum to 1.
        expression: K shares of expression; as ``identity`` if not given.
        neutrals: (K, V, 3) the same people at rest, for anchored models.
    """
    allow(model, "interpolate")
    codes = codes_of(model, faces, neutrals)
    who, what = (
        _shares(identity, len(codes)),
        _shares(identity if expression is None else expression, len(codes)),
    )
    mixed = _average(model, codes, who).replace(expression=_average(model, codes, what).expression)
    return decoded(model, mixed)[0]


def _shares(shares: Sequence[float], count: int) -> list[float]:
    values = np.asarray(shares, np.float64)
    if values.shape != (count,) or not np.isfinite(values).all() or values.min() < 0 or not values.sum():
        raise BadSetting(
            f"a blend needs a share of 0 or more for each of {count} faces", received=list(shares)
        )
    return (values / values.sum()).tolist()


def _average(model: FaceModel, codes: Codes, shares: list[float]) -> Codes:
    """One row: a weighted mean in the sense of the model's own mix."""
    mixed, total = codes[:1], shares[0]
    for row in range(1, len(codes)):
        total += shares[row]
        mixed = model.mix(mixed, codes[row : row + 1], shares[row] / total if total else 1.0)
    return mixed
