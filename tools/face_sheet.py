"""Draws the sheets of README and pages: eight people of a source, at rest and with seven expressions.

python tools/face_sheet.py makehuman|procedural [OUT]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from mien.data.sources.makehuman.build import build_makehuman
from mien.data.sources.procedural.build import build_procedural
from mien.figures import expression_sheet

IMAGES = Path(__file__).parent.parent / "docs" / "images"
SHOWN = {
    "makehuman": (
        "neutral", "smile", "mouth_stretch", "eye_closed", "brow_raiser", "lip_puckerer", "anger", "sadness",
    ),
    "procedural": (
        "neutral", "smile", "mouth_stretch", "anger", "sadness", "lip_puckerer", "grin", "eye_closed",
    ),
}  # fmt: skip
FILES = {"makehuman": "makehuman_sheet.jpg", "procedural": "procedural_sheet.png"}


def main() -> None:
    source = sys.argv[1] if len(sys.argv) > 1 else ""
    if source not in SHOWN:
        raise SystemExit(__doc__)
    out = Path(sys.argv[2]) if len(sys.argv) > 2 else IMAGES / FILES[source]
    with tempfile.TemporaryDirectory() as folder:
        if source == "makehuman":
            data = build_makehuman(Path(folder) / "faces", subjects=8, seed=0, textures=512)
        else:
            data = build_procedural(Path(folder) / "faces", subjects=8, seed=0)
        sheet = expression_sheet(data, people=8, expressions=SHOWN[source], size=200)
    out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(out, optimize=True, quality=88)
    print(f"{out}: {sheet.width} x {sheet.height} pixels")


if __name__ == "__main__":
    main()
