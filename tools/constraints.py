"""Rewrites constraints.txt from the environment it runs in: the versions that were tested.

Run it with the Python of an environment in which ``make test`` has passed:

    .venv/bin/python tools/constraints.py
"""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path

TARGET = Path(__file__).parent.parent / "constraints.txt"
HEADER = """\
# The versions that Mien was tested with (tools/constraints.py). Use: pip install -c constraints.txt -e .
# Packages that no longer support Python 3.10 are pinned from 3.11 on; 3.10 takes the newest that supports it.
"""
SKIPPED = {"mien", "pip", "setuptools", "wheel"}


def line_of(name: str, version: str, requires: str) -> str:
    """One pin; a build suffix such as +cpu belongs to the machine and is left out."""
    pin = f"{name}=={version.split('+')[0]}"
    return f'{pin}; python_version >= "3.11"' if re.search(r">=\s*3\.1[1-9]", requires) else pin


def main() -> None:
    rows = {
        item.name.lower().replace("_", "-"): line_of(
            item.name.lower().replace("_", "-"), item.version, item.metadata.get("Requires-Python") or ""
        )
        for item in distributions()
    }
    lines = [rows[name] for name in sorted(rows) if name not in SKIPPED]
    TARGET.write_text(HEADER + "\n".join(lines) + "\n")
    print(f"{TARGET.name}: {len(lines)} packages")


if __name__ == "__main__":
    main()
