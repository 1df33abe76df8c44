"""Textbook: the shapes that sources of rigs agree on, on any face, without training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.errors import Unsupported
from mien.models.base import FaceModel, Reference
from mien.topology import Topology

RIDGE = 1e-6


class Textbook(FaceModel):
    """A face is a given neutral plus a weighted sum of textbook shapes, the same for everybody.

    Reference: a rig of named shapes (Lewis, Anjyo, Rhee, Zhang, Pighin and Deng, "Practice and theory of
    blendshape facial models", Eurographics STAR 2014); how sources agree on them: :mod:`mien.data.textbook`.

    Equations, with one shape d_e per named expression e::

        x = n + sum_e w_e d_e        w = argmin ||x - n - sum_e w_e d_e||^2

    Departures: nothing is learned; the shapes are given. It is what a head gets that has no rig of its own
    kind to follow, and what a trained model has to improve on.

    Example:
        >>> model = mien.default_model()
        >>> face = mien.open_face("head.glb", model)
        >>> rig = mien.rig(model, face.vertices)

    Args:
        topology: What all faces share.
        expressions: E expression names; the expression code is their weights.
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
    people: Tensor

    def __init__(self, topology: Topology, expressions: Sequence[str]) -> None:
        super().__init__(topology, expressions)
        self.register_buffer("shapes", torch.zeros(len(expressions), topology.vertex_count * 3))
        self.register_buffer("people", torch.zeros(0, topology.vertex_count * 3))

    def set_shapes(self, shapes: Tensor, people: Tensor) -> None:
        """Takes the shapes, and what is known of people's faces.

        Args:
            shapes: (E, V, 3) float, millimeters.
            people: (K, V, 3) float, millimeters. Principal modes of neutral faces, one deviation each.
        """
        self.shapes = shapes.float().flatten(1)
        self.people = people.float().flatten(1)
        calibration = self.calibration
        calibration.rest = torch.zeros(len(self.expressions))
        calibration.offsets = torch.eye(len(self.expressions))
        calibration.identity_mean = torch.from_numpy(self.topology.template.copy())
        calibration.identity_std = torch.ones_like(calibration.identity_mean)
        calibration.expression_mean = torch.zeros(len(self.expressions))
        calibration.expression_std = torch.ones(len(self.expressions))

    def people_modes(self) -> Tensor:
        """(K, V, 3) float, millimeters: principal modes of neutral faces, each at one deviation."""
        return self.people.unflatten(1, (-1, 3))

    def prepare(self, data: FaceDataset) -> None:
        """Refused: the shapes are given, not learned."""
        raise Unsupported(
            "textbook shapes are not trained", remedy="train mean_expression for the average of a data set"
        )

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """The neutral, and the (B, E) weights that explain the displacement from it best."""
        anchor = self.require_neutral(neutral)
        gram = self.shapes @ self.shapes.T
        ridge = RIDGE * gram.diagonal().max().clamp_min(1e-6) * torch.eye(len(gram), device=gram.device)
        target = self.shapes @ (vertices - anchor).flatten(1).T
        return Codes(anchor, torch.linalg.solve(gram + ridge, target).T)

    def decode(self, codes: Codes) -> Tensor:
        """The neutral plus the weighted shapes."""
        return codes.identity + (codes.expression @ self.shapes).unflatten(1, (-1, 3))

    def express(self, weights: Tensor) -> Tensor:
        """The expression code is the weights."""
        return weights.to(self.shapes)
