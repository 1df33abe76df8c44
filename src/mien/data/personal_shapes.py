"""A person's own variant of every shape: it grows here, shrinks there, and pulls a little another way.

Two people who smile equally strongly do not smile alike. Over the face runs a smooth gain, four waves in
place with personal coefficients, and every displacement is turned by a personal angle. Both are smooth and
even in x, so that what touches stays in touch and the sides agree. Lids that close, lips that close and the
jaw keep their way: they end where surfaces meet.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mien.data.performance import (
    CONTACTS,
    Style,
    rotation_matrix,
    shape_pairs,
    shape_sides,
    shape_stems,
)

Array = NDArray[np.float64]

EXEMPT = (*CONTACTS, "mouthClose", "jawOpen", "jawLeft", "jawRight", "jawForward")
"""Shapes that are the same for everybody but for their strength."""
WAVES, WAVELENGTH_MM = 4, 110.0
LARGEST_LOG_GAIN = 0.5
"""Nowhere does a variant go further than 1.65 times the shape, nor less than 0.6 times."""
LARGEST_TURN = 2.0
"""In deviations: beyond it, lids and corners of the mouth would crease."""
_SEED = 2024


@lru_cache(maxsize=1)
def _waves() -> tuple[Array, Array]:
    """(4, 3) wave vectors, radians a millimeter, and (4,) phases."""
    rng = np.random.default_rng(_SEED)
    vectors = rng.standard_normal((WAVES, 3)) * 2 * np.pi / WAVELENGTH_MM
    return vectors, rng.uniform(0, 2 * np.pi, WAVES)


def _basis(template: NDArray) -> Array:
    """(4, V) waves over the face: of mean zero, even in x, of variance one together."""
    vectors, phases = _waves()
    place = np.asarray(template, np.float64) - np.mean(template, axis=0)
    across = np.cos(vectors[:, :1] * place[:, 0])
    waves = across * np.cos(vectors[:, 1:] @ place[:, 1:].T + phases[:, None])
    waves -= waves.mean(axis=1, keepdims=True)
    return waves / (waves.std(axis=1, keepdims=True) * np.sqrt(WAVES))


def _held(values: Array, largest: float) -> Array:
    """Values that come near to a bound and never pass it."""
    return largest * np.tanh(values / largest)


def personal_shapes(
    template: NDArray, shapes: NDArray, names: Sequence[str], style: Style, rows: NDArray | None = None
) -> NDArray[np.float64]:
    """The displacements of every shape as this person makes them.

    Args:
        template: (V, 3) float, millimeters. Where the vertices lie on the mean face.
        shapes: (A, V, 3) float, millimeters. What the shapes do to everybody.
        names: Of the A shapes; sides of one shape share a field.
        style: Whose; its variation has the sizes of gain and turn.
        rows: (n,) int. The vertices that are wanted; None for all.

    Returns:
        (A, n, 3) float64, millimeters.
    """
    part = slice(None) if rows is None else rows
    variation, result = style.variation, np.array(shapes[:, part], np.float64)
    if not variation.personal_gain and not variation.personal_turn:
        return result
    drawn, basis = style.field(shape_stems(names), WAVES + 3)[shape_pairs(names)], _basis(template)[:, part]
    for index, (name, side, own) in enumerate(zip(names, shape_sides(names), drawn, strict=True)):
        if name in EXEMPT:
            continue
        gain = np.exp(_held(variation.personal_gain * (own[:WAVES] @ basis), LARGEST_LOG_GAIN))
        # The mirror image of a turn keeps its x and flips the others; shapes of the middle turn about x only.
        turn = variation.personal_turn * _held(own[WAVES:], LARGEST_TURN)
        angles = turn * np.array([1.0, side, side])
        result[index] = (gain[:, None] * result[index]) @ rotation_matrix(np.deg2rad(angles)).T
    return result
