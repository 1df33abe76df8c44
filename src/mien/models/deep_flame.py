"""DeepFLAME (Ranjan et al. 2018): linear people, and a mesh autoencoder of what expressions add to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.displacement import mean_displacements
from mien.data.sampling import Batch, faces
from mien.errors import BadSetting, MissingNeutral
from mien.models import autoencoder
from mien.models.autoencoder import autoencoder_stage
from mien.models.base import FaceModel, Losses, Reference, Stage, validation_errors
from mien.nn.chebyshev import ChebyshevConvolution, ChebyshevLevels
from mien.nn.chebyshev_blocks import ChebyshevDown, ChebyshevUp
from mien.nn.principal import principal_axes
from mien.topology import Topology

BLOCK = 256
QUICK = {"optimizer": "muon", "rate": 3e-3}


class DeepFLAME(FaceModel):
    """A face is a mean plus a linear identity shape plus what an autoencoder makes of an expression code.

    Reference: A. Ranjan, T. Bolkart, S. Sanyal, M. J. Black. Generating 3D faces using Convolutional Mesh
    Autoencoders. ECCV 2018, section "DeepFLAME"; with the sizes of Abrevaya et al., ICCV 2019, row "CoMA".

    Equations (n the person's neutral, E and D the Chebyshev encoder and decoder of ``coma``)::

        x = m + U_id a + D(b),   b = E(x - n),   L = mean |D(E(x - n)) - (x - n)|   on standardized x - n

    m and U_id are the mean and the principal axes of people's mean neutrals, in units of deviations.

    Departures:
        - Neither publication says how a scan without its neutral is encoded. Here a starts at the joint
          least squares of U_id and as many principal axes of displacements as b has numbers, then
          b = E(x - m - U_id a) and a = argmin ||x - D(b) - m - U_id a||^2 + ridge ||a||^2 take turns.
        - Batches are drawn at random instead of by epochs, so that any step can be resumed exactly.
        - The smoke and standard profiles use Muon and take fewer steps.

    Args:
        topology: What all faces share.
        expressions: E expression names.
        identity_size: Identity axes; fewer are kept when there are fewer people.
        expression_size: Numbers of b.
        ridge: Weight of the squared linear codes in square millimeters, summed over all coordinates.
        rounds: How often a and b take turns.
        channels: Channels of the levels, finest first.
        order: K, number of polynomials.
        factor: How much smaller each level is than the one before.
        coarsest: Vertices of the last level; None: found from the topology.

    Example:
        >>> model = mien.load_model("runs/deep_flame")
        >>> codes = model.encode(faces)                          # (B, 65) and (B, 20)
        >>> exact = model.encode(faces, neutral=neutrals)        # where the neutrals are known
    """

    name: ClassVar[str] = "deep_flame"
    native: ClassVar[frozenset[str]] = frozenset(("reconstruct", "transfer", "generate", "fit"))
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

    mean_face: Tensor
    identity_axes: Tensor
    start_axes: Tensor
    mean_offset: Tensor
    deviation: Tensor

    def __init__(
        self,
        topology: Topology,
        expressions: Sequence[str],
        identity_size: int = 65,
        expression_size: int = 20,
        ridge: float = 1.0,
        rounds: int = 2,
        channels: Sequence[int] = (16, 16, 16, 32),
        order: int = 6,
        factor: int = 4,
        coarsest: int | None = None,
    ) -> None:
        super().__init__(topology, expressions)
        if ridge <= 0:
            raise BadSetting("ridge must be positive: identity and expression axes overlap", received=ridge)
        self.identity_size, self.ridge, self.rounds = identity_size, ridge, rounds
        self.register_buffer("mean_face", torch.from_numpy(topology.template.copy()))
        self.register_buffer("identity_axes", torch.zeros(0, topology.vertex_count * 3))
        self.register_buffer("start_axes", torch.zeros(0, topology.vertex_count * 3))
        self.register_buffer("mean_offset", torch.zeros_like(self.mean_face))
        self.register_buffer("deviation", torch.ones_like(self.mean_face))
        self.levels = ChebyshevLevels(self.fitting_factors((factor,) * len(channels), coarsest))
        self.coarsest = (self.coarsest_level(coarsest, self.levels.factors), channels[-1])
        self.down = ChebyshevDown(channels, order)
        self.to_code = nn.Linear(self.coarsest[0] * self.coarsest[1], expression_size)
        self.from_code = nn.Linear(expression_size, self.coarsest[0] * self.coarsest[1])
        self.up = ChebyshevUp(channels, order)
        self.last = ChebyshevConvolution(channels[0], 3, order)

    def prepare(self, data: FaceDataset) -> None:
        """Principal axes of neutrals and of displacements, and the displacements' mean and deviation."""
        self.check_data(data)
        rows = np.flatnonzero(data.has_neutral)
        people = rows[np.unique(data.row_subject[rows], return_index=True)[1]]
        moving = rows[~data.is_neutral[rows]]
        if len(rows) < len(data) or not len(moving):
            raise MissingNeutral(
                f"{self.name} learns from displacements from everybody's own neutral",
                received=f"{len(data) - len(rows)} scans of people without a neutral, {len(moving)} others",
                remedy="label neutral scans by all-zero weights",
            )
        identity = principal_axes(data.neutral_of, people, self.identity_size, label="identity axes")
        start = principal_axes(
            partial(_displacements, data),
            moving,
            self.to_code.out_features,
            centered=False,
            label="start axes",
        )
        self.mean_face = torch.from_numpy(identity.mean).view(-1, 3).to(self.device)
        for name, found in (("identity_axes", identity), ("start_axes", start)):
            setattr(self, name, torch.from_numpy(found.axes * found.std[:, None]).to(self.device))
        self._standardize(data)
        self.levels.build(self.topology).to(self.device)

    def _standardize(self, data: FaceDataset) -> None:
        total, squares = np.zeros((2, *self.mean_face.shape))
        for first in range(0, len(data), BLOCK):
            block = _displacements(data, np.arange(first, min(first + BLOCK, len(data)))).astype(np.float64)
            total += block.sum(axis=0)
            squares += np.square(block).sum(axis=0)
        mean = total / len(data)
        deviation = np.sqrt(np.maximum(squares / len(data) - mean**2, 0))
        # A coordinate that never moves would be divided by zero.
        deviation = np.maximum(deviation, 1e-2 * deviation.mean() + 1e-6)
        self.mean_offset.copy_(torch.from_numpy(mean))
        self.deviation.copy_(torch.from_numpy(deviation))

    # ---- verbs

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """Both codes; of the neutral and the displacement from it where the neutral is given."""
        if neutral is not None:
            return Codes(self._identity(neutral), self.compress(vertices - neutral))
        axes = torch.cat([self.identity_axes, self.start_axes])
        a = self._least_squares(axes, vertices)[:, : len(self.identity_axes)]
        b = self.compress(vertices - self._person(a))
        for _ in range(self.rounds):
            a = self._identity(vertices - self.expand(b))
            b = self.compress(vertices - self._person(a))
        return Codes(a, b)

    def decode(self, codes: Codes) -> Tensor:
        return self._person(codes.identity) + self.expand(codes.expression)

    def neutral_face(self, codes: Codes) -> Tensor:
        """The linear identity shape alone."""
        return self._person(codes.identity)

    def sample(self, count: int, *, generator: Generator | None = None) -> Codes:
        """a ~ N(0, I); b from a normal distribution with mean and covariance of the training codes."""
        drawn = self.calibration.sample(count, generator)
        device = generator.device if generator else self.device
        people = torch.randn(count, len(self.identity_axes), generator=generator, device=device)
        return drawn.replace(identity=people.to(self.device))

    def calibrate(self, data: FaceDataset) -> None:
        """Rest is the code of no displacement, a named expression that of its mean displacement."""
        super().calibrate(data)
        with torch.no_grad():
            self.calibration.rest = self.compress(torch.zeros_like(self.mean_face)[None])[0]
            mean = torch.from_numpy(mean_displacements(data)).to(self.device)
            self.calibration.offsets = self.compress(mean) - self.calibration.rest

    # ---- the two parts

    def compress(self, displacement: Tensor) -> Tensor:
        """E: displacements (B, V, 3), millimeters, to codes (B, D)."""
        x = (displacement - self.mean_offset) / self.deviation
        return self.to_code(self.down(x, self.levels).flatten(1))

    def expand(self, code: Tensor) -> Tensor:
        """D: codes (B, D) to displacements (B, V, 3), millimeters."""
        x = functional.relu(self.from_code(code)).unflatten(1, self.coarsest)
        return self.mean_offset + self.deviation * self.last(
            self.up(x, self.levels), self.levels.laplacians[0]
        )

    def _person(self, a: Tensor) -> Tensor:
        return self.mean_face + (a @ self.identity_axes).unflatten(1, (-1, 3))

    def _identity(self, neutral: Tensor) -> Tensor:
        return self._least_squares(self.identity_axes, neutral)

    def _least_squares(self, axes: Tensor, faces: Tensor) -> Tensor:
        """(B, K) ridge fit of axes (K, 3V) to faces (B, V, 3)."""
        target = (faces - self.mean_face).flatten(1) @ axes.T
        normal = (axes @ axes.T).double() + self.ridge * torch.eye(len(axes)).to(axes.device).double()
        return torch.linalg.solve(normal, target.T.double()).T.float()

    # ---- training

    def stages(
        self, data: FaceDataset, settings: Any, validation: FaceDataset | None = None
    ) -> Iterator[Stage]:
        def losses(batch: Batch) -> Losses:
            assert batch.neutral is not None
            offset = batch.vertices - batch.neutral
            wrong = (self.expand(self.compress(offset)) - offset) / self.deviation
            return {"displacement": wrong.abs().mean()}

        yield autoencoder_stage(
            self, faces(data, settings.batch_size, neutral=True), losses, settings,
            None if validation is None else partial(validation_errors, self, validation, True),
            name="displacements",
        )  # fmt: skip


def _displacements(data: FaceDataset, rows: Any) -> Any:
    """(n, V, 3) float, millimeters: scans minus their people's neutrals."""
    return data[rows] - data.neutral_of(rows)
