"""Identity sliders: the directions in which a model's people differ most, in standard deviations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.apply.abilities import refusal
from mien.apply.coding import decoded
from mien.models.base import FaceModel
from mien.topology import Topology

PEOPLE = 256  # drawn to find the directions
MOST_AXES = 12
LEAST_MM = 0.05  # a direction that moves vertices less than this on average is no slider


@dataclass(frozen=True, eq=False)
class IdentityAxes:
    """Directions in identity code, ordered by how far they move the face.

    Args:
        directions: (K, D) float. What one standard deviation adds to the flattened identity code.
        fields: (K, V, 3) float32, millimeters. What it adds to the average person's face at rest.
        live: Whether the directions move every code. Where an encoded person and a drawn one are told apart
            within the code (FaceCAM), they do not, and the fields are added to faces instead.
        names: K names: what changes most, and a number.
        reason: Why there are none, if there are none.
    """

    directions: Tensor
    fields: NDArray[np.float32]
    names: tuple[str, ...]
    live: bool = True
    reason: str = ""

    @property
    def millimeters(self) -> NDArray[np.float64]:
        """(K,) mean vertex distance that one standard deviation makes."""
        return np.linalg.norm(self.fields, axis=2).mean(axis=1).astype(np.float64)

    def __len__(self) -> int:
        return len(self.directions)

    def code_offset(self, deviations: NDArray, like: Tensor) -> Tensor:
        """(1, *I) what slider positions (K,) add to an identity code of the form of ``like``, (B, *I)."""
        values = torch.as_tensor(deviations, dtype=self.directions.dtype, device=self.directions.device)
        return (values @ self.directions).view(1, *like.shape[1:])

    def face_offset(self, deviations: NDArray) -> NDArray[np.float32]:
        """(V, 3) millimeters that slider positions (K,) add to a face."""
        return np.tensordot(np.asarray(deviations, np.float32), self.fields, axes=1)


def identity_axes(model: FaceModel, count: int = MOST_AXES) -> IdentityAxes:
    """Principal directions of the people that a model draws.

    People are drawn and shown at rest; s_k is the standardized score of the k-th principal axis of their
    meshes, and the direction is E[s_k (a - E a)] for identity codes a: for a linear model exactly the k-th
    principal axis, for any other the mean change of code that goes with one standard deviation of it.

    Args:
        model: Any model; one that cannot draw people has no axes, and the reason is kept.
        count: The most axes.
    """
    reason = refusal(type(model), "generate")
    if reason or model.anchored:
        reason = reason or "its identity code is the neutral mesh itself"
        none = np.zeros((0, model.topology.vertex_count, 3), np.float32)
        return IdentityAxes(torch.zeros(0, 0), none, (), reason=reason)
    with torch.no_grad():
        codes = model.sample(PEOPLE, generator=torch.Generator().manual_seed(0))
        faces = decoded(model, codes, model.neutral_face).reshape(PEOPLE, -1)
    offsets = (faces - faces.mean(axis=0)).astype(np.float64)
    power, scores = np.linalg.eigh(offsets @ offsets.T)
    best = np.argsort(power)[::-1][:count]
    scores = scores[:, best] * np.sqrt(PEOPLE)  # unit variance
    fields = (scores.T @ offsets / PEOPLE).reshape(len(best), -1, 3)
    signs = np.array([_sign(field, model.topology) for field in fields])
    scores, fields = scores * signs, fields * signs[:, None, None]
    size = np.linalg.norm(fields, axis=2).mean(axis=1)
    kept = size > LEAST_MM
    flat = codes.identity.flatten(1)
    standard = torch.from_numpy(scores[:, kept]).to(flat)
    directions = standard.T @ (flat - flat.mean(dim=0)) / PEOPLE
    names = _names(fields[kept], model.topology)
    return IdentityAxes(directions, fields[kept].astype(np.float32), names, _moves(model, directions, size))


@torch.no_grad()
def _moves(model: FaceModel, directions: Tensor, millimeters: NDArray) -> bool:
    """Whether the first direction moves the model's mean face about as far as it moves drawn people."""
    if not len(directions):
        return False
    mean = model.origin(1)
    if type(model).encode is not FaceModel.encode:  # loaded heads are encoded: theirs must move, too
        template = torch.from_numpy(model.topology.template.copy())[None].to(model.device)
        mean = model.encode(template)
    other = mean.replace(identity=mean.identity + directions[0].view(1, *mean.identity.shape[1:]))
    moved = model.decode(other) - model.decode(mean)
    return bool(moved.norm(dim=2).mean() > 0.3 * millimeters[0])


def _sign(field: NDArray, topology: Topology) -> float:
    """Sliders to the right make larger faces."""
    outward = topology.template - topology.template.mean(axis=0)
    return 1.0 if float((field * outward).sum()) >= 0 else -1.0


def _names(fields: NDArray, topology: Topology) -> tuple[str, ...]:
    """What each field (K, V, 3) changes most: a size of the whole face, or a part of it."""
    known: dict[str, int] = {}
    names = []
    for field in fields:
        name = _name(field, topology)
        known[name] = known.get(name, 0) + 1
        names.append(name if known[name] == 1 else f"{name} {known[name]}")
    return tuple(names)


def _name(field: NDArray, topology: Topology) -> str:
    total = float((field**2).sum())
    outward = topology.template - topology.template.mean(axis=0)
    for axis, name in enumerate(("Width", "Length", "Depth")):
        along = outward[:, axis]
        explained = float((field[:, axis] @ along) ** 2 / (along @ along))
        if explained > 0.33 * total:
            return name
    strength = np.linalg.norm(field, axis=1)
    masks = {
        name: topology.region(name)
        for name in ("nose", "mouth", "eyes", "brows", "chin", "jaw", "cheeks", "forehead")
        if name in topology.regions and topology.region(name).any()
    }
    parts = {name: strength[mask].mean() / strength.mean() for name, mask in masks.items()}
    best = max(parts, key=lambda name: parts[name], default="")
    where = masks[best] if best and parts[best] > 1.15 else slice(None)
    along = ("width", "height", "depth")[int((field[where] ** 2).sum(axis=0).argmax())]
    return f"{best if isinstance(where, np.ndarray) else 'face'} {along}".capitalize()
