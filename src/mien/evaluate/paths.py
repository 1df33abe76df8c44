"""How straight and even the way between two people's faces is, factor by factor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.codes import Codes
from mien.evaluate.generation import path_length_ratio, path_step_cv
from mien.evaluate.sweep import Runner

STEPS = 10


def paths(runner: Runner) -> dict[str, NDArray]:
    """Metric -> (S,): from an expressive scan of each person to another expression of the next person.

    ``path_length_identity`` is the length of the way over the distance of its ends (1: straight) when only
    the identity code moves, ``path_step_cv_identity`` the deviation of its steps over their mean (0: even);
    likewise for the expression code. nan where a person has no expressive scan.
    """
    judged, model = runner.judged, runner.model
    found = {
        f"{name}_{factor}": np.full(len(judged.people), np.nan)
        for factor in ("identity", "expression") for name in ("path_length", "path_step_cv")
    }  # fmt: skip
    rows = [np.flatnonzero((judged.person == k) & judged.performed) for k in range(len(judged.people))]
    for number, mine in enumerate(rows):
        theirs = rows[(number + 1) % len(rows)]
        if not len(mine) or not len(theirs) or len(rows) < 2:
            continue
        # Another expression, so that both codes have a way to go.
        other = theirs[judged.label[theirs] != judged.label[mine[0]]]
        if not len(other):
            continue
        ends = runner.encode(np.array([mine[0], other[len(other) // 2]]), with_neutral=True)
        for factor in ("identity", "expression"):
            path = []
            for share in np.linspace(0, 1, STEPS + 1).tolist():
                between = model.mix(ends[:1], ends[1:], share)
                path.append(ends[:1].replace(**{factor: between.factor(factor)}))
            meshes = runner.decode(Codes.cat(path))
            found[f"path_length_{factor}"][number] = path_length_ratio(meshes)
            found[f"path_step_cv_{factor}"][number] = path_step_cv(meshes)
    return found
