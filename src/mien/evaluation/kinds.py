"""Faces or clips: which evaluation a data set asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.data.dataset import FaceDataset
from mien.errors import BadSetting
from mien.evaluation.faces.protocol import CONTROLS, evaluate
from mien.evaluation.motion.protocol import evaluate_sequences
from mien.evaluation.reading.shapes import Reader
from mien.evaluation.report import Report
from mien.models.base import FaceModel


def evaluate_by_kind(
    models: Mapping[str, FaceModel], data: FaceDataset, *, part: str = "test", controls: bool = True,
    protocol: str = "subject", seed: int = 0, predictions: Mapping[str, Path | str] | None = None,
    truth: bool | None = None, judge: Reader | None = None,
) -> Report:  # fmt: skip
    """Evaluates models on clips as motion, and on single scans as faces.

    Args:
        models: Label -> model.
        data: The whole data set.
        part: Which part is tested.
        controls: Add the cheap controls.
        protocol: How the set is divided.
        seed: Of the division.
        predictions: Label -> file of what another program predicted for single scans.
        truth: Compare faces with what stood before the scanner, too; None: where the set keeps it.
        judge: Reads expressions off pictures of single faces, too.

    Raises:
        BadSetting: There is nothing to evaluate; or there are clips, and predictions, a judge of single
            faces, or truth is asked for (their frames share one noise with the neutral that is given).
    """
    if not models and not predictions:
        raise BadSetting("there is nothing to evaluate", remedy="give a model's folder or --predictions")
    if (data.row_clip >= 0).any():
        if predictions:
            raise BadSetting(
                "predictions are judged on single scans, and this data set has clips",
                received=", ".join(map(str, predictions.values())), remedy="use a data set of single scans",
            )  # fmt: skip
        if judge is not None:
            raise BadSetting("outside judges look at single faces, and this data set has clips",
                             remedy="leave out --judges, or build single scans")  # fmt: skip
        if truth:
            raise BadSetting(
                "clips are compared with their recordings only: frames and given neutral share one noise",
                received="truth", remedy="leave it out, or build single scans",
            )  # fmt: skip
        return evaluate_sequences(models, data, part=part, controls=controls, protocol=protocol, seed=seed)
    chosen = CONTROLS if controls else ()
    options: dict[str, Any] = {"part": part, "protocol": protocol, "seed": seed}
    return evaluate(
        models, data, controls=chosen, predictions=predictions, truth=truth, judge=judge, **options
    )
