"""Writes the capability table of the README from the code; ``--check`` fails when it is not current.

python tools/readme_tables.py [--check]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mien import hub

README = Path(__file__).parent.parent / "README.md"
PLACE = re.compile(r"(<!-- capabilities:[^>]*-->\n).*?(<!-- end -->)", re.DOTALL)


def current(text: str) -> str:
    """The README with the table as the code has it."""
    return PLACE.sub(lambda match: f"{match[1]}{hub.capability_table()}\n{match[2]}", text, count=1)


def main() -> int:
    text = README.read_text(encoding="utf-8")
    wanted = current(text)
    if "--check" in sys.argv:
        return int(text != wanted)
    README.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
