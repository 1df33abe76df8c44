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
_LARGEST_LOG_GAIN = (-1.2, 0.8)
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


def personal_shapes(
    template: NDArray, shapes: NDArray, names: Sequence[str], style: Style
) -> NDArray[np.float64]:
    """The displacements of every shape as this person makes them.

    Args:
        template: (V, 3) float, millimeters. Where the vertices lie on the mean face.
        shapes: (A, V, 3) float, millimeters. What the shapes do to everybody.
        names: Of the A shapes; sides of one shape share a field.
        style: Whose; its variation has the sizes of gain and turn.

    Returns:
        (A, V, 3) float64, millimeters.
    """
    variation, result = style.variation, np.array(shapes, np.float64)
    if not variation.personal_gain and not variation.personal_turn:
        return result
    drawn, basis = style.field(shape_stems(names), WAVES + 3)[shape_pairs(names)], _basis(template)
    for index, (name, side, own) in enumerate(zip(names, shape_sides(names), drawn, strict=True)):
        if name in EXEMPT:
            continue
        log_gain = variation.personal_gain * (own[:WAVES] @ basis)
        gain = np.exp(np.clip(log_gain, *_LARGEST_LOG_GAIN) - variation.personal_gain**2 / 2)
        # The mirror image of a turn keeps its x and flips the others; shapes of the middle turn about x only.
        angles = variation.personal_turn * own[WAVES:] * np.array([1.0, side, side])
        result[index] = (gain[:, None] * result[index]) @ rotation_matrix(np.deg2rad(angles)).T
    return result
