"""``mien evaluate --generation``: what models make up."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cli.shell import say

if TYPE_CHECKING:
    from mien.data.dataset import FaceDataset
    from mien.evaluation import Report
    from mien.evaluation.generation.setup import GenerationSetup
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
    from mien.evaluation.generation.protocol import evaluate_generation
    from mien.evaluation.generation.settings import settings_of

    settings = settings_of(profile, overrides)
    report, setup = evaluate_generation(models, data, settings=settings, **division)
    for (factor, kind), found in setup.networks.items():
        say(f"{factor} network ({kind}): {found if isinstance(found, str) else found.source}")
    if out:
        report.save(out, NAME)
        drawn = draw(models, setup, out)
        say(f"Written: {out / NAME}.md, .csv, .tex, .json{''.join(f', {path.name}' for path in drawn)}")
    return report


def draw(models: Mapping[str, FaceModel], setup: GenerationSetup, out: Path) -> list[Path]:
    """Random samples, one factor held, expressions replaced and added, best and worst specificity, as PNG."""
    from mien.figures.generation import manipulation_figure, samples_figure, specificity_figure

    able = {label: model for label, model in models.items() if label in setup.samples}
    if not able:
        return []
    figures = {f"samples_{label}": samples_figure({label: model}) for label, model in able.items()}
    figures |= {
        f"expressions_{label}": manipulation_figure(model, label=label) for label, model in able.items()
    }
    first = next(iter(able.values()))
    figures["specificity"] = specificity_figure(setup.samples, first)
    paths = []
    for name, figure in figures.items():
        path = out / f"{NAME}_{name.replace('/', '-')}.png"
        figure.save(path, optimize=True)
        paths.append(path)
    return paths
