"""DI-MeshEncoder (Zhang, Yu, Li, Sun and Liu, 2020): two graph autoencoders whose codes are independent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch, faces, virtual_people
from mien.models.autoencoder import StandardizedModel, require_neutrals
from mien.models.base import Losses, Reference, Stage, validation_errors
from mien.nn.gaussian import kl_divergence, reparameterize
from mien.nn.learning_rate import rising_and_decaying
from mien.nn.muon import optimizer_of
from mien.nn.spiral import SpiralConvolution, SpiralLevels
from mien.nn.spiral_blocks import DownBlocks, UpBlock
from mien.topology import Topology

FACTORS = ("identity", "expression")


@dataclass(frozen=True)
class Settings:
    """Training settings; weights hold for coordinates in units of their deviations."""

    reconstruction: float = 1.0  #: weight of L_rec
    neutral: float = 1.0  #: weight of L_id
    divergence: float = 1e-3  #: weight of both KL terms
    independence: float = 1e-2  #: weight of L_tc
    batch_size: int = 32
    steps: int = 150_000
    rate: float = 1e-3  #: learning rate of both branches
    discriminator_rate: float = 1e-4  #: Adam's, of the density-ratio discriminator
    discriminator_width: int = 256
    optimizer: str = "adam"  #: of both branches; or "muon" (:mod:`mien.nn.muon`)
    decay: float = 0.99  #: both rates are multiplied by this ...
    decay_every: int = 500  #: ... every so many steps
    warm_up: int = 0  #: steps in which the rates rise from zero
    virtual_people: float = 0.0  #: share of rows whose person is a mixture of others
    validate_every: int = 500
    patience: int | None = None


#: What makes short runs on two cores worthwhile.
QUICK = {"optimizer": "muon", "rate": 3e-3, "virtual_people": 0.5}


class DIMeshEncoder(StandardizedModel):
    """Splits a face into an identity mesh and an expression mesh whose codes know nothing of each other.

    Reference: Z. Zhang, C. Yu, H. Li, J. Sun, F. Liu. Learning Distribution Independent Latent
    Representation for 3D Face Disentanglement. 3DV 2020.

    Equations (x a face and n its neutral in deviations, two branches of encoder E and decoder D)::

        z_id ~ E_id(x),  z_exp ~ E_exp(x),   x_hat = D_id(z_id) + D_exp(z_exp)
        L_rec = mean |x_hat - x|,   L_id = mean |D_id(z_id) - n|
        L_tc = mean [d_joint(z_id, z_exp) - d_apart(z_id, z_exp)]           (the logits of a classifier d)
        L_d = CE(d(z_id, z_exp), joint) + CE(d(z_id, another face's z_exp), apart)

    L_tc estimates the mutual information of the codes by the density ratio, as in FactorVAE.

    Departures:
        - The backbone is that of SpiralNet++, as for the compared models; the publication has other graph
          convolutions. Its loss weights are not at hand; ours are in ``Settings``.
        - Batches are drawn at random instead of by epochs, so that any step can be resumed exactly.
        - The smoke and standard profiles use Muon, take fewer steps and mix people
          (:func:`mien.data.sampling.virtual_people`).

    Args:
        topology: What all faces share.
        expressions: E expression names.
        identity_size: Size of z_id (4 on CoMA).
        expression_size: Size of z_exp (4 on CoMA).
        channels: Channels of the levels, finest first.
        length: Entries of a spiral.
        factor: How much smaller each level is than the one before.
        coarsest: Vertices of the last level; None: found from the topology.

    Example:
        >>> model = mien.load_model("runs/di_meshencoder")
        >>> codes = model.encode(vertices)              # (B, V, 3) millimeters
        >>> neutral = model.neutral_face(codes)         # the identity mesh
    """

    name: ClassVar[str] = "di_meshencoder"
    native: ClassVar[frozenset[str]] = frozenset(("reconstruct", "neutralize", "transfer", "generate"))
    reference: ClassVar[Reference] = Reference(
        "zhang2020distribution",
        "Zhang, Zihui and Yu, Cuican and Li, Huibin and Sun, Jian and Liu, Feng",
        "Learning Distribution Independent Latent Representation for 3D Face Disentanglement",
        "International Conference on 3D Vision", 2020,
    )  # fmt: skip
    Settings = Settings
    profiles: ClassVar = {
        "smoke": QUICK | {"steps": 150, "decay": 0.5, "decay_every": 40, "validate_every": 50, "warm_up": 10},
        "standard": QUICK | {"steps": 6_000, "decay": 0.7, "decay_every": 600, "warm_up": 100},
        "full": {},
    }  # fmt: skip

    def __init__(
        self,
        topology: Topology,
        expressions: Sequence[str],
        identity_size: int = 20,
        expression_size: int = 5,
        channels: Sequence[int] = (32, 32, 32, 64),
        length: int = 9,
        factor: int = 4,
        coarsest: int | None = None,
    ) -> None:
        super().__init__(topology, expressions)
        self.levels = SpiralLevels(self.fitting_factors((factor,) * len(channels), coarsest), length)
        size = (self.coarsest_level(coarsest, self.levels.factors), channels[-1])
        sizes = dict(zip(FACTORS, (identity_size, expression_size), strict=True))
        wide = size[0] * size[1]
        self.down = nn.ModuleDict({name: DownBlocks(channels, length) for name in FACTORS})
        self.heads = nn.ModuleDict({name: nn.Linear(wide, 2 * code) for name, code in sizes.items()})
        self.decoders = nn.ModuleDict(
            {name: _BranchDecoder(code, size, channels, length) for name, code in sizes.items()}
        )

    def prepare(self, data: FaceDataset) -> None:
        """Mean and deviation of every coordinate, spirals and hierarchy."""
        self.check_data(data)
        require_neutrals(self, data)
        self.standardize(data)
        self.levels.build(self.topology)

    # ---- verbs

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """The means of both posteriors."""
        x = self.normalize(vertices)
        return Codes(self.posterior("identity", x)[0], self.posterior("expression", x)[0])

    def decode(self, codes: Codes) -> Tensor:
        """The sum of identity mesh and expression mesh."""
        parts = [self.shape(factor, codes.factor(factor)) for factor in FACTORS]
        return self.in_millimeters(parts[0] + parts[1])

    def neutral_face(self, codes: Codes) -> Tensor:
        """The identity mesh, which needs no rest code here."""
        return self.in_millimeters(self.shape("identity", codes.identity))

    def sample(self, count: int, *, generator: Generator | None = None) -> Codes:
        """z_id, z_exp ~ N(0, I)."""
        sizes = (self.config["identity_size"], self.config["expression_size"])
        device = generator.device if generator else self.device
        drawn = torch.randn(count, sum(sizes), generator=generator, device=device).to(self.device)
        return Codes(*drawn.split(sizes, dim=1))

    # ---- the branches on x, faces (B, V, 3) in deviations

    def posterior(self, factor: str, x: Tensor) -> tuple[Tensor, ...]:
        """Mean (B, D) and log-variance (B, D) of a factor's code, of x (B, V, 3) in deviations."""
        return self.heads[factor](self.down[factor](x, self.levels).flatten(1)).chunk(2, dim=1)

    def shape(self, factor: str, code: Tensor) -> Tensor:
        """D_id(z_id) or D_exp(z_exp): codes (B, D) to (B, V, 3)."""
        return self.decoders[factor](code, self.levels)

    # ---- training

    def stages(
        self, data: FaceDataset, settings: Any, validation: FaceDataset | None = None
    ) -> Iterator[Stage]:
        sizes = self.config["identity_size"] + self.config["expression_size"]
        judge = _density_ratio(sizes, settings.discriminator_width).to(self.device)
        optimizers = {
            "branches": optimizer_of(self, settings.rate, kind=settings.optimizer),
            "discriminator": torch.optim.Adam(judge.parameters(), settings.discriminator_rate),
        }

        batch = faces(data, settings.batch_size, neutral=True)
        yield Stage(
            "two branches", settings.steps,
            virtual_people(batch, data, settings.virtual_people, neutral=True),
            partial(self._step, judge, settings), {"model": self, "discriminator": judge}, optimizers,
            rates=dict.fromkeys(optimizers, rising_and_decaying(settings)),
            validate=None if validation is None else partial(validation_errors, self, validation, True),
            validate_every=settings.validate_every, patience=settings.patience,
        )  # fmt: skip

    def _step(
        self, judge: nn.Module, settings: Any, batch: Batch, index: int
    ) -> Iterator[tuple[str, Losses]]:
        """The branches first, then the discriminator on the same codes, which no gradient leaves."""
        assert batch.neutral is not None
        x = self.normalize(batch.vertices)
        posteriors = {factor: self.posterior(factor, x) for factor in FACTORS}
        codes = [reparameterize(*posterior) for posterior in posteriors.values()]
        x_id, offset = (self.shape(factor, code) for factor, code in zip(FACTORS, codes, strict=True))
        losses = {
            f"divergence_{factor}": settings.divergence * kl_divergence(*posterior)
            for factor, posterior in posteriors.items()
        }
        losses["reconstruction"] = settings.reconstruction * (x_id + offset - x).abs().mean()
        losses["neutral"] = settings.neutral * (x_id - self.normalize(batch.neutral)).abs().mean()
        if settings.independence:
            judge.requires_grad_(False)  # not updated here
            joint, apart = judge(torch.cat(codes, dim=1)).unbind(1)
            losses["independence"] = settings.independence * (joint - apart).mean()
            judge.requires_grad_(True)
        yield "branches", losses
        z_id, z_exp = (code.detach() for code in codes)
        shuffled = z_exp.roll(1 + index % max(1, len(z_exp) - 1), 0)
        pairs = torch.cat([torch.cat([z_id, z_exp], dim=1), torch.cat([z_id, shuffled], dim=1)])
        label = torch.arange(2, device=x.device).repeat_interleave(len(z_id))
        yield "discriminator", {"discriminator": functional.cross_entropy(judge(pairs), label)}


class _BranchDecoder(nn.Module):
    """D of one branch: a linear layer and the way back to the finest level."""

    def __init__(self, code: int, size: tuple[int, int], channels: Sequence[int], length: int) -> None:
        super().__init__()
        self.size = size
        self.from_code = nn.Linear(code, size[0] * size[1])
        back = [channels[-1], *reversed(channels)]
        self.up = nn.ModuleList(UpBlock(a, b, length) for a, b in zip(back, back[1:], strict=False))
        self.last = SpiralConvolution(channels[0], 3, length)

    def forward(self, code: Tensor, levels: SpiralLevels) -> Tensor:
        """(B, D) to (B, V, 3)."""
        x = self.from_code(code).unflatten(1, self.size)
        for number, block in enumerate(self.up, 1):
            x = block(x, levels, len(self.up) - number)
        return self.last(x, levels.plain[0])


def _density_ratio(size: int, width: int) -> nn.Sequential:
    """d: codes (B, D + D') to logits (B, 2) of joint and apart; six layers as in FactorVAE."""
    layers: list[nn.Module] = []
    for inputs in (size, *[width] * 4):
        layers += [nn.Linear(inputs, width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Linear(width, 2))
