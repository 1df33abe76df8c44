"""Textbook: named shapes on any face, given or taken from rigs, as they are on faces like this one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.displacement import displaced_rows, full_displacements
from mien.geometry.procrustes import procrustes
from mien.models.base import FaceModel, Reference
from mien.progress import track
from mien.topology import Topology

RIDGE = 1e-6
PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0, 1e6)
"""Ridges that are tried, in mean squared distances of the training people from their mean; the last one
leaves everybody the mean shapes."""
MODES = 40
"""Principal modes of neutral faces that are kept."""


class Textbook(FaceModel):
    """A face is a given neutral plus a weighted sum of shapes; which, depends on the neutral.

    Reference: a rig of named shapes (Lewis, Anjyo, Rhee, Zhang, Pighin and Deng, "Practice and theory of
    blendshape facial models", Eurographics STAR 2014); how sources agree on them: :mod:`mien.data.textbook`.

    Equations, with the neutral n_p of training person p, its shape d_pe for each named expression e, means
    over people n, d_e, and the part x_p of n_p - n that is no motion, turn or size of the whole head::

        face(m, w) = m + sum_e w_e d_e(m)
        d_e(m)     = d_e + sum_p a_p (d_pe - d_e)        a = (X X' + c I)^-1 X x(m)

    with the rows x_p in X: ridge regression of shapes on the neutral. The ridge c is the one of
    :data:`PENALTIES` that predicts the shapes of left-out people best. Coefficients a are no longer than the
    longest of a training person. With one person, or given shapes, d_e is the same for everybody.

    Departures: the source has one rig for one face. It is what a head gets that has no rig of its own, made
    like the rigs of others.

    Example:
        >>> model = Textbook(data.topology, data.expressions)
        >>> model.prepare(data.split("train"))
        >>> model.calibrate(data.split("train"))
        >>> rig = mien.rig(model, neutral)

    Args:
        topology: What all faces share.
        expressions: E expression names; the expression code is their weights.
        people: How many training people are used at most.
    """

    name: ClassVar[str] = "textbook"
    anchored: ClassVar[bool] = True
    reference: ClassVar[Reference] = Reference(
        "lewis2014practice",
        "Lewis, J. P. and Anjyo, Ken and Rhee, Taehyun and Zhang, Mengjie and Pighin, Fred and Deng, Zhigang",
        "Practice and theory of blendshape facial models", "Eurographics State of the Art Reports", 2014,
    )  # fmt: skip
    native: ClassVar[frozenset[str]] = frozenset(("animate", "rig"))

    shapes: Tensor
    responses: Tensor
    directions: Tensor
    center: Tensor
    reach: Tensor
    people_axes: Tensor

    def __init__(self, topology: Topology, expressions: Sequence[str], people: int = 64) -> None:
        super().__init__(topology, expressions)
        self.people = people
        size = topology.vertex_count * 3
        self.register_buffer("shapes", torch.zeros(len(expressions), size))
        self.register_buffer("responses", torch.zeros(0, len(expressions), size))
        self.register_buffer("directions", torch.zeros(0, size))
        self.register_buffer("center", torch.from_numpy(topology.template.copy()).flatten())
        self.register_buffer("reach", torch.zeros(()))
        self.register_buffer("people_axes", torch.zeros(0, size))

    def set_shapes(self, shapes: Tensor, people: Tensor) -> None:
        """Takes shapes that are the same for everybody, and what is known of people's faces.

        Args:
            shapes: (E, V, 3) float, millimeters.
            people: (K, V, 3) float, millimeters. Principal modes of neutral faces, one deviation each.
        """
        self.shapes = shapes.float().flatten(1)
        self.people_axes = people.float().flatten(1)
        calibration = self.calibration
        calibration.rest = torch.zeros(len(self.expressions))
        calibration.offsets = torch.eye(len(self.expressions))
        calibration.identity_mean = self.center.view(-1, 3).clone()
        calibration.identity_std = torch.ones_like(calibration.identity_mean)
        calibration.expression_mean = torch.zeros(len(self.expressions))
        calibration.expression_std = torch.ones(len(self.expressions))

    def learn(
        self, neutrals: NDArray, displacements: NDArray, shown: NDArray, people: NDArray | None = None
    ) -> None:
        """Takes the shapes of people, and how they go with the neutral.

        Args:
            neutrals: (P, V, 3) float, millimeters.
            displacements: (P, E, V, 3) float, millimeters.
            shown: (P, E) bool. Which of them a person has; the others are the mean of those who have them.
            people: (K, V, 3) float, millimeters. Further principal modes of neutral faces, or None.
        """
        count = len(neutrals)
        flat = np.asarray(displacements, np.float32).reshape(count, len(self.expressions), -1)
        weight = shown / np.maximum(shown.sum(axis=0), 1)
        mean = np.einsum("pe,pev->ev", weight, flat).astype(np.float32)
        aligned = procrustes(neutrals, self.topology.template, scale=True).apply(neutrals)
        self.center = torch.from_numpy(aligned.mean(axis=0).astype(np.float32)).flatten()
        apart = (aligned - aligned.mean(axis=0)).reshape(count, -1)
        modes = [] if people is None else [np.asarray(people, np.float32).reshape(-1, apart.shape[1])]
        modes += [_modes(apart)] if count > 1 else []
        axes = np.concatenate(modes) if modes else np.zeros((0, apart.shape[1]), np.float32)
        self.set_shapes(
            torch.from_numpy(mean).unflatten(1, (-1, 3)), torch.from_numpy(axes).unflatten(1, (-1, 3))
        )
        if count > 2:
            personal = np.where(shown[:, :, None], flat - mean, np.float32(0))
            self._regress(_without_motion(apart, aligned.mean(axis=0)), personal)

    def _regress(self, apart: NDArray, personal: NDArray) -> None:
        """Directions in which neutrals differ, and how shapes answer: both along the axes of the people."""
        gram = apart @ apart.T
        flat = personal.reshape(len(personal), -1)
        penalty = _best_penalty(gram, (flat @ flat.T).astype(np.float64))
        values, vectors = np.linalg.eigh(gram)
        kept = values > 1e-6 * values.max()
        values, vectors = values[kept], vectors[:, kept]
        coefficients = vectors.T @ apart / (values + penalty)[:, None]
        self.directions = torch.from_numpy(coefficients.astype(np.float32))
        self.responses = torch.from_numpy(np.tensordot(vectors.T, personal, 1).astype(np.float32))
        lengths = np.linalg.norm(apart @ coefficients.T, axis=1)
        self.reach = torch.tensor(float(lengths.max()))

    def people_modes(self) -> Tensor | None:
        """(K, V, 3) float, millimeters: principal modes of neutral faces, each at one deviation."""
        return self.people_axes.unflatten(1, (-1, 3)) if len(self.people_axes) else None

    def prepare(self, data: FaceDataset) -> None:
        """Neutrals and shapes of the training people."""
        self.check_data(data)
        rows = displaced_rows(data)
        subject = data.row_subject[rows]
        people = np.unique(subject)
        if len(people) > self.people:
            people = np.sort(np.random.default_rng(0).permutation(people)[: self.people])
        neutrals, displacements, shown = [], [], []
        for person in track(people, "training people"):
            own = rows[subject == person]
            neutrals.append(data.neutral_of(own[:1])[0])
            offsets = (data[own] - neutrals[-1]).reshape(len(own), -1)
            solution, known = full_displacements(data.row_weights[own], offsets)
            displacements.append(solution)
            shown.append(known)
        device = self.device
        self.learn(np.stack(neutrals), np.stack(displacements), np.stack(shown))
        self.to(device)

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """The neutral, and the (B, E) weights that explain the displacement from it best."""
        anchor = self.require_neutral(neutral)
        change = (vertices - anchor).flatten(1)
        answers = self._answers(anchor)
        weights = []
        for row, answer in zip(change, answers, strict=True):
            shapes = self.shapes + torch.tensordot(answer, self.responses, 1)
            gram = shapes @ shapes.T
            ridge = RIDGE * gram.diagonal().max().clamp_min(1e-6) * torch.eye(len(gram), device=gram.device)
            weights.append(torch.linalg.solve(gram + ridge, shapes @ row))
        return Codes(anchor, torch.stack(weights) if weights else change.new_zeros(0, len(self.expressions)))

    def decode(self, codes: Codes) -> Tensor:
        """The neutral plus the weighted shapes of faces like it."""
        weights = codes.expression
        offset = weights @ self.shapes
        if len(self.directions):
            both = self._answers(codes.identity)[:, :, None] * weights[:, None]
            offset = offset + both.flatten(1) @ self.responses.flatten(0, 1)
        return codes.identity + offset.unflatten(1, (-1, 3))

    def _answers(self, neutral: Tensor) -> Tensor:
        """(B, K) how far neutrals (B, V, 3) lie along each direction; none farther than training people."""
        found = (neutral.flatten(1) - self.center) @ self.directions.T
        length = found.norm(dim=1, keepdim=True).clamp_min(1e-12)
        return found * (self.reach / length).clamp_max(1.0)

    def express(self, weights: Tensor) -> Tensor:
        """The expression code is the weights."""
        return weights.to(self.shapes)

    def calibrate(self, data: FaceDataset) -> None:
        """Spreads are measured; rest and offsets are known."""
        super().calibrate(data)
        self.calibration.rest = torch.zeros_like(self.calibration.rest)
        self.calibration.offsets = torch.eye(len(self.expressions), device=self.device)


def _modes(apart: NDArray) -> NDArray[np.float32]:
    """(K, D) principal modes of centered rows (P, D), one deviation each."""
    values, vectors = np.linalg.eigh(apart @ apart.T / len(apart))
    kept = [row for row in np.argsort(-values)[:MODES] if values[row] > 1e-6 * values.max()]
    return (vectors[:, kept].T @ apart / np.sqrt(len(apart))).astype(np.float32)


def _without_motion(apart: NDArray, center: NDArray) -> NDArray[np.float64]:
    """(P, 3 V) differences of faces, without what moves, turns or resizes the whole head (V, 3)."""
    arm = center - center.mean(axis=0)
    moves = [np.broadcast_to(axis, arm.shape) for axis in np.eye(3)]
    moves += [np.cross(axis, arm) for axis in np.eye(3)] + [arm]
    basis, _ = np.linalg.qr(np.stack(moves).reshape(len(moves), -1).T)
    return apart - apart @ basis @ basis.T


def _best_penalty(gram: NDArray, shapes: NDArray) -> float:
    """The ridge that predicts left-out people best.

    With the hat matrix H of centered ridge regression, the error on a left-out person is that on all, over
    1 - h_pp.

    Args:
        gram: (P, P) products of people's neutrals, centered.
        shapes: (P, P) products of people's shapes, centered.
    """
    count = len(gram)
    unit = max(float(np.trace(gram)) / count, 1e-12)
    errors = {}
    for penalty in PENALTIES:
        hat = gram @ np.linalg.inv(gram + penalty * unit * np.eye(count)) + 1 / count
        left = (np.eye(count) - hat) / (1 - np.diag(hat))[:, None]
        errors[penalty * unit] = float(np.einsum("pq,qr,pr->", left, shapes, left))
    return min(errors, key=lambda penalty: errors[penalty])
