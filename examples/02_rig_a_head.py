"""From a neutral head to a rig.

An artist brings one neutral mesh. It may be in meters, with Z up, with quads and texture coordinates;
what counts is that it has the topology of the model. The door for faces, read_face, compares it with
the template and says what it decided. The rig is a base mesh plus one target for each named expression,
made for this very person; its rest pose is the input.

A GLB keeps the names in extras.targetNames, where Blender, Unity and three.js look for them.

    python examples/02_rig_a_head.py out
"""

import sys
from pathlib import Path

import mien

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
data = mien.build_procedural(out / "faces", subjects=12, vertices=800)
model = mien.train("morphable", data, out=out / "model")

# Pretend that the head comes from a program that thinks in meters: a thousandth of the numbers.
example = next((out / "faces" / "examples").glob("*_neutral.obj"))
mesh = mien.read_mesh(example)
mien.write_obj(out / "head.obj", mesh.vertices / 1000, mesh)

neutral, decision = mien.read_face(out / "head.obj", model.topology)
print(decision.sentence)

rig = mien.rig(model, neutral)
print(f"{len(rig.names)} targets; sums of them are {rig.linearity_mm:.2f} mm off what the model says")

# Weights move the rig as they would in an engine.
winking = rig.apply({"eye_closed": 1.0, "smile": 0.5})
print(f"the furthest vertex moves by {abs(winking - rig.base).max():.1f} mm")

mien.write_glb(out / "rig.glb", rig.base, model.topology, rig.targets, rig.names)
print(f"written: {out / 'rig.glb'}")
