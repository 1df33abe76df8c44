"""The papers' figures of the kind of evaluation that was made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mien.data.dataset import FaceDataset
from mien.evaluation import Report
from mien.figures.paper_faces import draw_pictures
from mien.figures.paper_motion import draw_motion
from mien.models.base import FaceModel


def draw_evaluation(
    models: Mapping[str, FaceModel], data: FaceDataset, report: Report, folder: Path, *, seed: int
) -> list[Path]:
    """Draws every figure that the models can fill, of scans or of clips, and returns the files.

    Args:
        models: Name -> model.
        data: Scans or clips of unseen people.
        report: Their evaluation.
        folder: Where the files go.
        seed: Of the choice of people.
    """
    if report.conditions.get("kind") == "sequences":
        return draw_motion(models, data, report, folder, seed=seed)
    return draw_pictures(models, data, folder, seed=seed)
