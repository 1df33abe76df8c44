"""Kacem, Cherenkova and Aouada (2021): an adversary on codes turns that of a face into its neutral's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import binary_cross_entropy_with_logits as bce

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch, faces, virtual_people
from mien.models.autoencoder import StandardizedModel, neutral_validation, require_neutrals
from mien.models.base import Losses, Reference, Stage
from mien.nn.learning_rate import rising_and_decaying
from mien.nn.muon import optimizer_of
from mien.nn.spiral import SpiralConvolution, SpiralLevels
from mien.nn.spiral_blocks import DownBlocks, UpBlock
from mien.topology import Topology

ONLY_REST = "its publication neutralizes and recognizes, and has no code of an expression"


@dataclass(frozen=True)
class Settings:
    """Training settings; weights hold for coordinates in units of their deviations."""

    reconstruction: float = 1.0  #: weight of L_rec
    neutral: float = 1.0  #: weight of L_neu
    code: float = 0.1  #: weight of L_code
    adversarial: float = 1e-2  #: weight of L_adv
    identity: float = 0.1  #: weight of L_id
    batch_size: int = 32
    steps: int = 150_000
    rate: float = 1e-3  #: learning rate of the autoencoder and the generator
    discriminator_rate: float = 1e-4  #: Adam's
    discriminator_width: int = 128
    optimizer: str = "adam"  #: of the autoencoder and the generator; or "muon" (:mod:`mien.nn.muon`)
    decay: float = 0.99  #: both rates are multiplied by this ...
    decay_every: int = 500  #: ... every so many steps
    warm_up: int = 0  #: steps in which the rates rise from zero
    virtual_people: float = 0.0  #: share of rows whose person is a mixture of others
    validate_every: int = 500
    patience: int | None = None


#: What makes short runs on two cores worthwhile.
QUICK = {"optimizer": "muon", "rate": 3e-3, "virtual_people": 0.5}


class Kacem(StandardizedModel):
    """Neutralizes and recognizes: a generator maps the code of any scan to the code of its person at rest.

    Reference: A. Kacem, K. Cherenkova, D. Aouada. Disentangled Face Identity Representations for joint 3D
    Face Recognition and Expression Neutralisation. arXiv 2104.10273, 2021.

    Equations (x a face and n its neutral in deviations, E and D a mesh autoencoder, G the generator, d the
    logit of the discriminator, p the person, W a linear classifier)::

        z = E(x),   z_n = G(z),   n_hat = D(z_n)
        L_rec = mean |D(z) - x|,   L_neu = mean |n_hat - n|,   L_code = mean |z_n - E(n)|
        L_adv = BCE(d(z_n), 1),    L_d = BCE(d(E(n)), 1) + BCE(d(z_n), 0),   L_id = CE(W z_n, p)

    All parts are trained end to end; z_n is the code that recognizes.

    Departures:
        - The backbone is that of SpiralNet++, as for the compared models; the publication has other graph
          convolutions. Its loss weights are not at hand; ours are in ``Settings``.
        - Batches are drawn at random instead of by epochs, so that any step can be resumed exactly.
        - The smoke and standard profiles use Muon, take fewer steps and mix people
          (:func:`mien.data.sampling.virtual_people`); L_id is that of the real ones.

    Args:
        topology: What all faces share.
        expressions: E expression names; the model knows none of them.
        size: Numbers of a code.
        hidden: Width of G's two hidden layers.
        channels: Channels of the levels, finest first.
        length: Entries of a spiral.
        factor: How much smaller each level is than the one before.
        coarsest: Vertices of the last level; None: found from the topology.

    Example:
        >>> model = mien.load_model("runs/kacem")
        >>> codes = model.encode(faces)                 # z_n, (B, 25), and no expression, (B, 0)
        >>> neutral = model.neutral_face(codes)         # (B, V, 3) millimeters
    """

    name: ClassVar[str] = "kacem"
    native: ClassVar[frozenset[str]] = frozenset(("neutralize", "recognize"))
    refused: ClassVar = dict.fromkeys(
        ("reconstruct", "transfer", "interpolate", "generate", "animate", "rig", "fit", "export"), ONLY_REST
    )
    reference: ClassVar[Reference] = Reference(
        "kacem2021disentangled", "Kacem, Anis and Cherenkova, Kseniya and Aouada, Djamila",
        "Disentangled Face Identity Representations for joint 3D Face Recognition and Expression "
        "Neutralisation", "arXiv", 2021, "https://arxiv.org/abs/2104.10273",
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
        size: int = 25,
        hidden: int = 128,
        channels: Sequence[int] = (32, 32, 32, 64),
        length: int = 9,
        factor: int = 4,
        coarsest: int | None = None,
    ) -> None:
        super().__init__(topology, expressions)
        self.levels = SpiralLevels(self.fitting_factors((factor,) * len(channels), coarsest), length)
        self.coarsest = (self.coarsest_level(coarsest, self.levels.factors), channels[-1])
        self.down = DownBlocks(channels, length)
        self.to_code = nn.Linear(self.coarsest[0] * self.coarsest[1], size)
        self.from_code = nn.Linear(size, self.coarsest[0] * self.coarsest[1])
        back = [channels[-1], *reversed(channels)]
        self.up = nn.ModuleList(UpBlock(a, b, length) for a, b in zip(back, back[1:], strict=False))
        self.last = SpiralConvolution(channels[0], 3, length)
        self.generator = nn.Sequential(
            nn.Linear(size, hidden), nn.ELU(), nn.Linear(hidden, hidden), nn.ELU(), nn.Linear(hidden, size)
        )

    def prepare(self, data: FaceDataset) -> None:
        """Mean and deviation of every coordinate, spirals and hierarchy."""
        self.check_data(data)
        require_neutrals(self, data)
        self.standardize(data)
        self.levels.build(self.topology)

    # ---- verbs

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """z_n (B, D), and no expression (B, 0)."""
        code = self.generator(self.compress(self.normalize(vertices)))
        return Codes(code, code[:, :0])

    def decode(self, codes: Codes) -> Tensor:
        """The people at rest."""
        return self.in_millimeters(self.expand(codes.identity))

    # ---- the autoencoder on x, faces (B, V, 3) in deviations

    def compress(self, x: Tensor) -> Tensor:
        """E: (B, V, 3) to (B, D)."""
        return self.to_code(self.down(x, self.levels).flatten(1))

    def expand(self, z: Tensor) -> Tensor:
        """D: (B, D) to (B, V, 3)."""
        x = self.from_code(z).unflatten(1, self.coarsest)
        for number, block in enumerate(self.up, 1):
            x = block(x, self.levels, len(self.up) - number)
        return self.last(x, self.levels.plain[0])

    # ---- training

    def stages(
        self, data: FaceDataset, settings: Any, validation: FaceDataset | None = None
    ) -> Iterator[Stage]:
        size, width = self.config["size"], settings.discriminator_width
        judge = nn.Sequential(
            nn.Linear(size, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2),
            nn.Linear(width, 1),
        ).to(self.device)  # fmt: skip
        who = nn.Linear(size, len(data.subjects)).to(self.device)
        trained = nn.ModuleList([self, who])
        optimizers = {
            "model": optimizer_of(trained, settings.rate, kind=settings.optimizer, apart=who),
            "discriminator": torch.optim.Adam(judge.parameters(), settings.discriminator_rate),
        }

        batch = faces(data, settings.batch_size, neutral=True)
        yield Stage(
            "neutralization", settings.steps,
            virtual_people(batch, data, settings.virtual_people, neutral=True),
            partial(self._step, judge, who, settings),
            {"model": self, "discriminator": judge, "identity": who}, optimizers,
            rates=dict.fromkeys(optimizers, rising_and_decaying(settings)),
            validate=neutral_validation(self, validation),
            validate_every=settings.validate_every, patience=settings.patience,
        )  # fmt: skip

    def _step(
        self, judge: nn.Module, who: nn.Module, settings: Any, batch: Batch, index: int
    ) -> Iterator[tuple[str, Losses]]:
        """The model first, then the discriminator on the same codes, which no gradient leaves."""
        assert batch.neutral is not None
        x, n = self.normalize(batch.vertices), self.normalize(batch.neutral)
        z, true = self.compress(x), self.compress(n)
        made = self.generator(z)
        judge.requires_grad_(False)  # not updated here
        fooled = judge(made)
        judge.requires_grad_(True)
        losses = {
            "reconstruction": settings.reconstruction * (self.expand(z) - x).abs().mean(),
            "neutral": settings.neutral * (self.expand(made) - n).abs().mean(),
            "code": settings.code * (made - true).abs().mean(),
            "adversarial": settings.adversarial * bce(fooled, torch.ones_like(fooled)),
        }
        real = batch.subject >= 0  # virtual people are nobody
        if real.any():
            crossed = functional.cross_entropy(who(made[real]), batch.subject[real])
            losses["identity"] = settings.identity * crossed
        yield "model", losses
        shown, drawn = judge(true.detach()), judge(made.detach())
        told = bce(shown, torch.ones_like(shown)) + bce(drawn, torch.zeros_like(drawn))
        yield "discriminator", {"discriminator": told}
