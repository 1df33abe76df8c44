"""New people.

A model needs faces to learn from. The embedded source makes them from published measurements of human
heads, so this runs on a machine that has nothing but Mien. The model here is the classic: a mean face,
principal axes of people, principal axes of expressions. It is trained in closed form, which takes a
moment.

Asking for people is one call. Named weights say what they do: none means that everybody is at rest, and
the same seed always gives the same people.

    python examples/01_new_people.py out
"""

import sys
from pathlib import Path

import mien

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")

# Twelve people, each at rest and with nineteen expressions. Fewer vertices keep the example quick.
data = mien.build_procedural(out / "faces", subjects=12, vertices=800)
print(f"{len(data)} faces of {len(data.subjects)} people; expressions: {', '.join(data.expressions[:5])} ...")

# A finished run is a folder that load_model opens again.
model = mien.train("morphable", data, out=out / "model")

at_rest = mien.generate(model, 4, seed=7, weights={})
smiling = mien.generate(model, 4, seed=7, weights={"smile": 0.8, "brow_raiser": 0.3})
print(f"arrays of {smiling.shape}, millimeters")

for number, face in enumerate(smiling):
    mien.write_obj(out / f"smiling_{number}.obj", face, model.topology)
print(f"the smile moves the first of them by up to {abs(smiling[0] - at_rest[0]).max():.1f} mm")
