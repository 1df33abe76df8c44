"""Rigid and similarity alignment of corresponding points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import WrongTopology


@dataclass(frozen=True, eq=False)
class Alignment:
    """A similarity transform x -> scale R x + translation.

    Args:
        rotation: (..., 3, 3), never a reflection.
        scale: (...,), one for a rigid alignment.
        translation: (..., 3), the target's unit.
    """

    rotation: NDArray[np.float64]
    scale: NDArray[np.float64]
    translation: NDArray[np.float64]

    def apply(self, vertices: NDArray) -> NDArray[np.float64]:
        """The aligned source.

        Args:
            vertices: (..., V, 3) float, as many leading dimensions as were aligned.

        Returns:
            (..., V, 3) float64, in the unit of the target.
        """
        turned = np.asarray(vertices, np.float64) @ np.swapaxes(self.rotation, -1, -2)
        return self.scale[..., None, None] * turned + self.translation[..., None, :]


def procrustes(
    source: NDArray, target: NDArray, *, scale: bool = False, weights: NDArray | None = None
) -> Alignment:
    """The rigid or similarity transform that brings source onto target with least squared error.

    Args:
        source: (..., V, 3) float, any unit.
        target: (..., V, 3) float, corresponding vertex by vertex; broadcast against source.
        scale: Whether to also find a scale.
        weights: (V,) or (..., V) float or bool (a mask), or None for equal weights.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if source.shape[-2:] != target.shape[-2:] or source.shape[-1] != 3:
        raise WrongTopology(
            "aligned meshes need the same vertices", received=f"shapes {source.shape} and {target.shape}"
        )
    weight = np.ones(source.shape[-2]) if weights is None else np.asarray(weights, np.float64)
    weight = weight / np.maximum(weight.sum(axis=-1, keepdims=True), 1e-300)
    mean_source = np.einsum("...v,...vc->...c", weight, source)
    mean_target = np.einsum("...v,...vc->...c", weight, target)
    from_source, from_target = source - mean_source[..., None, :], target - mean_target[..., None, :]
    covariance = np.einsum("...v,...vi,...vj->...ij", weight, from_target, from_source)
    left, singular, right = np.linalg.svd(covariance)
    sign = np.ones(singular.shape)
    sign[..., 2] = np.sign(np.linalg.det(left) * np.linalg.det(right))  # -1 forbids the reflection
    rotation = (left * sign[..., None, :]) @ right
    factor = np.ones(rotation.shape[:-2])
    if scale:
        variance = np.einsum("...v,...vc->...", weight, from_source**2)
        factor = (singular * sign).sum(axis=-1) / np.maximum(variance, 1e-300)
    translation = mean_target - factor[..., None] * np.einsum("...ij,...j->...i", rotation, mean_source)
    return Alignment(rotation, factor, translation)
