"""What is added to a mesh beyond sums of its targets: contact in clips of meshes, correctives in rigs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.apply.abilities import refusal
from mien.apply.heads import Head
from mien.apply.rigs import rig
from mien.data.arkit import meets_of
from mien.data.correctives import HALFWAY, Corrective, correctives_of
from mien.models.base import FaceModel

_LEAST_MM = 0.05  # what moves nothing farther is left out
_CLOSES = "mouthClose"


@dataclass(frozen=True, eq=False)
class Correctives:
    """Correctives of a rig on a mesh.

    Args:
        items: C of them.
        changes: (C, N, 3) float64, in the mesh's unit and axes. What each adds at full weight.
    """

    items: tuple[Corrective, ...]
    changes: NDArray[np.float64]

    @property
    def table(self) -> dict[str, Any]:
        """For JSON: what drives each."""
        return {"correctives": [item.rule for item in self.items]}

    def driven(self, names: Sequence[str], weights: NDArray) -> NDArray[np.float32]:
        """(T, C) their weights where named targets have weights (T, E).

        Args:
            names: E names.
            weights: (T, E) float.
        """
        columns = [item.weight(names, weights) for item in self.items]
        nothing = np.zeros((len(weights), 0), np.float32)
        return np.stack(columns, axis=-1).astype(np.float32) if columns else nothing


def correctives_on(head: Head, names: Sequence[str], targets: NDArray) -> Correctives:
    """The correctives that targets on a mesh need; those that would add nothing are left out.

    Args:
        head: The mesh.
        names: E names of the targets.
        targets: (E, N, 3) float, the mesh's unit and axes: the mesh at full weight of each.
    """
    found, place, carrier = head.registration, head.registration.placement, head.registration.carrier
    offset = np.asarray(targets, np.float64) - found.mesh_vertices
    change = carrier.welded(place.scale * offset @ place.rotation.T)
    lids, items, changes = meets_of(names).lids, [], []
    for item in correctives_of(names):
        rows = [list(names).index(name) for name in item.drivers]
        if len(rows) == 1:
            more = carrier.halfway(change[rows[0]], lids[rows[0]], HALFWAY)
        else:
            more = carrier.on_open_jaw(change[rows[0]], change[rows[1]], item.drivers[1] == _CLOSES)
        if np.linalg.norm(more, axis=1).max(initial=0) > _LEAST_MM:
            items.append(item)
            changes.append(place.back_vectors(carrier.spread(more)))
    return Correctives(tuple(items), np.array(changes).reshape(-1, *found.mesh_vertices.shape))


@dataclass(frozen=True, eq=False)
class Contact:
    """What makes lids and lips meet in clips of a mesh, as they do in its rig.

    Args:
        rows: (K,) int. Which of the model's expressions are corrected.
        changes: (K, N, 3) float64, in the mesh's unit and axes. What is added at full weight of each.
    """

    rows: NDArray[np.int64]
    changes: NDArray[np.float64]

    def added(self, weights: NDArray) -> NDArray[np.float64]:
        """(..., N, 3) what named weights (..., E) add to the mesh.

        Args:
            weights: (..., E) float.
        """
        return np.tensordot(np.asarray(weights, np.float64)[..., self.rows], self.changes, axes=1)

    def frames(self, weights: NDArray) -> Iterator[NDArray[np.float64]]:
        """(N, 3) of each frame of weights (T, E), one by one."""
        return (self.added(frame) for frame in weights)


def contact_of(model: FaceModel, head: Head | None, neutral: NDArray, style: Any = None) -> Contact | None:
    """The contact of a model's expressions on a mesh; None where nothing has to meet.

    Args:
        model: Any model.
        head: The mesh; None where it has the model's topology, which needs no correction.
        neutral: (V, 3) float, millimeters. The person at rest, on the model's topology.
        style: As for :func:`mien.apply.rig`.
    """
    meets = meets_of(model.expressions)
    lips = () if meets.jaw is None or meets.lips is None else (meets.lips,)
    rows = np.union1d(np.flatnonzero(meets.lids.any(axis=1)), lips).astype(np.int64)
    if head is None or not len(rows) or refusal(type(model), "rig"):
        return None
    asked = np.union1d(rows, [meets.jaw]).astype(np.int64) if lips else rows
    names = tuple(model.expressions[row] for row in asked)
    targets = rig(model, neutral, names, style=style).targets
    change = head.carry(targets, None, meets_of(names)).astype(np.float64) - head.carry(targets)
    return Contact(rows, change[np.isin(asked, rows)])
