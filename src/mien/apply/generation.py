"""New people, as many as fit on the disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mien.apply.abilities import allow
from mien.apply.coding import Faces, Weights, codes_of, decoded, in_style, verb, weights_of
from mien.codes import Codes
from mien.errors import BadSetting
from mien.models.base import FaceModel
from mien.progress import track


def generate(
    model: FaceModel, count: int, *, seed: int, weights: Weights | None = None, style: Any = None,
    hold: Sequence[str] = (), person: str | None = None, expression_of: Any = None,
) -> Faces:  # fmt: skip
    """New people: (count, V, 3) float32, millimeters.

    Args:
        model: A model that can sample.
        count: How many people.
        seed: The same seed gives the same people.
        weights: Named weights, (E,) or (count, E), all make; otherwise expressions are random too.
        style: Whose way of performing they take: name of a training person, or a face (V, 3).
        hold: Factors that all share: ``identity`` gives one person in many expressions, ``expression`` many
            people doing the same; also further factors of the model.
        person: Name of a training person whom all faces show, for models that keep their codes.
        expression_of: (V, 3) float, millimeters. A face, perhaps a real one, whose expression all make.
    """
    options: dict[str, Any] = {"seed": seed, "weights": weights, "style": style, "hold": hold}
    options |= {"person": person, "expression_of": expression_of}
    return np.concatenate(list(generate_batches(model, count, **options)))


def generate_batches(
    model: FaceModel, count: int, *, seed: int, weights: Weights | None = None, style: Any = None,
    hold: Sequence[str] = (), person: str | None = None, expression_of: Any = None,
) -> Iterator[Faces]:  # fmt: skip
    """The people of :func:`generate` a batch at a time, so that memory does not grow with their number.

    Args:
        model: A model that can sample.
        count: How many people.
        seed: The same seed gives the same people.
        weights: (E,) or (count, E) named weights; see :func:`generate` for these and the others.
        style: Whose way of performing they take.
        hold: Factors that all share.
        person: Name of a training person whom all faces show.
        expression_of: (V, 3) float, millimeters. A face whose expression all make.

    Yields:
        (n, V, 3) float32, millimeters.
    """
    codes = new_people(model, count, seed, weights, style, hold, person, expression_of)
    size = max(1, model.vertices_at_once // model.topology.vertex_count)
    for start in track(range(0, count, size), "generating"):
        yield _faces(model, codes[start : start + size])


@verb
def new_people(
    model: FaceModel, count: int, seed: int, weights: Weights | None, style: Any, hold: Sequence[str],
    person: str | None = None, expression_of: Any = None,
) -> Codes:  # fmt: skip
    """Random codes with what is asked for put into them: weights (E,) or (count, E), see :func:`generate`."""
    allow(model, "generate")
    codes = model.sample(count, generator=torch.Generator().manual_seed(seed))
    if weights is not None:
        shown = weights_of(model.expressions, weights)
        expression = model.express(torch.atleast_2d(shown).to(model.device))
        codes = codes.replace(expression=expression.expand(count, *expression.shape[1:]))
    if expression_of is not None:
        codes = codes.replace(expression=_expression_of(model, expression_of).expand_as(codes.expression))
    held = [*hold]
    if "identity" in hold or person is not None:
        held += [name for name in model.personal if name in codes.others]
    for name in held:
        codes = codes.replace(**{name: codes.factor(name)[:1].expand_as(codes.factor(name))})
    if person is not None:
        codes = codes.replace(identity=model.training_people([person]).identity.expand_as(codes.identity))
    return in_style(model, codes, style)


def _expression_of(model: FaceModel, face: Any) -> Tensor:
    """(1, *X) the expression code of one face."""
    found = codes_of(model, face).expression
    if len(found) != 1:
        raise BadSetting("the expression of one face is needed", received=f"{len(found)} faces")
    return found


@verb
def _faces(model: FaceModel, codes: Codes) -> Faces:
    return decoded(model, codes)
