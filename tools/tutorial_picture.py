"""Draws the picture of the artists' tutorial: one unseen person and shape keys of a rig made for it.

python tools/tutorial_picture.py MODEL_DIR NEUTRAL.obj [OUT.jpg]
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

import mien
from mien.figures import grid
from mien.figures.faces import draw, face_view

OUT = Path(__file__).parent.parent / "docs" / "images" / "tutorial_rig.jpg"
SHOWN = (
    "browInnerUp", "browDownLeft", "eyeBlinkLeft", "eyeWideRight", "jawOpen", "jawLeft", "mouthSmileLeft",
    "mouthFrownRight", "mouthPucker", "mouthFunnel", "cheekPuff",
)  # fmt: skip
COLUMNS = 6


def main() -> None:
    model = mien.load_model(sys.argv[1])
    neutral = mien.open_face(sys.argv[2], model).vertices
    rig = mien.rig(model, neutral)
    target = dict(zip(rig.names, rig.targets, strict=True))
    view = face_view(model.topology)
    faces = [neutral, *(target[name] for name in SHOWN)]
    pictures = [draw(face, model.topology, size=230, view=view) for face in faces]
    names = ["neutral", *SHOWN]
    rows = [
        grid([pictures[start : start + COLUMNS]], column_labels=names[start : start + COLUMNS])
        for start in range(0, len(names), COLUMNS)
    ]
    sheet = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)))
    top = 0
    for row in rows:
        sheet.paste(row, (0, top))
        top += row.height
    out = Path(sys.argv[3]) if len(sys.argv) > 3 else OUT
    sheet.save(out, quality=88, optimize=True)
    print(f"{out}: {sheet.width} x {sheet.height} pixels")


if __name__ == "__main__":
    main()
