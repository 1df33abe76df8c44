"""Codes of faces by descent through the decoder: from whole meshes, or from a few landmarks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.codes import Codes
from mien.errors import BadMesh, BadSetting, UnknownName, WrongTopology
from mien.landmark_names import landmark_key
from mien.models.base import FaceModel
from mien.nn.descent import minimize_rows
from mien.progress import track

FACES_AT_ONCE = 32
STEPS_AT_ONCE = 10


def fitting_refusal(model: type[FaceModel]) -> str | None:
    """Why faces cannot be fitted with a method, or None if they can."""
    if model.anchored:
        return (
            "its identity code is the neutral mesh itself, so landmarks would drag single vertices and say "
            "nothing about the others"
        )
    return model.refused.get("fit")


def invert(
    model: FaceModel, vertices: Any, *, steps: int = 200, prior_weight: float = 0.0, label: str = "fitting"
) -> Codes:
    """Codes whose decoded faces are nearest to given ones; what an encoderless model has for an encoder.

    Minimizes, for each face, the sum of squared vertex distances plus ``prior_weight`` times the squared
    standardized codes: deviations from the mean person at rest, in units of the training spread.

    Args:
        model: A model with a decoder.
        vertices: (B, V, 3) float, millimeters.
        steps: Updates of the quasi-Newton descent.
        prior_weight: Square millimeters per unit of a squared standardized code.
        label: What the progress bar says.

    Returns:
        Codes (B, ...) on the model's device.
    """
    target = torch.as_tensor(vertices).to(model.device, torch.float32)
    if target.ndim != 3:
        raise WrongTopology("faces to fit must be (B, V, 3)", received=tuple(target.shape))
    model.topology.check(target.cpu().numpy(), what="face to fit")
    parts = target.split(FACES_AT_ONCE)
    ticks = iter(track(range(_rounds(steps) * len(parts) + len(parts)), label))
    return Codes.cat([_descend(model, len(p), _Faces(p), steps, prior_weight, ticks) for p in parts])


def fit_landmarks(
    model: FaceModel,
    positions: NDArray,
    names: Sequence[str] | None = None,
    *,
    corners: NDArray | None = None,
    weights: NDArray | None = None,
    prior_weight: float = 1.0,
    steps: int = 200,
    align: bool = False,
) -> tuple[NDArray[np.float32], Codes, float]:
    """The likely face that passes near a few landmarks.

    Minimizes sum_i ||s_i(z) - p_i||^2 + prior_weight ||z||^2 over standardized codes z, where s_i is the
    surface point of landmark i (Abrevaya et al., ICCV 2019, with weights 0, 0.01 and 10).

    Args:
        model: A model with a decoder and codes that are not meshes.
        positions: (L, 3) float, millimeters, in the model's frame.
        names: L landmark names of the model's topology; or give ``corners`` and ``weights``.
        corners: (L, 3) int. Triangle corners of each landmark.
        weights: (L, 3) float. Barycentric weights of each landmark.
        prior_weight: Larger stays nearer to the mean face; 0 follows the landmarks only.
        steps: Updates of the quasi-Newton descent.
        align: The landmarks have a frame of their own: find the rigid motion too, return the face there.

    Returns:
        vertices: (V, 3) float32, millimeters.
        codes: The codes of the face.
        residual: Mean distance of the fitted landmarks from the given ones, millimeters.
    """
    reason = fitting_refusal(type(model))
    if reason:
        raise model.refusal("fit", reason)
    if prior_weight < 0:
        raise BadSetting(
            "the prior weight must not be negative", received=prior_weight, remedy="use 0 or more"
        )
    goal = np.asarray(positions, np.float64)
    corners, weights = _places(model, goal, names, corners, weights)
    # A frame of its own is undone as well as the mean face allows; the descent finds the rest of the motion.
    mean = _points(_face(model, model.origin(1)), corners, weights)
    turn, shift = rigid_motion(mean, goal) if align else (np.eye(3), np.zeros(3))
    target = _Landmarks(model, (goal - shift) @ turn, corners, weights, moves=align)
    codes = _descend(model, 1, target, steps, prior_weight, iter(track(range(_rounds(steps)), "fitting")))
    vertices = target.moved(_face(model, codes)) @ turn.T + shift
    residual = np.linalg.norm(_points(vertices, corners, weights) - goal, axis=1).mean()
    return vertices.astype(np.float32), codes, float(residual)


def fit_landmark_sets(
    model: FaceModel, positions: NDArray, *, prior_weight: float, steps: int = 200,
    generator: torch.Generator | None = None,
) -> Codes:  # fmt: skip
    """Codes of many faces from all landmarks of the topology, as :func:`fit_landmarks` finds them one by one.

    Args:
        model: A model with a decoder and codes that are not meshes.
        positions: (B, L, 3) float, millimeters, in the model's frame, in the order of the topology.
        prior_weight: Square millimeters per unit of a squared standardized code.
        steps: Updates of the quasi-Newton descent.
        generator: Begin at random codes as Abrevaya et al. do; None begins at the mean person at rest.
    """
    if reason := fitting_refusal(type(model)):
        raise model.refusal("fit", reason)
    marks = model.topology.landmarks
    parts = [positions[k : k + FACES_AT_ONCE] for k in range(0, len(positions), FACES_AT_ONCE)]
    ticks = iter(track(range((_rounds(steps) + 1) * len(parts)), "fitting landmarks"))
    found = [
        _descend(
            model, len(part), _Landmarks(model, part, marks.corners.astype(np.int64), marks.weights, False),
            steps, prior_weight, ticks, generator,
        )
        for part in parts
    ]  # fmt: skip
    return Codes.cat(found)


def rigid_motion(points: NDArray, onto: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The rotation R (3, 3) and shift t (3,) of least squares: points @ R.T + t is near ``onto``.

    Args:
        points: (L, 3) float, any unit.
        onto: (L, 3) float, the same unit.
    """
    center, goal = points.mean(axis=0), onto.mean(axis=0)
    u, _, vt = np.linalg.svd((onto - goal).T @ (points - center))
    flip = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])  # a rotation, never a reflection
    turn = u @ flip @ vt
    return turn, goal - center @ turn.T


