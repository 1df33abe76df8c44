"""Draws the sheet of the README: eight procedural people, at rest and with seven expressions.

python tools/face_sheet.py [OUT.png]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from mien.data.sources.procedural.build import build_procedural
from mien.figures import expression_sheet

OUT = Path(__file__).parent.parent / "docs" / "images" / "procedural_sheet.png"
SHOWN = ("neutral", "smile", "mouth_stretch", "anger", "sadness", "lip_puckerer", "grin", "eye_closed")


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    with tempfile.TemporaryDirectory() as folder:
        data = build_procedural(Path(folder) / "faces", subjects=8, seed=0)
        sheet = expression_sheet(data, people=8, expressions=SHOWN, size=200)
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out, optimize=True)
    print(f"{out}: {sheet.width} x {sheet.height} pixels")


if __name__ == "__main__":
    main()
