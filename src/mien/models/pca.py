"""PCA of all faces: the floor of reconstruction error at a given size, split linearly into two factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.models.base import FaceModel, Reference
from mien.nn.linear_split import LinearSplit
from mien.nn.principal import principal_axes
from mien.progress import track
from mien.topology import Topology

BLOCK = 256


class PCA(FaceModel):
    """The best linear autoencoder of all faces, whatever person or expression they show.

    Reference: Blanz and Vetter, "A morphable model for the synthesis of 3D faces", SIGGRAPH 1999 (principal
    axes of registered faces).

    Equations, with U the D leading orthonormal axes of all training faces::

        z = U^T (x - m)        x = m + U z

    z is split by :class:`mien.nn.linear_split.LinearSplit`.

    Departures: the split is ours; it needs to know who is who and no neutrals (which code is neutral is read
    off the expression labels, as for every model). No linear model of D numbers reconstructs the training
    faces better, so a learned model of the same size is compared with this one.

    Example:
        >>> model = PCA(data.topology, data.expressions, size=85)
        >>> model.prepare(data.split("train"))
        >>> model.calibrate(data.split("train"))
        >>> codes = model.encode(faces)

    Args:
        topology: What all faces share.
        expressions: E expression names.
        size: D, numbers in a code; fewer when the data has fewer axes.
        expression_size: How many of them are expression.
    """

    name: ClassVar[str] = "pca"
    needs_neutrals: ClassVar[bool] = False
    reference: ClassVar[Reference] = Reference(
        "blanz1999morphable", "Blanz, Volker and Vetter, Thomas",
        "A morphable model for the synthesis of 3D faces", "ACM SIGGRAPH", 1999,
    )  # fmt: skip
    native: ClassVar[frozenset[str]] = frozenset(("reconstruct", "generate", "fit"))

    mean_face: Tensor
    axes: Tensor

    def __init__(
        self, topology: Topology, expressions: Sequence[str], size: int = 85, expression_size: int = 20
    ) -> None:
        super().__init__(topology, expressions)
        self.size, self.expression_size = size, expression_size
        self.register_buffer("mean_face", torch.from_numpy(topology.template.copy()))
        self.register_buffer("axes", torch.zeros(0, topology.vertex_count * 3))
        self.split = LinearSplit(size, expression_size)

    def prepare(self, data: FaceDataset) -> None:
        """Axes of all faces, and the split of their codes."""
        self.check_data(data)
        rows = np.arange(len(data))
        found = principal_axes(data.__getitem__, rows, self.size, label="axes of all faces")
        self.mean_face = torch.from_numpy(found.mean).view(-1, 3).to(self.device)
        self.axes = torch.from_numpy(found.axes).to(self.device)
        rows = rows[data.row_labeled("identity")]
        parts = track(np.split(rows, range(BLOCK, len(rows), BLOCK)), "codes")
        codes = torch.cat([self._code(torch.from_numpy(data[part]).to(self.device)) for part in parts])
        self.split.fit(codes, torch.from_numpy(data.row_subject[rows]))

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """Projection on the axes, rotated into both parts; ``neutral`` is not used."""
        return Codes(*self.split.split(self._code(vertices)))

    def decode(self, codes: Codes) -> Tensor:
        """Mean plus weighted axes."""
        joined = self.split.join(codes.identity, codes.expression)
        return self.mean_face + (joined @ self.axes).unflatten(1, (-1, 3))

    def sample(self, count: int, *, generator: Generator | None = None) -> Codes:
        """Both parts from normal distributions with mean and covariance of the training codes."""
        return self.calibration.sample(count, generator)

    def _code(self, vertices: Tensor) -> Tensor:
        """(B, D) coordinates along the axes."""
        return (vertices - self.mean_face).flatten(1) @ self.axes.T
