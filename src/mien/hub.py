"""What is known about models: capabilities, facts of a model folder, the model card, citations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien import __version__
from mien.apply import ABILITIES, ability
from mien.errors import DataMissing
from mien.models import MODELS, model_class

SYMBOLS = {"native": "●", "derived": "○", "refused": "–"}
SOFTWARE_BIBTEX = f"""@software{{mien,
  author = {{The Mien authors}},
  title = {{Mien: disentangled 3D face models}},
  year = {{2026}},
  version = {{{__version__}}}
}}"""

LIMITS = """\
## Intended use and limits

Shapes of faces for research, art and engineering. The model knows the people and expressions of its data and
no others; measure it on yours (`mien evaluate`) before relying on it. It must not be used to identify people
or to infer what they feel.
"""


def capabilities() -> dict[str, dict[str, str]]:
    """Model -> ability -> ``native``, ``derived`` or ``refused``."""
    return {
        name: {item: ability(cls, item) for item in ABILITIES}
        for name, cls in ((name, model_class(name)) for name in MODELS)
    }


def capability_table() -> str:
    """The capability table in Markdown; the README holds it and a test keeps it current."""
    head = ["model", *ABILITIES, "reference"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, row in capabilities().items():
        symbols = [SYMBOLS[row[item]] for item in ABILITIES]
        lines.append("| " + " | ".join([f"[`{name}`](docs/models/{name}.md)", *symbols, source(name)]) + " |")
    return "\n".join(lines)


def source(name: str) -> str:
    """``Gu et al. 2023``: the publication of a model in short."""
    reference = model_class(name).reference
    names = [author.split(",")[0].strip() for author in reference.authors.split(" and ")]
    who = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
    return f"{who} {reference.year}"


def citation(name: str | None = None) -> str:
    """BibTeX of a model's publication, or of Mien itself."""
    return SOFTWARE_BIBTEX if name is None else model_class(name).reference.bibtex


def describe(folder: Path | str) -> dict[str, Any]:
    """The facts of a model folder, without loading its weights."""
    from mien.models.files import model_facts

    folder = Path(folder)
    config = model_facts(folder)
    cls = model_class(config["model"])
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


def model_card(folder: Path | str) -> str:
    """The model card, written from recorded facts alone: a YAML head and a readable page."""
    known = describe(folder)
    facts: Mapping[str, Any] = known["facts"]
    data: Mapping[str, Any] = facts.get("data", {})
    versions: Mapping[str, Any] = facts.get("versions", {})
    sections = [
        _card_head(known, data),
        f"# {known['model']} on {data.get('source', 'unknown data')}\n",
        f"Made with Mien {versions.get('mien', __version__)}; millimeters in and out.\n",
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


def write_card(folder: Path | str) -> Path:
    """Writes ``README.md``, the model card, into a model folder."""
    from mien.io.atomic import write_bytes

    folder = Path(folder)
    if not folder.is_dir():
        raise DataMissing("the model folder does not exist", received=str(folder))
    path = folder / "README.md"
    write_bytes(path, model_card(folder).encode())
    return path


def _card_head(known: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    import yaml

    head = {
        "library_name": "mien",
        "tags": ["3d-face", "mesh", known["model"]],
        "datasets": [data.get("source", "unknown")],
        "license": data.get("license") or "see the license of the data",
    }
    return f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n"


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
