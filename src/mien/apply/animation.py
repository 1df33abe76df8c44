"""Faces over time: whole clips, frames one by one, walks between poses, and clips as a few morph targets."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.apply.abilities import allow
from mien.apply.coding import Faces, Weights, verb, weights_of
from mien.apply.rigs import at_rest, moved
from mien.data.motion import resampled
from mien.errors import BadSetting
from mien.models.base import FaceModel


@verb
def animate(
    model: FaceModel, neutral: Any, weights: Weights, *, fps: float | None = None, style: Any = None
) -> Faces:
    """(T, V, 3) a clip of one person; it begins at the given neutral.

    Args:
        model: Any model.
        neutral: (V, 3) float, millimeters. The person at rest.
        weights: (T, E) float. Named weights of each frame, e.g. of :func:`curves`.
        fps: Frames per second of the weights and of the clip. A model that learned the pace of real motion
            moves at its own rate, and its codes are interpolated to this one; None takes its rate.
        style: Whose way of performing it takes: name of a training person, or a face (V, 3).
    """
    allow(model, "animate")
    curve = weights_of(model.expressions, weights)
    if curve.ndim != 2:
        raise BadSetting("a clip needs weights (T, E)", received=f"an array of shape {tuple(curve.shape)}")
    return moved(model, neutral, motion_codes(model, curve, fps), style)


def motion_codes(model: FaceModel, curve: Tensor, fps: float | None) -> Tensor:
    """(T, *X) codes of weights (T, E) at any frame rate."""
    own = model.frame_rate
    if fps is None or own is None or fps == own:
        return model.express(curve[None].to(model.device))[0]
    if not 0 < fps < float("inf"):
        raise BadSetting("a clip needs a positive frame rate", received=fps)
    seconds = (len(curve) - 1) / fps
    own_curve = resampled(curve.numpy(), fps, own)
    if (len(own_curve) - 1) / own < seconds:  # the last frame lies between two of the model's
        own_curve = np.concatenate([own_curve, curve[-1:].numpy()])
    codes = model.express(torch.from_numpy(own_curve)[None].to(model.device))[0]
    again = resampled(codes.cpu().numpy(), own, fps)[: len(curve)]
    return torch.from_numpy(again).to(codes)


class Stream:
    """One person's face, frame by frame: the same frames as :func:`animate`, each as soon as it is asked for.

    Example:
        >>> stream = Stream(model, neutral)
        >>> for weights in sensor:
        ...     show(stream({"happy": weights.happy}))

    Args:
        model: Any model.
        neutral: (V, 3) float, millimeters. The person at rest.
        fps: Frames per second of the sensor; None: the model's own. At another rate, a model that learned
            the pace of real motion is stepped at its own; between two of its frames the face is on the line
            to the next one, taken as if the weights stayed as they are: nothing waits for what comes.
        style: Whose way of performing it takes, as in :func:`animate`.
    """

    _state: Any
    _code: Tensor
    _weights: Tensor | None  # of the sensor frame before
    _seen: int  # frames of the sensor
    _made: int  # frames of the model

    def __init__(
        self, model: FaceModel, neutral: Any, *, fps: float | None = None, style: Any = None
    ) -> None:
        allow(model, "animate")
        if fps is not None and not 0 < fps < float("inf"):
            raise BadSetting("a stream needs a positive frame rate", received=fps)
        self.model, own = model.eval(), model.frame_rate
        self._stride = 1.0 if fps is None or own is None else own / fps  # model frames a sensor frame
        self.reset()
        with torch.no_grad():
            self._face, self._person, self._rest = at_rest(model, neutral, style)

    @torch.no_grad()
    def __call__(self, weights: Weights) -> Faces:
        """(V, 3) the next frame under named weights (E,)."""
        shown = weights_of(self.model.expressions, weights)
        if shown.ndim != 1:
            raise BadSetting("a frame needs weights (E,)", received=f"an array of shape {tuple(shown.shape)}")
        shape = self.model.decode(self._person.replace(expression=self._advanced(shown)))
        return (self._face + (shape - self._rest))[0].float().cpu().numpy()

    def _advanced(self, shown: Tensor) -> Tensor:
        """(1, *X) the code at this sensor frame; the model's own frames up to it are made on the way."""
        now, device = self._seen * self._stride, self.model.device
        before = shown if self._weights is None else self._weights
        while self._made <= now + 1e-6:
            weights = torch.lerp(shown, before, (now - self._made) / self._stride)
            self._code, self._state = self.model.advance(weights[None].to(device), self._state)
            self._made += 1
        self._seen, self._weights = self._seen + 1, shown
        ahead = now - (self._made - 1)
        if ahead < 1e-6:
            return self._code
        return torch.lerp(self._code, self.model.advance(shown[None].to(device), self._state)[0], ahead)

    def reset(self) -> None:
        """Back to rest, at once."""
        self._state, self._weights = None, None
        self._seen = self._made = 0


@verb
def between_poses(
    model: FaceModel, neutral: Any, first: Weights, second: Weights, steps: int, *, style: Any = None
) -> Faces:
    """(steps, V, 3) faces on the straight line between the codes of two apexes, both ends included.

    Args:
        model: Any model.
        neutral: (V, 3) float, millimeters. The person at rest.
        first: Named weights (E,) of one apex.
        second: Named weights (E,) of the other.
        steps: Number of faces, at least 2.
        style: Whose way of performing it takes, as in :func:`animate`.
    """
    allow(model, "animate")
    if steps < 2:
        raise BadSetting("an interpolation has at least 2 steps", received=steps)
    ends = torch.stack([weights_of(model.expressions, weights) for weights in (first, second)])
    a, b = model.express(ends.to(model.device))
    amounts = torch.linspace(0, 1, steps, device=a.device).view(-1, *[1] * a.ndim)
    return moved(model, neutral, torch.lerp(a[None], b[None], amounts), style)


def few_targets(
    frames: NDArray, base: NDArray, *, tolerance_mm: float = 0.05, most: int = 24
) -> tuple[Faces, NDArray[np.float32], float]:
    """A clip as morph targets with curves: the principal axes of its displacements.

    Args:
        frames: (T, V, 3) float, millimeters.
        base: (V, 3) float, millimeters. The rest pose.
        tolerance_mm: Targets are added until the mean vertex distance is below this.
        most: At most so many targets.

    Returns:
        (K, V, 3) targets, millimeters, (T, K) weights of at most 1 in size, and the mean vertex distance
        that is left, millimeters.
    """
    moved_by = (np.asarray(frames, np.float64) - base).reshape(len(frames), -1)
    left, sizes, axes = np.linalg.svd(moved_by, full_matrices=False)
    error = 0.0
    for count in range(1, min(most, len(sizes)) + 1):
        rest = (left[:, count:] * sizes[count:]) @ axes[count:]
        error = float(np.linalg.norm(rest.reshape(frames.shape), axis=2).mean())
        if error <= tolerance_mm:
            break
    weights = left[:, :count] * sizes[:count]
    # The strongest moment of each target is its full weight.
    reach = weights[np.abs(weights).argmax(axis=0), np.arange(count)]
    reach[np.abs(reach) < 1e-9] = 1.0
    targets = base + (axes[:count] * reach[:, None]).reshape(count, *base.shape)
    return targets.astype(np.float32), (weights / reach).astype(np.float32), error
