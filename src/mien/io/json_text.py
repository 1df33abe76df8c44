"""JSON of what we compute: arrays and NumPy numbers included, NaN as null."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.io.atomic import write_bytes


def json_ready(value: Any) -> Any:
    """JSON-ready: arrays and NumPy numbers become lists and numbers, NaN becomes null."""
    if isinstance(value, Mapping):
        return {str(key): json_ready(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return json_ready(value.tolist())
    if isinstance(value, (list, tuple, set)):
        return [json_ready(item) for item in value]
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)


def json_text(value: Any, indent: int = 2) -> str:
    """A JSON document."""
    return json.dumps(json_ready(value), indent=indent)


def write_json(path: str | Path, value: Any) -> None:
    """Writes a JSON document as a file."""
    write_bytes(path, (json_text(value, 1) + "\n").encode())
