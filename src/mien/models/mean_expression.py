"""Mean expression: every person makes the average of an expression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.displacement import mean_displacements
from mien.models.base import FaceModel, Reference
from mien.topology import Topology

RIDGE = 1e-6


class MeanExpression(FaceModel):
    """A face is a given neutral plus a weighted sum of the training people's mean displacements.

    Reference: a control of our own, in the form of a delta blendshape rig (Lewis, Anjyo, Rhee, Zhang, Pighin
    and Deng, "Practice and theory of blendshape facial models", Eurographics STAR 2014).

    Equations, with one mean displacement d_e per named expression e::

        x = n + sum_e w_e d_e        w = argmin ||x - n - sum_e w_e d_e||^2

    Departures: none. It shows what a model knows beyond the class means.

    Example:
        >>> model = MeanExpression(data.topology, data.expressions)
        >>> model.prepare(data.split("train"))
        >>> model.calibrate(data.split("train"))
        >>> smile = model.decode(Codes(neutral, model.express(weights)))

    Args:
        topology: What all faces share.
        expressions: E expression names; the expression code is their weights.
    """

    name: ClassVar[str] = "mean_expression"
    anchored: ClassVar[bool] = True
    reference: ClassVar[Reference] = Reference(
        "lewis2014practice",
        "Lewis, J. P. and Anjyo, Ken and Rhee, Taehyun and Zhang, Mengjie and Pighin, Fred and Deng, Zhigang",
        "Practice and theory of blendshape facial models", "Eurographics State of the Art Reports", 2014,
    )  # fmt: skip
    native: ClassVar[frozenset[str]] = frozenset(("animate", "rig"))

    displacements: Tensor

    def __init__(self, topology: Topology, expressions: Sequence[str]) -> None:
        super().__init__(topology, expressions)
        self.register_buffer("displacements", torch.zeros(len(expressions), topology.vertex_count * 3))

    def prepare(self, data: FaceDataset) -> None:
        """Mean displacement of every named expression."""
        self.check_data(data)
        self.displacements = torch.from_numpy(mean_displacements(data)).flatten(1).to(self.device)

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """The neutral, and the (B, E) weights that explain the displacement from it best."""
        anchor = self.require_neutral(neutral)
        displacements = self.displacements
        gram = displacements @ displacements.T
        ridge = RIDGE * gram.diagonal().max().clamp_min(1e-6) * torch.eye(len(gram), device=gram.device)
        target = displacements @ (vertices - anchor).flatten(1).T
        return Codes(anchor, torch.linalg.solve(gram + ridge, target).T)

    def decode(self, codes: Codes) -> Tensor:
        """The neutral plus the weighted mean displacements."""
        return codes.identity + (codes.expression @ self.displacements).unflatten(1, (-1, 3))

    def express(self, weights: Tensor) -> Tensor:
        """The expression code is the weights."""
        return weights.to(self.displacements)

    def calibrate(self, data: FaceDataset) -> None:
        """Spreads are measured; rest and offsets are known."""
        super().calibrate(data)
        self.calibration.rest = torch.zeros_like(self.calibration.rest)
        self.calibration.offsets = torch.eye(len(self.expressions), device=self.device)