def _places(
    model: FaceModel, goal: NDArray, names: Sequence[str] | None, corners: Any, weights: Any
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Where on the surface each landmark lies."""
    if goal.ndim != 2 or goal.shape[1] != 3 or not len(goal) or not np.isfinite(goal).all():
        raise BadMesh("landmarks must be finite points (L, 3)", received=f"an array of shape {goal.shape}")
    if names is not None:
        known = model.topology.landmarks
        names = [landmark_key(name, known.names) for name in names]
        for name in names:
            if name not in known.names:
                raise UnknownName("landmark", name, known.names)
        index = [known.names.index(name) for name in names]
        corners, weights = known.corners[index], known.weights[index]
    if corners is None or weights is None:
        raise BadSetting("landmarks need names, or corners and weights", remedy="pass one of them")
    corners, weights = np.asarray(corners, np.int64), np.asarray(weights, np.float64)
    if not corners.shape == weights.shape == goal.shape:
        raise BadSetting(
            "landmark names or places do not match the positions in number",
            received=f"{len(corners)} places for {len(goal)} positions",
        )
    return corners, weights


def _points(vertices: NDArray, corners: NDArray, weights: NDArray) -> NDArray:
    return np.einsum("lkc,lk->lc", vertices[corners], weights)


def _face(model: FaceModel, codes: Codes) -> NDArray[np.float64]:
    with torch.no_grad():
        return model.decode(codes)[0].double().cpu().numpy()


class _Faces:
    """(B,) sums of squared distances (square millimeters) of faces from target faces (B, V, 3)."""

    motions = 0

    def __init__(self, target: Tensor) -> None:
        self.target = target
        self.motion: Tensor | None = None

    def __call__(self, faces: Tensor, motion: Tensor | None) -> Tensor:
        return (faces - self.target).square().sum((1, 2))


class _Landmarks:
    """(B,) sums of squared distances of landmarks from their goals, faces moved rigidly if they ``move``."""

    def __init__(
        self, model: FaceModel, goal: NDArray, corners: NDArray, weights: NDArray, moves: bool
    ) -> None:
        self.corners = torch.from_numpy(corners).to(model.device)
        self.weights = torch.from_numpy(weights).to(model.device, torch.float32)[None, ..., None]
        self.goal = torch.from_numpy(goal).to(model.device, torch.float32)
        self.motions = 6 if moves else 0
        self.motion: Tensor | None = None

    def __call__(self, faces: Tensor, motion: Tensor | None) -> Tensor:
        points = (faces[:, self.corners] * self.weights).sum(2)
        turn, shift = self._pose(motion)
        return (points @ turn.T + shift - self.goal).square().sum((1, 2))

    def moved(self, face: NDArray) -> NDArray:
        """The face (V, 3) in the frame of the goals."""
        turn, shift = (value.double().cpu().numpy() for value in self._pose(self.motion))
        return face @ turn.T + shift

    def _pose(self, motion: Tensor | None) -> tuple[Tensor, Tensor]:
        """Rotation and shift of tenths of a radian and of centimeters: about as large as a code is."""
        if motion is None or not motion.numel():
            return torch.eye(3, device=self.goal.device), torch.zeros(3, device=self.goal.device)
        (x, y, z), shift = 0.1 * motion[0, :3], 10 * motion[0, 3:]
        none = torch.zeros_like(x)
        spin = torch.stack([none, -z, y, z, none, -x, -y, x, none]).view(3, 3)
        return torch.linalg.matrix_exp(spin), shift


def _rounds(steps: int) -> int:
    if steps < 1:
        raise BadSetting("the number of steps must be at least 1", received=steps)
    return -(-steps // STEPS_AT_ONCE)


def _descend(
    model: FaceModel, count: int, target: _Faces | _Landmarks, steps: int, prior_weight: float,
    ticks: Iterator[int], generator: torch.Generator | None = None,
) -> Codes:  # fmt: skip
    """Quasi-Newton descent in standardized codes from the model's origin (or random ones), face by face.

    Raw codes stall: their scales differ by orders of magnitude between factors and between models.
    """
    start = model.origin(count).map(lambda value: value.detach().clone())
    deviations = {"identity": model.calibration.identity_std, "expression": model.calibration.expression_std}
    names = ("identity", "expression", *start.others)
    sizes = [start.factor(name)[0].numel() for name in names]

    def codes(rows: Tensor) -> Codes:
        parts = zip(names, rows.split(sizes, dim=1), strict=True)
        moved = {name: part.view_as(start.factor(name)) * deviations.get(name, 1.0) for name, part in parts}
        return start.replace(**{name: start.factor(name) + move for name, move in moved.items()})

    def loss(x: Tensor) -> Tensor:
        rows, motion = x[:, : sum(sizes)], x[:, sum(sizes) :]
        return (target(model.decode(codes(rows)), motion) + prior_weight * rows.square().sum(1)) * scale

    found = torch.zeros(count, sum(sizes) + target.motions, device=model.device)
    if generator is not None:
        drawn = torch.randn(count, sum(sizes), generator=generator)
        found[:, : sum(sizes)] = drawn.to(found)
    # One scale a face keeps the first line search from overshooting: each loss starts near 1.
    with torch.no_grad():
        begin = target(model.decode(codes(found[:, : sum(sizes)])), None)
    scale = 1 / begin.clamp_min(1.0)
    with _frozen(model):
        for step, x in enumerate(minimize_rows(loss, found, steps=STEPS_AT_ONCE * _rounds(steps))):
            found = x
            if step % STEPS_AT_ONCE == 0:
                next(ticks, None)
    next(ticks, None)  # past the last one, so that the bar ends
    target.motion = found[:, sum(sizes) :]
    return codes(found[:, : sum(sizes)])


@contextmanager
def _frozen(model: FaceModel) -> Iterator[None]:
    """Only codes are searched: gradients of the model's own parameters would be computed for nothing."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
