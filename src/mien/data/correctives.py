"""Correctives: targets that help others where straight lines and sums are not enough, and what drives them.

A rig adds up its targets. Half a blink then goes through the eyeball instead of over it, and a smile on a
dropped jaw points where it pointed on the closed one. Studios add targets for these cases, named after what
drives them: ``eyeBlinkLeft50`` is added half-way through a blink, ``jawOpen_mouthSmileLeft`` where both are
active. glTF has no drivers; a table beside the file tells programs how to set their weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.arkit import meets_of

HALFWAY = 0.5
_JAW, _OVER_JAW = "jawOpen", ("mouthClose", "mouthSmileLeft", "mouthSmileRight")


@dataclass(frozen=True)
class Corrective:
    """A target that others drive.

    Args:
        drivers: Names of one or two targets. One: it is added where that target is half-way, and less toward
            rest and full weight. Two: by the product of their weights, each from 0 to 1.
    """

    drivers: tuple[str, ...]

    @property
    def name(self) -> str:
        """As studios name it: ``base50`` or ``base1_base2``."""
        if len(self.drivers) == 1:
            return f"{self.drivers[0]}{100 * HALFWAY:.0f}"
        return "_".join(self.drivers)

    def weight(self, names: Sequence[str], weights: NDArray) -> NDArray[np.float64]:
        """(...,) its weight where named targets have weights (..., E).

        Args:
            names: E names.
            weights: (..., E) float.
        """
        driven = np.asarray(weights, np.float64)[..., [names.index(name) for name in self.drivers]]
        if len(self.drivers) == 1:
            return np.maximum(1 - np.abs(driven[..., 0] - HALFWAY) / HALFWAY, 0)
        return np.clip(driven, 0, 1).prod(axis=-1)

    @property
    def rule(self) -> dict[str, Any]:
        """For JSON: its name, its drivers, and points of the curve or what is multiplied."""
        told: dict[str, Any] = {"target": self.name, "drivers": list(self.drivers)}
        if len(self.drivers) == 1:
            return told | {"rule": "linear between", "points": [[0, 0], [HALFWAY, 1], [1, 0]]}
        return told | {"rule": "product of the weights, each from 0 to 1"}


def correctives_of(names: Sequence[str]) -> tuple[Corrective, ...]:
    """Which correctives the targets of a rig can have.

    Args:
        names: E names of targets, ARKit's or of another set whose recipe closes the eyes.
    """
    lids = meets_of(names).lids
    found = [Corrective((name,)) for name, sides in zip(names, lids, strict=True) if sides.any()]
    if _JAW in names:
        found += [Corrective((_JAW, name)) for name in _OVER_JAW if name in names]
    return tuple(found)
