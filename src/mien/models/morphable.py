"""The additive morphable model: principal axes of neutral faces plus principal axes of expressions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.displacement import mean_displacements
from mien.errors import BadSetting, MissingNeutral, Note
from mien.models.base import FaceModel, Reference
from mien.nn.principal import PrincipalAxes, principal_axes
from mien.topology import Topology

_HELD = 0.7  # of an expression's size: below it, a target is another one


class Morphable(FaceModel):
    """A face is a mean plus a linear identity shape plus a linear expression offset.

    Reference: Amberg, Knothe and Vetter, "Expression invariant 3D face recognition with a morphable model",
    IEEE FG 2008.

    Equations, with codes a, b in units of standard deviations::

        x = m + U_id a + U_exp b
        a, b = argmin ||x - m - U_id a - U_exp b||^2 + ridge (||a||^2 + ||b||^2)

    m and U_id are the mean and the principal axes of people's mean neutrals; U_exp those of x minus the same
    person's neutral, about zero; both scaled by the deviation along each axis.

    Departures: none in the model. The fit is to corresponding vertices, so it is solved exactly instead of by
    iterated closest points; ``ridge`` is a setting, almost zero by default.

    Example:
        >>> model = Morphable(data.topology, data.expressions)
        >>> model.prepare(data.split("train"))
        >>> model.calibrate(data.split("train"))
        >>> codes = model.encode(faces)
        >>> neutral = model.neutral_face(codes)

    Args:
        topology: What all faces share.
        expressions: E expression names.
        identity_size: Identity axes; fewer are kept when there are fewer people.
        expression_size: Expression axes.
        ridge: Weight of the squared codes in square millimeters, summed over all coordinates.
    """

    name: ClassVar[str] = "morphable"
    reference: ClassVar[Reference] = Reference(
        "amberg2008expression", "Amberg, Brian and Knothe, Reinhard and Vetter, Thomas",
        "Expression invariant 3D face recognition with a morphable model",
        "IEEE International Conference on Automatic Face and Gesture Recognition", 2008,
    )  # fmt: skip
    native: ClassVar[frozenset[str]] = frozenset(
        ("reconstruct", "neutralize", "transfer", "interpolate", "generate", "fit", "recognize")
    )

    mean_face: Tensor
    identity_axes: Tensor
    expression_axes: Tensor
    inverse: Tensor

    def __init__(
        self,
        topology: Topology,
        expressions: Sequence[str],
        identity_size: int = 65,
        expression_size: int = 20,
        ridge: float = 1e-3,
    ) -> None:
        super().__init__(topology, expressions)
        if ridge <= 0:
            raise BadSetting("ridge must be positive: identity and expression axes overlap", received=ridge)
        self.identity_size, self.expression_size, self.ridge = identity_size, expression_size, ridge
        self.register_buffer("mean_face", torch.from_numpy(topology.template.copy()))
        self.register_buffer("identity_axes", torch.zeros(0, topology.vertex_count * 3))
        self.register_buffer("expression_axes", torch.zeros(0, topology.vertex_count * 3))
        self.register_buffer("inverse", torch.zeros(0, 0))

    def prepare(self, data: FaceDataset) -> None:
        """Both sets of axes from people's mean neutrals and from displacements of their other scans."""
        self.check_data(data)
        people = _one_row_per_person(data)
        expressive = np.flatnonzero(data.has_neutral & ~data.is_neutral)
        if not len(people) or not len(expressive):
            raise MissingNeutral(
                "a morphable model needs people with a neutral scan and with other scans",
                received=f"{len(people)} people with a neutral scan, {len(expressive)} other scans of them",
                remedy="label neutral scans by all-zero weights",
            )
        identity = principal_axes(data.neutral_of, people, self.identity_size, label="identity axes")
        expression = principal_axes(
            lambda rows: data[rows] - data.neutral_of(rows), expressive, self.expression_size,
            centered=False, label="expression axes",
        )  # fmt: skip
        self._keep(identity, expression)

    def _keep(self, identity: PrincipalAxes, expression: PrincipalAxes) -> None:
        device = self.device
        self.mean_face = torch.from_numpy(identity.mean).view(-1, 3).to(device)
        self.identity_axes = torch.from_numpy(identity.axes * identity.std[:, None]).to(device)
        self.expression_axes = torch.from_numpy(expression.axes * expression.std[:, None]).to(device)
        axes = torch.cat([self.identity_axes, self.expression_axes]).double()
        normal = axes @ axes.T + self.ridge * torch.eye(len(axes), dtype=torch.float64, device=device)
        self.inverse = torch.linalg.inv(normal).float()

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """Both codes by ridge least squares on the scan alone; ``neutral`` is not used."""
        axes = torch.cat([self.identity_axes, self.expression_axes])
        target = (vertices - self.mean_face).flatten(1)
        codes = target.new_zeros(len(target), len(axes))
        # The first round is the solution; two more remove what float32 lost in the inverse.
        for _ in range(3):
            codes = codes + ((target - codes @ axes) @ axes.T - self.ridge * codes) @ self.inverse
        return Codes(*codes.split([len(self.identity_axes), len(self.expression_axes)], dim=1))

    def decode(self, codes: Codes) -> Tensor:
        """The sum of mean, identity shape and expression offset."""
        offset = codes.identity @ self.identity_axes + codes.expression @ self.expression_axes
        return self.mean_face + offset.unflatten(1, (-1, 3))

    def sample(self, count: int, *, generator: Generator | None = None) -> Codes:
        """a, b ~ N(0, I)."""
        sizes = len(self.identity_axes), len(self.expression_axes)
        device = generator.device if generator else self.device
        drawn = torch.randn(count, sum(sizes), generator=generator, device=device).to(self.device)
        return Codes(*drawn.split(sizes, dim=1))

    def calibrate(self, data: FaceDataset) -> None:
        """Rest is b = 0; an expression's offset is the fit of U_exp to its mean displacement.

        The joint fit of :meth:`encode` explains part of every expression by identity, so offsets measured on
        its codes would be too weak.
        """
        super().calibrate(data)
        displacements = torch.from_numpy(mean_displacements(data)).to(self.device).flatten(1)
        lengths = (self.expression_axes**2).sum(1)  # U_exp is orthogonal: axes scaled by their deviations
        self.calibration.offsets = displacements @ self.expression_axes.T / lengths
        self.calibration.rest = torch.zeros_like(self.calibration.rest)
        self._tell_unheld(displacements)

    def _tell_unheld(self, displacements: Tensor) -> None:
        """Says which named expressions, (E, 3 V) displacements, the axes hardly hold: rigs lack them."""
        held, whole = (self.calibration.offsets @ self.expression_axes).norm(dim=1), displacements.norm(dim=1)
        share = torch.where(whole > 0, held / whole.clamp_min(1e-9), 1.0).tolist()
        weak = {name: part for name, part in zip(self.expressions, share, strict=True) if part < _HELD}
        if not weak:
            return
        listed = ", ".join(f"{name} {part:.0%}" for name, part in sorted(weak.items(), key=lambda it: it[1]))
        warnings.warn(
            Note(
                f"{len(self.expression_axes)} expression axes do not hold every named expression: rigs lack "
                f"them (of their size: {listed}); give --set expression_size={len(self.expressions)}"
            ),
            stacklevel=3,
        )


def _one_row_per_person(data: FaceDataset) -> NDArray[np.int64]:
    rows = np.flatnonzero(data.has_neutral)
    return rows[np.unique(data.row_subject[rows], return_index=True)[1]]
