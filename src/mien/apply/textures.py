"""Texture maps that go with faces, for models that were trained with textures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien.apply.coding import Faces, Weights, codes_of, decoded, verb, weights_of
from mien.apply.generation import new_people
from mien.codes import Codes
from mien.models.base import FaceModel
from mien.progress import track

Maps = NDArray[np.uint8]
AT_ONCE = 8


def generate_textured(
    model: FaceModel, count: int, *, seed: int, weights: Weights | None = None, style: Any = None,
    hold: Sequence[str] = (), person: str | None = None, expression_of: Any = None,
) -> Iterator[tuple[Faces, Maps]]:  # fmt: skip
    """The people of :func:`mien.apply.generate` with the texture map of each, a few at a time.

    Args:
        model: A model that was trained with textures.
        count: How many people.
        seed: The same seed gives the same people.
        weights: Named weights, (E,) or (count, E), all make; otherwise expressions are random too.
        style: Whose way of performing they take: name of a training person, or a face (V, 3).
        hold: Factors that all share.
        person: Name of a training person whom all faces show, for models that keep their codes.
        expression_of: (V, 3) float, millimeters. A face whose expression all make.

    Yields:
        (n, V, 3) float32, millimeters, and (n, H, W, 3) uint8 sRGB in the topology's uv, row 0 at v = 1.
    """
    codes = new_people(model, count, seed, weights, style, hold, person, expression_of)
    for start in track(range(0, count, AT_ONCE), "generating"):
        yield colored(model, codes[start : start + AT_ONCE])


@verb
def texture(model: FaceModel, vertices: Any, weights: Weights | None = None) -> Maps:
    """(B, H, W, 3) uint8 sRGB: texture maps that a model gives to people, in its topology's uv.

    A mesh has no color: the map is that of the model's person who comes nearest in shape.

    Args:
        model: A model that was trained with textures.
        vertices: (B, V, 3) or (V, 3) float, millimeters. The people at rest.
        weights: (E,) or (B, E) named weights whose folds and flush are to be seen; at rest without.
    """
    codes = codes_of(model, vertices)
    if weights is not None:
        shown = torch.atleast_2d(weights_of(model.expressions, weights)).to(model.device)
        expression = model.express(shown)
        codes = codes.replace(expression=expression.expand(len(codes), *expression.shape[1:]))
    return colored(model, codes)[1]


@verb
def colored(model: FaceModel, codes: Codes) -> tuple[Faces, Maps]:
    """Faces (B, V, 3), millimeters, of codes, and their texture maps (B, H, W, 3) uint8 sRGB."""
    starts = range(0, len(codes), AT_ONCE)
    maps = [model.texture(codes[k : k + AT_ONCE]).cpu().numpy() for k in track(starts, "painting")]
    return decoded(model, codes), np.concatenate(maps)
