"""Rigs: named targets made for one person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mien.apply.abilities import allow
from mien.apply.coding import Faces, Weights, codes_of, decoded, faces_on, in_style, verb, weights_of
from mien.codes import Codes
from mien.errors import BadSetting
from mien.models.base import FaceModel
from mien.topology import Topology


@dataclass(frozen=True, eq=False)
class Rig:
    """A base mesh and named targets, made for one person.

    Args:
        topology: What base and targets share.
        base: (V, 3) float32, millimeters. The rest pose.
        targets: (E, V, 3) float32, millimeters. The face at full weight of each name.
        names: E names.
        linearity_mm: Mean vertex distance between sums of targets and what the model makes of mixed weights.
    """

    topology: Topology
    base: Faces
    targets: Faces
    names: tuple[str, ...]
    linearity_mm: float = 0.0

    def apply(self, weights: Weights) -> Faces:
        """(..., V, 3) faces of (..., E) weights, or of a mapping from names to weights."""
        values = weights_of(self.names, weights).numpy()
        moved = np.tensordot(values, self.targets - self.base, axes=1)
        return (self.base + moved).astype(np.float32)

    def with_still(self, names: Sequence[str]) -> Rig:
        """The rig with further targets that leave its base at rest: for what other pieces of a head do."""
        rest = np.broadcast_to(self.base, (len(names), *self.base.shape))
        return replace(self, targets=np.concatenate([self.targets, rest]), names=(*self.names, *names))


@verb
def rig(model: FaceModel, neutral: Any, names: Sequence[str] | None = None, *, style: Any = None) -> Rig:
    """Named targets made for one person; the rest pose is the given neutral, exactly.

    Args:
        model: Any model.
        neutral: (V, 3) float, millimeters. The person at rest.
        names: Which expressions to make targets of; all of the model's by default.
        style: Whose way of performing they take: name of a training person, or a face (V, 3).
    """
    allow(model, "rig")
    names = tuple(model.expressions if names is None else names)
    if not names:
        raise BadSetting("a rig needs at least one expression", received=0)
    single = torch.stack([weights_of(model.expressions, {name: 1.0}) for name in names])
    generator = np.random.default_rng(0)
    mixes = torch.zeros(8, len(names))
    for mix in mixes:  # pairs of expressions at some strength: what animators stack
        pair = generator.choice(len(names), min(2, len(names)), replace=False)
        mix[pair] = torch.from_numpy(generator.uniform(0.3, 1.0, len(pair)).astype(np.float32))
    shown = model.express(torch.cat([single, mixes @ single]).to(model.device))
    poses = moved(model, neutral, shown, style)
    base = faces_on(model, neutral)[0].cpu().numpy()
    made = Rig(model.topology, base, poses[: len(names)], names)
    error = np.linalg.norm(made.apply(mixes) - poses[len(names) :], axis=-1).mean()
    return replace(made, linearity_mm=float(error))


def moved(model: FaceModel, neutral: Any, expression: Tensor, style: Any = None) -> Faces:
    """(N, V, 3) the neutral, displaced as the model displaces its own version of it: (N, *X) codes."""
    face, person, rest = at_rest(model, neutral, style)
    many = person[torch.zeros(len(expression), dtype=torch.long)].replace(expression=expression)
    return decoded(model, many, lambda codes: face + (model.decode(codes) - rest))


def at_rest(model: FaceModel, neutral: Any, style: Any = None) -> tuple[Tensor, Codes, Tensor]:
    """One given neutral (1, V, 3), its codes, and what the model makes of them at rest (1, V, 3)."""
    face = faces_on(model, neutral, "neutral face")
    if len(face) != 1:
        raise BadSetting("one neutral face is needed", received=f"{len(face)} faces")
    person = in_style(model, codes_of(model, face, face), style)
    # Not neutral_face: some models show people at rest without any expression code.
    still = model.express(torch.zeros(1, len(model.expressions), device=model.device))
    return face, person, model.decode(person.replace(expression=still))
