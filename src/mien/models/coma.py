"""CoMA (Ranjan, Bolkart, Sanyal and Black, ECCV 2018): an autoencoder of Chebyshev convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from mien.data.dataset import FaceDataset
from mien.models.autoencoder import QUICK, MeshAutoencoder
from mien.models.base import Reference
from mien.nn.chebyshev import ChebyshevConvolution, ChebyshevLevels
from mien.nn.chebyshev_blocks import ChebyshevDown, ChebyshevUp
from mien.topology import Topology


class CoMA(MeshAutoencoder):
    """A spectral mesh autoencoder with one code for everything, split linearly after training.

    Reference: A. Ranjan, T. Bolkart, S. Sanyal, M. J. Black. Generating 3D faces using Convolutional Mesh
    Autoencoders. ECCV 2018.

    Equations (x standardized vertices, T_k Chebyshev polynomials of the shifted Laplacian, K = 6)::

        y = b + sum_{k < K} T_k(L) x W_k
        h_{k+1} = D_k relu(y_k(h_k)),  z = W_e h_m,  g_k = relu(y'_k(U_k g_{k+1})),  x_hat = y'(g_0)
        L = mean |x_hat - x|

    Departures:
        - z is divided into identity and expression by :class:`mien.nn.linear_split.LinearSplit`, so that the
          autoencoder stands in every table; the publication reconstructs and samples only.
        - Batches are drawn at random instead of by epochs, so that any step can be resumed exactly.
        - The smoke and standard profiles use Muon, take fewer steps and mix people
          (:func:`mien.data.sampling.virtual_people`).

    Args:
        topology: What all faces share.
        expressions: E expression names.
        size: D, numbers in a code (8 in the publication).
        expression_size: How many of them become expression.
        channels: Channels of the levels, finest first.
        order: K, number of polynomials.
        factor: How much smaller each level is than the one before.
        coarsest: Vertices of the last level; None: found from the topology.

    Example:
        >>> model = CoMA(data.topology, data.expressions, size=25, expression_size=5)
        >>> model.prepare(data.split("train"))          # Laplacians, hierarchy, standardization
        >>> codes = model.encode(faces)                 # after training: (B, 20) and (B, 5)
    """

    name = "coma"
    native: ClassVar[frozenset[str]] = frozenset(("reconstruct", "interpolate", "generate"))
    reference = Reference(
        "ranjan2018coma", "Ranjan, Anurag and Bolkart, Timo and Sanyal, Soubhik and Black, Michael J.",
        "Generating 3D faces using Convolutional Mesh Autoencoders",
        "European Conference on Computer Vision", 2018, "https://github.com/anuragranj/coma",
    )  # fmt: skip
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
        expression_size: int = 5,
        channels: Sequence[int] = (16, 16, 16, 32),
        order: int = 6,
        factor: int = 4,
        coarsest: int | None = None,
    ) -> None:
        super().__init__(topology, expressions, size, expression_size)
        self.levels = ChebyshevLevels(self.fitting_factors((factor,) * len(channels), coarsest))
        self.coarsest = (self.coarsest_level(coarsest, self.levels.factors), channels[-1])
        self.down = ChebyshevDown(channels, order)
        self.to_code = nn.Linear(self.coarsest[0] * self.coarsest[1], size)
        self.from_code = nn.Linear(size, self.coarsest[0] * self.coarsest[1])
        self.up = ChebyshevUp(channels, order)
        self.last = ChebyshevConvolution(channels[0], 3, order)

    def prepare(self, data: FaceDataset) -> None:
        super().prepare(data)
        self.levels.build(self.topology).to(self.device)

    def compress(self, x: Tensor) -> Tensor:
        return self.to_code(self.down(x, self.levels).flatten(1))

    def expand(self, z: Tensor) -> Tensor:
        x = functional.relu(self.from_code(z)).unflatten(1, self.coarsest)
        return self.last(self.up(x, self.levels), self.levels.laplacians[0])
