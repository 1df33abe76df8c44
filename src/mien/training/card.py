"""The card of a model folder: a YAML head and a readable page, written from recorded facts alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.apply.abilities import ABILITIES, ability
from mien.errors import DataMissing
from mien.io.atomic import write_bytes
from mien.models.base import FaceModel
from mien.models.files import class_of_folder, model_facts

LIMITS = """\
## Intended use and limits

Shapes of faces for research, art and engineering. The model knows the people and expressions of its data and
no others; measure it on yours (`mien evaluate`) before relying on it. It must not be used to identify people
or to infer what they feel.
"""


def describe(
    folder: Path | str, method: str | type[FaceModel] | None = None, *, trust_code: bool = False
) -> dict[str, Any]:
    """The facts of a model folder, without loading its weights.

    Args:
        folder: A finished run.
        method: The model's class, as for :func:`mien.load_model`.
        trust_code: As there.
    """
    folder = Path(folder)
    config, cls = model_facts(folder), class_of_folder(folder, method=method, trust_code=trust_code)
    metrics = folder / "metrics.json"
    return {
        "model": config["model"],
        "expressions": config["expressions"],
        "settings": config["config"],
        "topology": config["topology"][:16],
        "size": f"{(folder / 'model.safetensors').stat().st_size / 1e6:.1f} MB",
        "abilities": {item: ability(cls, item) for item in ABILITIES},
        "facts": config.get("facts", {}),
        "metrics": json.loads(metrics.read_text(encoding="utf-8")) if metrics.is_file() else {},
        "citation": cls.reference.bibtex,
    }


def card_text(known: Mapping[str, Any]) -> str:
    """The model card of what :func:`describe` tells of a folder."""
    facts: Mapping[str, Any] = known["facts"]
    data: Mapping[str, Any] = facts.get("data", {})
    versions: Mapping[str, Any] = facts.get("versions", {})
    sections = [
        _card_head(known, data),
        f"# {known['model']} on {data.get('source', 'unknown data')}\n",
        f"Made with Mien {versions.get('mien', '(version unknown)')}; millimeters in and out.\n",
        _section("Data", data),
        _section("Training", _training(facts)),
        _section("Measured", known["metrics"]),
        _section("Abilities", known["abilities"]),
        "## Expressions\n\n" + ", ".join(f"`{name}`" for name in known["expressions"]) + "\n",
        LIMITS,
        f"## Citation\n\n```bibtex\n{known['citation']}\n```\n",
    ]
    return "\n".join(section for section in sections if section)


def _training(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Plan, machine and versions as one flat table."""
    plan = dict(facts.get("plan", {}))
    flat = {**plan.pop("arguments", {}), **plan.pop("settings", {})}
    told = {key: value for key, value in facts.items() if key not in ("data", "plan", "machine", "versions")}
    return {**plan, **told, **facts.get("machine", {}), **facts.get("versions", {}), **flat}


def write_card(folder: Path | str, method: type[FaceModel] | None = None) -> Path:
    """Writes ``README.md``, the model card, into a model folder.

    Args:
        folder: A finished run.
        method: The model's class, if the folder alone may not lead to it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataMissing("the model folder does not exist", received=str(folder))
    path = folder / "README.md"
    write_bytes(path, card_text(describe(folder, method)).encode())
    return path


def _card_head(known: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    import yaml

    head = {
        "library_name": "mien",
        "tags": ["3d-face", "mesh", known["model"]],
        "datasets": [data.get("source", "unknown")],
    } | _license(str(data.get("license") or "see the license of the data"))
    return f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n"


def _license(text: str) -> dict[str, str]:
    """The license of the data as hubs of models read it: an identifier, or ``other`` and its name."""
    if re.match(r"MIT\b", text):
        return {"license": "mit"}
    return {"license": "other", "license_name": text}


def _section(title: str, values: Mapping[str, Any]) -> str:
    lines = [f"| {key} | {_cell(value)} |" for key, value in values.items()]
    return f"## {title}\n\n| what | value |\n|---|---|\n" + "\n".join(lines) + "\n" if lines else ""


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if value is None or value == "":
        return "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_cell(item)}" for key, item in value.items())
    return str(value).replace("|", "/").replace("\n", " ")
