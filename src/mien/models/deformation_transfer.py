"""Deformation transfer (Sumner and Popovic 2004): how every triangle deforms, carried to another face."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.displacement import displaced_rows
from mien.geometry.gradients import DeformationSolver, deformation_gradients
from mien.models.base import FaceModel, Reference
from mien.topology import Topology

CALIBRATION_FACES = 1000


class DeformationTransfer(FaceModel):
    """The expression of a face is the deformation gradient of each triangle, relative to the own neutral.

    Reference: R. W. Sumner, J. Popovic. Deformation transfer for triangle meshes. SIGGRAPH 2004.

    Equations, with W = [v2 - v1, v3 - v1, n / sqrt|n|] of a triangle, n = (v2 - v1) x (v3 - v1)::

        S_t = W'_t W_t^-1                                              (source, neutral to expression)
        x'  = argmin sum_t ||S_t - T_t(x')||_F^2                       (target, from its own neutral)

    The code holds S_t - I of every triangle, so that zero is the neutral, and what the gradients leave
    open: the shift of each connected component, measured at its rigid vertices.

    Departures: both faces share a topology, so correspondence is known. The shift of a component is the
    source's (the published method fixes one vertex by hand). The normal equations are factorized once a
    target and kept for the last 16 targets.

    Example:
        >>> model = DeformationTransfer(data.topology, data.expressions)
        >>> model.calibrate(data.split("train"))
        >>> codes = model.encode(smiling, neutral=source_neutral)
        >>> result = model.decode(codes.replace(identity=target_neutral))

    Args:
        topology: What all faces share; vertices of its region ``rigid`` pin the result, if it has one.
        expressions: E expression names.
    """

    name: ClassVar[str] = "deformation_transfer"
    anchored: ClassVar[bool] = True
    reference: ClassVar[Reference] = Reference(
        "sumner2004deformation", "Sumner, Robert W. and Popović, Jovan",
        "Deformation transfer for triangle meshes", "ACM SIGGRAPH", 2004,
    )  # fmt: skip
    native: ClassVar[frozenset[str]] = frozenset(("transfer",))
    refused: ClassVar[Mapping[str, str]] = {"export": "it factorizes a linear system for every person"}

    def __init__(self, topology: Topology, expressions: Sequence[str]) -> None:
        super().__init__(topology, expressions)

    def prepare(self, data: FaceDataset) -> None:
        """Nothing to learn; refuses data whose expressions could not be named in :meth:`calibrate`."""
        self.check_data(data)
        displaced_rows(data)

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """The neutral, and (B, 9 F + 3 K) gradients minus identity, then the shifts of K components."""
        anchor = self.require_neutral(neutral)
        faces, rests = _arrays(vertices), _arrays(anchor)
        code = np.empty((len(faces), 9 * self.topology.face_count + 3 * _count(self.topology)), np.float32)
        for rows in _equal_rows(rests):
            gradients = deformation_gradients(rests[rows[0]], faces[rows], self.topology.faces) - np.eye(3)
            shifts = _pins(self.topology) @ (faces[rows] - rests[rows])
            code[rows] = np.concatenate([gradients.reshape(len(rows), -1), shifts.reshape(len(rows), -1)], 1)
        return Codes(anchor, torch.from_numpy(code).to(vertices.device))

    def decode(self, codes: Codes) -> Tensor:
        """Faces whose triangles deform as the code says, from the neutral."""
        rests, expression = _arrays(codes.identity), _arrays(codes.expression)
        gradients, shifts = np.split(expression, [9 * self.topology.face_count], axis=1)
        gradients = gradients.reshape(len(rests), -1, 3, 3) + np.eye(3)
        shifts = shifts.reshape(len(rests), -1, 3)[:, self.topology.components]
        faces = np.empty(rests.shape, np.float32)
        for rows in _equal_rows(rests):
            solver = _solver(self.topology, rests[rows[0]].tobytes())
            faces[rows] = solver.solve(gradients[rows], rests[rows] + shifts[rows])
        return torch.from_numpy(faces).to(codes.identity.device)

    def calibrate(self, data: FaceDataset) -> None:
        """Offsets are mean gradients of each expression; the rest code is zero by definition."""
        self.measure_codes(data, limit=CALIBRATION_FACES)
        self.calibration.rest = torch.zeros_like(self.calibration.rest)


@lru_cache(maxsize=16)
def _solver(topology: Topology, rest: bytes) -> DeformationSolver:
    """The factorized system of a target neutral, given as the bytes of its (V, 3) float64 vertices."""
    vertices = np.frombuffer(rest).reshape(-1, 3)
    return DeformationSolver(vertices, topology.faces, topology.components, _anchors(topology))


@lru_cache(maxsize=16)
def _anchors(topology: Topology) -> NDArray[np.bool_]:
    """(V,) vertices that pin: the rigid region, and all of a component that has no rigid vertex."""
    rigid = topology.region("rigid" if "rigid" in topology.regions else "all")
    held = np.bincount(topology.components[rigid], minlength=_count(topology)) > 0
    return rigid | ~held[topology.components]


@lru_cache(maxsize=16)
def _pins(topology: Topology) -> NDArray[np.float64]:
    """(K, V) weights of the mean of each component's anchors."""
    of_component = topology.components == np.arange(_count(topology))[:, None]
    weights = (of_component & _anchors(topology)).astype(np.float64)
    return weights / weights.sum(axis=1, keepdims=True)


def _count(topology: Topology) -> int:
    """K, the number of connected components."""
    return int(topology.components.max()) + 1


def _arrays(values: Tensor) -> NDArray[np.float64]:
    return values.detach().cpu().double().numpy()


def _equal_rows(rests: NDArray) -> list[NDArray[np.int64]]:
    """Rows grouped by equal neutrals: what depends on a neutral is then computed once."""
    groups: dict[bytes, list[int]] = {}
    for row, rest in enumerate(rests):
        groups.setdefault(rest.tobytes(), []).append(row)
    return [np.array(rows) for rows in groups.values()]
