"""Faces or clips: which evaluation a data set asks for."""

from __future__ import annotations

from collections.abc import Mapping

from mien.data.dataset import FaceDataset
from mien.errors import BadSetting
from mien.evaluation.faces.protocol import CONTROLS, evaluate
from mien.evaluation.motion.protocol import evaluate_sequences
from mien.evaluation.report import Report
from mien.models.base import FaceModel


def evaluate_by_kind(
    models: Mapping[str, FaceModel], data: FaceDataset, *, part: str = "test", controls: bool = True,
    protocol: str = "subject", seed: int = 0, truth: bool | None = None,
) -> Report:  # fmt: skip
    """Evaluates models on clips as motion, and on single scans as faces.

    Args:
        models: Label -> model.
        data: The whole data set.
        part: Which part is tested.
        controls: Add the cheap controls.
        protocol: How the set is divided.
        seed: Of the division.
        truth: Compare faces with what stood before the scanner, too; None: where the set keeps it.

    Raises:
        BadSetting: Truth is asked for of clips, whose frames share one noise with the neutral that is given.
    """
    if (data.row_clip >= 0).any():
        if truth:
            raise BadSetting(
                "clips are compared with their recordings only: frames and given neutral share one noise",
                received="truth", remedy="leave it out, or build single scans",
            )  # fmt: skip
        return evaluate_sequences(models, data, part=part, controls=controls, protocol=protocol, seed=seed)
    chosen = CONTROLS if controls else ()
    return evaluate(models, data, part=part, controls=chosen, protocol=protocol, seed=seed, truth=truth)
