# %% [markdown]
# # Your own method
#
# A method is a class with four verbs. This one is deliberately plain: the identity code is the mean of a person's face in a
# small basis, the expression code what is left. Once it speaks the verbs, tables, rigs and clips work for it.

# %%
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

import mien
from mien import Codes, FaceModel, Reference, Stage
from mien.data.sampling import faces

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
# `mien.train` takes the class itself. It divides the data, prepares, trains, calibrates (rest code, offsets of expressions, spreads)
# and leaves a model folder with its card. Settings are constructor arguments by name.

# %%
model = mien.train(TwoBases, data, out=folder / "two_bases", people=8, offsets=8)
report = mien.evaluate({"two bases": model}, data, controls=("morphable", "mean_expression"))
for metric in ("rec_avd_mesh", "neu_avd", "transfer_avd"):
    print(metric, {name: round(report.value(name, metric), 2) for name in ("two bases", "morphable")})

# %% [markdown]
# ## A learned method
#
# What is learned comes as stages. A stage says how to draw a batch, what one step does, and which optimizers there are; devices,
# checkpoints, resume, logs and the choice of the best weights are the loop's. Here the bases above are only the start: both parts of the
# code get a small network that bends what the bases add up.


# %%
@dataclass(frozen=True)
class Settings:
    steps: int = 2000
    batch_size: int = 32
    rate: float = 1e-3
    validate_every: int = 50


class BentBases(TwoBases):
    """Two bases and a network that corrects their sum."""

    name = "bent_bases"
    Settings = Settings
    profiles: ClassVar[dict] = {"smoke": {"steps": 200}, "standard": {}, "full": {"steps": 20_000}}

    def __init__(self, topology, expressions, people: int = 8, offsets: int = 8, hidden: int = 64) -> None:
        super().__init__(topology, expressions, people, offsets)
        flat = topology.vertex_count * 3
        self.bend = torch.nn.Sequential(
            torch.nn.Linear(people + offsets, hidden), torch.nn.ELU(), torch.nn.Linear(hidden, flat)
        )
        torch.nn.init.zeros_(self.bend[2].weight)  # training starts from the bases alone
        torch.nn.init.zeros_(self.bend[2].bias)

    def decode(self, codes) -> torch.Tensor:
        joint = torch.cat([codes.identity, codes.expression], dim=1) / self.mean.numel() ** 0.5
        return super().decode(codes) + self.bend(joint).unflatten(1, (-1, 3))

    def stages(self, data, settings, validation):
        """One stage: mean distance of decoded faces from scans."""

        def step(batch, index):
            error = self.decode(self.encode(batch.vertices)) - batch.vertices
            yield "network", {"reconstruction": error.norm(dim=2).mean()}

        @torch.no_grad()
        def validate() -> dict[str, float]:
            scans = torch.from_numpy(validation[:]).to(self.device)
            return {"rec_avd_mesh": float((self.decode(self.encode(scans)) - scans).norm(dim=2).mean())}

        yield Stage(
            "network", settings.steps, faces(data, settings.batch_size), step, modules={"model": self},
            optimizers={"network": torch.optim.Adam(self.bend.parameters(), settings.rate)},
            validate=validate, validate_every=settings.validate_every,
        )  # fmt: skip


bent = mien.train(BentBases, data, out=folder / "bent_bases", profile="smoke", seed=1, progress=False)
for line in (folder / "bent_bases" / "metrics.jsonl").read_text().splitlines():
    if '"validation"' in line:
        print(line)

# %% [markdown]
# The folder holds numbers and facts, no code. Whoever opens it gives the class; one that lies in a file may also be trusted:
# `mien.load_model(folder, trust_code=True)`.

# %%
again = mien.load_model(folder / "bent_bases", method=BentBases)
people = mien.generate(again, 3, seed=5, weights={"smile": 1.0})
print(
    "equal after loading:",
    bool(np.array_equal(people, mien.generate(bent, 3, seed=5, weights={"smile": 1.0}))),
)
try:
    mien.load_model(folder / "bent_bases")
except mien.MienError as error:
    print("refused:", error)

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
# In a file, the same class works from the command line: `mien train ./my_method.py:BentBases --data faces --out runs/mine`, then `evaluate`,
# `view`, `rig` and `export` with `--code ./my_method.py:BentBases`. To make it a model of Mien, see [contributing](../CONTRIBUTING.md).
