"""What is evaluated: models by their labels, facts about them, and what was found of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mien.evaluation.rows import Row
from mien.models.base import FaceModel

Models = Mapping[str, FaceModel] | Sequence[FaceModel]


@dataclass
class SystemResult:
    """What was found of one system.

    Args:
        system: Its label.
        rows: One number each.
        scans: Metric -> one value a test scan, None where it was not measured.
        people: Metric -> person -> value.
        facts: What the system is.
    """

    system: str
    rows: list[Row]
    scans: dict[str, list[float | None]] = field(default_factory=dict)
    people: dict[str, dict[str, float]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


def labeled(models: Models) -> dict[str, FaceModel]:
    """Models by their labels; a plain list is labeled by method names, numbered where one comes twice."""
    if isinstance(models, Mapping):
        return dict(models)
    names = [model.name for model in models]
    return {
        name if names.count(name) == 1 else f"{name} {names[: k + 1].count(name)}": model
        for k, (name, model) in enumerate(zip(names, models))
    }


def system_facts(model: FaceModel) -> dict[str, Any]:
    """Method, sizes of its codes, what it needs, and how it was made."""
    mesh = 3 * model.topology.vertex_count
    identity, expression = (str(size) if size < mesh else "mesh" for size in _code_sizes(model))
    return {
        "method": model.name,
        "latent": f"{'neutral given' if model.anchored else identity} + {expression}",
        "anchored": model.anchored,
        "needs_neutrals": model.needs_neutrals,
        "config": model.config,
    }


def code_size(model: FaceModel) -> int:
    """How many numbers both codes have; 0 for models whose codes are meshes."""
    sizes = _code_sizes(model)
    return 0 if model.anchored or max(sizes) >= 3 * model.topology.vertex_count else sum(sizes)


def _code_sizes(model: FaceModel) -> tuple[int, int]:
    return model.calibration.identity_mean.numel(), model.calibration.expression_mean.numel()
