"""``mien evaluate --generation``: what models make up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cli.shell import say

if TYPE_CHECKING:
    from mien.data.dataset import FaceDataset
    from mien.evaluation import Report
    from mien.models.base import FaceModel

NAME = "generation"


def judge(
    models: Mapping[str, FaceModel], data: FaceDataset, out: Path | None, profile: str,
    overrides: Mapping[str, Any], **division: Any,
) -> Report:  # fmt: skip
    """The report on generated faces, written to ``out`` with its pictures if there is one.

    Args:
        models: Label -> model.
        data: The whole data set.
        out: Folder for ``generation.md``, ``.csv``, ``.tex``, ``.json`` and PNG files.
        profile: smoke, standard or full.
        overrides: Settings to change.
        division: ``protocol``, ``seed`` and ``part``.
    """
    from mien.evaluation.generation.protocol import evaluate_generation, settings_of
    from mien.figures.generation import generation_figures
    from mien.figures.sheets import save_pictures

    settings = settings_of(profile, overrides)
    report, setup = evaluate_generation(models, data, settings=settings, **division)
    for (factor, kind), found in setup.judges.items():
        say(f"{factor} judge ({kind}): {found if isinstance(found, str) else found.source}")
    if out:
        report.save(out, NAME)
        drawn = save_pictures(out, generation_figures(models, setup.samples), prefix=f"{NAME}_")
        say(f"Written: {out / NAME}.md, .csv, .tex, .json{''.join(f', {path.name}' for path in drawn)}")
    return report
