"""WSDF (Li, Yang, Huang and Wang, FG 2024): a bank of neutral faces that only needs to know who is who."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.func import jvp
from torch.nn import functional

from mien.codes import Codes
from mien.data.dataset import FaceDataset
from mien.data.sampling import Batch, faces
from mien.errors import BadSetting, UnknownName
from mien.models.autoencoder import StandardizedModel, autoencoder_stage
from mien.models.base import Losses, Reference, Stage, validation_errors
from mien.nn.gaussian import kl_divergence, reparameterize
from mien.nn.spiral import SpiralLevels
from mien.nn.spiral_blocks import DownBlocks
from mien.topology import Topology

KEPT_IN_BANK = ("scans", "neutrals")
#: Probabilities stay this far from 0 and 1, where codes would be infinite.
MARGIN = 5e-5


@dataclass(frozen=True)
class Settings:
    """Training settings; weights hold for sums over all coordinates in units of their deviations."""

    reconstruction: float = 1.0  #: weight of L_rec
    neutral: float = 1.0  #: weight of L_neu (10 in the authors' configuration for CoMA)
    divergence: float = 1.0  #: weight of both KL terms
    second_order: float = 10.0  #: weight of L_so
    steepness: float = 1.0  #: gamma, square millimeters a vertex
    bank_decay: float = 0.99  #: beta, what stays of a bank entry whose person is in the batch
    bank_of: str = "scans"  #: what the bank averages: reconstructed "scans", or decoded "neutrals"
    few: int = 5  #: people with so many scans or fewer are not believed
    batch_size: int = 64
    steps: int = 18_000
    rate: float = 1e-4
    optimizer: str = "adam"  #: or "muon" (:mod:`mien.nn.muon`)
    weight_decay: float = 1e-5
    decay: float = 1.0  #: the rate is multiplied by this ...
    decay_every: int = 1000  #: ... every so many steps
    warm_up: int = 0  #: steps in which the rate rises from zero
    validate_every: int = 500
    patience: int | None = None


class NeutralBank(StandardizedModel):
    """A two-branch variational autoencoder whose faces without expression follow a bank of person averages.

    Reference: G. Li, H. Yang, D. Huang, Y. Wang. 3D Face Modeling via Weakly-supervised Disentanglement
    Network joint Identity-consistency Prior. IEEE FG 2024.

    Equations (x a face in deviations, E two spiral encoders, F a perceptron, Phi the normal distribution)::

        z_id ~ E_id(x),  z_exp ~ E_exp(x),   D(z_id, z_exp) = F(W n),   n_ij = Phi^-1(c_ij (1 - log c_ij))
        c_ij = Phi(z_id,i) Phi(z_exp,j)                                               (tensor re-coupling)
        L_rec = |D(z_id, z_exp) - x|^2,   L_neu = belief_p |D(z_id, 0) - bank_p|^2
        bank_p <- beta bank_p + (1 - beta) mean of the person's reconstructions in the batch
        belief_p = max(0, 1 - exp(few - scans of p))
        g = <f(z_exp) - f(0), J z_exp>,   L_so = max(0, -g) + max(0, g - gamma |z_exp|^2)

    with f(z_exp) the face in millimeters of another person's z_id, J its derivative: a longer expression code
    moves the face farther, and not without bound. The product of two uniform numbers is made uniform again
    and then normal, so that n is distributed like a code.

    Departures:
        - The equations follow the authors' code. Its mutual-information term, switched off for FaceScape,
          is left out.
        - gamma is square millimeters a vertex (the authors' 5,000 on CoMA's 5,023 vertices), not of all.
        - Pooling to one level a block; the authors' residual blocks on the coarsest level are left out.
        - Adam with weight decay instead of AdamW; batches are drawn at random instead of by epochs.
        - The smoke and standard profiles use Muon and take fewer steps.

    Args:
        topology: What all faces share.
        expressions: E expression names.
        identity_size: Size of z_id (4 CoMA, 64 FaceScape).
        expression_size: Size of z_exp (the same sizes).
        coupled_size: Rows of W (16 CoMA, 256 FaceScape).
        hidden: Widths of F (CoMA: 256 three times).
        channels: Channels of the encoders' levels, finest first.
        length: Entries of a spiral.
        factor: How much smaller each level is than the one before.
        coarsest: Vertices of the last level; None: found from the topology.

    Example:
        >>> model = mien.load_model("runs/neutral_bank")
        >>> codes = model.encode(vertices)              # (B, V, 3) millimeters
        >>> neutral = model.neutral_face(codes)         # D(z_id, 0)
    """

    name: ClassVar[str] = "neutral_bank"
    needs_neutrals: ClassVar[bool] = False
    native: ClassVar[frozenset[str]] = frozenset(("reconstruct", "neutralize", "transfer", "generate"))
    reference: ClassVar[Reference] = Reference(
        "li2024wsdf", "Li, Guohao and Yang, Hongyu and Huang, Di and Wang, Yunhong",
        "3D Face Modeling via Weakly-supervised Disentanglement Network joint Identity-consistency Prior",
        "IEEE International Conference on Automatic Face and Gesture Recognition", 2024,
        "https://arxiv.org/abs/2404.16536",
    )  # fmt: skip
    Settings = Settings
    profiles: ClassVar = {
        "smoke": {"optimizer": "muon", "rate": 3e-3, "batch_size": 32, "steps": 150, "decay": 0.5,
                  "decay_every": 40, "validate_every": 50, "warm_up": 10, "bank_decay": 0.9},
        "standard": {"optimizer": "muon", "rate": 3e-3, "batch_size": 32, "steps": 8_000, "decay": 0.7,
                     "decay_every": 800, "warm_up": 100},
        "full": {},
    }  # fmt: skip

    def __init__(
        self,
        topology: Topology,
        expressions: Sequence[str],
        identity_size: int = 20,
        expression_size: int = 5,
        coupled_size: int = 256,
        hidden: Sequence[int] = (256,),
        channels: Sequence[int] = (32, 64, 128),
        length: int = 9,
        factor: int = 4,
        coarsest: int | None = None,
    ) -> None:
        super().__init__(topology, expressions)
        self.levels = SpiralLevels(self.fitting_factors((factor,) * len(channels), coarsest), length)
        wide = self.coarsest_level(coarsest, self.levels.factors) * channels[-1]
        sizes = {"identity": identity_size, "expression": expression_size}
        self.down = nn.ModuleDict({name: DownBlocks(channels, length, norm=True) for name in sizes})
        self.heads = nn.ModuleDict({name: nn.Linear(wide, 2 * size) for name, size in sizes.items()})
        self.coupling = nn.Parameter(torch.randn(coupled_size, identity_size * expression_size))
        layers: list[nn.Module] = []
        for inputs, outputs in zip((coupled_size, *hidden), hidden, strict=False):
            layers += [nn.Linear(inputs, outputs), nn.ELU()]
        last = (coupled_size, *hidden)[-1]
        self.generator = nn.Sequential(*layers, nn.Linear(last, topology.vertex_count * 3))

    def prepare(self, data: FaceDataset) -> None:
        """Mean and deviation of every coordinate, spirals and hierarchy."""
        self.check_data(data)
        if not data.row_labeled("identity").any():
            raise BadSetting(
                f"{self.name} learns from which scans show the same person",
                received="no scan with an identity label", remedy="say who is who (identity_labeled)",
            )  # fmt: skip
        self.standardize(data)
        self.levels.build(self.topology)

    # ---- verbs

    def encode(self, vertices: Tensor, *, neutral: Tensor | None = None) -> Codes:
        """The means of both posteriors."""
        x = self.normalize(vertices)
        return Codes(self.posterior("identity", x)[0], self.posterior("expression", x)[0])

    def decode(self, codes: Codes) -> Tensor:
        return self.in_millimeters(self.join(codes.identity, codes.expression))

    def sample(self, count: int, *, generator: Generator | None = None) -> Codes:
        """z_id, z_exp ~ N(0, I)."""
        sizes = (self.config["identity_size"], self.config["expression_size"])
        device = generator.device if generator else self.device
        drawn = torch.randn(count, sum(sizes), generator=generator, device=device).to(self.device)
        return Codes(*drawn.split(sizes, dim=1))

    def calibrate(self, data: FaceDataset) -> None:
        """Rest is z_exp = 0, as the bank has it."""
        super().calibrate(data)
        self.calibration.rest = torch.zeros_like(self.calibration.rest)

    # ---- the networks on x, faces (B, V, 3) in deviations

    def posterior(self, factor: str, x: Tensor) -> tuple[Tensor, ...]:
        """Mean (B, D) and log-variance (B, D) of a factor's code, of x (B, V, 3) in deviations."""
        return self.heads[factor](self.down[factor](x, self.levels).flatten(1)).chunk(2, dim=1)

    def join(self, z_id: Tensor, z_exp: Tensor) -> Tensor:
        """D(z_id, z_exp): codes (B, D) and (B, D') to faces (B, V, 3)."""
        coupled = _probability(z_id)[:, :, None] * _probability(z_exp)[:, None]
        normal = torch.special.ndtri((coupled * (1 - coupled.log())).clamp(MARGIN, 1 - MARGIN))
        fused = normal.flatten(1) @ functional.normalize(self.coupling, dim=1).T
        return self.generator(fused).unflatten(1, (-1, 3))

    # ---- training

    def stages(
        self, data: FaceDataset, settings: Any, validation: FaceDataset | None = None
    ) -> Iterator[Stage]:
        bank = PersonBank(self, data, settings).to(self.device)
        stage = autoencoder_stage(
            self, faces(data, settings.batch_size), partial(self._losses, bank, settings), settings,
            None if validation is None else partial(self._validation_error, validation),
        )  # fmt: skip
        stage.modules["bank"] = bank
        yield stage

    def _losses(self, bank: PersonBank, settings: Any, batch: Batch) -> Losses:
        x = self.normalize(batch.vertices)
        losses: Losses = {}
        codes = []
        for factor in ("identity", "expression"):
            mean, log_variance = self.posterior(factor, x)
            losses[f"divergence_{factor}"] = settings.divergence * kl_divergence(mean, log_variance)
            codes.append(reparameterize(mean, log_variance))
        z_id, z_exp = codes
        rebuilt, rest = self.join(z_id, z_exp), self.join(z_id, torch.zeros_like(z_exp))
        losses["reconstruction"] = settings.reconstruction * _squares(rebuilt - x).mean()
        wrong = _squares(rest - bank.faces[batch.subject])
        losses["neutral"] = settings.neutral * (bank.belief[batch.subject] * wrong).mean()
        bank.follow_people(batch.subject, (rest if settings.bank_of == "neutrals" else rebuilt).detach())
        if settings.second_order:
            somebody = z_id.detach().roll(1, 0)
            losses["second_order"] = settings.second_order * self.second_order(
                somebody, z_exp.detach(), settings.steepness * x.shape[1]
            )
        return losses

    def second_order(self, z_id: Tensor, z_exp: Tensor, most: float) -> Tensor:
        """L_so, without gradient to the codes.

        Args:
            z_id: (B, D) float. Codes of people.
            z_exp: (B, D') float. Codes of expressions, of other scans.
            most: gamma of all vertices together, square millimeters.

        Returns:
            Scalar.
        """
        pushed = jvp(lambda code: self.join(z_id, code), (z_exp,), (z_exp,))
        face, turn = pushed[0], pushed[1]
        moved = (face - self.join(z_id, torch.zeros_like(z_exp))) * self.deviation
        g = (moved * turn * self.deviation).flatten(1).sum(1)
        return (functional.relu(-g) + functional.relu(g - most * z_exp.square().sum(1))).mean()

    def _validation_error(self, data: FaceDataset) -> dict[str, float]:
        """Reconstruction and neutralization on unseen faces, millimeters; reconstruction decides."""
        self.calibrate(data)
        return validation_errors(self, data, False)


