"""Animate a face.

Motion is the same array as a pose with a time axis: (T, E) weights of named expressions. The helper
curves shapes them: the face leaves neutral at onset, is complete at apex and neutral again at offset,
without a jump in speed or acceleration. Any curves will do, from a spreadsheet or a face tracker.

A clip is written as a GLB whose morph targets are animated, or as OBJ frames.

    python examples/04_animate.py out
"""

import sys
from pathlib import Path

import numpy as np

import mien

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
data = mien.build_procedural(out / "faces", subjects=12, vertices=800)
model = mien.train("mean_expression", data, out=out / "model")
face = mien.open_face(next((out / "faces" / "examples").glob("*_neutral.obj")), model)

# A smile that fades while the brows go up.
smile = mien.curves(model.expressions, {"smile": 1.0}, onset=0.1, apex=0.5, offset=1.2, fps=30, duration=1.6)
brows = mien.curves(
    model.expressions, {"brow_raiser": 0.7}, onset=0.6, apex=1.0, offset=1.5, fps=30, duration=1.6
)
weights = smile + brows

frames = mien.animate(model, face.vertices, weights)
speed = np.linalg.norm(np.diff(frames, axis=0), axis=2).mean(axis=1) * 30
print(f"{len(frames)} frames; mean speed up to {speed.max():.0f} mm a second")

face.write_rig(out / "clip.glb", mien.rig(model, face.vertices), clip=weights, fps=30)
face.write_frames(out / "frames", frames[::6], "clip")
print(f"written: {out / 'clip.glb'} and every sixth frame as OBJ")
