"""From a neutral head to a rig.

An artist brings one neutral head. It may have any topology, be in meters, with Z up, with quads and
texture coordinates. open_face opens it for a model: a mesh with the model's vertices is taken as it is,
any other is registered, so that results can be carried back to its own vertices. What was decided about
unit and axes, and how well the registration fits, is in its notes.

The rig is a base mesh plus one target for each named expression, made for this very person. The file
keeps the artist's vertices, order, polygons, texture coordinates and materials; a GLB keeps the names in
extras.targetNames, where Blender, Unity and three.js look for them.

    python examples/02_rig_a_head.py out
"""

import sys
from pathlib import Path

import mien

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
data = mien.build_procedural(out / "faces", subjects=12, vertices=800)
model = mien.train("morphable", data, out=out / "model")

# A head from elsewhere: of a person the model has never seen, with six times as many vertices, from a
# program that thinks in meters with Z up.
mien.build_procedural(out / "elsewhere", subjects=3, seed=9)
mesh = mien.read_mesh(next((out / "elsewhere" / "examples").glob("*_neutral.obj")))
mien.write_obj(out / "head.obj", mesh.vertices[:, [0, 2, 1]] * (0.001, -0.001, 0.001), mesh)

# The same three lines, whatever the head is. `mien rig` writes the same bytes.
face = mien.open_face(out / "head.obj", model)
rig = mien.rig(model, face.vertices)
face.write_rig(out / "rig.glb", rig)

print(*face.notes, sep="\n")
print(f"{len(rig.names)} targets; sums of them are {rig.linearity_mm:.2f} mm off what the model says")

# Weights move the rig as they would in an engine, and a pose goes back to the artist's own mesh.
winking = rig.apply({"eye_closed": 1.0, "smile": 0.5})
print(f"the farthest vertex moves by {abs(winking - rig.base).max():.1f} mm")
face.write(out / "winking.obj", winking)
print(f"written: {out / 'rig.glb'} and {out / 'winking.obj'}, both with the head's own vertices")
