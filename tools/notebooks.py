"""Writes ``notebooks/*.ipynb`` from the scripts beside them, whose cells begin with ``# %%``.

The scripts are what is read, reviewed and changed; the notebooks follow from them to the byte.

    python tools/notebooks.py            # write
    python tools/notebooks.py --check    # exit code 1 if one is not current
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "notebooks"


def cells(script: str) -> list[tuple[str, str]]:
    """(kind, text) of every cell; the text of a Markdown cell without its comment signs."""
    found = []
    for head, body in re.findall(r"^# %%([^\n]*)\n(.*?)(?=^# %%|\Z)", script, re.MULTILINE | re.DOTALL):
        text = body.strip("\n")
        if "[markdown]" in head:
            text = "\n".join(line.removeprefix("#").removeprefix(" ") for line in text.splitlines())
            found.append(("markdown", text))
        else:
            found.append(("code", text))
    return found


def notebook(script: str) -> str:
    """The notebook's JSON, without outputs."""
    items: list[dict[str, Any]] = []
    for number, (kind, text) in enumerate(cells(script)):
        cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{number:02d}", "metadata": {}}
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        items.append(cell | {"source": text.splitlines(keepends=True)})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    document = {"cells": items, "metadata": about, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    stale = []
    for path in sorted(FOLDER.glob("*.py")):
        made, target = notebook(path.read_text(encoding="utf-8")), path.with_suffix(".ipynb")
        if not target.is_file() or target.read_text(encoding="utf-8") != made:
            stale.append(target.name)
            if "--check" not in sys.argv:
                target.write_text(made, encoding="utf-8")
    print("not current: " + ", ".join(stale) if stale else "all current")
    return int(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
