"""What is known about methods and finished runs: abilities, citations, how a run divided its data."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.apply.abilities import ABILITIES, ability
from mien.errors import BadSetting
from mien.io.atomic import write_bytes
from mien.models.files import model_facts
from mien.models.registry import MODELS, added_methods, model_class
from mien.training.card import write_card
from mien.training.plan import PROFILES, plan_training
from mien.version import __version__

if TYPE_CHECKING:
    from mien.evaluation.report import Report
    from mien.models.base import FaceModel

SYMBOLS = {"native": "●", "derived": "○", "refused": "–"}
SOFTWARE_BIBTEX = f"""@software{{mien,
  author = {{The Mien authors}},
  title = {{Mien: disentangled 3D face models}},
  year = {{2026}},
  version = {{{__version__}}}
}}"""


def capabilities() -> dict[str, dict[str, str]]:
    """Model -> ability -> ``native``, ``derived`` or ``refused``: of Mien and of installed packages."""
    methods = {name: model_class(name) for name in MODELS} | added_methods()[0]
    return {name: abilities(method) for name, method in methods.items()}


def abilities(method: str | type[FaceModel]) -> dict[str, str]:
    """Ability -> ``native``, ``derived`` or ``refused`` of one method."""
    kind = model_class(method)
    return {item: ability(kind, item) for item in ABILITIES}


def capability_table() -> str:
    """The capability table of Mien's own models in Markdown; a test keeps the README's current."""
    head = ["model", *ABILITIES, "reference"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name in MODELS:
        row = abilities(name)
        symbols = [SYMBOLS[row[item]] for item in ABILITIES]
        lines.append("| " + " | ".join([f"[`{name}`](docs/models/{name}.md)", *symbols, source(name)]) + " |")
    return "\n".join(lines)


def source(method: str | type[FaceModel]) -> str:
    """``Gu et al. 2023``: the publication of a method in short."""
    reference = model_class(method).reference
    names = [author.split(",")[0].strip() for author in reference.authors.split(" and ")]
    who = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
    return f"{who} {reference.year}"


def citation(method: str | None = None) -> str:
    """BibTeX of a method's publication, or of Mien itself."""
    return SOFTWARE_BIBTEX if method is None else model_class(method).reference.bibtex


def describe_method(method: str | type[FaceModel]) -> dict[str, Any]:
    """What a method is before any training: arguments, settings by profile, abilities, publication."""
    kind = model_class(method)
    plans = {profile: plan_training(kind, profile=profile) for profile in PROFILES}
    return {
        "model": kind.name,
        "about": " ".join((kind.__doc__ or "").split("\n\n")[0].split()),
        "arguments": dict(plans["standard"].arguments),
        "settings": {profile: dict(plan.settings) for profile, plan in plans.items()},
        "needs_neutrals": kind.needs_neutrals,
        "abilities": abilities(kind),
        "citation": kind.reference.bibtex,
    }


def folder_labels(folders: Sequence[Path]) -> dict[Path, str]:
    """Model folder -> its name, or as much of its path as tells it from the others."""
    names = [folder.resolve().name for folder in folders]
    return {
        folder: name if names.count(name) == 1 else str(folder)
        for folder, name in zip(folders, names, strict=True)
    }


def division_of(
    folders: Sequence[Path], protocol: str | None = None, seed: int | None = None
) -> dict[str, Any]:
    """The ``protocol`` and ``seed`` by which runs divided their data, so that test people are unseen.

    Args:
        folders: Finished runs.
        protocol: Instead of theirs.
        seed: Instead of theirs.
    """
    plans = [model_facts(folder).get("facts", {}).get("plan", {}) for folder in folders]
    used = {(plan.get("protocol", "subject"), plan.get("split_seed", 0)) for plan in plans}
    if len(used) > 1 and (protocol is None or seed is None):
        raise BadSetting(
            "the models were trained on different divisions of the data", received=sorted(used),
            remedy="evaluate them one by one, or choose with --protocol and --seed",
        )  # fmt: skip
    first = min(used, default=("subject", 0))
    return {"protocol": protocol or first[0], "seed": first[1] if seed is None else seed}


def keep_measured(folder: Path, system: str, report: Report, method: type[FaceModel]) -> None:
    """Writes a model's own numbers into its folder as ``metrics.json`` and refreshes the card.

    Args:
        folder: A finished run.
        system: What the report calls it.
        report: Of an evaluation.
        method: The model's class.
    """
    own = {
        row.metric: {"mean": _finite(row.mean), "median": _finite(row.median), "unit": row.unit}
        for row in report.rows
        if row.system == system and row.mean is not None and "/" not in row.metric
    }
    text = json.dumps({"conditions": report.conditions_text, **own}, indent=1)
    write_bytes(folder / "metrics.json", text.encode())
    write_card(folder, method)


def _finite(value: float | None) -> float | None:
    """What JSON can hold of a number."""
    return float(value) if value is not None and math.isfinite(value) else None
