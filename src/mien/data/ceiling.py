"""How much of people's manner can be foretold from their faces at the most: what the face decides at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEAST_PEOPLE = 40
"""Below that many people with every expression, nothing is said."""


class Ceiling:
    """The share of people's manner that the face decides, from the same faces performed by other people.

    Like every sum of squares here, about the mean of each vertex of each expression::

        1 - mean |own - other|^2 / 2 / variance of own over people
    """

    PEOPLE = 80
    """How many faces are performed again, at the most."""

    def __init__(self) -> None:
        self._count, self._again, self._within = 0, 0, 0.0
        self._total: Array | float = 0.0
        self._squares: Array | float = 0.0

    def wants(self, number: int, people: int) -> bool:
        """Whether the face of a person is to be performed again, in a set of so many."""
        return people >= LEAST_PEOPLE and number < self.PEOPLE

    def add(self, own: NDArray, other: NDArray | None = None) -> None:
        """Adds a person.

        Args:
            own: (E, V, 3) float, millimeters. Displacements of the person's expressions, without noise.
            other: (E, V, 3) float, millimeters. The same face moved by the manner of somebody else.
        """
        own = np.asarray(own, np.float64)
        self._count += 1
        self._total, self._squares = self._total + own, self._squares + own**2
        if other is not None:
            self._again += 1
            self._within += float(((own - other) ** 2).sum()) / 2

    def facts(self) -> dict[str, float]:
        """``foretold_ceiling``, 0 to 1; nothing where too few faces were performed again."""
        if self._again < LEAST_PEOPLE:
            return {}
        variance = (self._squares - self._total**2 / self._count) / (self._count - 1)
        share = 1 - self._within / self._again / np.sum(variance)
        return {"foretold_ceiling": float(np.clip(share, 0, 1))}
