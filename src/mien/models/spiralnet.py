"""SpiralNet++ (Gong, Chen, Bronstein and Zafeiriou, ICCV workshops 2019): an autoencoder of spirals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn

from mien.data.dataset import FaceDataset
from mien.models.autoencoder import QUICK, MeshAutoencoder
from mien.models.base import Reference
from mien.nn.spiral import SpiralConvolution, SpiralLevels
from mien.nn.spiral_blocks import DownBlocks, UpBlock
from mien.topology import Topology


class SpiralNet(MeshAutoencoder):
    """A convolutional mesh autoencoder with one code for everything, split linearly after training.

    Reference: S. Gong, L. Chen, M. Bronstein, S. Zafeiriou. SpiralNet++: A Fast and Highly Efficient Mesh
    Convolution Operator. ICCV Workshops 2019.

    Equations (x standardized vertices, S_v the spiral of v, D_k and U_k sampling between levels)::

        C_k(h)_v = W_k [h_u, u in S_v] + b_k
        h_0 = x,  h_{k+1} = D_k ELU(C_k(h_k)),  z = W_e h_m
        g_m = W_d z,  g_k = ELU(C'_k(U_k g_{k+1})),  x_hat = C'(g_0)
        L = mean |x_hat - x|

    Departures:
        - z is divided into identity and expression by :class:`mien.nn.linear_split.LinearSplit`, so that the
          autoencoder stands in every table; the publication reconstructs only.
        - Pooling and up-sampling are folded into the convolutions (:mod:`mien.nn.spiral`): same values.
        - Batches are drawn at random instead of by epochs, so that any step can be resumed exactly.
        - The smoke and standard profiles use Muon, take fewer steps and mix people
          (:func:`mien.data.sampling.virtual_people`).

    Args:
        topology: What all faces share.
        expressions: E expression names.
        size: D, numbers in a code (16 for the printed 0.54 mm on CoMA; FaceTuneGAN's table says 8).
        expression_size: How many of them become expression.
        channels: Channels of the levels, finest first.
        length: S, entries of a spiral.
        factor: How much smaller each level is than the one before.
        coarsest: Vertices of the last level; None: found from the topology.

    Example:
        >>> model = SpiralNet(data.topology, data.expressions, size=25, expression_size=5)
        >>> model.prepare(data.split("train"))          # spirals, hierarchy, standardization
        >>> codes = model.encode(faces)                 # after training: (B, 20) and (B, 5)
    """

    name = "spiralnet"
    native: ClassVar[frozenset[str]] = frozenset(("reconstruct", "interpolate"))
    reference = Reference(
        "gong2019spiralnet", "Gong, Shunwang and Chen, Lei and Bronstein, Michael and Zafeiriou, Stefanos",
        "SpiralNet++: A Fast and Highly Efficient Mesh Convolution Operator",
        "IEEE International Conference on Computer Vision Workshops", 2019,
    )  # fmt: skip
    profiles: ClassVar = {
        "smoke": QUICK | {"steps": 150, "decay": 0.5, "decay_every": 40, "validate_every": 50, "warm_up": 10},
        "standard": QUICK | {"steps": 8_000, "decay": 0.7, "decay_every": 800, "warm_up": 100},
        "full": {},
    }  # fmt: skip

    def __init__(
        self,
        topology: Topology,
        expressions: Sequence[str],
        size: int = 25,
        expression_size: int = 5,
        channels: Sequence[int] = (32, 32, 32, 64),
        length: int = 9,
        factor: int = 4,
        coarsest: int | None = None,
    ) -> None:
        super().__init__(topology, expressions, size, expression_size)
        self.levels = SpiralLevels(self.fitting_factors((factor,) * len(channels), coarsest), length)
        self.coarsest = (self.coarsest_level(coarsest, self.levels.factors), channels[-1])
        self.down = DownBlocks(channels, length)
        self.to_code = nn.Linear(self.coarsest[0] * self.coarsest[1], size)
        self.from_code = nn.Linear(size, self.coarsest[0] * self.coarsest[1])
        back = [channels[-1], *reversed(channels)]
        self.up = nn.ModuleList(UpBlock(a, b, length) for a, b in zip(back, back[1:], strict=False))
        self.last = SpiralConvolution(channels[0], 3, length)

    def prepare(self, data: FaceDataset) -> None:
        super().prepare(data)
        self.levels.build(self.topology)

    def compress(self, x: Tensor) -> Tensor:
        return self.to_code(self.down(x, self.levels).flatten(1))

    def expand(self, z: Tensor) -> Tensor:
        x = self.from_code(z).unflatten(1, self.coarsest)
        for number, block in enumerate(self.up, 1):
            x = block(x, self.levels, len(self.up) - number)
        return self.last(x, self.levels.plain[0])
