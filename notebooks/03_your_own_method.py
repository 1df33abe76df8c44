# %% [markdown]
# # Your own method
#
# A method is a class with four verbs. This one is deliberately plain: the identity code is the mean of a person's face in a
# small basis, the expression code what is left. Once it speaks the verbs, tables, rigs and clips work for it.

# %%
import tempfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

import mien
from mien import Codes
from mien.evaluation import evaluate
from mien.models.base import FaceModel, Reference

folder = Path(tempfile.mkdtemp())
data = mien.build_procedural(folder / "faces", subjects=16, vertices=400)


# %% [markdown]
# `config` is the constructor call, so plain arguments only. What training measures goes into buffers: it is saved with the model.


# %%
class TwoBases(FaceModel):
    """Neutrals in one basis, offsets from them in another; an expressive face is split by least squares."""

    name = "two_bases"
    reference = Reference("you2026", "You", "Two bases", "a notebook", 2026)
    native: ClassVar[frozenset[str]] = frozenset(("reconstruct", "neutralize", "transfer"))

    def __init__(self, topology, expressions, people: int = 8, offsets: int = 8) -> None:
        super().__init__(topology, expressions)
        self.sizes = (people, offsets)
        flat = topology.vertex_count * 3
        self.register_buffer("mean", torch.zeros(flat))
        self.register_buffer("axes", torch.zeros(people + offsets, flat))

    def prepare(self, data) -> None:
        """Closed form: principal axes of the neutrals and of the offsets from them."""
        faces = torch.from_numpy(data[:]).flatten(1)
        neutrals = torch.from_numpy(data.neutral_of(np.arange(len(data)))).flatten(1)
        self.mean = neutrals.mean(0)
        who = torch.pca_lowrank(neutrals - self.mean, self.sizes[0], center=False)[2]
        what = torch.pca_lowrank(faces - neutrals, self.sizes[1], center=False)[2]
        self.axes = torch.cat([who, what], dim=1).T.contiguous()

    def encode(self, vertices, *, neutral=None) -> Codes:
        joint = torch.linalg.lstsq(self.axes.T, (vertices.flatten(1) - self.mean).T).solution.T
        return Codes(*joint.split(self.sizes, dim=1))

    def decode(self, codes) -> torch.Tensor:
        joint = torch.cat([codes.identity, codes.expression], dim=1)
        return (self.mean + joint @ self.axes).unflatten(1, (-1, 3))

    def sample(self, count, *, generator=None) -> Codes:
        return self.calibration.sample(count, generator)


# %% [markdown]
# Three lines of training, as it is closed form. A learned method yields `Stage`s from `stages` and is trained by the one loop.

# %%
torch.manual_seed(0)
model = TwoBases(data.topology, data.expressions)
with torch.no_grad():
    model.prepare(data.split("train"))
    model.calibrate(data.split("train"))
model.eval()

# %%
report = evaluate({"two bases": model}, data, controls=("morphable", "mean_expression"))
for metric in ("rec_avd_mesh", "neu_avd", "transfer_avd"):
    print(metric, {name: round(report.value(name, metric), 2) for name in ("two bases", "morphable")})

# %% [markdown]
# Everything else is there already, or refused with a reason.

# %%
person = data.split("test").neutral_of([0])[0]
rig = mien.rig(model, person)
print(len(rig.names), "targets for an unseen person")
try:
    model.restyle(model.origin(1), model.origin(1))
except mien.MienError as error:
    print("refused:", error)

# %% [markdown]
# To make it a model of Mien: a file in `src/mien/models`, a line in `MODELS`, a recipe and a page. The contract tests then run every
# verb on it; see [contributing](../CONTRIBUTING.md).
