"""How the codes of held-out real faces group by person and by expression."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mien.apply import codes_of
from mien.codes import Codes
from mien.errors import Unsupported
from mien.evaluation.generation import metrics
from mien.evaluation.generation.setup import GenerationSetup
from mien.evaluation.rows import Row, RowMaker
from mien.models.base import FaceModel
from mien.progress import track


def silhouette_rows(
    maker: RowMaker, model: FaceModel, setup: GenerationSetup, people: dict[str, dict[str, float]]
) -> Iterator[Row]:
    """Each code of held-out real faces by both labels.

    Args:
        maker: Of the model's rows.
        model: A model that can encode.
        setup: The test scans, and how many of them to encode.
        people: Filled with values by metric and person.
    """
    scans = setup.scans
    if model.anchored:
        raise Unsupported("its identity code is the neutral mesh itself")
    taken = _some_rows(len(scans.data), most=setup.settings.silhouette_scans, seed=setup.settings.seed)
    starts = track(range(0, len(taken), 64), "codes of test scans")
    codes = Codes.cat([codes_of(model, scans.data[taken[start : start + 64]]).to("cpu") for start in starts])
    for factor in ("identity", "expression"):
        values = codes.factor(factor).flatten(1).numpy()
        for name, label in (("person", scans.person[taken]), ("expression", scans.label[taken])):
            known = np.flatnonzero(label != -2)
            metric, owner = f"silhouette_{name}_in_{factor}", scans.person[taken][known]
            scores = metrics.silhouette(values[known], label[known])
            people[metric] = {
                scans.data.subjects[scans.people[k]]: float(scores[owner == k].mean())
                for k in np.unique(owner)
            }
            yield maker.over_scans(metric, scores, owner, reason="one group only")


def _some_rows(count: int, *, most: int, seed: int) -> NDArray[np.int64]:
    """All rows, or ``most`` random ones: distances of all pairs must fit in memory."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng([seed, 584]).permutation(count)[:most])
