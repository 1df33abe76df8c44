"""One model on the generation metrics, test by test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from mien.errors import MienError
from mien.evaluation.generation.decoupling import decoupling_rows
from mien.evaluation.generation.diversity import diversity_rows
from mien.evaluation.generation.expressions import expression_rows
from mien.evaluation.generation.landmarks import landmark_rows
from mien.evaluation.generation.setup import GenerationSetup
from mien.evaluation.generation.silhouettes import silhouette_rows
from mien.evaluation.rows import Row, RowMaker
from mien.evaluation.systems import SystemResult, system_facts
from mien.models.base import FaceModel

Test = Callable[[RowMaker, FaceModel, GenerationSetup, dict[str, dict[str, float]]], Iterator[Row]]
"""Makes the rows of one test; fills the last argument with values by metric and drawn face, for claims."""

TESTS: tuple[tuple[str, str, Test], ...] = (
    ("diversity", "div_all", diversity_rows),
    ("decoupling", "dec_id", decoupling_rows),
    ("control", "cls_id_held", expression_rows),
    ("landmarks", "sparse_rmse_0", landmark_rows),
    ("silhouettes", "silhouette_person_in_identity", silhouette_rows),
)
"""Name of the test, the metric that is a dash if it is refused, and the test."""


def measure_model(maker: RowMaker, model: FaceModel, setup: GenerationSetup) -> SystemResult:
    """All rows of one model. What one test refuses does not stop the next."""
    found, spent = SystemResult(maker.system, []), dict[str, float]()
    for name, metric, test in TESTS:
        began = time.process_time()
        try:
            found.rows.extend(test(maker, model, setup, found.people))
        except MienError as error:
            found.rows.append(maker.absent(metric, error.cause))
        spent[f"{name}_seconds"] = round(time.process_time() - began, 1)
    found.facts = system_facts(model) | {"cost": spent}
    return found
