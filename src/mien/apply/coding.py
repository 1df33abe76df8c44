"""Faces and weights in whatever form people have them, into the form that models take, and back."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien import fit
from mien.codes import Codes
from mien.data.motion import named_weights
from mien.errors import BadSetting, WrongTopology
from mien.models.base import FaceModel
from mien.progress import track

Faces = NDArray[np.float32]
Weights = Mapping[str, float] | Sequence[float] | NDArray | Tensor
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def verb(
    function: Callable[Concatenate[FaceModel, Arguments], Result],
) -> Callable[Concatenate[FaceModel, Arguments], Result]:
    """Runs a function without gradients and with the model in evaluation mode."""

    @functools.wraps(function)
    def wrapped(model: FaceModel, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        training = model.training
        model.eval()
        try:
            with torch.no_grad():
                return function(model, *args, **kwargs)
        finally:
            model.train(training)

    return wrapped


@verb
def codes_of(model: FaceModel, vertices: Any, neutral: Any = None) -> Codes:
    """Codes of faces: of the encoder, or found by :func:`mien.fit.invert` for a model without one.

    Args:
        model: Any model.
        vertices: (B, V, 3) or (V, 3) float, millimeters.
        neutral: The same persons at rest; anchored models need it, others ignore it.
    """
    faces = faces_on(model, vertices)
    if type(model).encode is FaceModel.encode:
        return fit.invert(model, faces)
    rest = None if neutral is None else faces_on(model, neutral, "neutral face").expand_as(faces)
    parts = torch.arange(len(faces)).split(_batch(model))
    encoded = [
        model.encode(faces[part], neutral=None if rest is None else rest[part])
        for part in track(parts, "encoding")
    ]
    return Codes.cat(encoded)


def _batch(model: FaceModel) -> int:
    return max(1, model.vertices_at_once // model.topology.vertex_count)


def decoded(model: FaceModel, codes: Codes, decode: Callable[[Codes], Tensor] | None = None) -> Faces:
    """(B, V, 3) float32, millimeters: codes decoded in batches, by the model or by a given function."""
    decode = decode or model.decode
    starts = range(0, len(codes), _batch(model))
    parts = [decode(codes[k : k + _batch(model)]).float().cpu().numpy() for k in track(starts, "decoding")]
    return np.concatenate(parts)


def faces_on(model: FaceModel, vertices: Any, what: str = "face") -> Tensor:
    """(B, V, 3) float32 on the model's device, of one face or many."""
    if not isinstance(vertices, Tensor):
        vertices = torch.from_numpy(np.array(vertices, np.float32))  # a copy: data on disk is read-only
    faces = vertices.detach().to(torch.float32)
    model.topology.check(faces.cpu().numpy(), what=what)
    if faces.ndim not in (2, 3) or not len(faces):
        raise WrongTopology("faces must be (V, 3) or (B, V, 3)", received=f"an array of {tuple(faces.shape)}")
    return faces.view(-1, *faces.shape[-2:]).to(model.device)


def in_style(model: FaceModel, codes: Codes, style: Any) -> Codes:
    """People with named expressions, performed in the style of another person if one is given.

    Args:
        model: Any model, if ``style`` is None.
        codes: (B) people with named expressions.
        style: Name of a training person, one face (V, 3) or (1, V, 3) in millimeters, or None.
    """
    if style is None:
        return codes
    person = model.training_people([style]) if isinstance(style, str) else codes_of(model, style)
    if len(person) != 1:
        raise BadSetting("the style of one person is needed", received=f"{len(person)} faces")
    return model.restyle(codes, person)


def like(vertices: Any, result: Faces) -> Faces:
    """(B, V, 3) float32, millimeters; of one face (V, 3) that was given, one (V, 3) is given back.

    Args:
        vertices: (B, V, 3) or (V, 3) float. What was given.
        result: (B, V, 3) float32, millimeters.
    """
    return result[0] if np.ndim(vertices) == 2 else result


def weights_of(expressions: Sequence[str], weights: Weights) -> Tensor:
    """(..., E) float32 weights from names -> weights, or from numbers (..., E)."""
    if isinstance(weights, Mapping):
        return torch.from_numpy(named_weights(expressions, weights))
    values = torch.as_tensor(np.asarray(weights, np.float32) if not isinstance(weights, Tensor) else weights)
    if not values.ndim or values.shape[-1] != len(expressions) or not values.isfinite().all():
        raise BadSetting(
            f"weights must be finite and end with one number for each of {len(expressions)} expressions",
            received=f"an array of shape {tuple(values.shape)}",
        )
    return values.float().cpu()