class PersonBank(nn.Module):
    """The moving average of what a person looks like; part of training and not of the model.

    Args:
        model: Whose faces it keeps.
        data: The training faces; people are counted by identity label.
        settings: How fast it moves, and from how many scans on a person is believed.
    """

    faces: Tensor
    belief: Tensor

    def __init__(self, model: NeutralBank, data: FaceDataset, settings: Settings) -> None:
        super().__init__()
        if settings.bank_of not in KEPT_IN_BANK:
            raise UnknownName("bank_of", settings.bank_of, KEPT_IN_BANK)
        self.decay = settings.bank_decay
        known = data.row_labeled("identity")
        scans = np.bincount(data.row_subject[known], minlength=len(data.subjects))
        belief = np.maximum(0, 1 - np.exp(np.minimum(settings.few - scans, 0.0)))
        self.register_buffer("belief", torch.from_numpy(belief).float())
        self.register_buffer("faces", torch.zeros(len(scans), *model.mean_face.shape))  # the mean face

    @torch.no_grad()
    def follow_people(self, subject: Tensor, found: Tensor) -> None:
        """Moves the entries of people (B,) int toward the mean of their faces (B, V, 3), in deviations."""
        people, index = subject.unique(return_inverse=True)
        mean = torch.zeros(len(people), *found.shape[1:]).to(found).index_add_(0, index, found)
        mean /= index.bincount()[:, None, None]
        self.faces[people] = self.decay * self.faces[people] + (1 - self.decay) * mean


def _probability(code: Tensor) -> Tensor:
    return torch.special.ndtr(code).clamp(MARGIN, 1 - MARGIN)


def _squares(difference: Tensor) -> Tensor:
    """(B, V, 3) to (B,) sums of squares."""
    return difference.square().flatten(1).sum(1)
