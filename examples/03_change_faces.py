"""Change faces.

Three things that people do with a disentangled model. Take the expression off a scan and keep the
person. Put the expression of one person onto another. Walk from one face to another, in who they are,
in what they do, or both.

All of it works for every model, or is refused with the reason: transferring displacements, for example,
needs to be told how the performer looks at rest.

    python examples/03_change_faces.py out
"""

import sys
from pathlib import Path

import numpy as np

import mien

out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
data = mien.build_procedural(out / "faces", subjects=12, vertices=800)
model = mien.train("morphable", data, out=out / "model")

# People of the test part were not in the training data.
unseen = data.split("test")
smile = unseen[int(np.flatnonzero(unseen.label == data.expressions.index("smile"))[0])]
rest = unseen[int(np.flatnonzero(unseen.is_neutral)[0])]

neutral = mien.neutralize(model, smile)
print(f"neutralized: {np.linalg.norm(neutral - rest, axis=1).mean():.2f} mm from the person's true rest")

# Somebody else of the training people smiles in their place.
performer = data.split("train")
other = performer[int(np.flatnonzero(performer.label == data.expressions.index("smile"))[0])]
moved = mien.transfer(model, expression=other, onto=rest)
print(f"transferred: {np.linalg.norm(moved - smile, axis=1).mean():.2f} mm from their own smile")

walk = mien.interpolate(model, rest, other, steps=5, factor="identity")
for step, face in enumerate(walk):
    mien.write_obj(out / "walk" / f"step_{step}.obj", face, model.topology)

# A method that builds on the neutral mesh says so instead of guessing.
anchored = mien.train("deformation_transfer", data, out=out / "deformation_transfer")
try:
    mien.neutralize(anchored, smile)
except mien.MienError as error:
    print(f"refused: {error}")
