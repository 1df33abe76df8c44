"""A method of your own, learned.

What is learned comes as stages: each says how to draw a batch, what one step does, and which optimizers
there are. The loop is Mien's: devices, precision, checkpoints, logs, exact resume and the choice of the best
weights need no line here. This method is a small autoencoder whose code has a part for who and a part for
what. It is told who is who and nothing else: two scans of one person must have the same first part, so
either can stand in for the other when a face is decoded.

    python examples/08_learned_method.py out
    mien train examples/08_learned_method.py:Swap --data out/faces --out runs/swap --profile smoke
    mien view runs/swap --code examples/08_learned_method.py:Swap
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor, nn

import mien
from mien import Batch, Codes, FaceDataset, FaceModel, Reference, Stage, Topology
from mien.data.sampling import same_subject_pairs, virtual_people
from mien.data.statistics import vertex_statistics
from mien.models.base import Losses


@dataclass(frozen=True)
class Settings:
    """Training settings: ``--set`` and keyword arguments of ``mien.train`` change them by name."""

    steps: int = 20_000
    batch_size: int = 32
    rate: float = 1e-3  #: learning rate
    virtual_people: float = 0.5  #: share of rows whose person is a mixture of others
    swapping: float = 1.0  #: weight of faces decoded with the identity of the other scan
    validate_every: int = 500


class Swap(FaceModel):
    """An autoencoder in which two scans of one person may swap the identity part of their codes.

    Reference: none; a small relative of methods that swap codes.

    Equations, with x and x' two scans of one person, in units of the data's deviation::

        (a, b) = E(x)        (a', b') = E(x')        x^ = D(a, b)
        L = |x - D(a, b)| + swapping |x - D(a', b)|

    Departures: none.

    Args:
        topology: What all faces share.
        expressions: E expression names.
        identity_size: Numbers that say who.
        expression_size: Numbers that say what.
        hidden: Width of the hidden layers.
    """

    name: ClassVar[str] = "swap"
    reference: ClassVar[Reference] = Reference("you2026swap", "You", "Swapped codes", "an example", 2026)
    native: ClassVar[frozenset[str]] = frozenset(("reconstruct", "neutralize", "transfer"))
    needs_neutrals: ClassVar[bool] = False
    Settings: ClassVar[type] = Settings
    # Constructor arguments and settings by profile, over their defaults.
    profiles = {"smoke": {"steps": 400, "validate_every": 100}, "standard": {}, "full": {"steps": 100_000}}
    # What verbs would give and the method is no good for, each with the reason.
    refused = {"recognize": "it was never taught to tell people apart"}

    mean_face: Tensor
    scale: Tensor

    def __init__(
        self, topology: Topology, expressions: tuple[str, ...], identity_size: int = 24,
        expression_size: int = 12, hidden: int = 256,
    ) -> None:  # fmt: skip
        super().__init__(topology, expressions)
        self.sizes = (identity_size, expression_size)
        size = topology.vertex_count * 3
        self.register_buffer("mean_face", torch.zeros(size))
        self.register_buffer("scale", torch.ones(()))
        self.encoder = nn.Sequential(nn.Linear(size, hidden), nn.ELU(), nn.Linear(hidden, sum(self.sizes)))
        self.decoder = nn.Sequential(nn.Linear(sum(self.sizes), hidden), nn.ELU(), nn.Linear(hidden, size))

    def prepare(self, data: FaceDataset) -> None:
        """What precedes training: the mean face and how far coordinates are from it."""
        self.check_data(data)
        mean, variance = vertex_statistics(data)
        self.mean_face.copy_(torch.from_numpy(mean).flatten())
        self.scale.fill_(float(np.sqrt(variance.mean())))

    def stages(
        self, data: FaceDataset, settings: Settings, validation: FaceDataset | None
    ) -> Iterator[Stage]:
        """One stage with one optimizer; a second ``yield`` would be a second phase."""

        def step(batch: Batch, index: int) -> Iterator[tuple[str, Losses]]:
            assert batch.partner is not None
            own, other = self.encode(batch.vertices), self.encode(batch.partner)
            swapped = own.replace(identity=other.identity)
            yield (
                "autoencoder",
                {
                    "reconstruction": self.error(own, batch.vertices),
                    "swapping": settings.swapping * self.error(swapped, batch.vertices),
                },
            )

        # Half of each batch are mixtures of training people, so that few people teach many faces.
        pairs = same_subject_pairs(data, settings.batch_size)
        yield Stage(
            "autoencoder", settings.steps, virtual_people(pairs, data, settings.virtual_people), step,
            modules={"model": self},
            optimizers={"autoencoder": torch.optim.Adam(self.parameters(), settings.rate)},
            rates={"autoencoder": lambda index: 1 - index / settings.steps},
            validate=None if validation is None else partial(validation_error, self, validation),
            validate_every=settings.validate_every,
        )  # fmt: skip

    def error(self, codes: Codes, vertices: Tensor) -> Tensor:
        """Mean absolute difference of decoded codes from faces (B, V, 3), in units of the deviation."""
        return (self.decode(codes) - vertices).abs().mean() / self.scale

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """Both parts of the code.

        Args:
            vertices: (B, V, 3) float, millimeters.
            neutral: Not used.
        """
        code = self.encoder((vertices.flatten(1) - self.mean_face) / self.scale)
        return Codes(*code.split(self.sizes, dim=1))

    def decode(self, codes: Codes) -> Tensor:
        """(B, V, 3) float, millimeters."""
        offset = self.decoder(torch.cat([codes.identity, codes.expression], dim=1))
        return (self.mean_face + self.scale * offset).unflatten(1, (-1, 3))

    def sample(self, count: int, *, generator: Generator | None = None) -> Codes:
        """Codes from normal distributions with mean and covariance of the training codes."""
        return self.calibration.sample(count, generator)


@torch.no_grad()
def validation_error(model: Swap, data: FaceDataset) -> dict[str, float]:
    """Mean vertex distance on unseen people, millimeters: the weights with the lowest are kept."""
    rows = torch.from_numpy(data[:]).to(model.device)
    return {"rec_avd_mesh": float((model.decode(model.encode(rows)) - rows).norm(dim=2).mean())}


if __name__ == "__main__":
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
    data = mien.build_procedural(out / "faces", subjects=20, vertices=300)
    swap = mien.train(Swap, data, out=out / "swap", profile="smoke", progress=False)

    report = mien.evaluate({"swap": swap}, data, controls=("pca",))
    for system in ("swap", "pca"):
        values = [report.value(system, metric) for metric in ("rec_avd_mesh", "neu_avd", "transfer_avd")]
        print(system, "reconstruction {:.2f}, at rest {:.2f}, transfer {:.2f} mm".format(*values))

    # Saved and opened again; a class that the caller gives needs no trust in the folder.
    again = mien.load_model(out / "swap", method=Swap)
    smiling = mien.generate(again, 3, seed=1, weights={"smile": 1.0})
    for number, face in enumerate(smiling):
        mien.write_obj(out / f"smiling_{number}.obj", face, again.topology)
    print(f"{len(smiling)} people who do not exist")
