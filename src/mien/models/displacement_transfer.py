"""Displacement transfer: another person's displacement, added as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.displacement import displaced_rows
from mien.models.base import FaceModel, Reference
from mien.topology import Topology


class DisplacementTransfer(FaceModel):
    """The expression of a face is its displacement from the own neutral, vertex by vertex.

    Reference: Noh and Neumann, "Expression cloning", SIGGRAPH 2001 (motion vectors moved from face to face).

    Equations, with n the source's neutral, n' the target's and s(.) the size of a face::

        d = (x - n) / s(n)        x' = n' + s(n') d

    Departures: correspondence is known, so nothing is searched for; vectors are not rotated to the target's
    surface. ``scaled=False`` (default) sets s = 1, the "delta transfer" that papers compare with. Size is the
    root mean square distance of rigid vertices from their centroid, which needs no eye landmarks.

    Example:
        >>> model = DisplacementTransfer(data.topology, data.expressions)
        >>> model.calibrate(data.split("train"))
        >>> codes = model.encode(smiling, neutral=source_neutral)
        >>> result = model.decode(codes.replace(identity=target_neutral))

    Args:
        topology: What all faces share.
        expressions: E expression names.
        scaled: Scale displacements by the size of the face.
    """

    name: ClassVar[str] = "displacement_transfer"
    anchored: ClassVar[bool] = True
    reference: ClassVar[Reference] = Reference(
        "noh2001expression", "Noh, Jun-yong and Neumann, Ulrich", "Expression cloning",
        "ACM SIGGRAPH", 2001,
    )  # fmt: skip
    native: ClassVar[frozenset[str]] = frozenset(("transfer",))

    rigid: Tensor

    def __init__(self, topology: Topology, expressions: Sequence[str], scaled: bool = False) -> None:
        super().__init__(topology, expressions)
        self.scaled = scaled
        name = "rigid" if "rigid" in topology.regions else "all"
        self.register_buffer("rigid", torch.from_numpy(topology.region(name).copy()))

    def prepare(self, data: FaceDataset) -> None:
        """Nothing to learn; refuses data whose expressions could not be named in :meth:`calibrate`."""
        self.check_data(data)
        displaced_rows(data)

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """The neutral, and the (B, 3 V) displacement from it in millimeters of a template-sized face."""
        anchor = self.require_neutral(neutral)
        return Codes(anchor, (vertices - anchor).flatten(1) / self._size(anchor))

    def decode(self, codes: Codes) -> Tensor:
        """The neutral plus the displacement."""
        displacement = codes.expression * self._size(codes.identity)
        return codes.identity + displacement.unflatten(1, (-1, 3))

    def calibrate(self, data: FaceDataset) -> None:
        """Offsets are mean displacements; the rest code is zero by definition."""
        super().calibrate(data)
        self.calibration.rest = torch.zeros_like(self.calibration.rest)

    def _size(self, neutral: Tensor) -> Tensor:
        """(B, 1) size relative to the template; 1 if displacements are not scaled."""
        if not self.scaled:
            return neutral.new_ones(neutral.shape[0], 1)
        template = torch.from_numpy(self.topology.template).to(neutral)
        return (_extent(neutral[:, self.rigid]) / _extent(template[None, self.rigid]))[:, None]


def _extent(points: Tensor) -> Tensor:
    """(B,) root mean square distance of (B, P, 3) points from their centroid."""
    return (points - points.mean(1, keepdim=True)).square().sum(2).mean(1).sqrt()
