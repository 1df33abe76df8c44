"""The neutralizing CoMA: an autoencoder of Chebyshev convolutions whose target is the person at rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn import functional

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch, faces, virtual_people
from mien.models import autoencoder
from mien.models.autoencoder import (
    QUICK,
    StandardizedModel,
    autoencoder_stage,
    neutral_validation,
    require_neutrals,
)
from mien.models.base import Losses, Reference, Stage
from mien.nn.chebyshev import ChebyshevConvolution, ChebyshevLevels
from mien.nn.chebyshev_blocks import ChebyshevDown, ChebyshevUp
from mien.topology import Topology

ONLY_REST = "it knows people at rest only and has no code of an expression"


class ConvMeshAE(StandardizedModel):
    """Any scan of a person in, their neutral face out: one code, of who it is, and none of expressions.

    Reference: A. Ranjan, T. Bolkart, S. Sanyal, M. J. Black. Generating 3D faces using Convolutional Mesh
    Autoencoders. ECCV 2018; trained to neutralize as in Gu, Pears and Sun, FG 2023 ("Conv-MeshAE"), and in
    Olivier et al. 2023 ("Ranjan").

    Equations (x a standardized scan, x_n the same person's neutral, E and D as in ``coma``)::

        z = E(x),   x_n_hat = D(z),   L = mean |x_n_hat - x_n|

    Departures:
        - Neither paper that trains CoMA so says with which sizes: those of CoMA, and the code size of the
          compared models.
        - Scan and neutral are standardized by mean and deviation of the scans.
        - Batches are drawn at random instead of by epochs, so that any step can be resumed exactly.
        - The smoke and standard profiles use Muon, take fewer steps and mix people
          (:func:`mien.data.sampling.virtual_people`).

    Args:
        topology: What all faces share.
        expressions: E expression names; the model knows none of them.
        size: D, numbers in the code.
        channels: Channels of the levels, finest first.
        order: K, number of polynomials.
        factor: How much smaller each level is than the one before.
        coarsest: Vertices of the last level; None: found from the topology.

    Example:
        >>> model = mien.load_model("runs/conv_mesh_ae")
        >>> neutral = model.neutral_face(model.encode(faces))      # (B, V, 3) millimeters
    """

    name: ClassVar[str] = "conv_mesh_ae"
    native: ClassVar[frozenset[str]] = frozenset(("neutralize", "recognize"))
    refused: ClassVar = dict.fromkeys(
        ("reconstruct", "transfer", "interpolate", "generate", "animate", "rig", "fit", "export"), ONLY_REST
    )
    reference: ClassVar[Reference] = Reference(
        "ranjan2018coma", "Ranjan, Anurag and Bolkart, Timo and Sanyal, Soubhik and Black, Michael J.",
        "Generating 3D faces using Convolutional Mesh Autoencoders",
        "European Conference on Computer Vision", 2018, "https://github.com/anuragranj/coma",
    )  # fmt: skip
    Settings = autoencoder.Settings
    profiles: ClassVar = {
        "smoke": QUICK | {"steps": 150, "decay": 0.5, "decay_every": 40, "validate_every": 50, "warm_up": 10},
        "standard": QUICK | {"steps": 8_000, "decay": 0.7, "decay_every": 800, "warm_up": 100},
        "full": {"optimizer": "sgd", "rate": 8e-3, "weight_decay": 5e-4, "batch_size": 16, "steps": 230_000,
                 "decay_every": 1151},
    }  # fmt: skip

    def __init__(
        self,
        topology: Topology,
        expressions: Sequence[str],
        size: int = 25,
        channels: Sequence[int] = (16, 16, 16, 32),
        order: int = 6,
        factor: int = 4,
        coarsest: int | None = None,
    ) -> None:
        super().__init__(topology, expressions)
        self.levels = ChebyshevLevels(self.fitting_factors((factor,) * len(channels), coarsest))
        self.coarsest = (self.coarsest_level(coarsest, self.levels.factors), channels[-1])
        self.down = ChebyshevDown(channels, order)
        self.to_code = nn.Linear(self.coarsest[0] * self.coarsest[1], size)
        self.from_code = nn.Linear(size, self.coarsest[0] * self.coarsest[1])
        self.up = ChebyshevUp(channels, order)
        self.last = ChebyshevConvolution(channels[0], 3, order)

    def prepare(self, data: FaceDataset) -> None:
        """Mean and deviation of every coordinate, Laplacians and hierarchy."""
        self.check_data(data)
        require_neutrals(self, data)
        self.standardize(data)
        self.levels.build(self.topology).to(self.device)

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """(B, D) who it is, and no expression (B, 0)."""
        code = self.to_code(self.down(self.normalize(vertices), self.levels).flatten(1))
        return Codes(code, code[:, :0])

    def decode(self, codes: Codes) -> Tensor:
        """The people at rest."""
        x = functional.relu(self.from_code(codes.identity)).unflatten(1, self.coarsest)
        x = self.last(self.up(x, self.levels), self.levels.laplacians[0])
        return self.in_millimeters(x)

    def stages(
        self, data: FaceDataset, settings: Any, validation: FaceDataset | None = None
    ) -> Iterator[Stage]:
        def losses(batch: Batch) -> Losses:
            assert batch.neutral is not None
            wrong = (self.decode(self.encode(batch.vertices)) - batch.neutral) / self.deviation
            return {"neutral": wrong.abs().mean()}

        batch = faces(data, settings.batch_size, neutral=True)
        yield autoencoder_stage(
            self, virtual_people(batch, data, settings.virtual_people, neutral=True), losses, settings,
            neutral_validation(self, validation), name="neutralization",
        )  # fmt: skip
