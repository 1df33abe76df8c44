"""Draws a procedural face beside its geometry image, for docs/models/decoupled_gan.md.

python tools/geometry_picture.py [OUT.png]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from mien.data.sources.procedural.person import Person
from mien.data.sources.procedural.topology import procedural_topology
from mien.figures.geometry import geometry_image_figure

OUT = Path(__file__).parent.parent / "docs" / "images" / "geometry_image.png"


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    face = Person.draw(np.random.default_rng([0, 5])).perform(
        {"mouthSmile_L": 0.8, "mouthSmile_R": 0.8, "jawOpen": 0.3}
    )
    picture = geometry_image_figure(face, procedural_topology())
    picture.save(out, optimize=True)
    print(f"{out}: {picture.width} x {picture.height} pixels")


if __name__ == "__main__":
    main()
