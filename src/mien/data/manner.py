"""The part of a person's manner that the face foretells: a dial, from nothing to all of it.

How people move beyond the mean may or may not follow from what they look like; nobody has measured how much
of it does. In performed data it is a choice. Each named coordinate of a person's manner is

    z = sqrt(manner) g . h(c) + sqrt(1 - manner) own draw

with c the leading standardized identity coefficients of the face, h four traits that are the same function
for everybody, and g a unit vector that the coordinate's *name* alone decides. h is a draw of a Gaussian
process: random cosines (A. Rahimi and B. Recht, Random Features for Large-Scale Kernel Machines, NIPS 2007),
whitened over the population and limited. **The link is a random function, not anatomy**: results show that a
method can learn such a link, not that faces have one.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

COEFFICIENTS, TRAITS, COSINES = 4, 4, 256
LENGTH = 3.0
"""Length scale of the random function, in deviations of an identity coefficient."""
LIMIT, SCALE = 2.5, 1.17
"""No trait lies beyond three deviations; the scale gives back the unit variance that the limit took."""
_SEED, _DIRECTION_SEED, _POPULATION = 2023, 7, 40_000


@lru_cache(maxsize=1)
def _function() -> tuple[Array, Array, Array, Array]:
    """Frequencies, phases, read-out and mean of the random function, whitened over standard normal faces."""
    rng = np.random.default_rng(_SEED)
    frequencies = rng.standard_normal((COEFFICIENTS, COSINES)) / LENGTH
    phases = rng.uniform(0, 2 * np.pi, COSINES)
    readout = rng.standard_normal((COSINES, TRAITS)) / np.sqrt(COSINES)
    found = np.cos(rng.standard_normal((_POPULATION, COEFFICIENTS)) @ frequencies + phases) @ readout
    values, axes = np.linalg.eigh(np.cov(found.T))
    white = (axes / np.sqrt(values)) @ axes.T
    return frequencies, phases, readout @ white, found.mean(axis=0) @ white


def traits(identity: NDArray) -> Array:
    """What a face foretells of its person's manner.

    Args:
        identity: (..., K) float. Standardized identity coefficients, without unit; the first four count.

    Returns:
        (..., 4) float64, of mean zero and variance one over people, uncorrelated.
    """
    frequencies, phases, readout, mean = _function()
    leading = np.asarray(identity, np.float64)[..., :COEFFICIENTS]
    return LIMIT * np.tanh((np.cos(leading @ frequencies + phases) @ readout - mean) / LIMIT) * SCALE


@lru_cache(maxsize=512)
def _directions(names: tuple[str, ...]) -> Array:
    """(n, 4) the unit vector of each coordinate's name."""
    seeds = ([_DIRECTION_SEED, zlib.crc32(name.encode())] for name in names)
    drawn = np.stack([np.random.default_rng(seed).standard_normal(TRAITS) for seed in seeds])
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@dataclass(frozen=True, eq=False)
class Manner:
    """Joins a person's own draws with what the face foretells.

    Args:
        share: The dial, 0 to 1: share of every coordinate's variance that follows from the face.
        traits: (4,) float of this person's face; None leaves every draw as it is.
    """

    share: float = 0.0
    traits: Array | None = None

    def mixed(self, names: Sequence[str], own: NDArray) -> Array:
        """Coordinates of the person's manner.

        Args:
            names: Names of the n coordinates.
            own: (n,) float. Standard normal draws.

        Returns:
            (n,) float64, standard normal over people; the own draws, bit by bit, where the share is zero.
        """
        if self.share <= 0 or self.traits is None:
            return own
        foretold = _directions(tuple(names)) @ self.traits
        return np.sqrt(self.share) * foretold + np.sqrt(1 - self.share) * own
