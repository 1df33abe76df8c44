"""Mouths that speak while a face expresses something: visemes as a further factor, and partial labels.

The seven classes group phonemes that look alike (Fisher 1968; MPEG-4 has fourteen of them). Recipes are over
the same shapes as those of expressions, and both act at once: a smile narrows what an ``ou`` can round.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.data.expressions import ExpressionSet, Recipe
from mien.errors import BadSetting, UnknownName

REST = "rest"


class PerformedFace(NamedTuple):
    """One face of somebody who performs, and speaks.

    Args:
        vertices: (V, 3) float, millimeters.
        weights: Named expression -> how strongly it is asked for.
        active: Shape -> its activation.
        clip: Number of the clip, -1 for a single face.
        frame: Number in the clip.
        viseme: What is spoken.
        truth: (V, 3) float, millimeters. The face as it was before a scanner saw it; None where none did.
    """

    vertices: NDArray[np.floating]
    weights: dict[str, float]
    active: dict[str, float]
    clip: int = -1
    frame: int = 0
    viseme: str = REST
    truth: NDArray[np.floating] | None = None


VISEMES: Mapping[str, Recipe] = MappingProxyType(
    {
        REST: {},
        "pp": {"mouthPress_L": 0.7, "mouthPress_R": 0.7, "mouthRollLower": 0.5, "mouthRollUpper": 0.4},
        "ff": {"mouthRollLower": 0.8, "mouthUpperUp_L": 0.35, "mouthUpperUp_R": 0.35, "jawOpen": 0.08},
        "aa": {"jawOpen": 0.6, "mouthLowerDown_L": 0.3, "mouthLowerDown_R": 0.3},
        "ee": {"mouthStretch_L": 0.7, "mouthStretch_R": 0.7, "mouthUpperUp_L": 0.4, "mouthUpperUp_R": 0.4,
               "mouthLowerDown_L": 0.4, "mouthLowerDown_R": 0.4, "jawOpen": 0.1},
        "oh": {"mouthFunnel": 0.8, "jawOpen": 0.35},
        "ou": {"mouthPucker": 0.9, "mouthFunnel": 0.25, "jawOpen": 0.06},
    }
)  # fmt: skip
"""Viseme -> shape -> activation of a full articulation; ``rest`` is a silent mouth."""


def factors_of(visemes: bool) -> dict[str, tuple[str, ...]]:
    """The further factors of a data set that is built with or without visemes."""
    return {"viseme": tuple(VISEMES)} if visemes else {}


def check_speech(sequences: bool, visemes: bool) -> None:
    """Raises where clips are asked to speak: they move from rest to an expression and back."""
    if sequences and visemes:
        raise BadSetting("visemes are built for single faces, not for clips", remedy="leave one of them out")


def recipes_with(names: ExpressionSet) -> dict[str, Recipe]:
    """Recipes of a set's expressions and of all visemes."""
    return dict(names.recipes) | {f"viseme {name}": recipe for name, recipe in VISEMES.items()}


def takes(names: ExpressionSet, visemes: bool) -> Iterator[tuple[str, str, int]]:
    """(expression, viseme, number that seeds the take) of everything a person performs.

    The expression is empty for the neutral. Silent takes have the same numbers with visemes and without.
    """
    for expression in ("", *names.names):
        for viseme in VISEMES if visemes else (REST,):
            text = expression if viseme == REST else f"{expression} {viseme}"
            yield expression, viseme, zlib.crc32(text.encode())


def weights_of_take(names: ExpressionSet, expression: str, viseme: str) -> dict[str, float]:
    """Weights over :func:`recipes_with` of an expression and a viseme at once."""
    weights = names.label(expression) if expression else {}
    return weights | ({f"viseme {viseme}": 1.0} if viseme != REST else {})


def displaced(faces: Iterable[PerformedFace], rest: NDArray) -> NDArray[np.float64]:
    """What silent expressions do to a face, without noise.

    Args:
        faces: One person's; neutrals and spoken ones are left out.
        rest: (V, 3) float, millimeters. The person's true face at rest.

    Returns:
        (E, V, 3) float64, millimeters.
    """
    silent = (face for face in faces if face.weights and face.viseme == REST)
    return np.stack([np.subtract(f.vertices if f.truth is None else f.truth, rest) for f in silent])


def label_marks(
    shares: Mapping[str, float], factors: Sequence[str], seed: int, person: int
) -> Iterator[dict[str, bool]]:
    """For one face of a person after the other: which factors keep their label, at random.

    Args:
        shares: Factor -> share of faces that keep their label; factors that are not named keep all.
        factors: Names of all factors of the data set.
        seed: Of the data set.
        person: Number of the person.
    """
    for name, share in shares.items():
        if name not in factors:
            raise UnknownName("factor", name, factors)
        if not 0 <= share <= 1:
            raise BadSetting(f"the share of {name} labels must lie in 0..1", received=share)
    rng = np.random.default_rng([seed, person, zlib.crc32(b"labels")])
    while True:
        draws = rng.random(len(factors))
        yield {name: bool(draw < shares.get(name, 1.0)) for name, draw in zip(factors, draws, strict=True)}
